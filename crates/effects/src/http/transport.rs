//! The wire: one request, sent once.

use super::reply::Answer;
use super::{failure, reply, template};
use crate::EffectsError;
use crate::authorization::{Answering, Authorized, Challenge, Login};
use crate::messages::{self, Subscription};
use mandate_gate::{Credentials, EffectFailure, Reply, Slot};
use mandate_identity::{CanonicalRequest, CanonicalUrl, ExchangePlace};
use mandate_kernel::{EffectClass, Entropy, FunctionName, Limits, SystemEntropy, crash};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, ClientBuilder, Method, Response};
use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

/// How long a connection may take to come about. A function's own timeout counts as well.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What is sent, and with what.
pub(crate) struct Outgoing<'a> {
    pub(crate) function: &'a FunctionName,
    pub(crate) effect: EffectClass,
    pub(crate) request: &'a CanonicalRequest,
    pub(crate) slot: Option<&'a Slot>,
    pub(crate) takes_envelope: bool,
    pub(crate) timeout: Duration,
    pub(crate) credentials: Credentials,
    /// Where the leased secret is exchanged for tokens, by its owner's word.
    pub(crate) exchange: Option<&'a ExchangePlace>,
    /// What is taken of an answer that is a stream of events.
    pub(crate) listens: Option<&'a Subscription>,
    /// What of the answer the run is given.
    pub(crate) answer: Answer,
    /// Whether a redirect is an answer like any other. None is ever followed.
    pub(crate) takes_redirects: bool,
}

/// The HTTP clients, shared by all effects.
///
/// No connection is used twice: a client that finds a kept connection dead sends the request again by
/// itself, and a retry is ours to decide (I1). It also keeps "the connection broke" apart from "the
/// connection had long been broken". The price is a handshake for each call.
///
/// Names are resolved by the system and private addresses are not refused: an orchestrator's own
/// systems are there. Where a request goes is set by whoever applies connections, and by the
/// credential's owner; run data never decides it.
pub(crate) struct Transport {
    /// For plain http on the loopback: it trusts no certificate at all.
    plain: Client,
    /// For https. Made at its first use: a machine without root certificates can still use the loopback.
    secure: OnceLock<Result<Client, String>>,
    limits: Limits,
    entropy: Arc<dyn Entropy>,
}

fn client(builder: ClientBuilder) -> Result<Client, String> {
    builder
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .pool_max_idle_per_host(0)
        .http1_only()
        // Another crate in the graph asks for these; an answer that says it is compressed is refused.
        .no_gzip()
        .connect_timeout(CONNECT_TIMEOUT)
        .user_agent(concat!("mandate/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|e| e.to_string())
}

impl Transport {
    pub(crate) fn new(limits: Limits) -> Result<Self, EffectsError> {
        let plain = client(Client::builder().tls_certs_only([])).map_err(EffectsError::Client)?;
        Ok(Self { plain, secure: OnceLock::new(), limits, entropy: Arc::new(SystemEntropy) })
    }

    /// The same with another source of randomness.
    pub(crate) fn with_entropy(self, entropy: Arc<dyn Entropy>) -> Self {
        Self { entropy, ..self }
    }

    fn client(&self, url: &reqwest::Url) -> Result<&Client, EffectFailure> {
        if url.scheme() == "http" {
            return Ok(&self.plain);
        }
        self.secure
            .get_or_init(|| client(Client::builder().https_only(true)))
            .as_ref()
            .map_err(|why| failure::not_sent(format!("no https client can be built: {why}")))
    }

    /// Posts to a token endpoint: once, without redirects, like everything.
    pub(crate) async fn post(
        &self,
        url: &CanonicalUrl,
        headers: HeaderMap,
        body: Vec<u8>,
        timeout: Duration,
    ) -> Result<Response, EffectFailure> {
        let sent = template::wire_url(url)
            .ok_or_else(|| failure::unsendable("the URL would be sent in another spelling".to_owned()))?;
        let posted = self.client(&sent)?.post(sent).headers(headers).body(body).timeout(timeout).send().await;
        posted.map_err(|error| failure::not_sent(failure::describe(&error, url.origin())))
    }

    /// Sends a request and reads the answer.
    pub(crate) async fn send(self: &Arc<Self>, outgoing: Outgoing<'_>) -> Result<Reply, EffectFailure> {
        let begun = Instant::now();
        let (slot, leased) = (outgoing.slot, outgoing.credentials.leased.as_ref());
        let authorized = Authorized::by(self, slot, leased, outgoing.exchange, outgoing.timeout).await?;
        let result = self.send_as(&outgoing, authorized.as_ref()).await;
        match authorized {
            Some(authorized) => authorized.end(outgoing.timeout.saturating_sub(begun.elapsed()), result).await,
            None => result,
        }
    }

    async fn send_as(&self, outgoing: &Outgoing<'_>, by: Option<&Authorized>) -> Result<Reply, EffectFailure> {
        let (request, effect) = (outgoing.request, outgoing.effect);
        let origin = request.url().origin();
        let begun = Instant::now();
        let mut response = self.send_once(outgoing, by.and_then(Authorized::value)).await?;
        if let (401, Some(Authorized::Challenged(login, md5))) = (response.status().as_u16(), by) {
            // The receiver says that it did nothing yet, and what it wants first: the same request, answered.
            let challenge = Challenge::of(response.headers(), *md5)
                .map_err(|why| EffectFailure::Definite { status: 401, detail: format!("{origin} {why}") })?;
            drop(response);
            let answer = self.answer(&challenge, login, request)?;
            response = self.send_once(outgoing, Some(&answer)).await?;
        }
        let status = response.status().as_u16();
        tracing::debug!(
            function = %outgoing.function, %origin, status, elapsed_ms = begun.elapsed().as_millis(), "answered"
        );
        let taken = outgoing.takes_redirects && response.status().is_redirection();
        if !response.status().is_success() && !taken {
            crash::point("effects.after-reply");
            let detail = failure::describe_status(status, response.headers(), origin);
            return Err(failure::refused(effect, status, detail));
        }
        let mut injected = injected(&outgoing.credentials);
        injected.extend(by.map(Authorized::secrets).unwrap_or_default());
        injected.retain(|text| text.len() >= SHORTEST_LOOKED_FOR);
        match outgoing.listens {
            Some(wanted) => messages::read_events(response, wanted, effect, origin, self.limits, &injected).await,
            None => reply::read(response, outgoing, &self.limits, &injected).await,
        }
    }

    /// One request on a connection of its own.
    async fn send_once(&self, outgoing: &Outgoing<'_>, by: Option<&str>) -> Result<Response, EffectFailure> {
        let request = outgoing.request;
        let url = template::wire_url(request.url())
            .ok_or_else(|| failure::unsendable("the URL would be sent in another spelling".to_owned()))?;
        let method = Method::from_bytes(request.method().as_bytes())
            .map_err(|_| failure::unsendable("the method can't be sent".to_owned()))?;
        let headers = headers(outgoing, by).map_err(|why| failure::unsendable(format!("nothing was sent: {why}")))?;
        let client = self.client(&url)?;
        crash::point("effects.before-send");
        let sent =
            client.request(method, url).headers(headers).body(request.body().to_vec()).timeout(outgoing.timeout).send();
        sent.await.map_err(|error| {
            let detail = failure::describe(&error, request.url().origin());
            // Connections are never kept, so an error while connecting comes before the first byte.
            if error.is_connect() { failure::not_sent(detail) } else { failure::unanswered(outgoing.effect, detail) }
        })
    }

    fn answer(
        &self,
        challenge: &Challenge,
        login: &Login,
        request: &CanonicalRequest,
    ) -> Result<String, EffectFailure> {
        let mut nonce = [0u8; 16];
        self.entropy.fill(&mut nonce).map_err(|error| failure::unsendable(error.to_string()))?;
        let cnonce: String = nonce.iter().map(|byte| format!("{byte:02x}")).collect();
        let url = request.url();
        let target = url.as_str().get(url.origin().len()..).unwrap_or("/");
        Ok(challenge.answer(&Answering {
            username: &login.username,
            password: login.password.expose(),
            method: request.method(),
            target,
            cnonce: &cnonce,
        }))
    }
}

/// The shortest injected text looked for in an answer: a shorter one stands in answers by chance.
const SHORTEST_LOOKED_FOR: usize = 8;

/// What was injected and must not come back.
fn injected(credentials: &Credentials) -> Vec<&str> {
    let hop = credentials.hop.as_ref().map(|hop| hop.token.expose().as_str());
    let leased = credentials.leased.as_ref().map(|secret| secret.expose().as_str());
    let envelope = credentials.envelope.as_ref().map(|envelope| envelope.expose().as_str());
    [hop, leased, envelope].into_iter().flatten().collect()
}

/// The headers: what was judged, and the credentials made for this permit.
fn headers(outgoing: &Outgoing<'_>, by: Option<&str>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let mut put = |name: HeaderName, text: &str, sensitive: bool| {
        // Neither the value nor the reason, which could quote it, is repeated.
        let mut value = HeaderValue::from_str(text).map_err(|_| format!("header `{name}` can't hold its value"))?;
        value.set_sensitive(sensitive);
        match headers.insert(name.clone(), value) {
            None => Ok(()),
            Some(_) => Err(format!("header `{name}` would be set twice")),
        }
    };
    let own = outgoing.request.headers();
    if !own.contains_key("accept") {
        put(ACCEPT, "application/json", false)?;
    }
    for (name, value) in own {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "a header's name is not valid")?;
        put(name, value, false)?;
    }
    put(ACCEPT_ENCODING, "identity", false)?;
    if let Some(content_type) = outgoing.request.content_type() {
        put(CONTENT_TYPE, content_type, false)?;
    }
    if let Some(key) = outgoing.request.idempotency_key() {
        put(HeaderName::from_static("idempotency-key"), key, false)?;
    }
    let credentials = &outgoing.credentials;
    if let Some(hop) = &credentials.hop {
        put(AUTHORIZATION, &format!("DPoP {}", hop.token.expose()), true)?;
        put(HeaderName::from_static("dpop"), hop.proof.expose(), true)?;
    }
    if let (true, Some(envelope)) = (outgoing.takes_envelope, &credentials.envelope) {
        put(HeaderName::from_static("txn-token"), envelope.expose(), true)?;
    }
    match (outgoing.slot, &credentials.leased) {
        (Some(Slot::Header { name, prefix }), Some(secret)) => {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "the slot's header is not valid")?;
            put(name, &format!("{prefix}{}", secret.expose()), true)?;
        }
        (Some(Slot::Header { name, .. }), None) => return Err(format!("no credential was leased for header `{name}`")),
        (Some(Slot::Authorization { .. }), Some(_)) => {
            if let Some(value) = by {
                put(AUTHORIZATION, value, true)?;
            }
        }
        (Some(Slot::Authorization { .. }), None) => {
            return Err("no credential was leased for `Authorization`".to_owned());
        }
        (Some(Slot::SmtpAuth), _) => return Err("the slot of a mail server is not one of a request".to_owned()),
        (None, Some(_)) => return Err("a credential was leased, but there is no slot for it".to_owned()),
        (None, None) => {}
    }
    Ok(headers)
}
