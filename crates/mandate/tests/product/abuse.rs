//! Abuse case 91: an oversized scope. What a run may reach is what its initiator may lend it; an edit
//! that asks for more is refused before anything is sent, and no `catch` swallows that.

use super::receiver::Receiver;
use super::world::{apply, call, entitlement, function, furnish, manifest, refused_by, run, worker};
use crate::house::House;
use serde_json::{Value, json};

fn reads(name: &str, function: &str, quarter: &str) -> Value {
    worker(name, json!([call("read", function, quarter)]), &[function], json!({}))
}

#[test]
fn an_oversized_scope_is_refused_and_nothing_is_sent() {
    let (house, receiver) = (House::start(), Receiver::start());
    furnish(&house, &receiver);
    let elsewhere = Receiver::start();
    let url = elsewhere.url();
    apply(
        &house,
        "admin",
        vec![
            manifest(
                "Connection",
                "finance/other",
                json!({"environments": {"sandbox": {"url": url, "audience": url}}}),
            ),
            function("mine.greedy", "mine", "GET", "delegated", &["mine.read", "mine.admin"]),
            function("other.read", "other", "GET", "delegated", &["mine.read"]),
            reads("fits", "mine.read", "2026-Q3"),
            reads("argument", "mine.read", "1999-Q3"),
            reads("function", "mine.greedy", "2026-Q3"),
            reads("audience", "other.read", "2026-Q3"),
        ],
    );
    run(&house, "finance-lead", "fits").exits(0);
    assert_eq!(receiver.got().len(), 1);
    for name in ["argument", "function", "audience"] {
        let view = refused_by(&house, run(&house, "finance-lead", name), "outside-authority");
        let decided = house.entries(view["run"].as_str().unwrap());
        let denied = decided.iter().find(|entry| entry["details"]["status"] == "deny").unwrap();
        assert_eq!(denied["details"]["decision"], view["problem"]["decision"]);
    }
    // The scope of a function that is entitled, made larger by an edit of the function.
    apply(&house, "admin", vec![function("mine.read", "mine", "GET", "delegated", &["mine.read", "mine.admin"])]);
    refused_by(&house, run(&house, "finance-lead", "fits"), "outside-authority");
    // Somebody without any entitlement, who may run the Worker.
    apply(&house, "admin", vec![function("mine.read", "mine", "GET", "delegated", &["mine.read"])]);
    refused_by(&house, run(&house, "finance-director", "fits"), "outside-authority");
    assert_eq!((receiver.got().len(), elsewhere.got().len()), (1, 0));
}

/// The sample Worker, edited to ask its functions for more than the leads are entitled to.
#[test]
fn the_sample_edited_to_reach_further_is_refused() {
    let house = House::start();
    let path = house.data_dir().join("workers/finance/quarterly-summary/functions/warehouse.revenue.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("[warehouse.revenue.read]", "[warehouse.revenue.read, warehouse.payroll.read]"))
        .unwrap();
    house.cli_as("finance-director", &["apply", "-f", path.to_str().unwrap()]).exits(0);
    refused_by(&house, run(&house, "finance-lead", "quarterly-summary"), "outside-authority");
    assert_eq!(house.reports(), Vec::<Value>::new());
}

#[test]
fn a_catch_does_not_swallow_a_refusal() {
    let (house, receiver) = (House::start(), Receiver::start());
    furnish(&house, &receiver);
    let steps = json!([{"attempt": {
        "try": [call("read", "mine.read", "1999-Q3")],
        "catch": {"do": [call("again", "mine.publish", "2026-Q3")]},
    }}]);
    apply(&house, "admin", vec![worker("catches", steps, &["mine.read", "mine.publish"], json!({}))]);
    refused_by(&house, run(&house, "finance-lead", "catches"), "outside-authority");
    assert_eq!(receiver.got().len(), 0);
}

/// What the manifest does not list, or does not declare, is not called; and a class is the maximum of
/// what is declared and what is implied.
#[test]
fn a_worker_can_not_talk_itself_small() {
    let (house, receiver) = (House::start(), Receiver::start());
    furnish(&house, &receiver);
    let mut modest = worker("modest", json!([call("act", "mine.publish", "2026-Q3")]), &["mine.publish"], json!({}));
    modest["spec"]["class"] = json!({"impact": "read-only", "data": []});
    apply(&house, "admin", vec![modest]);
    let view = run(&house, "finance-lead", "modest").exits(0).json();
    assert_eq!(view["class"]["impact"], "action-taking", "{view}");
    assert_eq!(view["class"]["data"], json!(["internal"]));
    // An entitlement without the function's scope: the scope alone decides, too.
    apply(&house, "admin", vec![entitlement(receiver.url(), &["mine.read"])]);
    refused_by(&house, run(&house, "finance-lead", "modest"), "outside-authority");
    assert_eq!(receiver.got().len(), 1);
}
