//! The process ends at every I/O step of a run and is started again: each time the run completes or
//! waits for a person, its report arrives once, and no evidence is lost.
//!
//! Debug builds number the I/O steps they pass; see `mandate_kernel::crash`. `MANDATE_CRASH_ONLY=N` runs
//! one row of each table.
#![cfg(debug_assertions)]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    reason = "helpers of tests"
)]

mod house;

use house::crash::{self, Row, Step, passed};
use house::{House, INPUT, WORKER, evidence, process};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
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

/// Ends a house at a step and starts it again. `number` tells rows apart.
fn row(lane: &Lane, number: usize, step: &Step) -> Row {
    let begun = Instant::now();
    let name = format!("row-{number}");
    let data = lane.copy(&name);
    let log = data.with_file_name("points.log");
    let mut house = match step.start(&data, lane.port, &log) {
        Ok(house) => house,
        // It came to this step before it was ready; then the row is about that.
        Err(_) => House::start_in(&data, lane.port),
    };
    let key = format!("crash-{number}");
    let acknowledged = start(&house, &key);
    if let Some(run) = &acknowledged {
        approve_while_it_lives(&house, run);
    }
    let ended = end_or_rest(&mut house, &log);
    // Every other row ends once more, while the house recovers from the first end.
    let second = number.is_multiple_of(2).then(|| crash_in_recovery(&mut house, &log, number * 2 / 3));
    let ready_again = house.restart();
    let outcome = check(&house, &key, acknowledged.as_deref());
    assert!(ready_again < Duration::from_secs(30), "ready again only after {ready_again:?}");
    drop(house);
    process::none_left_of(&data);
    lane.remove(&name);
    let second = second.flatten().map(|step| format!("; ended again at {}", step.name)).unwrap_or_default();
    Row { number, step: step.clone(), ended, outcome: format!("{outcome}{second}"), took: begun.elapsed() }
}

/// Says yes to the run's mail, unless the house ends before.
fn approve_while_it_lives(house: &House, run: &str) {
    let begun = Instant::now();
    while begun.elapsed() < SETTLES {
        let list = house.cli_as("finance-director", &["approvals", "list", "--run", run, "-o", "json"]);
        if list.code != 0 {
            return;
        }
        if let Some(approval) = list.json()["items"].as_array().and_then(|items| items.first().cloned()) {
            house.cli_as("finance-director", &["approvals", "approve", approval["id"].as_str().unwrap()]);
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{run} asks nobody\n{}", house.log());
}

/// Without the rows that leave just what their neighbours leave: a commit that has not begun is one that is
/// not made, and one that nobody was told of is one that was. Of these every fifth stays.
fn thinned(steps: Vec<Step>) -> Vec<Step> {
    let twin = |step: &Step| ["store.before-begin", "store.before-reply"].contains(&step.name.as_str());
    let mut twins = 0;
    let mut keeps = |step: &Step| {
        twins += usize::from(twin(step));
        !twin(step) || twins % 5 == 0
    };
    steps.into_iter().filter(|step| keeps(step)).collect()
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

/// Starts the house again and ends it during its recovery, about so many steps after it is ready. The
/// step it ended at; `None` when it came to rest before.
fn crash_in_recovery(house: &mut House, log: &Path, after: usize) -> Option<Step> {
    // A start without anything to recover passes the same steps, whatever comes then.
    let to_be_ready = 26;
    let log = log.with_extension("again");
    let at = (to_be_ready / 2 + after).to_string();
    house.kill9();
    let env = [("MANDATE_CRASH_AT", at.as_str()), ("MANDATE_CRASH_LOG", log.to_str().unwrap())];
    if let Ok(mut again) = House::start_with(house.data_dir(), house.port(), &env)
        && !again.ended_within(Duration::from_millis(600))
    {
        return None;
    }
    Step::after(0, &passed(&log)).pop()
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
    // One report, also where the mail after it is in doubt; one mail at most, and one if the run completed.
    let own = format!("{again}.");
    let foreign = |report: &&Value| !report["idempotency_key"].as_str().unwrap().starts_with(&own);
    assert_eq!(house.reports().iter().filter(foreign).count(), 0, "reports of other runs");
    let mails = house::http::get(house.ready()["mail_url"].as_str().unwrap()).unwrap().json();
    let mails = mails.as_array().unwrap().len();
    assert!(if completed { mails == 1 } else { mails <= 1 }, "{mails} mails");
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

#[test]
fn a_run_survives_the_end_of_the_process_at_each_of_its_steps() {
    let seeded: Vec<Lane> = std::thread::scope(|scope| {
        let seeding: Vec<_> = (0..LANES).map(|_| scope.spawn(Lane::new)).collect();
        seeding.into_iter().map(|lane| lane.join().unwrap()).collect()
    });
    let steps = thinned(points(&seeded[0]));
    let names: BTreeSet<&str> = steps.iter().map(|step| step.name.as_str()).collect();
    let missing: Vec<_> = NAMES.iter().filter(|name| !names.contains(*name)).collect();
    assert!(missing.is_empty(), "a run passes no {missing:?}: {steps:?}");
    let lanes: Vec<_> = seeded.iter().map(|lane| move |number, step: &Step| row(lane, number, step)).collect();
    let (rows, text) = crash::table(&steps, &lanes);
    println!("{text}");
    // The sequencer may take a run in one round or in several. Every other step is the same each time.
    let passes =
        |row: &&Row| !row.ended && !row.step.name.starts_with("sequencer") && !row.step.name.starts_with("store");
    assert_eq!(rows.iter().filter(passes).count(), 0, "a step was not come to\n{text}");
    let ended = rows.iter().filter(|row| row.ended).count();
    assert!(rows.len() == 1 || ended >= 60, "only {ended} steps ended the process\n{text}");
}

/// Ends a house at a step of its very first start.
fn first_start(folder: &Path, number: usize, step: &Step) -> Row {
    let begun = Instant::now();
    let data = folder.join(format!("first-{number}")).join("data");
    let log = data.with_file_name("points.log");
    let port = process::unused_port();
    // The last steps may come after it said that it is ready.
    let ended = step.start(&data, port, &log).is_err();
    let house = House::start_in(&data, port);
    let run = house.start_run();
    let view = house.settled(&run, SETTLES);
    evidence::ended_once(&house, &view);
    evidence::passport_verifies(&house, &run);
    evidence::ledger_is_clean(&house);
    drop(house);
    process::none_left_of(&data);
    std::fs::remove_dir_all(data.parent().unwrap()).unwrap();
    let outcome = view["state"].as_str().unwrap().to_owned();
    Row { number, step: step.clone(), ended, outcome, took: begun.elapsed() }
}

#[test]
fn a_first_start_that_ends_at_any_step_is_mended_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("points/data");
    let log = data.with_file_name("points.log");
    drop(House::start_with(&data, process::unused_port(), &[("MANDATE_CRASH_LOG", log.to_str().unwrap())]).unwrap());
    let row = |number, step: &Step| first_start(folder.path(), number, step);
    let (rows, text) = crash::table(&thinned(Step::after(0, &passed(&log))), &[row, row]);
    println!("{text}");
    let ended = rows.iter().filter(|row| row.ended).count();
    assert!(rows.len() == 1 || ended >= 60, "only {ended} steps ended the process\n{text}");
}
