//! The tenants' OpenID providers over the network: discovery, keys, and the exchange of codes.
//!
//! Keys and metadata are read at the start and again every ten minutes, or when somebody shows a token
//! with a key that is not known. What a provider said last is kept while it is away.

mod metadata;

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use mandate_api::{AuthorizationRequest, Destination, Offer, Providers, Redeemed, Redemption, SignIn, SignInError};
use mandate_identity::{Audience, Provider, ProviderConfig};
use mandate_kernel::{Duration, Secret, Tenant};
pub(crate) use metadata::{Metadata, checked_url, is_here};
use reqwest::Url;
use serde::Deserialize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration as Wait, Instant};

/// How long a provider may take.
const PATIENCE: Wait = Wait::from_secs(10);
/// The most bytes of an answer that are read.
const MAX_ANSWER: usize = 512 << 10;
/// How often keys and metadata are read without a reason.
const ROUTINE: Wait = Wait::from_secs(600);
/// How often for a reason: a key that is not known, or a provider that was away.
const FOR_A_REASON: Wait = Wait::from_secs(30);

/// Where a provider's keys come from.
pub(crate) enum Keys {
    /// From the provider, by its metadata.
    Discovered,
    /// From a file, once: its text.
    Given(String),
}

/// A client of a provider, for browsers.
pub(crate) struct BrowserClient {
    pub(crate) id: String,
    /// `None` for a public client.
    pub(crate) secret: Option<Secret<String>>,
}

/// A provider that a tenant trusts.
pub(crate) struct Trust {
    pub(crate) tenant: Tenant,
    pub(crate) name: String,
    pub(crate) issuer: String,
    pub(crate) audience: Audience,
    pub(crate) keys: Keys,
    pub(crate) groups_claim: String,
    pub(crate) types: Vec<String>,
    /// How far clocks may differ.
    pub(crate) leeway: Duration,
    pub(crate) browser: Option<BrowserClient>,
    pub(crate) command_line: Option<String>,
    pub(crate) scopes: Vec<String>,
}

/// A provider as it is known now.
struct Known {
    trust: Trust,
    http: reqwest::Client,
    metadata: Mutex<Option<Arc<Metadata>>>,
    /// When it was last asked for a reason. Held while it is asked, so that one asks and the rest wait.
    asked: tokio::sync::Mutex<Option<Instant>>,
}

/// All of them.
pub(crate) struct Oidc {
    known: Vec<Known>,
    providers: Providers,
}

impl Oidc {
    /// Gets to know the providers. One that is away is asked again later: until then nobody of that
    /// tenant is believed.
    pub(crate) async fn open(trusted: Vec<Trust>) -> Result<Arc<Self>> {
        let providers = Providers::default();
        let mut known = Vec::new();
        for trust in trusted {
            let http = client_of(&trust.issuer)?;
            if let Keys::Given(jwks) = &trust.keys {
                providers.set(trust.provider(jwks.clone())?);
            }
            known.push(Known { trust, http, metadata: Mutex::default(), asked: tokio::sync::Mutex::default() });
        }
        let oidc = Arc::new(Self { known, providers });
        // All at once: one that is away holds nobody up for longer than its own patience.
        let mut reading = tokio::task::JoinSet::new();
        for at in 0..oidc.known.len() {
            let oidc = Arc::clone(&oidc);
            reading.spawn(async move {
                if let Some(known) = oidc.known.get(at).filter(|known| matches!(known.trust.keys, Keys::Discovered)) {
                    oidc.read_or_tell(known).await;
                }
            });
        }
        reading.join_all().await;
        Ok(oidc)
    }

    /// Reads a provider; whether it could be read. Why not is told in the log.
    async fn read_or_tell(&self, known: &Known) -> bool {
        let Err(error) = self.read(known).await else { return true };
        let (tenant, issuer, error) = (&known.trust.tenant, &known.trust.issuer, format!("{error:#}"));
        tracing::warn!(%tenant, issuer, error, "a provider can't be read; what it said last holds, and it is asked again");
        false
    }

    /// The providers as tokens are verified with.
    pub(crate) fn providers(&self) -> Providers {
        self.providers.clone()
    }

    /// Reads metadata and keys again from time to time, for as long as the process lives.
    pub(crate) fn keep_reading(self: &Arc<Self>) {
        let oidc = Arc::clone(self);
        tokio::spawn(async move {
            let mut routine = Instant::now();
            loop {
                tokio::time::sleep(FOR_A_REASON).await;
                let due = routine.elapsed() >= ROUTINE;
                if due {
                    routine = Instant::now();
                }
                for known in &oidc.known {
                    let missing = known.metadata().is_none() && matches!(known.trust.keys, Keys::Discovered);
                    if missing || (due && known.metadata().is_some()) {
                        oidc.read_or_tell(known).await;
                    }
                }
            }
        });
    }

    async fn read(&self, known: &Known) -> Result<Arc<Metadata>> {
        let trust = &known.trust;
        let read = async {
            let text = known.get(metadata_url(&trust.issuer)?).await?;
            Metadata::read(&text, &trust.issuer)
        };
        let metadata = Arc::new(read.await.with_context(|| format!("the metadata of {}", trust.issuer))?);
        if matches!(trust.keys, Keys::Discovered) {
            let read = async { trust.provider(known.get(metadata.jwks_uri.clone()).await?) };
            let provider = read.await.with_context(|| format!("the keys of {}", trust.issuer))?;
            self.providers.set(provider);
        }
        *known.metadata.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&metadata));
        Ok(metadata)
    }

    fn of(&self, tenant: &Tenant) -> Result<(&Known, &BrowserClient), SignInError> {
        let known = self.known.iter().find(|known| known.trust.tenant == *tenant);
        known.and_then(|known| Some((known, known.trust.browser.as_ref()?))).ok_or(SignInError::NotOffered)
    }

    /// What is known of a provider, read now if nothing is.
    async fn metadata(&self, known: &Known) -> Result<Arc<Metadata>, SignInError> {
        if let Some(metadata) = known.metadata() {
            return Ok(metadata);
        }
        self.for_a_reason(known).await;
        let away = || SignInError::Unavailable(format!("{} can't be reached", known.trust.issuer));
        known.metadata().ok_or_else(away)
    }

    /// Reads a provider anew, unless that was done a moment ago.
    async fn for_a_reason(&self, known: &Known) -> bool {
        let mut asked = known.asked.lock().await;
        if asked.is_some_and(|at| at.elapsed() < FOR_A_REASON) {
            return false;
        }
        *asked = Some(Instant::now());
        self.read_or_tell(known).await
    }
}

impl Trust {
    fn provider(&self, jwks: String) -> Result<Provider> {
        Ok(Provider::new(ProviderConfig {
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            tenant: self.tenant.clone(),
            jwks,
            groups_claim: self.groups_claim.clone(),
            types: self.types.clone(),
            leeway: self.leeway,
        })?)
    }
}

impl Known {
    fn metadata(&self) -> Option<Arc<Metadata>> {
        self.metadata.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn get(&self, url: Url) -> Result<String> {
        get(&self.http, url).await
    }
}

/// What an issuer's metadata say now, read once.
pub(crate) async fn probe(issuer: &str) -> Result<Metadata> {
    let text = get(&client_of(issuer)?, metadata_url(issuer)?).await?;
    Metadata::read(&text, issuer)
}

fn metadata_url(issuer: &str) -> Result<Url> {
    checked_url(&format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/')), issuer)
}

fn client_of(issuer: &str) -> Result<reqwest::Client> {
    let issuer = checked_url(issuer, issuer).context("a provider's issuer")?;
    let mut http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(PATIENCE)
        .user_agent(concat!("mandate/", env!("CARGO_PKG_VERSION")));
    if issuer.scheme() == "http" {
        http = http.no_proxy().tls_certs_only([]);
    }
    http.build().context("no HTTP client")
}

async fn get(http: &reqwest::Client, url: Url) -> Result<String> {
    let mut answer = http.get(url).header("accept", "application/json").send().await.map_err(nameless)?;
    if !answer.status().is_success() {
        bail!("it answered {}", answer.status());
    }
    bounded(&mut answer).await
}

async fn bounded(answer: &mut reqwest::Response) -> Result<String> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(nameless)? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER {
            bail!("it answered more than {MAX_ANSWER} bytes");
        }
    }
    String::from_utf8(body).context("it answered something that is not text")
}

/// Without the URL, which is told beside it where it helps.
fn nameless(error: reqwest::Error) -> anyhow::Error {
    anyhow::Error::new(error.without_url())
}

#[async_trait]
impl SignIn for Oidc {
    fn offers(&self) -> Vec<Offer> {
        let offer = |known: &Known| Offer {
            tenant: known.trust.tenant.clone(),
            provider: known.trust.name.clone(),
            issuer: known.trust.issuer.clone(),
            client_id: known.trust.browser.as_ref().map(|client| client.id.clone()),
            command_line: known.trust.command_line.clone(),
            scopes: known.trust.scopes.clone(),
        };
        self.known.iter().map(offer).collect()
    }

    async fn destination(
        &self,
        tenant: &Tenant,
        request: &AuthorizationRequest<'_>,
    ) -> Result<Destination, SignInError> {
        let (known, client) = self.of(tenant)?;
        let metadata = self.metadata(known).await?;
        let mut url = metadata.authorization_endpoint.clone();
        url.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("client_id", &client.id),
            ("redirect_uri", request.redirect_uri),
            ("scope", &known.trust.scopes.join(" ")),
            ("state", request.state),
            ("nonce", request.nonce),
            ("code_challenge", request.code_challenge),
            ("code_challenge_method", "S256"),
        ]);
        Ok(Destination { url: url.into(), names_itself: metadata.names_itself })
    }

    async fn redeem(&self, tenant: &Tenant, redemption: &Redemption<'_>) -> Result<Redeemed, SignInError> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Answer {
            id_token: Option<String>,
            access_token: Option<String>,
            error: Option<String>,
        }
        let (known, client) = self.of(tenant)?;
        let metadata = self.metadata(known).await?;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", redemption.code),
            ("redirect_uri", redemption.redirect_uri),
            ("code_verifier", redemption.code_verifier),
        ];
        let mut request = known.http.post(metadata.token_endpoint.clone()).header("accept", "application/json");
        match &client.secret {
            // RFC 6749 §2.3.1: both parts are form-encoded before they are put together.
            Some(secret) if metadata.takes_basic => {
                request = request.basic_auth(encoded(&client.id), Some(encoded(secret.expose())));
            }
            Some(secret) => form.extend([("client_id", client.id.as_str()), ("client_secret", secret.expose())]),
            None => form.push(("client_id", client.id.as_str())),
        }
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form_of(&form));
        let unavailable = |e: anyhow::Error| SignInError::Unavailable(format!("{e:#}"));
        let mut answer = request.send().await.map_err(|e| unavailable(nameless(e)))?;
        let status = answer.status();
        let text = bounded(&mut answer).await.map_err(unavailable)?;
        let said: Answer = serde_json::from_str(&text).unwrap_or_default();
        match (status.is_success(), said.id_token, said.error) {
            (true, Some(id_token), _) => Ok(Redeemed { id_token, access_token: said.access_token }),
            (true, None, _) => Err(SignInError::Refused("it gave no ID token".to_owned())),
            (false, _, Some(error)) if status.is_client_error() => {
                let plain = |c: &char| c.is_ascii_alphanumeric() || "_-.".contains(*c);
                Err(SignInError::Refused(error.chars().filter(plain).take(60).collect()))
            }
            _ => Err(SignInError::Unavailable(format!("it answered {status}"))),
        }
    }

    async fn reread_keys(&self, issuer: &str) -> bool {
        // One issuer may vouch for several tenants, each with its own audience.
        let mut read = false;
        for known in self.known.iter().filter(|known| known.trust.issuer == issuer) {
            if matches!(known.trust.keys, Keys::Discovered) {
                read |= self.for_a_reason(known).await;
            }
        }
        read
    }
}

/// A form's text.
pub(crate) fn form_of(fields: &[(&str, &str)]) -> String {
    match Url::parse("http://form/") {
        Ok(mut url) => {
            url.query_pairs_mut().extend_pairs(fields);
            url.query().unwrap_or_default().to_owned()
        }
        Err(_) => String::new(),
    }
}

fn encoded(text: &str) -> String {
    form_of(&[(text, "")]).trim_end_matches('=').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_form_encoded() {
        assert_eq!(encoded("a b:c&d=é"), "a+b%3Ac%26d%3D%C3%A9");
        assert_eq!(form_of(&[("a", "1&b=2"), ("c", "x y")]), "a=1%26b%3D2&c=x+y");
    }
}
