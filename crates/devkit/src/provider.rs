//! The development identity provider: one issuer for each tenant, under `/t/TENANT`.
//!
//! It gives a token to whoever reaches it and names an account; that is what makes it a development
//! provider. All else is as at any OpenID provider: the code flow with PKCE for browsers, the device grant
//! for command lines, and metadata that tells the truth. The platform treats its tokens like any provider's.

mod authorize;
mod clients;
mod desk;
mod device;
mod page;
mod token;

pub use clients::{CLI_CLIENT, CONSOLE_CLIENT};

use crate::{ACCOUNTS, DevkitConfig, DevkitError, keep};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use clients::Client;
use desk::Desk;
use mandate_identity::{Audience, Jwks};
use mandate_kernel::{Clock, Duration, Ed25519Signer, Entropy, EntropyError, Signer as _, TokenId, base64url_encode};
use serde::Serialize;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The grant type of the development provider: an account's name is all it takes.
pub const DEV_GRANT: &str = "urn:mandate:params:oauth:grant-type:dev-account";

/// How long an access token lives.
const LIFETIME: Duration = Duration::from_secs(15 * 60);

struct Provider {
    origin: String,
    audience: Audience,
    clients: [Client; 2],
    keys: BTreeMap<&'static str, Ed25519Signer>,
    desk: Mutex<Desk>,
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
    acr: &'a str,
    jti: TokenId,
    groups: &'a [&'a str],
}

/// The provider's routes. Keys are kept in `folder`, one for each issuer.
pub(crate) fn router(config: &DevkitConfig, origin: &str, folder: &std::path::Path) -> Result<Router, DevkitError> {
    let tenants: BTreeSet<&'static str> = ACCOUNTS.iter().map(|account| account.tenant).collect();
    let key = |tenant| Ok((tenant, keep::signer(&folder.join(format!("provider-{tenant}.key")), &*config.entropy)?));
    let provider = Provider {
        origin: origin.to_owned(),
        audience: config.api_audience.clone(),
        clients: Client::all(config.api_audience.as_str()),
        keys: tenants.into_iter().map(key).collect::<Result<_, DevkitError>>()?,
        desk: Mutex::default(),
        clock: Arc::clone(&config.clock),
        entropy: Arc::clone(&config.entropy),
    };
    Ok(Router::new()
        .route("/t/{tenant}/.well-known/openid-configuration", get(metadata))
        .route("/t/{tenant}/jwks.json", get(jwks))
        .route("/t/{tenant}/authorize", get(authorize::show).post(authorize::choose))
        .route("/t/{tenant}/device_authorization", post(device::begin))
        .route("/t/{tenant}/device", get(device::show).post(device::choose))
        .route("/t/{tenant}/token", post(token::token))
        .with_state(Arc::new(provider)))
}

impl Provider {
    fn issuer(&self, tenant: &str) -> String {
        format!("{}/t/{tenant}", self.origin)
    }

    fn client(&self, id: &str) -> Option<&Client> {
        self.clients.iter().find(|client| client.id == id)
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A text of 256 random bits.
    fn secret(&self) -> Result<String, EntropyError> {
        let mut bytes = [0u8; 32];
        self.entropy.fill(&mut bytes)?;
        Ok(base64url_encode(&bytes))
    }
}

/// OpenID Connect Discovery §3, RFC 8414, RFC 8628 §4, RFC 9207 §3.
async fn metadata(State(provider): State<Arc<Provider>>, Path(tenant): Path<String>) -> Response {
    if !provider.keys.contains_key(tenant.as_str()) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let issuer = provider.issuer(&tenant);
    Json(json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}/jwks.json"),
        "authorization_endpoint": format!("{issuer}/authorize"),
        "device_authorization_endpoint": format!("{issuer}/device_authorization"),
        "token_endpoint": format!("{issuer}/token"),
        "grant_types_supported": token::GRANTS,
        "token_endpoint_auth_methods_supported": ["none"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": ["openid"],
        "claims_supported": [
            "iss", "sub", "aud", "azp", "iat", "exp", "auth_time", "acr", "nonce", "at_hash", "name",
            "preferred_username", "groups",
        ],
        "acr_values_supported": [token::ACR],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
        "authorization_response_iss_parameter_supported": true,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
    }))
    .into_response()
}

async fn jwks(State(provider): State<Arc<Provider>>, Path(tenant): Path<String>) -> Response {
    match provider.keys.get(tenant.as_str()) {
        Some(key) => Json(Jwks::new([key.public()]).to_json()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
