//! Conditional requests (RFC 9110 §13): an answer that its reader has already is not sent again, and a
//! change is made only to what its writer has seen.

use crate::Problem;
use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use mandate_kernel::Digest;
use serde_json::Value;

/// The answer to a `GET`: `304` when the reader holds this very version.
pub(crate) fn answer(asked: &HeaderMap, tag: &str, body: Value) -> Response {
    let tag = format!("\"{tag}\"");
    let held = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let same = held.flat_map(|list| list.split(',')).map(str::trim).any(|one| weak(one) == tag || one == "*");
    let mut response = if same { StatusCode::NOT_MODIFIED.into_response() } else { Json(body).into_response() };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// `If-None-Match` compares weakly.
fn weak(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

/// A tag for what has no version of its own: any change of the answer changes it.
pub(crate) fn tag_of(body: &Value) -> String {
    Digest::of(body.to_string().as_bytes()).to_string().trim_start_matches("sha256:").chars().take(32).collect()
}

/// The version that a change has to find, by `If-Match: "VERSION"`, or 0 (there must be none) by
/// `If-None-Match: *`.
///
/// # Errors
/// A problem when the headers say something else.
pub(crate) fn expected(asked: &HeaderMap) -> Result<Option<u64>, Problem> {
    let one = |name: HeaderName| {
        let mut values = asked.get_all(&name).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => Ok(Some(value.to_str().unwrap_or_default().to_owned())),
            _ => Err(wrong(&format!("{name} is there twice"))),
        }
    };
    match (one(header::IF_MATCH)?, one(header::IF_NONE_MATCH)?) {
        (None, None) => Ok(None),
        (Some(tag), None) => {
            let version = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).and_then(|tag| tag.parse().ok());
            version.map(Some).ok_or_else(|| wrong("If-Match takes the ETag of the resource, such as \"3\""))
        }
        (None, Some(any)) if any == "*" => Ok(Some(0)),
        _ => Err(wrong("a change takes If-Match with one ETag, or If-None-Match: *")),
    }
}

fn wrong(why: &str) -> Problem {
    Problem::invalid("invalid-precondition", why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn headers(lines: &[(HeaderName, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn what_is_held_is_not_sent_again() {
        let status = |tags: &str| answer(&headers(&[(header::IF_NONE_MATCH, tags)]), "3", json!({})).status();
        for same in ["\"3\"", "W/\"3\"", "\"2\", \"3\"", "*"] {
            assert_eq!(status(same), StatusCode::NOT_MODIFIED, "{same}");
        }
        for other in ["\"2\"", "3", "\"33\"", ""] {
            assert_eq!(status(other), StatusCode::OK, "{other}");
        }
        assert_ne!(tag_of(&json!({"a": 1})), tag_of(&json!({"a": 2})));
    }

    #[test]
    fn a_change_says_what_it_expects_or_nothing() {
        assert_eq!(expected(&HeaderMap::new()).unwrap(), None);
        assert_eq!(expected(&headers(&[(header::IF_MATCH, "\"3\"")])).unwrap(), Some(3));
        assert_eq!(expected(&headers(&[(header::IF_NONE_MATCH, "*")])).unwrap(), Some(0));
        for bad in ["3", "*", "W/\"3\"", "\"3\", \"4\"", "\"x\""] {
            assert!(expected(&headers(&[(header::IF_MATCH, bad)])).is_err(), "{bad}");
        }
        assert!(expected(&headers(&[(header::IF_MATCH, "\"3\""), (header::IF_NONE_MATCH, "*")])).is_err());
        assert!(expected(&headers(&[(header::IF_NONE_MATCH, "\"3\"")])).is_err());
    }
}
