//! gRPC on the wire: one call over one HTTP/2 connection, whose body is the bytes that were judged.

use crate::dial::Dialer;
use crate::http::failure;
use h2::client::{self, SendRequest};
use http::{HeaderMap, Request, Version, header::HeaderName, header::HeaderValue};
use mandate_gate::EffectFailure;
use mandate_identity::CanonicalRequest;
use mandate_kernel::{EffectClass, Limits, crash};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Bytes before each message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// The most messages of a stream.
const MAX_MESSAGES: usize = 10_000;

/// A call.
pub(super) struct GrpcCall<'a> {
    pub(super) dialer: &'a Dialer,
    pub(super) request: &'a CanonicalRequest,
    /// Metadata that was made for this permit; sensitive.
    pub(super) metadata: Vec<(String, String)>,
    pub(super) effect: EffectClass,
    pub(super) timeout: Duration,
    pub(super) limits: Limits,
}

/// Ends the connection when the call is over, or given up.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A message as a stream has it.
pub(super) fn framed(message: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(message.len()).ok()?;
    let mut bytes = Vec::with_capacity(message.len().saturating_add(PREFIX));
    bytes.push(0);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(message);
    Some(bytes)
}

/// The messages of a whole stream.
///
/// # Errors
/// What is wrong with it.
pub(super) fn messages(mut bytes: &[u8]) -> Result<Vec<&[u8]>, &'static str> {
    let mut found = Vec::new();
    while let Some((prefix, rest)) = bytes.split_first_chunk::<PREFIX>() {
        let [compressed, a, b, c, d] = *prefix;
        if compressed != 0 {
            return Err("is compressed, which was not asked for");
        }
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        let (message, rest) = rest.split_at_checked(length).ok_or("ends within a message")?;
        if found.len() >= MAX_MESSAGES {
            return Err("has more than 10000 messages");
        }
        found.push(message);
        bytes = rest;
    }
    if bytes.is_empty() { Ok(found) } else { Err("ends within a message") }
}

impl GrpcCall<'_> {
    /// Sends the request and gives the whole body of the answer, if its status is OK.
    pub(super) async fn send(self) -> Result<Vec<u8>, EffectFailure> {
        let origin = self.request.url().origin();
        let stream = self.dialer.dial(self.request.url(), b"h2").await.map_err(failure::not_sent)?;
        let refused = |_| failure::not_sent(format!("{origin} does not speak HTTP/2"));
        let (client, connection) = client::handshake(stream).await.map_err(refused)?;
        let _driver = Driver(tokio::spawn(async move {
            // What became of the connection is told by the call on it.
            let _ = connection.await;
        }));
        let client = client.ready().await.map_err(refused)?;
        let broke = |_| failure::unanswered(self.effect, format!("the connection to {origin} broke"));
        let head = self.head().map_err(|why| failure::unsendable(format!("nothing was sent: {why}")))?;
        crash::point("effects.before-send");
        let (status, headers, mut body) = self.exchange(client, head).await.map_err(broke)?;
        if status != 200 {
            return Err(failure::refused(self.effect, status, format!("{origin} answered {status}")));
        }
        // An error without a body has its status among the headers.
        if let Some(status) = grpc_status(&headers) {
            return self.judged(status, Vec::new());
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = body.data().await {
            let chunk = chunk.map_err(broke)?;
            let _ = body.flow_control().release_capacity(chunk.len());
            if bytes.len().saturating_add(chunk.len()) > self.limits.reply_body {
                let detail = format!("the answer of {origin} is longer than {} bytes", self.limits.reply_body);
                return Err(failure::unreadable(self.effect, detail));
            }
            bytes.extend_from_slice(&chunk);
        }
        let trailers = body.trailers().await.map_err(broke)?.unwrap_or_default();
        crash::point("effects.after-reply");
        match grpc_status(&trailers) {
            Some(status) => self.judged(status, bytes),
            None => Err(failure::unanswered(self.effect, format!("{origin} ended without a status"))),
        }
    }

    async fn exchange(
        &self,
        mut client: SendRequest<bytes::Bytes>,
        head: Request<()>,
    ) -> Result<(u16, HeaderMap, h2::RecvStream), h2::Error> {
        let (response, mut body) = client.send_request(head, false)?;
        body.send_data(self.request.body().to_vec().into(), true)?;
        let (parts, body) = response.await?.into_parts();
        Ok((parts.status.as_u16(), parts.headers, body))
    }

    fn head(&self) -> Result<Request<()>, &'static str> {
        let mut head = Request::builder()
            .method("POST")
            .version(Version::HTTP_2)
            .uri(self.request.url().as_str())
            .body(())
            .map_err(|_| "the address can't be sent")?;
        let mut put = |name: &str, value: &str, sensitive: bool| {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "a name of metadata is not valid")?;
            let mut value = HeaderValue::from_str(value).map_err(|_| "metadata can't hold its value")?;
            value.set_sensitive(sensitive);
            match head.headers_mut().insert(name, value) {
                None => Ok(()),
                Some(_) => Err("metadata would be set twice"),
            }
        };
        put("content-type", self.request.content_type().unwrap_or("application/grpc"), false)?;
        put("te", "trailers", false)?;
        put("user-agent", concat!("mandate/", env!("CARGO_PKG_VERSION")), false)?;
        put("grpc-timeout", &format!("{}m", self.timeout.as_millis().min(99_999_999)), false)?;
        if let Some(key) = self.request.idempotency_key() {
            put("idempotency-key", key, false)?;
        }
        for (name, value) in &self.metadata {
            put(name, value, true)?;
        }
        Ok(head)
    }

    fn judged(&self, status: u32, bytes: Vec<u8>) -> Result<Vec<u8>, EffectFailure> {
        let (name, as_http) = match status {
            0 => return Ok(bytes),
            3 => ("INVALID_ARGUMENT", 400),
            4 => ("DEADLINE_EXCEEDED", 504),
            5 => ("NOT_FOUND", 404),
            6 => ("ALREADY_EXISTS", 409),
            7 => ("PERMISSION_DENIED", 403),
            8 => ("RESOURCE_EXHAUSTED", 429),
            9 => ("FAILED_PRECONDITION", 400),
            10 => ("ABORTED", 409),
            11 => ("OUT_OF_RANGE", 400),
            12 => ("UNIMPLEMENTED", 501),
            14 => ("UNAVAILABLE", 503),
            16 => ("UNAUTHENTICATED", 401),
            1 => ("CANCELLED", 500),
            13 => ("INTERNAL", 500),
            15 => ("DATA_LOSS", 500),
            _ => ("UNKNOWN", 500),
        };
        // The message of a status may hold anything, and is left out.
        let detail = format!("{} answered gRPC status {status} ({name})", self.request.url().origin());
        Err(failure::refused(self.effect, as_http, detail))
    }
}

fn grpc_status(headers: &HeaderMap) -> Option<u32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_framed_comes_back(all in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..5)) {
            let stream: Vec<u8> = all.iter().flat_map(|message| framed(message).unwrap()).collect();
            prop_assert_eq!(messages(&stream).unwrap(), all.iter().map(Vec::as_slice).collect::<Vec<_>>());
            if !stream.is_empty() {
                prop_assert!(messages(&stream[..stream.len() - 1]).is_err());
            }
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = messages(&bytes);
        }
    }
}
