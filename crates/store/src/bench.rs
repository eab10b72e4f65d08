//! The raw ceiling of a store: what it can do when nothing else is done.

use crate::{PostgresConfig, PostgresStore, Store, StoreConfig};
use mandate_journal::{
    Admission, ChainHead, Commit, CommitError, EventBody, Fence, JOURNAL_VERSION, JournalEvent, NewRun, RunState,
    RunStatus, StoreError, Transition,
};
use mandate_kernel::{
    Attempt, Caller, Class, Digest, Environment, Principal, ResourceName, RunId, StepKey, StepSeq, SystemEntropy,
    Tenant, Timestamp,
};
use mandate_ledger::{Event, EventKind, RunLink};
use std::path::Path;
use std::time::Instant;
use tokio::task::JoinSet;

/// Commits minimal transitions, each of one journal event, one ledger entry and one admission, from
/// `clients` tasks at once through the writer that everything else uses, and gives the rate in commits
/// per second. `total` is split evenly; all are prepared beforehand, so that only committing is timed.
/// `path` must not exist yet. Beside it the whole pipeline's rate is to be read.
///
/// # Errors
/// [`CommitError`] when the store fails.
pub async fn group_commit_ceiling(path: &Path, clients: usize, total: usize) -> Result<f64, CommitError> {
    let store = Store::open(StoreConfig::new(path))?;
    let tenant = Tenant::new("bench").map_err(broken)?;
    let rate = commit_rate(&store.of(&Caller::system(tenant.clone(), "bench")), &tenant, clients, total).await?;
    store.close().await;
    Ok(rate)
}

/// The same on a PostgreSQL database, which must hold nothing of a tenant `bench` yet.
///
/// # Errors
/// [`CommitError`] when the store fails.
pub async fn postgres_commit_ceiling(config: PostgresConfig, clients: usize, total: usize) -> Result<f64, CommitError> {
    let store = PostgresStore::open(config).await?;
    let tenant = Tenant::new("bench").map_err(broken)?;
    let rate = commit_rate(&store.of(&Caller::system(tenant.clone(), "bench")), &tenant, clients, total).await?;
    store.close().await;
    Ok(rate)
}

async fn commit_rate<S>(handle: &S, tenant: &Tenant, clients: usize, total: usize) -> Result<f64, CommitError>
where
    S: Commit + Clone + 'static,
{
    let each = total.div_ceil(clients.max(1));
    let mut scripts = Vec::with_capacity(clients);
    for _ in 0..clients {
        let (start, steps) = script(tenant, each)?;
        handle.commit(start).await?;
        scripts.push(steps);
    }
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for steps in scripts {
        let handle = handle.clone();
        tasks.spawn(async move {
            for step in steps {
                handle.commit(step).await?;
            }
            Ok::<(), CommitError>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(broken)??;
    }
    Ok((each * clients) as f64 / began.elapsed().as_secs_f64())
}

/// Commits `runs` runs that have begun and ended, each in one transition, from as many tasks at once as one group
/// commit takes. `handle` must be of `tenant`; the runs are older than any that begins now.
///
/// # Errors
/// [`CommitError`] when the store fails.
pub async fn fill_with_finished_runs<S>(handle: &S, tenant: &Tenant, runs: usize) -> Result<(), CommitError>
where
    S: Commit + Clone + 'static,
{
    const AT_ONCE: usize = 256;
    let workers = ["bench/often", "bench/sometimes", "bench/rarely"];
    for first in (0..runs).step_by(AT_ONCE) {
        let mut tasks = JoinSet::new();
        for n in first..runs.min(first + AT_ONCE) {
            // Of a thousand runs one is of the last Worker, and a hundred are of the second.
            let worker = workers.get(usize::from(n % 10 == 0) + usize::from(n % 1000 == 0)).copied();
            let at = Timestamp::from_millis(1_600_000_000_000 + n as i64);
            let finished = finished(tenant, worker.unwrap_or("bench/often"), at)?;
            let handle = handle.clone();
            tasks.spawn(async move { handle.commit(finished).await });
        }
        while let Some(done) = tasks.join_next().await {
            done.map_err(broken)??;
        }
    }
    Ok(())
}

/// The transition of a run that begins and ends at once.
fn finished(tenant: &Tenant, worker: &str, at: Timestamp) -> Result<Transition, CommitError> {
    let run = RunId::generate(at, &SystemEntropy).map_err(broken)?;
    let body = EventBody::Ended { output: None, artifact: None, problem: None };
    let chain = ChainHead { next: 0, last: None };
    Ok(Transition {
        create: Some(new_run(tenant, worker, at)?),
        status: Some(RunStatus { state: RunState::Completed, waiting_for: None, since: at, problem: None }),
        events: vec![JournalEvent { v: JOURNAL_VERSION, seq: 1, at, body }],
        ..bare(tenant, &run, Fence { journal_seq: 0, epoch: 1, revocations: None }, chain)
    })
}

fn new_run(tenant: &Tenant, worker: &str, at: Timestamp) -> Result<NewRun, CommitError> {
    Ok(NewRun {
        worker: ResourceName::new(worker).map_err(broken)?,
        worker_version: Digest::of(b"bench"),
        environment: Environment::new("bench").map_err(broken)?,
        purpose: "measure".to_owned(),
        class: Class::default(),
        initiator: Principal::system(tenant.clone(), "bench"),
        started_at: at,
        header: serde_json::Value::Null,
        start_key: None,
    })
}

/// A transition of nothing.
fn bare(tenant: &Tenant, run: &RunId, fence: Fence, chain: ChainHead) -> Transition {
    Transition {
        tenant: tenant.clone(),
        run: run.clone(),
        fence,
        create: None,
        claim: None,
        events: Vec::new(),
        entries: Vec::new(),
        chain,
        admission: None,
        leases: Vec::new(),
        approvals: Vec::new(),
        timers: Vec::new(),
        payloads: Vec::new(),
        status: None,
    }
}

fn broken(error: impl std::fmt::Display) -> CommitError {
    CommitError::Store(StoreError::Unavailable(format!("the measurement could not be set up: {error}")))
}

/// The transition that makes a run, and those of its steps.
fn script(tenant: &Tenant, steps: usize) -> Result<(Transition, Vec<Transition>), CommitError> {
    let run = RunId::generate(Timestamp::EPOCH, &SystemEntropy).map_err(broken)?;
    let mut chain = ChainHead { next: 0, last: None };
    let mut start = step(tenant, &run, 0, &mut chain)?;
    start.admission = None;
    start.create = Some(new_run(tenant, "bench/no-op", Timestamp::EPOCH)?);
    start.status =
        Some(RunStatus { state: RunState::Running, waiting_for: None, since: Timestamp::EPOCH, problem: None });
    let steps: Result<Vec<_>, CommitError> = (1..=steps as u64).map(|n| step(tenant, &run, n, &mut chain)).collect();
    Ok((start, steps?))
}

/// The `n`-th transition of a run, from 0.
fn step(tenant: &Tenant, run: &RunId, n: u64, chain: &mut ChainHead) -> Result<Transition, CommitError> {
    let kind = if n == 0 { EventKind::RunStarted } else { EventKind::StepDecided };
    let link = RunLink { run: run.clone(), seq: chain.next, prev: chain.last };
    let event = Event {
        time: Timestamp::EPOCH,
        tenant: tenant.clone(),
        kind,
        actor: "system:bench".to_owned(),
        run: Some(link),
        details: serde_json::json!({"status": "allow", "step": n}),
    };
    let entry = event.encode().map_err(broken)?;
    *chain = ChainHead { next: chain.next + 1, last: Some(entry.leaf_hash()) };
    let seq = u32::try_from(n).map_err(broken)?;
    let step = StepKey { run: run.clone(), seq: StepSeq(seq), attempt: Attempt(1) };
    let journal =
        JournalEvent { v: JOURNAL_VERSION, seq: n + 1, at: Timestamp::EPOCH, body: EventBody::Woke { timer: seq } };
    let fence = Fence { journal_seq: n, epoch: 1, revocations: Some(0) };
    Ok(Transition {
        events: vec![journal],
        entries: vec![entry],
        admission: Some(Admission { step, request: Digest::of(run.as_str().as_bytes()) }),
        ..bare(tenant, run, fence, *chain)
    })
}
