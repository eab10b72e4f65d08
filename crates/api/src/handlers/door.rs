//! The door for events: CloudEvents 1.0 over HTTP, structured, batched and binary.

use crate::auth::Authenticated;
use crate::{ApiState, Problem};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use mandate_engine::{MOST_EVENTS, Taken, Turned, Unwelcome};
use mandate_kernel::{Limits, base64_encode};
use serde_json::{Map, Value, json};

/// The media type of one event.
const STRUCTURED: &str = "application/cloudevents+json";
/// The media type of several.
const BATCHED: &str = "application/cloudevents-batch+json";
/// The most attributes of an event, and the most bytes of an attribute's name.
const MOST_ATTRIBUTES: usize = 64;
const LONGEST_NAME: usize = 64;

/// Takes events in. The answer is 202 once all of them are durable.
pub(crate) async fn take(
    State(state): State<ApiState>,
    who: Authenticated,
    request: Request,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let headers = request.headers().clone();
    let bytes = Bytes::from_request(request, &()).await.map_err(|_| {
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large")
            .detail(format!("at most {} bytes", Limits::DEFAULT.request_body))
    })?;
    let events = read(&headers, &bytes)?;
    let named: Vec<Value> = events.iter().map(|event| json!([event.get("source"), event.get("id")])).collect();
    let taken = state.engine.take_events(&who.context, &who.caller, events).await?;
    let shown = |(name, taken): (&Value, &Taken)| {
        let status = match taken {
            Taken::Accepted => "accepted",
            Taken::Known => "known",
        };
        json!({"source": name.get(0), "id": name.get(1), "status": status})
    };
    let items: Vec<Value> = named.iter().zip(&taken).map(shown).collect();
    Ok((StatusCode::ACCEPTED, Json(json!({"items": items}))))
}

fn invalid(why: impl Into<String>) -> Problem {
    Problem::invalid("invalid-event", why)
}

fn read(headers: &HeaderMap, bytes: &[u8]) -> Result<Vec<Value>, Problem> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let events = match media.as_str() {
        STRUCTURED => vec![parsed(bytes)?],
        BATCHED => match parsed(bytes)? {
            Value::Array(events) if (1..=MOST_EVENTS).contains(&events.len()) => events,
            Value::Array(_) => return Err(invalid(format!("a batch has 1 to {MOST_EVENTS} events"))),
            _ => return Err(invalid("a batch is a list of events")),
        },
        _ if headers.contains_key("ce-specversion") => vec![binary(headers, &media, bytes)?],
        _ => {
            let title = "Send CloudEvents";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-cloudevents", title)
                .detail(format!("send {STRUCTURED}, {BATCHED}, or the attributes as ce- headers")));
        }
    };
    for (at, event) in events.iter().enumerate() {
        attributes(event)
            .map_err(|why| invalid("an event is not valid; none was taken").error(format!("/{at}"), why))?;
    }
    Ok(events)
}

/// JSON that means one thing.
fn parsed(bytes: &[u8]) -> Result<Value, Problem> {
    mandate_identity::unambiguous(bytes).map_err(|e| invalid(e.to_string()))?;
    serde_json::from_slice(bytes).map_err(|e| invalid(e.to_string()))
}

/// An event whose attributes are headers and whose data is the body.
fn binary(headers: &HeaderMap, media: &str, bytes: &[u8]) -> Result<Value, Problem> {
    let mut event = Map::new();
    for (name, value) in headers {
        let Some(name) = name.as_str().strip_prefix("ce-") else { continue };
        if ["data", "data_base64", "datacontenttype"].contains(&name) {
            return Err(invalid(format!("`ce-{name}` is no attribute: data is the body")));
        }
        let text =
            value.to_str().ok().and_then(decoded).ok_or_else(|| invalid(format!("`ce-{name}` can't be read")))?;
        if event.insert(name.to_owned(), Value::String(text)).is_some() {
            return Err(invalid(format!("`ce-{name}` is there twice")));
        }
    }
    if !media.is_empty() {
        event.insert("datacontenttype".to_owned(), json!(media));
    }
    if bytes.is_empty() {
        return Ok(Value::Object(event));
    }
    let (name, data) = if media == "application/json" || media.ends_with("+json") {
        ("data", parsed(bytes)?)
    } else if let (true, Ok(text)) = (media.starts_with("text/"), std::str::from_utf8(bytes)) {
        ("data", json!(text))
    } else {
        ("data_base64", json!(base64_encode(bytes)))
    };
    event.insert(name.to_owned(), data);
    Ok(Value::Object(event))
}

/// The value of a header as the HTTP binding writes it: percent-encoded UTF-8.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        let digits =
            std::str::from_utf8(&digits).ok().filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
    }
    String::from_utf8(bytes).ok()
}

/// Whether the attributes are such as CloudEvents has; those that every event has are looked at later.
fn attributes(event: &Value) -> Result<(), String> {
    let map = event.as_object().ok_or("an event is an object")?;
    if map.len() > MOST_ATTRIBUTES {
        return Err(format!("it has more than {MOST_ATTRIBUTES} attributes"));
    }
    if map.contains_key("data") && map.contains_key("data_base64") {
        return Err("it has `data` and `data_base64`".to_owned());
    }
    for (name, value) in map {
        let fine = match name.as_str() {
            "data" => true,
            "data_base64" => value.is_string(),
            name => {
                let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
                let simple = value.is_string() || value.is_boolean() || value.is_i64() || value.is_null();
                plain && simple && (1..=LONGEST_NAME).contains(&name.len())
            }
        };
        if !fine {
            return Err("an attribute is text, a number or a flag under a name of a-z and 0-9".to_owned());
        }
    }
    Ok(())
}

impl From<Turned> for Problem {
    fn from(turned: Turned) -> Self {
        let detail = turned.why.to_string();
        let problem = match turned.why {
            Unwelcome::Unregistered => {
                Self::new(StatusCode::FORBIDDEN, "event-source-unknown", "You may not speak for that source")
            }
            Unwelcome::Type => {
                Self::new(StatusCode::FORBIDDEN, "event-type-not-allowed", "The source may not send that type")
            }
            Unwelcome::Time(_) => Self::invalid("event-time", ""),
            Unwelcome::Invalid(_) | Unwelcome::Number => Self::invalid("invalid-event", ""),
            Unwelcome::TooMany(wait) | Unwelcome::Full(wait) => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "events-throttled", "Too many events").retry_after(wait)
            }
            Unwelcome::Failed(error) => return error.into(),
        };
        let problem = problem.detail(detail.clone());
        match turned.at {
            Some(at) => problem.error(format!("/{at}"), detail),
            None => problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&str, &str)]) -> HeaderMap {
        let name = |name: &str| axum::http::HeaderName::from_bytes(name.as_bytes()).unwrap();
        all.iter().map(|(key, value)| (name(key), value.parse().unwrap())).collect()
    }

    #[test]
    fn the_three_modes_give_the_same_event() {
        let event = json!({
            "specversion": "1.0", "id": "1", "source": "s", "type": "t", "subject": "é", "data": {"a": 1},
            "datacontenttype": "application/json",
        });
        let one = read(
            &headers(&[("content-type", "application/cloudevents+json; charset=utf-8")]),
            event.to_string().as_bytes(),
        );
        assert_eq!(one.unwrap(), std::slice::from_ref(&event));
        let batch = json!([event, event]).to_string();
        let two = read(&headers(&[("content-type", BATCHED)]), batch.as_bytes());
        assert_eq!(two.unwrap(), [event.clone(), event.clone()]);
        let all = [
            ("content-type", "application/json"),
            ("ce-specversion", "1.0"),
            ("ce-id", "1"),
            ("ce-source", "s"),
            ("ce-type", "t"),
            ("ce-subject", "%C3%A9"),
        ];
        assert_eq!(read(&headers(&all), br#"{"a": 1}"#).unwrap(), [event]);
    }

    #[test]
    fn bodies_of_binary_events_are_what_they_are() {
        let of = |media: &str, body: &[u8]| {
            let all = [("content-type", media), ("ce-specversion", "1.0")];
            read(&headers(&all), body).unwrap().remove(0)
        };
        assert_eq!(of("text/plain", b"hello")["data"], "hello");
        assert_eq!(of("application/octet-stream", &[0, 255])["data_base64"], "AP8=");
        assert_eq!(of("application/vnd.x+json", b"[1]")["data"], json!([1]));
        assert!(of("text/plain", b"").get("data").is_none());
    }

    #[test]
    fn what_is_no_event_is_refused() {
        let structured = |body: &str| read(&headers(&[("content-type", STRUCTURED)]), body.as_bytes());
        for bad in [
            "",
            "[]",
            "1",
            "{",
            r#"{"a": 1, "a": 2}"#,
            r#"{"Upper": "x"}"#,
            r#"{"a_b": "x"}"#,
            r#"{"a": {}}"#,
            r#"{"a": [1]}"#,
            r#"{"a": 1.5}"#,
            r#"{"data": 1, "data_base64": "AA=="}"#,
            r#"{"data_base64": 1}"#,
        ] {
            assert!(structured(bad).is_err(), "{bad}");
        }
        let batch = |body: &str| read(&headers(&[("content-type", BATCHED)]), body.as_bytes());
        assert!(batch("[]").is_err() && batch("{}").is_err() && batch(&format!("[{}1]", "1,".repeat(100))).is_err());
        let other = read(&headers(&[("content-type", "application/json")]), b"{}").unwrap_err();
        assert_eq!(other.status, 415);
        for bad in [("ce-data", "x"), ("ce-x", "%"), ("ce-x", "%zz"), ("ce-x", "%ff"), ("ce-x_y", "1")] {
            assert!(read(&headers(&[("ce-specversion", "1.0"), bad]), b"").is_err(), "{bad:?}");
        }
        let mut twice = headers(&[("ce-specversion", "1.0"), ("ce-id", "1")]);
        twice.append("ce-id", "2".parse().unwrap());
        assert!(read(&twice, b"").is_err());
    }
}
