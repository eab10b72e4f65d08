//! The commands about evidence: passports, artefacts, the ledger.

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use mandate_kernel::{RunId, Tenant};
use std::path::PathBuf;

/// `mandate passport …`.
#[derive(Debug, Subcommand)]
pub(crate) enum PassportCommand {
    /// Write the passport of a run that has ended.
    Export(ExportArgs),
    /// Verify a passport, offline.
    Verify(VerifyArgs),
    /// Verify a passport and tell it in another vocabulary. What is told is never the evidence.
    Project {
        #[command(flatten)]
        verify: VerifyArgs,
        /// Which vocabulary.
        #[arg(long, value_enum, value_name = "FORM")]
        to: Projection,
        /// Where to write it; stdout when absent.
        #[arg(short = 'f', long = "file", value_name = "FILE", value_hint = ValueHint::FilePath)]
        told: Option<PathBuf>,
    },
}

/// What a passport can be told in.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Projection {
    /// W3C PROV: who did what with which data, on whose behalf.
    ProvJson,
    /// OpenLineage run events, one per line.
    Openlineage,
}

/// `mandate artifact …`.
#[derive(Debug, Subcommand)]
pub(crate) enum ArtifactCommand {
    /// Write the artefact of a run.
    Get(ExportArgs),
    /// Verify an artefact, offline.
    Verify {
        #[command(flatten)]
        verify: VerifyArgs,
        /// The passport of the same run: it must name this very file.
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        passport: Option<PathBuf>,
    },
}

/// A file of a run, to be written.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The run.
    pub(crate) run: RunId,
    /// Where to; `-` is stdout.
    #[arg(short, long = "file", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
}

/// A file to be verified.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The file.
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) trust: TrustArg,
}

/// The pinned anchor.
#[derive(Debug, Args)]
pub(crate) struct TrustArg {
    /// The trust anchor: a file you got from the operator beforehand, not with what is verified.
    #[arg(long, value_name = "ANCHOR", value_hint = ValueHint::FilePath)]
    pub(crate) trust: PathBuf,
}

/// `mandate audit …`.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Hash the whole ledger again and check who signed it.
    Verify(AuditVerifyArgs),
    /// Write the ledger as a folder of files in C2SP form.
    Export {
        /// The folder; made when absent, and must be empty.
        #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        dir: PathBuf,
    },
    /// Prove that an entry is in the ledger.
    Proof {
        /// Index of the entry.
        index: u64,
        /// Where to write the proof; stdout when absent. A name that ends in `.tlog-proof` asks for C2SP's form.
        #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
    /// Search entries, newest first.
    Search {
        /// Only of this person: what they did, what runs they started did, and what was done about them.
        #[arg(long, value_name = "PERSON")]
        person: Option<String>,
        /// Only of this function, such as `mail.send`.
        #[arg(long, value_name = "FUNCTION")]
        function: Option<String>,
        /// Only from then on, such as `2026-10-01` or `2026-10-01T08:00:00Z`.
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        /// Only before then.
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        /// Only of exactly this actor, such as `worker:finance/quarterly-summary`.
        #[arg(long, value_name = "ACTOR")]
        actor: Option<String>,
        /// Only of this kind, such as `step-decided`.
        #[arg(long, value_name = "KIND")]
        kind: Option<String>,
        /// Only of this run.
        #[arg(long, value_name = "RUN")]
        run: Option<RunId>,
        /// How many at most.
        #[arg(long, value_name = "N")]
        limit: Option<u32>,
        /// Where to go on: the `next` of the page before.
        #[arg(long, alias = "before", value_name = "CURSOR")]
        cursor: Option<String>,
    },
}

/// `mandate audit verify`. Without `--data-dir` and `--dir` it verifies a running server, `--url`.
#[derive(Debug, Args)]
pub(crate) struct AuditVerifyArgs {
    /// The data folder of a server, running or not.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "dir")]
    pub(crate) data_dir: Option<PathBuf>,
    /// An exported folder.
    #[arg(long, value_name = "EXPORT", value_hint = ValueHint::DirPath)]
    pub(crate) dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) trust: TrustArg,
    /// Only this tenant's ledger; all that are there when absent.
    #[arg(long, value_name = "TENANT")]
    pub(crate) tenant: Option<Tenant>,
}
