//! The authorization endpoint: OpenID Connect's code flow (Core §3.1) with PKCE (RFC 7636), `S256` only.

use super::clients::{Client, Redirect};
use super::desk::{Code, Given};
use super::{Provider, page};
use crate::Account;
use axum::extract::{Form, Path, Query, State, rejection::FormRejection, rejection::QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use reqwest::Url;
use serde::Deserialize;
use std::sync::Arc;

/// The longest `state` and `nonce`.
const MAX_OPAQUE: usize = 1_024;

/// A request, as query or as form. A parameter that comes twice is refused before this is made.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    response_type: Option<String>,
    response_mode: Option<String>,
    client_id: Option<String>,
    redirect_uri: Option<String>,
    scope: Option<String>,
    state: Option<String>,
    nonce: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
    prompt: Option<String>,
    request: Option<String>,
    request_uri: Option<String>,
    /// From the page's form: the account chosen.
    account: Option<String>,
    /// From the page's form: none of them.
    cancel: Option<String>,
}

/// A request that is good.
struct Good<'a> {
    client: &'a Client,
    redirect_uri: &'a str,
    scope: &'a str,
    state: &'a str,
    nonce: &'a str,
    challenge: &'a str,
}

pub(super) async fn show(
    State(provider): State<Arc<Provider>>,
    Path(tenant): Path<String>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    match asked {
        Ok(Query(asked)) => answer(&provider, &tenant, &Asked { account: None, cancel: None, ..asked }),
        Err(_) => page::wrong("The request has a parameter twice, or can't be read."),
    }
}

pub(super) async fn choose(
    State(provider): State<Arc<Provider>>,
    Path(tenant): Path<String>,
    asked: Result<Form<Asked>, FormRejection>,
) -> Response {
    match asked {
        Ok(Form(asked)) => answer(&provider, &tenant, &asked),
        Err(_) => page::wrong("The request has a parameter twice, or can't be read."),
    }
}

fn answer(provider: &Provider, tenant: &str, asked: &Asked) -> Response {
    if !provider.keys.contains_key(tenant) {
        return StatusCode::NOT_FOUND.into_response();
    }
    // Whoever is not known, or would be sent to where it never said it is, is not sent anywhere.
    let Some(client) = asked.client_id.as_deref().and_then(|id| provider.client(id)) else {
        return page::wrong("This provider does not know the client that asks.");
    };
    let Some(redirect_uri) = asked.redirect_uri.as_deref().filter(|uri| client.may_return_to(uri)) else {
        return page::wrong("The client asks to be answered at a URL that it is not registered with.");
    };
    let state = asked.state.as_deref();
    let good = match check(asked, client, redirect_uri) {
        Ok(good) => good,
        Err((error, why)) => {
            return back(provider, tenant, redirect_uri, state, &[("error", error), ("error_description", why)]);
        }
    };
    if asked.cancel.is_some() {
        let denied = [("error", "access_denied"), ("error_description", "nobody was chosen")];
        return back(provider, tenant, redirect_uri, state, &denied);
    }
    match asked.account.as_deref().map(|name| Account::find(tenant, name)) {
        None => ask(tenant, &good),
        Some(None) => page::wrong("This provider has no such account."),
        Some(Some(account)) => match give(provider, &good, account) {
            Ok(code) => back(provider, tenant, redirect_uri, state, &[("code", &code)]),
            Err(cause) => crate::problem::internal("authorize", &cause),
        },
    }
}

/// Everything about a request that its client may be told (RFC 6749 §4.1.2.1, Core §3.1.2.6).
fn check<'a>(
    asked: &'a Asked,
    client: &'a Client,
    redirect_uri: &'a str,
) -> Result<Good<'a>, (&'static str, &'static str)> {
    if asked.request.is_some() {
        return Err(("request_not_supported", "send the parameters themselves"));
    }
    if asked.request_uri.is_some() {
        return Err(("request_uri_not_supported", "send the parameters themselves"));
    }
    if asked.response_type.as_deref() != Some("code") {
        return Err(("unsupported_response_type", "this provider knows response_type=code only"));
    }
    if asked.response_mode.as_deref().is_some_and(|mode| mode != "query") {
        return Err(("invalid_request", "this provider knows response_mode=query only"));
    }
    let scope = asked.scope.as_deref().unwrap_or_default();
    if !scope.split(' ').any(|one| one == "openid") {
        return Err(("invalid_scope", "ask for the scope openid"));
    }
    let opaque = |value: &'a Option<String>| value.as_deref().filter(|text| (1..=MAX_OPAQUE).contains(&text.len()));
    let state = opaque(&asked.state).ok_or(("invalid_request", "send a state of 1 to 1024 bytes"))?;
    let nonce = opaque(&asked.nonce).ok_or(("invalid_request", "send a nonce of 1 to 1024 bytes"))?;
    if asked.code_challenge_method.as_deref() != Some("S256") {
        return Err(("invalid_request", "send code_challenge_method=S256"));
    }
    // A SHA-256 in base64url (RFC 7636 §4.2).
    let is_digest = |text: &&str| mandate_kernel::base64url_decode(text).is_ok_and(|bytes| bytes.len() == 32);
    let challenge =
        asked.code_challenge.as_deref().filter(is_digest).ok_or(("invalid_request", "send an S256 code_challenge"))?;
    if asked.prompt.as_deref().is_some_and(|prompt| prompt.split(' ').any(|one| one == "none")) {
        return Err(("login_required", "this provider keeps nobody signed in"));
    }
    Ok(Good { client, redirect_uri, scope, state, nonce, challenge })
}

fn ask(tenant: &str, good: &Good<'_>) -> Response {
    let fields = [
        ("response_type", "code"),
        ("client_id", good.client.id),
        ("redirect_uri", good.redirect_uri),
        ("scope", good.scope),
        ("state", good.state),
        ("nonce", good.nonce),
        ("code_challenge", good.challenge),
        ("code_challenge_method", "S256"),
    ];
    let body = format!(
        "<p>Whom do you want to be for {}? This provider asks for no password: it is for development on this machine.</p>\n\
         <form method=\"post\" action=\"/t/{}/authorize\">{}{}</form>",
        page::escaped(good.client.name),
        page::escaped(tenant),
        page::hidden(&fields),
        page::choices(&Account::of(tenant)),
    );
    let origin = match &good.client.redirect {
        Redirect::Exact(url) => Url::parse(url).map(|url| url.origin().ascii_serialization()).ok(),
        Redirect::Loopback => good.redirect_uri.strip_suffix("/callback").map(str::to_owned),
    };
    page::page(StatusCode::OK, "Choose an account", &body, origin.as_deref())
}

fn give(provider: &Provider, good: &Good<'_>, account: &'static Account) -> Result<String, String> {
    let now = provider.clock.now();
    let code = provider.secret().map_err(|e| e.to_string())?;
    let given = Given {
        client: good.client.id,
        account,
        scope: good.scope.to_owned(),
        nonce: Some(good.nonce.to_owned()),
        at: now,
    };
    let held = Code { given, redirect_uri: good.redirect_uri.to_owned(), challenge: good.challenge.to_owned() };
    provider.desk().put_code(code.clone(), held, now);
    Ok(code)
}

/// Sends the browser back to its client, with the issuer's name (RFC 9207).
fn back(provider: &Provider, tenant: &str, uri: &str, state: Option<&str>, answer: &[(&str, &str)]) -> Response {
    let issuer = provider.issuer(tenant);
    let parsed = Url::parse(uri).map(|mut url| {
        let mut query = url.query_pairs_mut();
        query.extend_pairs(answer);
        query.extend_pairs(state.map(|state| ("state", state)));
        query.append_pair("iss", &issuer);
        drop(query);
        url
    });
    match parsed.ok().and_then(|url| HeaderValue::from_str(url.as_str()).ok()) {
        Some(location) => {
            let headers = [
                (header::LOCATION, location),
                (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
                (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            ];
            (StatusCode::SEE_OTHER, headers).into_response()
        }
        None => page::wrong("The client's URL can't be used."),
    }
}
