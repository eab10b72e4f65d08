//! The benchmark's workload on Restate: runs of 10 durable steps that do nothing, as many at once as asked.
//!
//! `restate-peer SERVER CONFIG FOLDER CLIENTS RUNS` starts the server with a folder of its own, serves one service to
//! it, warms up, measures, checks that each step was performed once, and prints one JSON object. The server ends
//! with this process's last line, or with this process.

mod server;

use anyhow::{Context as _, Result, ensure};
use restate_sdk::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Steps of one run.
const STEPS: usize = 10;
/// Runs before the measured ones.
const WARM_UP: usize = 20;
/// How long one measurement may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Steps performed so far.
static PERFORMED: AtomicUsize = AtomicUsize::new(0);

struct Noop;

#[service]
impl Noop {
    #[handler]
    async fn steps(&self, ctx: Context<'_>, first: u64) -> Result<u64, HandlerError> {
        let mut sum = first;
        for n in 0..STEPS as u64 {
            let step = ctx.run(move || async move {
                PERFORMED.fetch_add(1, Ordering::SeqCst);
                Ok(n)
            });
            sum += step.await?;
        }
        Ok(sum)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, config, folder, clients, runs] = arguments.as_slice() else {
        anyhow::bail!("usage: restate-peer SERVER CONFIG FOLDER CLIENTS RUNS");
    };
    let (clients, runs) = (clients.parse()?, runs.parse()?);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let service = format!("http://{}", listener.local_addr()?);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let endpoint = Endpoint::builder().bind(Noop).build();
    let serving = tokio::spawn(HttpServer::new(endpoint).serve_with_cancel(listener, async {
        // An error means the other end is gone, which is what is waited for.
        let _ = stopped.await;
    }));
    let server = server::Server::start(server.as_ref(), config.as_ref(), folder.as_ref())?;
    let measured = tokio::time::timeout(PATIENCE, measure(&server, &service, clients, runs)).await;
    let ended = server.end().await;
    // The service may have ended by itself.
    let _ = stop.send(());
    drop(tokio::time::timeout(Duration::from_secs(5), serving).await);
    println!("{}", measured.context("the peer did not finish in time")??);
    ended
}

async fn measure(server: &server::Server, service: &str, clients: usize, runs: usize) -> Result<Value> {
    let client = reqwest::Client::new();
    server.register(&client, service).await?;
    load(&client, server.ingress(), 1, WARM_UP).await?;
    let (server_before, here_before) = (server.cpu_seconds()?, server::own_cpu_seconds()?);
    let begun = Instant::now();
    let mut latencies = load(&client, server.ingress(), clients, runs).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let cpu = server.cpu_seconds()? - server_before + server::own_cpu_seconds()? - here_before;
    let (expected, performed) = ((runs + WARM_UP) * STEPS, PERFORMED.load(Ordering::SeqCst));
    ensure!(performed == expected, "{expected} steps were asked for, {performed} were performed");
    let journaled = server.journaled_steps(&client).await?;
    ensure!(journaled == expected, "{expected} steps were performed, {journaled} are in the journal");
    latencies.sort_by(f64::total_cmp);
    let steps = (runs * STEPS) as f64;
    Ok(json!({
        "steps_per_s": steps / seconds,
        "cpu_us_per_step": cpu * 1e6 / steps,
        "p50_ms": latencies.get(latencies.len() / 2),
        "journaled": journaled,
    }))
}

/// Runs `total` runs from `clients` callers at once; gives the milliseconds of each.
async fn load(client: &reqwest::Client, ingress: &str, clients: usize, total: usize) -> Result<Vec<f64>> {
    let left = Arc::new(AtomicUsize::new(total));
    let url = format!("{ingress}/Noop/steps");
    let mut tasks = Vec::new();
    for _ in 0..clients {
        let (client, url, left) = (client.clone(), url.clone(), Arc::clone(&left));
        tasks.push(tokio::spawn(async move {
            let mut latencies = Vec::new();
            while left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
                let begun = Instant::now();
                let answer = client.post(&url).json(&7).send().await?.error_for_status()?;
                let sum: u64 = answer.json().await?;
                ensure!(sum == 7 + 45, "a run came to {sum}, not to 52");
                latencies.push(begun.elapsed().as_secs_f64() * 1000.0);
            }
            Ok(latencies)
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.context("a client failed")??);
    }
    Ok(all)
}
