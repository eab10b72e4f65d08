//! The witness as the engine asks it: over HTTP, in another process.

use anyhow::{Context, Result};
use async_trait::async_trait;
use mandate_engine::{Witness, WitnessError};
use mandate_ledger::{Dsse, VerifierKey};
use std::time::Duration;

/// The most bytes of an answer that are read.
const MAX_ANSWER: usize = 64 * 1024;

/// A witness at a URL, with the key it is known by.
pub(crate) struct WitnessClient {
    url: String,
    key: VerifierKey,
    http: reqwest::Client,
}

impl WitnessClient {
    pub(crate) fn new(url: String, key: VerifierKey) -> Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(5))
            .build()
            .context("no HTTP client")?;
        Ok(Self { url: url.trim_end_matches('/').to_owned(), key, http })
    }

    async fn post(&self, path: &str, body: String) -> Result<String, WitnessError> {
        let unreachable = |e: reqwest::Error| WitnessError::Unreachable(e.without_url().to_string());
        let answer = self.http.post(format!("{}{path}", self.url)).body(body).send().await.map_err(unreachable)?;
        let status = answer.status();
        let text = answer.text().await.map_err(unreachable)?;
        if text.len() > MAX_ANSWER {
            return Err(WitnessError::Refused("its answer is too long".to_owned()));
        }
        match status.as_u16() {
            200 => Ok(text),
            // C2SP tlog-witness: the body of a conflict is the size it knows.
            409 => match text.trim().parse() {
                Ok(known) => Err(WitnessError::Conflict { known }),
                Err(_) => Err(WitnessError::Refused(text)),
            },
            404 => Err(WitnessError::UnknownLog(text.trim().to_owned())),
            status if status >= 500 => Err(WitnessError::Unreachable(format!("{status}: {}", text.trim()))),
            status => Err(WitnessError::Refused(format!("{status}: {}", text.trim()))),
        }
    }
}

#[async_trait]
impl Witness for WitnessClient {
    fn keys(&self) -> Vec<VerifierKey> {
        vec![self.key.clone()]
    }

    async fn add_checkpoint(&self, request: &str) -> Result<String, WitnessError> {
        self.post("/add-checkpoint", request.to_owned()).await
    }

    async fn sign_key(&self, statement: &Dsse) -> Result<Dsse, WitnessError> {
        let refused = |e: String| WitnessError::Refused(e);
        let bytes = statement.to_bytes().map_err(|e| refused(e.to_string()))?;
        let body = String::from_utf8(bytes).map_err(|e| refused(e.to_string()))?;
        let answer = self.post("/sign-key", body).await?;
        Dsse::parse(answer.as_bytes()).map_err(|e| refused(e.to_string()))
    }
}
