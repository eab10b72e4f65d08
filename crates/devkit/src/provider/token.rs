//! The token endpoint: the development grant, codes, device codes and refresh tokens (RFC 6749, RFC 8628).

use super::clients::Client;
use super::desk::{Given, Polled};
use super::{Claims, DEV_GRANT, LIFETIME, Provider};
use crate::Account;
use axum::Json;
use axum::extract::{Form, Path, State, rejection::FormRejection};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use mandate_identity::jws;
use mandate_kernel::{Digest, Ed25519Signer, TokenId, base64url_encode, sha512};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

const CODE_GRANT: &str = "authorization_code";
const REFRESH_GRANT: &str = "refresh_token";
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Every grant type, as the metadata tells them.
pub(super) const GRANTS: [&str; 4] = [CODE_GRANT, REFRESH_GRANT, DEVICE_GRANT, DEV_GRANT];

/// OpenID Connect Core §2: nothing vouches for who this is.
pub(super) const ACR: &str = "0";

/// Who asks by the development grant: a public client, the same for everybody.
const DEV_CLIENT: &str = "mandate-dev-client";

#[derive(Deserialize)]
pub(super) struct TokenRequest {
    grant_type: String,
    account: Option<String>,
    client_id: Option<String>,
    code: Option<String>,
    redirect_uri: Option<String>,
    code_verifier: Option<String>,
    device_code: Option<String>,
    refresh_token: Option<String>,
}

/// Claims of an ID token (OpenID Connect Core §2).
#[derive(Serialize)]
struct IdClaims<'a> {
    iss: String,
    sub: &'a str,
    aud: &'a str,
    azp: &'a str,
    iat: i64,
    exp: i64,
    auth_time: i64,
    acr: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    at_hash: String,
    name: &'a str,
    preferred_username: &'a str,
    groups: &'a [&'a str],
}

/// An error of RFC 6749 §5.2: its code, and what to do.
type Refused = (&'static str, &'static str);

pub(super) async fn token(
    State(provider): State<Arc<Provider>>,
    Path(tenant): Path<String>,
    headers: HeaderMap,
    request: Result<Form<TokenRequest>, FormRejection>,
) -> Response {
    let Some(key) = provider.keys.get(tenant.as_str()) else { return StatusCode::NOT_FOUND.into_response() };
    let Ok(Form(request)) = request else {
        return refuse("invalid_request", "send grant_type and what belongs to it once each, as a form");
    };
    if headers.contains_key(header::AUTHORIZATION) {
        let told = json!({"error": "invalid_client", "error_description": "clients of this provider have no secret"});
        let mut response = no_store(StatusCode::UNAUTHORIZED, told);
        response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Basic"));
        return response;
    }
    let answer = match request.grant_type.as_str() {
        DEV_GRANT => return by_account(&provider, key, &tenant, &request),
        CODE_GRANT => by_code(&provider, &tenant, &request),
        DEVICE_GRANT => by_device(&provider, &tenant, &request),
        REFRESH_GRANT => by_refresh(&provider, &tenant, &request),
        _ => Err(("unsupported_grant_type", "see the provider's metadata for the grant types it knows")),
    };
    match answer {
        Err((error, why)) => refuse(error, why),
        Ok(given) => match tokens(&provider, key, &given) {
            Ok(body) => no_store(StatusCode::OK, body),
            Err(cause) => crate::problem::internal("token", &cause),
        },
    }
}

/// The development grant: an account's name is all it takes.
fn by_account(provider: &Provider, key: &Ed25519Signer, tenant: &str, request: &TokenRequest) -> Response {
    let Some(name) = &request.account else {
        return refuse("invalid_request", "name an account");
    };
    let Some(account) = Account::find(tenant, name) else {
        return refuse("invalid_grant", "this provider has no such account");
    };
    let given = Given { client: DEV_CLIENT, account, scope: String::new(), nonce: None, at: provider.clock.now() };
    match access_token(provider, key, &given) {
        Ok(token) => no_store(
            StatusCode::OK,
            json!({"access_token": token, "token_type": "Bearer", "expires_in": LIFETIME.as_secs()}),
        ),
        Err(cause) => crate::problem::internal("token", &cause),
    }
}

fn by_code(provider: &Provider, tenant: &str, request: &TokenRequest) -> Result<Given, Refused> {
    let client = named(provider, request)?;
    let missing = ("invalid_request", "send code, redirect_uri and code_verifier");
    let (Some(code), Some(uri), Some(verifier)) = (&request.code, &request.redirect_uri, &request.code_verifier) else {
        return Err(missing);
    };
    // Taken out whatever comes next: a code that was seen by somebody else is no good any more.
    let held = provider.desk().take_code(code, provider.clock.now());
    let unknown = ("invalid_grant", "the code is not known, was used before, or is older than a minute");
    let held = held.filter(|held| held.given.account.tenant == tenant).ok_or(unknown)?;
    if held.given.client != client.id {
        return Err(("invalid_grant", "the code was given to another client"));
    }
    if held.redirect_uri != *uri {
        return Err(("invalid_grant", "redirect_uri is not the one that the code was asked for with"));
    }
    // RFC 7636 §4.1 and §4.6.
    let fits = (43..=128).contains(&verifier.len())
        && base64url_encode(Digest::of(verifier.as_bytes()).as_bytes()) == held.challenge;
    if fits { Ok(held.given) } else { Err(("invalid_grant", "code_verifier does not fit the challenge")) }
}

fn by_device(provider: &Provider, tenant: &str, request: &TokenRequest) -> Result<Given, Refused> {
    let client = named(provider, request)?;
    let code = request.device_code.as_deref().ok_or(("invalid_request", "send device_code"))?;
    match provider.desk().poll(tenant, client.id, code, provider.clock.now()) {
        Polled::Given(given) => Ok(given),
        Polled::Pending => Err(("authorization_pending", "nobody has entered the code yet")),
        Polled::TooSoon => Err(("slow_down", "ask less often")),
        Polled::Denied => Err(("access_denied", "somebody entered the code and said no")),
        Polled::Unknown => {
            Err(("expired_token", "the device code is not known, was used, or is older than ten minutes"))
        }
    }
}

fn by_refresh(provider: &Provider, tenant: &str, request: &TokenRequest) -> Result<Given, Refused> {
    let client = named(provider, request)?;
    let token = request.refresh_token.as_deref().ok_or(("invalid_request", "send refresh_token"))?;
    let given = provider.desk().take_refresh(token, provider.clock.now());
    let fits = |given: &Given| given.client == client.id && given.account.tenant == tenant;
    given.filter(fits).ok_or(("invalid_grant", "the refresh token is not known, was used before, or has ended"))
}

fn named<'a>(provider: &'a Provider, request: &TokenRequest) -> Result<&'a Client, Refused> {
    let id = request.client_id.as_deref().ok_or(("invalid_client", "name the client"))?;
    provider.client(id).ok_or(("invalid_client", "this provider does not know that client"))
}

/// What a grant is worth: an access token, an ID token, and for a native client a refresh token.
fn tokens(provider: &Provider, key: &Ed25519Signer, given: &Given) -> Result<Value, String> {
    let access = access_token(provider, key, given)?;
    let now = provider.clock.now();
    let half = sha512(access.as_bytes()).iter().take(32).copied().collect::<Vec<u8>>();
    let claims = IdClaims {
        iss: provider.issuer(given.account.tenant),
        sub: given.account.name,
        aud: given.client,
        azp: given.client,
        iat: now.as_secs(),
        exp: now.plus(LIFETIME).as_secs(),
        auth_time: given.at.as_secs(),
        acr: ACR,
        nonce: given.nonce.as_deref(),
        at_hash: base64url_encode(&half),
        name: given.account.name,
        preferred_username: given.account.name,
        groups: given.account.groups,
    };
    let id_token = jws::sign(key, "JWT", &claims).map_err(|e| e.to_string())?;
    let mut body = json!({
        "access_token": access, "token_type": "Bearer", "expires_in": LIFETIME.as_secs(), "id_token": id_token,
        "scope": given.scope,
    });
    let native = provider.client(given.client).is_some_and(|client| client.native);
    if native && let Some(members) = body.as_object_mut() {
        let refresh = provider.secret().map_err(|e| e.to_string())?;
        members.insert("refresh_token".to_owned(), Value::String(refresh.clone()));
        provider.desk().put_refresh(refresh, Given { nonce: None, ..given.clone() }, now);
    }
    Ok(body)
}

fn access_token(provider: &Provider, key: &Ed25519Signer, given: &Given) -> Result<String, String> {
    let now = provider.clock.now();
    let claims = Claims {
        iss: provider.issuer(given.account.tenant),
        sub: given.account.name,
        aud: &provider.audience,
        client_id: given.client,
        iat: now.as_secs(),
        nbf: now.as_secs(),
        exp: now.plus(LIFETIME).as_secs(),
        auth_time: given.at.as_secs(),
        acr: ACR,
        jti: TokenId::generate(now, &*provider.entropy).map_err(|e| e.to_string())?,
        groups: given.account.groups,
    };
    jws::sign(key, "at+jwt", &claims).map_err(|e| e.to_string())
}

/// An error of RFC 6749 §5.2.
pub(super) fn refuse(error: &str, description: &str) -> Response {
    no_store(StatusCode::BAD_REQUEST, json!({"error": error, "error_description": description}))
}

pub(super) fn no_store(status: StatusCode, body: Value) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}
