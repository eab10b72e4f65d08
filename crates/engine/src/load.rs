//! Loading a run from its journal: the state of the machine is not stored, it is the journal replayed.

use crate::board::Board;
use crate::claims::{Claimed, Own};
use crate::draft::Draft;
use crate::driver::{Driver, Wake};
use crate::events::ARRIVED;
use crate::header::RunHeader;
use crate::history::History;
use crate::pinned::{Pinned, Versions};
use crate::seen::Results;
use crate::turns::Place;
use crate::{Engine, EngineError, TenantContext, rollback};
use mandate_flow::{Labelled, Machine, Start};
use mandate_gate::{GivenApproval, StandingFacts};
use mandate_identity::Work;
use mandate_issuer::{Issuer, MintedEnvelope};
use mandate_journal::{ApprovalState, LeaseChange, NewRun, RunRecord, RunState, RunStatus, Stored, TenantStore};
use mandate_kernel::{Duration, Labels, RunId, Timestamp};
use mandate_ledger::{Entry, EventKind};
use mandate_vault::SubjectKey;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

impl Driver {
    /// Loads a run from its journal. It is this process's own, at that epoch ([`Engine::acquire`]).
    pub(crate) async fn load(
        engine: &Engine,
        context: Arc<TenantContext>,
        run: &RunId,
        wake: Wake,
        (epoch, claim): (u64, Option<Claimed>),
    ) -> Result<Self, EngineError> {
        let store = Arc::clone(&context.store);
        let stored = store.run(run).await?.ok_or_else(|| EngineError::Absent(format!("run {run}")))?;
        let header = header_of(&stored)?;
        // Before the configuration: what changes in between makes the next decision be made again.
        let standing = standing(store.as_ref(), &header).await?;
        let history = History::of(store.journal(run).await?);
        only_evidenced(&context, run, &history).await?;
        let pinned = pinned(engine, &context, &stored.new, run, &header).await?;
        engine.still_allows(&stored.status, &pinned.program)?;
        let subject = context.vault.subject(&stored.new.initiator.subject()).await?;
        let (started_at, input, version) =
            history.input.clone().ok_or_else(|| EngineError::Inconsistent(format!("{run} has no beginning")))?;
        of_this_machine(run, version)?;
        let value = open(&context, &subject, &input).await?;
        let root = mint_root(
            &stored.new,
            run,
            &header,
            input.labels.clone(),
            started_at,
            &context.issuer_at(&engine.ports, header.token_key).await?,
        )?;
        let start = Start { run: run.clone(), input: Labelled { value, labels: input.labels }, started_at };
        let (machine, intents) = Machine::start(Arc::clone(&pinned.program), start);
        let mut driver = Self {
            catalog: context.catalog().await?,
            held: OnceLock::new(),
            latest_envelope: history.envelope.unwrap_or(root.digest),
            timers: store.timers(run).await?.into_iter().map(|t| t.name).collect(),
            run: run.clone(),
            new: stored.new,
            header,
            pinned,
            machine,
            board: Board::default(),
            replaying: true,
            over: false,
            as_found: None,
            history,
            results: Results::default(),
            draft: Draft::new(context.tenant.clone(), run.clone(), stored.journal_seq, epoch, stored.chain),
            subject,
            standing,
            root,
            evaluating: Duration::default(),
            begun: None,
            place: Place::default(),
            own: Own::of(claim),
            context,
        };
        driver.intake(engine, intents)?;
        driver.end_open_leases(engine).await?;
        driver.clear_timer(ARRIVED);
        driver.as_found = stored.status.waiting_for.map(|waiting| (driver.draft.clone(), waiting));
        driver.note_wake(engine, &stored.status, wake)?;
        Ok(driver)
    }

    /// Records that the run goes on, and why. A run that has ended is only looked at for its leases.
    fn note_wake(&mut self, engine: &Engine, status: &RunStatus, wake: Wake) -> Result<(), EngineError> {
        if status.state.is_terminal() {
            return Ok(());
        }
        let now = engine.ports.clock.now();
        let kind = match (wake, status.state) {
            (Wake::Recovery, _) => EventKind::RunRecovered,
            (Wake::Person | Wake::Timer | Wake::Event, RunState::Waiting) => EventKind::RunResumed,
            // Between two attempts the run was never said to wait.
            (Wake::Person | Wake::Timer | Wake::Event, _) => return Ok(()),
        };
        let was = json!({"state": status.state, "waiting_for": status.waiting_for});
        self.draft.entry(now, kind, "system:engine".to_owned(), json!({"was": was}))?;
        if status.state == RunState::Waiting {
            self.draft.status(RunStatus { state: RunState::Running, waiting_for: None, since: now, problem: None });
        }
        Ok(())
    }

    /// Ends the leases that a crash, or a stop just before the request was sent, left open.
    pub(crate) async fn end_open_leases(&mut self, engine: &Engine) -> Result<(), EngineError> {
        for lease in self.context.store.open_leases(&self.run).await? {
            let end = self.context.vault.end(&lease).await?;
            let at = engine.ports.clock.now();
            self.draft.lease(LeaseChange::End { lease: lease.lease.clone(), at });
            let mut details = json!({"lease": lease.lease, "credential": lease.credential, "why": "recovery", "revoked_at_provider": end.revoked_at_provider, "residual_until": end.residual});
            let (kind, by) = (EventKind::LeaseEnded, "system:vault".to_owned());
            if self.history.ended {
                // The run's chain is closed: the entry names the run instead of continuing it.
                if let Value::Object(map) = &mut details {
                    map.insert("of_run".to_owned(), json!(self.run));
                }
                self.draft.entry_alone(at, kind, by, details)?;
            } else {
                self.draft.entry(at, kind, by, details)?;
            }
        }
        Ok(())
    }
}

/// A run is driven by the version of the machine that began it.
fn of_this_machine(run: &RunId, version: u32) -> Result<(), EngineError> {
    if version == Machine::VERSION {
        return Ok(());
    }
    Err(EngineError::Inconsistent(format!("{run} was begun by machine version {version}, which is not here")))
}

/// What the run is pinned to.
async fn pinned(
    engine: &Engine,
    context: &TenantContext,
    new: &NewRun,
    run: &RunId,
    header: &RunHeader,
) -> Result<Pinned, EngineError> {
    let (store, worker) = (context.store.as_ref(), new.worker.as_str());
    let record = store.resource_by_digest("Worker", worker, &new.worker_version).await?;
    let record = record.ok_or_else(|| EngineError::Absent(format!("Worker {worker} in the version of {run}")))?;
    let mut pinned = Pinned::load(&engine.ports, store, &record, Versions::Pinned(&header.functions)).await?;
    if let Some(rollback) = &header.rollback {
        pinned.program = rollback::recorded(context, run, rollback).await?;
    }
    Ok(pinned)
}

/// A yes counts only if the run's ledger chain says who gave it to what, and the approval's own row says so under
/// the core's code: rows of the journal and entries that wait for the tree could have been written by whoever can
/// write to the database (I6, I10).
async fn only_evidenced(context: &TenantContext, run: &RunId, history: &History) -> Result<(), EngineError> {
    if history.approvals.is_empty() {
        return Ok(());
    }
    let store = context.store.as_ref();
    for yes in history.approvals.values().flatten() {
        let row = store.approval(&yes.approval).await?;
        let given = row.is_some_and(|row| {
            row.run == *run
                && row.state == ApprovalState::Approved
                && row.binding == yes.binding
                && row.decided_by.as_ref() == Some(&yes.by)
                && context.rows.approval_holds(&row)
        });
        if !given {
            return Err(EngineError::Inconsistent(format!(
                "{run} holds an approval, {}, that nobody is known to have given: somebody changed the database",
                yes.approval
            )));
        }
    }
    let mut given = BTreeSet::new();
    for (_, bytes) in store.run_entries(run).await? {
        let (_, event) =
            Entry::decode(&bytes).map_err(|e| EngineError::Inconsistent(format!("an entry of {run}: {e}")))?;
        let part = |name: &str| event.details.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        if event.kind == EventKind::ApprovalGiven {
            given.insert((part("approval"), part("digest"), part("by")));
        }
    }
    let is_given =
        |yes: &GivenApproval| given.contains(&(yes.approval.to_string(), yes.binding.to_string(), yes.by.clone()));
    if history.approvals.values().flatten().all(is_given) {
        Ok(())
    } else {
        Err(EngineError::Inconsistent(format!("{run} holds an approval that the ledger knows nothing of")))
    }
}

fn header_of(stored: &RunRecord) -> Result<RunHeader, EngineError> {
    serde_json::from_value(stored.new.header.clone())
        .map_err(|e| EngineError::Inconsistent(format!("header of {}: {e}", stored.run)))
}

/// The revocation facts of a run, read in one moment.
pub(crate) async fn standing(store: &dyn TenantStore, header: &RunHeader) -> Result<StandingFacts, EngineError> {
    let keys: Vec<_> = header.epochs.iter().map(|(key, _)| key.clone()).collect();
    let standing = store.standing(&keys).await?;
    let risen = header.epochs.iter().zip(&standing.epochs).filter(|((_, then), now)| *now > then);
    Ok(StandingFacts { revocations: standing.revocations, revoked: risen.map(|((key, _), _)| key.clone()).collect() })
}

pub(crate) async fn open(context: &TenantContext, subject: &SubjectKey, stored: &Stored) -> Result<Value, EngineError> {
    let payload = context
        .store
        .payload(&stored.commitment)
        .await?
        .ok_or_else(|| EngineError::Absent(format!("payload {}", stored.commitment)))?;
    Ok(subject.open(&payload)?)
}

/// The run's own envelope. The same facts under the same key give the same envelope, so that recovery
/// makes it again.
pub(crate) fn mint_root(
    new: &NewRun,
    run: &RunId,
    header: &RunHeader,
    labels: Labels,
    at: Timestamp,
    issuer: &Issuer,
) -> Result<MintedEnvelope, EngineError> {
    Ok(issuer.start(mandate_issuer::Start {
        run: run.clone(),
        work: Work {
            tenant: new.initiator.tenant.clone(),
            initiator: new.initiator.clone(),
            purpose: new.purpose.clone(),
            class: new.class.clone(),
            environment: new.environment.clone(),
            worker: new.worker.clone(),
            worker_version: new.worker_version,
            trigger: header.trigger.clone(),
        },
        authority: header.authority.clone(),
        labels,
        policy: header.policy,
        decision: header.decision.clone(),
        at,
    })?)
}
