//! The product on PostgreSQL: the development house and a node, each in a database of its own.

use super::serve::Node;
use super::world::{arg, worker};
use crate::house::process::{mandate, run, unused_port};
use crate::house::{House, evidence, http};
use crate::server::{Database, PASSWORD, Server};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

/// No file below this folder holds the password of a database role, beside those that are to hold it.
fn password_is_nowhere(folder: &Path, except: &str) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            password_is_nowhere(&path, except);
        } else if !path.ends_with(except) {
            let bytes = std::fs::read(&path).unwrap();
            let found = bytes.windows(PASSWORD.len()).any(|window| window == PASSWORD.as_bytes());
            assert!(!found, "{} holds the password", path.display());
        }
    }
}

fn count(database: &Database, table: &str) -> usize {
    let sql = format!("SELECT count(*) FROM mandate.{table}");
    Server::shared().psql(&database.name, &sql)[0].parse().unwrap()
}

#[test]
fn the_house_runs_the_sample_worker_on_postgresql() {
    let database = Server::shared().database();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let env = [
        ("MANDATE_DEV_STORE", "postgres"),
        ("MANDATE_STORE_URL", database.url.as_str()),
        ("MANDATE_STORE_OWNER_URL", database.owner_url.as_str()),
    ];
    let mut house = House::start_with(&data, unused_port(), &env).unwrap_or_else(|e| panic!("{}", e.why));
    let verified = |house: &House, id: &str| {
        let view = house.settled(id, Duration::from_secs(60));
        assert_eq!(view["state"], "completed", "{view}");
        evidence::ended_once(house, &view);
        evidence::leases_have_ended(&house.entries(id));
        evidence::passport_verifies(house, id);
        let args = ["audit", "verify", "--url", house.url(), "--trust", &house.trust()];
        house.cli_as("auditor", &args).exits(0);
    };
    let first = house.start_run();
    verified(&house, &first);
    assert!(!data.join("mandate.db").exists());
    assert_eq!(count(&database, "runs"), 1);
    assert!(count(&database, "admissions") > 1);

    // Killed in the middle of a run, it goes on where it was.
    let second = house.start_run();
    house.restart_with(&env);
    verified(&house, &second);
    verified(&house, &first);
    assert_eq!(count(&database, "runs"), 2);

    // Without its root key what is sealed is lost: none is made beside a database that has tenants.
    house.kill9();
    std::fs::rename(data.join("root.key"), folder.path().join("root.key")).unwrap();
    let refused = House::start_with(&data, unused_port(), &env).map(drop).unwrap_err();
    assert!(refused.why.contains("root.key"), "{}", refused.why);
    assert!(!data.join("root.key").exists());
    password_is_nowhere(folder.path(), "nothing");
}

#[test]
fn a_node_serves_from_postgresql() {
    let database = Server::shared().database();
    let node = Node::new();
    let (app, owner) = (node.folder.path().join("store.url"), node.folder.path().join("owner.url"));
    for (path, url) in [(&app, &database.url), (&owner, &database.owner_url)] {
        std::fs::write(path, format!("{url}\n")).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let plain = std::fs::read_to_string(&node.config).unwrap();
    let with = |store: &str| std::fs::write(&node.config, format!("{plain}store:\n  {store}\n")).unwrap();
    let refused = |said: &str| {
        let ran = run(mandate().args(["serve", "--config"]).arg(&node.config));
        assert_ne!(ran.code, 0, "{said}");
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
        assert!(!ran.stderr.contains(PASSWORD), "{}", ran.stderr);
    };
    let (app_file, owner_file) = (app.display(), owner.display());
    // Nobody made the schema, and the role that works may not.
    with(&format!("postgres: {{url: {{file: {app_file}}}}}"));
    refused("no schema of Mandate");
    with(&format!("postgres: {{url: {{file: {owner_file}}}, ownerUrl: {{file: {owner_file}}}}}"));
    refused("owns Mandate's tables");
    with(&format!("postgres: {{url: {}}}", database.url));
    refused("a secret never stands here itself");
    with("mysql: {}");
    refused("mysql");
    with(&format!("postgres: {{url: {{file: {app_file}}}, ownerUrl: {{file: {owner_file}}}, connections: 4}}"));
    std::fs::set_permissions(&app, std::fs::Permissions::from_mode(0o644)).unwrap();
    refused("can be read by others");
    std::fs::set_permissions(&app, std::fs::Permissions::from_mode(0o600)).unwrap();

    let mut server = node.serve();
    assert_eq!(http::get(&format!("{}/readyz", node.url())).unwrap().status, 200);
    let idle = node.folder.path().join("idle.json");
    std::fs::write(&idle, worker("idle", json!([{"one": {"set": {"a": 1}}}]), &[], json!({})).to_string()).unwrap();
    node.cli("alice", &["apply", "-f", arg(&idle)]).exits(0);
    let runner = super::world::role("finance/runners", "user:bob", "runner", json!({"project": "finance"}));
    std::fs::write(&idle, runner.to_string()).unwrap();
    node.cli("alice", &["apply", "-f", arg(&idle)]).exits(0);
    let start = ["run", "finance/idle", "--purpose", "a first run", "--input", "{}", "-o", "json"];
    assert_eq!(node.cli("bob", &start).exits(0).json()["state"], "completed");
    // From now on the owner's URL is not needed.
    let _ = server.0.kill();
    let _ = server.0.wait();
    std::fs::remove_file(&owner).unwrap();
    with(&format!("postgres: {{url: {{file: {app_file}}}}}"));
    let again = node.serve();
    assert_eq!(node.cli("bob", &start).exits(0).json()["state"], "completed");
    drop(again);
    assert!(!node.folder.path().join("data/mandate.db").exists());
    password_is_nowhere(node.folder.path(), "store.url");
}
