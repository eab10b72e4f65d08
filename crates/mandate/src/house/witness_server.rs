//! The witness: a process with a key of its own that cosigns a log's checkpoints only if each extends
//! the one before (C2SP tlog-witness). What it has seen is on disk before its signature leaves.

use super::{files, signals, telemetry};
use crate::cli::args::WitnessArgs;
use anyhow::{Context, Result, bail};
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::post;
use mandate_kernel::{Clock, Ed25519Signer, Secret, Signer, SystemClock, SystemEntropy};
use mandate_ledger::witness::Cosigner;
use mandate_ledger::{AddCheckpoint, Algorithm, Dsse, KeyRing, TrustAnchor, VerifierKey, WitnessRefusal, WitnessState};
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::AsyncReadExt;

/// The name in its signature lines.
const NAME: &str = "mandate.local/witness";

/// The most bytes of a request.
const MAX_REQUEST: usize = 64 * 1024;

struct Witness {
    signer: Ed25519Signer,
    folder: PathBuf,
    /// The anchor that says which logs, by which first keys. Read at each request: tenants come.
    logs: PathBuf,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    state: WitnessState,
    /// Key statements it signed: the logs' later keys.
    statements: Vec<Dsse>,
}

/// Runs a witness until it is told to end.
pub(crate) async fn witness(args: WitnessArgs) -> Result<()> {
    telemetry::start("info");
    files::private_folder(&args.data_dir)?;
    let _lock = files::lock_folder(&args.data_dir)?;
    let signer = signing_key(&args.data_dir)?;
    let key = VerifierKey::new(NAME, Algorithm::CosignatureV1, signer.public())?;
    let memory = remember(&args.data_dir)?;
    let logs = args.trust_logs.unwrap_or_else(|| args.data_dir.join("logs.json"));
    let witness = Arc::new(Witness { signer, folder: args.data_dir, logs, memory: Mutex::new(memory) });
    if let (Some(checkpoint), Some(reason)) = (&args.go_back_to, &args.reason) {
        return witness.go_back(&key, checkpoint, reason);
    }
    let router = Router::new()
        .route("/add-checkpoint", post(add_checkpoint))
        .route("/sign-key", post(sign_key))
        .layer(DefaultBodyLimit::max(MAX_REQUEST))
        .with_state(witness);
    if !args.listen.ip().is_loopback() {
        bail!("the witness speaks plain HTTP: it listens on a loopback address, or behind a proxy that adds TLS");
    }
    let listener = tokio::net::TcpListener::bind(args.listen).await.context("the witness can't listen")?;
    let url = format!("http://{}", listener.local_addr()?);
    let ready = json!({"url": url, "vkey": key.to_string()});
    writeln!(std::io::stdout(), "{ready}").context("the witness can't say that it is ready")?;
    let parent = args.parent_stdin;
    axum::serve(listener, router).with_graceful_shutdown(ended(parent)).await.context("the witness stopped")
}

/// Resolves when the witness has to end: a signal, or whoever started it is gone.
async fn ended(parent: bool) {
    let gone = async {
        if parent {
            let mut buffer = [0u8; 64];
            let mut stdin = tokio::io::stdin();
            // The end of input, or an error: either way nobody holds the other end.
            while stdin.read(&mut buffer).await.is_ok_and(|n| n > 0) {}
        } else {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = gone => {}
        () = signals::told_to_end() => {}
    }
}

/// The witness's key. Its memory is made before its key: a key without a memory has forgotten what it
/// signed, and must sign nothing more.
fn signing_key(folder: &Path) -> Result<Ed25519Signer> {
    let path = folder.join("witness.key");
    let memory = folder.join("state.json");
    if path.exists() {
        if !memory.exists() {
            bail!(
                "{} is missing: this witness has forgotten what it signed, and can vouch for nothing; restore it",
                memory.display()
            );
        }
        let bytes = std::fs::read(&path).context("the witness's key can't be read")?;
        let seed: [u8; 32] = bytes.try_into().map_err(|_| anyhow::anyhow!("{} is not a key", path.display()))?;
        return Ok(Ed25519Signer::from_seed(&Secret::new(seed))?);
    }
    files::write_whole(&memory, &serde_json::to_vec(&WitnessState::new())?)?;
    let (signer, seed) = Ed25519Signer::generate(&SystemEntropy)?;
    files::write_whole(&path, seed.expose())?;
    Ok(signer)
}

/// Makes the key of a witness that has yet to start; gives the key it is known by.
pub(super) fn prepare(folder: &Path) -> Result<VerifierKey> {
    Ok(VerifierKey::new(NAME, Algorithm::CosignatureV1, signing_key(folder)?.public())?)
}

fn remember(folder: &Path) -> Result<Memory> {
    let read = |name: &str| -> Result<Option<Vec<u8>>> {
        let path = folder.join(name);
        Ok(if path.exists() {
            Some(std::fs::read(&path).with_context(|| format!("{} can't be read", path.display()))?)
        } else {
            None
        })
    };
    let state = read("state.json")?
        .map(|bytes| serde_json::from_slice(&bytes))
        .transpose()
        .context("state.json is not a witness's memory")?;
    let statements = read("keys.json")?
        .map(|bytes| serde_json::from_slice(&bytes))
        .transpose()
        .context("keys.json is not a list of key statements")?;
    Ok(Memory { state: state.unwrap_or_default(), statements: statements.unwrap_or_default() })
}

type Answer = Result<String, (StatusCode, String)>;

fn refuse(refusal: &WitnessRefusal) -> (StatusCode, String) {
    let status = StatusCode::from_u16(refusal.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    tracing::warn!(%refusal, "refused");
    match refusal {
        WitnessRefusal::Conflict { known_size } => (status, format!("{known_size}\n")),
        other => (status, other.to_string()),
    }
}

fn failed(error: &anyhow::Error) -> (StatusCode, String) {
    tracing::error!(%error, "the witness can't keep what it has seen, so it signs nothing");
    (StatusCode::INTERNAL_SERVER_ERROR, "not now".to_owned())
}

impl Witness {
    /// The keys of every log, first ones and those it vouched for since.
    fn rings(&self, statements: &[Dsse]) -> Result<Vec<KeyRing>> {
        let bytes = std::fs::read(&self.logs)
            .with_context(|| format!("{} can't be read: no logs are known yet", self.logs.display()))?;
        let anchor = TrustAnchor::parse(&bytes)?;
        let mut rings = Vec::new();
        for tenant in anchor.tenants().keys() {
            let mut ring = KeyRing::from_anchor(&anchor, tenant)?;
            for statement in statements {
                // A statement of another tenant does not fit this ring, and need not.
                drop(ring.add(statement));
            }
            rings.push(ring);
        }
        Ok(rings)
    }

    fn go_back(&self, own: &VerifierKey, checkpoint: &Path, reason: &str) -> Result<()> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let rings = self.rings(&memory.statements)?;
        let (next, done) = super::witness_back::go_back(&self.folder, &memory.state, &rings, own, checkpoint, reason)?;
        self.keep("state.json", &next)?;
        memory.state = next;
        writeln!(std::io::stdout(), "{done}").context("nobody reads what was done")
    }

    fn keep<T: serde::Serialize>(&self, name: &str, value: &T) -> Result<()> {
        files::write_whole(&self.folder.join(name), &serde_json::to_vec(value)?)
    }
}

async fn add_checkpoint(State(witness): State<Arc<Witness>>, body: String) -> Answer {
    let request = AddCheckpoint::parse(&body).map_err(|e| refuse(&e))?;
    let mut memory = witness.memory.lock().unwrap_or_else(PoisonError::into_inner);
    let rings = witness.rings(&memory.statements).map_err(|e| (StatusCode::NOT_FOUND, e.to_string()))?;
    let keys: Vec<VerifierKey> = rings.iter().filter_map(|ring| ring.log_keys().ok()).flatten().collect();
    let cosigner = Cosigner { name: NAME, signer: &witness.signer };
    let (next, line) =
        memory.state.add_checkpoint(&request, &keys, cosigner, SystemClock.now()).map_err(|e| refuse(&e))?;
    witness.keep("state.json", &next).map_err(|e| failed(&e))?;
    memory.state = next;
    Ok(line)
}

async fn sign_key(State(witness): State<Arc<Witness>>, body: String) -> Answer {
    let statement = Dsse::parse(body.as_bytes()).map_err(|e| (StatusCode::BAD_REQUEST, e.to_string()))?;
    let mut memory = witness.memory.lock().unwrap_or_else(PoisonError::into_inner);
    let rings = witness.rings(&memory.statements).map_err(|e| (StatusCode::NOT_FOUND, e.to_string()))?;
    let mut refusal = None;
    for ring in &rings {
        match memory.state.endorse_key(&statement, ring, &witness.signer) {
            Ok((next, signed)) => {
                let mut statements = memory.statements.clone();
                statements.push(signed.clone());
                witness.keep("keys.json", &statements).map_err(|e| failed(&e))?;
                witness.keep("state.json", &next).map_err(|e| failed(&e))?;
                memory.state = next;
                memory.statements = statements;
                let bytes = signed.to_bytes().map_err(|e| (StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))?;
                return String::from_utf8(bytes).map_err(|e| (StatusCode::INTERNAL_SERVER_ERROR, e.to_string()));
            }
            Err(error) => refusal = Some(error),
        }
    }
    Err(refusal.map_or_else(|| (StatusCode::NOT_FOUND, "no log is known".to_owned()), |e| refuse(&e)))
}
