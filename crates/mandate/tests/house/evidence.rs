//! What must hold after whatever has happened to a house.

use super::House;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The ledger verifies, as files and over the network.
pub(crate) fn ledger_is_clean(house: &House) {
    let data_dir = house.data_dir().to_string_lossy().into_owned();
    let verify = |from: [&str; 2]| {
        let args = ["audit", "verify", from[0], from[1], "--trust", &house.trust(), "-o", "json"];
        house.cli_as("auditor", &args).exits(0)
    };
    verify(["--data-dir", &data_dir]);
    verify(["--url", house.url()]);
}

/// The passport of a run that has ended is there and verifies.
pub(crate) fn passport_verifies(house: &House, run: &str) {
    let file = house.beside(&format!("{run}.passport")).to_string_lossy().into_owned();
    house.cli_as("finance-lead", &["passport", "export", run, "-f", &file]).exits(0);
    house.cli(&["passport", "verify", &file, "--trust", &house.trust()]).exits(0);
}

/// Each lease that a decision of the run gave has ended, according to the ledger.
pub(crate) fn leases_have_ended(entries: &[Value]) {
    let of = |kind: &'static str| {
        let found = entries.iter().filter(move |entry| entry["kind"] == kind);
        found.filter_map(|entry| entry["details"]["lease"].as_str()).collect::<BTreeSet<_>>()
    };
    let (given, ended) = (of("step-decided"), of("lease-ended"));
    assert!(!given.is_empty(), "the sample Worker needs a lease: {entries:#?}");
    assert_eq!(given, ended, "leases given and leases ended");
}

/// The run has ended well, or waits for a person because nobody knows: never anything else. The receiver
/// has at most one report of it, and exactly one if it is completed.
pub(crate) fn ended_once(house: &House, view: &Value) {
    let run = view["run"].as_str().unwrap();
    let reports = house.reports_of(run);
    match (view["state"].as_str(), view["waiting_for"].as_str()) {
        (Some("completed"), None) => assert_eq!(reports.len(), 1, "{reports:?}"),
        (Some("waiting"), Some("outcome-unknown")) => assert!(reports.len() <= 1, "{reports:?}"),
        _ => panic!("neither completed nor in doubt: {view}\n{}", house.log()),
    }
}

/// As [`ended_once`], for every run there is; and there is no report of anything else.
pub(crate) fn one_report_for_each(house: &House, runs: &BTreeMap<String, Value>) {
    let mut reports: BTreeMap<String, usize> = BTreeMap::new();
    for report in house.reports() {
        let key = report["idempotency_key"].as_str().unwrap();
        *reports.entry(key.split('.').next().unwrap().to_owned()).or_default() += 1;
    }
    for (run, view) in runs {
        let count = reports.remove(run).unwrap_or_default();
        match (view["state"].as_str(), view["waiting_for"].as_str()) {
            (Some("completed"), None) => assert_eq!(count, 1, "reports of {run}"),
            (Some("waiting"), Some("outcome-unknown")) => assert!(count <= 1, "reports of {run}"),
            _ => panic!("neither completed nor in doubt: {view}\n{}", house.log()),
        }
    }
    assert!(reports.is_empty(), "reports of runs that don't exist: {reports:?}");
}
