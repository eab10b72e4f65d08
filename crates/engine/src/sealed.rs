//! The values of a run: sealed under its subject's key, and opened again.

use crate::EngineError;
use crate::driver::Driver;
use crate::load::open;
use mandate_journal::Stored;
use mandate_kernel::Labels;
use serde::Serialize;
use serde_json::Value;

impl Driver {
    /// Seals a value and keeps its payload with the next commit.
    pub(crate) fn seal<T: Serialize>(&mut self, value: &T, labels: &Labels) -> Result<Stored, EngineError> {
        let (stored, payload) = self.subject.seal(value, labels)?;
        self.draft.payload(payload);
        Ok(stored)
    }

    pub(crate) async fn open(&self, stored: &Stored) -> Result<Value, EngineError> {
        open(&self.context, &self.subject, stored).await
    }
}
