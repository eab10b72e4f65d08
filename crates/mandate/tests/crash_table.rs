//! The process ends at every I/O step of a run and is started again: each time the run completes or
//! waits for a person, its report arrives once, and no evidence is lost.
//!
//! Debug builds number the I/O steps they pass; see `mandate_kernel::crash`. `MANDATE_CRASH_ONLY=N` runs
//! one row of the table.
#![cfg(debug_assertions)]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    reason = "helpers of tests"
)]

mod house;

use house::{House, INPUT, WORKER, evidence, process};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Rows at the same time, each in a house of its own.
const LANES: usize = 2;
/// How long a run may take to end after the restart.
const SETTLES: Duration = Duration::from_secs(30);
/// Every kind of step that a run passes. One that is renamed or gone is a hole in the table.
const NAMES: [&str; 22] = [
    "effects.after-reply",
    "effects.before-send",
    "engine.after-commit",
    "engine.after-perform",
    "engine.before-commit",
    "engine.before-perform",
    "gate.after-admit",
    "gate.before-admit",
    "sequencer.before-cosign",
    "sequencer.before-cosigned",
    "sequencer.before-integrate",
    "sequencer.before-signed",
    "store.after-commit",
    "store.before-begin",
    "store.before-commit",
    "store.before-reply",
    "store.transition",
    "store.integrate",
    "vault.after-issue",
    "vault.after-revoke",
    "vault.before-issue",
    "vault.before-revoke",
];

/// A seeded house that is copied for each row, with ports that no other lane uses.
struct Lane {
    folder: TempDir,
    port: u16,
}

impl Lane {
    fn new() -> Self {
        let lane = Self { folder: tempfile::tempdir().unwrap(), port: process::unused_port() };
        let house = House::start_in(&lane.seed(), lane.port);
        // Everything about the seeding is in a cosigned tree, so that a row begins without old work.
        let begun = Instant::now();
        while !is_sequenced(&house) {
            assert!(begun.elapsed() < SETTLES, "the ledger of a new house is not cosigned\n{}", house.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        drop(house);
        lane
    }

    fn seed(&self) -> PathBuf {
        self.folder.path().join("seed")
    }

    /// A copy of the seeded folder.
    fn copy(&self, name: &str) -> PathBuf {
        let copy = self.folder.path().join(name).join("data");
        copy_folder(&self.seed(), &copy);
        copy
    }

    fn remove(&self, name: &str) {
        std::fs::remove_dir_all(self.folder.path().join(name)).unwrap();
    }
}

/// Whether both tenants' ledgers are cosigned as far as they go.
fn is_sequenced(house: &House) -> bool {
    let data_dir = house.data_dir().to_string_lossy().into_owned();
    let ran = house.cli(&["audit", "verify", "--data-dir", &data_dir, "--trust", &house.trust(), "-o", "json"]);
    ran.code == 0
        && ran.json()["items"].as_array().unwrap().iter().filter(|log| log["kinds"]["key-introduced"] == 3).count() == 2
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The steps a process has passed, in order.
fn passed(log: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().filter_map(|line| line.split_once(' ')).map(|(_, name)| name.to_owned()).collect()
}

/// A step: the how-many-eth of a name, which stays the same step however tasks interleave.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    name: String,
    nth: usize,
}

impl Step {
    /// The steps passed, after the first so many.
    fn after(first: usize, passed: &[String]) -> Vec<Self> {
        let nth = |at: usize, name: &String| passed.iter().take(at + 1).filter(|other| *other == name).count();
        passed.iter().enumerate().skip(first).map(|(at, name)| Self { name: name.clone(), nth: nth(at, name) }).collect()
    }

    fn env(&self, log: &Path) -> [(&'static str, String); 2] {
        let at = format!("{}#{}", self.name, self.nth);
        [("MANDATE_CRASH_AT", at), ("MANDATE_CRASH_LOG", log.to_str().unwrap().to_owned())]
    }

    /// Starts a house that ends at this step.
    fn start(&self, data: &Path, port: u16, log: &Path) -> Result<House, NotReady> {
        let env = self.env(log);
        let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
        House::start_with(data, port, &env)
    }
}

/// The steps of a run from the moment its house is ready until its last entry is cosigned.
fn points(lane: &Lane) -> Vec<Step> {
    let data = lane.copy("points");
    let log = data.with_file_name("points.log");
    let mut house = House::start_with(&data, lane.port, &[("MANDATE_CRASH_LOG", log.to_str().unwrap())]).unwrap();
    let ready = passed(&log).len();
    let run = start(&house, "points").unwrap();
    assert_eq!(house.settled(&run, SETTLES)["state"], "completed");
    assert!(!end_or_rest(&mut house, &log), "nothing ends it");
    drop(house);
    let all = Step::after(ready, &passed(&log));
    lane.remove("points");
    all
}

/// Starts a run with an idempotency key; `None` when no answer came.
fn start(house: &House, key: &str) -> Option<String> {
    let args = ["run", WORKER, "--purpose", "crash table", "--input", INPUT, "--idempotency-key", key];
    let ran = house.cli_as("finance-lead", &[&args[..], &["--detach", "-o", "json"]].concat());
    match ran.code {
        0 => Some(ran.json()["run"].as_str().unwrap().to_owned()),
        // Not reachable.
        7 => None,
        _ => panic!("a start ended otherwise: {ran:?}\n{}", house.log()),
    }
}

/// A row of the table.
struct Row {
    at: usize,
    /// The step the process ended at; `None` when it passed fewer steps this time.
    name: Option<String>,
    outcome: String,
    took: Duration,
}

/// Ends a house at its N-th step and starts it again.
fn row(lane: &Lane, ready: usize, at: usize) -> Row {
    let begun = Instant::now();
    let name = format!("row-{at}");
    let data = lane.copy(&name);
    let log = data.with_file_name("points.log");
    let env = [("MANDATE_CRASH_AT", at.to_string()), ("MANDATE_CRASH_LOG", log.to_str().unwrap().to_owned())];
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut house = match House::start_with(&data, lane.port, &env) {
        Ok(house) => house,
        // It came to more steps than usual before it was ready; then the row is about that.
        Err(_) => House::start_in(&data, lane.port),
    };
    let key = format!("crash-{at}");
    let acknowledged = start(&house, &key);
    let died_at = end_or_rest(&mut house, &log).then(|| passed(&log).get(at - 1).cloned()).flatten();
    // Every other row ends once more, while the house recovers from the first end.
    let again_at = ready / 2 + (at - ready) * 2 / 3;
    let second = at.is_multiple_of(2).then(|| crash_in_recovery(&mut house, &log, again_at));
    let ready_again = house.restart();
    let outcome = check(&house, &key, acknowledged.as_deref());
    assert!(ready_again < Duration::from_secs(30), "ready again only after {ready_again:?}");
    drop(house);
    process::none_left_of(&data);
    lane.remove(&name);
    let second = second.flatten().map(|name| format!("; ended again at {name}")).unwrap_or_default();
    Row { at, name: died_at, outcome: format!("{outcome}{second}"), took: begun.elapsed() }
}

/// Waits until the process has ended, or has nothing left to do: its last tree is cosigned and no step
/// follows. Says whether it has ended.
fn end_or_rest(house: &mut House, log: &Path) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < SETTLES {
        let before = passed(log);
        if house.ended_within(Duration::from_millis(400)) {
            return true;
        }
        let cosigned = before.iter().rev().take(5).any(|name| name == "store.record-cosigned");
        if cosigned && before == passed(log) {
            return false;
        }
    }
    panic!("the house neither ends nor comes to rest: {:?}\n{}", passed(log).last(), house.log())
}

/// Starts the house again and ends it at the `at`-th step of its recovery. The name of that step; `None`
/// when recovery had fewer.
fn crash_in_recovery(house: &mut House, log: &Path, at: usize) -> Option<String> {
    let before = passed(log).len();
    let env = [("MANDATE_CRASH_AT", at.to_string()), ("MANDATE_CRASH_LOG", log.to_str().unwrap().to_owned())];
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    house.kill9();
    let Ok(mut again) = House::start_with(house.data_dir(), house.port(), &env) else {
        return passed(log).last().cloned();
    };
    // With nothing to recover there is no step at all.
    let ended = again.ended_within(Duration::from_millis(600));
    let steps = passed(log);
    (ended && steps.len() > before).then(|| steps.last().cloned()).flatten()
}

/// What must hold after the restart.
fn check(house: &House, key: &str, acknowledged: Option<&str>) -> String {
    let list = house.cli_as("finance-lead", &["runs", "list", "-o", "json"]).exits(0).json();
    let runs: Vec<&str> = list["items"].as_array().unwrap().iter().map(|run| run["run"].as_str().unwrap()).collect();
    let begun = match (acknowledged, runs.as_slice()) {
        (None, []) => false,
        (None, [_]) => true,
        (Some(run), [only]) if run == *only => true,
        _ => panic!("acknowledged {acknowledged:?}, there are {runs:?}"),
    };
    // What was begun ends by itself; and whoever repeats the start is given that very run.
    if let [run] = runs.as_slice() {
        house.settled(run, SETTLES);
    }
    let again = start(house, key).expect("the house is there");
    assert!(!begun || runs == [again.as_str()], "the same start gave {again} beside {runs:?}");
    let view = house.settled(&again, SETTLES);
    evidence::ended_once(house, &view);
    let completed = view["state"] == "completed";
    if completed {
        evidence::passport_verifies(house, &again);
    }
    let entries = house.entries(&again);
    evidence::leases_have_ended(&entries);
    reads_alone_were_repeated(&entries);
    evidence::ledger_is_clean(house);
    assert_eq!(house.reports().len(), usize::from(completed), "reports of other runs");
    let how = match (acknowledged, begun) {
        (Some(_), _) => "acknowledged",
        (None, true) => "begun, not acknowledged",
        (None, false) => "not begun, started again",
    };
    format!("{how}; {}", view["state"].as_str().unwrap())
}

/// A second attempt at a step is a decision of its own, and sends what the first one sent.
fn reads_alone_were_repeated(entries: &[Value]) {
    let decided: Vec<&Value> =
        entries.iter().filter(|e| e["kind"] == "step-decided").map(|entry| &entry["details"]).collect();
    let decisions: BTreeSet<&str> = decided.iter().map(|d| d["decision"].as_str().unwrap()).collect();
    assert_eq!(decisions.len(), decided.len(), "each attempt has its own decision");
    for later in decided.iter().filter(|d| d["attempt"] != 1) {
        let first = decided.iter().find(|d| d["attempt"] == 1 && d["step"] == later["step"]).unwrap();
        assert_eq!(later["request"]["digest"], first["request"]["digest"], "{later}");
        assert_ne!(later["effect"], "once", "never repeated blindly: {later}");
    }
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// Takes rows, one after the other, until none is left.
fn work(waiting: &Mutex<Vec<usize>>, row: impl Fn(usize) -> Row) -> Vec<Row> {
    let mut rows = Vec::new();
    loop {
        let next = waiting.lock().unwrap().pop();
        let Some(at) = next else { return rows };
        let begun = Instant::now();
        rows.push(catch_unwind(AssertUnwindSafe(|| row(at))).unwrap_or_else(|panic| Row {
            at,
            name: None,
            outcome: format!("FAILED: {}", said(panic.as_ref())),
            took: begun.elapsed(),
        }));
    }
}

/// Makes the table of these rows, some at the same time. Fails when one of them does.
fn table(indexes: std::ops::RangeInclusive<usize>, lanes: &[impl Fn(usize) -> Row + Sync]) -> (Vec<Row>, String) {
    let only: Option<usize> = std::env::var("MANDATE_CRASH_ONLY").ok().map(|at| at.parse().unwrap());
    let mut text = format!("steps {indexes:?}\n");
    let waiting: Vec<usize> = indexes.filter(|at| only.is_none_or(|only| only == *at)).rev().collect();
    let waiting = Mutex::new(waiting);
    let waiting = &waiting;
    let mut rows: Vec<Row> = std::thread::scope(|scope| {
        let working: Vec<_> = lanes.iter().map(|lane| scope.spawn(move || work(waiting, lane))).collect();
        working.into_iter().flat_map(|rows| rows.join().unwrap()).collect()
    });
    rows.sort_by_key(|row| row.at);
    for row in &rows {
        let name = row.name.as_deref().unwrap_or("-");
        writeln!(text, "{:4}  {name:28} {:5.2} s  {}", row.at, row.took.as_secs_f64(), row.outcome).unwrap();
    }
    println!("{text}");
    assert!(rows.iter().all(|row| !row.outcome.starts_with("FAILED")), "{text}");
    (rows, text)
}

#[test]
fn a_run_survives_the_end_of_the_process_at_each_of_its_steps() {
    let seeded: Vec<Lane> = std::thread::scope(|scope| {
        let seeding: Vec<_> = (0..LANES).map(|_| scope.spawn(Lane::new)).collect();
        seeding.into_iter().map(|lane| lane.join().unwrap()).collect()
    });
    let (ready, last) = points(&seeded[0]);
    let lanes: Vec<_> = seeded.iter().map(|lane| move |at| row(lane, ready, at)).collect();
    let (rows, text) = table(ready + 1..=last, &lanes);
    if rows.len() > 1 {
        let hit: BTreeSet<&str> = rows.iter().filter_map(|row| row.name.as_deref()).collect();
        let missed: Vec<_> = NAMES.iter().filter(|name| !hit.contains(*name)).collect();
        assert!(missed.is_empty(), "the process never ended at {missed:?}\n{text}");
        assert!(rows.iter().filter(|row| row.name.is_some()).count() > 50, "most rows end the process\n{text}");
    }
}

/// Ends a house at the N-th step of its very first start.
fn first_start(folder: &Path, at: usize) -> Row {
    let begun = Instant::now();
    let data = folder.join(format!("first-{at}")).join("data");
    let log = data.with_file_name("points.log");
    let env = [("MANDATE_CRASH_AT", at.to_string()), ("MANDATE_CRASH_LOG", log.to_str().unwrap().to_owned())];
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let port = process::unused_port();
    // The last steps may come after it said that it is ready.
    let ended = House::start_with(&data, port, &env).is_err();
    let name = passed(&log).get(at - 1).filter(|_| ended).cloned();
    let house = House::start_in(&data, port);
    let run = house.start_run();
    let view = house.settled(&run, SETTLES);
    evidence::ended_once(&house, &view);
    evidence::passport_verifies(&house, &run);
    evidence::ledger_is_clean(&house);
    drop(house);
    process::none_left_of(&data);
    std::fs::remove_dir_all(data.parent().unwrap()).unwrap();
    Row { at, name, outcome: view["state"].as_str().unwrap().to_owned(), took: begun.elapsed() }
}

#[test]
fn a_first_start_that_ends_at_any_step_is_mended_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("points/data");
    let log = data.with_file_name("points.log");
    drop(House::start_with(&data, process::unused_port(), &[("MANDATE_CRASH_LOG", log.to_str().unwrap())]).unwrap());
    let row = |at| first_start(folder.path(), at);
    let (rows, text) = table(1..=passed(&log).len(), &[row, row]);
    let ended = rows.iter().filter(|row| row.name.is_some()).count();
    assert!(rows.len() == 1 || ended > 60, "most rows end the process\n{text}");
}
