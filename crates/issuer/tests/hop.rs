//! Hop tokens, from the permit to the receiver that verifies them with public keys alone.

#![expect(clippy::unwrap_used, reason = "a test ends where its setting fails")]

mod support;

use mandate_gate::{AuthorityRoot, CredentialFacts, GrantFacts, Prepared, Request, Slot, StepFacts};
use mandate_identity::{Audience, CanonicalRequest, HopClaims, HopExpectation, Limit, dpop};
use mandate_issuer::{IssueError, Issuer, MintedHop, local_url};
use mandate_kernel::{Clock, Digest, Duration, IdentityModel, Timestamp, canonical_json};
use mandate_verifier::{Demand, HopRefusal, HopVerifier, ReceivedRequest};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use support::*;

fn claims(issuer: &Issuer, hop: &MintedHop, aud: &Audience, now: Timestamp) -> HopClaims {
    let expected = HopExpectation { issuer: ISSUER, audience: aud, now, leeway: Duration::from_secs(0) };
    HopClaims::verify(hop.credential.token.expose(), &keys(issuer), &expected).unwrap()
}

/// What a receiver gets, with one part changed at a time.
struct Sent {
    method: &'static str,
    url: &'static str,
    key: Option<&'static str>,
    content_type: Option<&'static str>,
    body: &'static [u8],
}

const SENT: Sent = Sent { method: "GET", url: URL, key: Some("run.1"), content_type: None, body: b"" };

fn receive(verifier: &HopVerifier, hop: &MintedHop, sent: &Sent) -> Result<HopClaims, HopRefusal> {
    let authorization = format!("DPoP {}", hop.credential.token.expose());
    let request = ReceivedRequest {
        method: sent.method,
        url: sent.url,
        authorization: Some(&authorization),
        dpop: Some(hop.credential.proof.expose()),
        idempotency_key: sent.key,
        content_type: sent.content_type,
        body: sent.body,
    };
    let demand = Demand {
        scope: &scope("warehouse:read"),
        function: &function("warehouse.revenue"),
        arguments: Some(&json!({"quarter": "2026-Q3"})),
    };
    verifier.verify(&request, &demand).map(|verified| verified.claims().clone())
}

#[tokio::test]
async fn says_exactly_what_was_permitted() {
    let clock = TestClock::new();
    let issuer = issuer(&clock);
    let (envelope, permit) = admitted(&issuer, facts(), http()).await;
    let jti = jti();
    let hop = issuer.hop(&permit, jti.clone(), &envelope).unwrap().unwrap();
    let claims = claims(&issuer, &hop, &audience(AUDIENCE), clock.now());
    assert_eq!(claims.jti, jti);
    assert_eq!(claims.sub, "user:finance-lead");
    assert_eq!(claims.act.unwrap().iter().collect::<Vec<_>>(), ["worker:finance/quarterly-summary"]);
    assert_eq!(claims.client_id, "finance/quarterly-summary");
    assert_eq!(claims.scope, BTreeSet::from([scope("warehouse:read")]));
    assert_eq!(claims.cnf.unwrap().jkt, hop.jkt);
    let details = &claims.authorization_details;
    assert_eq!(details.len(), 1);
    assert_eq!(
        serde_json::to_value(&details[0]).unwrap(),
        json!({
            "type": "mandate_function", "function": "warehouse.revenue",
            "arguments": {"/quarter": {"equals": "2026-Q3"}}, "request_digest": permit.prepared().digest(),
        })
    );
    assert_eq!(claims.mandate.parent, envelope.digest);
    assert_eq!(claims.mandate.decision, *permit.decision());
    assert_eq!(claims.mandate.step, step(1));
    assert_eq!(claims.mandate.argument_digest, Digest::of(&canonical_json(&facts().arguments).unwrap()));
    assert_eq!(claims.mandate.purpose, None);
    assert_eq!(hop.digest, Digest::of(hop.credential.token.expose().as_bytes()));
    // Whole seconds, never beyond the permit.
    assert_eq!(hop.expires_at, Timestamp::from_secs(permit.not_after().as_secs()));
    assert_eq!(hop.expires_at, Timestamp::from_secs(claims.exp.as_secs()));
    assert!(hop.expires_at <= permit.not_after() && claims.exp.since(claims.iat) <= Duration::from_secs(300));
}

#[tokio::test]
async fn a_receiver_accepts_it_once_for_this_request_and_for_no_other() {
    let clock = TestClock::new();
    let issuer = issuer(&clock);
    let (envelope, permit) = admitted(&issuer, facts(), http()).await;
    let hop = issuer.hop(&permit, jti(), &envelope).unwrap().unwrap();
    let verifier = verifier(&issuer, &clock);
    let others = [
        Sent { method: "POST", ..SENT },
        Sent { url: "https://warehouse.example/v1/revenue?quarter=2026-Q2", ..SENT },
        Sent { url: "https://warehouse.example/v1/payroll", ..SENT },
        Sent { url: "https://evil.example/v1/revenue?quarter=2026-Q3", ..SENT },
        Sent { key: Some("run.2"), ..SENT },
        Sent { key: None, ..SENT },
        Sent { content_type: Some("application/json"), ..SENT },
        Sent { body: b"{}", ..SENT },
    ];
    for other in &others {
        assert_eq!(receive(&verifier, &hop, other).err(), Some(HopRefusal::RequestDigest));
    }
    assert!(receive(&verifier, &hop, &SENT).is_ok());
    assert_eq!(receive(&verifier, &hop, &SENT).err(), Some(HopRefusal::TokenReplayed));
}

#[tokio::test]
async fn it_does_not_outlive_its_permit() {
    let clock = TestClock::new();
    let issuer = issuer(&clock);
    let (envelope, permit) = admitted(&issuer, facts(), http()).await;
    let hop = issuer.hop(&permit, jti(), &envelope).unwrap().unwrap();
    let verifier = verifier(&issuer, &clock);
    clock.pass(60_000);
    assert!(matches!(receive(&verifier, &hop, &SENT), Err(HopRefusal::Token(_))));
    // Nor is one minted that would be dead on arrival.
    let late = issuer.hop(&permit, jti(), &envelope).err();
    assert_eq!(late, Some(IssueError::Expired(permit.decision().clone())));
}

#[tokio::test]
async fn token_and_proof_belong_together() {
    let clock = TestClock::new();
    let issuer = issuer(&clock);
    let (envelope, permit) = admitted(&issuer, facts(), http()).await;
    let first = issuer.hop(&permit, jti(), &envelope).unwrap().unwrap();
    let second = issuer.hop(&permit, jti(), &envelope).unwrap().unwrap();
    assert_ne!(first.jkt, second.jkt, "each attempt has a key of its own");
    assert_ne!(first.digest, second.digest);
    let mixed = MintedHop {
        credential: mandate_gate::HopCredential { token: first.credential.token, proof: second.credential.proof },
        ..second
    };
    let refused = receive(&verifier(&issuer, &clock), &mixed, &SENT);
    assert_eq!(refused.err(), Some(HopRefusal::Proof(dpop::DpopError::Thumbprint)));
}

#[tokio::test]
async fn another_issuers_token_is_refused() {
    let clock = TestClock::new();
    let ours = issuer(&clock);
    let theirs = issuer_with(&clock, 2);
    let (envelope, permit) = admitted(&theirs, facts(), http()).await;
    let hop = theirs.hop(&permit, jti(), &envelope).unwrap().unwrap();
    assert!(matches!(receive(&verifier(&ours, &clock), &hop, &SENT), Err(HopRefusal::Token(_))));
    assert!(receive(&verifier(&theirs, &clock), &hop, &SENT).is_ok());
}

#[tokio::test]
async fn the_envelope_must_be_this_attempts() {
    let clock = TestClock::new();
    let issuer = issuer(&clock);
    let (_, permit) = admitted(&issuer, facts(), http()).await;
    let (other_decision, _) = admitted(&issuer, facts(), http()).await;
    let mut second = facts();
    second.step = step(2);
    let (other_attempt, _) = admitted(&issuer, second, http()).await;
    let run = issuer.start(start(&facts())).unwrap();
    for wrong in [&other_decision, &other_attempt, &run] {
        let refused = issuer.hop(&permit, jti(), wrong).err();
        assert_eq!(refused, Some(IssueError::Envelope(permit.decision().clone())));
    }
}

#[tokio::test]
async fn a_workflow_bound_token_names_the_worker_alone() {
    let clock = TestClock::new();
    let issuer = issuer(&clock);
    let mut facts = facts();
    facts.model = IdentityModel::WorkflowBound;
    let (envelope, permit) = admitted(&issuer, facts, http()).await;
    let hop = issuer.hop(&permit, jti(), &envelope).unwrap().unwrap();
    let claims = claims(&issuer, &hop, &audience(AUDIENCE), clock.now());
    assert_eq!((claims.sub.as_str(), claims.act), ("worker:finance/quarterly-summary", None));
    assert_eq!(envelope.claims()["sub"], "user:finance-lead", "the initiator is in the envelope");
}

#[tokio::test]
async fn what_others_issue_is_not_minted() {
    let clock = TestClock::new();
    let issuer = issuer(&clock);
    let stepping_up = StepFacts { model: IdentityModel::StepUp, ..facts() };
    let (envelope, permit) = admitted(&issuer, stepping_up, http()).await;
    let refused = issuer.hop(&permit, jti(), &envelope).err();
    assert!(matches!(refused, Some(IssueError::Model { model: IdentityModel::StepUp, .. })), "{refused:?}");
    // With a credential of the caller's own, the receiver gets no token of ours beside it.
    let passing_on = StepFacts { model: IdentityModel::UserPassthrough, ..facts() };
    let (envelope, permit) = admitted(&issuer, passing_on, http()).await;
    assert!(issuer.hop(&permit, jti(), &envelope).unwrap().is_none());
}

#[tokio::test]
async fn a_step_that_rests_on_a_grant_has_nothing_to_pass_on() {
    let clock = TestClock::new();
    let issuer = issuer(&clock);
    let mut facts = facts();
    let name = mandate_kernel::ResourceName::new("finance/costs").unwrap();
    facts.model = IdentityModel::ServiceAccount;
    facts.credential = Some(CredentialFacts {
        name: name.clone(),
        version: 1,
        environment: environment(),
        destinations: BTreeSet::from([AUDIENCE.to_owned()]),
        exchange: None,
        grant: Some(GrantFacts {
            name: "finance/costs".to_owned(),
            owner: "user:finance-director".to_owned(),
            credential: name,
            worker_version: facts.worker_version,
            function_version: facts.function_version,
            environment: environment(),
            not_after: None,
        }),
    });
    facts.root = AuthorityRoot::Grant;
    let slot = Some(Slot::Header { name: "x-api-key".to_owned(), prefix: String::new() });
    let (envelope, permit) = admitted(&issuer, facts, Prepared { slot, audience: None, ..http() }).await;
    assert!(issuer.hop(&permit, jti(), &envelope).unwrap().is_none());
    let authority = &envelope.claims()["rctx"]["authority"];
    assert_eq!((&authority["scopes"], &authority["functions"]), (&json!([]), &json!({})));
}

#[tokio::test]
async fn a_function_in_this_process_carries_a_token_and_a_proof_too() {
    let clock = TestClock::new();
    let issuer = issuer(&clock);
    let mut facts = facts();
    facts.authority.audiences.insert(audience("urn:mandate:local:noop"));
    let prepared = local("noop", &facts.arguments);
    let (envelope, permit) = admitted(&issuer, facts, prepared).await;
    let hop = issuer.hop(&permit, jti(), &envelope).unwrap().unwrap();
    let claims = claims(&issuer, &hop, &audience("urn:mandate:local:noop"), clock.now());
    let url = local_url("noop").unwrap();
    let expected = dpop::Expected {
        method: "POST",
        url: &url,
        token: hop.credential.token.expose(),
        jkt: &claims.cnf.unwrap().jkt,
        now: clock.now(),
        max_age: Duration::from_secs(60),
        leeway: Duration::from_secs(0),
    };
    assert!(dpop::verify(hop.credential.proof.expose(), &expected).is_ok());
    let elsewhere = local_url("other").unwrap();
    assert_eq!(
        dpop::verify(hop.credential.proof.expose(), &dpop::Expected { url: &elsewhere, ..expected }).err(),
        Some(dpop::DpopError::Url)
    );
    for bad in ["a b", "../up", "a//b", "%2e", "#"] {
        assert!(matches!(local_url(bad), Err(IssueError::Local { .. })), "{bad}");
    }
}

#[tokio::test]
async fn long_texts_stay_out_of_the_token() {
    let clock = TestClock::new();
    let issuer = issuer(&clock);
    let mut facts = facts();
    facts.arguments = json!({"quarter": "2026-Q3", "body": "x".repeat(100_000), "items": vec![1; 5_000]});
    let body = facts.arguments.to_string().into_bytes();
    let request = CanonicalRequest::new("POST", URL, Some("application/json".to_owned()), body, None).unwrap();
    let (envelope, permit) = admitted(&issuer, facts, Prepared { request: Request::Http(request), ..http() }).await;
    let hop = issuer.hop(&permit, jti(), &envelope).unwrap().unwrap();
    let token = hop.credential.token.expose();
    assert!(token.len() < 2_500, "{}", token.len());
    let claims = claims(&issuer, &hop, &audience(AUDIENCE), clock.now());
    let pointers: Vec<(String, Limit)> =
        claims.functions().flat_map(|detail| detail.arguments.iter().map(|(p, l)| (p.to_owned(), l.clone()))).collect();
    assert_eq!(pointers, [("/quarter".to_owned(), Limit::Equals(json!("2026-Q3")))]);
}

#[test]
fn an_issuer_has_a_url() {
    let clock = TestClock::new();
    let signer = Arc::new(mandate_kernel::Ed25519Signer::from_seed(&mandate_kernel::Secret::new([1; 32])).unwrap());
    for bad in ["", "mandate.example", "https://", "https:///x", "ftp://x", "https://a b", "https://a\n"] {
        let made = Issuer::new(bad, signer.clone(), clock.clone(), Arc::new(mandate_kernel::SystemEntropy));
        assert!(matches!(made, Err(IssueError::Issuer(_))), "{bad}");
    }
    assert_eq!(issuer(&clock).trust_domain(), "mandate.example/t/demo");
}
