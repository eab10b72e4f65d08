//! Lives by seed, over the real engine: every seed is a Worker, a plan of faults and of receivers that misbehave,
//! people who interfere, a clock that jumps, and processes that end anywhere. The same seed gives the same life.
//!
//! A fixed set of seeds runs in every test. `cargo xtask simulate --seeds N --from S` runs many, optimised.

mod base;
mod check;
mod happen;
mod life;
mod memory;
mod plan;
mod program;
mod report;

use crate::house::{journal, tenant};
use crate::parallel::for_each;
use life::Life;
use mandate_journal::{EventBody, Resolution};
use mandate_kernel::Digest;
use mandate_ledger::{Entry, EventKind};
use mandate_testkit::{Sabotage, World};
use memory::{Memory, act_word, state_word};
use plan::Plan;
use report::Coverage;
use std::collections::BTreeMap;

/// Seeds in an ordinary test.
const SEEDS: u64 = 150;

/// Kinds that so few seeds may leave out.
const RARE: usize = 12;

/// Seeds within which each thing that is broken on purpose has to be found.
const TO_FIND: u64 = 400;

/// What a seed came to.
pub(crate) struct Lived {
    /// What it met, in words.
    pub(crate) met: BTreeMap<String, u64>,
    pub(crate) wrong: Vec<String>,
    /// A digest of all that happened in it, in its order.
    pub(crate) trace: Digest,
    /// What one needs to know about a seed that failed.
    pub(crate) told: String,
}

/// Lives one seed.
pub(crate) fn simulate(seed: u64, sabotage: Option<Sabotage>) -> Lived {
    let plan = plan::plan(seed);
    let world = base::world(seed, &plan.made.worker);
    let (rate, most) = plan.faults;
    world.faults.seeded(seed ^ 0xfa17, rate, most);
    let (rate, most) = plan.mischief;
    world.effects.mischief(seed ^ 0xb0b, rate, most);
    if let Some(what) = sabotage {
        world.faults.sabotage(what);
    }
    let (mut memory, wrong) = Life::new(seed, &world, &plan).live();
    meet_all(&world, &plan, &mut memory);
    let told = if wrong.is_empty() { String::new() } else { report::tell(&world, &plan, &memory) };
    Lived { met: memory.met, wrong, trace: trace(&world), told }
}

/// What a seed met besides what people noted.
fn meet_all(world: &World, plan: &Plan, memory: &mut Memory) {
    for kind in &plan.made.kinds {
        memory.meet(format!("task {kind}"));
    }
    for (_, step, fault) in world.faults.happened() {
        memory.meet(report::fault_word(&step, fault));
    }
    for received in world.effects.received() {
        memory.meet(format!("a receiver's {}", act_word(received.act)));
    }
    for run in world.store.peek_runs(&tenant()) {
        let events = journal(world, &run);
        let words = events.iter().filter_map(|event| match &event.body {
            EventBody::InDoubt { .. } => Some("a doubt"),
            EventBody::Resolved { resolution: Resolution::Happened, .. } => Some("a doubt resolved: happened"),
            EventBody::Resolved { .. } => Some("a doubt resolved: did not happen"),
            EventBody::Admitted { attempt, .. } if attempt.0 > 1 => Some("another attempt"),
            EventBody::Emitted { .. } => Some("an emitted event"),
            EventBody::Woke { .. } => Some("a timer that fired"),
            _ => None,
        });
        words.for_each(|word| memory.meet(word));
        if let Some(record) = world.store.peek_run(&tenant(), &run) {
            memory.meet(state_word(&record));
        }
    }
    let (entries, ..) = world.store.peek_ledger(&tenant());
    let kinds = entries.iter().map(|bytes| Entry::decode(bytes).unwrap().1.kind);
    let recovered = kinds.filter(|kind| *kind == EventKind::RunRecovered).count();
    for (word, times) in [("a recovered run", recovered), ("a crash", memory.crashes), ("a process", memory.processes)]
    {
        *memory.met.entry(word.to_owned()).or_default() += times as u64;
    }
    *memory.met.entry("an I/O step".to_owned()).or_default() += world.faults.trace().len() as u64;
}

/// A digest of every I/O step, every fault, every request and every journal, in their order.
fn trace(world: &World) -> Digest {
    let mut all = world.faults.trace().join(" ");
    all.push_str(&format!("{:?}", world.faults.happened()));
    for received in world.effects.received() {
        all.push_str(&format!("{} {} {:?}", received.receiver, received.step, received.act));
    }
    for run in world.store.peek_runs(&tenant()) {
        for event in journal(world, &run) {
            all.push_str(&format!("{} {} {}", run, event.at, report::kind(&event.body)));
        }
    }
    Digest::of(all.as_bytes())
}

#[test]
fn seeds_keep_the_invariants() {
    let mut coverage = Coverage::default();
    let seeds: Vec<u64> = (0..SEEDS).collect();
    for (seed, lived) in seeds.iter().zip(for_each(&seeds, |seed| report::guarded(*seed))) {
        coverage.add(*seed, lived);
    }
    coverage.print();
    assert!(coverage.failed.is_empty(), "{}", coverage.failures());
    // A simulation in which nothing happens shows nothing. The long job demands every kind in every place.
    let missed = coverage.missed();
    assert!(missed.len() <= RARE, "never met: {missed:?}");
}

#[test]
fn the_same_seed_is_the_same_life() {
    let seeds: Vec<u64> = (1_000..1_012).collect();
    let traces = |_: u32| for_each(&seeds, |seed| simulate(*seed, None).trace);
    let (once, again) = (traces(1), traces(2));
    let other: Vec<_> = seeds.iter().zip(once.iter().zip(&again)).filter(|(_, (a, b))| a != b).collect();
    assert!(other.is_empty(), "{} of {} seeds went another way: {other:?}", other.len(), seeds.len());
    assert_ne!(once[0], once[1]);
}

#[test]
fn what_is_broken_on_purpose_is_found() {
    let seeds: Vec<u64> = (0..TO_FIND).collect();
    let found = for_each(&Sabotage::ALL, |what| {
        // The first seed tells; the others need not be lived.
        seeds
            .iter()
            .find(|seed| report::guarded_with(**seed, Some(*what)).map_or(true, |lived| !lived.wrong.is_empty()))
    });
    for (what, seed) in Sabotage::ALL.iter().zip(&found) {
        println!("{what:?}: found by seed {seed:?}");
    }
    let missed: Vec<_> = Sabotage::ALL.iter().zip(&found).filter(|(_, seed)| seed.is_none()).collect();
    assert!(missed.is_empty(), "not found within {TO_FIND} seeds: {missed:?}");
}

/// The long job: `MANDATE_SIM_FROM`, `MANDATE_SIM_SEEDS`, `MANDATE_SIM_JOBS`.
#[test]
#[ignore = "as long as one likes: cargo xtask simulate"]
fn as_many_seeds_as_asked() {
    let number = |name: &str, otherwise: u64| {
        std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name}: {text}")))
    };
    let (from, count) = (number("MANDATE_SIM_FROM", 0), number("MANDATE_SIM_SEEDS", 10_000));
    let coverage = report::many(from, count, number("MANDATE_SIM_JOBS", 2));
    coverage.print();
    if count >= 2_000 {
        assert_eq!(coverage.missed(), Vec::<String>::new(), "never met");
    }
    assert!(coverage.failed.is_empty(), "{}", coverage.failures());
}
