//! One step, as far as it goes now: from the run's history, or prepared, judged and admitted
//! ([`crate::admit`]), performed and recorded ([`crate::perform`]).

use crate::admit::Verdict;
use crate::board::{Aside, Asked, Waits};
use crate::driver::{Driver, StepEnd};
use crate::history::StepState;
use crate::{Engine, EngineError};
use mandate_directory::{FunctionSpec, own_authority};
use mandate_flow::{ErrorKind, Labelled, WorkflowError};
use mandate_gate::{AuthorityRoot, Call, CredentialFacts, GrantFacts, Prepared, StepFacts};
use mandate_identity::Authority;
use mandate_journal::{Doubt, Stored};
use mandate_kernel::{
    Attempt, Caller, Duration, EffectClass, FunctionName, IdentityModel, Limits, StepKey, StepPath, StepSeq,
};
use tracing::Instrument;

/// The step the machine asked for.
#[derive(Clone)]
pub(crate) struct Wanted {
    pub seq: StepSeq,
    pub path: StepPath,
    pub function: FunctionName,
    pub arguments: Labelled,
    pub effect: EffectClass,
}

impl Driver {
    /// Takes one step as far as it goes now: from the history, or anew.
    pub(crate) async fn step(&mut self, engine: &Engine, asked: Asked) -> Result<StepEnd, EngineError> {
        let Asked { wanted, refused } = asked;
        let seq = wanted.seq;
        if let Some(error) = refused {
            return self.returned(engine, &wanted, Attempt(1), Err(error), None);
        }
        let attempt = match self.history.steps.get(&seq).cloned() {
            None => Attempt(1),
            Some(StepState::Gated { attempt, open, until }) => {
                match self.at_gate(engine, &wanted, open, until).await? {
                    Some(end) => return Ok(end),
                    None => attempt,
                }
            }
            Some(StepState::Declined { why, by }) => return self.declined(engine, &wanted, why, by).await,
            Some(StepState::Asked { attempt, approval, until }) => {
                return self.at_review(engine, &wanted, attempt, &approval, until);
            }
            Some(StepState::Answered { attempt, approved, by, answer }) => {
                return self.reviewed(engine, &wanted, attempt, approved, &by, &answer).await;
            }
            Some(StepState::InDoubt { .. }) => return Ok(self.doubted(&wanted, "its answer never came")),
            Some(StepState::Cleared { attempt }) => Attempt(attempt.0 + 1),
            Some(StepState::Failed { attempt, retry_at }) if retry_at <= engine.ports.clock.now() => {
                Attempt(attempt.0 + 1)
            }
            Some(StepState::Failed { retry_at, .. }) => {
                self.set_timer(retry_timer(seq), retry_at);
                return Ok(StepEnd::Aside(Aside { waits: Waits::Retry, until: Some(retry_at) }));
            }
            Some(StepState::Open { attempt, effect: EffectClass::Once, .. }) => {
                let detail = "the process ended before the answer was recorded";
                return self.in_doubt(engine, &wanted, attempt, Doubt::Crash, detail);
            }
            Some(StepState::Open { attempt, arguments, .. }) => {
                self.check_frozen(&wanted, &arguments).await?;
                Attempt(attempt.0 + 1)
            }
        };
        if attempt.0 > Limits::DEFAULT.attempts || seq.0 > Limits::DEFAULT.steps {
            let error = WorkflowError::new(ErrorKind::Runtime, "the run has reached its limit of steps or attempts");
            return self.returned(engine, &wanted, attempt, Err(error), None);
        }
        let span = tracing::info_span!(
            "step", tenant = %self.context.tenant, run = %self.run, step = seq.0, attempt = attempt.0, function = %wanted.function,
            actor = %self.new.initiator.subject(), worker = %self.new.worker, class = self.new.class.impact.as_str(),
            scopes = tracing::field::Empty, outcome = tracing::field::Empty,
            result = tracing::field::Empty,
        );
        self.attempt(engine, wanted, attempt).instrument(span).await
    }

    async fn attempt(&mut self, engine: &Engine, wanted: Wanted, attempt: Attempt) -> Result<StepEnd, EngineError> {
        match self.admit(engine, &wanted, attempt).await? {
            Verdict::End(end) => Ok(end),
            Verdict::Admitted(admitted) => self.perform(engine, wanted, attempt, *admitted).await,
        }
    }

    /// Turns the call into one exact request, and gathers what it is judged by.
    pub(crate) fn prepare(&self, wanted: &Wanted, attempt: Attempt) -> Result<(Prepared, StepFacts), WorkflowError> {
        let unknown = || {
            WorkflowError::new(
                ErrorKind::Configuration,
                format!("function {} is not in the Worker's manifest", wanted.function),
            )
        };
        let pinned = self.pinned.functions.get(&wanted.function).ok_or_else(unknown)?;
        let step = StepKey { run: self.run.clone(), seq: wanted.seq, attempt };
        let call = Call {
            step: step.clone(),
            function: wanted.function.clone(),
            environment: self.new.environment.clone(),
            arguments: wanted.arguments.value.clone(),
        };
        let prepared =
            pinned.effect.prepare(&call).map_err(|e| WorkflowError::new(ErrorKind::Configuration, e.to_string()))?;
        let spec = &pinned.spec;
        let facts = StepFacts {
            step,
            path: wanted.path.clone(),
            function: wanted.function.clone(),
            project: self.new.worker.project(),
            function_version: pinned.pin.function,
            function_class: spec.class.clone(),
            effect: spec.effect,
            model: spec.model,
            legacy: spec.legacy,
            scopes: spec.scopes.clone(),
            arguments: wanted.arguments.value.clone(),
            labels: wanted.arguments.labels.clone(),
            worker: self.new.worker.clone(),
            worker_version: self.new.worker_version,
            allow_listed: self.pinned.spec.functions.contains(&wanted.function),
            run_class: self.new.class.clone(),
            environment: self.new.environment.clone(),
            purpose: self.new.purpose.clone(),
            initiator: self.new.initiator.clone(),
            initiator_groups: self.header.groups.clone(),
            authority: self.held.get_or_init(|| self.standing_authority()).clone(),
            root: root_of(spec),
            credential: pinned.credential.as_ref().map(|bound| CredentialFacts {
                name: bound.name.clone(),
                version: bound.version,
                environment: bound.spec.environment.clone(),
                destinations: bound.spec.destinations.clone(),
                exchange: bound.spec.exchange.clone(),
                grant: bound.grant.as_ref().map(|(name, grant)| GrantFacts {
                    name: name.clone(),
                    owner: bound.spec.owner.clone(),
                    credential: grant.credential.clone(),
                    worker_version: grant.worker_version,
                    function_version: grant.function_version,
                    environment: grant.environment.clone(),
                    not_after: grant.not_after,
                }),
            }),
            approvals: self.history.approvals.get(&wanted.seq).cloned().unwrap_or_default(),
            standing: self.standing.clone(),
        };
        Ok((prepared, facts))
    }

    /// What the run was given at its start, as far as its initiator still holds it: an entitlement that
    /// was narrowed meanwhile narrows the run too.
    fn standing_authority(&self) -> Authority {
        let given = &self.header.authority;
        let initiator = Caller::new(self.new.initiator.clone(), self.header.groups.clone());
        let lasting = Duration::from_millis(0);
        let held = own_authority(&self.catalog.entitlements, &initiator, &given.environment, given.not_after, lasting);
        given.meet(&held)
    }

    /// A repeated attempt sends what the first one sent, or nothing.
    async fn check_frozen(&self, wanted: &Wanted, frozen: &Stored) -> Result<(), EngineError> {
        if self.open(frozen).await? == wanted.arguments.value {
            Ok(())
        } else {
            Err(EngineError::Inconsistent(format!(
                "step {} of {} would be repeated with other arguments",
                wanted.seq.0, self.run
            )))
        }
    }

    /// Who acts in a step: the Worker.
    pub(crate) fn actor(&self) -> String {
        format!("worker:{}", self.new.worker)
    }
}

/// Which of the two roots of authority a function rests on: its model says.
fn root_of(spec: &FunctionSpec) -> AuthorityRoot {
    match spec.model {
        IdentityModel::ServiceAccount => AuthorityRoot::Grant,
        _ => AuthorityRoot::Initiator,
    }
}

/// The timer that asks for a step again.
pub(crate) fn retry_timer(seq: StepSeq) -> String {
    format!("retry:{}", seq.0)
}
