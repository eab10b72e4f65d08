//! The sequencer of a tenant's ledger: entries that are durable become leaves of the tree, and each
//! new tree is signed and cosigned.
//!
//! What a crash leaves behind: before `integrate`, entries that are still pending; after it, a tree
//! without a checkpoint, which the next round signs; after signing, a checkpoint without witness, which
//! the next round has cosigned. The witness is never shown a tree that is not durable.

use crate::{Engine, EngineError, TenantContext, WitnessError};
use mandate_journal::{Integration, LogHead, StoreError, TenantStore};
use mandate_kernel::{Digest, crash};
use mandate_ledger::{
    AddCheckpoint, Checkpoint, Frontier, Nodes, NoteSignature, SignedNote, VerifierKey, checkpoint, consistency_proof,
    leaf_hash,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Entries taken into the tree in one round.
const BATCH: usize = 4096;
/// How often a round begins again because another node was faster.
const OVERTAKEN: usize = 10;

impl Engine {
    /// Sequences a tenant's ledger until the engine closes.
    pub(crate) async fn sequence(self: Arc<Self>, context: Arc<TenantContext>) {
        let mut closing = self.closing.subscribe();
        let mut complained = false;
        loop {
            match self.sequence_if_leading(&context).await {
                Ok(()) => complained = false,
                Err(error) if complained => tracing::debug!(tenant = %context.tenant, %error, "sequencer waits"),
                Err(error) => {
                    complained = true;
                    tracing::error!(tenant = %context.tenant, %error, "the ledger can't be cosigned now; entries are safe and wait");
                }
            }
            tokio::select! {
                biased;
                _ = closing.wait_for(|closing| *closing) => return,
                () = context.entries_waiting.notified() => {}
                () = tokio::time::sleep(std::time::Duration::from_secs(1)) => {}
            }
            // Let a batch gather: signatures are per round, not per entry.
            tokio::time::sleep(self.config.sequence_every.into()).await;
        }
    }

    /// One node sequences at a time. Two would do each other's work, and no harm.
    async fn sequence_if_leading(&self, context: &TenantContext) -> Result<(), EngineError> {
        if self.leads(context).await? { self.sequence_once(context).await } else { Ok(()) }
    }

    /// One round: integrate what is pending, sign, have it cosigned.
    pub(crate) async fn sequence_once(&self, context: &TenantContext) -> Result<(), EngineError> {
        let head = integrate_all(context.store.as_ref()).await?;
        if head.frontier.size() == 0 || head.cosigned_size == head.frontier.size() {
            return Ok(());
        }
        self.have_cosigned(context, &head).await
    }

    async fn have_cosigned(&self, context: &TenantContext, head: &LogHead) -> Result<(), EngineError> {
        let mut head = head.clone();
        for _ in 0..OVERTAKEN {
            let note = self.sign(context, &head).await?;
            let Some(known) = self.cosign(context, &head, &note).await? else {
                context.cosigned.notify_waiters();
                return Ok(());
            };
            // Another node may have taken the tree further meanwhile, and had that cosigned.
            let size = head.frontier.size();
            head = context.store.head().await?;
            if head.frontier.size() < known {
                return Err(rolled_back(context, &format!("it has seen {known} entries, here are {size}")));
            }
        }
        Err(EngineError::Witness("other nodes are always further".to_owned()))
    }

    async fn sign(&self, context: &TenantContext, head: &LogHead) -> Result<SignedNote, EngineError> {
        let checkpoint =
            Checkpoint { origin: context.names.origin.clone(), size: head.frontier.size(), root: head.frontier.root() };
        let note = checkpoint.sign(context.keys().log.as_ref()).map_err(inconsistent)?;
        crash::point("sequencer.before-signed");
        context.store.record_signed(checkpoint.size, note.to_string()).await?;
        Ok(note)
    }

    /// Gives the size that the witness knows, if that is larger than this one.
    async fn cosign(
        &self,
        context: &TenantContext,
        head: &LogHead,
        note: &SignedNote,
    ) -> Result<Option<u64>, EngineError> {
        let size = head.frontier.size();
        let mut old = head.cosigned_size;
        for _ in 0..3 {
            let request = AddCheckpoint {
                old_size: old,
                proof: self.consistency(context, old, size).await?,
                checkpoint: note.clone(),
            };
            crash::point("sequencer.before-cosign");
            match self.ports.witness.add_checkpoint(&request.to_string()).await {
                Ok(lines) => {
                    let cosignatures = NoteSignature::parse_lines(&lines).map_err(inconsistent)?;
                    let witnesses = self.witness_keys();
                    let cosigned = checkpoint::assemble(note, &cosignatures, &witnesses, 1).map_err(inconsistent)?;
                    crash::point("sequencer.before-cosigned");
                    context.store.record_cosigned(size, cosigned).await?;
                    return Ok(None);
                }
                // It has seen a checkpoint whose cosignature a crash kept from us.
                Err(WitnessError::Conflict { known }) if known <= size => old = known,
                Err(WitnessError::Conflict { known }) => return Ok(Some(known)),
                Err(WitnessError::Refused(why)) => return Err(rolled_back(context, &why)),
                Err(other @ (WitnessError::Unreachable(_) | WitnessError::UnknownLog(_))) => {
                    return Err(EngineError::Witness(other.to_string()));
                }
            }
        }
        Err(EngineError::Witness("it keeps naming other sizes".to_owned()))
    }

    /// A node refuses to start on a tree smaller than, or other than, the last witnessed one. The
    /// witness is asked even when nothing is new: that is how a restored old database is noticed.
    pub(crate) async fn check_not_rolled_back(&self, context: &TenantContext) -> Result<(), EngineError> {
        let head = integrate_all(context.store.as_ref()).await?;
        let size = head.frontier.size();
        if size == 0 {
            return Ok(());
        }
        let last = match context.store.entries(size - 1, size).await {
            // Out of reach says nothing about what is there.
            Err(error @ (StoreError::Unavailable(_) | StoreError::Closed)) => return Err(error.into()),
            other => other,
        };
        let leaf = context.store.nodes(&[(0, size - 1)]).await?;
        let fits = last.as_ref().is_ok_and(|found| {
            found.len() == 1 && found.first().map(|bytes| leaf_hash(bytes)) == leaf.first().copied().flatten()
        });
        if !fits {
            return Err(rolled_back(context, &format!("entry {} is not here, or another", size - 1)));
        }
        match self.have_cosigned(context, &head).await {
            Err(EngineError::Witness(why)) => {
                tracing::warn!(tenant = %context.tenant, why, "the witness can't be asked now");
                Ok(())
            }
            other => other,
        }
    }

    async fn consistency(&self, context: &TenantContext, old: u64, new: u64) -> Result<Vec<Digest>, EngineError> {
        if old == 0 || old == new {
            return Ok(Vec::new());
        }
        proof_from_store(context.store.as_ref(), |nodes| consistency_proof(nodes, old, new)).await
    }

    fn witness_keys(&self) -> Vec<VerifierKey> {
        self.ports.witness.keys()
    }
}

/// Takes everything pending into the tree, and gives its head.
async fn integrate_all(store: &dyn TenantStore) -> Result<LogHead, EngineError> {
    let mut head = store.head().await?;
    while integrate(store, &mut head).await? {}
    Ok(head)
}

/// Takes one batch of pending entries into the tree. `false` when there was none.
async fn integrate(store: &dyn TenantStore, head: &mut LogHead) -> Result<bool, EngineError> {
    let pending = store.pending(BATCH).await?;
    if pending.is_empty() {
        return Ok(false);
    }
    let mut frontier: Frontier = head.frontier.clone();
    let mut nodes = Vec::new();
    for entry in &pending {
        nodes.extend(frontier.append(leaf_hash(&entry.bytes)));
    }
    let round = Integration {
        from_size: head.frontier.size(),
        taken: pending.iter().map(|p| p.key).collect(),
        nodes,
        frontier: frontier.clone(),
    };
    crash::point("sequencer.before-integrate");
    if store.integrate(round).await? {
        head.frontier = frontier;
        Ok(true)
    } else {
        // Another sequencer was faster: go on from its tree.
        *head = store.head().await?;
        Ok(true)
    }
}

/// Nodes fetched so far, and those a proof missed.
#[derive(Default)]
pub(crate) struct Fetched {
    known: BTreeMap<(u8, u64), Option<Digest>>,
    missed: std::cell::RefCell<Vec<(u8, u64)>>,
}

/// A node that has to be fetched first.
#[derive(Debug, thiserror::Error)]
#[error("not fetched yet")]
pub(crate) struct Missing;

impl Nodes for Fetched {
    type Error = Missing;
    fn node(&self, level: u8, index: u64) -> Result<Option<Digest>, Missing> {
        self.known.get(&(level, index)).copied().map_or_else(
            || {
                self.missed.borrow_mut().push((level, index));
                Err(Missing)
            },
            Ok,
        )
    }
}

/// Runs a pure proof over nodes in a store: what it misses is fetched, and it is run again. A proof
/// needs at most two nodes a level, so this ends after few rounds.
pub(crate) async fn proof_from_store<T, E: std::fmt::Display>(
    store: &dyn TenantStore,
    prove: impl Fn(&Fetched) -> Result<T, E>,
) -> Result<T, EngineError> {
    let mut fetched = Fetched::default();
    for _ in 0..130 {
        let failed = match prove(&fetched) {
            Ok(proof) => return Ok(proof),
            Err(error) => error.to_string(),
        };
        let missed = fetched.missed.take();
        if missed.is_empty() {
            return Err(EngineError::Inconsistent(failed));
        }
        let found = store.nodes(&missed).await?;
        fetched.known.extend(missed.into_iter().zip(found));
    }
    Err(EngineError::Inconsistent("a proof needs more nodes than a tree has".to_owned()))
}

fn inconsistent(error: impl std::fmt::Display) -> EngineError {
    EngineError::Inconsistent(error.to_string())
}

fn rolled_back(context: &TenantContext, why: &str) -> EngineError {
    EngineError::RolledBack { tenant: context.tenant.to_string(), why: why.to_owned() }
}
