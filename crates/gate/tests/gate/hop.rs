//! The authority of a hop is the least that this very call needs.

use crate::support::*;
use mandate_gate::{Judged, StepFacts};
use mandate_identity::Authority;
use proptest::prelude::*;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

#[test]
fn the_hop_is_for_this_call_alone() {
    let permit = allowed(delegated(), to_warehouse());
    let expect = Authority {
        scopes: scopes(&["warehouse:read"]),
        audiences: BTreeSet::from([audience(WAREHOUSE)]),
        functions: BTreeMap::from([(function("warehouse.revenue"), quarters_of("2026-"))]),
        environment: environment("sandbox"),
        not_after: in_secs(60),
        depth: 0,
    };
    assert_eq!(permit.hop(), Some(&expect));
    assert_eq!(permit.not_after(), in_secs(60));
}

#[test]
fn neither_hop_nor_permit_outlives_the_run_s_authority() {
    let mut facts = delegated();
    facts.authority.not_after = in_secs(20);
    let permit = allowed(facts, to_warehouse());
    assert_eq!((permit.hop().unwrap().not_after, permit.not_after()), (in_secs(20), in_secs(20)));
}

const SCOPES: [&str; 4] = ["a", "b", "c", "d"];

fn some_scopes() -> impl Strategy<Value = BTreeSet<mandate_identity::Scope>> {
    proptest::sample::subsequence(&SCOPES, 0..=4).prop_map(|texts| scopes(&texts))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn allowed_exactly_within_the_authority_and_always_with_less(
        held in some_scopes(),
        wanted in some_scopes(),
        known in any::<bool>(),
        quarter in prop_oneof![Just("2026-Q1"), Just("2026-Q4"), Just("2025-Q4"), Just("2026"), Just("2026-%2e")],
        lasts in 0_u64..150,
        depth in 0_u8..3,
    ) {
        let mut facts = StepFacts { scopes: wanted.clone(), arguments: json!({"quarter": quarter}), ..delegated() };
        facts.authority.scopes = held.clone();
        facts.authority.not_after = in_secs(lasts);
        facts.authority.depth = depth;
        if !known {
            facts.authority.audiences.remove(&audience(WAREHOUSE));
        }
        let run = facts.authority.clone();
        let within = wanted.is_subset(&held)
            && known
            && ["2026-Q1", "2026-Q4"].contains(&quarter)
            && lasts > 0
            && (depth > 0 || lasts > 60);
        match judged(builtin(), facts, to_warehouse()) {
            Judged::Refused(refusal) => {
                prop_assert!(!within, "refused: {}", refusal.kind);
                prop_assert_eq!(refusal.kind.code(), "outside-authority");
            }
            Judged::NotYet(_) => prop_assert!(false, "no gate stands here"),
            Judged::Allowed(allowed) => {
                prop_assert!(within);
                let hop = allowed.hop().unwrap();
                prop_assert!(run.covers(hop) && !hop.covers(&run));
                prop_assert_eq!(&hop.scopes, &wanted);
                prop_assert_eq!((hop.audiences.len(), hop.functions.len(), hop.depth), (1, 1, 0));
                prop_assert_eq!(hop.not_after, in_secs(lasts.min(60)));
                prop_assert_eq!(allowed.not_after(), hop.not_after);
            }
        }
    }
}
