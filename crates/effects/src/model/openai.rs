//! The OpenAI chat-completions protocol, spoken by genai.

use super::answer::{TOOL, asks_for_tool, unusable};
use super::pipe::{Fate, Pipe};
use super::{Model, Question};
use crate::http::{failure, wire_url};
use async_trait::async_trait;
use genai::adapter::AdapterKind;
use genai::chat::{ChatMessage, ChatOptions, ChatRequest};
use genai::resolver::{AuthData, Endpoint};
use genai::{Client, Error, Headers, ModelIden, ServiceTarget, webc};
use mandate_gate::EffectFailure;
use mandate_kernel::{EffectClass, Limits};
use reqwest::header::HeaderValue;
use serde_json::Value;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// The name that genai is given: it reads meaning into model names (a provider, a reasoning effort).
/// The real one stands in the body.
const NEUTRAL: &str = "chat";

/// Asks over HTTP, each time over a connection of its own through a [`Pipe`].
pub(crate) struct OpenAi {
    limits: Limits,
    /// Where the pipes begin; made at the first question.
    folder: OnceLock<Result<tempfile::TempDir, String>>,
    next: AtomicU64,
}

impl OpenAi {
    pub(crate) const fn new(limits: Limits) -> Self {
        Self { limits, folder: OnceLock::new(), next: AtomicU64::new(0) }
    }

    fn pipe(&self, url: &reqwest::Url) -> Result<Pipe, EffectFailure> {
        let made = || tempfile::Builder::new().prefix("mandate-").tempdir().map_err(|e| e.kind().to_string());
        let folder = self.folder.get_or_init(made).as_ref().map_err(|why| unopened(why))?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().unwrap_or_default();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Pipe::open(folder.path(), number, host, port, self.limits.reply_body)
            .map_err(|e| unopened(&e.kind().to_string()))
    }
}

fn unopened(why: &str) -> EffectFailure {
    EffectFailure::Transient(format!("no connection to a model can be begun ({why}); is the temporary folder usable?"))
}

/// A client for one question: no proxy, no redirect, no retry, no kept connection, nothing unpacked.
fn client(url: &reqwest::Url, pipe: &Path, question: &Question<'_>) -> Result<Client, String> {
    let builder = match url.scheme() {
        "http" => reqwest::Client::builder().tls_certs_only([]),
        _ => reqwest::Client::builder().https_only(true),
    };
    let client = builder
        .unix_socket(pipe)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .pool_max_idle_per_host(0)
        .http1_only()
        .no_gzip()
        .timeout(question.timeout)
        .user_agent(concat!("mandate/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|e| e.to_string())?;
    Client::builder().with_reqwest(client).build().map_err(|_| "the client can't be built".to_owned())
}

#[async_trait]
impl Model for OpenAi {
    async fn ask(&self, question: Question<'_>) -> Result<Value, EffectFailure> {
        let origin = question.url.origin();
        let url = wire_url(question.url)
            .ok_or_else(|| failure::unsendable("the URL would be sent in another spelling".to_owned()))?;
        let target = target(&question)?;
        let pipe = self.pipe(&url)?;
        let client = client(&url, pipe.path(), &question)
            .map_err(|why| failure::not_sent(format!("no client for {origin} can be built: {why}")))?;
        // The judged body replaces whatever genai makes of the messages.
        let options = ChatOptions::default().with_capture_raw_body(true).with_extra_body(question.body.clone());
        let begun = Instant::now();
        let answered = client.exec_chat(target, messages(question.body), Some(&options)).await;
        tracing::debug!(%origin, whole = answered.is_ok(), elapsed_ms = begun.elapsed().as_millis(), "model");
        match (answered, pipe.fate()) {
            (Ok(response), _) => {
                response.captured_raw_body.ok_or_else(|| unusable(format!("{origin} sent no answer that can be kept")))
            }
            (Err(_), Fate::Cut) => {
                Err(unusable(format!("the answer of {origin} is longer than {} bytes", self.limits.reply_body)))
            }
            (Err(_), Fate::Unconnected) => Err(failure::not_sent(format!("no connection to {origin}"))),
            (Err(error), Fate::Open) => Err(meaning(&error, origin)),
        }
    }
}

/// Where to, with which headers. Nothing comes from the environment: URL and headers are given whole.
fn target(question: &Question<'_>) -> Result<ServiceTarget, EffectFailure> {
    let mut headers = vec![
        ("accept".to_owned(), "application/json".to_owned()),
        ("accept-encoding".to_owned(), "identity".to_owned()),
    ];
    if let Some((name, value)) = &question.credential {
        if HeaderValue::from_str(value.expose()).is_err() {
            return Err(failure::unsendable(format!("nothing was sent: header `{name}` can't hold its value")));
        }
        headers.push((name.clone(), value.expose().clone()));
    }
    let url = question.url.as_str().to_owned();
    Ok(ServiceTarget {
        endpoint: Endpoint::from_owned(url.clone()),
        auth: AuthData::RequestOverride { url, headers: Headers::from(headers) },
        model: ModelIden::new(AdapterKind::OpenAI, NEUTRAL),
    })
}

/// The messages of a body, as genai has them.
fn messages(body: &Value) -> ChatRequest {
    let messages = body.get("messages").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let message = |message: &Value| {
        let said = |name: &str| message.get(name).and_then(Value::as_str).unwrap_or_default();
        match said("role") {
            "system" => ChatMessage::system(said("content")),
            _ => ChatMessage::user(said("content")),
        }
    };
    ChatRequest::from_messages(messages.iter().map(message).collect())
}

/// What an error means. Neither the request nor the answer is repeated, both of which genai's own texts do.
fn meaning(error: &Error, origin: &str) -> EffectFailure {
    // Asking changes nothing, whatever the function is declared to be.
    let effect = EffectClass::Read;
    match error {
        Error::WebModelCall { webc_error, .. } => match webc_error {
            webc::Error::ResponseFailedStatus { status, headers, .. } => {
                let status = status.as_u16();
                failure::refused(effect, status, failure::describe_status(status, headers, origin))
            }
            webc::Error::ResponseFailedNotJson { .. } => {
                unusable(format!("the answer of {origin} is not JSON by its content type"))
            }
            webc::Error::ResponseFailedInvalidJson { .. } | webc::Error::JsonValueExt(_) => {
                unusable(format!("the answer of {origin} is not JSON"))
            }
            webc::Error::Reqwest(error) => failure::unanswered(effect, failure::describe(error, origin)),
        },
        Error::ChatResponseGeneration { response_body, .. } if asks_for_tool(response_body) => unusable(TOOL),
        _ => unusable(format!("the answer of {origin} is no chat completion")),
    }
}
