//! A run that crashes at each of its I/O steps, before and after what the step persists.

use crate::house::{forked_worker, small_worker, world};
use crate::journey::{Memory, live};
use crate::parallel::for_each;
use mandate_testkit::Fault;
use serde_json::Value;

const SEED: u64 = 7;

/// The I/O steps of a run in which nothing goes wrong.
fn steps(worker: &Value) -> Vec<String> {
    let world = world(SEED, worker);
    let (memory, wrong) = live(&world, Memory::default());
    assert_eq!(wrong, Vec::<String>::new());
    world.faults.trace().into_iter().take(memory.steps).collect()
}

/// Crashing after a read leaves what crashing before the next step leaves.
fn persists(step: &str) -> bool {
    step.starts_with("effect.")
        || step.starts_with("witness.")
        || ["commit", "change", "take-over", "integrate", "record-"].iter().any(|word| step.contains(word))
}

#[test]
fn a_crash_at_every_step_loses_nothing() {
    crashes_everywhere(&small_worker());
}

#[test]
fn a_crash_at_every_step_of_branches_loses_nothing() {
    crashes_everywhere(&forked_worker());
}

fn crashes_everywhere(worker: &Value) {
    let steps = steps(worker);
    assert!(steps.iter().filter(|step| persists(step)).count() > 20, "{steps:?}");
    let both = |(index, step): (usize, &String)| {
        let after = persists(step).then_some(Fault::CrashAfter);
        [Some(Fault::CrashBefore), after].into_iter().flatten().map(move |fault| (index, fault)).collect::<Vec<_>>()
    };
    let points: Vec<(usize, Fault)> = steps.iter().enumerate().flat_map(both).collect();
    let outcomes = for_each(&points, |(index, fault)| {
        let world = world(SEED, worker);
        world.faults.at(*index, *fault);
        let (memory, mut wrong) = live(&world, Memory::default());
        if memory.crashes != 1 {
            wrong.push(format!("{} crashes", memory.crashes));
        }
        wrong
    });
    let row = |((index, fault), wrong): (&(usize, Fault), &Vec<String>)| {
        let outcome = if wrong.is_empty() { "ok".to_owned() } else { wrong.join("; ") };
        format!("{index:4} {:32} {fault:?}: {outcome}", steps[*index])
    };
    if outcomes.iter().any(|wrong| !wrong.is_empty()) {
        let table: Vec<String> = points.iter().zip(&outcomes).map(row).collect();
        panic!("crashes at {} points of {} steps:\n{}", points.len(), steps.len(), table.join("\n"));
    }
}
