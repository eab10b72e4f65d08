//! A transition, written in as few statements as it takes.

use super::approvals;
use super::claims;
use super::common::{EntryColumns, append, bytes, ensure_tenant, keep_payloads, number, owned, revocations};
use super::fault::{Halt, Reading, Writing, holds_nul};
use super::work::{Fate, Job, Work};
use crate::checked::{CheckedTransition, Creation};
use crate::codec::{digest, int, named};
use mandate_journal::{ChainHead, CommitError, LeaseChange, LeaseRecord, TimerChange};
use mandate_kernel::RunId;
use sqlx::Row;

/// A step in one statement, because each costs a round trip: the fence with the run's new state, and, if it let
/// the step pass, the events, the ledger entries and the admission. Entries get their keys in their order, and
/// after the run's row is locked. A state that stays the same touches no index.
const STEP: &str = "WITH advanced AS (
        UPDATE run_state SET journal_seq = $3, chain_next = $4, chain_last = $5,
            state = coalesce($19::text, state), status = coalesce($20::bytea, status)
        WHERE tenant = $1 AND run = $2 AND journal_seq = $6 AND epoch = $7 AND chain_next = $8
            AND chain_last IS NOT DISTINCT FROM $9
            AND ($10::bigint IS NULL OR $10 = (SELECT revocations FROM tenants WHERE tenant = $1))
        RETURNING 1
    ), events AS (
        INSERT INTO journal (tenant, run, seq, event)
        SELECT $1, $2, e.seq, e.event FROM unnest($11::bigint[], $12::bytea[]) AS e (seq, event)
        WHERE EXISTS (SELECT 1 FROM advanced)
    ), entries AS (
        INSERT INTO ledger_pending (tenant, run, chain_seq, bytes)
        SELECT $1, e.run, e.chain_seq, e.bytes
        FROM unnest($13::text[], $14::bigint[], $15::bytea[]) WITH ORDINALITY AS e (run, chain_seq, bytes, place)
        WHERE EXISTS (SELECT 1 FROM advanced) ORDER BY e.place
    ), admitted AS (
        INSERT INTO admissions (tenant, run, step, attempt, request)
        SELECT $1, $2, $16::bigint, $17::bigint, $18::bytea FROM advanced WHERE $16 IS NOT NULL
        ON CONFLICT (tenant, run, step, attempt) DO NOTHING RETURNING 1
    ) SELECT (SELECT count(*) FROM advanced), (SELECT count(*) FROM admitted)";
const POSITION: &str =
    "SELECT journal_seq, epoch, chain_next, chain_last FROM run_state WHERE tenant = $1 AND run = $2";
/// Waits for whoever is moving the run.
const POSITION_AT_LAST: &str =
    "SELECT journal_seq, epoch, chain_next, chain_last FROM run_state WHERE tenant = $1 AND run = $2 FOR UPDATE";
const EVENT_AT: &str = "SELECT event FROM journal WHERE tenant = $1 AND run = $2 AND seq = $3";

const STARTED_BEFORE: &str = "SELECT run FROM runs WHERE tenant = $1 AND initiator = $2 AND start_key = $3";
/// Neither the id nor the start key may be there; whoever is about to write either is waited for.
const NEW_RUN: &str = "INSERT INTO runs (tenant, run, worker, initiator, start_key, new)
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
const NEW_STATE: &str = "INSERT INTO run_state
    (tenant, run, state, status, journal_seq, epoch, chain_next, chain_last) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

const EVENTS: &str = "INSERT INTO journal (tenant, run, seq, event)
    SELECT $1, $2, e.seq, e.event FROM unnest($3::bigint[], $4::bytea[]) AS e (seq, event)";
const ADMIT: &str = "INSERT INTO admissions (tenant, run, step, attempt, request) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (tenant, run, step, attempt) DO NOTHING";
const INTEND: &str = "INSERT INTO leases (tenant, run, lease, step, attempt, credential, version, not_after)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (tenant, run, lease) DO NOTHING";
/// The first end stands: ending is idempotent.
const END: &str = "UPDATE leases SET ended_at = coalesce(ended_at, $4) WHERE tenant = $1 AND run = $2 AND lease = $3";
const SET_TIMER: &str = "INSERT INTO timers (tenant, run, name, due) VALUES ($1, $2, $3, $4)
    ON CONFLICT (tenant, run, name) DO UPDATE SET due = excluded.due";
const CLEAR_TIMER: &str = "DELETE FROM timers WHERE tenant = $1 AND run = $2 AND name = $3";

/// Where a run stands.
struct Stand {
    seq: u64,
    epoch: u64,
    chain: ChainHead,
}

impl Job for CheckedTransition {
    type Out = ();
    type Error = CommitError;

    fn point(&self) -> &'static str {
        "store.transition"
    }

    fn decides(&self) -> bool {
        self.fence.revocations.is_some()
    }

    async fn run(&self, work: &mut Work) -> Writing<()> {
        match write(self, work).await {
            Err(Halt::Sql(error)) if holds_nul(&error) => {
                let why = "a text in it holds a NUL character, which PostgreSQL can't store".to_owned();
                Err(CommitError::Invalid(why).into())
            }
            written => written,
        }
    }

    /// Events and entries show whether it was written: nobody else could have moved the run to the same place.
    async fn fate(&self, work: &mut Work) -> Reading<Fate<()>> {
        if let Some(creation) = &self.create
            && insert_run(self, creation, work).await? == 1
        {
            return Ok(Fate::NotMade);
        }
        let Some(stand) = stand(self, work, POSITION_AT_LAST).await? else { return Ok(Fate::NotMade) };
        if let Some((seq, event)) = self.events.last() {
            let query = work.query(EVENT_AT).bind(self.run.to_string()).bind(int(*seq));
            let row = work.one(query).await?;
            let mine = row.map(|row| Ok::<_, Halt<_>>(bytes(&row, 0)? == event)).transpose()?.unwrap_or(false);
            return Ok(if mine { Fate::Made(()) } else { Fate::NotMade });
        }
        let (before, after) = (self.ledger.before, self.after);
        Ok(match stand.chain {
            _ if before == after => Fate::Unknowable,
            chain if chain == after => Fate::Made(()),
            chain if chain == before => Fate::NotMade,
            _ => Fate::Unknowable,
        })
    }
}

async fn write(t: &CheckedTransition, work: &mut Work) -> Writing<()> {
    let run = t.run.as_str();
    match &t.create {
        Some(creation) => {
            create(t, creation, work).await?;
            let (seqs, events) = event_columns(t);
            work.run(work.query(EVENTS).bind(run).bind(seqs).bind(events)).await?;
            append(work, &t.ledger.entries).await?;
            admit(t, work).await?;
        }
        None => advance(t, work).await?,
    }
    for change in &t.leases {
        lease(run, change, work).await?;
    }
    approvals::write(work, &t.run, &t.approvals, t.ended).await?;
    for timer in &t.timers {
        let query = match timer {
            TimerChange::Set(timer) => {
                work.query(SET_TIMER).bind(run).bind(timer.name.as_str()).bind(timer.due.as_millis())
            }
            TimerChange::Clear(name) => work.query(CLEAR_TIMER).bind(run).bind(name.as_str()),
        };
        work.run(query).await?;
    }
    keep_payloads(work, &t.payloads).await?;
    Ok(())
}

async fn insert_run(t: &CheckedTransition, creation: &Creation, work: &mut Work) -> Result<u64, sqlx::Error> {
    let Creation { new, initiator, json } = creation;
    let query = work.query(NEW_RUN).bind(t.run.as_str()).bind(new.worker.as_str()).bind(initiator.as_str());
    work.run(query.bind(new.start_key.as_deref()).bind(json.as_slice())).await
}

async fn create(t: &CheckedTransition, creation: &Creation, work: &mut Work) -> Writing<()> {
    ensure_tenant(work).await?;
    refuse_revoked(t, work).await?;
    if insert_run(t, creation, work).await? == 0 {
        if let Some(key) = &creation.new.start_key {
            let query = work.query(STARTED_BEFORE).bind(creation.initiator.as_str()).bind(key.as_str());
            if let Some(row) = work.one(query).await? {
                let run = named::<RunId>(row.try_get(0)?, "run id")?;
                return Err(CommitError::DuplicateStart { run }.into());
            }
        }
        return Err(fenced(t));
    }
    let (state, status) = t.status.as_ref().map_or(("", [].as_slice()), |(s, j)| (s, j.as_slice()));
    let query = work.query(NEW_STATE).bind(t.run.as_str()).bind(state).bind(status);
    let query = query.bind(int(t.seq_after())).bind(int(t.fence.epoch));
    work.run(query.bind(i64::from(t.after.next)).bind(owned(t.after.last.as_ref()))).await?;
    if let Some(claim) = &t.claim {
        claims::begin(work, claim, &t.run, t.fence.epoch).await?;
    }
    Ok(())
}

fn event_columns(t: &CheckedTransition) -> (Vec<i64>, Vec<&[u8]>) {
    t.events.iter().map(|(seq, event)| (int(*seq), event.as_slice())).unzip()
}

async fn advance(t: &CheckedTransition, work: &mut Work) -> Writing<()> {
    let before = &t.ledger.before;
    let query = work.query(STEP);
    let query = query.bind(t.run.as_str()).bind(int(t.seq_after()));
    let query = query.bind(i64::from(t.after.next)).bind(owned(t.after.last.as_ref()));
    let query = query.bind(int(t.fence.journal_seq)).bind(int(t.fence.epoch));
    let query = query.bind(i64::from(before.next)).bind(owned(before.last.as_ref()));
    let query = query.bind(t.fence.revocations.map(int));
    let (seqs, events) = event_columns(t);
    let EntryColumns { runs, places, bytes } = EntryColumns::of(&t.ledger.entries);
    let query = query.bind(seqs).bind(events).bind(runs).bind(places).bind(bytes);
    let admission = t.admission.as_ref();
    let query = query.bind(admission.map(|a| i64::from(a.step.seq.0)));
    let query = query.bind(admission.map(|a| i64::from(a.step.attempt.0)));
    let query = query.bind(owned(admission.map(|a| &a.request)));
    let (state, status) = t.status.as_ref().map(|(state, status)| (*state, status.as_slice())).unzip();
    let query = query.bind(state).bind(status);
    let row = work.one(query).await?;
    let counted = |at| row.as_ref().map_or(Ok(0u64), |row| number(row, at, "a count"));
    match (counted(0)?, counted(1)?, admission) {
        (0, ..) => Err(why_not(t, work).await?),
        (_, 0, Some(spent)) => Err(CommitError::AlreadyAdmitted { step: spent.step.to_string() }.into()),
        _ => Ok(()),
    }
}

async fn stand(t: &CheckedTransition, work: &mut Work, sql: &'static str) -> Reading<Option<Stand>> {
    let Some(row) = work.one(work.query(sql).bind(t.run.to_string())).await? else { return Ok(None) };
    let last: Option<&[u8]> = row.try_get(3)?;
    let last = last.map(|bytes| digest(bytes, "chain head")).transpose()?;
    let chain = ChainHead { next: number(&row, 2, "chain length")?, last };
    Ok(Some(Stand { seq: number(&row, 0, "journal sequence")?, epoch: number(&row, 1, "epoch")?, chain }))
}

/// Which part of the fence held the transition back. Whoever lost the run has to know that first.
async fn why_not(t: &CheckedTransition, work: &mut Work) -> Writing<Halt<CommitError>> {
    match stand(t, work, POSITION).await? {
        Some(found) if found.seq == t.fence.journal_seq && found.epoch == t.fence.epoch => {
            refuse_revoked(t, work).await?;
            if found.chain == t.ledger.before {
                // It came to stand there after the fence had looked: somebody else is moving it.
                return Ok(fenced(t));
            }
            let why = format!("its ledger entries do not continue the chain of {} at {}", t.run, found.chain.next);
            Ok(CommitError::Invalid(why).into())
        }
        _ => Ok(fenced(t)),
    }
}

async fn refuse_revoked(t: &CheckedTransition, work: &mut Work) -> Writing<()> {
    let Some(seen) = t.fence.revocations else { return Ok(()) };
    let now = revocations(work).await?;
    if now == seen { Ok(()) } else { Err(CommitError::Revoked { tenant: t.tenant.clone(), now }.into()) }
}

fn fenced(t: &CheckedTransition) -> Halt<CommitError> {
    CommitError::Fenced { run: t.run.clone() }.into()
}

async fn admit(t: &CheckedTransition, work: &mut Work) -> Writing<()> {
    let Some(admission) = &t.admission else { return Ok(()) };
    let (seq, attempt) = (i64::from(admission.step.seq.0), i64::from(admission.step.attempt.0));
    let query = work.query(ADMIT).bind(t.run.as_str()).bind(seq).bind(attempt);
    match work.run(query.bind(owned(Some(&admission.request)))).await? {
        0 => Err(CommitError::AlreadyAdmitted { step: admission.step.to_string() }.into()),
        _ => Ok(()),
    }
}

async fn lease(run: &str, change: &LeaseChange, work: &mut Work) -> Writing<()> {
    let (query, lease, problem) = match change {
        LeaseChange::Intend(LeaseRecord { lease, step, credential, version, not_after, .. }) => {
            let query = work.query(INTEND).bind(run).bind(lease.as_str());
            let query = query.bind(i64::from(step.seq.0)).bind(i64::from(step.attempt.0));
            let query = query.bind(credential.as_str()).bind(i64::from(*version)).bind(not_after.as_millis());
            (query, lease, "was recorded before")
        }
        LeaseChange::End { lease, at } => (
            work.query(END).bind(run).bind(lease.as_str()).bind(at.as_millis()),
            lease,
            "was never recorded for this run",
        ),
    };
    match work.run(query).await? {
        0 => Err(CommitError::Invalid(format!("lease {lease} {problem}")).into()),
        _ => Ok(()),
    }
}
