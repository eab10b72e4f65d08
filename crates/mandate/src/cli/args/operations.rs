//! The arguments of what an operator does once, or seldom: `init`, `backup`, `restore` and `release`.

use clap::{ArgGroup, Args, ValueHint};
use mandate_kernel::Tenant;
use std::net::SocketAddr;
use std::path::PathBuf;

/// `mandate init`.
#[derive(Debug, Clone, Args)]
#[command(group = ArgGroup::new("root-key").args(["root_key_env", "root_key_systemd"]))]
#[command(group = ArgGroup::new("secret").args(["client_secret_file", "client_secret_env", "client_secret_systemd"]))]
pub(crate) struct InitArgs {
    /// The folder to make: absent, or empty.
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) folder: PathBuf,
    /// The URL by which people and programs will reach the server: https, or http on this machine.
    #[arg(long, value_name = "URL")]
    pub(crate) public_url: String,
    /// The address to listen on.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8445")]
    pub(crate) listen: SocketAddr,
    /// A proxy of yours stands before the server and ends TLS.
    #[arg(long)]
    pub(crate) trusted_proxy: bool,
    /// A certificate chain, PEM: the server ends TLS itself.
    #[arg(long, value_name = "FILE", requires = "tls_key", value_hint = ValueHint::FilePath)]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// Its key, PEM, readable by the server's user alone.
    #[arg(long, value_name = "FILE", requires = "tls_certificate", value_hint = ValueHint::FilePath)]
    pub(crate) tls_key: Option<PathBuf>,
    /// The first tenant.
    #[arg(long, value_name = "NAME")]
    pub(crate) tenant: Tenant,
    /// The issuer of the tenant's OpenID provider, byte by byte.
    #[arg(long, value_name = "URL")]
    pub(crate) issuer: String,
    /// The audience that the provider's access tokens for this server name; the public URL when absent.
    #[arg(long, value_name = "AUDIENCE")]
    pub(crate) audience: Option<String>,
    /// The client registered at the provider for sign-in by a browser.
    #[arg(long, value_name = "ID")]
    pub(crate) client_id: String,
    /// A file with that client's secret, if it has one.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) client_secret_file: Option<PathBuf>,
    /// A variable of the server's environment with that secret.
    #[arg(long, value_name = "VARIABLE")]
    pub(crate) client_secret_env: Option<String>,
    /// A systemd credential with that secret.
    #[arg(long, value_name = "NAME")]
    pub(crate) client_secret_systemd: Option<String>,
    /// The public client registered at the provider for `mandate login`.
    #[arg(long, value_name = "ID")]
    pub(crate) command_line_client_id: Option<String>,
    /// The first administrator: the `sub` of a person at the provider.
    #[arg(long, value_name = "SUBJECT")]
    pub(crate) admin: String,
    /// The name of the logs, which never changes; the public URL's host when absent.
    #[arg(long, value_name = "NAME")]
    pub(crate) log_name: Option<String>,
    /// Take the root key from this variable of the server's environment; otherwise a file is made.
    #[arg(long, value_name = "VARIABLE")]
    pub(crate) root_key_env: Option<String>,
    /// Take the root key from this systemd credential.
    #[arg(long, value_name = "NAME")]
    pub(crate) root_key_systemd: Option<String>,
    /// A witness that runs already; otherwise one is prepared in the folder.
    #[arg(long, value_name = "URL", requires = "witness_vkey")]
    pub(crate) witness_url: Option<String>,
    /// The address that the witness in the folder is to listen on.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8446")]
    pub(crate) witness_listen: SocketAddr,
    /// Its verifier key, as it prints it when it starts.
    #[arg(long, value_name = "VKEY", requires = "witness_url")]
    pub(crate) witness_vkey: Option<String>,
    /// Don't ask the provider whether it is there.
    #[arg(long)]
    pub(crate) offline: bool,
}

/// `mandate backup`.
#[derive(Debug, Clone, Args)]
pub(crate) struct BackupArgs {
    /// The server's configuration file.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: PathBuf,
    /// The folder to write, which must not exist.
    #[arg(short = 'd', long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) to: PathBuf,
}

/// `mandate restore`.
#[derive(Debug, Clone, Args)]
pub(crate) struct RestoreArgs {
    /// The configuration file; its data folder is made, and must be absent or empty.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: PathBuf,
    /// The folder that `mandate backup` wrote.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) from: PathBuf,
}

/// `mandate release`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReleaseArgs {
    /// The server's configuration file. The server itself must not run.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: PathBuf,
    /// Why: the ledger keeps it.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// What the witness saw and this copy does not hold is lost: go on without it.
    #[arg(long)]
    pub(crate) accept_loss: bool,
    /// Let unfinished runs go on. Only right if nothing ran after the backup was made; otherwise they are stopped.
    #[arg(long, conflicts_with = "accept_loss")]
    pub(crate) resume_runs: bool,
}
