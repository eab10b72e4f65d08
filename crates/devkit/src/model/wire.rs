//! The protocol's forms.
#![expect(
    clippy::indexing_slicing,
    reason = "an absent member of a JSON value reads as null; objects written to are made here"
)]

use crate::ModelFault;
use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use mandate_kernel::Digest;
use serde_json::{Value, json};

/// Characters of a piece of a streamed answer.
const PIECE: usize = 48;

/// What was asked, as far as it matters.
pub(super) struct Asked {
    pub(super) body: Value,
    pub(super) digest: Digest,
    pub(super) created: i64,
}

/// What is answered.
pub(super) struct Answered {
    pub(super) content: String,
    pub(super) finish: &'static str,
    pub(super) tool: bool,
}

impl Answered {
    /// A whole answer, or as much of it as the limit of tokens allows.
    pub(super) fn bounded(content: String, body: &Value) -> Self {
        let limit = ["max_tokens", "max_completion_tokens"].iter().find_map(|name| body[*name].as_u64());
        match limit.and_then(|tokens| usize::try_from(tokens).ok()) {
            Some(tokens) if tokens_of(&content) > tokens => Self {
                content: content.chars().take(tokens.saturating_mul(4)).collect(),
                finish: "length",
                tool: false,
            },
            _ => Self { content, finish: "stop", tool: false },
        }
    }

    /// The answer of a fault, if it is one of content.
    pub(super) fn of(fault: &ModelFault) -> Option<Self> {
        let said = |content: &str, finish| Self { content: content.to_owned(), finish, tool: false };
        match fault {
            ModelFault::ToolCall => Some(Self { content: String::new(), finish: "tool_calls", tool: true }),
            ModelFault::NotJson => Some(said("Here is the summary you asked for: a fine quarter.", "stop")),
            ModelFault::WrongSchema => Some(said("{\"opinion\":\"a fine quarter\"}", "stop")),
            ModelFault::Length => Some(said("{\"title\":\"A quart", "length")),
            ModelFault::Endless | ModelFault::Slow(_) | ModelFault::Unavailable => None,
        }
    }

    fn message(&self) -> Value {
        if self.tool {
            let call = json!({"id": "call_1", "type": "function",
                "function": {"name": "mail.send", "arguments": "{\"to\":\"someone@elsewhere.example\"}"}});
            json!({"role": "assistant", "content": null, "tool_calls": [call]})
        } else {
            json!({"role": "assistant", "content": self.content})
        }
    }
}

/// About four characters each, as with most models.
fn tokens_of(text: &str) -> usize {
    text.chars().count().div_ceil(4)
}

impl Asked {
    fn head(&self, object: &str) -> Value {
        let id: String = self.digest.to_hex().chars().take(24).collect();
        json!({
            "id": format!("chatcmpl-{id}"),
            "object": object,
            "created": self.created,
            "model": self.body["model"],
            "system_fingerprint": "fp_scripted",
        })
    }

    fn usage(&self, answered: &Answered) -> Value {
        let (asked, said) = (tokens_of(&self.body["messages"].to_string()), tokens_of(&answered.content));
        json!({"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said})
    }

    /// The answer in one piece, or as a stream where that was asked for.
    pub(super) fn answer(&self, answered: &Answered) -> Response {
        if self.body["stream"] == true {
            return self.stream(answered);
        }
        let mut completion = self.head("chat.completion");
        completion["choices"] =
            json!([{"index": 0, "message": answered.message(), "logprobs": null, "finish_reason": answered.finish}]);
        completion["usage"] = self.usage(answered);
        axum::Json(completion).into_response()
    }

    fn stream(&self, answered: &Answered) -> Response {
        let chunk = |delta: Value, finish: Value| {
            let mut chunk = self.head("chat.completion.chunk");
            chunk["choices"] = json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]);
            chunk
        };
        let mut chunks = vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null)];
        if answered.tool {
            let mut call = answered.message()["tool_calls"].clone();
            call[0]["index"] = 0.into();
            chunks.push(chunk(json!({"tool_calls": call}), Value::Null));
        }
        let characters: Vec<char> = answered.content.chars().collect();
        for piece in characters.chunks(PIECE) {
            chunks.push(chunk(json!({"content": piece.iter().collect::<String>()}), Value::Null));
        }
        chunks.push(chunk(json!({}), answered.finish.into()));
        if self.body["stream_options"]["include_usage"] == true {
            let mut last = self.head("chat.completion.chunk");
            last["choices"] = json!([]);
            last["usage"] = self.usage(answered);
            chunks.push(last);
        }
        let events: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
        ([(header::CONTENT_TYPE, "text/event-stream")], format!("{events}data: [DONE]\n\n")).into_response()
    }
}

/// An answer that never ends.
pub(super) fn endless() -> Response {
    let blanks = || Ok::<_, std::convert::Infallible>(axum::body::Bytes::from_static(&[b' '; 4096]));
    let body = Body::from_stream(futures_util::stream::repeat_with(blanks));
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// An error in the protocol's form.
pub(super) fn refuse(status: StatusCode, code: &str, message: &str) -> Response {
    let kind = if status.is_server_error() { "server_error" } else { "invalid_request_error" };
    let error = json!({"error": {"message": message, "type": kind, "param": null, "code": code}});
    (status, axum::Json(error)).into_response()
}
