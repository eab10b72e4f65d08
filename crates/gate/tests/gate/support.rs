//! A step in order, to be spoilt by each test; a commit port in memory; futures polled by hand, so that
//! every interleaving is one that the test wrote down.

use async_trait::async_trait;
use mandate_gate::{
    Allowed, AuthorityRoot, CredentialFacts, Gate, GrantFacts, Judged, Live, Permit, Prepared, RefusalKind, Request,
    Slot, StandingFacts, Step, StepFacts,
};
use mandate_identity::{ArgumentLimits, Audience, Authority, CanonicalRequest, Limit, Scope};
use mandate_journal::{
    ChainHead, Commit, CommitError, EventBody, Fence, JOURNAL_VERSION, JournalEvent, Stored, Transition,
};
use mandate_kernel::{
    Attempt, Class, DecisionId, Digest, Duration, EffectClass, Environment, FunctionName, IdentityModel, Labels,
    Principal, Project, ResourceName, RunId, StepKey, StepPath, StepSeq, SystemEntropy, Tenant, Timestamp,
};
use mandate_policy::{PolicySet, PolicySource};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::{Pin, pin};
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Poll, Waker};
use tokio::sync::Notify;

pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_795_364_809);
pub(crate) const WAREHOUSE: &str = "https://warehouse.example";
pub(crate) const LEDGERBOOK: &str = "https://ledgerbook.example";

pub(crate) const fn in_secs(secs: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(secs))
}

pub(crate) fn decision() -> DecisionId {
    DecisionId::generate(NOW, &SystemEntropy).unwrap()
}

pub(crate) fn run() -> RunId {
    RunId::generate(NOW, &SystemEntropy).unwrap()
}

pub(crate) fn tenant(name: &str) -> Tenant {
    Tenant::new(name).unwrap()
}

pub(crate) fn environment(name: &str) -> Environment {
    Environment::new(name).unwrap()
}

pub(crate) fn resource(name: &str) -> ResourceName {
    ResourceName::new(name).unwrap()
}

pub(crate) fn function(name: &str) -> FunctionName {
    FunctionName::new(name).unwrap()
}

pub(crate) fn audience(text: &str) -> Audience {
    Audience::new(text).unwrap()
}

pub(crate) fn scopes(texts: &[&str]) -> BTreeSet<Scope> {
    texts.iter().map(|text| Scope::new(*text).unwrap()).collect()
}

/// `/quarter` must begin with this text.
pub(crate) fn quarters_of(prefix: &str) -> ArgumentLimits {
    ArgumentLimits::new(BTreeMap::from([("/quarter".to_owned(), Limit::Prefix(prefix.to_owned()))])).unwrap()
}

/// The built-in policies alone.
pub(crate) fn builtin() -> &'static PolicySet {
    static SET: LazyLock<PolicySet> = LazyLock::new(|| PolicySet::compile(&[]).unwrap());
    &SET
}

/// The built-in policies and one more rule.
pub(crate) fn with_rule(text: &str) -> PolicySet {
    PolicySet::compile(&[PolicySource::new("test.cedar", text)]).unwrap()
}

/// A step that rests on the initiator's authority; the run's is wider than the step in every way.
pub(crate) fn delegated() -> StepFacts {
    StepFacts {
        step: StepKey { run: run(), seq: StepSeq(2), attempt: Attempt(1) },
        path: StepPath("/do/0/revenue".to_owned()),
        function: function("warehouse.revenue"),
        project: Project::new("finance").unwrap(),
        function_version: Digest::of(b"function"),
        function_class: Class::default(),
        effect: EffectClass::Read,
        model: IdentityModel::Delegated,
        legacy: false,
        scopes: scopes(&["warehouse:read"]),
        arguments: json!({"quarter": "2026-Q3"}),
        labels: Labels::default(),
        worker: resource("finance/quarterly-summary"),
        worker_version: Digest::of(b"worker"),
        allow_listed: true,
        run_class: Class::default(),
        environment: environment("sandbox"),
        purpose: "close the quarter".to_owned(),
        initiator: Principal::user(tenant("demo"), "finance-lead"),
        initiator_groups: BTreeSet::new(),
        authority: Authority {
            scopes: scopes(&["warehouse:read", "warehouse:list"]),
            audiences: [WAREHOUSE, "https://other.example"].map(audience).into(),
            functions: BTreeMap::from([
                (function("warehouse.revenue"), quarters_of("2026-")),
                (function("report.publish"), ArgumentLimits::default()),
            ]),
            environment: environment("sandbox"),
            not_after: in_secs(600),
            depth: 2,
        },
        root: AuthorityRoot::Initiator,
        credential: None,
        approvals: Vec::new(),
        standing: StandingFacts { revocations: 7, revoked: Vec::new() },
    }
}

/// The request of [`delegated`].
pub(crate) fn to_warehouse() -> Prepared {
    let url = format!("{WAREHOUSE}/revenue?quarter=2026-Q3");
    Prepared {
        request: Request::Http(CanonicalRequest::new("GET", url, None, Vec::new(), None).unwrap()),
        destination: WAREHOUSE.to_owned(),
        audience: Some(audience(WAREHOUSE)),
        slot: None,
    }
}

/// A step that rests on an embedded grant, for a service that only knows a key.
pub(crate) fn granted() -> StepFacts {
    StepFacts {
        function: function("ledgerbook.costs"),
        model: IdentityModel::ServiceAccount,
        legacy: true,
        scopes: BTreeSet::new(),
        root: AuthorityRoot::Grant,
        credential: Some(CredentialFacts {
            name: resource("finance/ledgerbook"),
            version: 3,
            environment: environment("sandbox"),
            destinations: BTreeSet::from([LEDGERBOOK.to_owned()]),
            exchange: None,
            grant: Some(grant()),
        }),
        ..delegated()
    }
}

/// The grant of [`granted`].
pub(crate) fn grant() -> GrantFacts {
    GrantFacts {
        name: "finance/costs".to_owned(),
        owner: "user:finance-director".to_owned(),
        credential: resource("finance/ledgerbook"),
        worker_version: Digest::of(b"worker"),
        function_version: Digest::of(b"function"),
        environment: environment("sandbox"),
        not_after: None,
    }
}

/// The request of [`granted`].
pub(crate) fn to_ledgerbook() -> Prepared {
    let url = format!("{LEDGERBOOK}/costs?quarter=2026-Q3");
    Prepared {
        request: Request::Http(CanonicalRequest::new("GET", url, None, Vec::new(), None).unwrap()),
        destination: LEDGERBOOK.to_owned(),
        audience: None,
        slot: Some(Slot::Header { name: "x-api-key".to_owned(), prefix: String::new() }),
    }
}

pub(crate) fn gate() -> Gate {
    Gate::new(Live::default())
}

pub(crate) fn judged(policies: &PolicySet, facts: StepFacts, prepared: Prepared) -> Judged {
    gate().judge(decision(), policies, facts, prepared, NOW)
}

/// Judges by the built-in policies what must be allowed.
pub(crate) fn allowed(facts: StepFacts, prepared: Prepared) -> Box<Allowed> {
    match judged(builtin(), facts, prepared) {
        Judged::Allowed(allowed) => allowed,
        Judged::Refused(refusal) => panic!("refused: {}", refusal.kind),
        Judged::NotYet(_) => panic!("not yet"),
    }
}

/// Judges what must be refused.
pub(crate) fn refused(policies: &PolicySet, facts: StepFacts, prepared: Prepared) -> RefusalKind {
    match judged(policies, facts, prepared) {
        Judged::Refused(refusal) => refusal.kind,
        Judged::Allowed(_) => panic!("allowed"),
        Judged::NotYet(_) => panic!("not yet"),
    }
}

/// A transition that records exactly what is to be admitted.
pub(crate) fn recording(allowed: &Allowed) -> Transition {
    let facts = allowed.facts();
    let admitted = EventBody::Admitted {
        step: facts.step.seq,
        attempt: facts.step.attempt,
        path: facts.path.clone(),
        function: facts.function.to_string(),
        decision: allowed.decision().clone(),
        request: allowed.prepared().digest(),
        arguments: Stored { commitment: Digest::of(b"arguments"), labels: Labels::default(), size: 0 },
        effect: facts.effect,
        token: None,
        lease: None,
        envelope: Digest::of(b"envelope"),
        not_after: allowed.not_after(),
    };
    Transition {
        tenant: facts.initiator.tenant.clone(),
        run: facts.step.run.clone(),
        fence: Fence { journal_seq: 4, epoch: 1, revocations: None },
        create: None,
        claim: None,
        events: vec![JournalEvent { v: JOURNAL_VERSION, seq: 5, at: NOW, body: admitted }],
        entries: Vec::new(),
        chain: ChainHead { next: 0, last: None },
        admission: None,
        leases: Vec::new(),
        approvals: Vec::new(),
        timers: Vec::new(),
        payloads: Vec::new(),
        status: None,
    }
}

/// Keeps what was committed; refuses, or waits for a word, when told to.
#[derive(Default)]
pub(crate) struct Journal {
    pub(crate) committed: Mutex<Vec<Transition>>,
    pub(crate) refuses: Option<CommitError>,
    pub(crate) waits_for: Option<Arc<Notify>>,
}

#[async_trait]
impl Commit for Journal {
    async fn commit(&self, transition: Transition) -> Result<(), CommitError> {
        if let Some(word) = &self.waits_for {
            word.notified().await;
        }
        if let Some(error) = &self.refuses {
            return Err(error.clone());
        }
        self.committed.lock().unwrap().push(transition);
        Ok(())
    }
}

/// A permit for the `attempt` at a step of `run`.
pub(crate) fn permit(gate: &Gate, run: &RunId, attempt: u32) -> Permit<Step> {
    let step = StepKey { run: run.clone(), seq: StepSeq(2), attempt: Attempt(attempt) };
    let allowed = allowed(StepFacts { step, ..delegated() }, to_warehouse());
    let transition = recording(&allowed);
    ready(gate.admit(allowed, transition, &Journal::default())).unwrap()
}

/// Lets a future go as far as it can.
pub(crate) fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// The value of a future that has nothing to wait for.
pub(crate) fn ready<F: Future>(future: F) -> F::Output {
    match poll(pin!(future)) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("still waiting"),
    }
}
