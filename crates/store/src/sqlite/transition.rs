//! A transition, written by the writer thread in as few statements as it takes.

use super::approvals;
use super::claims;
use super::codec::{one, one_row, put, run};
use super::common::{ensure_tenant, keep_payloads, revocations};
use super::entries;
use super::fault::{Halt, Writing};
use crate::checked::{CheckedTransition, Creation};
use crate::codec::{blob, digest, int, named, nat};
use mandate_journal::{ChainHead, Claim, CommitError, LeaseChange, NewClaim, TimerChange};
use mandate_kernel::RunId;
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

impl CheckedTransition {
    /// Writes it, or says why not.
    pub(super) fn write(&self, conn: &Connection) -> Writing<()> {
        match &self.create {
            Some(creation) => self.create(conn, creation)?,
            None => self.advance(conn)?,
        }
        let (tenant, run_id) = (self.tenant.as_str(), self.run.as_str());
        let mut add = conn.prepare_cached(EVENT)?;
        for (seq, event) in &self.events {
            one_row(add.execute(params![tenant, run_id, int(*seq), event])?, "a journal event")?;
        }
        drop(add);
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
        if let Some(NewClaim { node, lease }) = &self.claim {
            let claim = Claim { tenant: self.tenant.clone(), run: self.run.clone(), epoch: self.fence.epoch };
            claims::bind(conn, node, *lease, &claim)?;
        }
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
