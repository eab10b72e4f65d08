//! What is asked of one node about a run that another one drives.

use super::cluster::{Cluster, publish, worker};
use super::receiver::Receiver;
use crate::server::Server;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn cluster(receiver: &Receiver, lease: u64, steps: Value) -> Cluster {
    let cluster = Cluster::start(Server::shared().database(), 2, lease);
    cluster.furnish(receiver);
    let functions = ["mine.publish", "approval"];
    let listens = json!([{"ear": {"listen": {"to": {"one": {"with": {"type": "ready"}}}}}}, publish("heard")]);
    let emits = json!([{"mouth": {"emit": {"event": {"with": {"source": "https://x.example", "type": "ready"}}}}}]);
    cluster.apply(
        0,
        &json!([
            worker("steps", steps, &functions),
            worker("listens", listens, &functions),
            worker("emits", emits, &[])
        ]),
    );
    cluster
}

/// Kills a run at a node; gives the answer, and how long it took.
fn kill(cluster: &Cluster, node: usize, run: &str) -> (Value, Duration) {
    let begun = Instant::now();
    let reply = cluster.ask(node, "bob", "POST", &format!("/v1/runs/{run}/kill"), None).unwrap();
    assert_eq!(reply.status, 200, "{}\n{}", String::from_utf8_lossy(&reply.body), cluster.said(node));
    (reply.json(), begun.elapsed())
}

#[test]
fn a_stop_acknowledged_by_one_node_has_waited_out_the_permits_of_another() {
    let receiver = Receiver::start(Duration::from_secs(8));
    let cluster = cluster(&receiver, 6, json!([publish("a"), publish("b"), publish("c")]));
    let run = cluster.start_run(0, "steps");
    receiver.has_met(&run);
    let (view, took) = kill(&cluster, 1, &run);
    // The call was cut off where it was, and is named as in doubt.
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(view["state"], "cancelled", "{view}");
    assert_eq!(view["in_flight"][0]["function"], "mine.publish", "{view}");
    assert_eq!(view["in_flight"][0]["destination"], receiver.url(), "{view}");
    assert_eq!(view["in_flight"][0]["on_wire"], true, "{view}");
    let arrived = receiver.arrivals().len();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!((arrived, receiver.arrivals().len()), (1, 1));
    assert_eq!(cluster.run(0, &run)["state"], "cancelled");
    println!("stopped at another node after {:.2} s", took.as_secs_f64());

    // A node that hangs can't confirm anything: the stop waits until its claim is over.
    receiver.takes(Duration::from_millis(50));
    let run = cluster.start_run(0, "steps");
    receiver.takes(Duration::from_secs(1));
    receiver.has_met(&run);
    let frozen = Instant::now();
    cluster.freeze(0);
    let (view, _) = kill(&cluster, 1, &run);
    let (acknowledged, after) = (Instant::now(), frozen.elapsed());
    assert_eq!(view["state"], "cancelled", "{view}");
    assert!(after > Duration::from_secs(2), "nobody waited for the node that hangs: {after:?}");
    let arrived = receiver.arrivals().len();
    cluster.thaw(0);
    std::thread::sleep(Duration::from_secs(3));
    let late: Vec<_> = receiver.arrivals().into_iter().filter(|arrival| arrival.at > acknowledged).collect();
    assert!(late.is_empty() && receiver.arrivals().len() == arrived, "{late:?}");
    println!("stopped in spite of a node that hangs after {:.2} s", after.as_secs_f64());
    // The node that came back goes on as before.
    receiver.takes(Duration::ZERO);
    let run = cluster.start_run(0, "steps");
    assert_eq!(cluster.ended(1, &run)["state"], "completed");
    cluster.audit(1);
}

#[test]
fn an_answer_at_one_node_reaches_a_run_that_another_drives() {
    let receiver = Receiver::start(Duration::from_millis(1500));
    let ask = json!({"asks": {"call": "approval", "with": {"title": "Look at this"}}});
    let busy = json!({"busy": {"do": [publish("a"), publish("b"), publish("c")]}});
    let steps = json!([{"both": {"fork": {"branches": [ask, busy]}}}, publish("d")]);
    let cluster = cluster(&receiver, 10, steps);
    let run = cluster.start_run(0, "steps");
    receiver.has_met(&run);
    // Node 0 has a call on the wire while node 1 takes the answer.
    let list =
        || cluster.ask_in(1, ("reviewer", "reviewers"), "GET", "/v1/approvals?state=pending", None).unwrap().json();
    let begun = Instant::now();
    let approval = loop {
        if let Some(approval) = list()["items"].as_array().and_then(|items| items.first().cloned()) {
            break approval;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "nobody is asked: {}", cluster.run(1, &run));
        std::thread::sleep(Duration::from_millis(20));
    };
    let path = format!("/v1/approvals/{}/approve", approval["id"].as_str().unwrap());
    let body = json!({"digest": approval["arguments_digest"]});
    let said = cluster.ask_in(1, ("reviewer", "reviewers"), "POST", &path, Some(&body)).unwrap();
    assert_eq!(said.status, 200, "{}\n{}", String::from_utf8_lossy(&said.body), cluster.said(1));
    // Whoever waits at the other node for the end of the run hears of it.
    let waits = cluster.ask(0, "bob", "GET", &format!("/v1/runs/{run}?wait=30"), None).unwrap();
    assert_eq!(waits.json()["state"], "completed", "{}", waits.json());
    assert_eq!(receiver.by_key().into_values().collect::<Vec<_>>(), [1, 1, 1, 1]);
    cluster.audit(1);
}

#[test]
fn an_event_of_one_node_reaches_a_run_that_began_at_another() {
    let receiver = Receiver::start(Duration::from_millis(50));
    let cluster = cluster(&receiver, 10, json!([publish("a")]));
    let listens: Vec<String> = (0..2).map(|node| cluster.start_run(node, "listens")).collect();
    for run in &listens {
        cluster.until(0, run, |view| view["state"] == "waiting");
    }
    let emits = cluster.start_run(1, "emits");
    assert_eq!(cluster.ended(0, &emits)["state"], "completed");
    for run in &listens {
        assert_eq!(cluster.ended(0, run)["state"], "completed");
    }
    // A change at one node binds the other at once.
    cluster.apply(1, &json!([worker("listens", json!([{"one": {"set": {"a": 1}}}]), &[])]));
    let run = cluster.start_run(0, "listens");
    assert_eq!(cluster.ended(1, &run)["state"], "completed");
    assert!(receiver.of(&run).is_empty());
    cluster.audit(0);
}
