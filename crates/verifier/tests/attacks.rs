//! A receiver under attack: one good call, and everything that a thief, a forger or a confused sender
//! could make of it, each with its refusal and the answer that its sender gets.
#![expect(clippy::unwrap_used, reason = "helpers outside the test functions")]

use mandate_identity::{
    ArgumentLimits, Audience, AuthorizationDetail, CanonicalRequest, CanonicalUrl, Confirmation, FunctionDetail,
    HopClaims, HopContext, HopError, IdentityModel, Jwks, JwsError, RequestError, Scope,
    dpop::{self, DpopError},
};
use mandate_kernel::{
    Attempt, Clock, Digest, Duration, Ed25519Signer, Environment, FunctionName, RunId, Secret, Signer, StepKey,
    StepSeq, Tenant, Timestamp, TokenId,
};
use mandate_verifier::{
    BoundedReplayCache, Demand, HopRefusal, HopVerifier, ReceivedRequest, ReplayCache, ReplayError, VerifiedHop,
    VerifierConfig,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

const ISSUER: &str = "https://mandate.example/t/demo";
const URL: &str = "https://warehouse.example/v1/revenue?quarter=2026-Q3";
const NOW: i64 = 1_800_000_000;

#[derive(Default)]
struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(NOW + self.0.load(Ordering::SeqCst))
    }
}

fn key(seed: u8) -> Ed25519Signer {
    Ed25519Signer::from_seed(&Secret::new([seed; 32])).unwrap()
}

fn token_id(last: char) -> TokenId {
    format!("tok_01J9ZK3Y4T6W8Q2N5R7VX0ABC{last}").parse().unwrap()
}

/// A call as its sender makes it; the attacks change it before or after signing.
#[derive(Clone)]
struct Call {
    claims: HopClaims,
    method: String,
    url: String,
    content_type: Option<String>,
    idempotency_key: Option<String>,
    body: Vec<u8>,
    authorization: Option<String>,
    proof: Option<String>,
}

fn claims(digest: Digest) -> HopClaims {
    let run: RunId = "run_01J9ZK3Y4T6W8Q2N5R7VX0ABCD".parse().unwrap();
    let now = Timestamp::from_secs(NOW);
    HopClaims {
        iss: ISSUER.to_owned(),
        sub: "user:finance-lead".to_owned(),
        aud: Audience::new("https://warehouse.example").unwrap(),
        exp: now.plus(Duration::from_secs(120)),
        iat: now,
        nbf: now,
        jti: token_id('D'),
        client_id: "finance/quarterly-summary".to_owned(),
        scope: BTreeSet::from([Scope::new("warehouse:read").unwrap()]),
        act: None,
        txn: run.clone(),
        authorization_details: vec![AuthorizationDetail::Function(FunctionDetail {
            function: FunctionName::new("warehouse.revenue").unwrap(),
            arguments: serde_json::from_str::<ArgumentLimits>(r#"{"/quarter":{"equals":"2026-Q3"}}"#).unwrap(),
            request_digest: digest,
        })],
        cnf: Some(Confirmation { jkt: key(9).key_id().0 }),
        mandate: HopContext {
            tenant: Tenant::new("demo").unwrap(),
            step: StepKey { run, seq: StepSeq(1), attempt: Attempt(1) },
            environment: Environment::new("production").unwrap(),
            model: IdentityModel::Delegated,
            purpose: None,
            argument_digest: Digest::of(b"arguments"),
            parent: Digest::of(b"envelope"),
            decision: "dec_01J9ZK3Y4T6W8Q2N5R7VX0ABCD".parse().unwrap(),
        },
    }
}

/// A call with claims changed before the token is signed by `issuer`, and a proof by key 9.
fn call_by(issuer: &Ed25519Signer, change: impl FnOnce(&mut HopClaims)) -> Call {
    let (content_type, idempotency_key) = ("application/json".to_owned(), "run_x.1".to_owned());
    let body = br#"{"quarter":"2026-Q3"}"#.to_vec();
    let request =
        CanonicalRequest::new("POST", URL, Some(content_type.clone()), body.clone(), Some(idempotency_key.clone()));
    let mut claims = claims(request.unwrap().digest());
    change(&mut claims);
    let token = claims.sign(issuer).unwrap().expose().clone();
    Call {
        claims,
        method: "POST".to_owned(),
        url: URL.to_owned(),
        content_type: Some(content_type),
        idempotency_key: Some(idempotency_key),
        body,
        proof: Some(prove(&key(9), "POST", URL, &token, 'E')),
        authorization: Some(format!("DPoP {token}")),
    }
}

fn call(change: impl FnOnce(&mut HopClaims)) -> Call {
    call_by(&key(1), change)
}

fn prove(signer: &Ed25519Signer, method: &str, url: &str, token: &str, id: char) -> String {
    let url = CanonicalUrl::new(url).unwrap();
    dpop::prove(signer, method, &url, token, &token_id(id), Timestamp::from_secs(NOW)).unwrap()
}

impl Call {
    fn token(&self) -> &str {
        self.authorization.as_deref().unwrap().split_once(' ').unwrap().1
    }

    fn received(&self) -> ReceivedRequest<'_> {
        ReceivedRequest {
            method: &self.method,
            url: &self.url,
            authorization: self.authorization.as_deref(),
            dpop: self.proof.as_deref(),
            idempotency_key: self.idempotency_key.as_deref(),
            content_type: self.content_type.as_deref(),
            body: &self.body,
        }
    }
}

struct Warehouse {
    verifier: HopVerifier,
    clock: Arc<Hands>,
}

impl Warehouse {
    fn new() -> Self {
        Self::with(Arc::new(BoundedReplayCache::new(100)))
    }

    fn with(replay: Arc<dyn ReplayCache>) -> Self {
        let clock = Arc::new(Hands::default());
        let verifier = HopVerifier::new(VerifierConfig {
            issuer: ISSUER.to_owned(),
            audience: Audience::new("https://warehouse.example").unwrap(),
            tenant: Some(Tenant::new("demo").unwrap()),
            environment: Environment::new("production").unwrap(),
            keys: Jwks::new([key(1).public()]),
            leeway: Duration::from_secs(5),
            clock: clock.clone(),
            replay,
        });
        Self { verifier, clock }
    }

    fn verify(&self, call: &Call) -> Result<VerifiedHop, HopRefusal> {
        self.verify_with(call, "warehouse:read", "warehouse.revenue", &json!({"quarter": "2026-Q3"}))
    }

    fn verify_with(&self, call: &Call, scope: &str, function: &str, args: &Value) -> Result<VerifiedHop, HopRefusal> {
        let (scope, function) = (Scope::new(scope).unwrap(), FunctionName::new(function).unwrap());
        self.verifier.verify(&call.received(), &Demand { scope: &scope, function: &function, arguments: Some(args) })
    }
}

#[test]
fn a_good_call_passes_once() {
    let (warehouse, good) = (Warehouse::new(), call(|_| ()));
    let hop = warehouse.verify(&good).unwrap();
    assert_eq!(hop.claims(), &good.claims);
    assert_eq!(
        (hop.key(), hop.request_digest()),
        (&key(9).public(), {
            let AuthorizationDetail::Function(detail) = &good.claims.authorization_details[0];
            detail.request_digest
        })
    );
    assert_eq!(warehouse.verify(&good), Err(HopRefusal::TokenReplayed));
    let mut fresh_proof = good.clone();
    fresh_proof.proof = Some(prove(&key(9), "POST", URL, good.token(), 'F'));
    assert_eq!(warehouse.verify(&fresh_proof), Err(HopRefusal::TokenReplayed));
    let retried = call(|claims| claims.jti = token_id('X'));
    assert_eq!(warehouse.verify(&retried), Err(HopRefusal::ProofReplayed), "same proof id by the same key");
}

#[test]
fn a_token_stays_used_until_nobody_takes_it_any_more() {
    let (warehouse, good) = (Warehouse::new(), call(|_| ()));
    assert!(warehouse.verify(&good).is_ok());
    for (at, refusal) in [(64, HopRefusal::Proof(DpopError::Age)), (125, HopRefusal::Token(HopError::Expired))] {
        warehouse.clock.0.store(at + 1, Ordering::SeqCst);
        assert_eq!(warehouse.verify(&good), Err(refusal), "{at}");
    }
}

#[test]
fn a_refused_call_does_not_use_its_token_up() {
    let (warehouse, good) = (Warehouse::new(), call(|_| ()));
    let mut bad = good.clone();
    bad.body.push(b' ');
    assert_eq!(warehouse.verify(&bad), Err(HopRefusal::RequestDigest));
    assert!(warehouse.verify(&good).is_ok());
}

#[test]
fn each_altered_claim_is_refused_by_its_name() {
    type Change = fn(&mut HopClaims);
    let table: Vec<(Change, HopRefusal)> = vec![
        (|c| c.iss = "https://evil.example".into(), HopRefusal::Token(HopError::Issuer)),
        (|c| c.aud = Audience::new("https://crm.example").unwrap(), HopRefusal::Token(HopError::Audience)),
        (|c| c.nbf = Timestamp::from_secs(NOW + 6), HopRefusal::Token(HopError::NotYetValid)),
        (|c| c.scope = BTreeSet::from([Scope::new("warehouse:write").unwrap()]), scope_refusal()),
        (|c| c.scope.clear(), scope_refusal()),
        (|c| c.mandate.tenant = Tenant::new("other").unwrap(), HopRefusal::Tenant),
        (|c| c.mandate.environment = Environment::new("sandbox").unwrap(), production_refusal()),
        (|c| c.cnf = None, HopRefusal::Unbound),
        (|c| c.cnf = Some(Confirmation { jkt: key(8).key_id().0 }), HopRefusal::Proof(DpopError::Thumbprint)),
    ];
    for (n, (change, refusal)) in table.into_iter().enumerate() {
        assert_eq!(Warehouse::new().verify(&call(change)), Err(refusal), "case {n}");
    }
}

fn scope_refusal() -> HopRefusal {
    HopRefusal::Scope(Scope::new("warehouse:read").unwrap())
}

fn production_refusal() -> HopRefusal {
    HopRefusal::Environment(Environment::new("production").unwrap())
}

#[test]
fn each_altered_request_is_refused_by_its_name() {
    type Change = fn(&mut Call);
    let table: Vec<(Change, HopRefusal)> = vec![
        (|c| c.authorization = None, HopRefusal::NoToken),
        (|c| c.authorization = Some("DPoP".into()), HopRefusal::Scheme),
        (|c| c.authorization = c.authorization.take().map(|a| a.replace("DPoP", "Bearer")), HopRefusal::Scheme),
        (|c| c.authorization = c.authorization.take().map(|a| a.replace(' ', "  ")), malformed()),
        (
            |c| c.authorization = Some(format!("DPoP {}", "x".repeat(1 << 20))),
            HopRefusal::Token(JwsError::TooLarge.into()),
        ),
        (|c| c.method = "PUT".into(), HopRefusal::RequestDigest),
        (|c| c.method = "post".into(), HopRefusal::Request(RequestError::Method)),
        (|c| c.url = URL.replace("Q3", "Q4"), HopRefusal::RequestDigest),
        (|c| c.url = URL.replace("https", "http"), HopRefusal::RequestDigest),
        (|c| c.url = URL.replace("warehouse.example", "crm.example"), HopRefusal::RequestDigest),
        (
            |c| c.url = URL.replace("/v1/", "/v1/../v1/"),
            HopRefusal::Request(RequestError::Url("the path holds a dot segment")),
        ),
        (|c| c.content_type = None, HopRefusal::RequestDigest),
        (|c| c.content_type = Some("text/plain".into()), HopRefusal::RequestDigest),
        (|c| c.idempotency_key = None, HopRefusal::RequestDigest),
        (|c| c.idempotency_key = Some("run_x.2".into()), HopRefusal::RequestDigest),
        (|c| c.body = br#"{"quarter":"2026-Q4"}"#.to_vec(), HopRefusal::RequestDigest),
        (|c| c.body.clear(), HopRefusal::RequestDigest),
        (|c| c.proof = None, HopRefusal::NoProof),
        (|c| c.proof = Some(String::new()), HopRefusal::Proof(JwsError::Malformed.into())),
        (|c| c.proof = Some(c.token().to_owned()), HopRefusal::Proof(JwsError::Type.into())),
        (|c| c.proof = Some(prove(&key(8), "POST", URL, c.token(), 'E')), HopRefusal::Proof(DpopError::Thumbprint)),
        (|c| c.proof = Some(prove(&key(9), "GET", URL, c.token(), 'E')), HopRefusal::Proof(DpopError::Method)),
        (
            |c| c.proof = Some(prove(&key(9), "POST", "https://crm.example/", c.token(), 'E')),
            HopRefusal::Proof(DpopError::Url),
        ),
        (|c| c.proof = Some(prove(&key(9), "POST", URL, "other", 'E')), HopRefusal::Proof(DpopError::Token)),
    ];
    for (n, (change, refusal)) in table.into_iter().enumerate() {
        let mut altered = call(|_| ());
        change(&mut altered);
        assert_eq!(Warehouse::new().verify(&altered), Err(refusal), "case {n}");
    }
    assert!(Warehouse::new().verify(&call(|_| ())).is_ok());
}

fn malformed() -> HopRefusal {
    HopRefusal::Token(HopError::Jws(JwsError::Malformed))
}

#[test]
fn a_stranger_s_key_signs_nothing() {
    let stranger = call_by(&key(3), |_| ());
    assert_eq!(Warehouse::new().verify(&stranger), Err(HopRefusal::Token(HopError::Jws(JwsError::UnknownKey))));
}

#[test]
fn another_endpoint_takes_another_token() {
    let good = call(|_| ());
    let (fits, other) = (json!({"quarter": "2026-Q3"}), json!({"quarter": "2026-Q4"}));
    let check =
        |scope: &str, function: &str, args: &Value| Warehouse::new().verify_with(&good, scope, function, args).err();
    assert_eq!(check("warehouse:read", "warehouse.revenue", &fits), None);
    let wrong = Scope::new("warehouse:write").unwrap();
    assert_eq!(check("warehouse:write", "warehouse.revenue", &fits), Some(HopRefusal::Scope(wrong)));
    assert_eq!(check("warehouse:read", "warehouse.delete", &fits), Some(HopRefusal::Function));
    for args in [other, json!({}), json!(null)] {
        let refusal = HopRefusal::Argument("/quarter".to_owned());
        assert_eq!(check("warehouse:read", "warehouse.revenue", &args), Some(refusal));
    }
}

#[test]
fn what_can_t_be_remembered_is_refused() {
    struct Down;
    impl ReplayCache for Down {
        fn first_use(&self, _: Digest, _: Timestamp, _: Timestamp) -> Result<(), ReplayError> {
            Err(ReplayError::Unavailable)
        }
    }
    assert_eq!(Warehouse::with(Arc::new(Down)).verify(&call(|_| ())), Err(HopRefusal::ReplayUnknown));
    for capacity in [0, 1] {
        let full = Warehouse::with(Arc::new(BoundedReplayCache::new(capacity)));
        assert_eq!(full.verify(&call(|_| ())), Err(HopRefusal::ReplayUnknown));
    }
}

#[test]
fn the_sender_is_told_what_the_rfcs_say() {
    let table = [
        (HopRefusal::NoToken, 401, r#"DPoP algs="EdDSA""#),
        (HopRefusal::Scheme, 401, r#"DPoP algs="EdDSA""#),
        (HopRefusal::Headers("DPoP"), 400, r#"DPoP algs="EdDSA", error="invalid_request""#),
        (HopRefusal::Token(HopError::Expired), 401, r#"DPoP algs="EdDSA", error="invalid_token""#),
        (HopRefusal::RequestDigest, 401, r#"DPoP algs="EdDSA", error="invalid_token""#),
        (HopRefusal::TokenReplayed, 401, r#"DPoP algs="EdDSA", error="invalid_token""#),
        (HopRefusal::NoProof, 401, r#"DPoP algs="EdDSA", error="invalid_dpop_proof""#),
        (HopRefusal::ProofReplayed, 401, r#"DPoP algs="EdDSA", error="invalid_dpop_proof""#),
        (scope_refusal(), 403, r#"DPoP algs="EdDSA", error="insufficient_scope", scope="warehouse:read""#),
        (HopRefusal::Argument("/\"x".into()), 403, r#"DPoP algs="EdDSA", error="insufficient_scope""#),
        (HopRefusal::ReplayUnknown, 503, r#"DPoP algs="EdDSA""#),
    ];
    for (refusal, status, challenge) in table {
        assert_eq!((refusal.status(), refusal.www_authenticate().as_str()), (status, challenge));
    }
}

#[test]
fn headers_are_taken_once_and_whole() {
    let take = |headers: &[(&'static str, &'static [u8])]| {
        ReceivedRequest::from_headers("GET", URL, headers.iter().copied(), b"").map(|r| {
            (r.authorization.map(str::to_owned), r.dpop.map(str::to_owned), r.idempotency_key.map(str::to_owned))
        })
    };
    let all: &[(&str, &[u8])] =
        &[("AUTHORIZATION", b"DPoP x"), ("dpop", b"p"), ("Idempotency-Key", b"k"), ("host", b"\xff")];
    assert_eq!(take(all), Ok((Some("DPoP x".into()), Some("p".into()), Some("k".into()))));
    for name in ["Authorization", "DPoP", "Idempotency-Key", "Content-Type"] {
        assert_eq!(take(&[(name, b"a"), (name, b"a")]).err(), Some(HopRefusal::Headers(name)));
        assert_eq!(take(&[(name, b"a\nb")]).err(), Some(HopRefusal::Headers(name)));
        assert_eq!(take(&[(name, b"\xff")]).err(), Some(HopRefusal::Headers(name)));
    }
}
