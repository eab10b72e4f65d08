//! One HTTP server of the house.

use crate::problem::problem;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use mandate_kernel::Limits;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Serves until `stop` turns true; then no new connection is taken and open ones end.
pub(crate) fn spawn(
    listener: TcpListener,
    port: u16,
    router: Router,
    mut stop: watch::Receiver<bool>,
) -> JoinHandle<()> {
    let router =
        router.layer(DefaultBodyLimit::max(Limits::DEFAULT.request_body)).layer(from_fn_with_state(port, host_is_ours));
    tokio::spawn(async move {
        let stopped = async move {
            // An error means that the house is gone: stop as well.
            let _ = stop.wait_for(|stop| *stop).await;
        };
        if let Err(cause) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
            tracing::error!(%cause, port, "a server of the development house ended");
        }
    })
}

/// A web page can make a browser send requests here under a name of its own that resolves to the
/// loopback (DNS rebinding): only requests under the loopback's own names are answered.
async fn host_is_ours(State(port): State<u16>, request: Request, next: Next) -> Response {
    let ours = |host: &str| host == format!("127.0.0.1:{port}") || host == format!("localhost:{port}");
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let named = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().is_ok_and(ours),
        _ => false,
    };
    if named && request.uri().authority().is_none_or(|authority| ours(authority.as_str())) {
        next.run(request).await
    } else {
        problem(StatusCode::MISDIRECTED_REQUEST, "this service answers to its loopback address only")
    }
}
