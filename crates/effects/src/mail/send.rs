//! The conversation with a mail server, once, and what its failures mean.
//!
//! | what happened                                              | is        |
//! |------------------------------------------------------------|-----------|
//! | no connection, no encryption, anything that is not a reply | transient |
//! | 4xx, at any command and after the message                  | transient |
//! | 5xx, at any command and after the message                  | definite  |
//! | the message was sent to its end, and no reply came         | unknown   |
//!
//! A message is the server's when it says 250 after the final dot (RFC 5321 §6.1). Until the dot is
//! sent the server has nothing; from then on only its reply tells.

use super::message::{self, Fields};
use super::starttls;
use super::wire::{Ended, Way, Wire};
use lettre::Address;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::{Response, Severity};
use lettre::transport::smtp::{Error, commands::Quit};
use mandate_directory::{Endpoint, MailServer};
use mandate_gate::{Claimed, EffectFailure, Reply, Request};
use mandate_journal::Doubt;
use mandate_kernel::{Digest, FunctionName, Secret, crash};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt as _;
use serde_json::{Map, json};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long the server may take to say goodbye, when the mail is its already.
const GOODBYE: Duration = Duration::from_secs(1);

/// Most characters of the server's last words that are kept.
const MAX_CLAIM: usize = 200;

/// The shortest part of the secret looked for in the server's words: a shorter one stands there by chance.
const SHORTEST_LOOKED_FOR: usize = 8;

/// What is sent, and with what.
pub(super) struct Outgoing<'a> {
    pub(super) function: &'a FunctionName,
    pub(super) request: &'a Request,
    pub(super) secret: Option<Secret<String>>,
    pub(super) timeout: Duration,
}

/// Hands mails to servers. Each has a connection of its own, used once; nothing is tried again.
#[derive(Default)]
pub(crate) struct Mailer {
    /// Made at its first use: a machine without root certificates can still use the loopback.
    tls: OnceLock<Result<Arc<ClientConfig>, String>>,
    /// Encryption is demanded on the loopback, too.
    strict: bool,
}

/// A mail, ready for the wire.
struct Parcel<'a> {
    from: Address,
    to: Address,
    message: Vec<u8>,
    user: &'a str,
    password: &'a str,
}

fn definite(status: u16, detail: impl Into<String>) -> EffectFailure {
    EffectFailure::Definite { status, detail: detail.into() }
}

impl Mailer {
    #[cfg(test)]
    pub(super) fn strict_with(tls: ClientConfig) -> Self {
        Self { tls: OnceLock::from(Ok(Arc::new(tls))), strict: true }
    }

    /// Sends the mail in the request.
    pub(super) async fn send(&self, outgoing: Outgoing<'_>) -> Result<Reply, EffectFailure> {
        let Request::Mail { server, from, to, subject, body, message_id, date } = outgoing.request else {
            return Err(definite(500, "the permit is for another kind of effect"));
        };
        let secret =
            outgoing.secret.as_ref().ok_or_else(|| definite(500, "no credential was leased for the server"))?;
        let (user, password) = secret
            .expose()
            .split_once(':')
            .filter(|(user, _)| !user.is_empty())
            .ok_or_else(|| definite(401, "the credential of a mail server is `user:password`; put it in anew"))?;
        let place = Endpoint { url: server.clone(), audience: None }.mail_server().map_err(|why| definite(500, why))?;
        let fields = Fields { from, to, subject, body, message_id, date: *date };
        let message = message::render(&fields).map_err(|why| definite(500, why))?;
        let address = |text: &str| text.parse().map_err(|_| definite(500, "an address can't be written"));
        let parcel = Parcel { from: address(from)?, to: address(to)?, message, user, password };
        let (ended, begun) = (Ended::default(), Instant::now());
        crash::point("effects.before-send");
        let said = match timeout(outgoing.timeout, self.converse(&place, &parcel, &ended)).await {
            Ok(said) => said,
            Err(_) => Err(lost(&ended, format!("{server} did not come to an end in time"))),
        };
        crash::point("effects.after-reply");
        tracing::debug!(
            function = %outgoing.function, %server, taken = said.is_ok(), elapsed_ms = begun.elapsed().as_millis(), "mail"
        );
        let words = said?;
        let mut by_remote = Map::new();
        by_remote.insert("status".to_owned(), u16::from(words.code()).into());
        if let Some(text) = kept(&words, &[user, password]) {
            by_remote.insert("reply".to_owned(), text.into());
        }
        let observed =
            Digest::of(format!("{} {}", words.code(), words.message().collect::<Vec<_>>().join("\n")).as_bytes());
        let value = json!({"message_id": message_id, "to": to, "accepted": true});
        Ok(Reply { value, observed, claimed: Claimed { by_remote } })
    }

    async fn converse(
        &self,
        place: &MailServer,
        parcel: &Parcel<'_>,
        ended: &Ended,
    ) -> Result<Response, EffectFailure> {
        let transient = |why: String| EffectFailure::Transient(format!("{}: {why}", place.url()));
        let stream = TcpStream::connect((place.host.as_str(), place.port))
            .await
            .map_err(|e| transient(format!("no connection ({})", e.kind())))?;
        let local = stream.local_addr().map_err(|e| transient(format!("no connection ({})", e.kind())))?;
        let name = match local.ip() {
            std::net::IpAddr::V4(ip) => ClientId::Ipv4(ip),
            std::net::IpAddr::V6(ip) => ClientId::Ipv6(ip),
        };
        let wire = self.wire(place, stream, &name, ended).await.map_err(transient)?;
        let stage = |what: &'static str, refused: u16| {
            move |error: Error| failure(&error, ended, &format!("{} {what}", place.url()), refused)
        };
        let mut smtp = AsyncSmtpConnection::connect_with_transport(Box::new(wire), &name)
            .await
            .map_err(stage("did not welcome us", 502))?;
        smtp.auth(
            &[Mechanism::Plain, Mechanism::Login],
            &Credentials::new(parcel.user.to_owned(), parcel.password.to_owned()),
        )
        .await
        .map_err(stage("did not accept the credential", 401))?;
        smtp.command(Mail::new(Some(parcel.from.clone()), Vec::new()))
            .await
            .map_err(stage("did not accept the sender", 422))?;
        smtp.command(Rcpt::new(parcel.to.clone(), Vec::new()))
            .await
            .map_err(stage("did not accept the recipient", 422))?;
        let ready = smtp.command(Data).await.map_err(stage("did not want the message", 422))?;
        if !ready.has_code(354) {
            return Err(transient("it did not ask for the message".to_owned()));
        }
        // The end of the last line is sent with the dot.
        let message = parcel.message.strip_suffix(b"\r\n").unwrap_or(&parcel.message);
        let said = smtp.message(message).await.map_err(stage("did not take the message", 422))?;
        if said.code().severity != Severity::PositiveCompletion {
            return Err(lost(ended, format!("{} neither took nor refused the message", place.url())));
        }
        // The mail is the server's now, whatever becomes of the goodbye.
        let _ = timeout(GOODBYE, smtp.command(Quit)).await;
        Ok(said)
    }

    /// Encrypts the connection where it has to be: from the first byte, or after asking.
    async fn wire(
        &self,
        place: &MailServer,
        mut stream: TcpStream,
        name: &ClientId,
        ended: &Ended,
    ) -> Result<Wire, String> {
        let peer = stream.peer_addr().map_err(|e| format!("no connection ({})", e.kind()))?;
        // `localhost` is what the system says it is: the address counts.
        let on_loopback = place.is_loopback() && peer.ip().is_loopback();
        if !place.implicit_tls && on_loopback && !self.strict {
            return Ok(Wire::new(Way::Plain(stream), false, ended.clone()));
        }
        let config = self.tls.get_or_init(tls_config).as_ref().map_err(Clone::clone)?;
        let host =
            ServerName::try_from(place.host.clone()).map_err(|_| "its name can't be in a certificate".to_owned())?;
        if !place.implicit_tls {
            starttls::ask(&mut stream, &name.to_string()).await?;
        }
        let secured = TlsConnector::from(Arc::clone(config)).connect(host, stream).await;
        let secured = secured.map_err(|e| format!("no encrypted connection ({e})"))?;
        Ok(Wire::new(Way::Tls(Box::new(secured)), !place.implicit_tls, ended.clone()))
    }
}

fn tls_config() -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_platform_verifier())
        .map(|builder| Arc::new(builder.with_no_client_auth()))
        .map_err(|e| format!("no encrypted connection can be made: {e}"))
}

/// What an error means. Of the server's words only the code is repeated.
fn failure(error: &Error, ended: &Ended, what: &str, refused: u16) -> EffectFailure {
    let code = error.status().map(|code| format!(": {code}")).unwrap_or_default();
    if error.is_permanent() {
        definite(refused, format!("{what}{code}"))
    } else if error.is_transient() {
        EffectFailure::Transient(format!("{what}{code}"))
    } else if error.is_client() {
        // Ours: it offers no way to sign in that we know.
        definite(502, what)
    } else {
        let why = if error.is_response() { "it gave no whole reply" } else { "the connection broke" };
        lost(ended, format!("{what}: {why}"))
    }
}

/// No whole answer came.
fn lost(ended: &Ended, detail: String) -> EffectFailure {
    if ended.is() {
        let detail = format!("{detail}; the message was sent to its end, so it may be on its way");
        EffectFailure::Unknown { why: Doubt::Connection, detail }
    } else {
        EffectFailure::Transient(detail)
    }
}

/// The server's last words, as far as they are plain and hold nothing of the secret.
fn kept(words: &Response, secrets: &[&str]) -> Option<String> {
    let text = words.first_line()?;
    let told = secrets.iter().any(|secret| secret.len() >= SHORTEST_LOOKED_FOR && text.contains(secret));
    (!told).then(|| text.chars().filter(|c| *c == ' ' || c.is_ascii_graphic()).take(MAX_CLAIM).collect())
}
