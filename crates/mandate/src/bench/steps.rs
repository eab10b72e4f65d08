//! Steps of a 10-step Worker through the whole pipeline, beside the store's raw ceiling and a peer.

use crate::house::{House, STEPS};
use crate::load::load;
use crate::peer::Peer;
use crate::server::Server;
use crate::{audit, cpu, postgres};
use anyhow::{Context, Result};
use mandate_store::bench::{group_commit_ceiling, postgres_commit_ceiling};
use serde_json::{Map, Value, json};
use std::path::Path;

const WARM_UP: usize = 20;

/// What is measured.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// How many runs are under way at once
    #[arg(long, value_delimiter = ',', default_values_t = [1, 32, 256])]
    clients: Vec<usize>,
    /// Runs at each of these; by default enough for a second or more of work
    #[arg(long, default_value_t = 600)]
    runs: usize,
    /// Measure PostgreSQL as well, on a server of its own
    #[arg(long)]
    postgres: bool,
    /// The runs alone, without ceiling and audit: for a profile
    #[arg(long)]
    bare: bool,
    #[command(flatten)]
    peer: Peer,
}

/// Where a measurement's database is.
enum Place<'a> {
    /// A file of its own in the folder.
    Sqlite,
    /// A database of its own on a server.
    Postgres(&'a Server),
}

/// What came out at one concurrency.
struct Measured {
    rate: f64,
    p50: f64,
    cpu: f64,
    audited: Value,
}

/// One value for each concurrency, by name.
#[derive(Default)]
struct Report(Map<String, Value>);

impl Report {
    fn add(&mut self, name: &str, clients: usize, value: Value) {
        let of = self.0.entry(name).or_insert_with(|| json!({}));
        if let Value::Object(of) = of {
            of.insert(clients.to_string(), value);
        }
    }
}

/// Measures at each concurrency.
pub(crate) async fn measure(options: &Options) -> Result<Value> {
    let server = options.postgres.then(Server::start);
    let (mut report, mut beside) = (Report::default(), Report::default());
    for clients in &options.clients {
        let folder = std::env::temp_dir().join(format!("mandate-bench-{}-{clients}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let measured = side_by_side(&folder, *clients, options, &mut report).await;
        let measured = match (measured, &server) {
            (Ok(()), Some(server)) => {
                one(&folder, *clients, options, &Place::Postgres(server), &mut beside).await.map(drop)
            }
            (other, _) => other,
        };
        drop(std::fs::remove_dir_all(&folder));
        measured?;
    }
    let Report(mut all) = report;
    if server.is_some() {
        all.insert("postgres".to_owned(), Value::Object(beside.0));
    }
    all.insert("steps_per_run".to_owned(), json!(STEPS));
    all.insert("fsync".to_owned(), json!(true));
    Ok(Value::Object(all))
}

/// Ours, and right after it the peer's.
async fn side_by_side(folder: &Path, clients: usize, options: &Options, report: &mut Report) -> Result<()> {
    let ours = one(folder, clients, options, &Place::Sqlite, report).await?;
    let Some(peer) = options.peer.measure(&folder.join("peer"), clients, options.runs).await? else { return Ok(()) };
    let told = |name: &str| peer.get(name).and_then(Value::as_f64).with_context(|| format!("no {name} in {peer}"));
    let (rate, cpu) = (told("steps_per_s")?, told("cpu_us_per_step")?);
    report.add("peer", clients, json!(round(rate)));
    report.add("ratio_peer", clients, json!(round(ours.rate / rate)));
    report.add("peer_p50_ms", clients, json!(round(told("p50_ms")?)));
    report.add("peer_cpu_us_per_step", clients, json!(round(cpu)));
    report.add("ratio_peer_cpu", clients, json!(round(cpu / ours.cpu)));
    Ok(())
}

async fn one(
    folder: &Path,
    clients: usize,
    options: &Options,
    place: &Place<'_>,
    report: &mut Report,
) -> Result<Measured> {
    let ours = pipeline(folder, clients, options, place).await?;
    report.add("steps_per_s", clients, json!(round(ours.rate)));
    report.add("p50_ms", clients, json!(round(ours.p50)));
    report.add("cpu_us_per_step", clients, json!(round(ours.cpu)));
    if !options.bare {
        let commits = (STEPS + 1) * options.runs;
        let ceiling = match place {
            Place::Sqlite => group_commit_ceiling(&folder.join("ceiling.db"), clients, commits).await?,
            Place::Postgres(server) => postgres_commit_ceiling(postgres::config(server), clients, commits).await?,
        };
        report.add("ceiling", clients, json!(round(ceiling)));
        report.add("ratio", clients, json!((ours.rate / ceiling * 1000.0).round() / 1000.0));
        report.add("audited", clients, ours.audited.clone());
    }
    Ok(ours)
}

async fn pipeline(folder: &Path, clients: usize, options: &Options, place: &Place<'_>) -> Result<Measured> {
    let database = match place {
        Place::Sqlite => crate::database::Database::in_folder(folder)?,
        Place::Postgres(server) => postgres::database(server).await?,
    };
    let house = House::open(folder, database, STEPS).await?;
    load(&house.node, &house.context, &house.owner, 1, WARM_UP).await?;
    let before = cpu::seconds()?;
    let (elapsed, mut latencies) = load(&house.node, &house.context, &house.owner, clients, options.runs).await?;
    audit::until_sequenced(&house.context).await?;
    let steps = (options.runs * STEPS) as f64;
    let cpu = (cpu::seconds()? - before) * 1e6 / steps;
    latencies.sort_by(f64::total_cmp);
    let p50 = latencies.get(latencies.len() / 2).copied().unwrap_or_default();
    let audited = if options.bare {
        Value::Null
    } else {
        audit::audit(&house.node, &house.context, (options.runs + WARM_UP) * STEPS).await?
    };
    house.close().await;
    Ok(Measured { rate: steps / elapsed, p50, cpu, audited })
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// The report for people.
pub(crate) fn table(report: &Value, options: &Options) -> String {
    const COLUMNS: [&str; 9] = [
        "steps_per_s",
        "ceiling",
        "ratio",
        "p50_ms",
        "cpu_us_per_step",
        "peer",
        "ratio_peer",
        "peer_cpu_us_per_step",
        "ratio_peer_cpu",
    ];
    let mut text = format!("{:>8} {:>7}", "store", "clients");
    for column in COLUMNS {
        text += &format!("  {column:>15}");
    }
    for (store, of) in [("SQLite", Some(report)), ("Postgres", report.get("postgres"))] {
        let Some(of) = of else { continue };
        for clients in &options.clients {
            text += &format!("\n{store:>8} {clients:>7}");
            for column in COLUMNS {
                let cell = of.get(column).and_then(|values| values.get(clients.to_string()));
                text += &format!("  {:>15}", cell.map_or("-".to_owned(), Value::to_string));
            }
        }
    }
    text
}
