//! A credential's metadata. The secret itself is in the vault and nowhere else.

use crate::connection::is_loopback;
use mandate_identity::ExchangePlace;
use mandate_kernel::Environment;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The content of a `Credential` resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CredentialSpec {
    /// What it opens, for people.
    #[serde(default)]
    pub description: String,
    /// The accountable owner's subject, `user:finance-director` (mission 15). Only the owner gives
    /// grants on it and puts secrets into it.
    pub owner: String,
    /// The environment it belongs to.
    pub environment: Environment,
    /// Origins it may be sent to, set by its owner. Where it is exchanged for tokens, origins they may be sent to.
    pub destinations: BTreeSet<String>,
    /// Where it is exchanged for access tokens (OAuth 2). With it, the secret goes to that endpoint and nowhere else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<ExchangePlace>,
}

impl CredentialSpec {
    /// Checks what can be known to be wrong before it is used.
    ///
    /// # Errors
    /// JSON pointer into the content, and what is wrong there.
    pub fn check(&self) -> Result<(), (String, String)> {
        let Some(place) = &self.exchange else { return Ok(()) };
        let urls = [
            ("tokenEndpoint", Some(&place.token_endpoint)),
            ("revocationEndpoint", place.revocation_endpoint.as_ref()),
        ];
        for (key, url) in urls.into_iter().filter_map(|(key, url)| Some((key, url?))) {
            let at = |why: &str| Err((format!("/exchange/{key}"), why.to_owned()));
            if url.origin().starts_with("http://") && !is_loopback(url.origin()) {
                return at("plain http is for the loopback only; use https");
            }
            if url.origin() != place.token_endpoint.origin() {
                return at("a token is ended where it was made: at the token endpoint's origin");
            }
        }
        Ok(())
    }
}
