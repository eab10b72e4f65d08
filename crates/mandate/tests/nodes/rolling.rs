//! A node that is told to end leaves in order: one after the other is restarted, and nobody notices.

use super::clients::Clients;
use super::cluster::{Cluster, publish, worker};
use super::receiver::Receiver;
use crate::house::http;
use crate::server::Server;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

#[test]
fn nodes_are_restarted_one_by_one_with_runs_in_flight() {
    let mut cluster = Cluster::start(Server::shared().database(), 3, 10);
    let receiver = Receiver::start(Duration::from_millis(120));
    cluster.furnish(&receiver);
    cluster.apply(0, &json!([worker("three", json!([publish("a"), publish("b"), publish("c")]), &["mine.publish"])]));
    let clients = Clients::new(&cluster);
    let (told, turned_away) = clients.during(6, |clients| {
        for node in 0..3 {
            clients.get_through(15);
            let begun = Instant::now();
            let ended = cluster.stop(node);
            println!("node {node} left after {:.2} s", begun.elapsed().as_secs_f64());
            assert!(ended.success(), "{ended}\n{}", cluster.said(node));
            clients.get_through(5);
            cluster.serve(node);
        }
        clients.get_through(10);
    });
    let runs = cluster.all_ended(0);
    let acknowledged: BTreeSet<&String> = told.values().collect();
    assert_eq!(acknowledged.len(), told.len(), "two keys, one run");
    for run in &acknowledged {
        assert_eq!(runs[*run]["state"], "completed", "{}", runs[*run]);
    }
    assert!(runs.values().all(|run| run["state"] == "completed"));
    let keys = receiver.by_key();
    let repeated: Vec<_> = keys.iter().filter(|(_, count)| **count != 1).collect();
    assert!(repeated.is_empty(), "keys that arrived more than once: {repeated:?}");
    assert_eq!(keys.len(), 3 * runs.len());
    let entries = cluster.audit(1);
    println!("{} runs, {turned_away} starts turned away, {} calls, {entries} entries", runs.len(), keys.len());
}

#[test]
fn a_node_that_is_told_to_end_begins_nothing_and_finishes_what_is_on_the_wire() {
    let mut cluster = Cluster::start(Server::shared().database(), 2, 10);
    let receiver = Receiver::start(Duration::from_secs(3));
    cluster.furnish(&receiver);
    cluster.apply(0, &json!([worker("three", json!([publish("a"), publish("b")]), &["mine.publish"])]));
    let run = cluster.start_run(0, "three");
    receiver.has_met(&run);
    cluster.terminate(0);
    let begun = Instant::now();
    let ready = || http::get(&format!("{}/readyz", cluster.url(0))).unwrap();
    while ready().status != 503 {
        assert!(begun.elapsed() < Duration::from_secs(2), "it says that it is ready");
    }
    assert_eq!(ready().json()["type"], "https://mandate.dev/problems/draining");
    let body = json!({"worker": "finance/three", "purpose": "a test", "input": {}});
    let refused = cluster.ask(0, "bob", "POST", "/v1/runs", Some(&body)).unwrap();
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    // What was on the wire is recorded by whoever sent it; the next step is another node's.
    let ended = cluster.stop(0);
    assert!(ended.success(), "{ended}\n{}", cluster.said(0));
    assert_eq!(cluster.ended(1, &run)["state"], "completed");
    assert_eq!(receiver.by_key().into_values().collect::<Vec<_>>(), [1, 1]);
    cluster.audit(1);
}
