//! The passport of a run, and proofs from the ledger.

use crate::sequencer::proof_from_store;
use crate::{Engine, EngineError, TenantContext};
use mandate_journal::RunRecord;
use mandate_kernel::{Digest, Duration, RunId};
use mandate_ledger::{BuildInput, Dsse, Entry, PassportEntry, inclusion_proof, passport};

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
            let (entry, _) = Entry::decode(&bytes)?;
            let proof = proof_from_store(context.store.as_ref(), |nodes| inclusion_proof(nodes, index, size)).await?;
            proven.push(PassportEntry { index, entry, proof });
        }
        let keys = context.keys();
        Ok(passport::build(&BuildInput {
            tenant: &context.tenant,
            run: &record.run,
            origin: &context.names.origin,
            keys: &keys.statements,
            checkpoint: &checkpoint,
            entries: &proven,
            signer: keys.evidence.as_ref(),
        })?)
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

    /// Signed statements of every key rotation of a tenant.
    #[must_use]
    pub fn key_statements(&self, context: &TenantContext) -> Vec<Dsse> {
        context.keys().statements.clone()
    }
}
