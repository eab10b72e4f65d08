//! Effects under way. Each was judged, admitted and recorded before; several run side by side, and what
//! comes of them is recorded one after the other.

use crate::admit::Admitted;
use crate::claims::Claims;
use crate::driver::{Driver, StepEnd};
use crate::step::Wanted;
use crate::{Engine, EngineError, TenantContext};
use mandate_gate::{Credentials, Effect, EffectFailure, Permit, Reply, Spent, Step};
use mandate_issuer::{IssueError, MintedEnvelope};
use mandate_journal::{Doubt, LeaseRecord};
use mandate_kernel::{Attempt, Clock, Digest, EffectClass, StepSeq, Timestamp, TokenId, crash};
use mandate_vault::{LeaseEnd, LeaseError, ProviderError, VaultError};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::task::JoinSet;
use tracing::Instrument as _;

/// Effects under way.
#[derive(Default)]
pub(crate) struct Flights {
    tasks: JoinSet<Landed>,
    steps: BTreeSet<StepSeq>,
}

impl Flights {
    pub(crate) fn has(&self, seq: StepSeq) -> bool {
        self.steps.contains(&seq)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The next one to land; `None` when none is under way.
    async fn next(&mut self) -> Option<Result<Landed, EngineError>> {
        let landed = self.tasks.join_next().await?;
        let landed = landed.map_err(|error| EngineError::Inconsistent(format!("an effect ended by itself: {error}")));
        if let Ok(landed) = &landed {
            self.steps.remove(&landed.wanted.seq);
        }
        Some(landed)
    }
}

/// What came of an attempt.
pub(crate) struct Landed {
    pub wanted: Wanted,
    pub attempt: Attempt,
    pub result: Result<Reply, EffectFailure>,
    /// Digest of the hop token, where one was minted.
    pub token: Option<Digest>,
    pub lease: Option<(LeaseRecord, Result<LeaseEnd, ProviderError>)>,
    pub span: tracing::Span,
}

/// An admitted attempt with everything its performance needs.
struct Flight {
    context: Arc<TenantContext>,
    clock: Arc<dyn Clock>,
    claims: Arc<Claims>,
    effect: Arc<dyn Effect>,
    timeout_ms: u64,
    wanted: Wanted,
    attempt: Attempt,
    admitted: Admitted,
}

impl Driver {
    /// Spends the permit. With nothing else to do the driver waits for what comes of it; otherwise it goes
    /// on beside it.
    pub(crate) async fn perform(
        &mut self,
        engine: &Engine,
        wanted: Wanted,
        attempt: Attempt,
        admitted: Admitted,
    ) -> Result<StepEnd, EngineError> {
        let function = self.pinned.functions.get(&wanted.function);
        let function = function.ok_or_else(|| EngineError::Absent(format!("function {}", wanted.function)))?;
        let seq = wanted.seq;
        let flight = Flight {
            context: Arc::clone(&self.context),
            clock: Arc::clone(&engine.ports.clock),
            claims: Arc::clone(&engine.claims),
            effect: Arc::clone(&function.effect),
            timeout_ms: function.spec.timeout_ms,
            wanted,
            attempt,
            admitted,
        };
        if self.board.is_alone(seq) {
            self.place.leave();
            let landed = flight.fly().await;
            self.take_turn(engine).await;
            return self.land(engine, landed);
        }
        let span = tracing::Span::current();
        self.board.flights.tasks.spawn(flight.fly().instrument(span));
        self.board.flights.steps.insert(seq);
        Ok(StepEnd::Flying)
    }

    /// Waits until an effect lands and is recorded, or something that is set aside is due (`None`).
    pub(crate) async fn until_landed(
        &mut self,
        engine: &Engine,
        due: Option<Timestamp>,
    ) -> Result<Option<(StepSeq, StepEnd)>, EngineError> {
        let now = engine.ports.clock.now();
        let due = due.map(|due| std::time::Duration::from(due.since(now)));
        let waiting = async {
            match due {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        self.place.leave();
        let landed = tokio::select! {
            biased;
            landed = self.board.flights.next() => Some(landed),
            () = waiting => None,
        };
        self.take_turn(engine).await;
        let Some(landed) = landed else { return Ok(None) };
        match landed {
            Some(landed) => {
                let landed = landed?;
                let seq = landed.wanted.seq;
                self.land(engine, landed).map(|end| Some((seq, end)))
            }
            None => Ok(None),
        }
    }

    /// Waits for every effect under way, and records it. The machine is not told: the run is over.
    pub(crate) async fn drain(&mut self, engine: &Engine) -> Result<(), EngineError> {
        self.over = true;
        if !self.board.flights.is_empty() {
            self.place.leave();
        }
        while let Some(landed) = self.board.flights.next().await {
            self.land(engine, landed?)?;
        }
        self.take_turn(engine).await;
        Ok(())
    }

    fn land(&mut self, engine: &Engine, landed: Landed) -> Result<StepEnd, EngineError> {
        let Landed { wanted, attempt, result, token, lease, span } = landed;
        if let Some((record, ended)) = lease {
            self.end_lease(engine, &record, ended)?;
        }
        span.in_scope(|| self.record(engine, &wanted, attempt, result, token))
    }
}

impl Flight {
    async fn fly(self) -> Landed {
        let Self { context, clock, claims, effect, timeout_ms, wanted, attempt, admitted } = self;
        let Admitted { permit, envelope, token, lease } = admitted;
        let equipped = equip(&context, &permit, envelope, token, lease.as_ref()).await;
        let token = equipped.as_ref().ok().and_then(|(_, digest)| *digest);
        let result = match equipped {
            Err(failure) => Err(failure),
            // A process that was held up may come here when others have the run already.
            Ok(_) if !claims.may_act(&permit.facts().step.run) => {
                Err(EffectFailure::Transient("this node's claim to the run is over; nothing was sent".to_owned()))
            }
            Ok((credentials, _)) => match permit.spend(clock.now()) {
                Err(expired) => Err(EffectFailure::Transient(expired.to_string())),
                Ok(spent) => {
                    crash::point("engine.before-perform");
                    let result = bounded(effect.as_ref(), &spent, credentials, timeout_ms, wanted.effect).await;
                    crash::point("engine.after-perform");
                    result
                }
            },
        };
        let lease = match lease {
            None => None,
            Some(record) => {
                let ended = context.vault.end(&record).await;
                Some((record, ended))
            }
        };
        Landed { wanted, attempt, result, token, lease, span: tracing::Span::current() }
    }
}

/// Mints and leases what the permit allows. What can't be had is a failure of the step: nothing was sent.
async fn equip(
    context: &TenantContext,
    permit: &Permit<Step>,
    envelope: MintedEnvelope,
    token: Option<TokenId>,
    lease: Option<&LeaseRecord>,
) -> Result<(Credentials, Option<Digest>), EffectFailure> {
    let not_minted = |why: IssueError| EffectFailure::Definite { status: 500, detail: why.to_string() };
    let mut credentials = Credentials::default();
    let mut digest = None;
    if let Some(jti) = token {
        let minted = context.issuer().hop(permit, jti, &envelope).map_err(not_minted)?;
        digest = minted.as_ref().map(|hop| hop.digest);
        credentials.hop = minted.map(|hop| hop.credential);
    }
    if let Some(record) = lease {
        credentials.leased = Some(context.vault.lease(permit, record).await.map_err(not_lent)?);
    }
    credentials.envelope = Some(envelope.token);
    Ok((credentials, digest))
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
