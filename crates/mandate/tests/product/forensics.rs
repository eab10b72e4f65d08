//! Four runs that went wrong, each for another cause, and what their entries tell.

use crate::house::{House, http};
use serde_json::{Value, json};

/// The Worker's cause, the quarter that shows it, how its run ends, and the exit code of that.
const FOUR: [(&str, &str, &str, i32); 4] = [
    ("stale-data", "2025-Q1", "completed", 0),
    ("mis-scoped-retrieval", "2025-Q2", "completed", 0),
    ("prompt-injection", "2025-Q3", "refused", 3),
    ("bad-transform", "2025-Q4", "faulted", 5),
];

fn run(house: &House, worker: &str, quarter: &str, code: i32) -> Value {
    let input = json!({ "quarter": quarter }).to_string();
    let args = ["run", worker, "--purpose", "quarterly review", "--input", &input, "-o", "json"];
    house.cli_as("finance-lead", &args).exits(code).json()
}

/// The causes, from the API, from the command line as JSON, and as the lines that people read.
fn told(house: &House, run: &str) -> [Vec<String>; 3] {
    let causes = |findings: &Value| -> Vec<String> {
        findings.as_array().unwrap().iter().map(|found| found["cause"].as_str().unwrap().to_owned()).collect()
    };
    let token = house.token("finance-director");
    let reply = house.http("GET", &format!("/v1/runs/{run}/forensics"), Some(&token), None);
    assert_eq!(reply.status, 200, "{reply:?}");
    let explained = house.cli_as("finance-lead", &["runs", "explain", run, "-o", "json"]).exits(0).json();
    let text = house.cli_as("finance-lead", &["runs", "explain", run]).exits(0).stdout;
    let head = text.split("\n\n").next().unwrap();
    let lines = head.lines().filter_map(|line| line.split_once(": ")).map(|(cause, _)| cause.to_owned()).collect();
    [causes(&reply.json()["findings"]), causes(&explained["findings"]), lines]
}

fn mails(house: &House) -> Vec<Value> {
    http::get(house.ready()["mail_url"].as_str().unwrap()).unwrap().json().as_array().unwrap().clone()
}

#[test]
fn each_wrong_run_shows_its_own_cause_and_no_other() {
    let house = House::start();
    for (cause, quarter, state, code) in FOUR {
        let view = run(&house, &format!("finance/forensics-{cause}"), quarter, code);
        let id = view["run"].as_str().unwrap();
        assert_eq!(view["state"], state, "{cause}: {view}");
        assert_eq!(told(&house, id), [[cause]; 3], "{cause}");
        // The evidence is in the run's own chain.
        let token = house.token("auditor");
        let found = house.http("GET", &format!("/v1/runs/{id}/forensics"), Some(&token), None).json();
        let entries = house.entries(id);
        for place in found["findings"][0]["evidence"].as_array().unwrap() {
            assert!(entries.get(usize::try_from(place["seq"].as_u64().unwrap()).unwrap()).is_some(), "{cause} {place}");
        }
        if cause == "prompt-injection" {
            assert_eq!(view["problem"]["type"], "https://mandate.dev/problems/destination-not-allowed", "{view}");
        }
    }
    assert_eq!(mails(&house), Vec::<Value>::new());
    // The same Workers, where there is nothing wrong: three do what they should, one always sums up wrongly.
    for (cause, _, _, _) in &FOUR[..2] {
        let view = run(&house, &format!("finance/forensics-{cause}"), "2026-Q3", 0);
        assert_eq!(told(&house, view["run"].as_str().unwrap()), [Vec::<String>::new(), vec![], vec![]], "{cause}");
    }
    let waits = run(&house, "finance/forensics-prompt-injection", "2026-Q3", 4);
    let sent = house.settled(waits["run"].as_str().unwrap(), std::time::Duration::from_secs(30));
    assert_eq!(sent["state"], "completed", "{sent}");
    assert_eq!(told(&house, sent["run"].as_str().unwrap()), [Vec::<String>::new(), vec![], vec![]]);
    let sent = mails(&house);
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert!(sent[0].to_string().contains("board@demo.example"), "{sent:?}");
    assert_eq!(run(&house, "finance/forensics-bad-transform", "2026-Q3", 5)["state"], "faulted");
}

#[test]
fn an_ordinary_run_shows_none() {
    let house = House::start();
    let run = house.start_run();
    assert_eq!(house.settled(&run, std::time::Duration::from_secs(30))["state"], "completed");
    assert_eq!(told(&house, &run), [Vec::<String>::new(), vec![], vec![]]);
    // What nobody may see tells nothing.
    for account in ["finance-analyst", "product-lead", "other-admin"] {
        let token = house.token(account);
        let reply = house.http("GET", &format!("/v1/runs/{run}/forensics"), Some(&token), None);
        assert_eq!(reply.status, 404, "{account}");
    }
}
