//! `mandate dev`: everything on one machine, on the loopback address, ready in seconds.

use super::database::Database;
use super::door::door;
use super::expressions::ExpressionsConfig;
use super::oidc::{BrowserClient, Keys, Oidc, Trust};
use super::wiring::{Node, NodeConfig, node};
use super::witness_client::WitnessClient;
use super::{anchor, files, seed, signals, telemetry};
use crate::cli::args::{DevArgs, DevStore};
use anyhow::{Context, Result};
use axum::Json;
use axum::routing::get;
use mandate_api::{ApiState, DoorConfig, ThrottleConfig, router};
use mandate_devkit::{
    ACCOUNTS, CLI_CLIENT, CONSOLE_CLIENT, DEMO, DEV_GRANT, Devkit, DevkitConfig, MailFaults, OTHER, ReportFaults,
};
use mandate_directory::SessionLifetimes;
use mandate_engine::TenantContext;
use mandate_flow::Need;
use mandate_identity::Audience;
use mandate_kernel::{Duration, Entropy, Secret, SystemClock, SystemEntropy, Tenant};
use mandate_ledger::VerifierKey;
use mandate_store::PostgresConfig;
use mandate_vault::RootKey;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// The name of the development house's logs.
const LOG_NAME: &str = "mandate.local";

/// Runs the development house until it is told to end.
pub(crate) async fn dev(args: DevArgs) -> Result<()> {
    telemetry::start("warn,mandate=info,mandate_engine=info,mandate_api=info");
    let (folder, temporary) = match args.data_dir {
        Some(folder) => (folder, false),
        None => (std::env::temp_dir().join(format!("mandate-dev-{}", std::process::id())), true),
    };
    files::private_folder(&folder)?;
    let folder = folder.canonicalize().context("the data folder can't be found")?;
    let lock = files::lock_folder(&folder)?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", args.port))
        .await
        .with_context(|| format!("port {} of 127.0.0.1 can't be used; give another with --port", args.port))?;
    let database = match args.store {
        DevStore::Sqlite => Database::in_folder(&folder)?,
        DevStore::Postgres => Database::on_server(from_environment()?).await?,
    };
    let house = House::open(&folder, listener.local_addr()?.port(), database, args.allow.into_iter().collect()).await?;
    let ended = house.run(listener).await;
    drop(lock);
    if temporary {
        drop(std::fs::remove_dir_all(&folder));
    }
    ended
}

struct House {
    folder: PathBuf,
    url: String,
    node: Node,
    devkit: Devkit,
    oidc: Arc<Oidc>,
    witness: Child,
}

impl House {
    async fn open(folder: &Path, port: u16, database: Database, allow: BTreeSet<Need>) -> Result<Self> {
        let url = format!("http://127.0.0.1:{port}");
        let anchor_path = folder.join("trust.json");
        let (witness, witness_url, key) = start_witness(folder, &anchor_path).await?;
        let client = WitnessClient::new(witness_url, key.clone())?;
        // A database without its root key is lost, not new: no key is made beside one.
        let new: Option<&dyn Entropy> = if database.is_new().await? { Some(&SystemEntropy) } else { None };
        let root = RootKey::from_file(&folder.join("root.key"), new)?;
        let node = node(NodeConfig {
            database,
            public_url: url.clone(),
            log_name: LOG_NAME.to_owned(),
            root,
            witness: Arc::new(client),
            evaluator: ExpressionsConfig::default().evaluator().await?,
            allow,
            node: None,
        })?;
        let devkit = Devkit::start(DevkitConfig {
            data_dir: folder.to_path_buf(),
            hop_issuer: format!("{url}/t/{DEMO}"),
            jwks_url: format!("{url}/t/{DEMO}/.well-known/jwks.json"),
            api_audience: Audience::new(url.clone())?,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            report_faults: ReportFaults::default(),
            mail_faults: MailFaults::default(),
            model_faults: Vec::new(),
        })
        .await?;
        let trusted = [DEMO, OTHER].into_iter().map(|tenant| trust(&devkit, tenant, &url));
        let oidc = Oidc::open(trusted.collect::<Result<_>>()?).await?;
        let mut contexts: Vec<Arc<TenantContext>> = Vec::new();
        for tenant in [DEMO, OTHER] {
            let context = node.engine.open_tenant(&Tenant::new(tenant)?).await?;
            seed::seed(&node.engine, &context, &devkit, folder).await?;
            contexts.push(context);
        }
        anchor::ensure(&anchor_path, key, &contexts).await?;
        for context in &contexts {
            node.engine.keep_ledger(context).await?;
        }
        Ok(Self { folder: folder.to_path_buf(), url, node, devkit, oidc, witness })
    }

    async fn run(mut self, listener: tokio::net::TcpListener) -> Result<()> {
        let port = listener.local_addr()?.port();
        let at_home = DoorConfig {
            public_url: self.url.clone(),
            lifetimes: SessionLifetimes::default(),
            throttle: ThrottleConfig::generous(),
        };
        let state = ApiState {
            engine: Arc::clone(&self.node.engine),
            providers: self.oidc.providers(),
            door: door(&at_home, &self.node.database, Arc::clone(&self.oidc)),
            streams: signals::streams(),
            hosts: Arc::new(vec![format!("127.0.0.1:{port}"), format!("localhost:{port}")]),
        };
        let about = self.about_provider();
        let router = router(state).route("/dev/provider", get(|| async move { Json(about) }));
        let ready = self.ready_line();
        let recovering = self.node.engine.recover().await?;
        if recovering > 0 {
            tracing::info!(runs = recovering, "interrupted runs are taken up");
        }
        writeln!(std::io::stdout(), "{ready}").context("nobody reads the ready line")?;
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let served = axum::serve(listener, service).with_graceful_shutdown(signals::told_to_end()).await;
        self.node.engine.close();
        self.node.database.close().await;
        self.devkit.shutdown().await;
        // Its stdin closes with this handle; it ends by itself, and is gone when this returns.
        drop(self.witness.stdin.take());
        drop(tokio::time::timeout(std::time::Duration::from_secs(2), self.witness.wait()).await);
        served.context("the server stopped")
    }

    fn ready_line(&self) -> Value {
        let accounts: Vec<Value> = ACCOUNTS
            .iter()
            .map(|a| json!({"name": a.name, "tenant": a.tenant, "groups": a.groups, "description": a.description}))
            .collect();
        json!({
            "url": self.url,
            "trust": self.folder.join("trust.json"),
            "data_dir": self.folder,
            "accounts": accounts,
            "report_url": self.devkit.report_url(),
            "mail_url": self.devkit.mail_url(),
            "allow": self.node.engine.allowed(),
        })
    }

    /// What `--as` has to know: where each tenant's development provider gives tokens.
    fn about_provider(&self) -> Value {
        let tenant = |name: &str| {
            let issuer = self.devkit.provider_url(name);
            let accounts: Vec<&str> = ACCOUNTS.iter().filter(|a| a.tenant == name).map(|a| a.name).collect();
            json!({"issuer": issuer, "token_endpoint": format!("{issuer}/token"), "grant_type": DEV_GRANT, "accounts": accounts})
        };
        json!({"tenants": {DEMO: tenant(DEMO), OTHER: tenant(OTHER)}})
    }
}

/// Where the PostgreSQL of `--store postgres` is. Its URLs hold passwords: a command line shows them to everybody.
fn from_environment() -> Result<PostgresConfig> {
    let read = |name: &str| {
        let url = std::env::var(name).with_context(|| format!("--store postgres reads {name}, which holds no text"))?;
        anyhow::Ok(Secret::new(url))
    };
    Ok(PostgresConfig::new(read("MANDATE_STORE_URL")?, Some(read("MANDATE_STORE_OWNER_URL")?)))
}

/// The platform believes the development provider as it would any other: by its published keys.
fn trust(devkit: &Devkit, tenant: &str, audience: &str) -> Result<Trust> {
    Ok(Trust {
        tenant: Tenant::new(tenant)?,
        name: "Development provider".to_owned(),
        issuer: devkit.provider_url(tenant),
        audience: Audience::new(audience)?,
        keys: Keys::Discovered,
        groups_claim: "groups".to_owned(),
        types: vec!["at+jwt".to_owned()],
        leeway: Duration::from_secs(5),
        browser: Some(BrowserClient { id: CONSOLE_CLIENT.to_owned(), secret: None }),
        command_line: Some(CLI_CLIENT.to_owned()),
        scopes: vec!["openid".to_owned()],
    })
}

/// Starts the witness: this program again, as a process of its own with a key of its own. It ends when
/// its stdin closes, so that none outlives this process, however this process ends.
async fn start_witness(folder: &Path, anchor: &Path) -> Result<(Child, String, VerifierKey)> {
    let program = std::env::current_exe().context("this program can't find itself")?;
    let mut child = Command::new(program)
        .args(["witness", "--listen", "127.0.0.1:0", "--parent-stdin", "--data-dir"])
        .arg(folder.join("witness"))
        .arg("--trust-logs")
        .arg(anchor)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .env_remove("MANDATE_CRASH_AT")
        .env_remove("MANDATE_CRASH_LOG")
        .spawn()
        .context("the witness can't be started")?;
    let stdout = child.stdout.take().context("the witness has no output")?;
    let mut line = String::new();
    let mut reader = BufReader::new(stdout);
    tokio::time::timeout(std::time::Duration::from_secs(10), reader.read_line(&mut line))
        .await
        .context("the witness did not get ready")??;
    let ready: Value = serde_json::from_str(&line).context("the witness said something else than that it is ready")?;
    let text = |key: &str| {
        ready.get(key).and_then(Value::as_str).map(str::to_owned).context("the witness's ready line lacks a part")
    };
    Ok((child, text("url")?, text("vkey")?.parse()?))
}
