//! What a provider says of itself (OpenID Connect Discovery §3), and which of its URLs are used.

use anyhow::{Context, Result, bail};
use reqwest::Url;
use serde::Deserialize;
use std::net::IpAddr;

/// What is used of it.
#[derive(Debug)]
pub(crate) struct Metadata {
    pub(crate) authorization_endpoint: Url,
    pub(crate) token_endpoint: Url,
    pub(crate) jwks_uri: Url,
    pub(crate) device_authorization_endpoint: Option<Url>,
    /// Whether its answers name it (RFC 9207).
    pub(crate) names_itself: bool,
    /// Whether clients may show their secret by HTTP Basic, which is the default.
    pub(crate) takes_basic: bool,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    device_authorization_endpoint: Option<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

impl Metadata {
    /// Reads the document of this issuer; one of another issuer is refused (§4.3).
    pub(crate) fn read(text: &str, issuer: &str) -> Result<Self> {
        let document: Document = serde_json::from_str(text).context("it is not an OpenID provider's")?;
        if document.issuer != issuer {
            bail!("it is of another issuer: {}", document.issuer.chars().take(200).collect::<String>());
        }
        let methods = document.token_endpoint_auth_methods_supported;
        Ok(Self {
            authorization_endpoint: checked_url(&document.authorization_endpoint, issuer)?,
            token_endpoint: checked_url(&document.token_endpoint, issuer)?,
            jwks_uri: checked_url(&document.jwks_uri, issuer)?,
            device_authorization_endpoint: match document.device_authorization_endpoint {
                Some(url) => Some(checked_url(&url, issuer)?),
                None => None,
            },
            names_itself: document.authorization_response_iss_parameter_supported,
            takes_basic: methods.is_none_or(|methods| methods.iter().any(|method| method == "client_secret_basic")),
        })
    }
}

/// A URL that an issuer may have: https; or, for an issuer on this machine, this machine.
pub(crate) fn checked_url(text: &str, issuer: &str) -> Result<Url> {
    let parse = |text: &str| Url::parse(text).with_context(|| format!("`{text}` is not a URL"));
    let (url, issuer) = (parse(text)?, parse(issuer)?);
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        bail!("`{text}` holds credentials or a fragment");
    }
    let allowed = match url.scheme() {
        "https" => true,
        "http" => is_here(&url) && is_here(&issuer),
        _ => false,
    };
    if !allowed {
        bail!("`{text}` is not https");
    }
    Ok(url)
}

/// Whether a URL's host is this machine's loopback.
pub(crate) fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_an_issuer_on_this_machine_may_do_without_tls() {
        let (far, here) = ("https://sso.example", "http://127.0.0.1:9/t/demo");
        for (url, issuer) in
            [("https://other.example/x", far), ("http://127.0.0.1:7/x", here), ("https://x.example", here)]
        {
            assert!(checked_url(url, issuer).is_ok(), "{url}");
        }
        for (url, issuer) in [
            ("http://sso.example/x", far),
            ("http://127.0.0.1/x", far),
            ("http://10.0.0.1/x", here),
            ("ftp://sso.example", far),
            ("https://u:p@sso.example", far),
            ("https://sso.example#x", far),
            ("sso.example", far),
        ] {
            assert!(checked_url(url, issuer).is_err(), "{url}");
        }
    }

    #[test]
    fn a_document_of_somebody_else_is_refused() {
        let document = |issuer: &str, jwks: &str| {
            json!({
                "issuer": issuer, "authorization_endpoint": "https://sso.example/a",
                "token_endpoint": "https://sso.example/t", "jwks_uri": jwks,
            })
            .to_string()
        };
        let good = Metadata::read(&document("https://sso.example", "https://keys.example/k"), "https://sso.example");
        let good = good.unwrap();
        assert!(good.takes_basic && !good.names_itself && good.device_authorization_endpoint.is_none());
        for (issuer, jwks) in [
            ("https://sso.example/", "https://sso.example/k"),
            ("https://evil.example", "https://sso.example/k"),
            ("https://sso.example", "http://sso.example/k"),
            ("https://sso.example", "file:///etc/passwd"),
        ] {
            assert!(Metadata::read(&document(issuer, jwks), "https://sso.example").is_err(), "{issuer} {jwks}");
        }
        assert!(Metadata::read("{}", "https://sso.example").is_err());
    }
}
