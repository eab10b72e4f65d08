//! The schema of a rollback: what of a run can be undone.

use super::schemas::{count, list, object, or_null, partial, text};
use serde_json::{Value, json};

/// The schema, with its name.
pub(super) fn schema() -> (String, Value) {
    let fates = ["undo", "no-inverse", "not-listed", "unfilled", "in-doubt", "undone", "undo-in-doubt"];
    let step = partial(
        "An effect of the run, and what can be done about it.",
        &[("step", count()), ("function", text()), ("fate", json!({"enum": fates}))],
        &[("by", text()), ("argument", text()), ("run", text())],
    );
    let members = [("run", text()), ("steps", list(step)), ("rollbacks", list(text())), ("rollback", or_null(text()))];
    ("Rollback".to_owned(), object("What of a run can be undone, newest effect first.", &members))
}
