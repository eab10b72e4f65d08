//! The warehouse behind hop tokens.

use crate::platform::{API, Call, Kind, World, new_key, world};
use mandate_identity::{Audience, HopClaims, Scope};
use mandate_kernel::{Clock as _, Duration, Environment, FunctionName, Signer as _, SystemClock, Tenant};

fn ask(world: &World, quarter: &str) -> Call {
    Call::get(format!("{}/v1/revenue?quarter={quarter}", world.house.warehouse_url()))
}

fn good(world: &World) -> Call {
    ask(world, "2026-Q3").signed(world, Kind::Revenue, |_| {})
}

#[tokio::test]
async fn a_good_call_gets_real_rows_once() {
    let world = world().await;
    assert_eq!(world.fetches(), 0);
    let call = good(&world);
    let answer = world.send(&call).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!((&answer.body["quarter"], &answer.body["currency"]), (&"2026-Q3".into(), &"EUR".into()));
    let rows = answer.body["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 30);
    assert!(rows.iter().all(|row| row["amount_cents"].as_i64().unwrap() > 0 && row["product"].is_string()));
    assert!(rows.iter().all(|row| row["note"].is_null() && row.get("account_manager").is_none()));
    assert_eq!(answer.body["as_of"], "2026-10-10");
    let again = world.send(&call).await;
    assert_eq!((again.status, again.challenge()), (401, "DPoP algs=\"EdDSA\", error=\"invalid_token\""));
    assert_eq!(again.headers["content-type"], "application/problem+json");
    // The used token stays used over a restart.
    let world = world.restart().await;
    assert_eq!(world.send(&call).await.status, 401);
    assert_eq!(world.send(&good(&world)).await.body, answer.body);
    assert_eq!(world.fetches(), 2);
}

#[tokio::test]
async fn a_call_that_is_wrong_in_one_thing_is_refused() {
    let world = world().await;
    let claims = |change: fn(&mut HopClaims)| ask(&world, "2026-Q3").signed(&world, Kind::Revenue, change);
    let past = |claims: &mut HopClaims| {
        let then = SystemClock.now().minus(Duration::from_secs(100));
        (claims.iat, claims.nbf, claims.exp) = (then, then, then.plus(Duration::from_secs(60)));
    };
    for (name, call, status, code) in [
        ("no token", ask(&world, "2026-Q3"), 401, ""),
        ("bearer", Call { authorization: Some("Bearer x".into()), ..good(&world) }, 401, ""),
        ("garbage", Call { authorization: Some("DPoP x".into()), ..good(&world) }, 401, "invalid_token"),
        ("no proof", Call { proof: None, ..good(&world) }, 401, "invalid_dpop_proof"),
        ("another's proof", Call { proof: good(&world).proof, ..good(&world) }, 401, "invalid_dpop_proof"),
        ("another quarter", Call { url: ask(&world, "2026-Q2").url, ..good(&world) }, 401, "invalid_token"),
        (
            "more query",
            Call { url: format!("{}&x=1", ask(&world, "2026-Q3").url), ..good(&world) },
            401,
            "invalid_token",
        ),
        ("a body", Call { body: b"x".to_vec(), ..good(&world) }, 401, "invalid_token"),
        ("issuer", claims(|c| c.iss = format!("{API}/t/other")), 401, "invalid_token"),
        ("audience", claims(|c| c.aud = Audience::new("http://127.0.0.1:9").unwrap()), 401, "invalid_token"),
        ("expired", claims(past), 401, "invalid_token"),
        ("tenant", claims(|c| c.mandate.tenant = Tenant::new("other").unwrap()), 401, "invalid_token"),
        (
            "environment",
            claims(|c| c.mandate.environment = Environment::new("production").unwrap()),
            401,
            "invalid_token",
        ),
        ("scope", claims(|c| c.scope = [Scope::new("report.publish").unwrap()].into()), 403, "insufficient_scope"),
        (
            "function",
            claims(|c| {
                let mandate_identity::AuthorizationDetail::Function(detail) = &mut c.authorization_details[0];
                detail.function = FunctionName::new("warehouse.costs").unwrap();
            }),
            403,
            "insufficient_scope",
        ),
        ("argument", ask(&world, "1999-Q3").signed(&world, Kind::Revenue, |_| {}), 403, "insufficient_scope"),
        ("unbound", claims(|c| c.cnf = None), 401, "invalid_token"),
        (
            "another key",
            claims(|c| c.cnf = Some(mandate_identity::Confirmation { jkt: new_key().key_id().0 })),
            401,
            "invalid_dpop_proof",
        ),
    ] {
        let answer = world.send(&call).await;
        let code = if code.is_empty() { String::new() } else { format!("error=\"{code}\"") };
        assert_eq!(answer.status, status, "{name}: {}", answer.body);
        assert!(answer.challenge().starts_with("DPoP algs") && answer.challenge().contains(&code), "{name}");
        assert_eq!(answer.challenge().contains("error="), !code.is_empty(), "{name}");
    }
}

#[tokio::test]
async fn questions_it_does_not_understand_are_problems_after_the_token() {
    let world = world().await;
    let url = world.house.warehouse_url();
    let missing = Call::get(format!("{url}/v1/revenue"));
    assert_eq!(world.send(&missing).await.status, 401);
    assert_eq!(world.send(&missing.signed(&world, Kind::Revenue, |_| {})).await.status, 400);
    let absent = ask(&world, "2099-Q1").signed(&world, Kind::Revenue, |_| {});
    assert_eq!(world.send(&absent).await.status, 404);
    let encoded = Call::get(format!("{url}/v1/revenue?quarter=20%27%20OR%201%3D1"));
    assert_eq!(world.send(&encoded.signed(&world, Kind::Revenue, |_| {})).await.status, 404);
}

#[tokio::test]
async fn a_rotated_key_is_found_and_a_stranger_is_not_looked_for_each_time() {
    let mut world = world().await;
    assert_eq!(world.send(&good(&world)).await.status, 200);
    let withdrawn = good(&world);
    world.rotate();
    assert_eq!(world.send(&good(&world)).await.status, 200);
    assert_eq!(world.fetches(), 2);
    for _ in 0..5 {
        assert_eq!(world.send(&withdrawn).await.status, 401);
    }
    assert_eq!(world.fetches(), 2);
}

#[tokio::test]
async fn notes_and_days_are_what_somebody_at_the_warehouse_wrote() {
    let world = world().await;
    assert!(world.house.write_note("2026-Q3", "Nordics", "Billing", Some("Ask the desk.")).unwrap());
    assert!(!world.house.write_note("2026-Q3", "Nowhere", "Billing", Some("x")).unwrap());
    assert!(world.house.date_figures("2026-Q3", "2026-07-01").unwrap());
    let world = world.restart().await;
    let answer = world.send(&good(&world)).await;
    assert_eq!(answer.body["as_of"], "2026-07-01");
    let notes: Vec<_> = answer.body["rows"].as_array().unwrap().iter().filter_map(|row| row["note"].as_str()).collect();
    assert_eq!(notes, ["Ask the desk."]);
    assert!(world.house.write_note("2026-Q3", "Nordics", "Billing", None).unwrap());
}

#[tokio::test]
async fn desks_need_a_scope_of_their_own() {
    let world = world().await;
    let url = format!("{}/v1/desks?quarter=2026-Q3", world.house.warehouse_url());
    let answer = world.send(&Call::get(&url).signed(&world, Kind::Desks, |_| {})).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let rows = answer.body["rows"].as_array().unwrap();
    assert!(rows.len() == 30 && rows.iter().all(|row| row["account_manager"].as_str().unwrap().starts_with("desk-")));
    assert_eq!(world.send(&Call::get(&url).signed(&world, Kind::Revenue, |_| {})).await.status, 403);
}

/// What the four wrong runs rest on is there from the beginning; 2026 is as it should be.
#[tokio::test]
async fn some_quarters_of_2025_are_wrong_from_the_beginning() {
    let world = world().await;
    for (asked, holds, as_of, notes) in [
        ("2025-Q1", "2025-Q1", "2023-04-10", 0),
        ("2025-Q2", "2025-Q1", "2026-10-12", 0),
        ("2025-Q3", "2025-Q3", "2026-10-12", 1),
        ("2025-Q4", "2025-Q4", "2026-10-12", 0),
        ("2026-Q1", "2026-Q1", "2026-04-10", 0),
    ] {
        let answer = world.send(&ask(&world, asked).signed(&world, Kind::Revenue, |_| {})).await.body;
        assert_eq!((&answer["quarter"], &answer["as_of"]), (&holds.into(), &as_of.into()), "{asked}");
        let rows = answer["rows"].as_array().unwrap();
        assert_eq!(rows.iter().filter(|row| row["note"].is_string()).count(), notes, "{asked}");
    }
}
