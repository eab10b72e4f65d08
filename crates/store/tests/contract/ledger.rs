//! The ledger: entries into the tree, checkpoints forward only.

use super::Backend;
use super::script::{Position, caller, change, entry, round, tenant};
use mandate_journal::{Change, Integration, TenantStore};
use mandate_ledger::{EventKind, Frontier, leaf_hash};
use std::sync::Arc;

/// A store with this many entries waiting.
async fn waiting(backend: &dyn Backend, count: usize) -> Arc<dyn TenantStore> {
    let store = backend.of(&caller("a"));
    let entries = (0..count).map(|_| entry(&tenant("a"), EventKind::SecretPut, None)).collect();
    store.change(Change { entries, ..change("a") }).await.unwrap();
    store
}

pub(crate) async fn entries_move_into_the_tree(backend: &dyn Backend) {
    let store = waiting(backend, 5).await;
    let all = store.pending(10).await.unwrap();
    assert_eq!(store.pending(2).await.unwrap(), all[..2]);
    let first = round(&Frontier::new(), &all[..3]);
    assert!(store.integrate(first.clone()).await.unwrap());
    assert_eq!(store.head().await.unwrap().frontier, first.frontier);
    assert_eq!(store.pending(10).await.unwrap(), all[3..]);
    // In the tree's order, which is the sequencer's, not the keys'.
    let reversed = [all[4].clone(), all[3].clone()];
    let second = round(&first.frontier, &reversed);
    assert!(store.integrate(second.clone()).await.unwrap());
    let entries = store.entries(0, 10).await.unwrap();
    let order = [0, 1, 2, 4, 3].map(|n: usize| all[n].bytes.clone());
    assert_eq!(entries, order);
    assert_eq!(store.entries(1, 3).await.unwrap(), order[1..3]);
    assert!(store.entries(5, 9).await.unwrap().is_empty());
    let asked = [(0, 3), (2, 0), (1, 1), (3, 0), (0, 5)];
    let nodes = store.nodes(&asked).await.unwrap();
    assert_eq!(nodes[0], Some(leaf_hash(&order[3])));
    assert_eq!(nodes[1], second.nodes.iter().find(|n| n.level == 2).map(|n| n.hash));
    assert!(nodes[2].is_some() && nodes[3].is_none() && nodes[4].is_none());
    assert_eq!(store.head().await.unwrap().frontier.root(), second.frontier.root());
}

pub(crate) async fn a_stale_round_changes_nothing(backend: &dyn Backend) {
    let store = waiting(backend, 3).await;
    let all = store.pending(10).await.unwrap();
    let mine = round(&Frontier::new(), &all[..1]);
    let theirs = round(&Frontier::new(), &all[1..]);
    assert!(store.integrate(mine.clone()).await.unwrap());
    assert!(!store.integrate(theirs).await.unwrap());
    assert!(!store.integrate(mine.clone()).await.unwrap());
    assert_eq!(store.head().await.unwrap().frontier, mine.frontier);
    assert_eq!(store.pending(10).await.unwrap(), all[1..]);
    // Keys are not used again once all entries are in the tree.
    assert!(store.integrate(round(&mine.frontier, &all[1..])).await.unwrap());
    let entries = vec![entry(&tenant("a"), EventKind::SecretPut, None)];
    store.change(Change { entries, ..change("a") }).await.unwrap();
    assert!(store.pending(1).await.unwrap()[0].key > all[2].key);
}

pub(crate) async fn a_contradictory_round_is_refused_whole(backend: &dyn Backend) {
    let store = waiting(backend, 3).await;
    let all = store.pending(10).await.unwrap();
    let good = round(&Frontier::new(), &all);
    let cases = [
        ("an unknown entry", Integration { taken: vec![all[0].key, all[1].key, all[2].key + 1], ..good.clone() }),
        ("an entry twice", Integration { taken: vec![all[0].key, all[1].key, all[0].key], ..good.clone() }),
        ("too few entries", Integration { taken: vec![all[0].key], ..good.clone() }),
        ("a frontier elsewhere", Integration { frontier: Frontier::new(), ..good.clone() }),
        ("a leaf too few", Integration { nodes: good.nodes[1..].to_vec(), ..good.clone() }),
        ("a node twice", Integration { nodes: [&good.nodes[..2], &good.nodes[..1]].concat(), ..good.clone() }),
    ];
    for (name, broken) in cases {
        assert!(store.integrate(broken).await.is_err(), "{name}");
        assert_eq!(store.pending(10).await.unwrap(), all, "{name}");
        assert_eq!(store.head().await.unwrap().frontier.size(), 0, "{name}");
        assert_eq!(store.nodes(&[(0, 0)]).await.unwrap(), [None], "{name}");
    }
    assert!(store.integrate(good).await.unwrap());
}

pub(crate) async fn checkpoints_never_go_back(backend: &dyn Backend) {
    let store = waiting(backend, 3).await;
    let empty = store.head().await.unwrap();
    assert_eq!((empty.frontier.size(), empty.signed, empty.cosigned, empty.cosigned_size), (0, None, None, 0));
    assert!(store.record_signed(1, "ahead".to_owned()).await.is_err());
    let all = store.pending(10).await.unwrap();
    assert!(store.integrate(round(&Frontier::new(), &all)).await.unwrap());
    store.record_signed(3, "signed 3".to_owned()).await.unwrap();
    store.record_cosigned(2, "cosigned 2".to_owned()).await.unwrap();
    store.record_signed(2, "signed 2".to_owned()).await.unwrap();
    store.record_cosigned(1, "cosigned 1".to_owned()).await.unwrap();
    assert!(store.record_signed(4, "ahead".to_owned()).await.is_err());
    assert!(store.record_cosigned(4, "ahead".to_owned()).await.is_err());
    let head = store.head().await.unwrap();
    assert_eq!((head.signed.as_deref(), head.cosigned.as_deref()), (Some("signed 3"), Some("cosigned 2")));
    assert_eq!(head.cosigned_size, 2);
    store.record_cosigned(3, "cosigned 3".to_owned()).await.unwrap();
    assert_eq!(store.head().await.unwrap().cosigned_size, 3);
}

pub(crate) async fn entries_of_a_run_carry_their_index(backend: &dyn Backend) {
    let store = waiting(backend, 1).await;
    let fresh = Position::fresh(&tenant("a"));
    let mut at = fresh.clone();
    let mut transition = at.start();
    let mut bytes = Vec::new();
    for _ in 0..3 {
        store.commit(transition.clone()).await.unwrap();
        bytes.push(transition.entries[0].bytes().to_vec());
        at = at.after(&transition);
        transition = at.step();
    }
    let all = store.pending(10).await.unwrap();
    assert!(store.integrate(round(&Frontier::new(), &all[..3])).await.unwrap());
    let entries = store.run_entries(&fresh.run).await.unwrap();
    let expected = [Some(1), Some(2), None].into_iter().zip(bytes).collect::<Vec<_>>();
    assert_eq!(entries, expected);
}
