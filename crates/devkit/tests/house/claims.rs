//! The claims system behind hop tokens.

use crate::platform::{Call, Kind, World, read, world};
use mandate_identity::IdentityModel;
use serde_json::{Value, json};

fn ask(world: &World, claim: &str) -> Call {
    Call::get(format!("{}/v1/claims/{claim}", world.house.claims_url()))
}

fn cover(world: &World, contract: &str, day: &str) -> Call {
    Call::get(format!("{}/v1/cover?contract={contract}&loss_on={day}", world.house.claims_url()))
}

fn post(world: &World, to: &str, key: &str, body: &Value) -> Call {
    Call::post(format!("{}/v1/{to}", world.house.claims_url()), key, body)
}

fn pay(world: &World, key: &str, claim: &str, cents: i64) -> Call {
    let body = json!({"claim": claim, "amount_cents": cents, "currency": "EUR"});
    post(world, "payouts", key, &body).signed(world, Kind::Claims("claims.pay"), |_| {})
}

async fn listed(world: &World, what: &str) -> Vec<Value> {
    let url = format!("{}/v1/{what}", world.house.claims_url());
    let answer = read(world.client.get(url).send().await.unwrap()).await;
    answer.body["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn claims_and_cover_are_read_with_a_token_for_each() {
    let world = world().await;
    let call = ask(&world, "CL-1002").signed(&world, Kind::Claims("claims.read"), |_| {});
    let answer = world.send(&call).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!((&answer.body["claim"], &answer.body["contract"]), (&json!("CL-1002"), &json!("CT-2002")));
    let cents: i64 =
        answer.body["positions"].as_array().unwrap().iter().map(|row| row["amount_cents"].as_i64().unwrap()).sum();
    assert_eq!(cents, 637_500);
    assert_eq!(world.send(&call).await.status, 401, "used");
    for (contract, day, covered) in
        [("CT-2002", "2026-10-02", true), ("CT-2004", "2025-12-31", true), ("CT-2004", "2026-01-01", false)]
    {
        let call = cover(&world, contract, day).signed(&world, Kind::Claims("claims.validate"), |_| {});
        let answer = world.send(&call).await;
        assert_eq!((answer.status, answer.body["covered"].as_bool()), (200, Some(covered)), "{contract} {day}");
    }
    for (name, call, status) in [
        ("no token", ask(&world, "CL-1002"), 401),
        ("a right to validate", ask(&world, "CL-1002").signed(&world, Kind::Claims("claims.validate"), |_| {}), 403),
        (
            "a right to read",
            cover(&world, "CT-2002", "2026-10-02").signed(&world, Kind::Claims("claims.read"), |_| {}),
            403,
        ),
        ("another service", ask(&world, "CL-1002").signed(&world, Kind::Documents("documents.read"), |_| {}), 401),
        ("another claim than the token's", ask(&world, "X-1").signed(&world, Kind::Claims("claims.read"), |_| {}), 403),
        ("absent", ask(&world, "CL-9").signed(&world, Kind::Claims("claims.read"), |_| {}), 404),
        (
            "no contract",
            cover(&world, "CT-9", "2026-10-02").signed(&world, Kind::Claims("claims.validate"), |_| {}),
            404,
        ),
    ] {
        let answer = world.send(&call).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_claim_is_paid_once_and_never_more_than_was_claimed() {
    let world = world().await;
    assert_eq!(world.send(&pay(&world, "run_1.6", "CL-1002", 637_501)).await.status, 409);
    let first = world.send(&pay(&world, "run_1.6", "CL-1002", 600_000)).await;
    assert_eq!(first.status, 201, "{}", first.body);
    let world = world.restart().await;
    let again = world.send(&pay(&world, "run_1.6", "CL-1002", 600_000)).await;
    assert_eq!((again.status, &again.body), (200, &first.body));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(world.send(&pay(&world, "run_1.6", "CL-1002", 1)).await.status, 422, "another under the same key");
    assert_eq!(world.send(&pay(&world, "run_2.6", "CL-1002", 1)).await.status, 409, "paid");
    assert_eq!(world.send(&pay(&world, "run_2.6", "CL-9", 1)).await.status, 409, "no such claim");
    let items = listed(&world, "payouts").await;
    assert_eq!(items.len(), 1);
    assert_eq!((&items[0]["about"], &items[0]["idempotency_key"]), (&json!("CL-1002"), &json!("run_1.6")));
    assert!(items[0].get("body").is_none());
}

#[tokio::test]
async fn nothing_is_written_without_token_key_model_or_form() {
    let world = world().await;
    let payout = json!({"claim": "CL-1001", "amount_cents": 5, "currency": "EUR"});
    let note = json!({"claim": "CL-1001", "text": "Seen."});
    let unsigned = |to: &str, body: &Value| post(&world, to, "run_1.3", body);
    let paying = |body: &Value| unsigned("payouts", body).signed(&world, Kind::Claims("claims.pay"), |_| {});
    let noting = |body: &Value| unsigned("notes", body).signed(&world, Kind::Claims("claims.note"), |_| {});
    let keyless = Call { key: None, ..unsigned("payouts", &payout) };
    for (name, call, status) in [
        ("no token", unsigned("payouts", &payout), 401),
        ("a right to note", unsigned("payouts", &payout).signed(&world, Kind::Claims("claims.note"), |_| {}), 403),
        ("a right to read", unsigned("payouts", &payout).signed(&world, Kind::Claims("claims.read"), |_| {}), 403),
        ("a right to pay", unsigned("notes", &note).signed(&world, Kind::Claims("claims.pay"), |_| {}), 403),
        ("no key", keyless.signed(&world, Kind::Claims("claims.pay"), |_| {}), 400),
        (
            "another model",
            unsigned("payouts", &payout)
                .signed(&world, Kind::Claims("claims.pay"), |c| c.mandate.model = IdentityModel::Delegated),
            403,
        ),
        ("nothing", paying(&json!({"claim": "CL-1001", "amount_cents": 0, "currency": "EUR"})), 400),
        ("a fraction", paying(&json!({"claim": "CL-1001", "amount_cents": 1.5, "currency": "EUR"})), 400),
        ("another currency", paying(&json!({"claim": "CL-1001", "amount_cents": 5, "currency": "USD"})), 400),
        (
            "more than is asked",
            paying(&json!({"claim": "CL-1001", "amount_cents": 5, "currency": "EUR", "to": "me"})),
            400,
        ),
        ("a claim outside the token", paying(&json!({"claim": "X", "amount_cents": 5, "currency": "EUR"})), 403),
        ("an empty note", noting(&json!({"claim": "CL-1001", "text": ""})), 400),
        ("a long note", noting(&json!({"claim": "CL-1001", "text": "x".repeat(2_001)})), 400),
    ] {
        let answer = world.send(&call).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.body);
    }
    assert!(listed(&world, "payouts").await.is_empty() && listed(&world, "notes").await.is_empty());
    assert_eq!(world.send(&noting(&note)).await.status, 201);
    // The key of the note is taken; what is under it is a note.
    assert_eq!(world.send(&paying(&payout)).await.status, 422);
    assert_eq!(listed(&world, "notes").await.len(), 1);
}
