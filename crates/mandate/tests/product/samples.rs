//! The samples besides Quarterly Performance Summary, run to their end by the people they are for.

use crate::house::http::Reply;
use crate::house::{House, http};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

/// Starts a run and gives what it was when it ended or began to wait.
fn start(house: &House, account: &str, worker: &str, input: &Value) -> Value {
    let input = input.to_string();
    house.cli_as(account, &["run", worker, "--purpose", "settlement", "--input", &input, "-o", "json"]).json()
}

/// What a system of the house has been given, from its own list.
fn given(house: &House, connection: &str, what: &str) -> Vec<Value> {
    let shown = house.cli_as("admin", &["get", "connection", connection, "-o", "json"]).exits(0).json();
    let url = shown["spec"]["environments"]["sandbox"]["url"].as_str().unwrap();
    http::get(&format!("{url}/v1/{what}")).unwrap().json()["items"].as_array().unwrap().clone()
}

/// The one approval that the run waits for, as this account sees it.
fn asked(house: &House, account: &str, run: &str) -> Value {
    let token = house.token(account);
    let begun = Instant::now();
    loop {
        let list = house.http("GET", &format!("/v1/approvals?state=pending&run={run}"), Some(&token), None).json();
        if let Some(approval) = list["items"].as_array().unwrap().first() {
            return approval.clone();
        }
        assert!(begun.elapsed() < PATIENCE, "{account} is asked nothing: {}", house.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn say(house: &House, account: &str, approval: &Value, word: &str, answer: Option<Value>) -> Reply {
    let path = format!("/v1/approvals/{}/{word}", approval["id"].as_str().unwrap());
    let mut body = json!({"digest": approval["arguments_digest"]});
    if let Some(answer) = answer {
        body["answer"] = answer;
    }
    house.http("POST", &path, Some(&house.token(account)), Some(&body))
}

/// The run, once it has ended.
fn ended(house: &House, run: &str) -> Value {
    let token = house.token("admin");
    let begun = Instant::now();
    loop {
        let view = house.http("GET", &format!("/v1/runs/{run}?wait=2"), Some(&token), None).json();
        if ["completed", "refused", "faulted", "cancelled"].iter().any(|state| view["state"] == *state) {
            return view;
        }
        assert!(begun.elapsed() < PATIENCE, "{view}: {}", house.log());
    }
}

fn claim(house: &House, claim: &str) -> (String, Value) {
    let view = start(house, "claims-clerk", "claims/claim-processing", &json!({ "claim": claim }));
    (view["run"].as_str().unwrap_or_else(|| panic!("{view}: {}", house.log())).to_owned(), view)
}

/// The run's decisions: function, status and scopes.
fn decided(house: &House, run: &str) -> Vec<(String, String, Value)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let entries = house.entries(run).into_iter().filter(|entry| entry["kind"] == "step-decided");
    entries
        .map(|e| e["details"].clone())
        .map(|d| (text(&d["function"]), text(&d["status"]), d["scopes"].clone()))
        .collect()
}

#[test]
fn a_small_claim_is_paid_and_an_uncovered_one_declined() {
    let house = House::start();
    let (run, view) = claim(&house, "CL-1001");
    assert_eq!(view["state"], "completed", "{view}");
    let each = [
        ("claims.read", json!(["claims.read"])),
        ("infer", json!([])),
        ("claims.note", json!(["claims.note"])),
        ("claims.validate", json!(["claims.validate"])),
        ("claims.pay", json!(["claims.pay"])),
    ];
    let wanted: Vec<_> =
        each.into_iter().map(|(function, scopes)| (function.to_owned(), "allow".to_owned(), scopes)).collect();
    assert_eq!(decided(&house, &run), wanted);
    assert_eq!(given(&house, "claims/claims-system", "payouts").len(), 1);

    // The claim is about a person; what the model was asked is not.
    let entries = house.entries(&run);
    let labels = |kind: &str, function: &str, part: &str| {
        let found = entries.iter().find(|e| e["kind"] == kind && e["details"]["function"] == function).unwrap();
        found["details"][part]["labels"]["categories"].to_string()
    };
    assert!(labels("step-succeeded", "claims.read", "output").contains("personal"));
    assert!(!labels("step-decided", "infer", "arguments").contains("personal"));

    // Paid once, whoever asks again.
    let (_, again) = claim(&house, "CL-1001");
    assert_eq!(again["state"], "faulted", "{again}");
    let (_, uncovered) = claim(&house, "CL-1004");
    assert_eq!(uncovered["state"], "completed", "{uncovered}");
    let payouts = given(&house, "claims/claims-system", "payouts");
    assert_eq!((payouts.len(), &payouts[0]["about"]), (1, &json!("CL-1001")));
    assert_eq!(given(&house, "claims/claims-system", "notes").len(), 3);

    // Whose business it is not.
    for account in ["finance-lead", "product-lead", "claims-handler"] {
        let input = r#"{"claim":"CL-1002"}"#;
        house.cli_as(account, &["run", "claims/claim-processing", "--purpose", "x", "--input", input]).exits(3);
    }
}

#[test]
fn a_handler_says_what_is_paid_and_leadership_approves_a_large_payout() {
    let house = House::start();
    let (run, view) = claim(&house, "CL-1003");
    assert_eq!((&view["state"], &view["waiting_for"]), (&json!("waiting"), &json!("approval")), "{view}");
    let review = asked(&house, "claims-handler", &run);
    assert_eq!(
        (&review["kind"], &review["function"], &review["you_may"]),
        (&json!("review"), &json!("approval"), &json!(true))
    );
    assert_eq!(review["form"]["properties"]["amount_cents"]["maximum"], 2_025_000);
    let answer = |cents: i64| Some(json!({"decision": "pay", "amount_cents": cents, "reason": "as the expert found"}));
    for account in ["claims-clerk", "claims-lead"] {
        assert_eq!(say(&house, account, &review, "approve", answer(2_000_000)).status, 403, "{account}");
    }
    // More than is payable does not fit the form.
    let refused = say(&house, "claims-handler", &review, "approve", answer(2_025_001));
    assert!((400..500).contains(&refused.status), "{refused:?}");
    assert_eq!(say(&house, "claims-handler", &review, "approve", answer(2_000_000)).status, 200);

    // The answer is data; the payout waits for leadership, with exactly these arguments.
    let gate = asked(&house, "claims-lead", &run);
    assert_eq!((&gate["kind"], &gate["function"]), (&json!("gate"), &json!("claims.pay")));
    assert_eq!(gate["arguments"], json!({"claim": "CL-1003", "amount_cents": 2_000_000, "currency": "EUR"}));
    assert_eq!(say(&house, "claims-handler", &gate, "approve", None).status, 403);
    assert_eq!(given(&house, "claims/claims-system", "payouts"), Vec::<Value>::new());
    assert_eq!(say(&house, "claims-lead", &gate, "approve", None).status, 200);
    assert_eq!(ended(&house, &run)["state"], "completed");
    assert_eq!(given(&house, "claims/claims-system", "payouts").len(), 1);

    // Below the limit of leadership the handler's word is enough, and "no" is an answer, too.
    let (run, _) = claim(&house, "CL-1002");
    let review = asked(&house, "claims-handler", &run);
    assert_eq!(say(&house, "claims-handler", &review, "deny", None).status, 200);
    assert_eq!(ended(&house, &run)["state"], "completed");
    assert_eq!(given(&house, "claims/claims-system", "payouts").len(), 1);
    let (run, _) = claim(&house, "CL-1002");
    let review = asked(&house, "claims-handler", &run);
    assert_eq!(say(&house, "claims-handler", &review, "approve", answer(500_000)).status, 200);
    assert_eq!(ended(&house, &run)["state"], "completed");
    assert_eq!(given(&house, "claims/claims-system", "payouts").len(), 2);
}

#[test]
fn minutes_become_a_draft_and_the_wrong_file_is_told() {
    let house = House::start();
    let view = start(&house, "product-lead", "product/meeting-summary", &json!({"document": "minutes-2026-11-03"}));
    assert_eq!(view["state"], "completed", "{view}");
    let run = view["run"].as_str().unwrap();
    let drafts = given(&house, "product/documents", "drafts");
    assert_eq!((drafts.len(), &drafts[0]["about"]), (1, &json!("minutes-2026-11-03")));
    assert!(drafts[0]["idempotency_key"].as_str().unwrap().starts_with(&format!("{run}.")));
    let functions: Vec<String> = decided(&house, run).into_iter().map(|(function, _, _)| function).collect();
    assert_eq!(functions, ["documents.read", "infer", "documents.draft"]);
    // Sections with their sources, decisions and tasks, signed as the result.
    let file = house.beside("summary.json");
    let name = file.to_str().unwrap();
    house.cli_as("product-lead", &["artifact", "get", run, "-f", name]).exits(0);
    house.cli(&["artifact", "verify", name, "--trust", &house.trust()]).exits(0);
    let findings = |run: &str| {
        let explained = house.cli_as("product-lead", &["runs", "explain", run, "-o", "json"]).exits(0).json();
        let found = explained["findings"].as_array().unwrap().clone();
        found.iter().map(|found| found["cause"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(findings(run), Vec::<String>::new());
    let wrong = start(&house, "product-lead", "product/meeting-summary", &json!({"document": "minutes-2026-10-13"}));
    assert_eq!(wrong["state"], "completed", "{wrong}");
    assert_eq!(findings(wrong["run"].as_str().unwrap()), ["mis-scoped-retrieval"]);
    let absent = start(&house, "product-lead", "product/meeting-summary", &json!({"document": "minutes-2020-01-01"}));
    assert_eq!(absent["state"], "faulted", "{absent}");
    let input = r#"{"document":"minutes-2026-11-03"}"#;
    house.cli_as("finance-lead", &["run", "product/meeting-summary", "--purpose", "x", "--input", input]).exits(3);
    assert_eq!(given(&house, "product/documents", "drafts").len(), 2);
}
