//! The passport of a run, and proofs from the ledger.

use crate::keys::PUBLISHED_BEFORE_USE;
use crate::sequencer::proof_from_store;
use crate::{Engine, EngineError, KeyRole, TenantContext, keys};
use mandate_gate::{Access, Permit};
use mandate_journal::RunRecord;
use mandate_kernel::{Digest, Duration, PublicKey, RunId};
use mandate_ledger::{BuildError, BuildInput, Dsse, Entry, PassportEntry, TilePath, inclusion_proof, passport, tiles};

/// Leaves or nodes in a full tile (C2SP tlog-tiles).
const TILE: u64 = 256;

/// Entries that were written are not there, or not as they were.
fn damaged(context: &TenantContext, why: &dyn std::fmt::Display) -> EngineError {
    EngineError::LedgerDamaged { tenant: context.tenant.to_string(), why: why.to_string() }
}

/// An entry with its proof, for `audit proof`.
pub struct Inclusion {
    /// Index in the log.
    pub index: u64,
    /// The entry's bytes.
    pub entry: Vec<u8>,
    /// Inclusion proof in the tree of `checkpoint`.
    pub proof: Vec<Digest>,
    /// The cosigned checkpoint.
    pub checkpoint: String,
}

impl Engine {
    /// The newest checkpoint that carries the witness quorum.
    ///
    /// # Errors
    /// [`EngineError::Absent`] before the first.
    pub async fn checkpoint(&self, context: &TenantContext) -> Result<(u64, String), EngineError> {
        let head = context.store.head().await?;
        let text = head.cosigned.ok_or_else(|| EngineError::Absent("a cosigned checkpoint".to_owned()))?;
        Ok((head.cosigned_size, text))
    }

    /// Builds the passport of a run that has ended, once its last entry is under a cosigned
    /// checkpoint.
    ///
    /// # Errors
    /// [`EngineError::Timeout`] when the witness does not cosign within `patience`.
    pub async fn passport(
        &self,
        context: &TenantContext,
        record: &RunRecord,
        patience: Duration,
    ) -> Result<Vec<u8>, EngineError> {
        if !record.status.state.is_terminal() {
            return Err(EngineError::Absent(format!(
                "the end of {}: it is {}",
                record.run,
                record.status.state.as_str()
            )));
        }
        let deadline = tokio::time::Instant::now() + std::time::Duration::from(patience);
        let (entries, size, checkpoint) = loop {
            let cosigned = context.cosigned.notified();
            if let Some(ready) = self.integrated(context, &record.run).await? {
                break ready;
            }
            context.entries_waiting.notify_one();
            let waited = tokio::time::timeout_at(
                deadline,
                tokio::time::timeout(std::time::Duration::from_millis(200), cosigned),
            )
            .await;
            if waited.is_err() {
                return Err(EngineError::Timeout(format!(
                    "a checkpoint that covers {} and is cosigned by the witness",
                    record.run
                )));
            }
        };
        let mut proven = Vec::with_capacity(entries.len());
        for (index, bytes) in entries {
            let (entry, _) = Entry::decode(&bytes).map_err(|error| damaged(context, &error))?;
            let proof = proof_from_store(context.store.as_ref(), |nodes| inclusion_proof(nodes, index, size)).await?;
            proven.push(PassportEntry { index, entry, proof });
        }
        let keys = context.keys();
        passport::build(&BuildInput {
            tenant: &context.tenant,
            run: &record.run,
            origin: &context.names.origin,
            keys: &keys.statements,
            checkpoint: &checkpoint,
            entries: &proven,
            signer: keys.evidence.as_ref(),
        })
        .map_err(|error| match error {
            BuildError::NotAWholeRun { .. } | BuildError::Entry(_) => damaged(context, &error),
            other => other.into(),
        })
    }

    /// The run's entries with their index, if all of them are under the newest cosigned checkpoint.
    async fn integrated(
        &self,
        context: &TenantContext,
        run: &RunId,
    ) -> Result<Option<(Vec<(u64, Vec<u8>)>, u64, String)>, EngineError> {
        let head = context.store.head().await?;
        let Some(text) = head.cosigned else { return Ok(None) };
        let entries = context.store.run_entries(run).await?;
        let placed: Option<Vec<_>> = entries
            .into_iter()
            .map(|(index, bytes)| index.filter(|index| *index < head.cosigned_size).map(|index| (index, bytes)))
            .collect();
        Ok(placed.filter(|placed| !placed.is_empty()).map(|placed| (placed, head.cosigned_size, text)))
    }

    /// An entry and the proof that it is in the log.
    ///
    /// # Errors
    /// [`EngineError::Absent`] when the cosigned log has no such entry.
    pub async fn prove(&self, context: &TenantContext, index: u64) -> Result<Inclusion, EngineError> {
        let (size, checkpoint) = self.checkpoint(context).await?;
        if index >= size {
            return Err(EngineError::Absent(format!("entry {index}: the cosigned log has {size}")));
        }
        let entry = context.store.entries(index, index + 1).await?.pop();
        let entry = entry.ok_or_else(|| EngineError::Inconsistent(format!("entry {index} is missing")))?;
        let proof = proof_from_store(context.store.as_ref(), |nodes| inclusion_proof(nodes, index, size)).await?;
        Ok(Inclusion { index, entry, proof, checkpoint })
    }

    /// One file of the log in C2SP tlog-tiles form, such as `tile/0/000`.
    ///
    /// # Errors
    /// [`EngineError::Absent`] when the log has no such file.
    pub async fn tile(&self, context: &TenantContext, path: &str) -> Result<Vec<u8>, EngineError> {
        let absent = || EngineError::Absent(format!("file {}", path.chars().take(80).collect::<String>()));
        let tile: TilePath = path.parse().map_err(|_| absent())?;
        let size = context.store.head().await?.frontier.size();
        match tile {
            TilePath::Checkpoint => Ok(self.checkpoint(context).await?.1.into_bytes()),
            TilePath::Entries { index, width } => {
                let from = index.saturating_mul(TILE);
                let to = from.saturating_add(u64::from(width));
                if to > size {
                    return Err(absent());
                }
                let mut bytes = Vec::new();
                let entries = context.store.entries(from, to).await?;
                if let Some(missing) = from.checked_add(entries.len() as u64).filter(|next| *next < to) {
                    return Err(EngineError::Inconsistent(format!("entry {missing} is missing")));
                }
                for entry in entries {
                    tiles::push_entry(&mut bytes, &entry).map_err(|e| EngineError::Inconsistent(e.to_string()))?;
                }
                Ok(bytes)
            }
            TilePath::Hashes { level, index, width } => {
                let from = index.saturating_mul(TILE);
                let node_level = level.checked_mul(8).ok_or_else(absent)?;
                let wanted: Vec<_> = (from..from.saturating_add(u64::from(width))).map(|i| (node_level, i)).collect();
                // A node is there as soon as all leaves below it are.
                let leaves = from
                    .checked_add(u64::from(width))
                    .and_then(|n| n.checked_mul(1u64.checked_shl(node_level.into())?));
                if leaves.is_none_or(|leaves| leaves > size) {
                    return Err(absent());
                }
                let found = context.store.nodes(&wanted).await?;
                if let Some((at, _)) = wanted.iter().zip(&found).find(|(_, node)| node.is_none()) {
                    return Err(EngineError::Inconsistent(format!("node {} of level {} is missing", at.1, at.0)));
                }
                Ok(found.into_iter().flatten().flat_map(|digest| *digest.as_bytes()).collect())
            }
        }
    }

    /// Replaces the newest key of a role by a successor that it and the witness vouch for.
    ///
    /// # Errors
    /// [`EngineError::Witness`] when the witness can't sign; nothing has changed then.
    pub async fn rotate_key(
        &self,
        context: &TenantContext,
        permit: &Permit<Access>,
        role: KeyRole,
    ) -> Result<PublicKey, EngineError> {
        let by = permit.caller().principal.subject();
        let keys = context.keys();
        let key = keys::rotate(&self.ports, context, &keys, role, &by).await?;
        if role == KeyRole::Token {
            // Receivers learn of it before the first token signed by it reaches them.
            context.publish_token_key(key);
            tokio::time::sleep(PUBLISHED_BEFORE_USE).await;
        }
        context.reload_keys(&self.ports).await?;
        context.entries_waiting.notify_one();
        Ok(key)
    }

    /// Signed statements of every key rotation of a tenant.
    #[must_use]
    pub fn key_statements(&self, context: &TenantContext) -> Vec<Dsse> {
        context.keys().statements.clone()
    }
}
