//! The wire: one request, sent once.

use super::reply::Answer;
use super::{failure, reply, template};
use crate::EffectsError;
use mandate_gate::{Credentials, EffectFailure, Reply, Slot};
use mandate_identity::CanonicalRequest;
use mandate_kernel::{EffectClass, FunctionName, Limits, crash};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, ClientBuilder, Method};
use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

/// How long a connection may take to come about. A function's own timeout counts as well.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What is sent, and with what.
pub(super) struct Outgoing<'a> {
    pub(super) function: &'a FunctionName,
    pub(super) effect: EffectClass,
    pub(super) request: &'a CanonicalRequest,
    pub(super) slot: Option<&'a Slot>,
    pub(super) takes_envelope: bool,
    pub(super) timeout: Duration,
    pub(super) credentials: Credentials,
    /// What of the answer the run is given.
    pub(super) answer: Answer,
    /// Whether a redirect is an answer like any other. None is ever followed.
    pub(super) takes_redirects: bool,
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
        Ok(Self { plain, secure: OnceLock::new(), limits })
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

    /// Sends a request and reads the answer.
    pub(super) async fn send(&self, outgoing: Outgoing<'_>) -> Result<Reply, EffectFailure> {
        let (request, effect) = (outgoing.request, outgoing.effect);
        let origin = request.url().origin();
        let url = template::wire_url(request.url())
            .ok_or_else(|| failure::unsendable("the URL would be sent in another spelling".to_owned()))?;
        let method = Method::from_bytes(request.method().as_bytes())
            .map_err(|_| failure::unsendable("the method can't be sent".to_owned()))?;
        let headers = headers(&outgoing).map_err(|why| failure::unsendable(format!("nothing was sent: {why}")))?;
        let client = self.client(&url)?;
        let begun = Instant::now();
        crash::point("effects.before-send");
        let sent =
            client.request(method, url).headers(headers).body(request.body().to_vec()).timeout(outgoing.timeout).send();
        let response = sent.await.map_err(|error| {
            let detail = failure::describe(&error, origin);
            // Connections are never kept, so an error while connecting comes before the first byte.
            if error.is_connect() { failure::not_sent(detail) } else { failure::unanswered(effect, detail) }
        })?;
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
        reply::read(response, &outgoing, &self.limits, &injected(&outgoing.credentials)).await
    }
}

/// The shortest injected text looked for in an answer: a shorter one stands in answers by chance.
const SHORTEST_LOOKED_FOR: usize = 8;

/// What was injected and must not come back.
fn injected(credentials: &Credentials) -> Vec<&str> {
    let hop = credentials.hop.as_ref().map(|hop| hop.token.expose().as_str());
    let leased = credentials.leased.as_ref().map(|secret| secret.expose().as_str());
    let envelope = credentials.envelope.as_ref().map(|envelope| envelope.expose().as_str());
    [hop, leased, envelope].into_iter().flatten().filter(|text| text.len() >= SHORTEST_LOOKED_FOR).collect()
}

/// The headers: what was judged, and the credentials made for this permit.
fn headers(outgoing: &Outgoing<'_>) -> Result<HeaderMap, String> {
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
        (Some(Slot::SmtpAuth), _) => return Err("the slot of a mail server is not one of a request".to_owned()),
        (None, Some(_)) => return Err("a credential was leased, but there is no slot for it".to_owned()),
        (None, None) => {}
    }
    Ok(headers)
}
