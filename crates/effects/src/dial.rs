//! Connections that are not requests over HTTP/1.1: one for each use, encrypted but on the loopback, by the trust
//! that the HTTP side has.

use mandate_identity::CanonicalUrl;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt as _;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes both ways.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Wire for S {}

/// Makes connections.
#[derive(Default)]
pub(crate) struct Dialer {
    /// Made at its first use: a machine without root certificates can still use the loopback.
    tls: OnceLock<Result<ClientConfig, String>>,
}

impl Dialer {
    #[cfg(test)]
    pub(crate) fn trusting(tls: ClientConfig) -> Self {
        Self { tls: OnceLock::from(Ok(tls)) }
    }

    /// A new connection to the URL's host; `protocol` is what is asked for within TLS (RFC 7301).
    ///
    /// # Errors
    /// Why there is none; the URL's path is not in it.
    pub(crate) async fn dial(&self, url: &CanonicalUrl, protocol: &[u8]) -> Result<Box<dyn Wire>, String> {
        let origin = url.origin();
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT, self.connect(origin, protocol)).await;
        connecting
            .unwrap_or_else(|_| Err("it took too long".to_owned()))
            .map_err(|why| format!("no connection to {origin}: {why}"))
    }

    async fn connect(&self, origin: &str, protocol: &[u8]) -> Result<Box<dyn Wire>, String> {
        let (scheme, authority) = origin.split_once("://").ok_or("its address has no scheme")?;
        let (host, port) = place(authority, scheme == "https").ok_or("its address has no host and port")?;
        let kind = |error: std::io::Error| error.kind().to_string();
        let stream = TcpStream::connect((host, port)).await.map_err(kind)?;
        stream.set_nodelay(true).map_err(kind)?;
        if scheme != "https" {
            return Ok(Box::new(stream));
        }
        let mut config = self.tls.get_or_init(trust).clone()?;
        config.alpn_protocols = vec![protocol.to_vec()];
        let name = ServerName::try_from(host.to_owned()).map_err(|_| "its host can't be in a certificate")?;
        let secured =
            TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| match error.kind() {
                std::io::ErrorKind::InvalidData => "its certificate or encryption is not accepted".to_owned(),
                kind => kind.to_string(),
            })?;
        Ok(Box::new(secured))
    }
}

fn trust() -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let unusable = |error: rustls::Error| format!("no TLS client can be built: {error}");
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(unusable)?;
    Ok(builder.with_platform_verifier().map_err(unusable)?.with_no_client_auth())
}

/// Host, without the brackets of an address, and port.
fn place(authority: &str, secure: bool) -> Option<(&str, u16)> {
    let default = if secure { 443 } else { 80 };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
        _ => (authority, default),
    };
    let host = host.trim_matches(['[', ']']);
    (!host.is_empty()).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn hosts_and_ports() {
        for (authority, secure, found) in [
            ("a.example", true, Some(("a.example", 443))),
            ("a.example", false, Some(("a.example", 80))),
            ("127.0.0.1:5", false, Some(("127.0.0.1", 5))),
            ("[::1]:8443", true, Some(("::1", 8443))),
            ("[::1]", true, Some(("::1", 443))),
            ("a:99999", true, None),
            ("", true, None),
        ] {
            assert_eq!(place(authority, secure), found, "{authority}");
        }
    }
}
