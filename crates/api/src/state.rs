//! What every handler has.

use crate::{Door, Streams};
use mandate_engine::Engine;
use mandate_identity::{Provider, TokenError, Verified};
use mandate_kernel::{Tenant, Timestamp};
use std::sync::{Arc, PoisonError, RwLock};

/// The providers whose tokens are accepted. Each is bound to one tenant by the operator; a token never
/// chooses its tenant.
#[derive(Clone, Default)]
pub struct Providers(Arc<RwLock<Vec<Arc<Provider>>>>);

impl Providers {
    /// Adds a provider, or replaces the one with the same issuer (its keys were read again).
    pub fn set(&self, provider: Provider) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|held| held.issuer() != provider.issuer() || held.tenant() != provider.tenant());
        all.push(Arc::new(provider));
    }

    /// The provider of a tenant with that issuer.
    pub(crate) fn of(&self, tenant: &Tenant, issuer: &str) -> Option<Arc<Provider>> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().find(|provider| provider.tenant() == tenant && provider.issuer() == issuer).cloned()
    }

    /// Verifies a token with the provider that issued it.
    ///
    /// # Errors
    /// [`TokenError`]: nobody is believed by it.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Verified, TokenError> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut answer = Err(TokenError::UnknownKey);
        for provider in all {
            match provider.verify(token, now) {
                Ok(verified) => return Ok(verified),
                // Another provider may know the key; what this one knows to be wrong stays said.
                Err(TokenError::UnknownKey | TokenError::WrongIssuer) => {}
                Err(other) => answer = Err(other),
            }
        }
        answer
    }
}

/// The state of the API.
#[derive(Clone)]
pub struct ApiState {
    /// The engine.
    pub engine: Arc<Engine>,
    /// Whom it believes about callers.
    pub providers: Providers,
    /// How people come in: sign-in, sessions, throttles.
    pub door: Arc<Door>,
    /// Streams of events that are open.
    pub streams: Streams,
    /// Host names (with port) that requests may name; guards loopback servers against DNS rebinding.
    /// Empty accepts any.
    pub hosts: Arc<Vec<String>>,
}
