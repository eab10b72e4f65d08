//! How a service of the house checks hop tokens: with the platform's published keys and nothing else.

use crate::db::Db;
use crate::problem::{problem, refusal};
use crate::{DEMO, DevkitConfig, DevkitError};
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use mandate_identity::{Audience, HopError, Jwks, JwsError, Scope};
use mandate_kernel::{Clock, Duration, Environment, FunctionName, Tenant, Timestamp};
use mandate_verifier::{Demand, HopRefusal, HopVerifier, ReceivedRequest, VerifiedHop, VerifierConfig};
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::Mutex;

/// How long fetched keys are used; a key that was withdrawn is gone after that.
const KEYS_LAST: Duration = Duration::from_secs(300);

/// How long to wait before another unknown key makes the keys be fetched again.
const FETCH_PAUSE: Duration = Duration::from_secs(2);

/// How far the platform's clock may differ.
const LEEWAY: Duration = Duration::from_secs(5);

/// The most bytes of a key set.
const MAX_JWKS: usize = 256 << 10;

/// What a service demands of the calls to one endpoint.
pub(crate) struct Endpoint {
    pub(crate) scope: Scope,
    pub(crate) function: FunctionName,
}

/// A request, owned.
pub(crate) struct Incoming {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Checks the calls to one service.
pub(crate) struct HopGuard {
    origin: String,
    config: VerifierConfig,
    jwks_url: String,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
    cached: Mutex<Option<Cached>>,
}

#[derive(Clone)]
struct Cached {
    verifier: Arc<HopVerifier>,
    fetched: Timestamp,
    /// When an unknown key made them be fetched.
    looked: Option<Timestamp>,
}

impl HopGuard {
    /// A guard for the service at `origin`, which is also its audience. It serves tenant `demo`, and
    /// is part of the sandbox.
    pub(crate) fn new(config: &DevkitConfig, origin: &str, replay: Db) -> Result<Self, DevkitError> {
        let invalid = |what: &str| DevkitError::Client(format!("{what} is not valid"));
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tls_certs_only([])
            .timeout(std::time::Duration::from_secs(5))
            .build()
            .map_err(|e| DevkitError::Client(e.to_string()))?;
        Ok(Self {
            origin: origin.to_owned(),
            config: VerifierConfig {
                issuer: config.hop_issuer.clone(),
                audience: Audience::new(origin).map_err(|_| invalid("the audience"))?,
                tenant: Some(Tenant::new(DEMO).map_err(|_| invalid("the tenant"))?),
                environment: Environment::new("sandbox").map_err(|_| invalid("the environment"))?,
                keys: Jwks::new([]),
                leeway: LEEWAY,
                clock: Arc::clone(&config.clock),
                replay: Arc::new(replay),
            },
            jwks_url: config.jwks_url.clone(),
            client,
            clock: Arc::clone(&config.clock),
            cached: Mutex::new(None),
        })
    }

    /// Verifies a call. An unknown key makes the keys be fetched again, once in a while.
    ///
    /// # Errors
    /// The answer for the caller.
    pub(crate) async fn verify(
        &self,
        incoming: &Arc<Incoming>,
        endpoint: &Arc<Endpoint>,
        arguments: Option<Value>,
    ) -> Result<VerifiedHop, Response> {
        let arguments = Arc::new(arguments);
        let mut cached = self.keys().await?;
        loop {
            match self.check(&cached, incoming, endpoint, &arguments).await? {
                Ok(verified) => return Ok(verified),
                Err(HopRefusal::Token(HopError::Jws(JwsError::UnknownKey))) => {
                    let Some(newer) = self.newer(&cached).await? else {
                        return Err(refusal(&HopError::Jws(JwsError::UnknownKey).into()));
                    };
                    cached = newer;
                }
                Err(refused) => return Err(refusal(&refused)),
            }
        }
    }

    /// One verification, off the async threads: it writes to the record of used tokens.
    async fn check(
        &self,
        cached: &Cached,
        incoming: &Arc<Incoming>,
        endpoint: &Arc<Endpoint>,
        arguments: &Arc<Option<Value>>,
    ) -> Result<Result<VerifiedHop, HopRefusal>, Response> {
        let path_and_query = incoming.uri.path_and_query().map_or("/", |pq| pq.as_str());
        let url = format!("{}{path_and_query}", self.origin);
        let (verifier, incoming) = (Arc::clone(&cached.verifier), Arc::clone(incoming));
        let (endpoint, arguments) = (Arc::clone(endpoint), Arc::clone(arguments));
        let work = move || {
            let headers = incoming.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
            let received = ReceivedRequest::from_headers(incoming.method.as_str(), &url, headers, &incoming.body)?;
            let demand =
                Demand { scope: &endpoint.scope, function: &endpoint.function, arguments: arguments.as_ref().as_ref() };
            verifier.verify(&received, &demand)
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| unavailable())
    }

    /// The verifier with the platform's keys, fetched anew when those at hand are old.
    async fn keys(&self) -> Result<Cached, Response> {
        let mut slot = self.cached.lock().await;
        let now = self.clock.now();
        if let Some(cached) = slot.as_ref().filter(|cached| now.since(cached.fetched) < KEYS_LAST) {
            return Ok(cached.clone());
        }
        let looked = slot.as_ref().and_then(|cached| cached.looked);
        Ok(slot.insert(self.fetched(now, looked).await?).clone())
    }

    /// The verifier with keys fetched after `than`, if it is time to look for a key that is unknown.
    async fn newer(&self, than: &Cached) -> Result<Option<Cached>, Response> {
        let mut slot = self.cached.lock().await;
        let now = self.clock.now();
        if let Some(cached) = slot.as_ref() {
            if cached.fetched != than.fetched {
                return Ok(Some(cached.clone()));
            }
            if cached.looked.is_some_and(|looked| now.since(looked) < FETCH_PAUSE) {
                return Ok(None);
            }
        }
        Ok(Some(slot.insert(self.fetched(now, Some(now)).await?).clone()))
    }

    async fn fetched(&self, now: Timestamp, looked: Option<Timestamp>) -> Result<Cached, Response> {
        let keys = match self.fetch().await {
            Ok(keys) => keys,
            Err(cause) => {
                tracing::warn!(%cause, url = %self.jwks_url, "the platform's keys can't be read");
                return Err(unavailable());
            }
        };
        let verifier = Arc::new(HopVerifier::new(VerifierConfig { keys, ..self.config.clone() }));
        Ok(Cached { verifier, fetched: now, looked })
    }

    async fn fetch(&self) -> Result<Jwks, String> {
        let answer = self.client.get(&self.jwks_url).send().await.and_then(reqwest::Response::error_for_status);
        let mut answer = answer.map_err(|e| e.without_url().to_string())?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|e| e.without_url().to_string())? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_JWKS {
                return Err("the key set is too large".to_owned());
            }
        }
        Jwks::from_json(&body).map_err(|e| e.to_string())
    }
}

fn unavailable() -> Response {
    problem(StatusCode::SERVICE_UNAVAILABLE, "the platform's keys are out of reach; try again later")
}
