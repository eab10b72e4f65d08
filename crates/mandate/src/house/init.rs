//! `mandate init`: a folder that a first real `serve` starts from: configuration, root key, witness. It is made
//! beside its place and moved there whole, so that nothing is ever overwritten and no half of it is left.

use super::backup::beside;
use super::config::ServeConfig;
use super::secret_source::SecretSource;
use super::{files, oidc, tls, witness_server};
use crate::cli::CliError;
use crate::cli::args::InitArgs;
use anyhow::{Context, Result, bail};
use mandate_kernel::{Principal, SystemEntropy};
use mandate_ledger::VerifierKey;
use mandate_vault::RootKey;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the server's configuration is in the folder.
const CONFIG: &str = "mandate.yaml";

/// What a server needs, as it was asked for and checked.
struct Wanted {
    public_url: String,
    log_name: String,
    audience: String,
    administrator: String,
    /// `None`: one is made in the folder.
    witness: Option<(String, VerifierKey)>,
}

/// Makes the folder. Gives what was made and what comes next: `config`, `dataDir`, `rootKey`, `witness`, `next`.
///
/// # Errors
/// What is wrong with the arguments, as usage; or why nothing could be written.
pub(crate) async fn init(args: &InitArgs) -> Result<Value> {
    let folder = place(&args.folder)?;
    let wanted = checked(args).map_err(|error| CliError::usage(format!("{error:#}")))?;
    if !args.offline {
        let found = oidc::probe(&args.issuer).await;
        found.map_err(|error| {
            CliError::usage_help(
                format!("the provider {} can't be used: {error:#}", args.issuer),
                "give its issuer as its metadata does, byte by byte; with --offline it is not asked now",
            )
        })?;
    }
    let beside = beside(&folder)?;
    files::private_folder(&beside)?;
    let made = fill(&beside, &folder, args, &wanted).and_then(|made| {
        // An empty folder is replaced; one that somebody filled meanwhile is not.
        fs::rename(&beside, &folder).with_context(|| format!("{} can't be made", folder.display()))?;
        Ok(made)
    });
    if made.is_err() {
        // What was half made is of no use; the first error is the one to tell.
        drop(fs::remove_dir_all(&beside));
    }
    made
}

/// The folder's absolute path, if nothing is in its place.
fn place(folder: &Path) -> Result<PathBuf> {
    let name = folder.file_name().ok_or_else(|| CliError::usage(format!("`{}` names no folder", folder.display())))?;
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let parent = parent.canonicalize().map_err(|e| CliError::usage(format!("{}: {e}", parent.display())))?;
    let folder = parent.join(name);
    let mut entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(folder),
        Err(error) => {
            let told = format!("{} is not a folder that can be used: {error}", folder.display());
            return Err(CliError::usage(told).into());
        }
        Ok(entries) => entries,
    };
    match entries.next() {
        None => Ok(folder),
        Some(_) => Err(CliError::usage_help(
            format!("{} is not empty, and nothing in it is overwritten", folder.display()),
            "give a folder that does not exist yet",
        )
        .into()),
    }
}

fn checked(args: &InitArgs) -> Result<Wanted> {
    let url = reqwest::Url::parse(&args.public_url).context("--public-url is not a URL")?;
    let host = url.host_str().context("--public-url has no host")?;
    oidc::checked_url(&args.issuer, &args.issuer).context("--issuer")?;
    let subject = args.admin.strip_prefix("user:").unwrap_or(&args.admin);
    let printable = |text: &str| !text.is_empty() && text.len() <= 255 && !text.chars().any(char::is_control);
    if !printable(subject) {
        bail!("--admin is the `sub` of a person at the provider");
    }
    for (name, value) in
        [("--client-id", Some(&args.client_id)), ("--command-line-client-id", args.command_line_client_id.as_ref())]
    {
        if value.is_some_and(|id| !printable(id)) {
            bail!("{name} is the identifier of a client at the provider");
        }
    }
    if let Some(file) = &args.client_secret_file {
        SecretSource::File(absolute(file)?).read().context("--client-secret-file")?;
    }
    let witness = match (&args.witness_url, &args.witness_vkey) {
        (Some(url), Some(vkey)) => {
            reqwest::Url::parse(url).context("--witness-url is not a URL")?;
            Some((url.clone(), vkey.parse().context("--witness-vkey is not a verifier key")?))
        }
        _ => None,
    };
    let log_name = args.log_name.clone().unwrap_or_else(|| host.to_owned());
    if log_name.is_empty()
        || log_name.contains("://")
        || log_name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
    {
        bail!("--log-name is a host name or a path without scheme");
    }
    Ok(Wanted {
        public_url: args.public_url.trim_end_matches('/').to_owned(),
        log_name,
        audience: args.audience.clone().unwrap_or_else(|| args.public_url.trim_end_matches('/').to_owned()),
        administrator: Principal::user(args.tenant.clone(), subject).subject(),
        witness,
    })
}

fn absolute(path: &Path) -> Result<PathBuf> {
    path.canonicalize().with_context(|| format!("{} can't be read", path.display()))
}

/// Fills the folder where it is made; what the files say is where it will be.
fn fill(beside: &Path, folder: &Path, args: &InitArgs, wanted: &Wanted) -> Result<Value> {
    let (url, vkey) = match &wanted.witness {
        Some(theirs) => theirs.clone(),
        None => {
            files::private_folder(&beside.join("witness"))?;
            (format!("http://{}", args.witness_listen), witness_server::prepare(&beside.join("witness"))?)
        }
    };
    let text = configuration(folder, args, wanted, &url, &vkey)?;
    let config = folder.join(CONFIG);
    let read = ServeConfig::parse(&config, &text).map_err(|error| CliError::usage(format!("{error:#}")))?;
    read.tls.as_ref().map(tls::read).transpose().map_err(|error| CliError::usage(format!("{error:#}")))?;
    let own_key = args.root_key_env.is_none() && args.root_key_systemd.is_none();
    if own_key {
        RootKey::from_file(&beside.join("root.key"), Some(&SystemEntropy))?;
    }
    files::write_whole(&beside.join(CONFIG), text.as_bytes())?;
    Ok(json!({
        "config": config,
        "dataDir": folder.join("data"),
        "rootKey": own_key.then(|| folder.join("root.key")),
        "witness": {"url": url, "vkey": vkey.to_string(), "folder": wanted.witness.is_none().then(|| folder.join("witness"))},
        "callback": format!("{}/auth/callback", wanted.public_url),
        "next": next(folder, args, wanted),
    }))
}

/// A value as YAML reads it: JSON's texts are YAML's.
fn quoted(value: &str) -> String {
    Value::from(value).to_string()
}

fn path(value: &Path) -> Result<String> {
    value.to_str().map(quoted).with_context(|| format!("{} is not UTF-8 text", value.display()))
}

fn configuration(folder: &Path, args: &InitArgs, wanted: &Wanted, url: &str, vkey: &VerifierKey) -> Result<String> {
    let mut text =
        String::from("# Written by `mandate init`. Every key is explained in docs/guide/15-operations.md.\n");
    writeln!(text, "listen: {}", quoted(&args.listen.to_string()))?;
    writeln!(text, "publicUrl: {}", quoted(&wanted.public_url))?;
    if args.trusted_proxy {
        text.push_str("trustedProxy: true\n");
    }
    if let (Some(certificate), Some(key)) = (&args.tls_certificate, &args.tls_key) {
        let (certificate, key) = (absolute(certificate)?, absolute(key)?);
        writeln!(text, "tls:\n  certificate: {}\n  key: {}", path(&certificate)?, path(&key)?)?;
    }
    writeln!(text, "dataDir: {}", path(&folder.join("data"))?)?;
    writeln!(text, "# The name of the logs. Never change it.\nlogName: {}", quoted(&wanted.log_name))?;
    let root = match (&args.root_key_env, &args.root_key_systemd) {
        (Some(variable), _) => format!("env: {}", quoted(variable)),
        (_, Some(name)) => format!("systemd: {}", quoted(name)),
        (None, None) => format!("file: {}", path(&folder.join("root.key"))?),
    };
    writeln!(
        text,
        "# Keep a copy of it apart from the backups: without it nothing can be opened.\nrootKey:\n  {root}"
    )?;
    writeln!(text, "witness:\n  url: {}\n  vkey: {}", quoted(url), quoted(&vkey.to_string()))?;
    writeln!(text, "tenants:\n  - name: {}\n    provider:", quoted(args.tenant.as_str()))?;
    writeln!(text, "      issuer: {}\n      audience: {}", quoted(&args.issuer), quoted(&wanted.audience))?;
    writeln!(text, "      clientId: {}", quoted(&args.client_id))?;
    let secret = match (&args.client_secret_file, &args.client_secret_env, &args.client_secret_systemd) {
        (Some(file), ..) => Some(format!("file: {}", path(&absolute(file)?)?)),
        (_, Some(variable), _) => Some(format!("env: {}", quoted(variable))),
        (.., Some(name)) => Some(format!("systemd: {}", quoted(name))),
        _ => None,
    };
    if let Some(secret) = secret {
        writeln!(text, "      clientSecret:\n        {secret}")?;
    }
    if let Some(id) = &args.command_line_client_id {
        writeln!(text, "      commandLineClientId: {}", quoted(id))?;
    }
    writeln!(
        text,
        "    # Without effect once somebody has a role.\n    firstAdministrators: [{}]",
        quoted(&wanted.administrator)
    )?;
    Ok(text)
}

/// What to do, in order.
fn next(folder: &Path, args: &InitArgs, wanted: &Wanted) -> Vec<String> {
    let at = |name: &str| folder.join(name).display().to_string();
    let mut next = vec![format!(
        "register {}/auth/callback at {} as a redirect URI of client {}",
        wanted.public_url, args.issuer, args.client_id
    )];
    if wanted.witness.is_none() {
        next.push(format!(
            "mandate witness --data-dir {} --listen {} --trust-logs {}",
            at("witness"),
            args.witness_listen,
            at("data/trust.json")
        ));
    }
    next.push(format!("mandate serve --config {}", at(CONFIG)));
    if wanted.witness.is_some() {
        next.push(format!("give {} to whoever runs the witness, as its --trust-logs", at("data/trust.json")));
    }
    if args.command_line_client_id.is_some() {
        next.push(format!("mandate login --url {} --tenant {}", wanted.public_url, args.tenant));
    }
    next.push(format!("mandate doctor --url {} --data-dir {}", wanted.public_url, at("data")));
    next
}
