//! Authentication policies: where a secret may be exchanged for tokens, and what a decision about it speaks of.

use crate::support::*;
use mandate_gate::{Judged, Prepared, Slot};
use mandate_identity::{Authentication, CanonicalUrl, ExchangePlace};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What a credential's owner says of its exchange is the gate's to compare, whatever the effect made of it.
#[test]
fn a_secret_is_exchanged_at_its_own_token_endpoint_or_not_at_all() {
    let policy = |settings: Value| Authentication::read(&settings).unwrap();
    let exchange = |authority: &str| {
        policy(json!({
            "scheme": "oauth2", "secret": "s", "fills": "clientSecret", "authority": authority,
            "grant": "client_credentials", "client": {"id": "c"},
        }))
    };
    let basic = policy(json!({"scheme": "basic", "secret": "s"}));
    let place = || ExchangePlace {
        token_endpoint: CanonicalUrl::new("https://id.example/oauth2/token").unwrap(),
        issuer: None,
        revocation_endpoint: None,
    };
    for (asked, held, refused) in [
        (Some(exchange("https://id.example")), Some(place()), None),
        (Some(exchange("https://evil.example")), Some(place()), Some("exchange-not-allowed")),
        (Some(exchange("https://id.example")), None, Some("exchange-not-allowed")),
        (Some(basic.clone()), Some(place()), Some("credential-exchanged-only")),
        (Some(basic), None, None),
        (None, Some(place()), Some("credential-exchanged-only")),
    ] {
        let (mut facts, mut prepared) = (granted(), to_ledgerbook());
        facts.credential.as_mut().unwrap().exchange = held;
        if let Some(policy) = asked {
            prepared.slot = Some(Slot::Authorization { policy, md5: false });
        }
        let found = match judged(builtin(), facts, prepared) {
            Judged::Refused(refusal) => Some(refusal.kind.code()),
            _ => None,
        };
        assert_eq!(found, refused);
    }
}

/// An approval, a decision and the ledger speak of how the request is authenticated, too.
#[test]
fn how_it_is_authenticated_is_part_of_the_digest() {
    let digest = |policy: Value, md5: bool| {
        let policy = Authentication::read(&policy).unwrap();
        Prepared { slot: Some(Slot::Authorization { policy, md5 }), ..to_ledgerbook() }.digest()
    };
    let basic = |user: &str| json!({"scheme": "basic", "secret": "s", "username": user});
    let all = BTreeSet::from([
        to_ledgerbook().digest(),
        digest(basic("ann"), false),
        digest(basic("bob"), false),
        digest(basic("ann"), true),
        digest(json!({"scheme": "digest", "secret": "s", "username": "ann"}), false),
        digest(json!({"scheme": "bearer", "secret": "s"}), false),
    ]);
    assert_eq!(all.len(), 6);
}
