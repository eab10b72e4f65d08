//! Starting a run: authenticate was done, now classify, decide, pin, and begin (mission 20–22).

use crate::access::{Denied, Target, absent};
use crate::board::Board;
use crate::claims::Own;
use crate::draft::Draft;
use crate::driver::Driver;
use crate::header::{RollbackHeader, RunHeader, epoch_keys};
use crate::history::History;
use crate::load::mint_root;
use crate::meter::Mark;
use crate::occasion::{Origin, with_trigger};
use crate::pinned::Pinned;
use crate::seen::Results;
use crate::turns::{Busy, Place};
use crate::{Engine, EngineError, TenantContext, labels};
use mandate_directory::own_authority;
use mandate_flow::{Labelled, Machine, Start};
use mandate_gate::{Refusal, RefusalKind, StandingFacts};
use mandate_identity::Authority;
use mandate_journal::{ChainHead, CommitError, EventBody, NewRun, RunState, RunStatus};
use mandate_kernel::{
    Action, Caller, DecisionId, Duration, Environment, Labels, Limits, ResourceName, RunId, Timestamp, canonical_json,
};
use mandate_ledger::EventKind;
use mandate_policy::RunFacts;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use tokio::sync::oneshot;

/// How often a start is decided again because configuration changed meanwhile.
const MAX_TRIES: u32 = 16;

/// A request to start a run.
#[derive(Debug, Clone)]
pub struct StartRequest {
    /// Which Worker.
    pub worker: ResourceName,
    /// In which environment; the Worker's default when absent.
    pub environment: Option<Environment>,
    /// Why, in the initiator's words.
    pub purpose: String,
    /// The input.
    pub input: Value,
    /// The caller's Idempotency-Key.
    pub start_key: Option<String>,
}

/// A run that has begun, or was refused at its start. Either way it exists and is in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// The run.
    pub run: RunId,
    /// The state when this was said.
    pub state: RunState,
}

/// Why no run exists.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no such Worker for this caller: absent, or not to be seen by them. One answer for both.
    #[error("there is no Worker {0} here, or you have no right to see it")]
    NotVisible(ResourceName, DecisionId),
    /// The request itself is wrong.
    #[error("{0}")]
    BadRequest(String),
    /// A run was started with this key before.
    #[error("a run was started with this Idempotency-Key before")]
    Duplicate(RunId),
    /// The tenant or the Worker has as many runs as this server drives; nothing was started.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// The standing grant it would begin under covers it no more.
    #[error("its standing grant does not cover this: {0}")]
    Lapsed(&'static str),
    /// It could not be judged or made durable.
    #[error(transparent)]
    Failed(#[from] EngineError),
}

impl From<Denied> for StartError {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Failed(error) => Self::Failed(error),
            Denied::Refused(refusal) => Self::BadRequest(refusal.kind.to_string()),
        }
    }
}

/// What is known once the request is understood.
pub(crate) struct Planned<'a> {
    pub pinned: Pinned,
    pub new: NewRun,
    pub decision: DecisionId,
    pub authority: Authority,
    pub now: Timestamp,
    /// What undoes another run, and the labels of what it undoes.
    pub undoing: Option<(RollbackHeader, Labels)>,
    /// What it begins by, if nobody asked for it.
    pub origin: Option<&'a Origin>,
}

impl Engine {
    /// Starts a run, and returns when its beginning is durable.
    ///
    /// # Errors
    /// [`StartError`]; no run exists then.
    pub async fn start(self: &Arc<Self>, caller: &Caller, request: StartRequest) -> Result<Started, StartError> {
        self.start_from(caller, request, None).await
    }

    /// Starts a run; one that nobody asked for has an origin.
    pub(crate) async fn start_from(
        self: &Arc<Self>,
        caller: &Caller,
        request: StartRequest,
        origin: Option<&Origin>,
    ) -> Result<Started, StartError> {
        let context = self.require_tenant(caller.tenant())?;
        if self.is_draining() {
            return Err(EngineError::Draining.into());
        }
        for _ in 0..MAX_TRIES {
            if let Some(answer) = self.try_start(&context, caller, &request, origin).await? {
                return Ok(answer);
            }
        }
        Err(EngineError::Timeout("a start under a configuration that does not change meanwhile".to_owned()).into())
    }

    /// Starts a run, if nobody was revoked and no configuration changed while it was decided and pinned;
    /// otherwise it has to be decided again.
    async fn try_start(
        self: &Arc<Self>,
        context: &Arc<TenantContext>,
        caller: &Caller,
        request: &StartRequest,
        origin: Option<&Origin>,
    ) -> Result<Option<Started>, StartError> {
        let seen = context.store.standing(&[]).await.map_err(EngineError::from)?.revocations;
        let pinned = self.visible_worker(context, caller, &request.worker).await?;
        if let Some(origin) = origin {
            origin.holds(context, &pinned, self.ports.clock.now()).await?;
        }
        let (new, environment) = self.plan(caller, request, &pinned)?;
        // Not before: how busy a Worker is is for those who may see it.
        let place = self.turns.begin(&context.tenant, &request.worker).await?;
        let facts = RunFacts {
            initiator: caller.principal.clone(),
            environment: environment.clone(),
            purpose: new.purpose.clone(),
            class: new.class.clone(),
        };
        let target = Target::Start { worker: &request.worker, class: new.class.clone(), run: facts };
        let run = RunId::generate(new.started_at, self.ports.entropy.as_ref()).map_err(EngineError::from)?;
        let judged = self.judge_access(context, caller, Action::RunStart, &target).await?;
        let decision = match judged.and_then(|permit| reachable(permit.decision(), &pinned, &environment)) {
            Ok(decision) => decision,
            Err(refusal) => {
                return match self.refuse_start(context, run, new, &refusal, origin).await {
                    Err(EngineError::Commit(CommitError::DuplicateStart { run })) => Err(StartError::Duplicate(run)),
                    other => Ok(Some(other?)),
                };
            }
        };
        let authority = self.run_authority(context, caller, &pinned, &environment, new.started_at).await?;
        let planned = Planned { now: new.started_at, pinned, new, decision, authority, undoing: None, origin };
        let mut driver = self.first_driver(context, caller, &run, planned, request.input.clone()).await?;
        if driver.standing.revocations != seen {
            return Ok(None);
        }
        driver.place = place;
        self.begin(run, driver).await.map(Some)
    }

    /// The Worker, if the caller may see it. A refusal is recorded, whether the Worker exists or not.
    async fn visible_worker(
        &self,
        context: &TenantContext,
        caller: &Caller,
        name: &ResourceName,
    ) -> Result<Pinned, StartError> {
        let target = Target::Config { kind: mandate_directory::Kind::Worker, name };
        let view = self.judge_access(context, caller, Action::WorkerView, &target).await?;
        let found = context.workers.find(&self.ports, context.store.as_ref(), name).await?;
        let refusal = match (view, found) {
            (Ok(_), Some(pinned)) => return Ok(pinned),
            (Ok(permit), None) => absent(&permit, &format!("Worker {name}")),
            (Err(refusal), _) => refusal,
        };
        self.record_denial(context, caller, Action::WorkerView, name.as_str(), &refusal).await?;
        Err(StartError::NotVisible(name.clone(), refusal.decision))
    }

    /// Checks the request against the Worker.
    fn plan(
        &self,
        caller: &Caller,
        request: &StartRequest,
        pinned: &Pinned,
    ) -> Result<(NewRun, Environment), StartError> {
        let bad = |why: String| Err(StartError::BadRequest(why));
        let environment = request.environment.clone().unwrap_or_else(|| pinned.spec.default_environment.clone());
        if !pinned.spec.environments.contains(&environment) {
            let offered = pinned.spec.environments.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return bad(format!("{} does not run in environment {environment}; it runs in: {offered}", request.worker));
        }
        let purpose = request.purpose.trim();
        if purpose.chars().count() > Limits::DEFAULT.purpose_chars || !mandate_identity::is_purpose(purpose) {
            return bad(format!(
                "a run needs a purpose: 1 to {} characters on one line, in words a reviewer will understand",
                Limits::DEFAULT.purpose_chars
            ));
        }
        if let Some(off) = self.switched_off(&pinned.program) {
            let why = "which the operator has turned off since it was applied";
            return bad(format!("the document of {} needs {off}, {why}", request.worker));
        }
        let size = canonical_json(&request.input).map_err(|e| StartError::BadRequest(format!("input: {e}")))?.len();
        if size > Limits::DEFAULT.value {
            return bad(format!("input is {size} bytes; at most {} are taken", Limits::DEFAULT.value));
        }
        let new = NewRun {
            worker: request.worker.clone(),
            worker_version: pinned.version,
            environment: environment.clone(),
            purpose: purpose.to_owned(),
            class: pinned.class(),
            initiator: caller.principal.clone(),
            started_at: self.ports.clock.now(),
            header: Value::Null,
            start_key: request.start_key.clone(),
        };
        Ok((new, environment))
    }

    /// The run's authority: the initiator's own, narrowed to what the Worker's functions need.
    pub(crate) async fn run_authority(
        &self,
        context: &TenantContext,
        caller: &Caller,
        pinned: &Pinned,
        environment: &Environment,
        now: Timestamp,
    ) -> Result<Authority, EngineError> {
        let catalog = context.catalog().await?;
        let lifetime = Duration::from_secs(pinned.spec.authority_seconds);
        let own = own_authority(&catalog.entitlements, caller, environment, now, lifetime);
        let needed: BTreeSet<_> = pinned.functions.values().flat_map(|f| f.spec.scopes.iter().cloned()).collect();
        let ask = Authority {
            scopes: own.scopes.intersection(&needed).cloned().collect(),
            audiences: own.audiences.intersection(&pinned.audiences(environment)).cloned().collect(),
            functions: own
                .functions
                .iter()
                .filter(|(name, _)| pinned.functions.contains_key(*name))
                .map(|(n, l)| (n.clone(), l.clone()))
                .collect(),
            environment: environment.clone(),
            not_after: own.not_after,
            depth: own.depth.saturating_sub(1),
        };
        own.narrow(&ask)
            .map_err(|e| EngineError::Inconsistent(format!("an authority does not contain its own part: {e}")))
    }

    /// A start refused to someone who may see the Worker is a run of state `refused`.
    async fn refuse_start(
        &self,
        context: &TenantContext,
        run: RunId,
        mut new: NewRun,
        refusal: &Refusal,
        origin: Option<&Origin>,
    ) -> Result<Started, EngineError> {
        let now = new.started_at;
        let problem = refusal.problem();
        let details = json!({
            "decision": refusal.decision, "worker": new.worker, "worker_version": new.worker_version, "purpose": new.purpose,
            "environment": new.environment, "class": new.class, "reason": refusal.kind.code(), "problem": problem,
            "policies": refusal.policy.iter().flat_map(|p| p.explanation.determining.iter().map(|d| d.id.clone())).collect::<Vec<_>>(),
        });
        let details = with_trigger(details, origin);
        let actor = new.initiator.subject();
        new.header = json!({});
        let mut draft = Draft::new(context.tenant.clone(), run.clone(), 0, 0, ChainHead { next: 0, last: None });
        draft.create(new);
        draft.event(now, EventBody::Ended { output: None, artifact: None, problem: Some(problem.clone()) });
        draft.entry(now, EventKind::RunRefused, actor, details)?;
        draft.status(RunStatus { state: RunState::Refused, waiting_for: None, since: now, problem: Some(problem) });
        draft.mark(Mark::Decision("deny"));
        context.store.commit(draft.transition()).await?;
        draft.committed();
        context.entries_waiting.notify_one();
        Ok(Started { run, state: RunState::Refused })
    }

    /// Hands the run to its driver, and waits until its beginning is durable.
    pub(crate) async fn begin(self: &Arc<Self>, run: RunId, mut driver: Driver) -> Result<Started, StartError> {
        let (begun, durable) = oneshot::channel();
        driver.begun = Some(begun);
        self.spawn(run.clone(), async move { Ok(driver) });
        match durable.await {
            Ok(Ok(())) => Ok(Started { run, state: RunState::Running }),
            Ok(Err(CommitError::DuplicateStart { run })) => Err(StartError::Duplicate(run)),
            Ok(Err(other)) => Err(StartError::Failed(other.into())),
            // The driver ended before its first commit; its own log line says why.
            Err(_) => Err(StartError::Failed(EngineError::Timeout("the run's beginning".to_owned()))),
        }
    }

    /// Pins everything and mints the first envelope.
    pub(crate) async fn first_driver(
        &self,
        context: &Arc<TenantContext>,
        caller: &Caller,
        run: &RunId,
        planned: Planned<'_>,
        input: Value,
    ) -> Result<Driver, EngineError> {
        let Planned { pinned, mut new, decision, authority, now, undoing, origin } = planned;
        let subject = context.vault.subject(&caller.principal.subject()).await?;
        let catalog = context.catalog().await?;
        let labels = labels::of_input(&pinned, run, &input)?;
        let labels = undoing.as_ref().map_or_else(|| labels.clone(), |(_, undone)| labels.join(undone));
        let keys = epoch_keys(caller, run, &pinned);
        let (labels, keys) = Origin::of(origin, &pinned.worker, labels, keys);
        let standing = context.store.standing(&keys).await?;
        let mut draft = Draft::new(context.tenant.clone(), run.clone(), 0, 0, ChainHead { next: 0, last: None });
        let (stored_input, sealed_input) = subject.seal(&input, &labels)?;
        draft.payload(sealed_input);
        let header = RunHeader {
            groups: caller.groups.clone(),
            authority,
            functions: pinned.pins(),
            epochs: keys.into_iter().zip(standing.epochs.iter().copied()).collect(),
            decision: decision.clone(),
            policy: catalog.policies.digest(),
            rollback: undoing.map(|(rollback, _)| rollback),
            token_key: context.keys().token_ordinal,
            trigger: origin.map(|origin| origin.trigger.clone()),
        };
        let root = mint_root(&new, run, &header, labels.clone(), now, &context.issuer())?;
        new.header = serde_json::to_value(&header).map_err(|e| EngineError::Inconsistent(e.to_string()))?;
        let details = json!({
            "decision": decision, "worker": new.worker, "worker_version": new.worker_version, "purpose": new.purpose,
            "environment": new.environment, "class": new.class, "groups": header.groups,
            "authority": header.authority, "input": crate::record::commitment(&stored_input),
            "envelope": {"digest": root.digest, "predecessors": []}, "policy": {"digest": catalog.policies.digest()},
            "functions": header.functions.iter().map(|(name, pin)| (name.to_string(), pin.function)).collect::<std::collections::BTreeMap<_, _>>(),
            "machine": Machine::VERSION,
        });
        let details = header.told(with_trigger(details, origin))?;
        draft.create(new.clone());
        draft.claim(self.claims.for_new_run());
        draft.event(now, EventBody::Started { input: stored_input.clone(), machine: Machine::VERSION });
        draft.entry(now, EventKind::RunStarted, caller.principal.subject(), details)?;
        draft.status(RunStatus { state: RunState::Running, waiting_for: None, since: now, problem: None });
        let start = Start { run: run.clone(), input: Labelled { value: input, labels }, started_at: now };
        let (machine, intents) = Machine::start(Arc::clone(&pinned.program), start);
        let mut driver = Driver {
            results: Results::default(),
            context: Arc::clone(context),
            run: run.clone(),
            new,
            header,
            pinned,
            catalog,
            held: OnceLock::new(),
            machine,
            board: Board::default(),
            replaying: false,
            over: false,
            as_found: None,
            history: History::default(),
            draft,
            subject,
            standing: StandingFacts { revocations: standing.revocations, revoked: Vec::new() },
            latest_envelope: root.digest,
            root,
            timers: BTreeSet::new(),
            evaluating: Duration::default(),
            begun: None,
            place: Place::default(),
            own: Own::of(None),
        };
        driver.intake(self, intents)?;
        Ok(driver)
    }
}

/// A run whose functions have nowhere to go in its environment does not begin.
fn reachable(decision: &DecisionId, pinned: &Pinned, environment: &Environment) -> Result<DecisionId, Box<Refusal>> {
    let Some(function) = pinned.unconnected(environment) else { return Ok(decision.clone()) };
    let kind = RefusalKind::NoDestination { function: function.to_string(), environment: environment.to_string() };
    Err(Box::new(Refusal { decision: decision.clone(), kind, policy: None }))
}
