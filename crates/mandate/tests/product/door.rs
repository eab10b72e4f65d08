//! The door for events, from outside: who may send what, once, how fast, and that none is lost.

use super::world::{apply, detached, ended, manifest, role, search, try_apply, until, worker};
use crate::house::House;
use crate::house::http::{self, Reply};
use serde_json::{Value, json};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A secret that only events carry.
const CANARY: &str = "CANARY-7f3a-event";
pub(crate) const SOURCE: &str = "https://erp.example/";

/// Now and so many seconds more or less, as RFC 3339 writes it.
pub(crate) fn time(offset: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    mandate_kernel::Timestamp::from_millis(i64::try_from(now).unwrap() + offset * 1_000).to_string()
}

pub(crate) fn event(id: &str, kind: &str, data: Value) -> Value {
    json!({"specversion": "1.0", "id": id, "source": SOURCE, "type": kind, "time": time(0), "data": data})
}

/// Sends one event as the account.
pub(crate) fn send(house: &House, account: &str, event: &Value) -> Reply {
    send_as(house, &house.token(account), "application/cloudevents+json", event.to_string().as_bytes())
}

fn send_as(house: &House, token: &str, media: &str, body: &[u8]) -> Reply {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", media)];
    http::send("POST", &format!("{}/v1/events", house.url()), &headers, Some(body)).unwrap()
}

pub(crate) fn source(more: &Value) -> Value {
    let mut spec = json!({
        "sources": [SOURCE], "types": ["com.erp.*"], "senders": ["user:finance-analyst"],
        "labels": {"confidentiality": "internal", "data": ["financial"]}, "perMinute": 6000,
    });
    for (key, value) in more.as_object().unwrap() {
        spec[key] = value.clone();
    }
    manifest("EventSource", "finance/erp", spec)
}

/// A Worker that takes the first event of a type for its order, and gives its data.
fn listener(name: &str, kind: &str) -> Value {
    let steps = json!([{"hear": {"listen": {"to": {"one": {"with": {"type": kind}}}}}}]);
    worker(name, steps, &[], json!({}))
}

fn furnished(more: &Value, workers: Vec<Value>) -> House {
    let house = House::start();
    let lead = role("finance/lead-runs-all", "user:finance-lead", "runner", json!({"project": "finance"}));
    apply(&house, "admin", [vec![source(more), lead], workers].concat());
    house
}

fn problem(reply: &Reply, status: u16, code: &str) {
    let body = reply.json();
    let told = (reply.status, body["type"].as_str().unwrap());
    assert_eq!(told, (status, format!("https://mandate.dev/problems/{code}").as_str()), "{body}");
}

/// Ledger entries of a kind, once there are as many.
fn entries(house: &House, kind: &str, count: usize) -> Vec<Value> {
    let begun = Instant::now();
    loop {
        let found = search(house, "auditor", &format!("kind={kind}&limit=500"));
        if found.len() >= count {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{kind}: {} of {count}", found.len());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn an_event_of_a_registered_source_wakes_who_listens_once() {
    let house = furnished(&json!({}), vec![listener("hears", "com.erp.paid")]);
    let run = detached(&house, "hears");
    until(&house, &run, &["waiting"]);
    // Another type is taken, and wakes nobody.
    assert_eq!(send(&house, "finance-analyst", &event("0", "com.erp.other", json!(0))).status, 202);
    let paid = event("1", "com.erp.paid", json!({"note": CANARY}));
    let reply = send(&house, "finance-analyst", &paid);
    assert_eq!(reply.status, 202, "{reply:?}");
    assert_eq!(reply.json()["items"], json!([{"source": SOURCE, "id": "1", "status": "accepted"}]));
    assert_eq!(ended(&house, &run)["state"], "completed");
    // The same again, also with other content: known, and nothing happens.
    let mut again = event("1", "com.erp.paid", json!("something else"));
    assert_eq!(send(&house, "finance-analyst", &again).json()["items"][0]["status"], "known");
    let second = detached(&house, "hears");
    until(&house, &second, &["waiting"]);
    again["data"] = json!("third");
    assert_eq!(send(&house, "finance-analyst", &again).json()["items"][0]["status"], "known");
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(until(&house, &second, &["waiting"])["state"], "waiting");
    // In the ledger: what came by its name, never by its content.
    let accepted = entries(&house, "event-accepted", 2);
    assert!(accepted.iter().any(|entry| entry["details"]["id"] == "1" && entry["actor"] == "user:finance-analyst"));
    let received = house.entries(&run);
    assert!(received.iter().any(|entry| entry["kind"] == "event-received"), "{received:?}");
    let all = search(&house, "auditor", "limit=500");
    assert!(!json!(all).to_string().contains(CANARY));
    assert!(!house.log().contains(CANARY));
    assert!(entries(&house, "event-refused", 1)[0]["details"]["reason"] == "known");
}

#[test]
fn every_mode_of_the_http_binding_is_taken() {
    let house = furnished(&json!({}), vec![]);
    let token = house.token("finance-analyst");
    let batch = json!([
        event("a", "com.erp.x", json!(1)),
        event("b", "com.erp.x", json!(2)),
        event("a", "com.erp.x", json!(3))
    ]);
    let reply = send_as(&house, &token, "application/cloudevents-batch+json", batch.to_string().as_bytes());
    let states: Vec<_> = reply.json()["items"].as_array().unwrap().iter().map(|item| item["status"].clone()).collect();
    assert_eq!((reply.status, states), (202, vec![json!("accepted"), json!("accepted"), json!("known")]));
    let (bearer, now) = (format!("Bearer {token}"), time(0));
    let binary = [
        ("authorization", bearer.as_str()),
        ("content-type", "text/plain"),
        ("ce-specversion", "1.0"),
        ("ce-id", "c"),
        ("ce-source", SOURCE),
        ("ce-type", "com.erp.x"),
        ("ce-time", now.as_str()),
    ];
    let url = format!("{}/v1/events", house.url());
    let reply = http::send("POST", &url, &binary, Some(b"hello")).unwrap();
    assert_eq!((reply.status, &reply.json()["items"][0]["status"]), (202, &json!("accepted")));
    // A batch with one that is wrong is refused whole.
    let batch = json!([event("d", "com.erp.x", json!(1)), event("e", "com.other", json!(2))]);
    let reply = send_as(&house, &token, "application/cloudevents-batch+json", batch.to_string().as_bytes());
    problem(&reply, 403, "event-type-not-allowed");
    assert_eq!(reply.json()["errors"][0]["pointer"], "/1");
    assert_eq!(
        send(&house, "finance-analyst", &event("d", "com.erp.x", json!(1))).json()["items"][0]["status"],
        "accepted"
    );
}

#[test]
fn who_may_not_speak_is_turned_away() {
    let house = furnished(&json!({}), vec![listener("hears", "com.erp.paid")]);
    let run = detached(&house, "hears");
    until(&house, &run, &["waiting"]);
    let paid = || event("1", "com.erp.paid", json!(CANARY));
    // Nobody; somebody of the tenant, whatever their rights; somebody of another tenant.
    assert_eq!(send_as(&house, "nonsense", "application/cloudevents+json", paid().to_string().as_bytes()).status, 401);
    for account in ["finance-lead", "admin", "other-admin"] {
        problem(&send(&house, account, &paid()), 403, "event-source-unknown");
    }
    // The sender, for a source that is not theirs, or nearly theirs.
    for other in ["https://erp.example", "https://erp.example/x", "HTTPS://erp.example/", "/workflows/finance/hears"] {
        let mut spoofed = paid();
        spoofed["source"] = json!(other);
        problem(&send(&house, "finance-analyst", &spoofed), 403, "event-source-unknown");
    }
    problem(&send(&house, "finance-analyst", &event("1", "com.else.paid", json!(1))), 403, "event-type-not-allowed");
    for (offset, code) in [(-301, "event-time"), (120, "event-time")] {
        let mut late = paid();
        late["time"] = json!(time(offset));
        problem(&send(&house, "finance-analyst", &late), 422, code);
    }
    for (key, value) in
        [("time", json!("yesterday")), ("time", Value::Null), ("specversion", json!("0.3")), ("id", json!(""))]
    {
        let mut wrong = paid();
        wrong[key] = value;
        assert_eq!(send(&house, "finance-analyst", &wrong).status, 422, "{wrong}");
    }
    let token = house.token("finance-analyst");
    problem(&send_as(&house, &token, "application/json", b"{}"), 415, "not-cloudevents");
    let huge = json!({"specversion": "1.0", "data": "x".repeat(1 << 20)}).to_string();
    problem(&send_as(&house, &token, "application/cloudevents+json", huge.as_bytes()), 413, "too-large");
    assert_eq!(until(&house, &run, &["waiting"])["state"], "waiting");
    assert!(search(&house, "auditor", "kind=event-accepted").is_empty());
    let refused = entries(&house, "event-refused", 5);
    assert!(
        refused
            .iter()
            .any(|entry| entry["details"]["reason"] == "unregistered" && entry["actor"] == "user:finance-lead")
    );
    assert!(!json!(refused).to_string().contains(CANARY));
    // A source is a thing of the administrator's, and its sender must be one person or machine.
    assert_eq!(try_apply(&house, "finance-analyst", vec![source(&json!({}))]).status, 403);
    for bad in [json!({"senders": ["group:finance"]}), json!({"types": ["*"]}), json!({"maxAgeSeconds": 7200})] {
        assert_eq!(try_apply(&house, "admin", vec![source(&bad)]).status, 422, "{bad}");
    }
    // Taken off the list, the sender is a stranger at once.
    apply(&house, "admin", vec![source(&json!({"senders": ["user:finance-lead"]}))]);
    problem(&send(&house, "finance-analyst", &paid()), 403, "event-source-unknown");
}

#[test]
fn what_was_taken_survives_the_end_of_the_process_and_is_taken_once() {
    let mut house = furnished(&json!({}), vec![listener("hears", "com.erp.paid")]);
    let runs: Vec<String> = (0..3).map(|_| detached(&house, "hears")).collect();
    for run in &runs {
        until(&house, run, &["waiting"]);
    }
    assert_eq!(send(&house, "finance-analyst", &event("1", "com.erp.paid", json!("x"))).status, 202);
    house.kill9();
    house.restart();
    for run in &runs {
        assert_eq!(ended(&house, run)["state"], "completed");
        let received = house.entries(run).iter().filter(|entry| entry["kind"] == "event-received").count();
        assert_eq!(received, 1);
    }
    // What is known outlives the process too.
    assert_eq!(
        send(&house, "finance-analyst", &event("1", "com.erp.paid", json!("x"))).json()["items"][0]["status"],
        "known"
    );
}

/// A flood is answered with 429, does not flood the ledger, and of what was taken nothing is lost.
#[test]
fn a_flood_is_bounded_and_loses_nothing() {
    // 60 a minute: ten at once.
    let house = furnished(&json!({"perMinute": 60}), vec![]);
    let collect = json!([{"hear": {"listen": {"to": {"any": [{"with": {"type": "com.erp.n"}}], "until": {"one": {"with": {"type": "com.erp.end"}}}}}}}]);
    let mut collector = worker("collects", collect, &[], json!({}));
    collector["spec"]["artifact"] = json!({"name": "output", "mediaType": "application/json"});
    apply(
        &house,
        "admin",
        vec![collector, role("finance/lead-audits", "user:finance-lead", "auditor", json!({"project": "finance"}))],
    );
    let run = detached(&house, "collects");
    until(&house, &run, &["waiting"]);
    let token = house.token("finance-analyst");
    let (mut taken, mut refused) = (Vec::new(), 0);
    for n in 0..400 {
        let one = event(&n.to_string(), "com.erp.n", json!(n));
        let reply = send_as(&house, &token, "application/cloudevents+json", one.to_string().as_bytes());
        match reply.status {
            202 => taken.push(n),
            429 => {
                refused += 1;
                problem(&reply, 429, "events-throttled");
                let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
                assert!((1..=2).contains(&wait), "{wait}");
            }
            other => panic!("{other}: {reply:?}"),
        }
    }
    assert!(taken.len() >= 10 && refused > 300, "{} taken, {refused} refused", taken.len());
    // Whoever waits as told is let in again.
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(
        send_as(
            &house,
            &token,
            "application/cloudevents+json",
            event("end", "com.erp.end", json!(0)).to_string().as_bytes()
        )
        .status,
        202
    );
    assert_eq!(ended(&house, &run)["state"], "completed");
    let reply = house.http("GET", &format!("/v1/runs/{run}/artifact"), Some(&house.token("finance-lead")), None);
    let payload = mandate_kernel::base64_decode(reply.json()["payload"].as_str().unwrap()).unwrap();
    let signed: Value = serde_json::from_slice(&payload).unwrap();
    let content = signed.pointer("/predicate/content").or_else(|| signed.get("content")).unwrap();
    assert_eq!(content, &json!(taken), "in the order in which they came");
    let told = search(&house, "auditor", "kind=event-refused&limit=500");
    assert!((1..=4).contains(&told.len()), "{} entries for {refused} refusals", told.len());
}
