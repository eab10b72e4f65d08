//! The Restate server, with ports and a folder of its own.

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};

/// How long it may take to start.
const START: Duration = Duration::from_secs(60);

/// A running server.
pub(crate) struct Server {
    child: Child,
    ingress: String,
    admin: String,
}

impl Server {
    /// Starts it. It is killed when this is dropped.
    pub(crate) fn start(program: &Path, config: &Path, folder: &Path) -> Result<Self> {
        let [ingress, admin, node] = free_ports()?;
        let address = |port: u16| format!("127.0.0.1:{port}");
        std::fs::create_dir_all(folder)?;
        let log = std::fs::File::create(folder.join("server.log"))?;
        let child = Command::new(program)
            .arg("--config-file")
            .arg(config)
            .env("RESTATE_BASE_DIR", folder.join("data"))
            .env("RESTATE_LISTEN_MODE", "tcp")
            .env("RESTATE_BIND_ADDRESS", address(node))
            .env("RESTATE_ADVERTISED_ADDRESS", format!("http://{}", address(node)))
            .env("RESTATE_INGRESS__BIND_ADDRESS", address(ingress))
            .env("RESTATE_ADMIN__BIND_ADDRESS", address(admin))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} can't be started", program.display()))?;
        let url = |port| format!("http://{}", address(port));
        Ok(Self { child, ingress: url(ingress), admin: url(admin) })
    }

    /// Where runs are started.
    pub(crate) fn ingress(&self) -> &str {
        &self.ingress
    }

    /// Makes a service known to it, as soon as it answers.
    pub(crate) async fn register(&self, client: &reqwest::Client, service: &str) -> Result<()> {
        let begun = Instant::now();
        loop {
            let sent = client.post(format!("{}/deployments", self.admin)).json(&json!({"uri": service})).send().await;
            match sent {
                Ok(answer) if answer.status().is_success() => break,
                _ if begun.elapsed() < START => tokio::time::sleep(Duration::from_millis(100)).await,
                Ok(answer) => bail!("the service was not taken: {} {}", answer.status(), answer.text().await?),
                Err(error) => return Err(error).context("the server does not answer; see server.log in its folder"),
            }
        }
        while begun.elapsed() < START {
            let health = client.get(format!("{}/restate/health", self.ingress)).send().await;
            if health.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("the server's ingress does not answer")
    }

    /// Steps in the journals of all runs, as the server counts them.
    pub(crate) async fn journaled_steps(&self, client: &reqwest::Client) -> Result<usize> {
        let query = "SELECT count(*) AS n FROM sys_journal WHERE entry_type LIKE '%Run'";
        let request = client.post(format!("{}/query", self.admin)).header("accept", "application/json");
        let answer = request.json(&json!({"query": query})).send().await?.error_for_status()?;
        let answer: Value = answer.json().await?;
        let count = answer.pointer("/rows/0/n").and_then(Value::as_u64);
        count.and_then(|n| usize::try_from(n).ok()).with_context(|| format!("no count in {answer}"))
    }

    /// The processor time it has used.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        let pid = self.child.id().context("the server has ended")?;
        cpu_seconds(&format!("/proc/{pid}/stat"))
    }

    /// Ends it and waits for that.
    pub(crate) async fn end(mut self) -> Result<()> {
        self.child.kill().await.context("the server can't be ended")
    }
}

/// The processor time that this process has used: clients and service.
pub(crate) fn own_cpu_seconds() -> Result<f64> {
    cpu_seconds("/proc/self/stat")
}

/// User and system time in a `stat` file of proc(5), whose fields follow the command's closing bracket.
fn cpu_seconds(path: &str) -> Result<f64> {
    /// Ticks per second, which Linux has fixed for programs (`USER_HZ`).
    const TICKS: f64 = 100.0;
    let text = std::fs::read_to_string(path).with_context(|| format!("{path} can't be read"))?;
    let (_, fields) = text.rsplit_once(')').with_context(|| format!("{path} is of another form"))?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    let (user, system) = ticks(11).zip(ticks(12)).with_context(|| format!("{path} is of another form"))?;
    Ok((user + system) / TICKS)
}

/// Ports that nobody listens at now.
fn free_ports() -> Result<[u16; 3]> {
    let held = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0"));
    let mut ports = [0; 3];
    for (port, listener) in ports.iter_mut().zip(held) {
        *port = listener?.local_addr()?.port();
    }
    Ok(ports)
}
