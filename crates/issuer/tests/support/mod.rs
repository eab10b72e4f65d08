//! Calls, permits by the real gate, and a receiver.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where its setting fails")]

use async_trait::async_trait;
use mandate_gate::{
    Allowed, AuthorityRoot, Gate, Judged, Live, Permit, Prepared, Request, StandingFacts, Step, StepFacts,
};
use mandate_identity::{ArgumentLimits, Audience, Authority, CanonicalRequest, Jwks, Limit, Scope, Work};
use mandate_issuer::{Issuer, MintedEnvelope, Start};
use mandate_journal::{
    ChainHead, Commit, CommitError, EventBody, Fence, JOURNAL_VERSION, JournalEvent, Stored, Transition,
};
use mandate_kernel::{
    Attempt, Class, Clock, DecisionId, Digest, Duration, Ed25519Signer, EffectClass, Environment, FunctionName,
    IdentityModel, Impact, Labels, Principal, Project, ResourceName, RunId, Secret, StepKey, StepPath, StepSeq,
    SystemEntropy, Tenant, Timestamp, TokenId,
};
use mandate_policy::PolicySet;
use mandate_verifier::{BoundedReplayCache, HopVerifier, VerifierConfig};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};

pub(crate) const ISSUER: &str = "https://mandate.example/t/demo";
pub(crate) const AUDIENCE: &str = "https://warehouse.example";
pub(crate) const URL: &str = "https://warehouse.example/v1/revenue?quarter=2026-Q3";
/// A moment between two seconds, as most are.
pub(crate) const NOW: i64 = 1_795_364_809_123;

/// A clock that moves when told.
pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(NOW)))
    }
    pub(crate) fn pass(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

struct Durable;

#[async_trait]
impl Commit for Durable {
    async fn commit(&self, _: Transition) -> Result<(), CommitError> {
        Ok(())
    }
}

pub(crate) fn issuer(clock: &Arc<TestClock>) -> Issuer {
    issuer_with(clock, 1)
}

pub(crate) fn issuer_with(clock: &Arc<TestClock>, seed: u8) -> Issuer {
    let signer = Ed25519Signer::from_seed(&Secret::new([seed; 32])).unwrap();
    Issuer::new(ISSUER, Arc::new(signer), clock.clone(), Arc::new(SystemEntropy)).unwrap()
}

pub(crate) fn scope(text: &str) -> Scope {
    Scope::new(text).unwrap()
}

pub(crate) fn audience(text: &str) -> Audience {
    Audience::new(text).unwrap()
}

pub(crate) fn function(name: &str) -> FunctionName {
    FunctionName::new(name).unwrap()
}

pub(crate) fn environment() -> Environment {
    Environment::new("sandbox").unwrap()
}

pub(crate) fn limits(of: &[(&str, Limit)]) -> ArgumentLimits {
    ArgumentLimits::new(of.iter().map(|(p, l)| ((*p).to_owned(), l.clone())).collect()).unwrap()
}

/// More than the call needs, in every dimension.
pub(crate) fn authority() -> Authority {
    Authority {
        scopes: BTreeSet::from([scope("warehouse:read"), scope("warehouse:write"), scope("reports:publish")]),
        audiences: BTreeSet::from([audience(AUDIENCE), audience("https://reports.example")]),
        functions: BTreeMap::from([
            (function("warehouse.revenue"), limits(&[("/quarter", Limit::Prefix("2026-".to_owned()))])),
            (function("report.publish"), ArgumentLimits::default()),
        ]),
        environment: environment(),
        not_after: Timestamp::from_millis(NOW).plus(Duration::from_secs(3600)),
        depth: 4,
    }
}

pub(crate) fn step(attempt: u32) -> StepKey {
    let run = RunId::try_from("run_01J9ZK3Y4T6W8Q2N5R7VX0ABCD".to_owned()).unwrap();
    StepKey { run, seq: StepSeq(1), attempt: Attempt(attempt) }
}

pub(crate) fn facts() -> StepFacts {
    StepFacts {
        step: step(1),
        path: StepPath("/do/0".to_owned()),
        function: function("warehouse.revenue"),
        project: Project::new("finance").unwrap(),
        function_version: Digest::of(b"function"),
        function_class: Class::default(),
        effect: EffectClass::Read,
        model: IdentityModel::Delegated,
        legacy: false,
        scopes: BTreeSet::from([scope("warehouse:read")]),
        arguments: json!({"quarter": "2026-Q3"}),
        labels: Labels::default(),
        worker: ResourceName::new("finance/quarterly-summary").unwrap(),
        worker_version: Digest::of(b"worker"),
        allow_listed: true,
        run_class: Class { impact: Impact::ActionTaking, ..Class::default() },
        environment: environment(),
        purpose: "close the quarter".to_owned(),
        initiator: Principal::user(Tenant::new("demo").unwrap(), "finance-lead"),
        initiator_groups: BTreeSet::new(),
        authority: authority(),
        root: AuthorityRoot::Initiator,
        credential: None,
        approvals: Vec::new(),
        standing: StandingFacts::default(),
    }
}

pub(crate) fn http() -> Prepared {
    let request = CanonicalRequest::new("GET", URL, None, Vec::new(), Some("run.1".to_owned())).unwrap();
    Prepared {
        request: Request::Http(request),
        destination: AUDIENCE.to_owned(),
        audience: Some(audience(AUDIENCE)),
        slot: None,
    }
}

pub(crate) fn local(name: &str, arguments: &Value) -> Prepared {
    Prepared {
        request: Request::Local { name: name.to_owned(), arguments: arguments.to_string().into_bytes() },
        destination: "local".to_owned(),
        audience: Some(audience(&format!("urn:mandate:local:{name}"))),
        slot: None,
    }
}

pub(crate) fn judge(facts: StepFacts, prepared: Prepared, now: Timestamp) -> Judged {
    static POLICIES: LazyLock<PolicySet> = LazyLock::new(|| PolicySet::compile(&[]).unwrap());
    let decision = DecisionId::generate(now, &SystemEntropy).unwrap();
    Gate::new(Live::default()).judge(decision, &POLICIES, facts, prepared, now)
}

pub(crate) fn allow(facts: StepFacts, prepared: Prepared, now: Timestamp) -> Box<Allowed> {
    match judge(facts, prepared, now) {
        Judged::Allowed(allowed) => allowed,
        Judged::Refused(refusal) => panic!("refused: {:?}", refusal.kind),
        Judged::NotYet(_) => panic!("not yet"),
    }
}

pub(crate) async fn admit(allowed: Box<Allowed>) -> Permit<Step> {
    let step = allowed.facts().step.clone();
    let admitted = EventBody::Admitted {
        step: step.seq,
        attempt: step.attempt,
        path: allowed.facts().path.clone(),
        function: allowed.facts().function.to_string(),
        decision: allowed.decision().clone(),
        request: allowed.prepared().digest(),
        arguments: Stored { commitment: Digest::of(b""), labels: Labels::default(), size: 0 },
        effect: allowed.facts().effect,
        token: None,
        lease: None,
        envelope: Digest::of(b""),
        not_after: allowed.not_after(),
    };
    let transition = Transition {
        tenant: allowed.facts().initiator.tenant.clone(),
        run: step.run,
        fence: Fence { journal_seq: 0, epoch: 1, revocations: None },
        create: None,
        claim: None,
        events: vec![JournalEvent { v: JOURNAL_VERSION, seq: 1, at: Timestamp::EPOCH, body: admitted }],
        entries: Vec::new(),
        chain: ChainHead { next: 0, last: None },
        admission: None,
        leases: Vec::new(),
        approvals: Vec::new(),
        timers: Vec::new(),
        payloads: Vec::new(),
        status: None,
    };
    Gate::new(Live::default()).admit(allowed, transition, &Durable).await.unwrap()
}

pub(crate) fn start(facts: &StepFacts) -> Start {
    Start {
        run: facts.step.run.clone(),
        work: Work {
            tenant: facts.initiator.tenant.clone(),
            initiator: facts.initiator.clone(),
            purpose: facts.purpose.clone(),
            class: facts.run_class.clone(),
            environment: facts.environment.clone(),
            worker: facts.worker.clone(),
            worker_version: facts.worker_version,
            trigger: None,
        },
        authority: facts.authority.clone(),
        labels: Labels::default(),
        policy: Digest::of(b"policy"),
        decision: DecisionId::try_from("dec_01J9ZK3Y4T6W8Q2N5R7VX0ABCD".to_owned()).unwrap(),
        at: Timestamp::from_millis(NOW),
    }
}

/// Envelope and permit for one attempt, in the order in which the engine makes them.
pub(crate) async fn admitted(issuer: &Issuer, facts: StepFacts, prepared: Prepared) -> (MintedEnvelope, Permit<Step>) {
    let run = issuer.start(start(&facts)).unwrap();
    let allowed = allow(facts, prepared, Timestamp::from_millis(NOW));
    let envelope = issuer.envelope(&run, &allowed, &[]).unwrap();
    (envelope, admit(allowed).await)
}

pub(crate) fn jti() -> TokenId {
    TokenId::generate(Timestamp::from_millis(NOW), &SystemEntropy).unwrap()
}

pub(crate) fn keys(issuer: &Issuer) -> Jwks {
    Jwks::new([issuer.signer().public()])
}

pub(crate) fn verifier(issuer: &Issuer, clock: &Arc<TestClock>) -> HopVerifier {
    HopVerifier::new(VerifierConfig {
        issuer: ISSUER.to_owned(),
        audience: audience(AUDIENCE),
        tenant: None,
        environment: environment(),
        keys: keys(issuer),
        leeway: Duration::from_secs(0),
        clock: clock.clone(),
        replay: Arc::new(BoundedReplayCache::new(1000)),
    })
}
