//! A transition: checked and encoded by whoever asks, then written by the writer thread in as few
//! statements as it takes.

use super::approvals;
use super::codec::{digest, int, json, named, nat, one, put, run};
use super::common::{blob, ensure_tenant, keep_payloads, revocations};
use super::entries::{self, Chained};
use super::fault::{Halt, Writing};
use mandate_journal::{
    ChainHead, CommitError, Fence, JOURNAL_VERSION, JournalEvent, LeaseChange, LeaseRecord, LeaseState, NewRun,
    RunStatus, SealedPayload, TimerChange, Transition,
};
use mandate_kernel::{RunId, StepKey, Tenant, Timestamp};
use rusqlite::{Connection, params};

/// The fence and the run's new state in one statement: no row, no step.
const ADVANCE: &str = "UPDATE run_state SET journal_seq = ?3, chain_next = ?4, chain_last = ?5
    WHERE tenant = ?1 AND run = ?2 AND journal_seq = ?6 AND epoch = ?7 AND chain_next = ?8 AND chain_last IS ?9
    AND (?10 IS NULL OR ?10 = (SELECT revocations FROM tenants WHERE tenant = ?1))";
/// The same with a new status. Apart, because naming `state` makes SQLite rewrite its index.
const ADVANCE_TO: &str = "UPDATE run_state SET journal_seq = ?3, chain_next = ?4, chain_last = ?5,
    state = ?11, status = ?12
    WHERE tenant = ?1 AND run = ?2 AND journal_seq = ?6 AND epoch = ?7 AND chain_next = ?8 AND chain_last IS ?9
    AND (?10 IS NULL OR ?10 = (SELECT revocations FROM tenants WHERE tenant = ?1))";
const POSITION: &str =
    "SELECT journal_seq, epoch, chain_next, chain_last FROM run_state WHERE tenant = ?1 AND run = ?2";

const STARTED_BEFORE: &str = "SELECT run FROM runs WHERE tenant = ?1 AND initiator = ?2 AND start_key = ?3";
const NEW_RUN: &str =
    "INSERT INTO runs (tenant, run, worker, initiator, start_key, new) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (tenant, run) DO NOTHING";
const NEW_STATE: &str = "INSERT INTO run_state
    (tenant, run, state, status, journal_seq, epoch, chain_next, chain_last) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

const EVENT: &str = "INSERT INTO journal (tenant, run, seq, event) VALUES (?1, ?2, ?3, ?4)";
const ADMIT: &str = "INSERT INTO admissions (tenant, run, step, attempt, request) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (tenant, run, step, attempt) DO NOTHING";
const INTEND: &str = "INSERT INTO leases (tenant, run, lease, step, attempt, credential, version, not_after)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (tenant, run, lease) DO NOTHING";
/// The first end stands: ending is idempotent.
const END: &str = "UPDATE leases SET ended_at = coalesce(ended_at, ?4) WHERE tenant = ?1 AND run = ?2 AND lease = ?3";
const SET_TIMER: &str = "INSERT INTO timers (tenant, run, name, due) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (tenant, run, name) DO UPDATE SET due = excluded.due";
const CLEAR_TIMER: &str = "DELETE FROM timers WHERE tenant = ?1 AND run = ?2 AND name = ?3";

/// A transition that agrees with itself and with its tenant, its values encoded.
#[derive(Debug)]
pub(super) struct Checked {
    tenant: Tenant,
    run: RunId,
    fence: Fence,
    create: Option<Creation>,
    events: Vec<(u64, Vec<u8>)>,
    ledger: Chained,
    after: ChainHead,
    admission: Option<mandate_journal::Admission>,
    leases: Vec<LeaseChange>,
    approvals: Vec<approvals::Change>,
    ended: Option<Timestamp>,
    timers: Vec<TimerChange>,
    payloads: Vec<SealedPayload>,
    status: Option<(&'static str, Vec<u8>)>,
}

#[derive(Debug)]
struct Creation {
    new: NewRun,
    initiator: String,
    json: Vec<u8>,
}

fn invalid<T>(why: String) -> Result<T, CommitError> {
    Err(CommitError::Invalid(why))
}

impl Checked {
    /// Everything that can be found out without the database.
    pub(super) fn new(tenant: &Tenant, t: Transition) -> Result<Self, CommitError> {
        if t.tenant != *tenant {
            return invalid(format!("it is for tenant {}, and was given to tenant {tenant}", t.tenant));
        }
        let events = encode_events(t.fence, &t.events)?;
        let ledger = entries::chained(t.entries, tenant, &t.run, t.chain)?;
        if let Some(admission) = &t.admission {
            of_run(&t.run, &admission.step, "the admission")?;
        }
        for lease in &t.leases {
            if let LeaseChange::Intend(lease) = lease {
                check_intent(&t.run, lease)?;
            }
        }
        let (approvals, ended) = (approvals::check(&t.run, t.approvals)?, approvals::end_of(t.status.as_ref()));
        let status = t.status.as_ref().map(encode_status).transpose()?;
        let create = t.create.map(|new| check_creation(tenant, &t.fence, &ledger.before, new)).transpose()?;
        if create.is_some() && status.is_none() {
            return invalid("a run that begins needs a status".to_owned());
        }
        Ok(Self {
            tenant: t.tenant,
            run: t.run,
            fence: t.fence,
            create,
            events,
            ledger,
            after: t.chain,
            admission: t.admission,
            leases: t.leases,
            approvals,
            ended,
            timers: t.timers,
            payloads: t.payloads,
            status,
        })
    }

    /// Writes it, or says why not.
    pub(super) fn write(&self, conn: &Connection) -> Writing<()> {
        match &self.create {
            Some(creation) => self.create(conn, creation)?,
            None => self.advance(conn)?,
        }
        let (tenant, run_id) = (self.tenant.as_str(), self.run.as_str());
        for (seq, event) in &self.events {
            put(conn, EVENT, params![tenant, run_id, int(*seq), event], "a journal event")?;
        }
        entries::append(conn, &self.tenant, &self.ledger.entries)?;
        self.admit(conn)?;
        self.lease(conn)?;
        approvals::write(conn, &self.tenant, &self.run, &self.approvals, self.ended)?;
        for timer in &self.timers {
            match timer {
                TimerChange::Set(t) => {
                    put(conn, SET_TIMER, params![tenant, run_id, t.name, t.due.as_millis()], "a timer")?;
                }
                TimerChange::Clear(name) => drop(run(conn, CLEAR_TIMER, params![tenant, run_id, name])?),
            }
        }
        keep_payloads(conn, &self.tenant, &self.payloads)?;
        Ok(())
    }

    /// The sequence number of the run's latest event once this is written.
    fn seq_after(&self) -> u64 {
        self.events.last().map_or(self.fence.journal_seq, |(seq, _)| *seq)
    }

    fn create(&self, conn: &Connection, creation: &Creation) -> Writing<()> {
        let (tenant, run_id) = (self.tenant.as_str(), self.run.as_str());
        ensure_tenant(conn, &self.tenant)?;
        self.refuse_revoked(conn)?;
        if let Some(key) = &creation.new.start_key {
            let before = one(conn, STARTED_BEFORE, params![tenant, creation.initiator, key], |row| {
                Ok(named::<RunId>(row.get(0)?, "run id")?)
            })?;
            if let Some(run) = before {
                return Err(CommitError::DuplicateStart { run }.into());
            }
        }
        let Creation { new, initiator, json } = creation;
        let row = params![tenant, run_id, new.worker.as_str(), initiator, new.start_key, json];
        if run(conn, NEW_RUN, row)? == 0 {
            return Err(self.fenced());
        }
        let (state, status) = self.status.as_ref().map_or(("", [].as_slice()), |(s, j)| (s, j.as_slice()));
        let (seq, epoch) = (int(self.seq_after()), int(self.fence.epoch));
        let last = blob(self.after.last.as_ref());
        let row = params![tenant, run_id, state, status, seq, epoch, self.after.next, last];
        put(conn, NEW_STATE, row, "a new run")?;
        Ok(())
    }

    fn advance(&self, conn: &Connection) -> Writing<()> {
        let (tenant, run_id, before) = (self.tenant.as_str(), self.run.as_str(), &self.ledger.before);
        let (seq, from, epoch) = (int(self.seq_after()), int(self.fence.journal_seq), int(self.fence.epoch));
        let (last, last_before) = (blob(self.after.last.as_ref()), blob(before.last.as_ref()));
        let seen = self.fence.revocations.map(int);
        let (next, next_before) = (self.after.next, before.next);
        let advanced = match &self.status {
            None => run(
                conn,
                ADVANCE,
                params![tenant, run_id, seq, next, last, from, epoch, next_before, last_before, seen],
            )?,
            Some((state, status)) => run(
                conn,
                ADVANCE_TO,
                params![tenant, run_id, seq, next, last, from, epoch, next_before, last_before, seen, state, status],
            )?,
        };
        if advanced == 1 { Ok(()) } else { Err(self.why_not(conn)?) }
    }

    /// Which part of the fence held the transition back. Whoever lost the run has to know that first.
    fn why_not(&self, conn: &Connection) -> Writing<Halt<CommitError>> {
        let found = one(conn, POSITION, params![self.tenant.as_str(), self.run.as_str()], |row| {
            let last: Option<Vec<u8>> = row.get(3)?;
            let last = last.map(|bytes| digest(&bytes, "chain head")).transpose()?;
            let next = nat(row.get(2)?, "chain length")?;
            Ok((
                nat::<u64>(row.get(0)?, "journal sequence")?,
                nat::<u64>(row.get(1)?, "epoch")?,
                ChainHead { next, last },
            ))
        })?;
        match found {
            Some((seq, epoch, chain)) if seq == self.fence.journal_seq && epoch == self.fence.epoch => {
                self.refuse_revoked(conn)?;
                debug_assert_ne!(chain, self.ledger.before, "the fence refused what it should have let pass");
                let why = format!("its ledger entries do not continue the chain of {} at {}", self.run, chain.next);
                Ok(CommitError::Invalid(why).into())
            }
            _ => Ok(self.fenced()),
        }
    }

    fn refuse_revoked(&self, conn: &Connection) -> Writing<()> {
        let Some(seen) = self.fence.revocations else { return Ok(()) };
        let now = revocations(conn, &self.tenant)?;
        if now == seen { Ok(()) } else { Err(CommitError::Revoked { tenant: self.tenant.clone(), now }.into()) }
    }

    fn fenced(&self) -> Halt<CommitError> {
        CommitError::Fenced { run: self.run.clone() }.into()
    }

    fn admit(&self, conn: &Connection) -> Writing<()> {
        let Some(admission) = &self.admission else { return Ok(()) };
        let (seq, attempt) = (admission.step.seq.0, admission.step.attempt.0);
        let request = blob(Some(&admission.request));
        match run(conn, ADMIT, params![self.tenant.as_str(), self.run.as_str(), seq, attempt, request])? {
            0 => Err(CommitError::AlreadyAdmitted { step: admission.step.to_string() }.into()),
            _ => Ok(()),
        }
    }

    fn lease(&self, conn: &Connection) -> Writing<()> {
        let (tenant, run_id) = (self.tenant.as_str(), self.run.as_str());
        for change in &self.leases {
            let (changed, lease, problem) = match change {
                LeaseChange::Intend(l) => {
                    let (seq, attempt, credential) = (l.step.seq.0, l.step.attempt.0, l.credential.as_str());
                    let not_after = l.not_after.as_millis();
                    let row = params![tenant, run_id, l.lease.as_str(), seq, attempt, credential, l.version, not_after];
                    (run(conn, INTEND, row)?, &l.lease, "was recorded before")
                }
                LeaseChange::End { lease, at } => {
                    let row = params![tenant, run_id, lease.as_str(), at.as_millis()];
                    (run(conn, END, row)?, lease, "was never recorded for this run")
                }
            };
            if changed == 0 {
                return Err(CommitError::Invalid(format!("lease {lease} {problem}")).into());
            }
        }
        Ok(())
    }
}

fn encode_events(fence: Fence, events: &[JournalEvent]) -> Result<Vec<(u64, Vec<u8>)>, CommitError> {
    let mut seq = fence.journal_seq;
    let mut out = Vec::with_capacity(events.len());
    for event in events {
        seq = seq.saturating_add(1);
        if event.seq != seq {
            return invalid(format!("journal event {} where {seq} is next", event.seq));
        }
        if event.v != JOURNAL_VERSION {
            return invalid(format!("journal event {seq} has version {}, and {JOURNAL_VERSION} is written", event.v));
        }
        out.push((seq, json(event, "a journal event")?));
    }
    Ok(out)
}

fn encode_status(status: &RunStatus) -> Result<(&'static str, Vec<u8>), CommitError> {
    Ok((status.state.as_str(), json(status, "the run's status")?))
}

fn check_creation(tenant: &Tenant, fence: &Fence, before: &ChainHead, new: NewRun) -> Result<Creation, CommitError> {
    if fence.journal_seq != 0 {
        return invalid(format!("a run can't begin at journal sequence {}", fence.journal_seq));
    }
    if (ChainHead { next: 0, last: None }) != *before {
        return invalid("the first ledger entry of a run has sequence number 0 and no predecessor".to_owned());
    }
    if new.initiator.tenant != *tenant {
        return invalid(format!("the initiator is of tenant {}, the run of {tenant}", new.initiator.tenant));
    }
    let json = json(&new, "the new run")?;
    Ok(Creation { initiator: new.initiator.subject(), new, json })
}

fn check_intent(run: &RunId, lease: &LeaseRecord) -> Result<(), CommitError> {
    of_run(run, &lease.step, "a lease")?;
    if lease.state == LeaseState::Intended {
        Ok(())
    } else {
        invalid(format!("lease {} is to be intended, but is ended already", lease.lease))
    }
}

fn of_run(run: &RunId, step: &StepKey, what: &'static str) -> Result<(), CommitError> {
    if step.run == *run { Ok(()) } else { invalid(format!("{what} is for attempt {step}, which is not of {run}")) }
}
