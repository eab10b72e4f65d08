//! Sign-in by the browser of this machine, which comes back to a loopback address (RFC 8252).

use super::{challenge, random, refused};
use crate::cli::provider::{Answer, ProviderClient, Tokens};
use crate::cli::{CliError, Session};
use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::get;
use serde::Deserialize;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// How long the browser may be away.
const AWAY: Duration = Duration::from_secs(600);

/// What the browser comes back with.
#[derive(Deserialize)]
struct Callback {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

struct Waiting {
    state: String,
    came: mpsc::Sender<Callback>,
}

pub(super) async fn tokens(
    session: &Session<'_>,
    provider: &ProviderClient,
    client_id: &str,
    scope: &str,
) -> Result<Tokens, CliError> {
    let failed = |e: std::io::Error| CliError::failed(format!("no port of 127.0.0.1 can be listened on: {e}"));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
    let redirect_uri = format!("http://127.0.0.1:{}/callback", listener.local_addr().map_err(failed)?.port());
    let (state, nonce, verifier) = (random()?, random()?, random()?);
    let mut url = provider.metadata.authorization_endpoint.clone();
    url.query_pairs_mut().extend_pairs([
        ("response_type", "code"),
        ("client_id", client_id),
        ("redirect_uri", &redirect_uri),
        ("scope", scope),
        ("state", &state),
        ("nonce", &nonce),
        ("code_challenge", &challenge(&verifier)),
        ("code_challenge_method", "S256"),
    ]);
    session.out().ask(&format!("sign in with your browser at {url}\n"));
    if session.err_is_terminal() {
        open(url.as_str());
    }
    let came = wait(listener, state).await?;
    let named = came.iss.as_deref();
    if named.is_some_and(|iss| iss != provider.issuer) || (provider.metadata.names_itself && named.is_none()) {
        return Err(refused("something", Some("the answer is not from the provider that was asked")));
    }
    if let Some(error) = came.error {
        return Err(refused(&error, came.error_description.as_deref()));
    }
    let code = came.code.ok_or_else(|| refused("something", Some("the answer holds no code")))?;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", &redirect_uri),
        ("code_verifier", &verifier),
        ("client_id", client_id),
    ];
    match provider.tokens(&form).await? {
        Answer::Given(tokens) => Ok(tokens),
        Answer::Error { code, description } => Err(refused(&code, description.as_deref())),
    }
}

/// Waits until the browser comes back with our state. Whatever else comes is told no, and changes nothing.
async fn wait(listener: TcpListener, state: String) -> Result<Callback, CliError> {
    let (came, mut comes) = mpsc::channel(1);
    let router = Router::new().route("/callback", get(callback)).with_state(Arc::new(Waiting { state, came }));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = axum::serve(listener, router).with_graceful_shutdown(async {
        // An error means that nobody waits any more: stop as well.
        let _ = stopped.await;
    });
    let serving = tokio::spawn(async move { serving.await });
    let came = tokio::time::timeout(AWAY, comes.recv()).await;
    drop(stop);
    // The page that says so is sent before the port is closed; a browser that keeps the line open is not waited for.
    let _ = tokio::time::timeout(Duration::from_secs(1), serving).await;
    came.ok().flatten().ok_or_else(|| refused("nothing", Some("the browser did not come back within ten minutes")))
}

async fn callback(State(waiting): State<Arc<Waiting>>, Query(asked): Query<Callback>) -> Response {
    if asked.state.as_deref() != Some(waiting.state.as_str()) {
        return page(StatusCode::BAD_REQUEST, "This is not the sign-in that the command line waits for.");
    }
    let good = asked.code.is_some() && asked.error.is_none();
    // It may have come before: then the first answer counts.
    let _ = waiting.came.try_send(asked);
    if good {
        page(StatusCode::OK, "The command line goes on. You can close this page.")
    } else {
        page(StatusCode::OK, "Nobody was signed in. You can close this page.")
    }
}

fn page(status: StatusCode, text: &str) -> Response {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"color-scheme\" content=\"light dark\">\
         <title>Mandate</title></head><body><main><h1>Mandate</h1><p>{text}</p></main></body></html>\n"
    );
    let headers = [
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONNECTION, "close"),
        (HeaderName::from_static("x-content-type-options"), "nosniff"),
    ];
    (status, headers, Html(html)).into_response()
}

/// Opens a browser where there is one; the URL was told either way.
fn open(url: &str) {
    let program = if cfg!(target_os = "macos") {
        "open"
    } else if ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some()) {
        "xdg-open"
    } else {
        return;
    };
    let quiet = std::process::Command::new(program)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    drop(quiet);
}
