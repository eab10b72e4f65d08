//! Nodes that are gone from one moment to the next, and a database that is.

use super::clients::Clients;
use super::cluster::{Cluster, publish, worker};
use super::receiver::Receiver;
use crate::server::Server;
use mandate_kernel::{Clock, SystemClock, Timestamp, parse_utc};
use serde_json::json;
use std::time::{Duration, Instant};

/// How long a claim lasts here.
const LEASE: u64 = 4;

#[test]
fn the_others_take_over_what_a_killed_node_drove() {
    let mut cluster = Cluster::start(Server::shared().database(), 3, LEASE);
    let receiver = Receiver::start(Duration::from_millis(150));
    cluster.furnish(&receiver);
    cluster.apply(0, &json!([worker("three", json!([publish("a"), publish("b"), publish("c")]), &["mine.publish"])]));
    // What one node drives is driven by another within its lease and a little more.
    receiver.takes(Duration::from_secs(3));
    let run = cluster.start_run(0, "three");
    receiver.has_met(&run);
    let killed = Instant::now();
    cluster.kill9(0);
    receiver.takes(Duration::from_millis(150));
    while receiver.of(&run).len() < 2 {
        assert!(killed.elapsed() < Duration::from_secs(60), "nobody took {run} over");
        std::thread::sleep(Duration::from_millis(5));
    }
    let takeover = killed.elapsed();
    assert_eq!(cluster.ended(1, &run)["state"], "completed");
    assert_eq!(cluster.entries(1, &run, "run-recovered").len(), 1);
    // The first call went out twice under one key, so that its receiver worked once.
    let arrivals = receiver.of(&run);
    assert_eq!(arrivals.iter().map(|arrival| arrival.repeated).collect::<Vec<_>>(), [false, true, false, false]);
    cluster.serve(0);

    let mut kills = Vec::new();
    let clients = Clients::new(&cluster);
    let (told, _) = clients.during(6, |clients| {
        for round in 0..4 {
            let node = round % 3;
            clients.get_through(20);
            kills.push(SystemClock.now());
            cluster.kill9(node);
            // The others work on, and take over meanwhile.
            clients.get_through(10);
            std::thread::sleep(Duration::from_secs(LEASE + 2));
            cluster.serve(node);
        }
    });
    let runs = cluster.all_ended(1);
    for run in told.values() {
        assert_eq!(runs[run]["state"], "completed", "{}", runs[run]);
    }
    assert!(runs.values().all(|run| run["state"] == "completed"));
    let keys = receiver.by_key();
    assert_eq!(keys.len(), 3 * runs.len(), "a step was left out, or made twice under another key");
    let repeated = keys.values().filter(|count| **count > 1).count();
    let recovered = cluster.search(1, "run-recovered");
    let after = |entry: &serde_json::Value| {
        let at: Timestamp = parse_utc(entry["time"].as_str().unwrap()).unwrap();
        kills.iter().rev().find(|kill| **kill <= at).map(|kill| at.since(*kill).as_millis())
    };
    let longest = recovered.iter().filter_map(after).max().unwrap_or_default();
    assert!(longest > 0, "no kill met a run");
    let entries = cluster.audit(2);
    println!(
        "lease {LEASE} s: one run taken over after {:.1} s. Under load, {} kills: {} runs, {} recoveries, the last \
         {:.1} s after its kill, {repeated} of {} calls sent again, {entries} entries",
        takeover.as_secs_f64(),
        kills.len(),
        runs.len(),
        recovered.len(),
        longest as f64 / 1000.0,
        keys.len(),
    );
}

#[test]
fn nodes_survive_the_end_of_their_database() {
    let mut server = Server::start();
    let cluster = Cluster::start(server.database(), 2, LEASE);
    let receiver = Receiver::start(Duration::from_millis(150));
    cluster.furnish(&receiver);
    cluster.apply(0, &json!([worker("three", json!([publish("a"), publish("b"), publish("c")]), &["mine.publish"])]));
    let clients = Clients::new(&cluster);
    let (told, _) = clients.during(4, |clients| {
        for away in [Duration::ZERO, Duration::from_secs(LEASE + 1)] {
            clients.get_through(15);
            server.kill();
            std::thread::sleep(away);
            server.restart();
            clients.get_through(5);
        }
    });
    let runs = cluster.all_ended(1);
    for run in told.values() {
        assert_eq!(runs[run]["state"], "completed", "{}", runs[run]);
    }
    assert!(runs.values().all(|run| run["state"] == "completed"));
    let keys = receiver.by_key();
    assert_eq!(keys.len(), 3 * runs.len());
    let repeated = keys.values().filter(|count| **count > 1).count();
    let entries = cluster.audit(0);
    println!("{} runs, {repeated} of {} calls sent again, {entries} entries", runs.len(), keys.len());
}
