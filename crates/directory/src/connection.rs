//! A connection: where a system is, per environment, and which slot its credential goes into. A system
//! speaks HTTP (`http://`, `https://`) or is a mail server (`smtp://`, `smtps://`).

use mandate_identity::{Audience, AuthenticationScheme, CanonicalUrl};
use mandate_kernel::Environment;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
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

/// Where mail is handed in (RFC 6409), and with TLS from the start (RFC 8314 §7.3).
const SUBMISSION_PORT: u16 = 587;
const SUBMISSIONS_PORT: u16 = 465;

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
    /// Base URL, `https://host[:port][/path]`, plain `http` only on the loopback; or a mail server,
    /// `smtps://host[:port]`, or `smtp://host[:port]`, which is encrypted by STARTTLS but on the loopback.
    pub url: String,
    /// The audience that hop tokens for it name (RFC 8707); absent for receivers that take none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<Audience>,
}

impl Endpoint {
    /// Whether it is at this host and port; without a port, at the scheme's own.
    #[must_use]
    pub fn is_at(&self, host: &str, port: Option<u64>) -> bool {
        let Some((scheme, rest)) = self.url.split_once("://") else { return false };
        let authority = rest.split('/').next().unwrap_or_default();
        let default = if scheme == "https" { 443 } else { 80 };
        let own = match authority.rsplit_once(':') {
            Some((name, port)) if !port.contains(']') => (name, port.parse().ok()),
            _ => (authority, Some(default)),
        };
        own.0.trim_matches(['[', ']']) == host && own.1.is_some() && own.1 == Some(port.unwrap_or(default))
    }

    /// Whether a URL is this endpoint's or lies below it. Both are compared as they are spelled, which is one
    /// way only for a URL that is sent.
    #[must_use]
    pub fn holds(&self, url: &str) -> bool {
        let base = self.url.trim_end_matches('/');
        url.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
    }
}

/// The one place a static credential may go (I4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a slot is `header` with an optional `prefix`, `schemes` with an optional `md5`, or for a mail server `smtp: auth`"
)]
pub enum SlotSpec {
    /// A header of an HTTP request.
    Header(HeaderSlot),
    /// A mail server's sign-in.
    Smtp(SmtpSlot),
    /// What the authentication policy of a document's own call says.
    Policy(PolicySlot),
}

/// `Authorization`, by the authentication policy of a document's own call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PolicySlot {
    /// The schemes that documents may use here.
    pub schemes: BTreeSet<AuthenticationScheme>,
    /// Whether a `Digest` challenge may ask for MD5. SHA-256 is always taken.
    #[serde(default)]
    pub md5: bool,
}

/// A header of an HTTP request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HeaderSlot {
    /// Header name.
    pub header: String,
    /// Text before the secret, such as `Bearer `.
    #[serde(default)]
    pub prefix: String,
}

/// A mail server's sign-in. The secret is `user:password`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SmtpSlot {
    /// What the secret is used for.
    pub smtp: SmtpSlotUse,
}

/// What a mail server's secret is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SmtpSlotUse {
    /// `AUTH` (RFC 4954), by `PLAIN` or `LOGIN`.
    Auth,
}

/// A mail server's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailServer {
    /// Whether the connection is encrypted from its first byte (RFC 8314).
    pub implicit_tls: bool,
    /// Host name or address, in lower case; an IPv6 address without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl MailServer {
    /// Whether nothing but this machine hears what is said. Elsewhere the connection must be encrypted.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback_host(&self.host)
    }

    /// `smtp://host:port` or `smtps://host:port`, always with the port.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.implicit_tls { "smtps" } else { "smtp" };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("{scheme}://{host}:{}", self.port)
    }
}

impl ConnectionSpec {
    /// Checks what can be known to be wrong before anything is sent.
    ///
    /// # Errors
    /// JSON pointer into the content, and what is wrong there.
    pub fn check(&self) -> Result<(), (String, String)> {
        let mail = self.is_mail();
        for (environment, endpoint) in &self.environments {
            let at = |why| (format!("/environments/{environment}/url"), why);
            if mail {
                endpoint.mail_server().map(drop).map_err(at)?;
            } else {
                endpoint.base().map(drop).map_err(at)?;
            }
            if mail && endpoint.audience.is_some() {
                let why = "a mail server takes no hop tokens, so it has no audience".to_owned();
                return Err((format!("/environments/{environment}/audience"), why));
            }
        }
        let slot = |why: &str| Err(("/slot".to_owned(), why.to_owned()));
        match &self.slot {
            Some(SlotSpec::Policy(_)) if mail => slot("a mail server has no schemes; its slot is `smtp: auth`"),
            Some(SlotSpec::Policy(policy)) if policy.schemes.is_empty() => slot("name at least one scheme"),
            Some(SlotSpec::Policy(_)) if self.environments.values().any(|endpoint| endpoint.audience.is_some()) => {
                slot(
                    "a receiver of hop tokens gets one in `Authorization`; schemes are for receivers without an audience",
                )
            }
            Some(SlotSpec::Header(_)) if mail => slot("a mail server has no headers; its slot is `smtp: auth`"),
            Some(SlotSpec::Smtp(_)) if !mail => slot("`smtp: auth` is the slot of a mail server; name a `header`"),
            None if mail => slot("a mail server is signed in to; its slot is `smtp: auth`"),
            Some(SlotSpec::Header(header)) => {
                let takes_token = self.environments.values().any(|endpoint| endpoint.audience.is_some());
                header.name(takes_token).map(drop).map_err(|why| ("/slot".to_owned(), why))
            }
            Some(SlotSpec::Smtp(_)) if self.envelope => {
                Err(("/envelope".to_owned(), "a mail server takes no envelope".to_owned()))
            }
            Some(SlotSpec::Smtp(_) | SlotSpec::Policy(_)) | None => Ok(()),
        }
    }

    /// Whether it is a mail server in any environment.
    #[must_use]
    pub fn is_mail(&self) -> bool {
        self.environments.values().any(|endpoint| endpoint.url.to_ascii_lowercase().starts_with("smtp"))
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

    /// The mail server, if the URL names one and nothing besides: no path, no user, no query.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn mail_server(&self) -> Result<MailServer, String> {
        let unusable = |why: &str| format!("its connection's URL is not usable: {why}");
        let (scheme, authority) = self.url.split_once("://").ok_or_else(|| unusable("it has no scheme"))?;
        // One grammar for hosts: that of HTTP URLs. The scheme's own default port is put in first.
        let (implicit_tls, default_port) = match scheme {
            "smtp" => (false, SUBMISSION_PORT),
            "smtps" => (true, SUBMISSIONS_PORT),
            _ => return Err(unusable("a mail server is smtp://host:port or smtps://host:port")),
        };
        if authority.contains(['/', '?', '#', '@', '{', '}']) {
            return Err(unusable("a mail server is a host and a port, and nothing besides"));
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                let number = port.parse().ok().filter(|n: &u16| *n > 0 && n.to_string() == port);
                (host, number.ok_or_else(|| unusable("its port is not a number from 1 to 65535"))?)
            }
            _ => (authority, default_port),
        };
        CanonicalUrl::new(format!("https://{host}/")).map_err(|e| unusable(&e.to_string()))?;
        Ok(MailServer { implicit_tls, host: host.trim_matches(['[', ']']).to_owned(), port })
    }
}

fn is_loopback_host(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether an origin is on this machine.
pub(crate) fn is_loopback(origin: &str) -> bool {
    let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(""),
        None => authority.split(':').next().unwrap_or(""),
    };
    is_loopback_host(host)
}

impl HeaderSlot {
    /// The header in lower case, if it is one that a credential may go into. `takes_token`: the receiver
    /// takes hop tokens, so that `Authorization` is taken.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn name(&self, takes_token: bool) -> Result<String, String> {
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

    fn mail(url: &str, slot: serde_json::Value) -> Result<(), (String, String)> {
        check(url, slot)
    }

    #[test]
    fn a_mail_server_is_a_host_and_a_port() {
        let server = |url: &str| Endpoint { url: url.to_owned(), audience: None }.mail_server();
        for (url, canonical, loopback) in [
            ("smtp://mail.finance.example", "smtp://mail.finance.example:587", false),
            ("smtps://mail.finance.example", "smtps://mail.finance.example:465", false),
            ("smtp://127.0.0.1:2525", "smtp://127.0.0.1:2525", true),
            ("smtp://localhost:25", "smtp://localhost:25", true),
            ("smtp://[::1]:25", "smtp://[::1]:25", true),
            ("smtps://[2001:db8::1]", "smtps://[2001:db8::1]:465", false),
        ] {
            let found = server(url).unwrap();
            assert_eq!((found.url().as_str(), found.is_loopback()), (canonical, loopback));
            mail(url, json!({"smtp": "auth"})).unwrap();
        }
        for bad in [
            "smtp://",
            "smtp:/a",
            "SMTP://a",
            "smtp://A",
            "smtp://a:0",
            "smtp://a:65536",
            "smtp://a:025",
            "smtp://a:",
            "smtp://user:pass@a",
            "smtp://a/",
            "smtp://a?x",
            "smtp://a\r\n",
            "smtp://a b",
            "smtp+tls://a",
            "smtp://::1",
        ] {
            let (pointer, why) = mail(bad, json!({"smtp": "auth"})).unwrap_err();
            assert_eq!(pointer, "/environments/sandbox/url", "{bad}: {why}");
        }
    }

    #[test]
    fn slots_fit_what_is_spoken() {
        assert_eq!(mail("smtp://a", json!({"header": "x-api-key"})).unwrap_err().0, "/slot");
        assert_eq!(mail("smtp://a", json!(null)).unwrap_err().0, "/slot");
        assert_eq!(mail("https://a", json!({"smtp": "auth"})).unwrap_err().0, "/slot");
        let spec = |value| serde_json::from_value::<ConnectionSpec>(value).map(|spec| spec.check());
        let both =
            json!({"environments": {"a": {"url": "smtp://a"}, "b": {"url": "https://a"}}, "slot": {"smtp": "auth"}});
        assert_eq!(spec(both).unwrap().unwrap_err().0, "/environments/b/url");
        let audience =
            json!({"environments": {"a": {"url": "smtp://a", "audience": "https://a"}}, "slot": {"smtp": "auth"}});
        assert_eq!(spec(audience).unwrap().unwrap_err().0, "/environments/a/audience");
        let envelope = json!({"environments": {"a": {"url": "smtp://a"}}, "slot": {"smtp": "auth"}, "envelope": true});
        assert_eq!(spec(envelope).unwrap().unwrap_err().0, "/envelope");
        for slot in
            [json!({"smtp": "plain"}), json!({"smtp": "auth", "header": "x"}), json!({"prefix": "x"}), json!({})]
        {
            let connection = json!({"environments": {"a": {"url": "smtp://a"}}, "slot": slot});
            assert!(spec(connection).unwrap_err().to_string().contains("smtp: auth"));
        }
    }
}
