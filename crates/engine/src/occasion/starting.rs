//! Starting a run that nobody asked for, under its holder's standing grant.

use super::Origin;
use super::progress::Trouble;
use crate::pinned::Pinned;
use crate::{Engine, EngineError, StartError, StartRequest, TenantContext};
use mandate_directory::StandingGrantSpec;
use mandate_journal::RunState;
use mandate_kernel::{Digest, FunctionName, RunId, Timestamp};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What became of a start.
pub(super) enum Begun {
    /// There is a run; one that was refused at its start comes with why it matters.
    Run(RunId, Option<Trouble>),
    /// There is none.
    Not(Trouble),
}

/// The versions of a Worker's functions.
pub(super) fn versions(pinned: &Pinned) -> BTreeMap<FunctionName, Digest> {
    pinned.pins().into_iter().map(|(name, pin)| (name, pin.function)).collect()
}

impl Origin {
    /// Whether the grant it names still covers this Worker, under the configuration as it is now.
    pub(crate) async fn holds(
        &self,
        context: &TenantContext,
        pinned: &Pinned,
        now: Timestamp,
    ) -> Result<(), StartError> {
        let catalog = context.catalog().await?;
        let version = self.trigger.grant_version;
        let held = catalog.standing_grants.iter().find(|(of, grant)| *of == version && grant.worker == pinned.worker);
        match held {
            None => Err(StartError::Lapsed("it was revoked")),
            Some((_, grant)) => match grant.lapsed(now, &pinned.version, &versions(pinned)) {
                Some(why) => Err(StartError::Lapsed(why)),
                None => Ok(()),
            },
        }
    }
}

impl Engine {
    /// Starts a Worker in its holder's name. The key makes it one run, however often this is tried.
    ///
    /// # Errors
    /// What may pass: the start is to be tried again.
    pub(super) async fn start_standing(
        self: &Arc<Self>,
        context: &TenantContext,
        grant: &StandingGrantSpec,
        origin: &Origin,
        input: Value,
        key: String,
    ) -> Result<Begun, EngineError> {
        let request = StartRequest {
            worker: grant.worker.clone(),
            environment: Some(grant.environment.clone()),
            purpose: grant.purpose.clone(),
            input,
            // Callers' keys hold no spaces, so that nobody can take this one.
            start_key: Some(key),
        };
        let generation = context.catalog().await?.generation;
        let at = self.ports.clock.now();
        let trouble = |code: &str, detail: String| Trouble { code: code.to_owned(), detail, at, generation };
        match self.start_from(&grant.caller(), request, Some(origin)).await {
            Ok(started) if started.state == RunState::Refused => {
                let told = trouble("refused", format!("{} was refused; it says why", started.run));
                Ok(Begun::Run(started.run, Some(told)))
            }
            Ok(started) => Ok(Begun::Run(started.run, None)),
            Err(StartError::Duplicate(run)) => Ok(Begun::Run(run, None)),
            Err(StartError::NotVisible(..)) => {
                let told = format!("{} may not see the Worker any more", grant.holder.subject());
                Ok(Begun::Not(trouble("not-visible", told)))
            }
            Err(StartError::Lapsed(why)) => {
                Ok(Begun::Not(trouble("grant-lapsed", format!("the standing grant does not cover it: {why}"))))
            }
            Err(StartError::BadRequest(why)) => Ok(Begun::Not(trouble("invalid", why))),
            // The turn comes when others have ended.
            Err(StartError::Busy(busy)) => Err(EngineError::Timeout(busy.to_string())),
            Err(StartError::Failed(error)) if error.is_passing() || matches!(error, EngineError::Draining) => {
                Err(error)
            }
            Err(StartError::Failed(error)) => {
                tracing::error!(worker = %grant.worker, %error, "a Worker can't start by itself");
                Ok(Begun::Not(trouble("failed", "it can't be started; the server's log says why".to_owned())))
            }
        }
    }
}
