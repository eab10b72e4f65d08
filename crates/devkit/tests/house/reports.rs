//! The receiver of reports.

use crate::platform::{Call, Kind, World, read, world, world_with};
use mandate_devkit::ReportFaults;
use mandate_identity::IdentityModel;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn publish(world: &World, key: &str, body: &Value) -> Call {
    Call::post(world.house.report_url(), key, body).signed(world, Kind::Publish, |_| {})
}

async fn items(world: &World) -> Vec<Value> {
    let answer = read(world.client.get(world.house.report_url()).send().await.unwrap()).await;
    answer.body["items"].as_array().unwrap().clone()
}

fn summary(verdict: &str) -> Value {
    json!({"title": "Summary", "quarter": "2026-Q3", "verdict": verdict})
}

#[tokio::test]
async fn a_report_is_accepted_once_and_its_answer_repeated() {
    let world = world().await;
    assert!(items(&world).await.is_empty());
    let first = world.send(&publish(&world, "run_1.3", &summary("profit"))).await;
    assert_eq!((first.status, first.headers.contains_key("idempotency-replayed")), (201, false), "{}", first.body);
    for restarted in [false, true] {
        let again = world.send(&publish(&world, "run_1.3", &summary("profit"))).await;
        assert_eq!((again.status, &again.body), (200, &first.body), "{restarted}");
        assert_eq!(again.headers["idempotency-replayed"], "true");
    }
    let other = world.send(&publish(&world, "run_1.3", &summary("loss"))).await;
    assert_eq!((other.status, other.body["status"].as_u64()), (422, Some(422)));
    assert_eq!(world.send(&publish(&world, "run_2.3", &summary("loss"))).await.status, 201);
    let world = world.restart().await;
    assert_eq!(world.send(&publish(&world, "run_1.3", &summary("profit"))).await.body, first.body);
    let items = items(&world).await;
    let keys: Vec<&str> = items.iter().map(|item| item["idempotency_key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["run_1.3", "run_2.3"]);
    assert_eq!((&items[0]["title"], &items[0]["sha256"]), (&"Summary".into(), &first.body["sha256"]));
    assert_eq!(items[0]["client"], "finance/quarterly-summary");
    assert!(items[0].get("body").is_none());
}

#[tokio::test]
async fn many_at_once_under_one_key_leave_one_report() {
    let world = world().await;
    let calls: Vec<Call> = (0..8).map(|_| publish(&world, "run_1.3", &summary("profit"))).collect();
    let mut tasks = tokio::task::JoinSet::new();
    let world = std::sync::Arc::new(world);
    for call in calls {
        let world = std::sync::Arc::clone(&world);
        tasks.spawn(async move { world.send(&call).await.status });
    }
    let mut statuses = tasks.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 200, 201]);
    assert_eq!(items(&world).await.len(), 1);
}

#[tokio::test]
async fn nothing_is_accepted_without_token_key_model_or_form() {
    let world = world().await;
    let good = || publish(&world, "run_1.3", &summary("profit"));
    let unsigned = Call::post(world.house.report_url(), "run_1.3", &summary("profit"));
    let keyless = Call { key: None, ..unsigned.clone() }.signed(&world, Kind::Publish, |_| {});
    let delegated = unsigned.clone().signed(&world, Kind::Publish, |c| c.mandate.model = IdentityModel::Delegated);
    let formless = |body: &Value| publish(&world, "run_1.3", body);
    for (name, call, status) in [
        ("no token", unsigned.clone(), 401),
        ("a token of the warehouse", unsigned.signed(&world, Kind::Revenue, |_| {}), 401),
        ("another key", Call { key: Some("run_1.4".into()), ..good() }, 401),
        ("another body", Call { body: serde_json::to_vec(&summary("loss")).unwrap(), ..good() }, 401),
        ("no key", keyless, 400),
        ("another model", delegated, 403),
        ("no title", formless(&json!({"quarter": "2026-Q3"})), 400),
        ("a long title", formless(&json!({"quarter": "2026-Q3", "title": "x".repeat(201)})), 400),
        ("a quarter outside the token", formless(&json!({"quarter": "1999-Q3", "title": "x"})), 403),
        ("not an object", formless(&json!([1])), 400),
    ] {
        let answer = world.send(&call).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.body);
    }
    assert!(items(&world).await.is_empty());
    assert_eq!(world.send(&good()).await.status, 201);
}

#[tokio::test]
async fn faults_happen_where_they_were_asked_for() {
    let delay = Duration::from_millis(100);
    let world = world_with(ReportFaults { delay, before_commit: 1, after_commit: 1 }).await;
    let report = summary("profit");
    let begun = Instant::now();
    assert_eq!(world.send(&publish(&world, "run_1.3", &report)).await.status, 503);
    assert!(begun.elapsed() >= delay);
    assert!(items(&world).await.is_empty());
    assert_eq!(world.send(&publish(&world, "run_1.3", &report)).await.status, 504);
    assert_eq!(items(&world).await.len(), 1);
    let answer = world.send(&publish(&world, "run_1.3", &report)).await;
    assert_eq!((answer.status, items(&world).await.len()), (200, 1));
}
