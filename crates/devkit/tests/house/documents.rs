//! The documents service behind hop tokens.

use crate::platform::{Call, Kind, World, read, world};
use serde_json::{Value, json};

fn ask(world: &World, document: &str) -> Call {
    Call::get(format!("{}/v1/documents/{document}", world.house.documents_url()))
}

fn draft(world: &World, key: &str, body: &Value) -> Call {
    Call::post(format!("{}/v1/drafts", world.house.documents_url()), key, body)
}

#[tokio::test]
async fn a_reply_says_which_document_it_is() {
    let world = world().await;
    for (asked, held) in [
        ("minutes-2026-11-03", "minutes-2026-11-03"),
        ("minutes-2026-09-29", "minutes-2026-09-29"),
        // Somebody saved the wrong one.
        ("minutes-2026-10-13", "minutes-2026-09-29"),
    ] {
        let answer = world.send(&ask(&world, asked).signed(&world, Kind::Documents("documents.read"), |_| {})).await;
        assert_eq!((answer.status, &answer.body["document"]), (200, &json!(held)), "{asked}");
    }
    for (name, call, status) in [
        ("no token", ask(&world, "minutes-2026-11-03"), 401),
        (
            "a right to draft",
            ask(&world, "minutes-2026-11-03").signed(&world, Kind::Documents("documents.draft"), |_| {}),
            403,
        ),
        ("another document", ask(&world, "salaries").signed(&world, Kind::Documents("documents.read"), |_| {}), 403),
        ("absent", ask(&world, "minutes-1").signed(&world, Kind::Documents("documents.read"), |_| {}), 404),
    ] {
        assert_eq!(world.send(&call).await.status, status, "{name}");
    }
}

#[tokio::test]
async fn a_draft_is_filed_once() {
    let world = world().await;
    let body = json!({"document": "minutes-2026-11-03", "title": "Summary", "summary": "Short."});
    let signed =
        |key: &str, body: &Value| draft(&world, key, body).signed(&world, Kind::Documents("documents.draft"), |_| {});
    let first = world.send(&signed("run_1.3", &body)).await;
    assert_eq!(first.status, 201, "{}", first.body);
    assert_eq!(world.send(&signed("run_1.3", &body)).await.status, 200);
    for (name, call, status) in [
        ("another under the key", signed("run_1.3", &json!({"document": "minutes-2026-11-03", "title": "Other"})), 422),
        ("no title", signed("run_1.4", &json!({"document": "minutes-2026-11-03"})), 400),
        ("another document", signed("run_1.4", &json!({"document": "salaries", "title": "T"})), 403),
        ("no token", draft(&world, "run_1.4", &body), 401),
        (
            "a right to read",
            draft(&world, "run_1.4", &body).signed(&world, Kind::Documents("documents.read"), |_| {}),
            403,
        ),
    ] {
        assert_eq!(world.send(&call).await.status, status, "{name}");
    }
    let list = world.client.get(format!("{}/v1/drafts", world.house.documents_url())).send().await.unwrap();
    let items = read(list).await.body["items"].as_array().unwrap().clone();
    assert_eq!((items.len(), &items[0]["about"]), (1, &json!("minutes-2026-11-03")));
}
