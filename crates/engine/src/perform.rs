//! Performing an admitted attempt, and recording what came of it.

use crate::admit::Admitted;
use crate::driver::{Driver, StepEnd, problem_of};
use crate::meter::Mark;
use crate::step::{Wanted, retry_timer};
use crate::{Engine, EngineError, record};
use mandate_flow::{ErrorKind, Event, Failure, Labelled, WorkflowError};
use mandate_gate::{Credentials, EffectFailure, Permit, Reply, Spent, Step};
use mandate_issuer::{IssueError, MintedEnvelope};
use mandate_journal::{Doubt, EventBody, LeaseChange, LeaseRecord, Outcome, Problem, WaitingFor};
use mandate_kernel::{Attempt, Digest, EffectClass, Labels, Source, TokenId, crash};
use mandate_ledger::EventKind;
use mandate_vault::{LeaseError, ProviderError, VaultError};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Driver {
    /// Spends the permit, and records what came of it.
    pub(crate) async fn perform(
        &mut self,
        engine: &Engine,
        wanted: Wanted,
        attempt: Attempt,
        admitted: Admitted,
    ) -> Result<StepEnd, EngineError> {
        let Admitted { permit, envelope, token, lease } = admitted;
        let function = self.pinned.functions.get(&wanted.function);
        let function = function.ok_or_else(|| EngineError::Absent(format!("function {}", wanted.function)))?;
        let (effect, timeout) = (Arc::clone(&function.effect), function.spec.timeout_ms);
        let equipped = self.equip(&permit, envelope, token, lease.as_ref()).await;
        let token_digest = equipped.as_ref().ok().and_then(|(_, digest)| *digest);
        let result = match equipped {
            Err(failure) => Err(failure),
            Ok((credentials, _)) => match permit.spend(engine.ports.clock.now()) {
                Err(expired) => Err(EffectFailure::Transient(expired.to_string())),
                Ok(spent) => {
                    crash::point("engine.before-perform");
                    let result = bounded(effect.as_ref(), &spent, credentials, timeout, wanted.effect).await;
                    crash::point("engine.after-perform");
                    result
                }
            },
        };
        if let Some(record) = &lease {
            self.end_lease(engine, record).await?;
        }
        self.record(engine, wanted, attempt, result, token_digest).await
    }

    /// Mints and leases what the permit allows. What can't be had is a failure of the step: nothing was
    /// sent.
    async fn equip(
        &self,
        permit: &Permit<Step>,
        envelope: MintedEnvelope,
        token: Option<TokenId>,
        lease: Option<&LeaseRecord>,
    ) -> Result<(Credentials, Option<Digest>), EffectFailure> {
        let not_minted = |why: IssueError| EffectFailure::Definite { status: 500, detail: why.to_string() };
        let mut credentials = Credentials::default();
        let mut digest = None;
        if let Some(jti) = token {
            let minted = self.context.issuer().hop(permit, jti, &envelope).map_err(not_minted)?;
            digest = minted.as_ref().map(|hop| hop.digest);
            credentials.hop = minted.map(|hop| hop.credential);
        }
        if let Some(record) = lease {
            credentials.leased = Some(self.context.vault.lease(permit, record).await.map_err(not_lent)?);
        }
        credentials.envelope = Some(envelope.token);
        Ok((credentials, digest))
    }

    async fn record(
        &mut self,
        engine: &Engine,
        wanted: Wanted,
        attempt: Attempt,
        result: Result<Reply, EffectFailure>,
        token: Option<Digest>,
    ) -> Result<StepEnd, EngineError> {
        match result {
            Ok(reply) => self.succeeded(engine, &wanted, attempt, reply, token),
            Err(EffectFailure::Definite { status, detail }) => {
                let kind = match status {
                    401 => ErrorKind::Authentication,
                    403 => ErrorKind::Authorization,
                    408 => ErrorKind::Timeout,
                    _ => ErrorKind::Communication,
                };
                let mut error = WorkflowError::new(kind, detail);
                error.status = status;
                self.returned(engine, &wanted, attempt, Err(error), token)
            }
            Err(EffectFailure::Unknown { why: Doubt::Stopped, .. }) if wanted.effect == EffectClass::Read => {
                self.stopped(engine, &[]).await
            }
            Err(EffectFailure::Unknown { why, detail }) => self.in_doubt(engine, &wanted, attempt, why, &detail).await,
            Err(EffectFailure::Transient(detail)) => self.transient(engine, &wanted, attempt, detail, token).await,
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
            json!({
                "step": wanted.seq, "attempt": attempt, "function": wanted.function, "output": record::commitment(&stored),
                "observed": {"reply_digest": reply.observed}, "claimed_by_remote": reply.claimed.by_remote,
                "checks": checked, "token_digest": token,
            }),
        )?;
        self.draft.event(now, EventBody::Returned { step: wanted.seq, attempt, outcome: Outcome::Value(stored) });
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
        self.draft.event(now, EventBody::Returned { step: wanted.seq, attempt, outcome: Outcome::Error(problem) });
        let failure = Failure { error, labels: wanted.arguments.labels.clone() };
        Ok(StepEnd::Tell(Event::Returned { seq: wanted.seq, at: now, result: Err(failure) }))
    }

    /// Certainly nothing was done: ask again later, or give up.
    async fn transient(
        &mut self,
        engine: &Engine,
        wanted: &Wanted,
        attempt: Attempt,
        detail: String,
        token: Option<Digest>,
    ) -> Result<StepEnd, EngineError> {
        let retry = self.pinned.functions.get(&wanted.function).and_then(|f| f.spec.retry.delay_after(attempt.0));
        let error = WorkflowError::new(ErrorKind::Communication, detail);
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
        self.draft.event(now, EventBody::AttemptFailed { step: wanted.seq, attempt, problem, retry_at });
        self.set_timer(retry_timer(wanted.seq), retry_at);
        self.commit(engine).await?;
        Ok(StepEnd::Park)
    }

    /// Nobody knows: the run waits for a person, or is over if it was stopped.
    pub(crate) async fn in_doubt(
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
        self.draft.event(now, EventBody::InDoubt { step: wanted.seq, attempt, why });
        if why == Doubt::Stopped {
            return self.stopped(engine, &[wanted.function.to_string()]).await;
        }
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
        self.park(engine, WaitingFor::OutcomeUnknown, Some(problem)).await?;
        Ok(StepEnd::Park)
    }

    async fn stopped(&mut self, engine: &Engine, in_doubt: &[String]) -> Result<StepEnd, EngineError> {
        self.cancel(engine, in_doubt).await?;
        Ok(StepEnd::Over)
    }

    /// Ends a lease. One that its provider can't end now stays open, and is ended at the next start.
    async fn end_lease(&mut self, engine: &Engine, record: &LeaseRecord) -> Result<(), EngineError> {
        let end = match self.context.vault.end(record).await {
            Ok(end) => end,
            Err(error) => {
                tracing::error!(lease = %record.lease, credential = %record.credential, %error, "a lease can't be ended now");
                return Ok(());
            }
        };
        let at = engine.ports.clock.now();
        self.draft.lease(LeaseChange::End { lease: record.lease.clone(), at });
        let details = json!({
            "lease": record.lease, "credential": record.credential, "version": record.version, "step": record.step.seq,
            "why": "step ended", "revoked_at_provider": end.revoked_at_provider, "residual_until": end.residual,
        });
        self.draft.entry(at, EventKind::LeaseEnded, "system:vault".to_owned(), details)
    }
}

/// Whether a credential may be lent at a later attempt.
fn not_lent(why: LeaseError) -> EffectFailure {
    let detail = why.to_string();
    match why {
        LeaseError::Expired(_)
        | LeaseError::Provider(ProviderError::Unavailable(_) | ProviderError::Vault(VaultError::Store(_))) => {
            EffectFailure::Transient(detail)
        }
        _ => EffectFailure::Definite { status: 500, detail },
    }
}

/// Performs with a bound on time, until somebody stops the run.
async fn bounded(
    effect: &dyn mandate_gate::Effect,
    spent: &Spent,
    credentials: Credentials,
    timeout_ms: u64,
    class: EffectClass,
) -> Result<Reply, EffectFailure> {
    let limit = std::time::Duration::from_millis(timeout_ms);
    tokio::select! {
        biased;
        () = spent.stopped() => Err(EffectFailure::Unknown { why: Doubt::Stopped, detail: "the run was stopped while the request was on the wire".to_owned() }),
        done = tokio::time::timeout(limit, effect.perform(spent, credentials)) => done.unwrap_or_else(|_| {
            let detail = format!("no answer within {timeout_ms} ms");
            match class {
                // The same key may be sent again; a read changes nothing.
                EffectClass::Read | EffectClass::Idempotent => Err(EffectFailure::Transient(detail)),
                EffectClass::Once => Err(EffectFailure::Unknown { why: Doubt::Connection, detail }),
            }
        }),
    }
}
