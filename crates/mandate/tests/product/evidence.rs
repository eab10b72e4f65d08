//! Proof that holds outside: passports, artefacts and the ledger, checked by the shipped verifier, and
//! the same with bytes changed.

use super::world::{arg, run};
use crate::house::House;
use std::path::{Path, PathBuf};

/// Positions tried in each file. Every single byte is tried where the verifier is tested by itself.
const POSITIONS: usize = 12;

fn completed(house: &House) -> String {
    run(house, "finance-lead", "quarterly-summary").exits(0).json()["run"].as_str().unwrap().to_owned()
}

fn passport_of(house: &House, run: &str, name: &str) -> PathBuf {
    let file = house.beside(name);
    house.cli_as("finance-lead", &["passport", "export", run, "-f", arg(&file)]).exits(0);
    file
}

#[test]
fn a_passport_and_its_artefact_verify_offline() {
    let house = House::start();
    let run = completed(&house);
    let (passport, artifact) = (passport_of(&house, &run, "passport.json"), house.beside("artifact.json"));
    house.cli_as("finance-lead", &["artifact", "get", &run, "-f", arg(&artifact)]).exits(0);
    let trust = house.trust();
    // Offline: no server is named, and none runs.
    let trusted = house.beside("pinned.json");
    std::fs::copy(&trust, &trusted).unwrap();
    let other = House::start();
    let forged = passport_of(&other, &completed(&other), "forged.json");
    let verify = |what: &str, file: &Path, trust: &Path, more: &[&str]| {
        let mut command = crate::house::binary();
        command.env("MANDATE_URL", "http://127.0.0.1:1").args([what, "verify", arg(file), "--trust", arg(trust)]);
        crate::house::process::run(command.args(more).args(["-o", "json"]))
    };
    let report = verify("passport", &passport, &trusted, &[]).exits(0).json();
    assert_eq!((report["run"].as_str(), report["state"].as_str()), (Some(run.as_str()), Some("completed")));
    let report = verify("artifact", &artifact, &trusted, &["--passport", arg(&passport)]).exits(0).json();
    assert_eq!(report["in_passport"], true);
    // A wrong anchor, and a passport that is whole and of another house of the same name.
    verify("passport", &passport, Path::new(&other.trust()), &[]).exits(6);
    verify("artifact", &artifact, Path::new(&other.trust()), &[]).exits(6);
    verify("passport", &forged, &trusted, &[]).exits(6);
    verify("artifact", &passport, &trusted, &[]).exits(6);
    verify("passport", &artifact, &trusted, &[]).exits(6);

    for (what, file) in [("passport", &passport), ("artifact", &artifact)] {
        let whole = std::fs::read(file).unwrap();
        let altered = house.beside("altered.json");
        let check = |bytes: &[u8], how: String| {
            std::fs::write(&altered, bytes).unwrap();
            let ran = verify(what, &altered, &trusted, &[]);
            assert_eq!(ran.code, 6, "{what} {how}: {ran:?}");
        };
        for at in strided(whole.len()) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            check(&bytes, format!("with byte {at} changed"));
        }
        check(&whole[..whole.len() - 1], "cut short".to_owned());
        check(&[&whole[..], b"\n"].concat(), "with a byte more".to_owned());
        let pretty = serde_json::from_slice::<serde_json::Value>(&whole).unwrap();
        check(&serde_json::to_vec_pretty(&pretty).unwrap(), "spelled differently".to_owned());
    }
}

fn strided(len: usize) -> impl Iterator<Item = usize> {
    (0..POSITIONS).map(move |n| n * (len - 1) / (POSITIONS - 1))
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            files.extend(files_in(&entry.path()));
        } else {
            files.push(entry.path());
        }
    }
    files.sort();
    files
}

#[test]
fn the_ledger_verifies_in_all_three_places() {
    let mut house = House::start();
    for _ in 0..3 {
        completed(&house);
    }
    let (trust, export) = (house.trust(), house.beside("export"));
    house.cli_as("auditor", &["audit", "export", "--dir", arg(&export)]).exits(0);
    house.cli_as("finance-lead", &["audit", "export", "--dir", arg(&house.beside("none"))]).exits(3);
    house.cli_as("auditor", &["audit", "verify", "--trust", &trust]).exits(0);
    let data = arg(house.data_dir()).to_owned();
    house.cli(&["audit", "verify", "--data-dir", &data, "--trust", &trust]).exits(0);
    let verify = |trust: &str| house.cli(&["audit", "verify", "--dir", arg(&export), "--trust", trust]);
    verify(&trust).exits(0);

    let files = files_in(&export);
    assert!(files.len() >= 3, "{files:?}");
    let mut tried = 0;
    for file in &files {
        let whole = std::fs::read(file).unwrap();
        for at in strided(whole.len()) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(file, &bytes).unwrap();
            let ran = verify(&trust);
            assert_eq!(ran.code, 6, "{} with byte {at} changed: {ran:?}", file.display());
            tried += 1;
        }
        std::fs::remove_file(file).unwrap();
        assert_eq!(verify(&trust).code, 6, "without {}", file.display());
        std::fs::write(file, &whole).unwrap();
    }
    assert!(tried >= 36, "{tried}");
    verify(&trust).exits(0);

    let proof = house.cli_as("auditor", &["audit", "proof", "0"]).exits(0);
    assert!(!proof.stdout.is_empty());
    house.cli_as("auditor", &["audit", "proof", "99999999"]).exits(3);
    house.cli_as("finance-analyst", &["audit", "proof", "0"]).exits(3);

    // An entry edited where it is stored, by somebody who may write the database.
    house.kill9();
    house.restart();
    terminate(&mut house);
    let (canary, database) = (b"quarterly review", house.data_dir().join("mandate.db"));
    house.cli(&["audit", "verify", "--data-dir", &data, "--trust", &trust]).exits(0);
    let mut bytes = std::fs::read(&database).unwrap();
    let places: Vec<usize> =
        bytes.windows(canary.len()).enumerate().filter(|(_, found)| found == canary).map(|(at, _)| at).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at] = b'Q';
    }
    std::fs::write(&database, &bytes).unwrap();
    house.cli(&["audit", "verify", "--data-dir", &data, "--trust", &trust]).exits(6);
}

/// Ends the house as a service manager would, so that nothing is left beside the database.
fn terminate(house: &mut House) {
    let told = std::process::Command::new("kill").arg(house.pid().to_string()).status().unwrap();
    assert!(told.success());
    assert!(house.ended_within(std::time::Duration::from_secs(20)), "{}", house.log());
}

/// Keys rotate, and what was signed before stays verifiable from the anchor that was pinned first.
#[test]
fn keys_rotate_and_old_evidence_stays() {
    let mut house = House::start();
    let pinned = house.beside("pinned.json");
    std::fs::copy(house.trust(), &pinned).unwrap();
    let mut passports = vec![passport_of(&house, &completed(&house), "p0.json")];
    let mut artifacts = Vec::new();
    for (n, role) in ["log", "evidence", "token", "log", "evidence"].into_iter().enumerate() {
        house.cli_as("finance-director", &["keys", "rotate", role]).exits(3);
        house.cli_as("admin", &["keys", "rotate", role]).exits(0);
        let run = completed(&house);
        passports.push(passport_of(&house, &run, &format!("p{}.json", n + 1)));
        let artifact = house.beside(&format!("a{n}.json"));
        house.cli_as("finance-lead", &["artifact", "get", &run, "-f", arg(&artifact)]).exits(0);
        artifacts.push(artifact);
    }
    house.restart();
    passports.push(passport_of(&house, &completed(&house), "p9.json"));
    let trust = ["--trust", arg(&pinned)];
    for passport in &passports {
        house.cli(&[&["passport", "verify", arg(passport)][..], &trust].concat()).exits(0);
    }
    for artifact in &artifacts {
        // An artefact alone shows no key history: its passport does.
        let n = artifacts.iter().position(|a| a == artifact).unwrap();
        let passport = arg(&passports[n + 1]);
        house.cli(&[&["artifact", "verify", arg(artifact), "--passport", passport][..], &trust].concat()).exits(0);
    }
    let export = house.beside("export");
    house.cli_as("auditor", &["audit", "export", "--dir", arg(&export)]).exits(0);
    house.cli_as("auditor", &[&["audit", "verify"][..], &trust].concat()).exits(0);
    house.cli(&[&["audit", "verify", "--dir", arg(&export)][..], &trust].concat()).exits(0);
    house.cli(&[&["audit", "verify", "--data-dir", arg(house.data_dir())][..], &trust].concat()).exits(0);
}
