//! Undoing what a run did: each effect by the inverse that its function declares, newest first, as the steps of a run
//! of its own. Each of those is judged, admitted and recorded like any step (docs/decisions/0033-rollback.md).

mod document;
mod done;

use crate::header::{RollbackHeader, RunHeader};
use crate::load::open;
use crate::pinned::{Pinned, Versions};
use crate::start::Planned;
use crate::{Engine, EngineError, StartError, Target, TenantContext};
use document::{document, key, program};
use done::{Done, End};
use mandate_directory::Compensation;
use mandate_gate::{Access, Permit};
use mandate_identity::is_purpose;
use mandate_journal::{Change, ResourceWrite, RunRecord, RunState, Stored};
use mandate_kernel::{Action, Digest, EffectClass, FunctionName, Labels, Limits, RunId, StepSeq, canonical_json};
use mandate_ledger::{Event, EventKind};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where the rollbacks of a run are listed: a resource that no manifest can be of, recorded in the ledger.
const KIND: &str = "Rollback";

/// What a rollback would do, in its order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RollbackPlan {
    /// The run whose effects are undone.
    pub run: RunId,
    /// Its effects, newest first. Calls that only read are left out: there is nothing to undo.
    pub steps: Vec<RollbackStep>,
    /// The runs that rolled it back before, oldest first.
    pub rollbacks: Vec<RunId>,
}

/// One effect of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RollbackStep {
    /// The step.
    pub step: StepSeq,
    /// The function it called.
    pub function: String,
    /// What can be done about it.
    #[serde(flatten)]
    pub fate: Fate,
}

/// What can be done about an effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "fate")]
pub enum Fate {
    /// It can be undone.
    Undo {
        /// By this function.
        by: FunctionName,
    },
    /// Its function declares no inverse.
    NoInverse,
    /// Its inverse is not among the functions that the Worker lists.
    NotListed {
        /// The inverse.
        by: FunctionName,
    },
    /// The call has nothing for an argument of the inverse.
    Unfilled {
        /// The inverse.
        by: FunctionName,
        /// The argument.
        argument: String,
    },
    /// Nobody knows whether it happened.
    InDoubt,
    /// It was undone.
    Undone {
        /// By this run.
        run: RunId,
    },
    /// Nobody knows whether it was undone.
    UndoInDoubt {
        /// By this run.
        run: RunId,
    },
}

/// Why nothing is rolled back.
#[derive(Debug, thiserror::Error)]
pub enum RollbackError {
    /// The run goes on, or its rollback does.
    #[error("{0} has not ended; wait for it, or stop it first")]
    NotEnded(RunId),
    /// There is nothing (more) that can be undone.
    #[error("nothing of {0} can be undone")]
    Nothing(RunId),
    /// The reason is no purpose.
    #[error("a rollback needs a reason: at most {0} characters on one line")]
    Reason(usize),
    /// The run could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl From<EngineError> for RollbackError {
    fn from(error: EngineError) -> Self {
        Self::Start(StartError::Failed(error))
    }
}

/// What the resource holds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Listed {
    runs: Vec<RunId>,
}

pub(crate) use document::recorded;

/// A step to undo, with the inverse, its arguments and their labels.
type Undo = (StepSeq, FunctionName, Map<String, Value>, Labels);

/// A plan with what carrying it out needs.
struct Prepared {
    plan: RollbackPlan,
    pinned: Pinned,
    /// Version of the list of rollbacks; 0 for none.
    version: u64,
    /// A rollback that was listed and never began: its id is taken again, so that only one of two begins.
    unused: Option<RunId>,
    /// In order.
    undo: Vec<Undo>,
}

impl Engine {
    /// What a rollback of a run would do.
    ///
    /// # Errors
    /// [`RollbackError`].
    pub async fn rollback_plan(
        &self,
        context: &Arc<TenantContext>,
        record: &RunRecord,
    ) -> Result<RollbackPlan, RollbackError> {
        Ok(self.prepare_rollback(context, record).await?.plan)
    }

    /// Starts the run that undoes what can be undone; gives its id and the plan.
    ///
    /// # Errors
    /// [`RollbackError`]; nothing is undone then.
    pub async fn rollback(
        self: &Arc<Self>,
        context: &Arc<TenantContext>,
        permit: &Permit<Access>,
        record: &RunRecord,
        reason: &str,
    ) -> Result<(RunId, RollbackPlan), RollbackError> {
        let purpose = format!("Rollback of {}: {}", record.run, reason.trim());
        let most = Limits::DEFAULT.purpose_chars;
        if reason.trim().is_empty() || purpose.chars().count() > most || !is_purpose(&purpose) {
            return Err(RollbackError::Reason(most - 64));
        }
        let prepared = self.prepare_rollback(context, record).await?;
        if prepared.undo.is_empty() {
            return Err(RollbackError::Nothing(record.run.clone()));
        }
        let now = self.ports.clock.now();
        let run = match &prepared.unused {
            Some(run) => run.clone(),
            None => RunId::generate(now, self.ports.entropy.as_ref()).map_err(EngineError::from)?,
        };
        self.list_rollback(context, permit, record, &prepared, &run, reason).await?;
        let plan = prepared.plan.clone();
        let place = self.turns.begin(&context.tenant, &record.new.worker).await.map_err(StartError::from)?;
        // Judged again at the revocation sequence it begins at: listing it took its time.
        let seen = context.store.standing(&[]).await.map_err(EngineError::from)?.revocations;
        let caller = permit.caller();
        let again = self.authorize(context, caller, Action::RunRollback, &Target::Run(record)).await;
        let again = again.map_err(StartError::from)?;
        let (planned, input) = self.planned_rollback(context, &again, record, prepared, purpose).await?;
        let mut driver = self.first_driver(context, caller, &run, planned, input).await?;
        if driver.standing.revocations != seen {
            let what = "a rollback under a configuration that does not change meanwhile".to_owned();
            return Err(EngineError::Timeout(what).into());
        }
        driver.place = place;
        self.begin(run.clone(), driver).await?;
        Ok((run, plan))
    }

    async fn prepare_rollback(
        &self,
        context: &Arc<TenantContext>,
        record: &RunRecord,
    ) -> Result<Prepared, RollbackError> {
        let run = &record.run;
        if !record.status.state.is_terminal() {
            return Err(RollbackError::NotEnded(run.clone()));
        }
        let store = context.store.as_ref();
        let list = store.resource(KIND, &run.to_string()).await.map_err(EngineError::from)?;
        let listed: Listed = match &list {
            Some(list) => crate::pinned::read(list)?,
            None => Listed::default(),
        };
        let mut before = BTreeMap::new();
        let (mut began, mut unused) = (Vec::new(), None);
        for id in &listed.runs {
            let Some(rollback) = store.run(id).await.map_err(EngineError::from)? else {
                unused = Some(id.clone());
                continue;
            };
            if !rollback.status.state.is_terminal() {
                return Err(RollbackError::NotEnded(id.clone()));
            }
            began.push(id.clone());
            self.note_undone(context, &rollback, &mut before).await?;
        }
        let header = header_of(record)?;
        let pinned = self.worker_of(context, record, &header).await?;
        let mut steps = Vec::new();
        let mut undo = Vec::new();
        // A run refused at its start did nothing, and has nothing pinned.
        let done = if record.status.state == RunState::Refused && record.journal_seq <= 1 {
            Vec::new()
        } else {
            done::of(context, record).await?
        };
        for one in done.into_iter().rev().filter(|one| one.effect != EffectClass::Read) {
            let (fate, call) = match before.remove(&one.step) {
                Some(fate) => (fate, None),
                None => self.fate(context, record, &pinned, &one).await?,
            };
            undo.extend(call);
            steps.push(RollbackStep { step: one.step, function: one.function, fate });
        }
        let plan = RollbackPlan { run: run.clone(), steps, rollbacks: began };
        Ok(Prepared { plan, pinned, version: list.map_or(0, |list| list.version), unused, undo })
    }

    /// Which steps an earlier rollback undid.
    async fn note_undone(
        &self,
        context: &Arc<TenantContext>,
        rollback: &RunRecord,
        undone: &mut BTreeMap<StepSeq, Fate>,
    ) -> Result<(), EngineError> {
        if rollback.journal_seq <= 1 {
            return Ok(());
        }
        let header = header_of(rollback)?;
        let Some(of) = header.rollback else {
            return Err(EngineError::Forged(format!("the list of rollbacks that names {}", rollback.run)));
        };
        for one in done::of(context, rollback).await? {
            let at = usize::try_from(one.step.0).ok().and_then(|at| of.steps.get(at.checked_sub(1)?)).copied();
            let Some(step) = at else { continue };
            let run = rollback.run.clone();
            match one.end {
                End::Value { .. } => undone.insert(step, Fate::Undone { run }),
                End::Doubt => undone.insert(step, Fate::UndoInDoubt { run }),
                End::Nothing => None,
            };
        }
        Ok(())
    }

    async fn worker_of(
        &self,
        context: &TenantContext,
        record: &RunRecord,
        header: &RunHeader,
    ) -> Result<Pinned, EngineError> {
        let worker = record.new.worker.as_str();
        let found = context.store.resource_by_digest("Worker", worker, &record.new.worker_version).await?;
        let found =
            found.ok_or_else(|| EngineError::Absent(format!("Worker {worker} in the version of {}", record.run)))?;
        Pinned::load(&self.ports, context.store.as_ref(), &found, Versions::Pinned(&header.functions)).await
    }

    /// What can be done about an effect, and the call that does it.
    async fn fate(
        &self,
        context: &TenantContext,
        record: &RunRecord,
        pinned: &Pinned,
        one: &Done,
    ) -> Result<(Fate, Option<Undo>), EngineError> {
        let End::Value { result } = &one.end else { return Ok((Fate::InDoubt, None)) };
        let name = FunctionName::new(one.function.clone()).map_err(|e| EngineError::Inconsistent(e.to_string()))?;
        let inverse = pinned.functions.get(&name).and_then(|function| function.spec.compensate.clone());
        let Some(inverse) = inverse else { return Ok((Fate::NoInverse, None)) };
        let by = inverse.function.clone();
        if !pinned.functions.contains_key(&by) {
            return Ok((Fate::NotListed { by }, None));
        }
        match self.filled(context, record, &inverse, &one.arguments, result).await? {
            Err(argument) => Ok((Fate::Unfilled { by, argument }, None)),
            Ok((arguments, labels)) => Ok((Fate::Undo { by: by.clone() }, Some((one.step, by, arguments, labels)))),
        }
    }

    async fn filled(
        &self,
        context: &TenantContext,
        record: &RunRecord,
        inverse: &Compensation,
        arguments: &Stored,
        result: &Stored,
    ) -> Result<Result<(Map<String, Value>, Labels), String>, EngineError> {
        let subject = context.vault.subject(&record.new.initiator.subject()).await?;
        let (given, got) = (open(context, &subject, arguments).await?, open(context, &subject, result).await?);
        let labels = arguments.labels.join(&result.labels);
        Ok(inverse.arguments(&given, &got).map(|arguments| (arguments, labels)))
    }

    /// Lists the rollback before it begins, with its reason: of two at once, one is told of a conflict.
    async fn list_rollback(
        &self,
        context: &TenantContext,
        permit: &Permit<Access>,
        record: &RunRecord,
        prepared: &Prepared,
        run: &RunId,
        reason: &str,
    ) -> Result<(), EngineError> {
        let now = self.ports.clock.now();
        let (tenant, by) = (context.tenant.clone(), permit.caller().principal.subject());
        let mut listed = Listed { runs: prepared.plan.rollbacks.clone() };
        listed.runs.push(run.clone());
        let spec = serde_json::to_value(&listed).map_err(|e| EngineError::Inconsistent(e.to_string()))?;
        let details = json!({
            "kind": KIND, "resource": record.run, "digest": Digest::of(&canonical_json(&spec)?), "rollback": run,
            "worker": record.new.worker, "reason": reason.trim(), "plan": prepared.plan.steps, "decision": permit.decision(),
        });
        let mut change = Change::new(tenant.clone(), now, by.clone());
        let event = Event { time: now, tenant, kind: EventKind::RollbackStarted, actor: by, run: None, details };
        change.entries.push(event.encode()?);
        let (kind, name) = (KIND.to_owned(), record.run.to_string());
        change.resources.push(ResourceWrite { kind, name, expected: Some(prepared.version), spec: Some(spec) });
        context.store.change(change).await?;
        context.entries_waiting.notify_one();
        Ok(())
    }

    async fn planned_rollback(
        &self,
        context: &TenantContext,
        permit: &Permit<Access>,
        record: &RunRecord,
        prepared: Prepared,
        purpose: String,
    ) -> Result<(Planned<'static>, Value), EngineError> {
        let Prepared { mut pinned, undo, .. } = prepared;
        let caller = permit.caller();
        let now = self.ports.clock.now();
        let document = document(&record.new.worker, &undo);
        pinned.program = Arc::new(program(&document)?);
        let authority = self.run_authority(context, caller, &pinned, &record.new.environment, now).await?;
        let mut all = undo.iter().map(|(.., labels)| labels);
        let first = all.next().cloned().unwrap_or_default();
        let labels = all.fold(first, |joined, labels| joined.join(labels));
        let input = undo.iter().map(|(step, _, arguments, _)| (key(*step), Value::Object(arguments.clone()))).collect();
        let new = mandate_journal::NewRun {
            purpose,
            class: pinned.class(),
            initiator: caller.principal.clone(),
            started_at: now,
            header: Value::Null,
            start_key: None,
            ..record.new.clone()
        };
        let steps = undo.iter().map(|(step, ..)| *step).collect();
        let rollback = RollbackHeader { of: record.run.clone(), document, steps };
        let undoing = Some((rollback, labels));
        let decision = permit.decision().clone();
        Ok((Planned { pinned, new, decision, authority, now, undoing, origin: None }, Value::Object(input)))
    }
}

fn header_of(record: &RunRecord) -> Result<RunHeader, EngineError> {
    serde_json::from_value(record.new.header.clone())
        .map_err(|e| EngineError::Inconsistent(format!("header of {}: {e}", record.run)))
}
