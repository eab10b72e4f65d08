//! The ledger on the disk.

use super::SimTenant;
use super::state::State;
use crate::Sabotage;
use async_trait::async_trait;
use mandate_journal::{Integration, Log, LogHead, PendingEntry, StoreError};
use mandate_kernel::Digest;
use mandate_ledger::Nodes;
use std::collections::BTreeMap;
use std::convert::Infallible;

/// The nodes of a tree, for the verifier.
pub struct TreeNodes(pub(super) BTreeMap<(u8, u64), Digest>);

impl Nodes for TreeNodes {
    type Error = Infallible;
    fn node(&self, level: u8, index: u64) -> Result<Option<Digest>, Infallible> {
        Ok(self.0.get(&(level, index)).copied())
    }
}

fn corrupt<T>(why: &str) -> Result<T, StoreError> {
    Err(StoreError::Corrupt(why.to_owned()))
}

fn integrate(state: &mut State, round: &Integration) -> Result<bool, StoreError> {
    let log = &mut state.log;
    if log.frontier().size() != round.from_size {
        return Ok(false);
    }
    let leaves = round.nodes.iter().filter(|node| node.level == 0).count();
    if leaves != round.taken.len() || round.from_size + round.taken.len() as u64 != round.frontier.size() {
        return corrupt("a sequencer round contradicts itself");
    }
    for key in &round.taken {
        match log.pending.remove(key) {
            Some(kept) => log.entries.push(kept),
            None => return corrupt("a sequencer round takes an entry that is not waiting"),
        }
    }
    for node in &round.nodes {
        if log.nodes.insert((node.level, node.index), node.hash).is_some() {
            return corrupt("a sequencer round completes a node twice");
        }
    }
    log.frontier = Some(round.frontier.clone());
    Ok(true)
}

#[async_trait]
impl Log for SimTenant {
    async fn pending(&self, limit: usize) -> Result<Vec<PendingEntry>, StoreError> {
        self.read("store.pending", |state| {
            let waiting = state.log.pending.iter().take(limit);
            waiting.map(|(key, kept)| PendingEntry { key: *key, bytes: kept.bytes.clone() }).collect()
        })
        .await
    }

    async fn head(&self) -> Result<LogHead, StoreError> {
        self.read("store.head", |state| LogHead {
            frontier: state.log.frontier(),
            signed: state.log.signed.clone(),
            cosigned: state.log.cosigned.clone(),
            cosigned_size: state.log.cosigned_size,
        })
        .await
    }

    async fn integrate(&self, round: Integration) -> Result<bool, StoreError> {
        let loses = self.store.shared.faults.sabotaged(Sabotage::LosesEntries);
        self.write("store.integrate", |state| {
            let done = integrate(state, &round)?;
            if loses && done && state.log.entries.len() > 1 {
                state.log.entries.pop();
            }
            Ok(done)
        })
        .await
    }

    async fn record_signed(&self, size: u64, note: String) -> Result<(), StoreError> {
        self.write("store.record-signed", |state| {
            let log = &mut state.log;
            if size > log.frontier().size() {
                return corrupt("a checkpoint is ahead of the tree");
            }
            if size >= log.signed_size {
                (log.signed, log.signed_size) = (Some(note), size);
            }
            Ok(())
        })
        .await
    }

    async fn record_cosigned(&self, size: u64, note: String) -> Result<(), StoreError> {
        self.write("store.record-cosigned", |state| {
            let log = &mut state.log;
            if size > log.frontier().size() {
                return corrupt("a checkpoint is ahead of the tree");
            }
            if size >= log.cosigned_size {
                (log.cosigned, log.cosigned_size) = (Some(note), size);
            }
            Ok(())
        })
        .await
    }

    async fn entries(&self, from: u64, to: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        self.read("store.entries", |state| {
            let count = usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX);
            let skip = usize::try_from(from).unwrap_or(usize::MAX);
            state.log.entries.iter().skip(skip).take(count).map(|kept| kept.bytes.clone()).collect()
        })
        .await
    }

    async fn nodes(&self, at: &[(u8, u64)]) -> Result<Vec<Option<Digest>>, StoreError> {
        self.read("store.nodes", |state| at.iter().map(|place| state.log.nodes.get(place).copied()).collect()).await
    }
}
