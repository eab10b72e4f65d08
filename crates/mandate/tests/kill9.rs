//! `kill -9` at random moments under load: whatever a client was told stays true.
//!
//! `MANDATE_KILL_SEED=N` repeats the moments of another execution.

#![expect(clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]

mod house;

use house::load::{Load, Start, Told};
use house::{House, evidence, process};
use serde_json::Value;
use std::net::TcpListener;
use std::time::Duration;

/// Clients that start runs, one after the other, until they are told to end.
const CLIENTS: usize = 8;
/// How often the house is killed.
const KILLS: usize = 6;
/// A house is ready again within this time.
const READY: Duration = Duration::from_secs(5);
/// All that was interrupted has ended within this time.
const SETTLES: Duration = Duration::from_secs(60);

/// The next number of a fixed sequence (Steele, Lea and Flood's SplitMix64).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Kills and restarts the house while the clients work.
fn kill_often(house: &mut House, load: &Load, seed: &mut u64) {
    for _ in 0..KILLS {
        load.gets_through(5, SETTLES);
        std::thread::sleep(Duration::from_millis(300 + next(seed) % 1500));
        house.kill9();
        load.pause();
        let took = house.restart();
        assert!(took < READY, "ready again only after {took:?}\n{}", house.log());
        load.resume();
        let processes = process::processes_of(house.data_dir());
        let witnesses = processes.iter().filter(|(_, line)| line.contains("witness --listen")).count();
        // The witness of the killed house held a lock on the folder, so it is gone by now.
        assert_eq!(witnesses, 1, "{processes:?}");
    }
    std::thread::sleep(Duration::from_millis(300));
}

#[test]
fn what_was_acknowledged_survives_kill_9_under_load() {
    let mut seed = std::env::var("MANDATE_KILL_SEED").map_or(20_261_122, |seed| seed.parse().unwrap());
    println!("MANDATE_KILL_SEED={seed}");
    let mut house = House::start();
    let load = Load::new(&house, "client", CLIENTS);
    let told = load.during(|| kill_often(&mut house, &load, &mut seed));
    println!("{} starts acknowledged, {} without answer", told.acknowledged.len(), told.unanswered.len());
    assert!(told.turned_away.is_empty(), "{:?}", told.turned_away);
    let runs = house.all_settled(SETTLES);
    told.holds_for(&runs);
    evidence::one_report_for_each(&house, &runs);
    let interrupted =
        house.cli_as("auditor", &["audit", "search", "--kind", "run-recovered", "-o", "json"]).exits(0).json();
    let interrupted = interrupted["items"].as_array().unwrap().len();
    println!("{} runs, {interrupted} recoveries", runs.len());
    assert!(interrupted > 0, "no kill met a run");
    starting_again_changes_nothing(&house, &load, &told);
    for run in runs.keys().step_by(runs.len().div_ceil(12)) {
        evidence::leases_have_ended(&house.entries(run));
        if runs[run]["state"] == "completed" {
            evidence::passport_verifies(&house, run);
        }
    }
    evidence::ledger_is_clean(&house);
    let data_dir = house.data_dir().to_path_buf();
    house.kill9();
    process::none_left_of(&data_dir);
}

/// The same key gives the same run, and a key nobody heard about still works.
fn starting_again_changes_nothing(house: &House, load: &Load, told: &Told) {
    for (key, run) in told.acknowledged.iter().take(5) {
        assert_eq!(load.start(key), Start::Acknowledged(run.clone()), "{key}");
    }
    for key in told.unanswered.iter().take(5) {
        let Start::Acknowledged(run) = load.start(key) else { panic!("{key} was not started") };
        assert_eq!(house.settled(&run, SETTLES)["state"], "completed", "{key}");
    }
}

/// While a house is down, another program may take the port of one of its sample systems.
#[test]
fn a_sample_system_whose_port_was_taken_moves_to_another() {
    for system in ["warehouse", "ledgerbook", "reports"] {
        let mut house = House::start();
        house.kill9();
        let ports: Value =
            serde_json::from_slice(&std::fs::read(house.data_dir().join("devkit/ports.json")).unwrap()).unwrap();
        let port = u16::try_from(ports[system].as_u64().unwrap()).unwrap();
        let taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
        house.restart();
        let run = house.start_run();
        let view = house.settled(&run, SETTLES);
        assert_eq!(view["state"], "completed", "{system} moved: {view}");
        drop(taken);
    }
}
