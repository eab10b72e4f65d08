//! The development identity provider: one issuer for each tenant, under `/t/TENANT`.
//!
//! It gives a token to whoever reaches it and names an account; that is what makes it a development
//! provider. The platform treats its tokens like any provider's.

use crate::{ACCOUNTS, Account, DevkitConfig, DevkitError, keep};
use axum::extract::{Form, Path, State, rejection::FormRejection};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use mandate_identity::{Audience, Jwks, jws};
use mandate_kernel::{Clock, Duration, Ed25519Signer, Entropy, Signer as _, TokenId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The grant type of the development provider: an account's name is all it takes.
pub const DEV_GRANT: &str = "urn:mandate:params:oauth:grant-type:dev-account";

/// How long an access token lives.
const LIFETIME: Duration = Duration::from_secs(15 * 60);

/// Who asks: a public client, the same for everybody.
const CLIENT: &str = "mandate-dev-client";

struct Provider {
    origin: String,
    audience: Audience,
    keys: BTreeMap<&'static str, Ed25519Signer>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// Claims of an access token (RFC 9068 §2.2).
#[derive(Serialize)]
struct Claims<'a> {
    iss: String,
    sub: &'a str,
    aud: &'a Audience,
    client_id: &'a str,
    iat: i64,
    nbf: i64,
    exp: i64,
    auth_time: i64,
    jti: TokenId,
    groups: &'a [&'a str],
}

#[derive(Deserialize)]
struct TokenRequest {
    grant_type: String,
    account: Option<String>,
}

/// The provider's routes. Keys are kept in `folder`, one for each issuer.
pub(crate) fn router(config: &DevkitConfig, origin: &str, folder: &std::path::Path) -> Result<Router, DevkitError> {
    let tenants: BTreeSet<&'static str> = ACCOUNTS.iter().map(|account| account.tenant).collect();
    let key = |tenant| Ok((tenant, keep::signer(&folder.join(format!("provider-{tenant}.key")), &*config.entropy)?));
    let provider = Provider {
        origin: origin.to_owned(),
        audience: config.api_audience.clone(),
        keys: tenants.into_iter().map(key).collect::<Result<_, DevkitError>>()?,
        clock: Arc::clone(&config.clock),
        entropy: Arc::clone(&config.entropy),
    };
    Ok(Router::new()
        .route("/t/{tenant}/.well-known/openid-configuration", get(metadata))
        .route("/t/{tenant}/jwks.json", get(jwks))
        .route("/t/{tenant}/token", post(token))
        .with_state(Arc::new(provider)))
}

impl Provider {
    fn issuer(&self, tenant: &str) -> String {
        format!("{}/t/{tenant}", self.origin)
    }

    fn mint(&self, key: &Ed25519Signer, account: &Account) -> Result<String, String> {
        let now = self.clock.now();
        let claims = Claims {
            iss: self.issuer(account.tenant),
            sub: account.name,
            aud: &self.audience,
            client_id: CLIENT,
            iat: now.as_secs(),
            nbf: now.as_secs(),
            exp: now.plus(LIFETIME).as_secs(),
            auth_time: now.as_secs(),
            jti: TokenId::generate(now, &*self.entropy).map_err(|e| e.to_string())?,
            groups: account.groups,
        };
        jws::sign(key, "at+jwt", &claims).map_err(|e| e.to_string())
    }
}

async fn metadata(State(provider): State<Arc<Provider>>, Path(tenant): Path<String>) -> Response {
    if !provider.keys.contains_key(tenant.as_str()) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let issuer = provider.issuer(&tenant);
    Json(json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}/jwks.json"),
        "token_endpoint": format!("{issuer}/token"),
        "grant_types_supported": [DEV_GRANT],
        "token_endpoint_auth_methods_supported": ["none"],
        "response_types_supported": [],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
    }))
    .into_response()
}

async fn jwks(State(provider): State<Arc<Provider>>, Path(tenant): Path<String>) -> Response {
    match provider.keys.get(tenant.as_str()) {
        Some(key) => Json(Jwks::new([key.public()]).to_json()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn token(
    State(provider): State<Arc<Provider>>,
    Path(tenant): Path<String>,
    request: Result<Form<TokenRequest>, FormRejection>,
) -> Response {
    let Some(key) = provider.keys.get(tenant.as_str()) else { return StatusCode::NOT_FOUND.into_response() };
    let Ok(Form(request)) = request else {
        return refuse("invalid_request", "send grant_type and account once each, as a form");
    };
    if request.grant_type != DEV_GRANT {
        return refuse("unsupported_grant_type", &format!("this provider knows {DEV_GRANT} only"));
    }
    let Some(name) = request.account else {
        return refuse("invalid_request", "name an account");
    };
    let Some(account) = Account::find(&tenant, &name) else {
        return refuse("invalid_grant", "this provider has no such account");
    };
    match provider.mint(key, account) {
        Ok(token) => no_store(
            StatusCode::OK,
            json!({"access_token": token, "token_type": "Bearer", "expires_in": LIFETIME.as_secs()}),
        ),
        Err(cause) => crate::problem::internal("token", &cause),
    }
}

/// An error of RFC 6749 §5.2.
fn refuse(error: &str, description: &str) -> Response {
    no_store(StatusCode::BAD_REQUEST, json!({"error": error, "error_description": description}))
}

fn no_store(status: StatusCode, body: serde_json::Value) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}
