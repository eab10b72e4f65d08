//! The document of Claim Processing, run through the pure machine with claims and answers of our own.

use crate::sample::file;
use mandate_flow::{Event, Intent, Labelled, Machine, Program, Start, evaluate};
use mandate_kernel::{Integrity, Labels, RunId, SystemEntropy, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;

/// A claim, its cover and what a handler says.
struct Case {
    claimed: i64,
    covered: bool,
    said: Value,
}

/// Runs to the end; gives the calls made and the output.
fn run(case: &Case) -> (Vec<(String, Labelled)>, Value) {
    let text = file("claims/claim-processing", "worker.yaml");
    let program = Arc::new(Program::from_yaml("worker.yaml", text).unwrap());
    let start = Start {
        run: RunId::generate(Timestamp::from_secs(1), &SystemEntropy).unwrap(),
        input: Labelled { value: json!({"claim": "CL-1001"}), labels: Labels::default() },
        started_at: Timestamp::from_secs(1),
    };
    let (mut machine, mut intents) = Machine::start(program, start);
    let mut calls = Vec::new();
    loop {
        let event = match intents.pop().unwrap() {
            Intent::Evaluate(evaluation) => Event::Evaluated { id: evaluation.id, result: evaluate(&evaluation) },
            Intent::Call { seq, function, arguments, .. } => {
                let value = match function.as_str() {
                    "claims.read" => json!({"claim": "CL-1001", "contract": "CT-1", "loss_on": "2026-10-02",
                        "currency": "EUR", "positions": [{"item": "a", "amount_cents": case.claimed}]}),
                    "claims.validate" => json!({"covered": case.covered, "reason": "because",
                        "excess_cents": 10_000, "limit_cents": 3_000_000}),
                    "infer" => json!({"summary": "It broke."}),
                    "approval" => case.said.clone(),
                    _ => json!({"sha256": "x"}),
                };
                let own = if function.as_str() == "infer" { Integrity::Untrusted } else { Integrity::Authoritative };
                let labels = arguments.labels.join(&Labels { integrity: own, ..Labels::default() });
                calls.push((function.to_string(), arguments));
                Event::Returned { seq, at: Timestamp::from_secs(2), result: Ok(Labelled { value, labels }) }
            }
            Intent::Complete { output } => return (calls, output.value),
            other => panic!("{other:?}"),
        };
        intents = machine.apply(event).unwrap();
    }
}

fn paid(calls: &[(String, Labelled)]) -> Option<i64> {
    let found = calls.iter().find(|(function, _)| function == "claims.pay")?;
    assert_ne!(found.1.labels.integrity, Integrity::Untrusted, "a model had a hand in it");
    found.1.value["amount_cents"].as_i64()
}

#[test]
fn what_is_paid_is_what_was_computed_or_less() {
    let says = |decision: &str, cents: i64| {
        json!({"outcome": "approved", "by": "user:claims-handler", "comment": null,
            "answer": {"decision": decision, "amount_cents": cents, "reason": "seen"}})
    };
    let denied = json!({"outcome": "denied", "by": "user:claims-handler", "comment": "no invoice", "answer": null});
    for (claimed, covered, said, asked, pays) in [
        (110_000, true, Value::Null, false, Some(100_000)),
        (260_000, true, Value::Null, false, Some(250_000)),
        (260_001, true, says("pay", 250_001), true, Some(250_001)),
        (660_000, true, says("pay", 500_000), true, Some(500_000)),
        // Whatever got past the form: never more than what is payable.
        (660_000, true, says("pay", 900_000), true, Some(650_000)),
        (9_000_000, true, says("pay", 3_000_000), true, Some(3_000_000)),
        (660_000, true, says("pay", 0), true, None),
        (660_000, true, says("decline", 650_000), true, None),
        (660_000, true, denied, true, None),
        (660_000, false, Value::Null, false, None),
        (10_000, true, Value::Null, false, None),
        (5, true, Value::Null, false, None),
    ] {
        let (calls, output) = run(&Case { claimed, covered, said });
        assert_eq!(calls.iter().any(|(function, _)| function == "approval"), asked, "{claimed}");
        assert_eq!(paid(&calls), pays, "{claimed}");
        assert_eq!(output["outcome"], if pays.is_some() { "paid" } else { "declined" }, "{output}");
        assert!(output["reason"].is_string() || pays.is_some(), "{output}");
        if !asked && pays.is_none() {
            assert_eq!(output["reason"] == "because", !covered, "{output}");
        }
        // The brief is filed with its text, and asks with nothing that came from the claim.
        let of = |name: &str| &calls.iter().find(|(function, _)| function == name).unwrap().1;
        assert_eq!(of("claims.note").value, json!({"claim": "CL-1001", "text": "It broke."}));
        assert_eq!(of("infer").value["sources"], json!(["claim"]));
        assert!(of("infer").value.get("input").is_none());
    }
}
