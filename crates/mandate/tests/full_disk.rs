//! A disk that is full, and a database that another process holds: starts are turned away, runs in
//! flight wait, nothing is half done, and all goes on when there is room again.
#![cfg(debug_assertions)]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod house;

use house::load::Load;
use house::{House, INPUT, NotReady, evidence, process};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long runs may take to end once there is room again.
const SETTLES: Duration = Duration::from_secs(20);
/// Clients that start runs.
const CLIENTS: usize = 6;

/// A disk whose end a test can move.
struct Disk {
    folder: TempDir,
}

impl Disk {
    fn new() -> Self {
        let disk = Self { folder: tempfile::tempdir().unwrap() };
        disk.has_room();
        disk
    }

    /// Nothing goes onto it any more. (The database never shrinks below its present size.)
    fn is_full(&self) {
        self.set("1");
    }

    fn has_room(&self) {
        self.set("1000000");
    }

    fn set(&self, pages: &str) {
        let beside = self.folder.path().join("new");
        std::fs::write(&beside, pages).unwrap();
        std::fs::rename(beside, self.limit()).unwrap();
        // The house looks at it every 20 ms.
        std::thread::sleep(Duration::from_millis(60));
    }

    fn limit(&self) -> PathBuf {
        self.folder.path().join("pages")
    }

    fn house(&self) -> House {
        self.start(process::unused_port()).unwrap()
    }

    fn start(&self, port: u16) -> Result<House, NotReady> {
        let limit = self.limit();
        let env = [("MANDATE_TEST_PAGE_LIMIT", limit.to_str().unwrap())];
        House::start_with(&self.folder.path().join("data"), port, &env)
    }
}

fn until(what: &str, patience: Duration, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < patience, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What may be done while nothing can be written: look at runs, and verify what is there.
fn reading_works(house: &House) {
    for path in ["/livez", "/readyz"] {
        assert_eq!(house.http("GET", path, None, None).status, 200, "{path}");
    }
    house.cli_as("finance-lead", &["runs", "list", "-o", "json"]).exits(0);
    evidence::ledger_is_clean(house);
}

/// Each was told in so many words that nothing was changed.
fn said_clearly(turned_away: impl IntoIterator<Item = (String, String)>) {
    for (key, why) in turned_away {
        assert!(why.contains("nothing was changed"), "{key}: {why}");
        if let Ok(problem) = serde_json::from_str::<Value>(&why) {
            assert_eq!(problem["type"], "https://mandate.dev/problems/unavailable", "{key}");
            assert_eq!(problem["status"], 503, "{key}");
        }
    }
}

#[test]
fn a_full_disk_turns_starts_away_and_runs_wait_for_room() {
    let disk = Disk::new();
    let mut house = disk.house();
    let load = Load::new(&house, "client", CLIENTS);
    let told = load.during(|| {
        until("some runs", SETTLES, || load.answered().0 > 20);
        disk.is_full();
        until("a start that is turned away", SETTLES, || load.answered().1 > 2 * CLIENTS);
        load.pause();
        reading_works(&house);
    });
    let running = house.all_runs().values().filter(|run| run["state"] == "running").count();
    println!("{} runs begun, {} turned away, {running} wait for room", told.acknowledged.len(), told.turned_away.len());
    assert!(told.unanswered.is_empty(), "{:?}", told.unanswered);
    said_clearly(told.turned_away.clone());
    assert!(told.turned_away.keys().any(|key| key.starts_with("client-0-")), "the command line was turned away too");
    // What was begun while the disk was full is begun; what was turned away left nothing.
    assert_eq!(house.all_runs().len(), told.acknowledged.len());
    disk.has_room();
    all_ends_well(&house, told.acknowledged.len());

    // Again, and now the process ends while its disk is full.
    let load = Load::new(&house, "again", CLIENTS);
    let more = load.during(|| {
        until("some runs", SETTLES, || load.answered().0 > 5);
        disk.is_full();
        until("a start that is turned away", SETTLES, || load.answered().1 > CLIENTS);
    });
    house.kill9();
    // With entries that wait for their place in the ledger it says why it can't begin, and changes nothing.
    match disk.start(house.port()) {
        Ok(house) => reading_works(&house),
        Err(not_ready) => assert!(not_ready.why.contains("disk is full"), "{}", not_ready.why),
    }
    house.restart();
    // One more was started when all had ended well.
    all_ends_well(&house, told.acknowledged.len() + 1 + more.acknowledged.len());
}

fn all_ends_well(house: &House, count: usize) {
    let runs = house.all_settled(SETTLES);
    assert_eq!(runs.len(), count, "runs acknowledged, and runs there are");
    evidence::one_report_for_each(house, &runs);
    let run = house.start_run();
    assert_eq!(house.settled(&run, SETTLES)["state"], "completed");
    for run in runs.keys().step_by(runs.len().div_ceil(8)) {
        evidence::leases_have_ended(&house.entries(run));
        evidence::passport_verifies(house, run);
    }
    evidence::ledger_is_clean(house);
}

/// A Worker that waits a while, and may be run by the finance lead.
const PATIENT: &str = "
apiVersion: mandate.dev/v1
kind: Worker
metadata:
  name: finance/patient
spec:
  description: Waits, then reads revenue.
  document: worker.yaml
  class:
    impact: read-only
    data: [internal, financial]
  environments: [sandbox]
  defaultEnvironment: sandbox
  functions: [warehouse.revenue]
";
const PATIENT_RUNNERS: &str = "
apiVersion: mandate.dev/v1
kind: RoleBinding
metadata:
  name: finance/patient-runners
spec:
  subjects: ['user:finance-lead']
  role: runner
  on:
    resource: finance/patient
";
const PATIENT_DOCUMENT: &str = "
document:
  dsl: '1.0.3'
  namespace: finance
  name: patient
  version: '1.0.0'
do:
  - pause:
      wait:
        milliseconds: 1500
  - revenue:
      call: warehouse.revenue
      with:
        quarter: '${ .quarter }'
";

#[test]
fn a_timer_that_is_due_on_a_full_disk_waits_for_room_quietly() {
    let disk = Disk::new();
    let house = disk.house();
    let folder = house.beside("patient");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("manifest.yaml"), PATIENT).unwrap();
    std::fs::write(folder.join("worker.yaml"), PATIENT_DOCUMENT).unwrap();
    let runners = house.beside("runners.yaml");
    std::fs::write(&runners, PATIENT_RUNNERS).unwrap();
    for (who, what) in [("finance-director", &folder), ("admin", &runners)] {
        house.cli_as(who, &["apply", "-f", what.to_str().unwrap()]).exits(0);
    }
    let args = ["run", "finance/patient", "--purpose", "patience", "--input", INPUT, "--detach", "-o", "json"];
    for _ in 0..5 {
        let started = house.cli_as("finance-lead", &args);
        assert!(matches!(started.code, 0 | 4), "{started:?}");
    }
    // The database has free room inside; it is used up by starts until one is turned away.
    disk.is_full();
    until("a start that is turned away", SETTLES, || house.cli_as("finance-lead", &args).code == 7);
    let lines = || std::fs::read_to_string(house.beside("data.log")).unwrap().lines().count();
    std::thread::sleep(Duration::from_secs(2));
    let before = lines();
    std::thread::sleep(Duration::from_secs(3));
    let (said, runs) = (lines() - before, house.all_runs().len());
    println!("{runs} runs wait; {said} lines of log in 3 s");
    assert!(house.all_runs().values().all(|run| run["state"] != "faulted"), "{:?}", house.all_runs());
    assert!(said <= 3 * 5 * runs, "{said} lines of log in 3 s about {runs} runs that wait\n{}", house.log());
    disk.has_room();
    until("all runs have ended", SETTLES, || house.all_runs().values().all(|run| run["state"] == "completed"));
    evidence::ledger_is_clean(&house);
}

/// Holds the database as another process would, for as long as `during` takes.
fn locked(database: &Path, during: impl FnOnce()) {
    let other = rusqlite::Connection::open(database).unwrap();
    other.busy_timeout(Duration::from_secs(10)).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    during();
    other.execute_batch("ROLLBACK").unwrap();
}

#[test]
fn a_locked_database_is_waited_for() {
    let house = House::start();
    let database = house.data_dir().join("mandate.db");
    std::thread::scope(|scope| {
        let mut starting = None;
        // Shorter than the store's own patience: a start only takes longer.
        locked(&database, || {
            let starting = starting.insert(scope.spawn(|| house.start_run()));
            std::thread::sleep(Duration::from_millis(1500));
            assert!(!starting.is_finished(), "begun although nothing can be written");
        });
        let run = starting.unwrap().join().unwrap();
        assert_eq!(house.settled(&run, SETTLES)["state"], "completed");
        evidence::ledger_is_clean(&house);
    });
}

#[test]
fn a_database_locked_for_long_turns_starts_away() {
    let house = House::start();
    let database = house.data_dir().join("mandate.db");
    let load = Load::new(&house, "client", CLIENTS);
    let told = load.during(|| {
        until("some runs", SETTLES, || load.answered().0 > 20);
        locked(&database, || {
            until("a start that is turned away", SETTLES, || load.answered().1 > 0);
            reading_works(&house);
        });
        let begun = load.answered().0;
        until("starts go on", SETTLES, || load.answered().0 > begun + CLIENTS);
    });
    println!("{} runs begun, {} turned away", told.acknowledged.len(), told.turned_away.len());
    said_clearly(told.turned_away.clone());
    assert!(told.unanswered.is_empty(), "{:?}", told.unanswered);
    all_ends_well(&house, told.acknowledged.len());
}
