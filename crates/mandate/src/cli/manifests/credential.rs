//! Finds credentials written into a manifest (I4): they belong in the vault. A Worker's document is
//! left to the language, which knows where a credential could be meant there.

use super::escaped;
use serde_json::Value;

/// Names whose values are credentials, in lower case without `-` and `_`.
const NAMES: [&str; 17] = [
    "accesskey",
    "accesstoken",
    "apikey",
    "authorization",
    "bearertoken",
    "clientsecret",
    "cookie",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "refreshtoken",
    "secret",
    "secretkey",
    "secretvalue",
    "token",
    "xapikey",
];

/// Pointers to the credentials in a manifest.
pub(super) fn find(manifest: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let credential = manifest.get("kind").and_then(Value::as_str) == Some("Credential");
    if let Some(spec) = manifest.get("spec") {
        look(spec, "/spec", credential, &mut found);
    }
    found
}

fn look(value: &Value, at: &str, in_credential: bool, found: &mut Vec<String>) {
    match value {
        Value::String(text) if is_literal(text) => found.push(at.to_owned()),
        Value::Array(items) => {
            for (item, i) in items.iter().zip(0usize..) {
                look(item, &format!("{at}/{i}"), in_credential, found);
            }
        }
        Value::Object(map) => {
            for (key, inner) in map {
                let pointer = format!("{at}/{}", escaped(key));
                if pointer == "/spec/document" {
                    continue;
                }
                let name: String = key.chars().filter(|c| !matches!(c, '-' | '_')).collect();
                let name = name.to_ascii_lowercase();
                let sensitive = NAMES.contains(&name.as_str()) || (in_credential && name == "value");
                if sensitive && (inner.as_str().is_some_and(|text| !text.is_empty()) || inner.is_number()) {
                    found.push(pointer);
                } else {
                    look(inner, &pointer, in_credential, found);
                }
            }
        }
        _ => {}
    }
}

/// Whether a text is a credential by its form: a scheme and a token, a key in PEM, or a URL with a
/// password.
fn is_literal(text: &str) -> bool {
    let scheme = text.trim().split_once(' ').is_some_and(|(scheme, token)| {
        (scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("basic"))
            && token.len() >= 12
            && token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b))
    });
    let pem = text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----");
    let url = reqwest::Url::parse(text).is_ok_and(|url| url.password().is_some());
    scheme || pem || url
}
