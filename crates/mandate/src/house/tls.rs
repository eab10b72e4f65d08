//! TLS by rustls on aws-lc-rs, 1.2 and later. SIGHUP reads certificate and key again.

use super::config::TlsConfig;
use anyhow::{Context, Result, bail};
use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// How long a client may take to shake hands.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long requests at hand may still take once the process was told to end.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// Serves until `end`.
pub(crate) async fn serve(
    listener: std::net::TcpListener,
    tls: &TlsConfig,
    router: Router,
    end: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let held = RustlsConfig::from_config(read(tls)?);
    let handle = Handle::new();
    tokio::spawn({
        let handle = handle.clone();
        async move {
            end.await;
            handle.graceful_shutdown(Some(LAST_WORDS));
        }
    });
    let mut hangup = signal(SignalKind::hangup()).context("SIGHUP can't be listened to")?;
    let reloading = async {
        while hangup.recv().await.is_some() {
            match read(tls) {
                Ok(config) => {
                    held.reload_from_config(config);
                    tracing::info!("certificate and key were read again");
                }
                Err(error) => tracing::error!(error = format!("{error:#}"), "the certificate in use is kept"),
            }
        }
    };
    let mut server = axum_server::from_tcp_rustls(listener, held.clone()).context("the server can't listen")?;
    let acceptor = server.get_ref().clone().handshake_timeout(HANDSHAKE);
    *server.get_mut() = acceptor;
    let serving = server.handle(handle).serve(router.into_make_service_with_connect_info::<SocketAddr>());
    tokio::select! {
        served = serving => served.context("the server stopped"),
        () = reloading => bail!("SIGHUP can't be listened to any more"),
    }
}

/// Certificate and key, if they belong together.
pub(crate) fn read(tls: &TlsConfig) -> Result<Arc<ServerConfig>> {
    let (certificate, key) = (&tls.certificate, &tls.key);
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .with_context(|| format!("{} is not a PEM file of certificates", certificate.display()))?;
    if chain.is_empty() {
        bail!("{} holds no certificate", certificate.display());
    }
    let mode = std::fs::metadata(key).with_context(|| format!("{} can't be read", key.display()))?.permissions().mode();
    if mode & 0o077 != 0 {
        bail!("{} can be read by others: chmod 600 it, and think about who has read it", key.display());
    }
    let secret =
        PrivateKeyDer::from_pem_file(key).with_context(|| format!("{} is not a PEM file of a key", key.display()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .context("TLS 1.2 and 1.3")?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .with_context(|| format!("{} and {} don't fit together", certificate.display(), key.display()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
