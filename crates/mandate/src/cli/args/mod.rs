//! The command line: every command, flag and default.

mod evidence;
mod grants;
mod login;
mod operations;
mod processes;
mod runs;
mod schedules;

pub(crate) use evidence::{
    ArtifactCommand, AuditCommand, AuditVerifyArgs, ExportArgs, PassportCommand, Projection, TrustArg, VerifyArgs,
};
pub(crate) use grants::GrantsCommand;
pub(crate) use login::LoginArgs;
pub(crate) use operations::{BackupArgs, InitArgs, ReleaseArgs, RestoreArgs};
pub(crate) use processes::{DevArgs, DevStore, EvaluateArgs, ServeArgs, WitnessArgs};
pub(crate) use runs::RunsCommand;
pub(crate) use schedules::SchedulesCommand;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use mandate_directory::Kind;
use mandate_kernel::{ApprovalId, Digest, Environment, FunctionName, Project, ResourceName, RunId};
use std::path::PathBuf;

/// Run AI workflows under an identity, a policy and a proof.
#[derive(Debug, Parser)]
#[command(name = "mandate", version, disable_help_subcommand = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 unexpected failure, 2 usage, 3 refused by policy or not visible, \
4 waiting, 5 faulted, 6 verification failed, 7 not reachable, 8 cancelled.
`mandate login` signs you in; without it MANDATE_TOKEN holds an access token of your identity provider, which is never an \
argument.";

/// What every client command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// The server to talk to.
    #[arg(long, global = true, env = "MANDATE_URL", value_name = "URL", default_value = "http://127.0.0.1:8420")]
    pub(crate) url: String,
    /// Act as this account of the development provider (`mandate dev` only).
    #[arg(long = "as", global = true, env = "MANDATE_AS", value_name = "ACCOUNT")]
    pub(crate) account: Option<String>,
    /// How results are written to stdout.
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
}

/// The form of results on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// One JSON document.
    Json,
    /// One YAML document.
    Yaml,
}

/// All commands: the processes, and the client's.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything on this machine, with sample people, systems and Workers.
    Dev(DevArgs),
    /// Run a server.
    Serve(ServeArgs),
    /// Run a witness: a process with a key of its own that cosigns checkpoints.
    Witness(WitnessArgs),
    /// Evaluate expressions for a server, and do nothing else.
    #[command(hide = true)]
    EvaluateExpressions(EvaluateArgs),
    #[command(flatten)]
    Client(ClientCommand),
}

/// What the client can do.
#[derive(Debug, Subcommand)]
pub(crate) enum ClientCommand {
    /// Make the folder of a first real server: configuration, root key, witness.
    Init(Box<InitArgs>),
    /// Copy what a server keeps, while it serves; never its root key.
    Backup(BackupArgs),
    /// Make a data folder of a backup, in quarantine until it is released.
    Restore(RestoreArgs),
    /// Let a restored state work again, as an administrator of its tenant.
    Release(ReleaseArgs),
    /// Sign in at the tenant's identity provider; later commands act as you.
    Login(LoginArgs),
    /// Forget the sign-in.
    Logout,
    /// Apply manifests: all of them, or none.
    Apply(ApplyArgs),
    /// List resources of a kind, or show one.
    Get(GetArgs),
    /// Show all there is to know about a resource.
    Describe(DescribeArgs),
    /// Show what `apply` would change.
    Diff(ApplyArgs),
    /// Start a run and wait until it has ended or waits for somebody.
    Run(RunArgs),
    /// Look at runs, stop them, say what became of them.
    #[command(subcommand)]
    Runs(RunsCommand),
    /// What waits for a person's word.
    #[command(subcommand)]
    Approvals(ApprovalsCommand),
    /// The signed proof of what a run did.
    #[command(subcommand)]
    Passport(PassportCommand),
    /// The signed result of a run.
    #[command(subcommand)]
    Artifact(ArtifactCommand),
    /// The ledger: verify, export, prove, search.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Who lets which Worker use which credential.
    #[command(subcommand)]
    Grants(GrantsCommand),
    /// Workers that start by themselves, and in whose name.
    #[command(subcommand)]
    Schedules(SchedulesCommand),
    /// The inventory of secrets, and the way in for a new value.
    #[command(subcommand)]
    Secrets(SecretsCommand),
    /// The tenant's signing keys.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Check that everything is as it should be, and say what to do where it is not.
    Doctor(DoctorArgs),
    /// Write a completion script for a shell to stdout.
    Completions(CompletionsArgs),
}

/// `mandate apply`, `mandate diff`.
#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// A manifest, a policy file, or a folder of both; may be given several times.
    #[arg(short, long = "file", value_name = "PATH", required = true, value_hint = ValueHint::AnyPath)]
    pub(crate) file: Vec<PathBuf>,
    /// The project of `.cedar` files; without it, the project of the manifests beside them.
    #[arg(long, value_name = "PROJECT")]
    pub(crate) project: Option<Project>,
}

/// `mandate get`.
#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// Worker, Function, Connection, Credential, Policy, EventSource, RoleBinding or Entitlement; plural works too.
    pub(crate) kind: Kind,
    /// One of them.
    #[arg(value_name = "PROJECT/NAME")]
    pub(crate) name: Option<ResourceName>,
    /// How many at most.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u32>,
    /// Only what comes after this cursor: the `next` of the page before.
    #[arg(long, value_name = "CURSOR")]
    pub(crate) after: Option<String>,
}

/// `mandate describe`.
#[derive(Debug, Args)]
pub(crate) struct DescribeArgs {
    /// The kind, as for `get`.
    pub(crate) kind: Kind,
    /// Which one.
    #[arg(value_name = "PROJECT/NAME")]
    pub(crate) name: ResourceName,
}

/// `mandate run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The Worker.
    #[arg(value_name = "PROJECT/WORKER")]
    pub(crate) worker: ResourceName,
    /// Why it is run: policies judge it and the ledger keeps it.
    #[arg(long, value_name = "TEXT")]
    pub(crate) purpose: String,
    /// The input, or @FILE; `@-` reads stdin.
    #[arg(long, value_name = "JSON|@FILE")]
    pub(crate) input: Option<String>,
    /// The environment; the Worker's default when absent.
    #[arg(long, value_name = "ENVIRONMENT")]
    pub(crate) env: Option<Environment>,
    /// Don't wait for the run.
    #[arg(long)]
    pub(crate) detach: bool,
    /// Starting again with the same key gives the run that was started first.
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
}

/// `mandate approvals`.
#[derive(Debug, Subcommand)]
pub(crate) enum ApprovalsCommand {
    /// List what you are asked for, and what runs you may see wait for; newest first.
    List {
        /// Only those in this state: pending, approved, denied, expired or withdrawn.
        #[arg(long, value_name = "STATE")]
        state: Option<String>,
        /// Only those of this run.
        #[arg(long, value_name = "RUN")]
        run: Option<RunId>,
        /// How many at most.
        #[arg(long, value_name = "N")]
        limit: Option<u32>,
        /// Only those before this cursor: the `next` of the page before.
        #[arg(long, alias = "before", value_name = "CURSOR")]
        cursor: Option<String>,
    },
    /// Show one, with the exact bytes that would be sent.
    Get {
        /// Which one.
        approval: ApprovalId,
    },
    /// Say yes to exactly what is shown.
    Approve {
        #[command(flatten)]
        answer: AnswerArgs,
        /// What a review's form asks for.
        #[arg(long = "answer", value_name = "JSON|@FILE")]
        form: Option<String>,
    },
    /// Say no; the run ends as refused.
    Deny {
        #[command(flatten)]
        answer: AnswerArgs,
    },
}

/// What is answered, and how.
#[derive(Debug, Args)]
pub(crate) struct AnswerArgs {
    /// Which one.
    pub(crate) approval: ApprovalId,
    /// The digest of what you saw, when it was not just shown here.
    #[arg(long, value_name = "DIGEST")]
    pub(crate) digest: Option<Digest>,
    /// A word to whoever reads it later.
    #[arg(long, value_name = "TEXT")]
    pub(crate) comment: Option<String>,
    /// Don't ask on a terminal.
    #[arg(long)]
    pub(crate) yes: bool,
}

/// Which grant.
#[derive(Debug, Args)]
pub(crate) struct GrantArgs {
    /// The credential.
    #[arg(value_name = "PROJECT/CREDENTIAL")]
    pub(crate) credential: ResourceName,
    /// The Worker.
    #[arg(long, value_name = "PROJECT/WORKER")]
    pub(crate) worker: ResourceName,
    /// The function.
    #[arg(long, value_name = "FUNCTION")]
    pub(crate) function: FunctionName,
}

/// `mandate secrets …`.
#[derive(Debug, Subcommand)]
pub(crate) enum SecretsCommand {
    /// List secrets: where they may go and how many versions there are, never their values.
    List,
    /// Put a new value in, from stdin or a file; one line break at its end is not part of it.
    Put {
        /// The credential it belongs to.
        #[arg(value_name = "PROJECT/NAME")]
        name: ResourceName,
        /// The file with the value; stdin when absent.
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        from_file: Option<PathBuf>,
    },
}

/// `mandate keys …`.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Bring a successor key into use; what the old one signed stays verifiable.
    Rotate {
        /// What the key signs.
        role: KeyRole,
    },
}

/// What a tenant's key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyRole {
    /// Checkpoints of the ledger.
    Log,
    /// Passports and artefacts.
    Evidence,
    /// Tokens.
    Token,
}

/// `mandate doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Also look at this data folder: whether others on this machine could read it.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) data_dir: Option<PathBuf>,
    /// Only ask whether the server takes work: for health checks.
    #[arg(long)]
    pub(crate) ready: bool,
}

/// `mandate completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    pub(crate) shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn bad_command_lines_are_usage_errors() {
        let cases: &[&[&str]] = &[
            &["mandate"],
            &["mandate", "run", "finance/q"],
            &["mandate", "run", "quarterly", "--purpose", "x"],
            &["mandate", "runs", "get", "not-a-run"],
            &["mandate", "runs", "resolve", "run_01J9ZK3Y4T6W8Q2N5R7VX0AB00"],
            &["mandate", "runs", "resolve", "run_01J9ZK3Y4T6W8Q2N5R7VX0AB00", "--happened", "--did-not-happen"],
            &["mandate", "runs", "resolve", "run_01J9ZK3Y4T6W8Q2N5R7VX0AB00", "--did-not-happen", "--value", "1"],
            &["mandate", "get", "spaceship"],
            &["mandate", "audit", "verify"],
            &["mandate", "audit", "verify", "--trust", "a", "--data-dir", "d", "--dir", "e"],
            &["mandate", "secrets", "put", "finance/key", "the-secret-itself"],
            &["mandate", "keys", "rotate", "master"],
            &["mandate", "login", "--password", "x"],
        ];
        for case in cases {
            let error = Cli::try_parse_from(*case).expect_err(&case.join(" "));
            assert_eq!(error.exit_code(), 2, "{case:?}");
        }
    }

    #[test]
    fn flags_may_stand_before_and_after_the_command() {
        for case in [
            ["mandate", "-o", "json", "--as", "admin", "runs", "list"],
            ["mandate", "runs", "list", "--as", "admin", "-o", "json"],
        ] {
            let cli = Cli::try_parse_from(case).unwrap();
            assert_eq!((cli.global.account.as_deref(), cli.global.output), (Some("admin"), Format::Json));
        }
    }
}
