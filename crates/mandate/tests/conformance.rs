//! The workflow specification's conformance kit, and scenarios of our own, through the running product.
//!
//! Each scenario's document is applied as a Worker, started and judged by what the product answers. The kit is
//! read where it lies (`OWS_DIR`, else `../shared/ows` beside the repository); where it is absent that is said,
//! and ours run alone. What is counted is matched by the kit's own names.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test program that prints what it found"
)]

mod house;

#[path = "conformance/guarded.rs"]
mod guarded;
#[path = "conformance/live.rs"]
mod live;
#[path = "conformance/petstore.rs"]
mod petstore;
#[path = "conformance/scenario.rs"]
mod scenario;
#[path = "conformance/steps.rs"]
mod steps;

use scenario::{Feature, Outcome, Stage};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Scenarios of the kit that this product does not pass yet, and why. One that passes must leave the list.
const PENDING: &[(&str, &str)] = &[];

fn main() -> ExitCode {
    let stage = Stage::set();
    let mut sound = true;
    match kit() {
        Some(folder) => {
            let (whole, all) = examples(&folder);
            println!("\nexamples that parse and serialise back equal: {whole}/{all}");
            sound &= whole == all;
            println!("\nThe kit, {}:", folder.join("ctk").display());
            sound &= run("kit", &stage, &Feature::all(&folder.join("ctk/features")), PENDING);
        }
        None => println!("skipped: the conformance kit, because ../shared/ows is absent (OWS_DIR names another place)"),
    }
    println!("\nOur own scenarios:");
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/features");
    sound &= run("own", &stage, &Feature::all(&own), &[]);
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs every scenario and prints its name with its result; whether all is as it has to be.
fn run(what: &str, stage: &Stage, features: &[Feature], pending: &[(&str, &str)]) -> bool {
    let (mut passed, mut all, mut sound) = (0, 0, true);
    for feature in features {
        for scenario in feature.scenarios() {
            all += 1;
            let why_not = pending.iter().find(|(name, _)| *name == scenario.name).map(|(_, why)| *why);
            match (stage.play(scenario), why_not) {
                (Outcome::Passed, None) => {
                    passed += 1;
                    println!("  passed   {}: {}", feature.name(), scenario.name);
                }
                (Outcome::Passed, Some(_)) => {
                    passed += 1;
                    sound = false;
                    println!("  PASSED   {}: {}, though it is listed as pending", feature.name(), scenario.name);
                }
                (Outcome::Failed(_), Some(why)) => println!("  pending  {}: {} ({why})", feature.name(), scenario.name),
                (Outcome::Failed(why), None) => {
                    sound = false;
                    println!("  FAILED   {}: {}\n{why}", feature.name(), scenario.name);
                }
            }
        }
    }
    println!("{what}: {passed}/{all}");
    sound && all > 0
}

/// Where the kit lies, if it is here.
fn kit() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/ows");
    let folder = std::env::var_os("OWS_DIR").map_or(beside, PathBuf::from);
    folder.join("ctk/features").is_dir().then_some(folder)
}

/// How many examples of the specification come back as they were, through our reader and writer.
fn examples(folder: &Path) -> (usize, usize) {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder.join("examples")).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|kind| kind == "yaml"));
    files.sort();
    let equal = |file: &PathBuf| {
        let text = std::fs::read_to_string(file).unwrap();
        let read = mandate_flow::yaml::parse("example", &text).map(mandate_flow::yaml::Spanned::into_value);
        let back = read.as_ref().ok().and_then(|value| {
            let text = serde_json::to_string(value).ok()?;
            mandate_flow::yaml::parse("back", &text).ok().map(mandate_flow::yaml::Spanned::into_value)
        });
        let same = back.is_some() && read.ok() == back;
        if !same {
            println!("  not equal: {}", file.display());
        }
        same
    };
    (files.iter().filter(|file| equal(file)).count(), files.len())
}
