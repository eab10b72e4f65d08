//! Verification with nothing but files, by the holder of an anchor and by one who holds a wrong one.

use super::world::World;
use super::{Fake, Outcome, mandate};
use crate::cli::Exit;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

struct Case {
    folder: tempfile::TempDir,
    world: World,
}

impl Case {
    fn new(others: u32) -> Self {
        let case = Self { folder: tempfile::tempdir().unwrap(), world: World::new(1, others) };
        case.world.write_anchor(&case.at("anchor.json"));
        World::new(101, 0).write_anchor(&case.at("wrong.json"));
        fs::write(case.at("passport.json"), case.world.passport()).unwrap();
        fs::write(case.at("artifact.json"), &case.world.artifact).unwrap();
        case
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn call(&self, args: &[&str], trust: &str) -> Outcome {
        let trust = self.at(trust);
        mandate(&[args, &["--trust", trust.to_str().unwrap(), "-o", "json"]].concat()).await
    }

    async fn passport(&self, name: &str, trust: &str) -> Outcome {
        self.call(&["passport", "verify", self.at(name).to_str().unwrap()], trust).await
    }
}

fn write_all(folder: &Path, files: &std::collections::BTreeMap<String, Vec<u8>>) {
    for (path, bytes) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

#[tokio::test]
async fn passports_hold_or_not() {
    let case = Case::new(5);
    let done = case.passport("passport.json", "anchor.json").await;
    assert_eq!(done.exit, Exit::Done, "{}", done.err);
    let report = done.json();
    assert_eq!(
        (&report["verified"], &report["state"], &report["purpose"]),
        (&json!(true), &json!("completed"), &json!("board"))
    );
    assert_eq!(report["started_at"], "2026-09-21T14:13:20.000Z");

    let whole = fs::read(case.at("passport.json")).unwrap();
    fs::write(case.at("foreign.json"), World::new(101, 5).passport()).unwrap();
    fs::write(case.at("empty.json"), b"").unwrap();
    fs::write(case.at("short.json"), &whole[..whole.len() - 1]).unwrap();
    fs::write(case.at("long.json"), [&whole[..], b"\n"].concat()).unwrap();
    let mut altered = whole.clone();
    altered[whole.len() / 2] ^= 1;
    fs::write(case.at("altered.json"), altered).unwrap();
    for bad in ["foreign.json", "empty.json", "short.json", "long.json", "altered.json"] {
        let done = case.passport(bad, "anchor.json").await;
        assert_eq!((done.exit, done.out.as_str()), (Exit::Unverified, ""), "{bad}");
        assert!(done.err.contains("verification failed"), "{}", done.err);
    }
    assert_eq!(case.passport("passport.json", "wrong.json").await.exit, Exit::Unverified);
    for (file, trust) in
        [("nothing.json", "anchor.json"), ("passport.json", "nothing.json"), ("passport.json", "passport.json")]
    {
        assert_eq!(case.passport(file, trust).await.exit, Exit::Usage, "{file} {trust}");
    }
}

#[tokio::test]
async fn only_a_passport_that_holds_is_projected() {
    let case = Case::new(5);
    let (whole, out) = (case.at("passport.json"), case.at("told"));
    let (whole, told) = (whole.to_str().unwrap(), out.to_str().unwrap());
    let done = case.call(&["passport", "project", whole, "--to", "prov-json"], "anchor.json").await;
    assert_eq!(done.exit, Exit::Done, "{}", done.err);
    assert!(done.json()["prefix"]["mandate"].is_string());
    let done = case.call(&["passport", "project", whole, "--to", "openlineage", "-f", told], "anchor.json").await;
    assert_eq!((done.exit, &done.json()["file"]), (Exit::Done, &json!(told)), "{}", done.err);
    let events = fs::read_to_string(&out).unwrap();
    let types: Vec<serde_json::Value> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(types.first().unwrap()["eventType"], "START");
    assert_eq!(types.last().unwrap()["eventType"], "COMPLETE");

    fs::remove_file(&out).unwrap();
    let mut altered = fs::read(whole).unwrap();
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    fs::write(case.at("altered.json"), altered).unwrap();
    let altered = case.at("altered.json");
    for (file, trust) in [(altered.to_str().unwrap(), "anchor.json"), (whole, "wrong.json")] {
        let done = case.call(&["passport", "project", file, "--to", "prov-json", "-f", told], trust).await;
        assert_eq!((done.exit, done.out.as_str(), out.exists()), (Exit::Unverified, "", false), "{file} {trust}");
    }
}

#[tokio::test]
async fn artifacts_hold_and_belong_to_their_passport() {
    let case = Case::new(0);
    let (artifact, passport) = (case.at("artifact.json"), case.at("passport.json"));
    let (artifact, passport) = (artifact.to_str().unwrap(), passport.to_str().unwrap());
    let plain = case.call(&["artifact", "verify", artifact], "anchor.json").await;
    assert_eq!((plain.exit, &plain.json()["in_passport"]), (Exit::Done, &json!(false)), "{}", plain.err);
    let both = case.call(&["artifact", "verify", artifact, "--passport", passport], "anchor.json").await;
    assert_eq!((both.exit, &both.json()["content"]["verdict"]), (Exit::Done, &json!("profit")));
    assert_eq!(case.call(&["artifact", "verify", artifact], "wrong.json").await.exit, Exit::Unverified);
    assert_eq!(case.call(&["artifact", "verify", passport], "anchor.json").await.exit, Exit::Unverified);

    // Signed by the right key, for the right run, but never recorded by it.
    let mut text = String::from_utf8(fs::read(artifact).unwrap()).unwrap();
    text.push(' ');
    fs::write(case.at("spaced.json"), text).unwrap();
    let spaced = case.at("spaced.json");
    let done =
        case.call(&["artifact", "verify", spaced.to_str().unwrap(), "--passport", passport], "anchor.json").await;
    assert_eq!(done.exit, Exit::Unverified);
}

#[tokio::test]
async fn exported_folders_hold_or_not() {
    let case = Case::new(300);
    let files = case.world.files();
    let folder = case.at("export");
    write_all(&folder, &files);
    let verify = ["audit", "verify", "--dir", folder.to_str().unwrap()];
    let done = case.call(&verify, "anchor.json").await;
    assert_eq!(done.exit, Exit::Done, "{}", done.err);
    assert_eq!((&done.json()["verified"], &done.json()["items"][0]["size"]), (&json!(true), &json!(303)));
    assert_eq!(case.call(&[&verify[..], &["--tenant", "demo"]].concat(), "anchor.json").await.exit, Exit::Done);
    assert_eq!(case.call(&[&verify[..], &["--tenant", "nobody"]].concat(), "anchor.json").await.exit, Exit::Usage);
    assert_eq!(case.call(&verify, "wrong.json").await.exit, Exit::Unverified);
    for (path, bytes) in &files {
        let mut altered = bytes.clone();
        altered[bytes.len() / 2] ^= 1;
        fs::write(folder.join(path), altered).unwrap();
        assert_eq!(case.call(&verify, "anchor.json").await.exit, Exit::Unverified, "{path} altered");
        fs::remove_file(folder.join(path)).unwrap();
        assert_eq!(case.call(&verify, "anchor.json").await.exit, Exit::Unverified, "{path} removed");
        fs::write(folder.join(path), bytes).unwrap();
    }
    fs::write(folder.join("tile/extra"), "").unwrap();
    assert_eq!(case.call(&verify, "anchor.json").await.exit, Exit::Unverified);
    let nowhere = ["audit", "verify", "--dir", "/no/such/folder"];
    assert_eq!(case.call(&nowhere, "anchor.json").await.exit, Exit::Usage);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn data_folders_are_verified_beside_a_server() {
    let case = Case::new(700);
    let store = case.world.fill_store(case.folder.path()).await;
    let folder = case.folder.path().to_str().unwrap().to_owned();
    let verify = ["audit", "verify", "--data-dir", &folder];
    let done = case.call(&verify, "anchor.json").await;
    assert_eq!(done.exit, Exit::Done, "{}", done.err);
    assert_eq!(done.json()["items"][0]["size"], 700);
    assert_eq!(case.call(&verify, "wrong.json").await.exit, Exit::Unverified);
    store.close().await;
    drop(store);
    assert_eq!(case.call(&verify, "anchor.json").await.exit, Exit::Done);

    // Somebody edits the file: one letter of one entry.
    let path = case.at("mandate.db");
    let mut bytes = fs::read(&path).unwrap();
    let needle = b"{\"n\":345}";
    let at = bytes.windows(needle.len()).position(|window| window == needle).unwrap();
    bytes[at + 5] = b'9';
    fs::write(&path, bytes).unwrap();
    let done = case.call(&verify, "anchor.json").await;
    assert_eq!(done.exit, Exit::Unverified);
    let empty = tempfile::tempdir().unwrap();
    let nothing = ["audit", "verify", "--data-dir", empty.path().to_str().unwrap()];
    assert_eq!(case.call(&nothing, "anchor.json").await.exit, Exit::Usage);
}

async fn serving(case: &Case) -> Fake {
    let fake = Fake::start().await;
    for (path, bytes) in case.world.files() {
        fake.on(&format!("GET /v1/audit/{path}"), 200, bytes);
    }
    let permission = json!({"size": 303, "checkpoint": case.world.checkpoint()});
    fake.on_json("POST /v1/audit/exports", 200, &permission);
    fake
}

#[tokio::test]
async fn running_servers_are_verified_and_exported() {
    let case = Case::new(300);
    let fake = serving(&case).await;
    let trust = case.at("anchor.json");
    let done = fake.admin(&["audit", "verify", "--trust", trust.to_str().unwrap()]).await;
    assert_eq!((done.exit, &done.json()["items"][0]["tenant"]), (Exit::Done, &json!("demo")), "{}", done.err);
    let folder = case.at("export");
    let done = fake.admin(&["audit", "export", "-d", folder.to_str().unwrap()]).await;
    assert_eq!(done.exit, Exit::Done, "{}", done.err);
    let verify = ["audit", "verify", "--dir", folder.to_str().unwrap()];
    assert_eq!(case.call(&verify, "anchor.json").await.exit, Exit::Done);
    // It would no longer be one log.
    assert_eq!(fake.admin(&["audit", "export", "-d", folder.to_str().unwrap()]).await.exit, Exit::Usage);

    let fake = Fake::start().await;
    let mut files = case.world.files();
    files.get_mut("tile/0/000").unwrap()[7] ^= 1;
    for (path, bytes) in files {
        fake.on(&format!("GET /v1/audit/{path}"), 200, bytes);
    }
    let done = fake.admin(&["audit", "verify", "--trust", trust.to_str().unwrap()]).await;
    assert_eq!(done.exit, Exit::Unverified);
}

#[tokio::test]
async fn proofs_are_checked_before_they_are_shown() {
    let case = Case::new(20);
    let fake = Fake::start().await;
    fake.on_json("GET /v1/audit/proof/7", 200, &case.world.proof(7));
    fake.on_json("GET /v1/audit/proof/8", 200, &case.world.proof(7));
    assert_eq!(fake.admin(&["audit", "proof", "7"]).await.json()["index"], 7);
    let path = case.at("proof.json");
    assert_eq!(fake.people(&["audit", "proof", "7", "-f", path.to_str().unwrap()]).await.exit, Exit::Done);
    assert!(path.is_file());
    let alone = case.at("proof.tlog-proof");
    assert_eq!(fake.people(&["audit", "proof", "7", "-f", alone.to_str().unwrap()]).await.exit, Exit::Done);
    let text = fs::read_to_string(alone).unwrap();
    assert!(text.starts_with("c2sp.org/tlog-proof@v1\nextra ") && text.contains("\nindex 7\n"), "{text}");
    assert_eq!(fake.admin(&["audit", "proof", "8"]).await.exit, Exit::Unverified);
}
