//! Tiles, exports and whole-log verification.

use super::*;
use crate::tiles::{self, files_for, parse_bundle, push_entry, tile_bytes};
use crate::{ExportError, LogReport, Nodes, TileError, TilePath, VerifyError, export_files, verify_export, verify_log};
use mandate_kernel::Digest;
use proptest::prelude::*;
use std::convert::Infallible;

pub(super) type Files = BTreeMap<String, Vec<u8>>;

pub(super) fn exported(world: &World) -> Files {
    let entries = world.entries.iter().cloned().map(Ok::<_, Infallible>);
    let checkpoint = world.checkpoint();
    let files = export_files(entries, &world.tree, &checkpoint).unwrap();
    files.map(|file| file.map(|file| (file.path, file.bytes)).unwrap()).collect()
}

fn verified(world: &World, nodes: &MemoryTree, checkpoint: &str) -> Result<LogReport, VerifyError> {
    let entries = world.entries.iter().map(|entry| Ok::<_, Infallible>(entry.bytes().to_vec()));
    verify_log(entries, nodes, checkpoint, &world.anchor, &demo())
}

#[test]
fn paths_are_those_of_the_specification() {
    for (path, parsed) in [
        ("checkpoint", TilePath::Checkpoint),
        ("tile/0/x001/x234/067", TilePath::Hashes { level: 0, index: 1_234_067, width: 256 }),
        ("tile/3/000.p/1", TilePath::Hashes { level: 3, index: 0, width: 1 }),
        ("tile/entries/x001/000.p/255", TilePath::Entries { index: 1000, width: 255 }),
        ("tile/entries/999", TilePath::Entries { index: 999, width: 256 }),
    ] {
        assert_eq!(parsed.to_string(), path);
        assert_eq!(path.parse(), Ok(parsed));
    }
    for bad in [
        "",
        "tile",
        "tile/",
        "tile/0/",
        "tile/0/0",
        "tile/00/000",
        "tile/64/000",
        "tile/0/1000",
        "tile/0/x000/001",
        "tile/0/001/067",
        "tile/0/x001",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/entries",
        "tile/entries/000/",
        "tile/8/0/000",
        "/checkpoint",
        "checkpoint/",
        "tile/0/+00",
        "tile/-1/000",
        "tile/0/../000",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
    ] {
        assert_eq!(bad.parse::<TilePath>(), Err(TileError::Path(bad.to_owned())));
    }
}

/// The examples of the specification.
#[test]
fn a_tree_has_exactly_its_files() {
    let files: Vec<TilePath> = files_for(70_000).collect();
    let count = |keep: fn(&TilePath) -> bool| files.iter().filter(|file| keep(file)).count();
    assert_eq!(count(|f| matches!(f, TilePath::Hashes { level: 0, width: 256, .. })), 273);
    assert_eq!(count(|f| matches!(f, TilePath::Hashes { level: 0, index: 273, width: 112 })), 1);
    assert_eq!(count(|f| matches!(f, TilePath::Hashes { level: 1, width: 256, .. })), 1);
    assert_eq!(count(|f| matches!(f, TilePath::Hashes { level: 1, index: 1, width: 17 })), 1);
    assert_eq!(count(|f| matches!(f, TilePath::Hashes { level: 2, index: 0, width: 1 })), 1);
    assert_eq!(count(|f| matches!(f, TilePath::Entries { .. })), 274);
    assert_eq!(files.len(), 274 + 274 + 2 + 1 + 1);
    let paths = |size| files_for(size).map(|file| file.to_string()).collect::<Vec<_>>();
    assert_eq!(paths(0), ["checkpoint"]);
    assert_eq!(paths(256), ["tile/entries/000", "tile/0/000", "tile/1/000.p/1", "checkpoint"]);
    assert!(files_for(u64::MAX).take(3).count() == 3);
}

#[test]
fn bundles_hold_exactly_what_their_path_says() {
    let mut bundle = Vec::new();
    push_entry(&mut bundle, b"one").unwrap();
    push_entry(&mut bundle, b"").unwrap();
    assert_eq!(parse_bundle(&bundle, 2).unwrap(), [b"one".as_slice(), b""]);
    for (bytes, width) in [(&bundle[..], 1), (&bundle[..], 3), (&bundle[..6], 2), (&bundle[..4], 1), (&[0][..], 0)] {
        assert!(parse_bundle(bytes, width).is_err());
    }
    assert_eq!(push_entry(&mut bundle, &[0; 65_536]), Err(TileError::EntryTooLarge(65_536)));
}

#[test]
fn an_export_verifies_with_no_file_more_or_less() {
    let mut world = World::with_two_runs();
    while world.tree.size() < 300 {
        world.record(EventKind::AccessDenied, None, json!({"n": world.tree.size()}));
    }
    let files = exported(&world);
    assert_eq!(
        files.keys().collect::<Vec<_>>(),
        ["checkpoint", "tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/000", "tile/entries/001.p/44"]
    );
    let report = verify_export(&files, &world.anchor, &demo()).unwrap();
    assert_eq!((report.size, report.runs, report.ended, report.beyond), (300, 2, 2, 0));
    assert_eq!(report.kinds["access-denied"], 295);
    for path in files.keys() {
        let mut less = files.clone();
        less.remove(path);
        assert!(matches!(verify_export(&less, &world.anchor, &demo()), Err(VerifyError::MissingFile(p)) if p == *path));
    }
    for stranger in ["tile/0/001.p/43", "tile/0/001", "README", ""] {
        let mut more = files.clone();
        more.insert(stranger.to_owned(), tile_bytes(&world.tree, 0, 0, 1).unwrap());
        let refused = verify_export(&more, &world.anchor, &demo());
        assert!(matches!(refused, Err(VerifyError::UnexpectedFile(p)) if p == stranger));
    }
    assert!(tiles::tile_bytes(&world.tree, 0, 1, 45).is_err());
}

#[test]
fn an_export_of_too_few_entries_says_so() {
    let world = World::with_two_runs();
    let entries = world.entries.iter().take(3).cloned().map(Ok::<_, Infallible>);
    let checkpoint = world.checkpoint();
    let mut files = export_files(entries, &world.tree, &checkpoint).unwrap();
    assert!(matches!(files.next(), Some(Err(ExportError::TooFew { expected: 5, found: 3 }))));
}

#[test]
fn a_log_verifies_also_beyond_its_checkpoint() {
    let mut world = World::with_two_runs();
    let checkpoint = world.checkpoint();
    let report = verified(&world, &world.tree, &checkpoint).unwrap();
    assert_eq!((report.size, report.beyond, report.witnesses.as_slice()), (5, 0, [WITNESS.to_owned()].as_slice()));
    world.record(EventKind::AccessDenied, None, json!({}));
    assert_eq!(verified(&world, &world.tree, &checkpoint).unwrap().beyond, 1);
    let longer = world.checkpoint();
    world.entries.pop();
    let cut = verified(&world, &world.tree, &longer);
    assert!(matches!(cut, Err(VerifyError::Truncated { expected: 6, found: 5 })));
    let empty = World::new();
    assert_eq!(verified(&empty, &empty.tree, &empty.checkpoint()).unwrap().size, 0);
}

struct Edited<'a>(&'a MemoryTree, u8, u64, Option<Digest>);

impl Nodes for Edited<'_> {
    type Error = Infallible;
    fn node(&self, level: u8, index: u64) -> Result<Option<Digest>, Infallible> {
        if (level, index) == (self.1, self.2) { Ok(self.3) } else { self.0.node(level, index) }
    }
}

#[test]
fn every_stored_node_is_compared() {
    let world = World::with_two_runs();
    let mut nodes = MemoryTree::new();
    let all: Vec<_> = world.entries.iter().flat_map(|entry| nodes.append(entry.leaf_hash())).collect();
    for node in all {
        for wrong in [None, Some(crate::leaf_hash(b"wrong"))] {
            let entries = world.entries.iter().map(|entry| Ok::<_, Infallible>(entry.bytes().to_vec()));
            let edited = Edited(&world.tree, node.level, node.index, wrong);
            let refused = verify_log(entries, &edited, &world.checkpoint(), &world.anchor, &demo());
            assert!(matches!(refused, Err(VerifyError::Hash { .. })), "{node:?}");
        }
    }
}

/// The operator itself rewrites history: recomputed hashes, a fresh log signature, but no witness that
/// would sign it; and with one that would, the runs' own chains still tell.
#[test]
fn rewritten_history_is_found() {
    let world = World::with_two_runs();
    let original = world.checkpoint();
    let mut rewritten = World::new();
    for (n, entry) in world.entries.iter().enumerate() {
        let (_, mut event) = Entry::decode(entry.bytes()).unwrap();
        if n == 2 {
            event.details = json!({"status": "deny"});
        }
        rewritten.push(&event);
    }
    assert!(matches!(verified(&rewritten, &rewritten.tree, &original), Err(VerifyError::Chain { .. })));
    let resealed = verified(&rewritten, &rewritten.tree, &rewritten.checkpoint());
    assert!(matches!(resealed, Err(VerifyError::Chain { .. })));

    // Leaves without successors in their run don't show in a chain: the root does.
    let mut ends = World::new();
    for entry in &world.entries {
        let (_, mut event) = Entry::decode(entry.bytes()).unwrap();
        if event.kind.ends_run() {
            event.kind = EventKind::RunFaulted;
        }
        ends.push(&event);
    }
    assert!(matches!(verified(&ends, &ends.tree, &original), Err(VerifyError::Root { size: 5 })));
    let unwitnessed = Checkpoint { origin: ORIGIN.to_owned(), size: 5, root: ends.tree.root() };
    let unwitnessed = unwitnessed.sign(&world.log).unwrap().to_string();
    assert!(matches!(verified(&ends, &ends.tree, &unwitnessed), Err(VerifyError::Checkpoint(_))));
}

#[test]
fn foreign_and_unproven_entries_are_found() {
    let mut world = World::new();
    let (_, denied) = {
        world.record(EventKind::AccessDenied, None, json!({}));
        Entry::decode(world.entries[0].bytes()).unwrap()
    };
    world.push(&Event { tenant: Tenant::new("other").unwrap(), ..denied });
    assert!(matches!(verified(&world, &world.tree, &world.checkpoint()), Err(VerifyError::ForeignTenant { .. })));

    let mut world = World::new();
    world.record(EventKind::KeyRotated, None, json!({"role": "log"}));
    assert!(matches!(verified(&world, &world.tree, &world.checkpoint()), Err(VerifyError::NoStatement { .. })));
}

#[test]
fn a_log_carries_its_own_key_history() {
    let mut world = World::new();
    let new = signer(40);
    world.record(EventKind::KeyIntroduced, None, json!({"key_name": ORIGIN}));
    let statement = world.rotation(Role::Log, 1, &world.log, &new);
    assert!(verify_export(&exported(&world), &world.anchor, &demo()).is_ok());
    let by_the_new_key = world.checkpoint_by(&new);
    assert!(matches!(verified(&world, &world.tree, &by_the_new_key), Err(VerifyError::Checkpoint(_))));
    world.record(EventKind::KeyRotated, None, json!({"statement": statement}));
    let report = verified(&world, &world.tree, &world.checkpoint_by(&new)).unwrap();
    assert_eq!(report.log_keys, 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn paths_read_back(level in 0u8..64, index: u64, width in 1u16..=256) {
        for path in [TilePath::Hashes { level, index, width }, TilePath::Entries { index, width }] {
            prop_assert_eq!(path.to_string().parse(), Ok(path));
        }
    }

    #[test]
    fn what_parses_as_a_path_is_written_the_same(text in "(tile/)?(entries|[0-9]{1,2})(/x?[0-9]{1,4}){1,3}(\\.p/[0-9]{1,3})?") {
        if let Ok(path) = text.parse::<TilePath>() {
            prop_assert_eq!(path.to_string(), text);
        }
    }
}
