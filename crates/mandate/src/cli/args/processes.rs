//! The arguments of the processes: `dev`, `serve` and `witness`.

use clap::{Args, ValueEnum, ValueHint};
use mandate_flow::Need;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Where the development house keeps its tenants.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum DevStore {
    /// In the data folder.
    Sqlite,
    /// In a PostgreSQL database.
    Postgres,
}

/// `mandate dev`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DevArgs {
    /// Where everything is kept; a temporary folder, removed at the end, when absent.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) data_dir: Option<PathBuf>,
    /// The port on the loopback address; 0 takes any that is free.
    #[arg(long, value_name = "PORT", default_value_t = 8420)]
    pub(crate) port: u16,
    /// Where tenants' data is kept; `postgres` reads MANDATE_STORE_URL and MANDATE_STORE_OWNER_URL.
    #[arg(long, value_enum, default_value = "sqlite", env = "MANDATE_DEV_STORE")]
    pub(crate) store: DevStore,
    /// Turn on what is off otherwise: run-script, run-shell, run-container, caller-supplied-credentials.
    #[arg(long, value_name = "NAME", value_delimiter = ',', env = "MANDATE_DEV_ALLOW", value_parser = crate::house::switches::read)]
    pub(crate) allow: Vec<Need>,
    /// Open no browser.
    #[arg(long)]
    pub(crate) no_open: bool,
}

/// `mandate serve`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServeArgs {
    /// The configuration file.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: PathBuf,
}

/// `mandate evaluate-expressions`, the process that a server starts for wild expressions.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct EvaluateArgs {
    /// Bytes of memory beyond what it starts with.
    pub(crate) memory: u64,
    /// Seconds of processor time in all.
    pub(crate) processor: u64,
}

/// `mandate witness`.
#[derive(Debug, Clone, Args)]
pub(crate) struct WitnessArgs {
    /// Where its key and what it has seen are kept.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) data_dir: PathBuf,
    /// The address to listen on.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// The logs whose checkpoints it cosigns, with their keys.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) trust_logs: Option<PathBuf>,
    /// Don't serve: go back to this checkpoint, which this witness cosigned, because its log lost what came after.
    #[arg(long, value_name = "FILE", requires = "reason", value_hint = ValueHint::FilePath)]
    pub(crate) go_back_to: Option<PathBuf>,
    /// Why it goes back: it is written down beside its memory.
    #[arg(long, value_name = "TEXT", requires = "go_back_to")]
    pub(crate) reason: Option<String>,
    /// End when stdin is closed: whoever started the witness is gone then.
    #[arg(long, hide = true)]
    pub(crate) parent_stdin: bool,
}
