//! When a process has to end.

use tokio::signal::unix::{SignalKind, signal};

/// Resolves at Ctrl-C or a request to terminate.
pub(crate) async fn told_to_end() {
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(signal) => signal,
        Err(_) => return std::future::pending().await,
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
