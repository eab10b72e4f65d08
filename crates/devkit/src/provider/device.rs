//! The device grant (RFC 8628): a command line without a browser shows a code, a person enters it here.

use super::desk::{DEVICE_INTERVAL, DEVICE_LIFETIME, Device, DeviceRequest, Given};
use super::token::{no_store, refuse};
use super::{Provider, page};
use crate::Account;
use axum::extract::{Form, Path, Query, State, rejection::FormRejection, rejection::QueryRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use mandate_kernel::EntropyError;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// RFC 8628 §6.1: letters that are not mistaken for others and make no words.
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

#[derive(Deserialize)]
pub(super) struct Begin {
    client_id: Option<String>,
    scope: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Entered {
    user_code: Option<String>,
    account: Option<String>,
    cancel: Option<String>,
}

/// `POST /t/{tenant}/device_authorization` (§3.1).
pub(super) async fn begin(
    State(provider): State<Arc<Provider>>,
    Path(tenant): Path<String>,
    asked: Result<Form<Begin>, FormRejection>,
) -> Response {
    if !provider.keys.contains_key(tenant.as_str()) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let Ok(Form(asked)) = asked else { return refuse("invalid_request", "send client_id and scope once each") };
    let Some(client) = asked.client_id.as_deref().and_then(|id| provider.client(id)) else {
        return refuse("invalid_client", "this provider does not know that client");
    };
    if !client.native {
        return refuse("unauthorized_client", "this client has a browser: use the code flow");
    }
    let (Ok(device_code), Ok(user_code)) = (provider.secret(), user_code(&provider)) else {
        return crate::problem::internal("device", &EntropyError);
    };
    let request = DeviceRequest {
        tenant: tenant.clone(),
        client: client.id,
        scope: asked.scope.unwrap_or_default(),
        user_code: user_code.clone(),
        state: Device::Asked,
        asked: None,
    };
    provider.desk().put_device(device_code.clone(), request, provider.clock.now());
    let (shown, at) = (hyphenated(&user_code), format!("{}/device", provider.issuer(&tenant)));
    no_store(
        StatusCode::OK,
        json!({
            "device_code": device_code,
            "user_code": shown,
            "verification_uri": at,
            "verification_uri_complete": format!("{at}?user_code={shown}"),
            "expires_in": DEVICE_LIFETIME.as_secs(),
            "interval": DEVICE_INTERVAL.as_secs(),
        }),
    )
}

/// `GET /t/{tenant}/device`: asks for the code, or for whom it is when there is one.
pub(super) async fn show(
    State(provider): State<Arc<Provider>>,
    Path(tenant): Path<String>,
    asked: Result<Query<Entered>, QueryRejection>,
) -> Response {
    if !provider.keys.contains_key(tenant.as_str()) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let entered = asked.ok().and_then(|Query(entered)| entered.user_code);
    match entered.as_deref().map(plain).filter(|code| !code.is_empty()) {
        None => ask_code(&tenant, None),
        Some(code) => ask_account(&provider, &tenant, &code),
    }
}

/// `POST /t/{tenant}/device`: approves in an account's name, or refuses.
pub(super) async fn choose(
    State(provider): State<Arc<Provider>>,
    Path(tenant): Path<String>,
    entered: Result<Form<Entered>, FormRejection>,
) -> Response {
    if !provider.keys.contains_key(tenant.as_str()) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let Ok(Form(entered)) = entered else { return page::wrong("The form can't be read.") };
    let code = plain(entered.user_code.as_deref().unwrap_or_default());
    let now = provider.clock.now();
    let mut desk = provider.desk();
    let Some(request) = desk.device(&tenant, &code, now) else {
        return ask_code(&tenant, Some("No device waits with this code. Codes end after ten minutes."));
    };
    if entered.cancel.is_some() {
        request.state = Device::Denied;
        return page::told("Not signed in", "The device was told no. You can close this page.");
    }
    match entered.account.as_deref().map(|name| Account::find(&tenant, name)) {
        None => {
            drop(desk);
            ask_account(&provider, &tenant, &code)
        }
        Some(None) => page::wrong("This provider has no such account."),
        Some(Some(account)) => {
            let (client, scope) = (request.client, request.scope.clone());
            request.state = Device::Approved(Given { client, account, scope, nonce: None, at: now });
            page::told("Signed in", "The device goes on by itself. You can close this page.")
        }
    }
}

fn ask_code(tenant: &str, wrong: Option<&str>) -> Response {
    let told = wrong.unwrap_or("Enter the code that your command line shows.");
    let body = format!(
        "<p{}>{}</p>\n<form method=\"get\" action=\"/t/{}/device\"><label for=\"user_code\">Code</label>\
         <input id=\"user_code\" name=\"user_code\" autocomplete=\"off\" spellcheck=\"false\" maxlength=\"12\" required autofocus>\
         <button class=\"plain\">Continue</button></form>",
        if wrong.is_some() { " role=\"alert\"" } else { "" },
        page::escaped(told),
        page::escaped(tenant),
    );
    page::page(StatusCode::OK, "Connect a device", &body, None)
}

fn ask_account(provider: &Provider, tenant: &str, code: &str) -> Response {
    let now = provider.clock.now();
    let Some(client) = provider.desk().device(tenant, code, now).map(|request| request.client) else {
        return ask_code(tenant, Some("No device waits with this code. Codes end after ten minutes."));
    };
    let name = provider.client(client).map_or(client, |client| client.name);
    let body = format!(
        "<p>Sign in {} that shows <code>{}</code>? Only if you began this yourself, and it shows the same code.</p>\n\
         <form method=\"post\" action=\"/t/{}/device\">{}{}</form>",
        page::escaped(name),
        page::escaped(&hyphenated(code)),
        page::escaped(tenant),
        page::hidden(&[("user_code", code)]),
        page::choices(&Account::of(tenant)),
    );
    page::page(StatusCode::OK, "Choose an account", &body, None)
}

/// Eight letters, 34 bits; each equally likely.
fn user_code(provider: &Provider) -> Result<String, EntropyError> {
    let mut code = String::new();
    while code.len() < 8 {
        let mut byte = [0u8; 1];
        provider.entropy.fill(&mut byte)?;
        // 240 is the largest multiple of 20 in a byte.
        if byte[0] < 240 {
            code.extend(LETTERS.get(usize::from(byte[0] % 20)).map(|letter| char::from(*letter)));
        }
    }
    Ok(code)
}

/// What was typed, as codes are kept.
fn plain(typed: &str) -> String {
    typed.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).take(16).collect()
}

fn hyphenated(code: &str) -> String {
    match code.split_at_checked(4) {
        Some((first, second)) if !second.is_empty() => format!("{first}-{second}"),
        _ => code.to_owned(),
    }
}
