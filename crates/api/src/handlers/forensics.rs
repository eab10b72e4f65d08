//! Why a run went wrong, as its own ledger entries tell it.

use crate::auth::Authenticated;
use crate::body::Named;
use crate::handlers::runs::allowed;
use crate::{ApiState, Problem};
use axum::Json;
use axum::extract::State;
use mandate_kernel::Action;
use mandate_ledger::{Entry, findings};
use serde_json::{Value, json};

pub(crate) async fn of_run(
    State(state): State<ApiState>,
    who: Authenticated,
    Named(run): Named<String>,
) -> Result<Json<Value>, Problem> {
    let (record, _) = allowed(&state, &who, &run, Action::RunView).await?;
    let entries = who.context.store().run_entries(&record.run).await?;
    let events: Vec<_> =
        entries.iter().filter_map(|(_, bytes)| Entry::decode(bytes).ok()).map(|(_, event)| event).collect();
    let place = |seq: &u32| {
        let index = usize::try_from(*seq).ok().and_then(|at| entries.get(at)).and_then(|(index, _)| *index);
        json!({"seq": seq, "entry": index})
    };
    let found: Vec<Value> = findings(&events)
        .iter()
        .map(|finding| {
            json!({
                "cause": finding.cause, "step": finding.step, "says": finding.says,
                "evidence": finding.evidence.iter().map(place).collect::<Vec<_>>(),
            })
        })
        .collect();
    Ok(Json(json!({"run": record.run, "findings": found})))
}
