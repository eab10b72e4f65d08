//! Abuse case 92: a replayed token; and tokens that are altered, late, or meant for somebody else.

use super::receiver::{Captured, Receiver};
use super::world::{apply, call, furnish, run, worker};
use crate::house::{House, http};
use mandate_identity::{Audience, Jwks, Scope};
use mandate_kernel::{
    Clock, Duration, Environment, FunctionName, SystemClock, Tenant, Timestamp, base64url_decode, base64url_encode,
};
use mandate_verifier::{BoundedReplayCache, Demand, HopRefusal, HopVerifier, ReceivedRequest, VerifierConfig};
use serde_json::{Value, json};
use std::sync::Arc;

/// The clock of somebody who waited.
struct Later(Duration);

impl Clock for Later {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus(self.0)
    }
}

/// Two captured calls: a read, and an act with a body.
struct Caught {
    house: House,
    receiver: Receiver,
    read: Captured,
    act: Captured,
}

fn caught() -> Caught {
    let (house, receiver) = (House::start(), Receiver::start());
    furnish(&house, &receiver);
    let steps = json!([call("read", "mine.read", "2026-Q3"), call("act", "mine.publish", "2026-Q3")]);
    apply(&house, "admin", vec![worker("both", steps, &["mine.read", "mine.publish"], json!({}))]);
    run(&house, "finance-lead", "both").exits(0);
    let (read, act) = (receiver.by("GET").remove(0), receiver.by("POST").remove(0));
    Caught { house, receiver, read, act }
}

impl Caught {
    fn verifier(&self, change: impl FnOnce(&mut VerifierConfig)) -> HopVerifier {
        let keys = http::get(&format!("{}/t/demo/.well-known/jwks.json", self.house.url())).unwrap();
        let mut config = VerifierConfig {
            issuer: format!("{}/t/demo", self.house.url()),
            audience: Audience::new(self.receiver.url()).unwrap(),
            tenant: Some(Tenant::new("demo").unwrap()),
            environment: Environment::new("sandbox").unwrap(),
            keys: Jwks::from_json(&keys.body).unwrap(),
            leeway: Duration::from_secs(5),
            clock: Arc::new(SystemClock),
            replay: Arc::new(BoundedReplayCache::new(100)),
        };
        change(&mut config);
        HopVerifier::new(config)
    }

    fn check(&self, verifier: &HopVerifier, request: &Captured) -> Result<Value, HopRefusal> {
        let url = format!("{}{}", self.receiver.url(), request.target);
        let headers = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let received = ReceivedRequest::from_headers(&request.method, &url, headers, &request.body)?;
        let name = if request.method == "GET" { "mine.read" } else { "mine.publish" };
        let (scope, function) = (Scope::new(name).unwrap(), FunctionName::new(name).unwrap());
        let verified = verifier.verify(&received, &Demand { scope: &scope, function: &function, arguments: None })?;
        Ok(serde_json::to_value(verified.claims()).unwrap())
    }
}

/// The request with one header changed; an empty value takes it away.
fn with(request: &Captured, name: &str, value: &str) -> Captured {
    let mut changed = request.clone();
    changed.headers.retain(|(found, _)| found != name);
    if !value.is_empty() {
        changed.headers.push((name.to_owned(), value.to_owned()));
    }
    changed
}

fn authorized(request: &Captured, token: &str) -> Captured {
    with(request, "authorization", &format!("DPoP {token}"))
}

#[test]
fn a_token_is_good_once_for_one_request_at_one_place() {
    let caught = caught();
    let verifier = caught.verifier(|_| {});
    for request in [&caught.read, &caught.act] {
        let claims = caught.check(&verifier, request).unwrap();
        assert_eq!(claims["aud"], caught.receiver.url(), "{claims}");
        assert!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap() <= 300, "{claims}");
        assert_eq!(caught.check(&verifier, request), Err(HopRefusal::TokenReplayed));
    }
    assert_ne!(caught.read.token(), caught.act.token());
    assert_ne!(caught.read.header("dpop"), caught.act.header("dpop"));

    // Each from a verifier that has seen nothing: it is not the memory that refuses.
    let fresh = |request: &Captured| caught.check(&caught.verifier(|_| {}), request).unwrap_err();
    let mut moved = caught.read.clone();
    moved.target = moved.target.replace("Q3", "Q4");
    assert_eq!(fresh(&moved), HopRefusal::RequestDigest);
    let mut edited = caught.act.clone();
    edited.body = String::from_utf8(edited.body).unwrap().replace("Q3", "Q4").into_bytes();
    assert_eq!(fresh(&edited), HopRefusal::RequestDigest);
    assert_eq!(fresh(&with(&caught.act, "idempotency-key", "another")), HopRefusal::RequestDigest);
    assert_eq!(fresh(&with(&caught.read, "dpop", "")), HopRefusal::NoProof);
    assert_eq!(fresh(&with(&caught.read, "authorization", "")), HopRefusal::NoToken);
    assert_eq!(
        fresh(&with(&caught.read, "authorization", &format!("Bearer {}", caught.read.token()))),
        HopRefusal::Scheme
    );
    assert!(matches!(fresh(&with(&caught.read, "dpop", caught.act.header("dpop").unwrap())), HopRefusal::Proof(_)));
    assert_ne!(fresh(&authorized(&caught.read, caught.act.token())), HopRefusal::TokenReplayed);

    let other = |change: fn(&mut VerifierConfig)| caught.check(&caught.verifier(change), &caught.read).unwrap_err();
    assert!(matches!(other(|c| c.clock = Arc::new(Later(Duration::from_secs(600)))), HopRefusal::Token(_)));
    assert!(matches!(
        other(|c| c.audience = Audience::new("https://elsewhere.example").unwrap()),
        HopRefusal::Token(_)
    ));
    assert!(matches!(other(|c| c.issuer = "https://elsewhere.example/t/demo".to_owned()), HopRefusal::Token(_)));
    assert!(matches!(other(|c| c.keys = Jwks::new([])), HopRefusal::Token(_)));
    assert_eq!(other(|c| c.tenant = Some(Tenant::new("other").unwrap())), HopRefusal::Tenant);
    assert!(matches!(other(|c| c.environment = Environment::new("production").unwrap()), HopRefusal::Environment(_)));
}

#[test]
fn an_altered_token_is_no_token() {
    let caught = caught();
    let token = caught.read.token();
    let parts: Vec<&str> = token.split('.').collect();
    let claims = String::from_utf8(base64url_decode(parts[1]).unwrap()).unwrap();
    let wider = base64url_encode(claims.replace("mine.read", "mine.full").as_bytes());
    let none = base64url_encode(br#"{"alg":"none","typ":"at+jwt"}"#);
    let mut altered = vec![
        format!("{}.{wider}.{}", parts[0], parts[2]),
        format!("{none}.{}.", parts[1]),
        format!("{none}.{}.{}", parts[1], parts[2]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{token}="),
    ];
    for at in [0, parts[0].len() + 1, token.len() - 20, token.len() / 2] {
        let mut bytes = token.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        altered.push(String::from_utf8(bytes).unwrap());
    }
    for bad in altered {
        let refusal = caught.check(&caught.verifier(|_| {}), &authorized(&caught.read, &bad)).unwrap_err();
        assert!(matches!(refusal, HopRefusal::Token(_)), "{bad}: {refusal:?}");
    }
}

/// The real services of the house refuse what was captured elsewhere, and the API takes no hop token.
#[test]
fn a_captured_token_opens_nothing_else() {
    let caught = caught();
    let reports = caught.house.ready()["report_url"].as_str().unwrap().to_owned();
    let token = caught.house.token("admin");
    let connection = caught.house.http("GET", "/v1/resources/connection/finance/warehouse", Some(&token), None).json();
    let warehouse = connection["spec"]["environments"]["sandbox"]["url"].as_str().unwrap().to_owned();
    for (method, url, from) in
        [("GET", format!("{warehouse}/v1/revenue?quarter=2026-Q3"), &caught.read), ("POST", reports, &caught.act)]
    {
        let headers: Vec<(&str, &str)> = from
            .headers
            .iter()
            .filter(|(name, _)| {
                ["authorization", "dpop", "idempotency-key", "content-type", "txn-token"].contains(&name.as_str())
            })
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let body = (method == "POST").then_some(from.body.as_slice());
        let reply = http::send(method, &url, &headers, body).unwrap();
        assert_eq!(reply.status, 401, "{url}: {}", String::from_utf8_lossy(&reply.body));
        let bare = http::send(
            method,
            &url,
            &[("content-type", "application/json")],
            body.or(Some(b"{}")).filter(|_| method == "POST"),
        )
        .unwrap();
        assert_eq!(bare.status, 401, "{url}");
    }
    assert_eq!(caught.house.reports(), Vec::<Value>::new());
    for scheme in ["Bearer", "DPoP"] {
        let header = format!("{scheme} {}", caught.read.token());
        for path in ["/v1/me", "/v1/runs", "/v1/secrets"] {
            let reply = caught.house.http_with("GET", path, None, &[("authorization", &header)], None);
            assert_eq!(reply.status, 401, "{scheme} {path}");
        }
    }
}
