//! Schemas of runs: their views, their tasks, their evidence.

use super::schemas::{Part, count, digest, flag, list, object, or_null, page, refer, text, time};
use serde_json::{Value, json};

fn task() -> Value {
    let at = || json!({"type": "integer", "minimum": 1, "description": "A sequence in the run's journal."});
    object(
        "A task of a run that began. One that is begun again, in a loop or by a retry, is there again.",
        &[
            ("name", text()),
            ("path", text()),
            ("state", json!({"enum": ["running", "completed", "faulted", "cancelled"]})),
            ("began", at()),
            ("ended", or_null(at())),
        ],
    )
}

fn task_page() -> Value {
    let next =
        json!({"type": ["string", "null"], "description": "The cursor of the next page; null when this is the last."});
    let partial = json!({"type": "boolean", "description": "Whether only tasks are shown that no data decided on."});
    object("A page of a run's tasks.", &[("items", list(refer("Task"))), ("next", next), ("partial", partial)])
}

pub(super) fn runs() -> Part {
    let members = [
        ("run", text()),
        ("state", refer("RunState")),
        ("waiting_for", or_null(refer("WaitingFor"))),
        ("worker", text()),
        ("worker_version", digest()),
        ("environment", text()),
        ("purpose", text()),
        ("class", refer("Class")),
        ("initiator", text()),
        ("started_at", time()),
        ("since", time()),
        ("problem", or_null(refer("RunProblem"))),
    ];
    let in_flight = object(
        "An attempt that was under way when a stop came.",
        &[
            ("step", count()),
            ("attempt", count()),
            ("function", text()),
            ("destination", text()),
            ("decision", text()),
            ("on_wire", flag()),
            ("token_valid_until", time()),
        ],
    );
    let stopped = [("stopped_at", time()), ("in_flight", list(refer("InFlight"))), ("already_ended", flag())];
    let killed: Vec<_> = members.iter().cloned().chain(stopped).collect();
    let evidence =
        object("Where in the run's chain, and in the tree.", &[("seq", count()), ("entry", or_null(count()))]);
    let causes = json!({"enum": ["stale-data", "mis-scoped-retrieval", "prompt-injection", "bad-transform"]});
    let finding = object(
        "A cause, with what shows it.",
        &[("cause", causes), ("step", or_null(count())), ("says", text()), ("evidence", list(evidence))],
    );
    vec![
        ("Run", object("A run.", &members)),
        ("RunPage", page("Run")),
        ("Task", task()),
        ("TaskPage", task_page()),
        ("InFlight", in_flight),
        ("Killed", object("A run that was stopped, with what was under way.", &killed)),
        ("Finding", finding),
        ("Forensics", object("Why a run went wrong.", &[("run", text()), ("findings", list(refer("Finding")))])),
        (
            "Passport",
            json!({"type": "object", "description": "A run's evidence in one file; `mandate passport verify` reads it."}),
        ),
        (
            "Artifact",
            json!({"type": "object", "description": "A signed artefact; `mandate artifact verify` reads it."}),
        ),
    ]
}
