//! A connection: where a system is, per environment, and which slot its credential goes into.

use mandate_identity::{Audience, CanonicalUrl};
use mandate_kernel::Environment;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Headers that a credential slot may not name: they frame the message, or are ours to set.
const RESERVED: &[&str] = &[
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "dpop",
    "expect",
    "host",
    "idempotency-key",
    "te",
    "trailer",
    "transfer-encoding",
    "txn-token",
    "upgrade",
    "user-agent",
];

/// The content of a `Connection` resource. It holds no credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ConnectionSpec {
    /// What is there, for people.
    #[serde(default)]
    pub description: String,
    /// Where it is, by environment. An environment that is not here can't be reached (mission 14).
    pub environments: BTreeMap<Environment, Endpoint>,
    /// Where a static credential goes, for systems that know nothing better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<SlotSpec>,
    /// Whether the receiver is inside the trust domain and gets the envelope (`Txn-Token`).
    #[serde(default)]
    pub envelope: bool,
}

/// One environment's endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Endpoint {
    /// Base URL, `https://host[:port][/path]`; plain `http` only on the loopback.
    pub url: String,
    /// The audience that hop tokens for it name (RFC 8707); absent for receivers that take none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<Audience>,
}

/// The one place a static credential may go (I4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SlotSpec {
    /// Header name.
    pub header: String,
    /// Text before the secret, such as `Bearer `.
    #[serde(default)]
    pub prefix: String,
}

impl ConnectionSpec {
    /// Checks what can be known to be wrong before anything is sent.
    ///
    /// # Errors
    /// JSON pointer into the content, and what is wrong there.
    pub fn check(&self) -> Result<(), (String, String)> {
        for (environment, endpoint) in &self.environments {
            endpoint.base().map_err(|why| (format!("/environments/{environment}/url"), why))?;
        }
        let takes_token = self.environments.values().any(|endpoint| endpoint.audience.is_some());
        match &self.slot {
            Some(slot) => slot.header(takes_token).map(drop).map_err(|why| ("/slot".to_owned(), why)),
            None => Ok(()),
        }
    }
}

impl Endpoint {
    /// The URL without a slash at its end, if requests can be made below it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn base(&self) -> Result<&str, String> {
        let unusable = |why: &str| format!("its connection's URL is not usable: {why}");
        let base = self.url.strip_suffix('/').unwrap_or(&self.url);
        if base.contains(['?', '#', '{', '}']) {
            return Err(unusable("it holds a query, a fragment or a placeholder"));
        }
        let url = CanonicalUrl::new(format!("{base}/")).map_err(|e| unusable(&e.to_string()))?;
        if url.origin().starts_with("http://") && !is_loopback(url.origin()) {
            return Err(unusable("plain http is for the loopback only; use https"));
        }
        Ok(base)
    }
}

fn is_loopback(origin: &str) -> bool {
    let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(""),
        None => authority.split(':').next().unwrap_or(""),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl SlotSpec {
    /// The header in lower case, if it is one that a credential may go into. `takes_token`: the receiver
    /// takes hop tokens, so that `Authorization` is taken.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn header(&self, takes_token: bool) -> Result<String, String> {
        let name = self.header.to_ascii_lowercase();
        if RESERVED.contains(&name.as_str()) || (takes_token && name == "authorization") {
            return Err(format!("its connection puts a credential into header `{name}`, which is set by other means"));
        }
        // RFC 9110 §5.6.2: a token.
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || !name.bytes().all(token) {
            return Err("its connection puts a credential into a header whose name is not valid".to_owned());
        }
        if !self.prefix.bytes().all(|b| matches!(b, 0x20..=0x7e)) {
            return Err("its connection's slot has a prefix with characters that no header can hold".to_owned());
        }
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(url: &str, slot: serde_json::Value) -> Result<(), (String, String)> {
        let spec = json!({"environments": {"sandbox": {"url": url}}, "slot": slot});
        serde_json::from_value::<ConnectionSpec>(spec).unwrap().check()
    }

    #[test]
    fn what_could_never_be_sent_is_refused_at_apply() {
        for good in ["https://api.example", "https://api.example/v1/", "http://127.0.0.1:8080", "http://localhost:1"] {
            check(good, json!({"header": "X-Api-Key"})).unwrap();
        }
        let bad = [
            "file:///etc/passwd",
            "http://a@b",
            "http://8.8.8.8",
            "https://api.example\n",
            "https://a/?q",
            "",
            "https://",
        ];
        for bad in bad {
            assert_eq!(check(bad, json!(null)).unwrap_err().0, "/environments/sandbox/url", "{bad}");
        }
        for (header, prefix) in
            [("host", ""), ("x\r\nevil", ""), ("", ""), ("x-api-key", "a\r\nX: "), ("Content-Length", "")]
        {
            let slot = json!({"header": header, "prefix": prefix});
            assert_eq!(check("https://api.example", slot).unwrap_err().0, "/slot", "{header}");
        }
    }
}
