//! One step: prepare → judge → admit → perform → record.

use crate::driver::{Driver, StepEnd, problem_of};
use crate::history::{Returned, StepState};
use crate::record::{self, Decided, Given};
use crate::{Engine, EngineError};
use mandate_directory::FunctionSpec;
use mandate_flow::{ErrorKind, Event, Failure, Labelled, WorkflowError};
use mandate_gate::{
    AdmitError, Allowed, AuthorityRoot, Call, CredentialFacts, Credentials, EffectFailure, GrantFacts, Judged, NotYet,
    Permit, Prepared, Refusal, Reply, Spent, Step, StepFacts,
};
use mandate_issuer::MintedEnvelope;
use mandate_journal::{
    CommitError, Doubt, EventBody, LeaseChange, LeaseRecord, LeaseState, Outcome, Problem, RunState, Stored, WaitingFor,
};
use mandate_kernel::{
    Attempt, DecisionId, Digest, EffectClass, FunctionName, IdentityModel, Labels, LeaseId, Limits, Source, StepKey,
    StepPath, StepSeq, TokenId, crash,
};
use mandate_ledger::EventKind;
use mandate_policy::GateKind;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tracing::Instrument;

/// How often a decision is made again because somebody was revoked, or configuration changed, while it
/// was made durable. Beyond that the run stops and is taken up again later.
const MAX_REJUDGE: u32 = 16;

/// The step the machine asked for.
struct Wanted {
    seq: StepSeq,
    path: StepPath,
    function: FunctionName,
    arguments: Labelled,
    effect: EffectClass,
}

/// What an admitted attempt goes on with.
struct Admitted {
    permit: Permit<Step>,
    envelope: MintedEnvelope,
    token: Option<TokenId>,
    lease: Option<LeaseRecord>,
}

/// What judging and admitting came to.
enum Verdict {
    Admitted(Box<Admitted>),
    End(StepEnd),
}

impl Driver {
    /// Takes one step as far as it goes now: from the history, or anew.
    pub(crate) async fn step(
        &mut self,
        engine: &Engine,
        seq: StepSeq,
        path: StepPath,
        function: FunctionName,
        arguments: Labelled,
    ) -> Result<StepEnd, EngineError> {
        let effect = self.pinned.functions.get(&function).map_or(EffectClass::Once, |f| f.spec.effect);
        let wanted = Wanted { seq, path, function, arguments, effect };
        let attempt = match self.history.steps.remove(&seq) {
            None => Attempt(1),
            Some(StepState::Returned { at, outcome }) => return self.replay(&wanted, at, outcome).await,
            Some(StepState::Gated) => return self.stay_parked(),
            Some(StepState::InDoubt { .. }) => return self.stay_parked(),
            Some(StepState::Cleared { attempt }) => Attempt(attempt.0 + 1),
            Some(StepState::Failed { attempt, retry_at }) if retry_at <= engine.ports.clock.now() => {
                Attempt(attempt.0 + 1)
            }
            Some(StepState::Failed { retry_at, .. }) => {
                self.set_timer(retry_timer(seq), retry_at);
                self.commit(engine).await?;
                return Ok(StepEnd::Park);
            }
            Some(StepState::Open { attempt, effect: EffectClass::Once, .. }) => {
                return self
                    .in_doubt(
                        engine,
                        &wanted,
                        attempt,
                        Doubt::Crash,
                        "the process ended before the answer was recorded",
                    )
                    .await;
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
            actor = %self.new.initiator.subject(), worker = %self.new.worker, class = ?self.new.class.impact,
            scopes = tracing::field::Empty, outcome = tracing::field::Empty,
        );
        self.attempt(engine, wanted, attempt).instrument(span).await
    }

    async fn attempt(&mut self, engine: &Engine, wanted: Wanted, attempt: Attempt) -> Result<StepEnd, EngineError> {
        match self.admit(engine, &wanted, attempt).await? {
            Verdict::End(end) => Ok(end),
            Verdict::Admitted(admitted) => self.perform(engine, wanted, attempt, *admitted).await,
        }
    }

    /// Judges the attempt until a decision is durable.
    async fn admit(&mut self, engine: &Engine, wanted: &Wanted, attempt: Attempt) -> Result<Verdict, EngineError> {
        let kept = self.draft.clone();
        for _ in 0..MAX_REJUDGE {
            if self.is_stopped() {
                self.cancel(engine, &[]).await?;
                return Ok(Verdict::End(StepEnd::Over));
            }
            let (prepared, facts) = match self.prepare(wanted, attempt) {
                Ok(ready) => ready,
                Err(error) => return self.returned(engine, wanted, attempt, Err(error), None).map(Verdict::End),
            };
            let now = engine.ports.clock.now();
            let decision = DecisionId::generate(now, engine.ports.entropy.as_ref())?;
            let arguments = self.seal(&wanted.arguments.value, &wanted.arguments.labels)?;
            let kept_facts = facts.clone();
            let judged = engine.gate.judge(decision, &self.catalog.policies, facts, prepared.clone(), now);
            let allowed = match judged {
                Judged::Refused(refusal) => {
                    return self.refused(engine, &kept_facts, &prepared, &arguments, &refusal).await.map(Verdict::End);
                }
                Judged::NotYet(gated) => {
                    return self.gated(engine, &kept_facts, &arguments, *gated).await.map(Verdict::End);
                }
                Judged::Allowed(allowed) => allowed,
            };
            match self.make_durable(engine, wanted, &arguments, allowed).await {
                Ok(admitted) => return Ok(Verdict::Admitted(Box::new(admitted))),
                Err(EngineError::Admit(AdmitError::Commit(CommitError::Revoked { .. }))) => {
                    self.draft = kept.clone();
                    self.refresh().await?;
                }
                Err(EngineError::Admit(AdmitError::Stopped)) => {
                    // The decision is durable, but nothing was sent: no doubt.
                    self.was_committed(engine);
                    self.refresh_standing().await?;
                }
                Err(other) => return Err(other),
            }
        }
        Err(EngineError::Timeout("a decision that stays valid until it is durable".to_owned()))
    }

    /// Turns the call into one exact request, and gathers what it is judged by.
    fn prepare(&self, wanted: &Wanted, attempt: Attempt) -> Result<(Prepared, StepFacts), WorkflowError> {
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
            authority: self.header.authority.clone(),
            root: self.root_of(spec, &wanted.function),
            credential: pinned.credential.as_ref().map(|bound| CredentialFacts {
                name: bound.name.clone(),
                version: bound.version,
                environment: bound.spec.environment.clone(),
                destinations: bound.spec.destinations.clone(),
            }),
            standing: self.standing.clone(),
        };
        Ok((prepared, facts))
    }

    /// Which of the two roots of authority a function rests on: its model says.
    fn root_of(&self, spec: &FunctionSpec, function: &FunctionName) -> AuthorityRoot {
        if spec.model != IdentityModel::ServiceAccount {
            return AuthorityRoot::Initiator;
        }
        let bound = self.pinned.functions.get(function).and_then(|f| f.credential.as_ref());
        AuthorityRoot::Grant(bound.and_then(|bound| {
            bound.grant.as_ref().map(|(name, grant)| GrantFacts {
                name: name.clone(),
                owner: bound.spec.owner.clone(),
                credential: grant.credential.clone(),
                worker_version: grant.worker_version,
                function_version: grant.function_version,
                environment: grant.environment.clone(),
                not_after: grant.not_after,
            })
        }))
    }

    /// Records the decision with everything the attempt will be given, and has the gate admit it.
    async fn make_durable(
        &mut self,
        engine: &Engine,
        wanted: &Wanted,
        arguments: &Stored,
        allowed: Box<Allowed>,
    ) -> Result<Admitted, EngineError> {
        let now = engine.ports.clock.now();
        let facts = allowed.facts();
        let key = facts.step.clone();
        let predecessors = vec![self.latest_envelope];
        let envelope = self.context.issuer().envelope(&self.root, &allowed, &predecessors)?;
        let token = match allowed.hop() {
            Some(_) => Some(TokenId::generate(now, engine.ports.entropy.as_ref())?),
            None => None,
        };
        let lease = match (&facts.credential, &allowed.prepared().slot) {
            (Some(credential), Some(_)) => Some(LeaseRecord {
                lease: LeaseId::generate(now, engine.ports.entropy.as_ref())?,
                step: key.clone(),
                credential: credential.name.clone(),
                version: credential.version,
                not_after: allowed.not_after(),
                state: LeaseState::Intended,
            }),
            _ => None,
        };
        let explanation = serde_json::to_value(&allowed.policy().explanation).unwrap_or(Value::Null);
        let labels = facts.labels.clone();
        let explanation = self.seal(&explanation, &labels)?;
        let decided = Decided {
            decision: allowed.decision(),
            status: "allow",
            reason: None,
            facts: allowed.facts(),
            prepared: allowed.prepared(),
            policy: Some(allowed.policy()),
            explanation: Some(&explanation),
            arguments,
        };
        let mut details = decided.details();
        let given = Given {
            envelope: envelope.digest,
            predecessors: &predecessors,
            token: token.as_ref(),
            hop: allowed.hop(),
            lease: lease.as_ref().map(|l| &l.lease),
        };
        given.add_to(&mut details);
        self.draft.entry(now, EventKind::StepDecided, self.actor(), details)?;
        self.draft.event(
            now,
            EventBody::Admitted {
                step: key.seq,
                attempt: key.attempt,
                path: wanted.path.clone(),
                function: wanted.function.to_string(),
                decision: allowed.decision().clone(),
                request: allowed.prepared().digest(),
                arguments: arguments.clone(),
                effect: wanted.effect,
                token: token.clone(),
                lease: lease.as_ref().map(|l| l.lease.clone()),
                envelope: envelope.digest,
                not_after: allowed.not_after(),
            },
        );
        if let Some(lease) = &lease {
            self.draft.lease(LeaseChange::Intend(lease.clone()));
        }
        self.clear_timer(&retry_timer(key.seq));
        let scopes = allowed.facts().scopes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        tracing::Span::current().record("scopes", scopes).record("outcome", "allow");
        let permit = engine.gate.admit(allowed, self.draft.transition(), self.context.store.as_ref()).await?;
        self.was_committed(engine);
        self.latest_envelope = envelope.digest;
        Ok(Admitted { permit, envelope, token, lease })
    }

    /// Spends the permit, and records what came of it.
    async fn perform(
        &mut self,
        engine: &Engine,
        wanted: Wanted,
        attempt: Attempt,
        admitted: Admitted,
    ) -> Result<StepEnd, EngineError> {
        let Admitted { permit, envelope, token, lease } = admitted;
        let effect = match self.pinned.functions.get(&wanted.function) {
            Some(function) => std::sync::Arc::clone(&function.effect),
            None => return Err(EngineError::Absent(format!("function {}", wanted.function))),
        };
        let timeout = self.pinned.functions.get(&wanted.function).map_or(10_000, |f| f.spec.timeout_ms);
        let mut credentials = Credentials::default();
        let mut token_digest = None;
        if let Some(jti) = token {
            let minted = self.context.issuer().hop(&permit, jti, &envelope)?;
            if let Some(minted) = minted {
                token_digest = Some(minted.digest);
                credentials.hop = Some(minted.credential);
            }
        }
        credentials.envelope = Some(envelope.token);
        let leased = match &lease {
            Some(record) => self.context.vault.lease(&permit, record).await.map(Some),
            None => Ok(None),
        };
        let result = match leased {
            Err(why) => Err(EffectFailure::Definite { status: 500, detail: why.to_string() }),
            Ok(leased) => {
                credentials.leased = leased;
                match permit.spend(engine.ports.clock.now()) {
                    Err(expired) => Err(EffectFailure::Transient(expired.to_string())),
                    Ok(spent) => {
                        crash::point("engine.before-perform");
                        let result = bounded(effect.as_ref(), &spent, credentials, timeout, wanted.effect).await;
                        crash::point("engine.after-perform");
                        result
                    }
                }
            }
        };
        if let Some(record) = &lease {
            self.end_lease(engine, record).await?;
        }
        self.record(engine, wanted, attempt, result, token_digest).await
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

    fn succeeded(
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
        self.draft.entry(
            now,
            EventKind::StepSucceeded,
            self.actor(),
            json!({
                "step": wanted.seq, "attempt": attempt, "function": wanted.function, "output": record::commitment(&stored),
                "observed": {"reply_digest": reply.observed}, "claimed_by_remote": reply.claimed.by_remote,
                "token_digest": token,
            }),
        )?;
        self.draft.event(now, EventBody::Returned { step: wanted.seq, attempt, outcome: Outcome::Value(stored) });
        Ok(StepEnd::Tell(Event::Returned {
            seq: wanted.seq,
            at: now,
            result: Ok(Labelled { value: reply.value, labels }),
        }))
    }

    /// The step ended with an error the workflow may catch.
    fn returned(
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
    async fn in_doubt(
        &mut self,
        engine: &Engine,
        wanted: &Wanted,
        attempt: Attempt,
        why: Doubt,
        detail: &str,
    ) -> Result<StepEnd, EngineError> {
        let now = engine.ports.clock.now();
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

    async fn refused(
        &mut self,
        engine: &Engine,
        facts: &StepFacts,
        prepared: &Prepared,
        arguments: &Stored,
        refusal: &Refusal,
    ) -> Result<StepEnd, EngineError> {
        let now = engine.ports.clock.now();
        let explanation = match &refusal.policy {
            Some(policy) => {
                let value = serde_json::to_value(&policy.explanation).unwrap_or(Value::Null);
                Some(self.seal(&value, &facts.labels)?)
            }
            None => None,
        };
        let decided = Decided {
            decision: &refusal.decision,
            status: "deny",
            reason: Some(format!("{}: {}", refusal.kind.code(), refusal.kind)),
            facts,
            prepared,
            policy: refusal.policy.as_ref(),
            explanation: explanation.as_ref(),
            arguments,
        };
        self.draft.entry(now, EventKind::StepDecided, self.actor(), decided.details())?;
        let mut problem = refusal.problem();
        problem.instance = Some(facts.path.to_string());
        tracing::Span::current().record("outcome", "deny");
        tracing::warn!(run = %self.run, decision = %refusal.decision, reason = refusal.kind.code(), "step refused");
        self.end(engine, RunState::Refused, None, None, Some(problem)).await?;
        Ok(StepEnd::Over)
    }

    async fn gated(
        &mut self,
        engine: &Engine,
        facts: &StepFacts,
        arguments: &Stored,
        gated: NotYet,
    ) -> Result<StepEnd, EngineError> {
        let now = engine.ports.clock.now();
        let explanation = serde_json::to_value(&gated.policy.explanation).unwrap_or(Value::Null);
        let explanation = self.seal(&explanation, &facts.labels)?;
        let gates: Vec<String> = gated.gates.iter().map(|g| g.kind.to_string()).collect();
        let decided = Decided {
            decision: &gated.decision,
            status: "not-yet",
            reason: Some(format!("waits for {}", gates.join(", "))),
            facts,
            prepared: &gated.prepared,
            policy: Some(&gated.policy),
            explanation: Some(&explanation),
            arguments,
        };
        self.draft.entry(now, EventKind::StepDecided, self.actor(), decided.details())?;
        self.draft.event(
            now,
            EventBody::Gated {
                step: facts.step.seq,
                path: facts.path.clone(),
                gates,
                request: gated.prepared.digest(),
                decision: gated.decision.clone(),
            },
        );
        let approval = gated.gates.iter().any(|g| matches!(g.kind, GateKind::Approval { .. }));
        tracing::Span::current().record("outcome", "not-yet");
        self.park(engine, if approval { WaitingFor::Approval } else { WaitingFor::StepUp }, None).await?;
        Ok(StepEnd::Park)
    }

    /// The journal knows how the step ended.
    async fn replay(
        &self,
        wanted: &Wanted,
        at: mandate_kernel::Timestamp,
        outcome: Returned,
    ) -> Result<StepEnd, EngineError> {
        let result = match outcome {
            Returned::Value(stored) => Ok(Labelled { value: self.open(&stored).await?, labels: stored.labels }),
            Returned::Error(problem) => {
                let error = WorkflowError {
                    type_: problem.type_,
                    status: problem.status,
                    title: Some(problem.title),
                    detail: problem.detail,
                    instance: problem.instance.map(StepPath),
                };
                Err(Failure { error, labels: wanted.arguments.labels.clone() })
            }
        };
        Ok(StepEnd::Tell(Event::Returned { seq: wanted.seq, at, result }))
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

    /// It waits for people: nothing changes by looking at it again.
    const fn stay_parked(&self) -> Result<StepEnd, EngineError> {
        Ok(StepEnd::Park)
    }

    async fn end_lease(&mut self, engine: &Engine, record: &LeaseRecord) -> Result<(), EngineError> {
        let end = self.context.vault.end(record).await?;
        let at = engine.ports.clock.now();
        self.draft.lease(LeaseChange::End { lease: record.lease.clone(), at });
        let details = json!({
            "lease": record.lease, "credential": record.credential, "version": record.version, "step": record.step.seq,
            "why": "step ended", "revoked_at_provider": end.revoked_at_provider, "residual_until": end.residual,
        });
        self.draft.entry(at, EventKind::LeaseEnded, "system:vault".to_owned(), details)
    }

    /// Who acts in a step: the Worker.
    fn actor(&self) -> String {
        format!("worker:{}", self.new.worker)
    }
}

fn retry_timer(seq: StepSeq) -> String {
    format!("retry:{}", seq.0)
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
        done = tokio::time::timeout(limit, effect.perform(spent, credentials)) => done.unwrap_or_else(|_| {
            let detail = format!("no answer within {timeout_ms} ms");
            match class {
                // The same key may be sent again; a read changes nothing.
                EffectClass::Read | EffectClass::Idempotent => Err(EffectFailure::Transient(detail)),
                EffectClass::Once => Err(EffectFailure::Unknown { why: Doubt::Connection, detail }),
            }
        }),
        () = spent.stopped() => Err(EffectFailure::Unknown { why: Doubt::Stopped, detail: "the run was stopped while the request was on the wire".to_owned() }),
    }
}
