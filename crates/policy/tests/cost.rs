//! What a decision costs, printed and never asserted: `cargo test -p mandate-policy --test cost -- --ignored --nocapture`.

mod common;

use common::{ask, step};
use mandate_kernel::Action;
use mandate_policy::{PolicySet, PolicySource, Question};
use std::time::Instant;

fn microseconds(set: &PolicySet, question: &Question) -> f64 {
    let round = |times: u32| {
        let begin = Instant::now();
        for _ in 0..times {
            std::hint::black_box(set.decide(std::hint::black_box(question)));
        }
        begin.elapsed().as_secs_f64() * 1e6 / f64::from(times)
    };
    round(200);
    (0..5).map(|_| round(1_000)).fold(f64::INFINITY, f64::min)
}

#[test]
#[ignore = "a measurement, not a check"]
fn cost_of_a_decision() {
    let rule = |index: usize, scope: &str, condition: &str| {
        format!(
            "@id(\"r{index}\") forbid (principal, action == Action::\"function.call\", {scope}) when {{ {condition} }};\n"
        )
    };
    for count in [0, 10, 1_000] {
        let about_others: String = (0..count)
            .map(|i| rule(i, &format!("resource == Function::\"finance/f{i}\""), "context.purpose == \"\""))
            .collect();
        let unscoped: String =
            (0..count).map(|i| rule(i, "resource", &format!("context.function == \"f{i}\""))).collect();
        for (name, text) in [("about other functions", about_others), ("about this action", unscoped)] {
            let sources: Vec<_> = if count == 0 { Vec::new() } else { vec![PolicySource::new("tenant.cedar", text)] };
            let begin = Instant::now();
            let set = PolicySet::compile(&sources).unwrap();
            let compiled = begin.elapsed().as_secs_f64() * 1e3;
            let call = step("warehouse.revenue");
            assert!(set.decide(&call).is_allow());
            println!(
                "{count:>5} policies {name:<22} step {:7.1} µs   view {:7.1} µs   compile {compiled:.1} ms",
                microseconds(&set, &call),
                microseconds(&set, &ask(Action::WorkerView, &["viewer"])),
            );
        }
    }
}
