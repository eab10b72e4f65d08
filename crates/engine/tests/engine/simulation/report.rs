//! What seeds met, how fast they were lived, and what is to be known of those that failed.
#![expect(clippy::print_stdout, reason = "a report is for whoever runs it")]

use crate::house::{journal, tenant};
use crate::simulation::memory::Memory;
use crate::simulation::plan::{Happening, Plan};
use crate::simulation::{Lived, simulate};
use mandate_journal::EventBody;
use mandate_testkit::{Fault, Sabotage, World};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Failures that are told in full.
const TOLD: usize = 3;

/// Every place where each kind of fault has to have happened.
const PLACES: [&str; 4] = ["a commit", "a read", "a request", "the witness"];

/// A journal event's kind alone.
pub(crate) fn kind(body: &EventBody) -> String {
    let text = format!("{body:?}");
    text.split([' ', '{', '(']).next().unwrap_or_default().to_owned()
}

fn fault_name(fault: Fault) -> &'static str {
    match fault {
        Fault::Fails => "fails before anything is done",
        Fault::FailsButPersists => "is done, and fails all the same",
        Fault::Unavailable(_) => "is out of reach for a while",
        Fault::Late(_) => "is done, and answers late",
        Fault::CrashBefore => "meets a crash before it",
        Fault::CrashAfter => "meets a crash after it",
    }
}

/// What went wrong, and where.
pub(crate) fn fault_word(step: &str, fault: Fault) -> String {
    let place = if step.starts_with("effect.") {
        "a request"
    } else if step.starts_with("witness.") {
        "the witness"
    } else if ["commit", "change", "take-over", "integrate", "record-"].iter().any(|word| step.contains(word)) {
        "a commit"
    } else {
        "a read"
    };
    format!("{place} {}", fault_name(fault))
}

/// One seed; a panic is a failure like any other.
pub(crate) fn guarded(seed: u64) -> Result<Lived, String> {
    guarded_with(seed, None)
}

pub(crate) fn guarded_with(seed: u64, sabotage: Option<Sabotage>) -> Result<Lived, String> {
    catch_unwind(AssertUnwindSafe(|| simulate(seed, sabotage))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    })
}

/// What seeds met in all.
#[derive(Default)]
pub(crate) struct Coverage {
    pub(crate) seeds: u64,
    pub(crate) met: BTreeMap<String, u64>,
    pub(crate) failed: Vec<(u64, String)>,
    pub(crate) seconds: f64,
}

impl Coverage {
    pub(crate) fn add(&mut self, seed: u64, lived: Result<Lived, String>) {
        self.seeds += 1;
        match lived {
            Ok(lived) => {
                for (word, times) in lived.met {
                    *self.met.entry(word).or_default() += times;
                }
                if !lived.wrong.is_empty() {
                    self.failed.push((seed, format!("{}\n{}", lived.wrong.join("; "), lived.told)));
                }
            }
            Err(panic) => self.failed.push((seed, format!("it panicked: {panic}"))),
        }
    }

    /// Kinds of faults and happenings that no seed met.
    pub(crate) fn missed(&self) -> Vec<String> {
        let faults = [
            Fault::Fails,
            Fault::FailsButPersists,
            Fault::Unavailable(0),
            Fault::Late(0),
            Fault::CrashBefore,
            Fault::CrashAfter,
        ];
        let mut wanted: Vec<String> =
            PLACES.iter().flat_map(|place| faults.map(|fault| format!("{place} {}", fault_name(fault)))).collect();
        wanted.extend(Happening::WORDS.map(str::to_owned));
        let others = [
            "a doubt",
            "a doubt resolved: happened",
            "a doubt resolved: did not happen",
            "an approval",
            "a denial",
            "an answer to something else",
            "an event that a run has",
            "an event that a run had before",
            "an emitted event",
            "a timer that fired",
            "a recovered run",
            "a run completed",
            "a run faulted",
            "a run refused",
            "a run cancelled",
            "a receiver's a lost answer",
            "a receiver's a passing failure",
            "a receiver's a final failure",
            "a receiver's a request seen twice",
            "a receiver's a slow answer",
            "a receiver's an answer after everybody has gone",
            "a receiver's no work and no answer",
            "a receiver's work and no answer",
        ];
        wanted.extend(others.map(str::to_owned));
        wanted.retain(|word| !self.met.contains_key(word));
        wanted
    }

    pub(crate) fn print(&self) {
        for (word, times) in &self.met {
            println!("{times:>12}  {word}");
        }
        if self.seconds > 0.0 {
            let rate = self.seeds as f64 / self.seconds;
            println!("{} seeds in {:.0} s: {rate:.0} seeds/s; {} failed", self.seeds, self.seconds, self.failed.len());
        }
    }

    pub(crate) fn failures(&self) -> String {
        let shown = self.failed.iter().enumerate().map(|(index, (seed, why))| {
            let why = if index < TOLD { why.as_str() } else { why.lines().next().unwrap_or_default() };
            format!("seed {seed}: {why}\n  again: cargo xtask simulate --from {seed} --seeds 1")
        });
        let shown: Vec<String> = shown.take(20).collect();
        format!("{} of {} seeds failed:\n{}", self.failed.len(), self.seeds, shown.join("\n\n"))
    }
}

/// Many seeds on so many threads; tells now and then how far it is.
pub(crate) fn many(from: u64, count: u64, jobs: u64) -> Coverage {
    let (next, coverage, began) = (AtomicU64::new(0), Mutex::new(Coverage::default()), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::SeqCst);
                    if index >= count {
                        return;
                    }
                    let lived = guarded(from + index);
                    let mut coverage = coverage.lock().unwrap();
                    coverage.add(from + index, lived);
                    if coverage.seeds.is_multiple_of(5_000) {
                        let rate = coverage.seeds as f64 / began.elapsed().as_secs_f64();
                        let failed: Vec<u64> = coverage.failed.iter().map(|(seed, _)| *seed).take(10).collect();
                        println!("{} seeds, {rate:.0} seeds/s, failed: {failed:?}", coverage.seeds);
                    }
                }
            });
        }
    });
    let mut coverage = coverage.into_inner().unwrap();
    coverage.failed.sort_by_key(|(seed, _)| *seed);
    coverage.seconds = began.elapsed().as_secs_f64();
    coverage
}

/// Everything about a seed that failed.
pub(crate) fn tell(world: &World, plan: &Plan, memory: &Memory) -> String {
    let mut told = format!("  worker: {}\n", plan.made.worker["document"]["do"]);
    told.push_str(&format!("  happenings: {:?}\n  promises: {:?}\n", plan.happenings, memory.promises));
    for fault in world.faults.happened() {
        told.push_str(&format!("  fault: {fault:?}\n"));
    }
    for r in world.effects.received() {
        told.push_str(&format!("  received: {} {} {:?}\n", r.receiver, r.step, r.act));
    }
    for run in world.store.peek_runs(&tenant()) {
        let status = world.store.peek_run(&tenant(), &run).map(|record| record.status);
        told.push_str(&format!("  {run}: {status:?}\n"));
        for event in journal(world, &run) {
            told.push_str(&format!("    {} {} {:?}\n", event.seq, event.at, event.body));
        }
    }
    told
}
