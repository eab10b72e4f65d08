//! The legacy service.

use crate::platform::{World, read, world};

async fn status(world: &World, key: Option<&str>, query: &str) -> u16 {
    let mut request = world.client.get(format!("{}/costs{query}", world.house.ledgerbook_url()));
    if let Some(key) = key {
        request = request.header("X-Api-Key", key);
    }
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn the_key_is_handed_out_once_and_opens_real_rows() {
    let world = world().await;
    let key = world.house.take_ledgerbook_key().unwrap();
    assert!(world.house.take_ledgerbook_key().is_none());
    let url = format!("{}/costs?quarter=2026-Q3", world.house.ledgerbook_url());
    let answer = read(world.client.get(url).header("x-api-key", key.expose()).send().await.unwrap()).await;
    assert_eq!((answer.status, answer.body["rows"].as_array().unwrap().len()), (200, 20));
    for (given, query, expected) in [
        (None, "?quarter=2026-Q3", 401),
        (Some("lbk_guess"), "?quarter=2026-Q3", 401),
        (Some(""), "?quarter=2026-Q3", 401),
        (Some(key.expose().as_str()), "?quarter=2099-Q3", 404),
        (Some(key.expose().as_str()), "", 404),
        (None, "", 401),
    ] {
        assert_eq!(status(&world, given, query).await, expected, "{query}");
    }
    for file in std::fs::read_dir(world.folder.path().join("devkit")).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let key = key.expose().as_bytes();
        assert!(!bytes.windows(key.len()).any(|part| part == key));
    }
}

#[tokio::test]
async fn the_key_stays_good_over_a_restart_until_another_replaces_it() {
    let world = world().await;
    let key = world.house.take_ledgerbook_key().unwrap();
    let world = world.restart().await;
    assert!(world.house.take_ledgerbook_key().is_none());
    assert_eq!(status(&world, Some(key.expose()), "?quarter=2025-Q1").await, 200);
    let newer = world.house.rotate_ledgerbook_key().unwrap();
    assert_eq!(status(&world, Some(key.expose()), "?quarter=2025-Q1").await, 401);
    assert_eq!(status(&world, Some(newer.expose()), "?quarter=2025-Q1").await, 200);
}
