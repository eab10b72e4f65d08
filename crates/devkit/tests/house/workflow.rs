//! The document, run through the pure machine with figures of our own.

use crate::sample::text;
use mandate_flow::{Event, Intent, Labelled, Machine, Program, Start, evaluate};
use mandate_kernel::{Confidentiality, Integrity, Labels, RunId, SystemEntropy, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;

fn returned(value: Value) -> Labelled {
    Labelled { value, labels: Labels { confidentiality: Confidentiality::Confidential, ..Labels::default() } }
}

/// Runs to the end; gives the calls made and the output.
fn run(north_revenue: i64) -> (Vec<(String, Labelled)>, Labelled) {
    let program = Arc::new(Program::from_yaml("worker.yaml", text("worker.yaml")).unwrap());
    let start = Start {
        run: RunId::generate(Timestamp::from_secs(1), &SystemEntropy).unwrap(),
        input: Labelled {
            value: json!({"quarter": "2026-Q3"}),
            labels: Labels { integrity: Integrity::Derived, ..Labels::default() },
        },
        started_at: Timestamp::from_secs(1),
    };
    let (mut machine, mut intents) = Machine::start(program, start);
    let mut calls = Vec::new();
    loop {
        let event = match intents.pop().unwrap() {
            Intent::Evaluate(evaluation) => Event::Evaluated { id: evaluation.id, result: evaluate(&evaluation) },
            Intent::Call { seq, function, arguments, .. } => {
                let result = match function.as_str() {
                    "warehouse.revenue" => json!({"quarter": "2026-Q3", "currency": "EUR", "rows": [
                        {"region": "North", "product": "A", "amount_cents": north_revenue},
                        {"region": "North", "product": "B", "amount_cents": 50},
                        {"region": "South", "product": "A", "amount_cents": 70},
                    ]}),
                    "ledgerbook.costs" => json!({"quarter": "2026-Q3", "currency": "EUR", "rows": [
                        {"region": "North", "cost_centre": "Sales", "amount_cents": 100},
                        {"region": "South", "cost_centre": "Sales", "amount_cents": 90},
                        {"region": "West", "cost_centre": "Sales", "amount_cents": 5},
                    ]}),
                    "infer" => json!({"title": "T", "summary": "S", "sections": [
                        {"heading": "H", "text": "Fine.", "sources": ["revenue", "costs"]}]}),
                    "mail.send" => json!({"message_id": "m"}),
                    _ => json!({"sha256": "x"}),
                };
                calls.push((function.to_string(), arguments));
                Event::Returned { seq, at: Timestamp::from_secs(2), result: Ok(returned(result)) }
            }
            Intent::Complete { output } => return (calls, output),
            other => panic!("{other:?}"),
        };
        intents = machine.apply(event).unwrap();
    }
}

#[test]
fn it_correlates_judges_and_publishes() {
    for (north, verdict, result) in [(200, "profit", 125), (10, "loss", -65)] {
        let (calls, output) = run(north);
        let names: Vec<&str> = calls.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            ["warehouse.revenue", "ledgerbook.costs", "report.publish", "warehouse.desks", "infer", "mail.send"]
        );
        assert_eq!(calls[0].1.value, json!({"quarter": "2026-Q3"}));
        assert_eq!(calls[1].1.value, json!({"quarter": "2026-Q3"}));
        let report = &calls[2].1.value;
        assert_eq!(report["title"], "Quarterly Performance Summary 2026-Q3");
        assert_eq!((&report["verdict"], &report["totals"]["result_cents"]), (&json!(verdict), &json!(result)));
        assert_eq!(
            report["regions"],
            json!([
                {"region": "North", "revenue_cents": north + 50, "costs_cents": 100, "result_cents": north - 50},
                {"region": "South", "revenue_cents": 70, "costs_cents": 90, "result_cents": -20},
                {"region": "West", "revenue_cents": 0, "costs_cents": 5, "result_cents": -5},
            ])
        );
        assert_eq!(output.value["published"], json!({"sha256": "x"}));
        let mail = &calls[5].1.value;
        assert_eq!((&mail["to"], &output.value["mailed"]), (&json!("board@demo.example"), &json!({"message_id": "m"})));
        assert_eq!(mail["body"], "T\n\nS\n\nH\nFine.\nSources: revenue, costs\n");
        assert_eq!(output.value["verdict"], verdict);
        let labels = &calls[2].1.labels;
        assert_eq!((labels.confidentiality, labels.integrity), (Confidentiality::Confidential, Integrity::Derived));
    }
}
