//! The signed artefact a run's output becomes.

use crate::EngineError;
use crate::driver::Driver;
use mandate_flow::Labelled;
use mandate_journal::Stored;
use mandate_kernel::{Digest, Timestamp};
use mandate_ledger::{ArtifactBody, EventKind, artifact};
use serde_json::{Value, json};

impl Driver {
    /// Signs the output, if the Worker declares an artefact, and keeps it with the next commit.
    pub(crate) fn sign_artifact(&mut self, now: Timestamp, output: &Labelled) -> Result<Option<Stored>, EngineError> {
        let Some(declared) = self.pinned.spec.artifact.clone() else { return Ok(None) };
        let keys = self.context.keys();
        let body = ArtifactBody {
            format: artifact::FORMAT.to_owned(),
            tenant: self.context.tenant.clone(),
            run: self.run.clone(),
            worker: self.new.worker.clone(),
            worker_version: self.new.worker_version,
            name: declared.name.clone(),
            media_type: declared.media_type.clone(),
            content: output.value.clone(),
            labels: output.labels.clone(),
            produced_at: now,
            keys: keys.statements.clone(),
        };
        let bytes = artifact::sign(&body, keys.evidence.as_ref())?;
        let digest = Digest::of(&bytes);
        let text =
            String::from_utf8(bytes).map_err(|_| EngineError::Inconsistent("artefact is not text".to_owned()))?;
        let stored = self.seal(&Value::String(text), &output.labels)?;
        let details = json!({
            "name": declared.name, "media_type": declared.media_type, "digest": digest, "commitment": stored.commitment,
            "labels": output.labels,
        });
        self.draft.entry(now, EventKind::ArtifactSigned, "system:engine".to_owned(), details)?;
        Ok(Some(stored))
    }
}
