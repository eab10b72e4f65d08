//! `mandate login` and `mandate logout`.

mod browser;
mod device;

use crate::cli::args::LoginArgs;
use crate::cli::client::{Call, Client, Credential};
use crate::cli::output::{cell, shown};
use crate::cli::provider::{ProviderClient, Tokens};
use crate::cli::signed_in::{Keeper, SignedIn};
use crate::cli::{CliError, Exit, Session};
use mandate_kernel::{Digest, Entropy as _, Secret, SystemEntropy, Timestamp, base64url_encode};
use serde::Deserialize;
use serde_json::json;

/// How people of a tenant sign in, as the server says.
#[derive(Debug, Deserialize)]
struct Offer {
    tenant: String,
    issuer: String,
    command_line: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
}

/// Signs in, and keeps what the provider gives.
pub(in crate::cli) async fn login(session: &Session<'_>, args: LoginArgs) -> Result<Exit, CliError> {
    let server = Client::new(session.url(), Credential::None)?;
    let keeper = keeper(server.url())?;
    let offer = choose(offers(&server).await?, args.tenant.as_deref())?;
    let Some(client_id) = offer.command_line.as_deref() else {
        return Err(CliError::usage_help(
            format!("tenant {} has no client for the command line at its provider", shown(&offer.tenant)),
            "put an access token into MANDATE_TOKEN, or ask the operator for `commandLineClientId`",
        ));
    };
    let provider = ProviderClient::discover(&offer.issuer).await?;
    let scope = offer.scopes.join(" ");
    let tokens = if args.device {
        device::tokens(session, &provider, client_id, &scope).await?
    } else {
        browser::tokens(session, &provider, client_id, &scope).await?
    };
    let subject = who(server.url(), &tokens).await?;
    let mut held = SignedIn {
        url: server.url().to_owned(),
        tenant: offer.tenant,
        subject,
        issuer: offer.issuer,
        client_id: client_id.to_owned(),
        access_token: String::new(),
        expires_at: None,
        refresh_token: None,
    };
    held.take(tokens);
    keeper.store(&held)?;
    let ends = held.expires_at.map(|at| Timestamp::from_secs(at).to_string());
    let told = json!({
        "url": held.url, "tenant": held.tenant, "subject": held.subject, "expires_at": ends,
        "renewed": held.refresh_token.is_some(),
    });
    session.out().value(&told, |told| {
        let until = match told.get("renewed").and_then(serde_json::Value::as_bool) {
            Some(true) => "renewed by itself for as long as the provider allows".to_owned(),
            _ => format!("until {}", cell(told, "expires_at")),
        };
        format!(
            "signed in at {} as {} of tenant {}, {until}",
            cell(told, "url"),
            cell(told, "subject"),
            cell(told, "tenant")
        )
    })?;
    Ok(Exit::Done)
}

/// Forgets who is signed in.
pub(in crate::cli) fn logout(session: &Session<'_>) -> Result<Exit, CliError> {
    let server = Client::new(session.url(), Credential::None)?;
    let was = keeper(server.url())?.remove()?;
    let told = json!({"url": server.url(), "was_signed_in": was});
    session.out().value(&told, |_| {
        if was {
            format!("signed out of {}", server.url())
        } else {
            format!("nobody was signed in at {}", server.url())
        }
    })?;
    Ok(Exit::Done)
}

fn keeper(url: &str) -> Result<Keeper, CliError> {
    Keeper::new(url).ok_or_else(|| CliError::usage("there is no folder to keep it in: set HOME or MANDATE_CONFIG_DIR"))
}

async fn offers(server: &Client) -> Result<Vec<Offer>, CliError> {
    #[derive(Deserialize)]
    struct Tenants {
        tenants: Vec<Offer>,
    }
    let answer = server.public("/auth/tenants").await?;
    let read: Option<Tenants> = serde_json::from_slice(&answer.body).ok();
    let told =
        || CliError::failed(format!("{} does not say how people sign in (status {})", server.url(), answer.status));
    read.filter(|_| answer.status == 200).map(|read| read.tenants).ok_or_else(told)
}

fn choose(mut offers: Vec<Offer>, wanted: Option<&str>) -> Result<Offer, CliError> {
    let names: Vec<String> = offers.iter().map(|offer| shown(&offer.tenant)).collect();
    let at = match wanted {
        Some(wanted) => offers.iter().position(|offer| offer.tenant == wanted),
        None if offers.len() == 1 => Some(0),
        None => {
            return Err(CliError::usage_help(
                "this server has several tenants",
                format!("--tenant is one of {}", names.join(", ")),
            ));
        }
    };
    match at {
        Some(at) => Ok(offers.swap_remove(at)),
        None => Err(CliError::usage_help("this server has no such tenant", format!("use one of {}", names.join(", ")))),
    }
}

/// Who the server takes the holder of this token for. A token that it does not take is not kept.
async fn who(url: &str, tokens: &Tokens) -> Result<String, CliError> {
    let client = Client::new(url, Credential::Token(Secret::new(tokens.access_token.clone())))?;
    let me = client.json(Call::get("/v1/me")).await?;
    Ok(cell(&me, "subject"))
}

/// A PKCE verifier, or a state: 256 random bits as text.
fn random() -> Result<String, CliError> {
    let mut bytes = [0u8; 32];
    SystemEntropy.fill(&mut bytes).map_err(|e| CliError::failed(e.to_string()))?;
    Ok(base64url_encode(&bytes))
}

/// RFC 7636 §4.2.
fn challenge(verifier: &str) -> String {
    base64url_encode(Digest::of(verifier.as_bytes()).as_bytes())
}

/// A provider's refusal, for people.
fn refused(code: &str, description: Option<&str>) -> CliError {
    let why = description.map(|text| format!(": {}", shown(text))).unwrap_or_default();
    CliError::usage_help(
        format!("the provider said {}{why}", shown(code)),
        "nobody was signed in; `mandate login` begins anew",
    )
}
