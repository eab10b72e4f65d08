//! When a process has to end.

use mandate_api::Streams;
use tokio::signal::unix::{SignalKind, signal};

/// Streams that end when this process has to: nobody who only watches keeps it alive.
pub(crate) fn streams() -> Streams {
    let streams = Streams::default();
    let told = streams.clone();
    tokio::spawn(async move {
        told_to_end().await;
        told.close();
    });
    streams
}

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
