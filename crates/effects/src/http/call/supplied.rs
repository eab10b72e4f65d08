//! A credential out of the run's data, for functions of model `user-passthrough`.
//!
//! It goes from the arguments, which are sealed, into one header at the edge; nothing that is recorded is made of it.

use mandate_gate::Slot;
use mandate_identity::Authentication;
use mandate_kernel::Secret;
use serde_json::Value;

/// The longest credential, in bytes.
const MAX: usize = 4_096;

/// A credential that the caller supplies.
pub(super) struct Supplied {
    /// How it is used.
    pub slot: Slot,
    /// The password or token.
    pub secret: Secret<String>,
}

/// The credential that a call supplies, if it supplies one.
pub(super) fn read(authentication: Option<&Value>) -> Result<Option<Supplied>, String> {
    let Some(authentication) = authentication else { return Ok(None) };
    let Some(supplied) = authentication.get("supplied") else { return Ok(None) };
    let text = |name: &str| {
        let value = supplied.get(name).or_else(|| authentication.get(name)).and_then(Value::as_str);
        value
            .filter(|text| !text.is_empty() && text.len() <= MAX && !text.chars().any(char::is_control))
            .map(str::to_owned)
            .ok_or_else(|| format!("`{name}` of the supplied credential is no text of 1 to {MAX} bytes"))
    };
    let (policy, secret) = match authentication.get("scheme").and_then(Value::as_str) {
        Some("basic") => (Authentication::Basic { username: Some(text("username")?) }, text("password")?),
        Some("digest") => (Authentication::Digest { username: Some(text("username")?) }, text("password")?),
        Some("bearer") => (Authentication::Bearer, text("token")?),
        _ => return Err("a supplied credential goes by basic, digest or bearer".to_owned()),
    };
    Ok(Some(Supplied { slot: Slot::Authorization { policy, md5: false }, secret: Secret::new(secret) }))
}
