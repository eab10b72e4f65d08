//! Runs by seed: every seed is a plan of faults, receivers that misbehave, and people who interfere.
//!
//! `MANDATE_SIM_SEEDS=N` runs N seeds; `MANDATE_SIM_SEED=S` runs that one alone.

use crate::house::{forked_worker, journal, small_worker, tenant, world};
use crate::journey::{Memory, live};
use crate::parallel::for_each;
use mandate_journal::{EventBody, Resolution};
use mandate_ledger::{Entry, EventKind};
use mandate_testkit::World;
use std::collections::BTreeMap;

/// Seeds in an ordinary test.
const SEEDS: u64 = 300;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// What a seed met, in words.
fn met(world: &World, memory: &Memory) -> Vec<&'static str> {
    let mut words = vec!["crash"; memory.crashes];
    let run = memory.run.as_ref();
    for event in run.map(|run| journal(world, run)).unwrap_or_default() {
        words.extend(match event.body {
            EventBody::InDoubt { .. } => Some("in doubt"),
            EventBody::Resolved { resolution: Resolution::Happened, .. } => Some("happened"),
            EventBody::Resolved { .. } => Some("did not happen"),
            EventBody::Admitted { attempt, .. } if attempt.0 > 1 => Some("another attempt"),
            EventBody::Ended { output: Some(_), .. } => Some("completed"),
            EventBody::Ended { problem: Some(problem), .. } if problem.type_.ends_with("/run-stopped") => {
                Some("cancelled")
            }
            EventBody::Ended { .. } => Some("faulted"),
            _ => None,
        });
    }
    let (entries, ..) = world.store.peek_ledger(&tenant());
    let kinds = entries.iter().map(|bytes| Entry::decode(bytes).unwrap().1.kind);
    words.extend(kinds.filter(|kind| *kind == EventKind::RunRecovered).map(|_| "recovered"));
    words
}

/// One seed: what it met, or what is wrong with it.
fn simulate(seed: u64) -> Result<Vec<&'static str>, String> {
    let worker = if seed.is_multiple_of(2) { small_worker() } else { forked_worker() };
    let world = world(seed, &worker);
    world.faults.seeded(seed ^ 0xfa17, 40, 6);
    world.effects.mischief(seed ^ 0xb0b, 200, 5);
    let kill_after = seed.is_multiple_of(4).then(|| (seed / 4 * 37) % 45_000);
    let (memory, wrong) = live(&world, Memory { kill_after, ..Memory::default() });
    if wrong.is_empty() {
        return Ok(met(&world, &memory));
    }
    let events = memory.run.as_ref().map(|run| journal(&world, run)).unwrap_or_default();
    let events: Vec<String> = events.iter().map(|event| format!("    {:?}", event.body)).collect();
    let faults: Vec<String> = world.faults.happened().iter().map(|fault| format!("    {fault:?}")).collect();
    let received: Vec<String> =
        world.effects.received().iter().map(|r| format!("    {} {} {:?}", r.receiver, r.step, r.act)).collect();
    Err(format!(
        "seed {seed}: {}\n  memory: {memory:?}\n  faults:\n{}\n  received:\n{}\n  journal:\n{}",
        wrong.join("; "),
        faults.join("\n"),
        received.join("\n"),
        events.join("\n")
    ))
}

#[test]
fn seeds_keep_the_invariants() {
    let seeds: Vec<u64> = match number("MANDATE_SIM_SEED") {
        Some(one) => vec![one],
        None => (0..number("MANDATE_SIM_SEEDS").unwrap_or(SEEDS)).collect(),
    };
    let results = for_each(&seeds, |seed| simulate(*seed));
    let failed: Vec<&String> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    let shown: Vec<String> = failed.iter().take(5).map(|report| (*report).clone()).collect();
    assert!(failed.is_empty(), "{} of {} seeds failed:\n{}", failed.len(), seeds.len(), shown.join("\n\n"));
    // A simulation in which nothing happens shows nothing.
    let mut met: BTreeMap<&str, usize> = BTreeMap::new();
    for word in results.iter().flatten().flatten() {
        *met.entry(word).or_default() += 1;
    }
    println!("met in {} seeds: {met:?}", seeds.len());
    if seeds.len() >= 100 {
        for word in
            ["crash", "completed", "faulted", "cancelled", "in doubt", "happened", "did not happen", "recovered"]
        {
            assert!(met.contains_key(word), "no seed met `{word}`: {met:?}");
        }
    }
}
