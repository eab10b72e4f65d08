//! The process ends at each I/O step of the writer: what was acknowledged is there, the rest is whole
//! or absent. This binary starts itself again as the process that dies.
#![cfg(debug_assertions)]

use crate::contract::script::{Position, caller, change, round, tenant, tick};
use mandate_journal::{Change, Commit, Log, Resources, Runs, SecretRecord};
use mandate_kernel::RunId;
use mandate_store::{Store, StoreConfig};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

const FOLDER: &str = "MANDATE_STORE_CRASH_FOLDER";

/// What can be seen of the script's progress: events, secrets, tree size, signed, cosigned.
type Seen = (usize, usize, u64, bool, bool);

/// What is there after each act of [`dying_process`], before the first included.
const AFTER: [Seen; 9] = [
    (0, 0, 0, false, false),
    (1, 0, 0, false, false),
    (2, 0, 0, false, false),
    (2, 1, 0, false, false),
    (2, 1, 2, false, false),
    (2, 1, 2, true, false),
    (2, 1, 2, true, true),
    (2, 0, 2, true, true),
    (3, 0, 2, true, true),
];

fn the_run() -> RunId {
    "run_01J9ZK3Y4T6W8Q2N5R7VX0ABCD".parse().unwrap()
}

/// Not a test of its own: does one act after the other, and writes a line for each once it is
/// acknowledged.
#[tokio::test]
async fn dying_process() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let folder = Path::new(&folder);
    let mut acknowledged = std::fs::File::create(folder.join("acknowledged")).unwrap();
    let mut ack = move || acknowledged.write_all(b"done\n").unwrap();
    let opened = Store::open(StoreConfig::new(folder.join("mandate.db"))).unwrap();
    let store = opened.of(&caller("a"));
    let fresh = Position::of(&tenant("a"), the_run());
    let start = fresh.start();
    store.commit(start.clone()).await.unwrap();
    ack();
    let step = fresh.after(&start).admit(1, 1, 0);
    store.commit(step.clone()).await.unwrap();
    ack();
    let key = ("subject-key".to_owned(), "user:one".to_owned());
    let (kind, name) = key.clone();
    let secret = SecretRecord { kind, name, version: 1, sealed: b"sealed".to_vec(), created_at: tick() };
    store.change(Change { secrets: vec![secret], ..change("a") }).await.unwrap();
    ack();
    let waiting = store.pending(10).await.unwrap();
    assert!(store.integrate(round(&store.head().await.unwrap().frontier, &waiting)).await.unwrap());
    ack();
    store.record_signed(2, "signed".to_owned()).await.unwrap();
    ack();
    store.record_cosigned(2, "cosigned".to_owned()).await.unwrap();
    ack();
    store.change(Change { shred: vec![key], ..change("a") }).await.unwrap();
    ack();
    store.commit(fresh.after(&start).after(&step).step()).await.unwrap();
    ack();
}

/// Runs [`dying_process`] in a folder; `at` is the crash point it dies at, by number.
fn run_until(folder: &Path, at: Option<usize>) -> bool {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["crash::dying_process", "--exact"]).env(FOLDER, folder).stdout(Stdio::null()).stderr(Stdio::null());
    match at {
        Some(at) => command.env("MANDATE_CRASH_AT", at.to_string()),
        None => command.env("MANDATE_CRASH_LOG", folder.join("points")),
    };
    command.status().unwrap().success()
}

async fn look(store: &mandate_store::TenantHandle) -> Seen {
    let head = store.head().await.unwrap();
    let events = store.journal(&the_run()).await.unwrap().len();
    let secrets = store.secrets("subject-key").await.unwrap().len();
    (events, secrets, head.frontier.size(), head.signed.is_some(), head.cosigned.is_some())
}

#[tokio::test]
async fn whatever_was_acknowledged_survives_a_crash_at_each_point() {
    let folder = tempfile::tempdir().unwrap();
    assert!(run_until(folder.path(), None));
    let log = std::fs::read_to_string(folder.path().join("points")).unwrap();
    let points: Vec<&str> = log.lines().map(|line| line.split_once(' ').unwrap().1).collect();
    for name in ["begin", "commit", "reply", "scrub"] {
        assert!(points.contains(&format!("store.before-{name}").as_str()), "{name}");
    }
    for name in ["transition", "change", "integrate", "record-signed", "record-cosigned", "after-commit"] {
        assert!(points.contains(&format!("store.{name}").as_str()), "{name}");
    }
    for (at, point) in (1..).zip(&points) {
        let folder = tempfile::tempdir().unwrap();
        assert!(!run_until(folder.path(), Some(at)), "it outlived point {at}, {point}");
        let acknowledged = std::fs::read_to_string(folder.path().join("acknowledged")).unwrap().lines().count();
        let opened = Store::open(StoreConfig::new(folder.path().join("mandate.db"))).unwrap();
        let store = opened.of(&caller("a"));
        let seen = look(&store).await;
        let durable = seen == AFTER[acknowledged] || AFTER.get(acknowledged + 1) == Some(&seen);
        assert!(durable, "after {acknowledged} acts and a crash at {at}, {point}: {seen:?}");
        // A commit that returned but was not acknowledged yet is on disk as well.
        if *point == "store.after-commit" || *point == "store.before-reply" || *point == "store.before-scrub" {
            assert_eq!(seen, AFTER[acknowledged + 1], "{at}, {point}");
        }
        goes_on(&store).await;
        opened.close().await;
    }
}

/// The run, its chain and the tree take more.
async fn goes_on(store: &mandate_store::TenantHandle) {
    let mut at = Position::of(&tenant("a"), the_run());
    let next = match store.run(&the_run()).await.unwrap() {
        Some(found) => {
            at = Position { seq: found.journal_seq, epoch: found.epoch, chain: found.chain, ..at };
            at.step()
        }
        None => at.start(),
    };
    store.commit(next).await.unwrap();
    let waiting = store.pending(10).await.unwrap();
    let before = store.head().await.unwrap().frontier;
    assert!(store.integrate(round(&before, &waiting)).await.unwrap());
    let of_run = store.run_entries(&the_run()).await.unwrap();
    assert_eq!(of_run.len() as u64, at.seq + 1);
    assert!(of_run.iter().all(|(index, _)| index.is_some()));
}
