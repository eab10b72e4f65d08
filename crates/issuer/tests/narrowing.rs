//! Whatever the run's authority and whatever the call: the token is a part of it, in every dimension.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends where its setting fails")]

mod support;

use mandate_gate::{Judged, Prepared};
use mandate_identity::{Authority, HopClaims, HopExpectation, Limit};
use mandate_kernel::{Duration, Environment, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use support::*;

const AUDIENCES: [&str; 3] = [AUDIENCE, "https://reports.example", "urn:demo:mail"];
const FUNCTIONS: [&str; 3] = ["warehouse.revenue", "report.publish", "mail.send"];

fn limit() -> impl Strategy<Value = Limit> {
    prop_oneof![
        value().prop_map(Limit::Equals),
        proptest::collection::vec(value(), 0..3).prop_map(Limit::OneOf),
        "[ab]{0,2}".prop_map(Limit::Prefix),
        (-3i64..3, -3i64..3).prop_map(|(min, max)| Limit::Range { min, max }),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        (-3i64..3).prop_map(Value::from),
        "[ab]{0,3}".prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(json!(1.5)),
        Just(json!([1, "a"])),
        Just(Value::Null),
    ]
}

fn authority_of_any_shape() -> impl Strategy<Value = Authority> {
    let scopes = proptest::collection::btree_set("[a-c]".prop_map(|s| scope(&s)), 1..4);
    let audiences = proptest::collection::btree_set((0..3usize).prop_map(|i| audience(AUDIENCES[i])), 2..6);
    let limits = proptest::collection::btree_map("/[x-z]", limit(), 0..2)
        .prop_map(|map| mandate_identity::ArgumentLimits::new(map).unwrap());
    let functions = proptest::collection::btree_map((0..3usize).prop_map(|i| function(FUNCTIONS[i])), limits, 2..6);
    (scopes, audiences, functions, 500i64..200_000, 0u8..3).prop_map(|(scopes, audiences, functions, life, depth)| {
        let not_after = Timestamp::from_millis(NOW + life);
        Authority { scopes, audiences, functions, environment: environment(), not_after, depth }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    fn check_tokens(
        authority in authority_of_any_shape(),
        scopes in proptest::collection::btree_set("[a-c]".prop_map(|s| scope(&s)), 0..2),
        to in 0..3usize,
        called in 0..3usize,
        arguments in proptest::collection::btree_map("[x-z]", value(), 1..4),
    ) {
        let clock = TestClock::new();
        let issuer = issuer(&clock);
        let mut facts = facts();
        facts.scopes = scopes;
        facts.function = function(FUNCTIONS[called]);
        facts.arguments = Value::Object(arguments.into_iter().collect());
        facts.authority = authority.clone();
        let prepared = Prepared { audience: Some(audience(AUDIENCES[to])), ..http() };
        let now = Timestamp::from_millis(NOW);
        let Judged::Allowed(allowed) = judge(facts.clone(), prepared, now) else { return Ok(()) };
        let Ok(run) = issuer.start(start(&facts)) else { return Ok(()) };
        // Less than a second left: no token says so little.
        let Ok(envelope) = issuer.envelope(&run, &allowed, &[]) else { return Ok(()) };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let permit = runtime.block_on(admit(allowed));
        let minted = issuer.hop(&permit, jti(), &envelope);
        let Ok(Some(hop)) = minted else { return Ok(()) };
        let expected = HopExpectation {
            issuer: ISSUER, audience: &audience(AUDIENCES[to]), now, leeway: Duration::from_secs(0),
        };
        let claims = HopClaims::verify(hop.credential.token.expose(), &keys(&issuer), &expected).unwrap();
        let got = claims.authority();
        prop_assert!(authority.covers(&got));
        prop_assert!(got.depth < authority.depth || got.not_after < authority.not_after, "strictly less");
        prop_assert!(got.not_after <= permit.not_after() && got.not_after <= envelope.expires_at());
        prop_assert_eq!(&got.scopes, &facts.scopes);
        prop_assert_eq!(got.audiences.len(), 1);
        prop_assert_eq!(got.functions.keys().collect::<Vec<_>>(), [&facts.function]);
        let limits = &got.functions[&facts.function];
        prop_assert!(limits.admit(&facts.arguments).is_ok(), "the call itself stays possible");
        for (name, value) in facts.arguments.as_object().unwrap() {
            if value.is_i64() || value.is_string() || value.is_boolean() {
                let mut other = facts.arguments.clone();
                other[name] = json!("something else");
                prop_assert!(limits.admit(&other).is_err(), "{} could be changed", name);
            }
        }
        MINTED.fetch_add(1, Ordering::Relaxed);
    }
}

static MINTED: AtomicU32 = AtomicU32::new(0);

#[test]
fn a_token_is_a_part_of_its_run() {
    check_tokens();
    let minted = MINTED.load(Ordering::Relaxed);
    assert!(minted > 150, "only {minted} cases came to a token: the property says nothing");
}

#[tokio::test]
async fn an_authority_of_another_environment_mints_nothing() {
    let clock = TestClock::new();
    let issuer = issuer(&clock);
    let mut facts = facts();
    facts.authority.environment = Environment::new("production").unwrap();
    facts.authority.functions = BTreeMap::from([(facts.function.clone(), Default::default())]);
    assert!(issuer.start(start(&facts)).is_err());
    let run = issuer.start(start(&support::facts())).unwrap();
    if let Judged::Allowed(allowed) = judge(facts, http(), Timestamp::from_millis(NOW)) {
        assert!(issuer.envelope(&run, &allowed, &[]).is_err());
    }
}
