//! The document of a rollback: made when it begins, recorded in its ledger, and the same when it goes on.

use super::Undo;
use crate::header::RollbackHeader;
use crate::{EngineError, TenantContext};
use mandate_flow::Program;
use mandate_kernel::{Digest, ResourceName, RunId, StepSeq, canonical_json};
use mandate_ledger::{Entry, EventKind};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The member of the input that holds what a step is undone with.
pub(super) fn key(step: StepSeq) -> String {
    format!("s{}", step.0)
}

/// The document of a rollback: a call for each effect. What it says of data is where the input has it.
pub(super) fn document(worker: &ResourceName, undo: &[Undo]) -> Value {
    let calls = undo.iter().map(|(step, by, arguments, _)| {
        let with: Map<String, Value> = arguments
            .keys()
            .map(|name| (name.clone(), json!(format!("${{ $workflow.input.{}[{}] }}", key(*step), json!(name)))))
            .collect();
        let mut call = Map::new();
        call.insert(format!("undo-{}", step.0), json!({"call": by, "with": with}));
        Value::Object(call)
    });
    json!({
        "document": {"dsl": "1.0.3", "namespace": worker.project(), "name": "rollback", "version": "1.0.0"},
        "do": calls.collect::<Vec<_>>(),
    })
}

impl RollbackHeader {
    /// What the ledger says of it when its run begins.
    pub(crate) fn evidence(&self) -> Result<Value, EngineError> {
        Ok(json!({"of": self.of, "document": Digest::of(&canonical_json(&self.document)?), "steps": self.steps}))
    }
}

/// The program of a rollback's document.
pub(super) fn program(document: &Value) -> Result<Program, EngineError> {
    Program::from_json(document.clone())
        .map_err(|e| EngineError::Inconsistent(format!("the document of a rollback does not compile: {e}")))
}

/// The program of a rollback that goes on, if its document is the one that the ledger says it began with.
pub(crate) async fn recorded(
    context: &TenantContext,
    run: &RunId,
    rollback: &RollbackHeader,
) -> Result<Arc<Program>, EngineError> {
    let entries = context.store.run_entries(run).await?;
    let first = entries.first().map(|(_, bytes)| Entry::decode(bytes));
    let evidence = match first {
        Some(Ok((_, event))) if event.kind == EventKind::RunStarted => event.details.get("rollback").cloned(),
        _ => None,
    };
    if evidence != Some(rollback.evidence()?) {
        return Err(EngineError::Forged(format!("what {run} is made of")));
    }
    Ok(Arc::new(program(&rollback.document)?))
}
