//! The tenant's OpenID provider as the command line meets it: metadata and tokens. Nothing a provider
//! gives is trusted here; the server verifies it.

use super::CliError;
use crate::house::oidc::{Metadata, form_of, is_here};
use reqwest::Url;
use serde::Deserialize;
use std::time::Duration;

/// How long a provider may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// The most bytes of an answer.
const MAX_ANSWER: usize = 512 << 10;

/// What a provider gave. It has no `Debug`.
#[derive(Deserialize)]
pub(crate) struct Tokens {
    pub(crate) access_token: String,
    pub(crate) expires_in: Option<u64>,
    pub(crate) refresh_token: Option<String>,
}

/// What a provider answered to a request for tokens.
pub(crate) enum Answer {
    Given(Tokens),
    /// An error of RFC 6749 §5.2.
    Error {
        code: String,
        description: Option<String>,
    },
}

/// A request by this device (RFC 8628 §3.2).
#[derive(Deserialize)]
pub(crate) struct DeviceRequest {
    pub(crate) device_code: String,
    pub(crate) user_code: String,
    pub(crate) verification_uri: String,
    pub(crate) verification_uri_complete: Option<String>,
    pub(crate) expires_in: u64,
    pub(crate) interval: Option<u64>,
}

/// A provider whose metadata were read.
pub(crate) struct ProviderClient {
    pub(crate) issuer: String,
    pub(crate) metadata: Metadata,
    http: reqwest::Client,
}

impl ProviderClient {
    /// Reads the metadata of an issuer.
    pub(crate) async fn discover(issuer: &str) -> Result<Self, CliError> {
        let wrong = |why: String| CliError::failed(format!("the provider {issuer} can't be used: {why}"));
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let url = crate::house::oidc::checked_url(&url, issuer).map_err(|e| wrong(format!("{e:#}")))?;
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .user_agent(concat!("mandate/", env!("CARGO_PKG_VERSION")));
        if is_here(&url) {
            builder = builder.no_proxy();
        }
        if url.scheme() == "http" {
            builder = builder.tls_certs_only([]);
        }
        let http = builder.build().map_err(|e| wrong(e.to_string()))?;
        let (status, body) = exchange(issuer, http.get(url)).await?;
        if !(200..300).contains(&status) {
            return Err(wrong(format!("it answered {status}")));
        }
        let text = String::from_utf8(body).map_err(|e| wrong(e.to_string()))?;
        let metadata = Metadata::read(&text, issuer).map_err(|e| wrong(format!("{e:#}")))?;
        Ok(Self { issuer: issuer.to_owned(), metadata, http })
    }

    /// Asks the token endpoint.
    pub(crate) async fn tokens(&self, form: &[(&str, &str)]) -> Result<Answer, CliError> {
        #[derive(Deserialize)]
        struct Refused {
            error: String,
            error_description: Option<String>,
        }
        let (status, body) = self.post(self.metadata.token_endpoint.clone(), form).await?;
        if (200..300).contains(&status)
            && let Ok(tokens) = serde_json::from_slice(&body)
        {
            return Ok(Answer::Given(tokens));
        }
        match serde_json::from_slice::<Refused>(&body) {
            Ok(said) if (400..500).contains(&status) => {
                Ok(Answer::Error { code: said.error, description: said.error_description })
            }
            _ => Err(CliError::failed(format!("the provider {} answered {status} and no token", self.issuer))),
        }
    }

    /// New tokens for a refresh token; `None` when it is no good any more.
    pub(crate) async fn refresh(&self, client_id: &str, token: &str) -> Result<Option<Tokens>, CliError> {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", client_id)];
        match self.tokens(&form).await? {
            Answer::Given(tokens) => Ok(Some(tokens)),
            Answer::Error { .. } => Ok(None),
        }
    }

    /// Begins a request by this device.
    pub(crate) async fn device(&self, client_id: &str, scope: &str) -> Result<DeviceRequest, CliError> {
        let Some(endpoint) = self.metadata.device_authorization_endpoint.clone() else {
            return Err(CliError::usage_help(
                format!("the provider {} knows no device codes", self.issuer),
                "sign in by a browser: `mandate login`",
            ));
        };
        let (status, body) = self.post(endpoint, &[("client_id", client_id), ("scope", scope)]).await?;
        let asked: Option<DeviceRequest> = serde_json::from_slice(&body).ok();
        asked.filter(|_| (200..300).contains(&status)).ok_or_else(|| {
            CliError::failed(format!("the provider {} answered {status} and no device code", self.issuer))
        })
    }

    async fn post(&self, url: Url, form: &[(&str, &str)]) -> Result<(u16, Vec<u8>), CliError> {
        let request = self.http.post(url).header("content-type", "application/x-www-form-urlencoded");
        exchange(&self.issuer, request.header("accept", "application/json").body(form_of(form))).await
    }
}

async fn exchange(issuer: &str, request: reqwest::RequestBuilder) -> Result<(u16, Vec<u8>), CliError> {
    let unreachable = |e: reqwest::Error| CliError::Unreachable {
        url: issuer.to_owned(),
        why: e.without_url().to_string(),
        help: "it is the tenant's identity provider; try again in a moment".to_owned(),
    };
    let mut response = request.send().await.map_err(unreachable)?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER {
            return Err(CliError::failed(format!("the provider {issuer} answered more than {MAX_ANSWER} bytes")));
        }
    }
    Ok((status, body))
}
