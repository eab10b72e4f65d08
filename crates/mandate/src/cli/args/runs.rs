//! The arguments of `mandate runs`.

use clap::{ArgGroup, Subcommand};
use mandate_kernel::{ResourceName, RunId};

/// `mandate runs …`.
#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// List runs, newest first.
    List {
        /// How many at most.
        #[arg(long, value_name = "N")]
        limit: Option<u32>,
        /// Only runs before this cursor: the `next` of the page before.
        #[arg(long, alias = "before", value_name = "CURSOR")]
        cursor: Option<String>,
        /// Only runs of this Worker.
        #[arg(long, value_name = "PROJECT/WORKER")]
        worker: Option<ResourceName>,
    },
    /// Show one run.
    Get {
        /// Which one.
        run: RunId,
    },
    /// Follow a run until it has ended.
    Watch {
        /// Which one.
        run: RunId,
    },
    /// Stop a run at once and say what was in flight.
    Kill {
        /// Which one.
        run: RunId,
    },
    /// Say what became of a step whose outcome nobody knows.
    #[command(group = ArgGroup::new("outcome").required(true).args(["happened", "did_not_happen"]))]
    Resolve {
        /// Which run.
        run: RunId,
        /// Which step, when several are in doubt.
        #[arg(long, value_name = "N")]
        step: Option<u32>,
        /// The receiver did it.
        #[arg(long)]
        happened: bool,
        /// The receiver did not do it: it will be asked again.
        #[arg(long)]
        did_not_happen: bool,
        /// What the receiver answered.
        #[arg(long, value_name = "JSON", conflicts_with = "did_not_happen")]
        value: Option<String>,
    },
    /// List the tasks that began, in that order, also those without effects.
    Tasks {
        /// Which run.
        run: RunId,
        /// How many at most.
        #[arg(long, value_name = "N")]
        limit: Option<u32>,
        /// Go on after this cursor: the `next` of the page before.
        #[arg(long, value_name = "CURSOR")]
        cursor: Option<String>,
    },
    /// Show what of a run can be undone, newest effect first; with --yes undo it, by a run of its own.
    Rollback {
        /// Which one.
        run: RunId,
        /// Undo it.
        #[arg(long, requires = "reason")]
        yes: bool,
        /// Why: policies judge it and the ledger keeps it.
        #[arg(long, value_name = "TEXT", requires = "yes")]
        reason: Option<String>,
    },
    /// Tell a run step by step: who, by what authority, to where, and why it was allowed.
    Explain {
        /// Which one.
        run: RunId,
    },
}
