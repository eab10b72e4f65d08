//! The commands about Workers that start by themselves.

use clap::{Args, Subcommand};
use mandate_kernel::{Environment, ResourceName};

/// `mandate schedules …`.
#[derive(Debug, Subcommand)]
pub(crate) enum SchedulesCommand {
    /// List Workers with a schedule that you may see, and whether they start by it.
    List,
    /// Let a Worker, as it is now, start by itself in your name: a standing grant of your own rights.
    Grant(StandingArgs),
    /// Take a standing grant back, at once: yours, or that of a Worker you govern.
    Revoke {
        /// The Worker.
        #[arg(value_name = "PROJECT/WORKER")]
        worker: ResourceName,
    },
}

/// `mandate schedules grant`.
#[derive(Debug, Args)]
pub(crate) struct StandingArgs {
    /// The Worker.
    #[arg(value_name = "PROJECT/WORKER")]
    pub(crate) worker: ResourceName,
    /// Why: the purpose of each run.
    #[arg(long, value_name = "TEXT")]
    pub(crate) purpose: String,
    /// Where; the Worker's default when absent.
    #[arg(long, value_name = "ENVIRONMENT")]
    pub(crate) env: Option<Environment>,
    /// When it ends: a date, or a time such as 2026-12-31T17:00:00Z; in 90 days when absent.
    #[arg(long, value_name = "TIME")]
    pub(crate) not_after: Option<String>,
}
