//! Recording what came of an attempt.

use crate::board::{Aside, Waits};
use crate::driver::{Driver, StepEnd, problem_of};
use crate::meter::Mark;
use crate::record::{LeaseEnded, Observed, StepSucceeded};
use crate::step::{Wanted, retry_timer};
use crate::{Engine, EngineError};
use mandate_flow::{ErrorKind, Event, Failure, Labelled, WorkflowError};
use mandate_gate::{EffectFailure, Reply};
use mandate_journal::{Doubt, EventBody, LeaseChange, LeaseRecord, Outcome, Problem};
use mandate_kernel::{Attempt, Digest, EffectClass, Labels, Source};
use mandate_ledger::EventKind;
use mandate_vault::{LeaseEnd, ProviderError};
use serde_json::json;
use std::collections::BTreeSet;

impl Driver {
    /// Takes down what came of an attempt.
    pub(crate) fn record(
        &mut self,
        engine: &Engine,
        wanted: &Wanted,
        attempt: Attempt,
        result: Result<Reply, EffectFailure>,
        token: Option<Digest>,
    ) -> Result<StepEnd, EngineError> {
        match result {
            Ok(reply) => self.succeeded(engine, wanted, attempt, reply, token),
            Err(EffectFailure::Definite { status, detail }) => {
                self.returned(engine, wanted, attempt, Err(of_status(status, detail)), token)
            }
            Err(EffectFailure::Unknown { why: Doubt::Stopped, .. }) if wanted.effect == EffectClass::Read => {
                Ok(StepEnd::Stopped)
            }
            Err(EffectFailure::Unknown { why, detail }) => self.in_doubt(engine, wanted, attempt, why, &detail),
            Err(EffectFailure::Transient(detail)) => {
                let error = WorkflowError::new(ErrorKind::Communication, detail);
                self.transient(engine, wanted, attempt, error, token)
            }
            Err(EffectFailure::Later { status, detail }) => {
                self.transient(engine, wanted, attempt, of_status(status, detail), token)
            }
        }
    }

    /// How an attempt ended: counted, and on its span.
    fn ended(&mut self, outcome: &'static str, wanted: &Wanted) {
        self.draft.mark(Mark::Step { outcome, effect: wanted.effect });
        tracing::Span::current().record("result", outcome);
    }

    pub(crate) fn succeeded(
        &mut self,
        engine: &Engine,
        wanted: &Wanted,
        attempt: Attempt,
        reply: Reply,
        token: Option<Digest>,
    ) -> Result<StepEnd, EngineError> {
        let now = engine.ports.clock.now();
        let returns = self.pinned.functions.get(&wanted.function).map(|f| f.spec.returns.labels()).unwrap_or_default();
        let source = Source { origin: wanted.function.to_string(), digest: reply.observed };
        let own = Labels { sources: BTreeSet::from([source]), ..returns };
        // What comes back is at least as confidential as what was sent, and no more trustworthy than declared.
        let labels = Labels {
            integrity: own.integrity.min(wanted.arguments.labels.integrity),
            ..own.join(&wanted.arguments.labels)
        };
        let stored = self.seal(&reply.value, &labels)?;
        self.ended("succeeded", wanted);
        let checks = self.pinned.functions.get(&wanted.function).map(|f| &f.spec.checks);
        let checked =
            checks.map(|checks| checks.examine(&reply.value, &wanted.arguments.value, now)).unwrap_or_default();
        self.draft.entry(
            now,
            EventKind::StepSucceeded,
            self.actor(),
            StepSucceeded {
                attempt,
                checks: &checked,
                claimed_by_remote: &reply.claimed.by_remote,
                function: &wanted.function,
                observed: Observed { reply_digest: reply.observed },
                output: &stored,
                step: wanted.seq,
                token_digest: token,
            },
        )?;
        self.event(now, EventBody::Returned { step: wanted.seq, attempt, outcome: Outcome::Value(stored) });
        let returned = Labelled { value: reply.value, labels };
        self.keep_result(wanted, &returned);
        Ok(StepEnd::Tell(Event::Returned { seq: wanted.seq, at: now, result: Ok(returned) }))
    }

    /// The step ended with an error the workflow may catch.
    pub(crate) fn returned(
        &mut self,
        engine: &Engine,
        wanted: &Wanted,
        attempt: Attempt,
        result: Result<std::convert::Infallible, WorkflowError>,
        token: Option<Digest>,
    ) -> Result<StepEnd, EngineError> {
        let Err(mut error) = result;
        let now = engine.ports.clock.now();
        error.instance.get_or_insert_with(|| wanted.path.clone());
        let problem = problem_of(&error);
        self.ended("failed", wanted);
        self.draft.entry(
            now,
            EventKind::StepFailed,
            self.actor(),
            json!({"step": wanted.seq, "attempt": attempt, "function": wanted.function, "problem": problem, "final": true, "token_digest": token}),
        )?;
        self.event(now, EventBody::Returned { step: wanted.seq, attempt, outcome: Outcome::Error(problem) });
        let failure = Failure { error, labels: wanted.arguments.labels.clone() };
        Ok(StepEnd::Tell(Event::Returned { seq: wanted.seq, at: now, result: Err(failure) }))
    }

    /// Certainly nothing was done: ask again later, or give up.
    fn transient(
        &mut self,
        engine: &Engine,
        wanted: &Wanted,
        attempt: Attempt,
        error: WorkflowError,
        token: Option<Digest>,
    ) -> Result<StepEnd, EngineError> {
        let retry = self.pinned.functions.get(&wanted.function).and_then(|f| f.spec.retry.delay_after(attempt.0));
        // Nobody asks again for what the machine does not wait for any more.
        let retry = retry.filter(|_| !self.over && self.board.calls.contains_key(&wanted.seq));
        let Some(delay) = retry else { return self.returned(engine, wanted, attempt, Err(error), token) };
        let now = engine.ports.clock.now();
        let retry_at = now.plus(mandate_kernel::Duration::from_millis(delay));
        let mut problem = problem_of(&error);
        problem.instance = Some(wanted.path.to_string());
        self.ended("retried", wanted);
        self.draft.entry(
            now,
            EventKind::StepFailed,
            self.actor(),
            json!({"step": wanted.seq, "attempt": attempt, "function": wanted.function, "problem": problem, "final": false, "retry_at": retry_at, "token_digest": token}),
        )?;
        self.event(now, EventBody::AttemptFailed { step: wanted.seq, attempt, problem, retry_at });
        self.set_timer(retry_timer(wanted.seq), retry_at);
        Ok(StepEnd::Aside(Aside { waits: Waits::Retry, until: Some(retry_at) }))
    }

    /// Nobody knows: the step waits for a person, or the run is over if it was stopped.
    pub(crate) fn in_doubt(
        &mut self,
        engine: &Engine,
        wanted: &Wanted,
        attempt: Attempt,
        why: Doubt,
        detail: &str,
    ) -> Result<StepEnd, EngineError> {
        let now = engine.ports.clock.now();
        self.ended("in-doubt", wanted);
        self.draft.entry(
            now,
            EventKind::StepInDoubt,
            self.actor(),
            json!({"step": wanted.seq, "attempt": attempt, "function": wanted.function, "why": why, "detail": detail}),
        )?;
        self.event(now, EventBody::InDoubt { step: wanted.seq, attempt, why });
        if why == Doubt::Stopped {
            return Ok(StepEnd::Stopped);
        }
        Ok(self.doubted(wanted, detail))
    }

    /// The step waits until somebody says what became of it.
    pub(crate) fn doubted(&self, wanted: &Wanted, detail: &str) -> StepEnd {
        let problem = Problem {
            type_: "https://mandate.dev/problems/outcome-unknown".to_owned(),
            title: "Nobody knows whether this step happened".to_owned(),
            status: 500,
            detail: Some(format!(
                "{detail}; find out at the receiver of {}, then: mandate runs resolve {} --step {} --happened|--did-not-happen",
                wanted.function, self.run, wanted.seq.0
            )),
            instance: Some(wanted.path.to_string()),
            decision: None,
        };
        StepEnd::Aside(Aside { waits: Waits::Doubt(Box::new(problem)), until: None })
    }

    /// Ends a lease. One that its provider can't end now stays open, and is ended at the next start.
    pub(crate) fn end_lease(
        &mut self,
        engine: &Engine,
        record: &LeaseRecord,
        ended: Result<LeaseEnd, ProviderError>,
    ) -> Result<(), EngineError> {
        let end = match ended {
            Ok(end) => end,
            Err(error) => {
                tracing::error!(lease = %record.lease, credential = %record.credential, %error, "a lease can't be ended now");
                return Ok(());
            }
        };
        let at = engine.ports.clock.now();
        self.draft.lease(LeaseChange::End { lease: record.lease.clone(), at });
        let details = LeaseEnded {
            credential: &record.credential,
            lease: &record.lease,
            residual_until: end.residual,
            revoked_at_provider: end.revoked_at_provider,
            step: record.step.seq,
            version: record.version,
            why: "step ended",
        };
        self.draft.entry(at, EventKind::LeaseEnded, "system:vault".to_owned(), details)
    }
}

/// The error that a receiver's status is.
fn of_status(status: u16, detail: String) -> WorkflowError {
    let kind = match status {
        401 => ErrorKind::Authentication,
        403 => ErrorKind::Authorization,
        408 => ErrorKind::Timeout,
        _ => ErrorKind::Communication,
    };
    WorkflowError { status, ..WorkflowError::new(kind, detail) }
}
