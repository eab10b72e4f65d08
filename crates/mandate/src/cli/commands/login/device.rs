//! Sign-in on another device (RFC 8628).

use super::refused;
use crate::cli::output::shown;
use crate::cli::provider::{Answer, ProviderClient, Tokens};
use crate::cli::{CliError, Session};
use std::time::{Duration, Instant};

/// How often to ask when the provider doesn't say (§3.2).
const INTERVAL: u64 = 5;
/// The longest that is waited, whatever the provider says.
const LONGEST: u64 = 1_800;

pub(super) async fn tokens(
    session: &Session<'_>,
    provider: &ProviderClient,
    client_id: &str,
    scope: &str,
) -> Result<Tokens, CliError> {
    let asked = provider.device(client_id, scope).await?;
    let (uri, code) = (shown(&asked.verification_uri), shown(&asked.user_code));
    session.out().ask(&format!("open {uri} on any device and enter the code {code}\n"));
    if let Some(complete) = &asked.verification_uri_complete {
        session.out().ask(&format!("or open {}\n", shown(complete)));
    }
    let ends = Instant::now() + Duration::from_secs(asked.expires_in.min(LONGEST));
    let mut interval = Duration::from_secs(asked.interval.unwrap_or(INTERVAL).clamp(1, 60));
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("device_code", asked.device_code.as_str()),
        ("client_id", client_id),
    ];
    while Instant::now() < ends {
        tokio::time::sleep(interval).await;
        match provider.tokens(&form).await {
            Ok(Answer::Given(tokens)) => return Ok(tokens),
            Ok(Answer::Error { code, .. }) if code == "authorization_pending" => {}
            Ok(Answer::Error { code, .. }) if code == "slow_down" => interval += Duration::from_secs(5),
            Ok(Answer::Error { code, description }) => return Err(refused(&code, description.as_deref())),
            // §3.5: after a time-out it is asked less often, not given up.
            Err(CliError::Unreachable { .. }) => interval = (interval * 2).min(Duration::from_secs(60)),
            Err(other) => return Err(other),
        }
    }
    Err(refused("expired_token", Some("nobody entered the code in time")))
}
