//! Finds credentials written into a document (I4): they belong in the vault.

use super::reader::{Ptr, Reader, enclosed};
use serde_json::Value;

pub(super) const MESSAGE: &str = "a credential is written into the document";
pub(super) const HELP: &str =
    "store it with `mandate secrets put` and bind it to the function; whoever saw this text knows it, so change it";

/// Names whose values are credentials, in lower case without `-` and `_`.
const NAMES: [&str; 14] = [
    "authorization",
    "proxyauthorization",
    "cookie",
    "xapikey",
    "apikey",
    "password",
    "passwd",
    "passphrase",
    "clientsecret",
    "clientassertion",
    "accesstoken",
    "refreshtoken",
    "secretkey",
    "privatekey",
];

/// Names that are credentials inside an authentication policy.
const POLICY_NAMES: [&str; 4] = ["token", "secret", "assertion", "password"];

/// Authentication policies.
const POLICIES: [&str; 5] = ["basic", "bearer", "digest", "oauth2", "oidc"];

/// Whether a text is a credential by its form: a scheme and a token.
pub(super) fn is_literal(text: &str) -> bool {
    let Some((scheme, token)) = text.trim().split_once(' ') else { return false };
    let scheme = scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("basic");
    scheme && token.len() >= 12 && token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b))
}

/// Reports each credential in the document, without repeating it.
pub(super) fn check(reader: &mut Reader<'_>, ptr: Ptr<'_>, value: &Value, in_policy: bool) {
    match value {
        Value::String(text) if is_literal(text) => reader.report("flow.credential", ptr, MESSAGE, Some(HELP)),
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                check(reader, ptr.index(i), item, in_policy);
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                let name: String =
                    key.chars().filter(|c| !matches!(c, '-' | '_')).collect::<String>().to_ascii_lowercase();
                let sensitive = NAMES.contains(&name.as_str()) || (in_policy && POLICY_NAMES.contains(&name.as_str()));
                let literal = item.as_str().is_some_and(|text| !text.is_empty() && enclosed(text).is_none());
                if sensitive && (literal || item.is_number()) {
                    reader.report("flow.credential", ptr.key(key), MESSAGE, Some(HELP));
                } else {
                    // `endpoints.token` of a policy is an address.
                    let in_policy = (in_policy || POLICIES.contains(&key.as_str())) && key != "endpoints";
                    check(reader, ptr.key(key), item, in_policy);
                }
            }
        }
        _ => {}
    }
}
