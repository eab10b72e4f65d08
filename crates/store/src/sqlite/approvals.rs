//! Approvals: asked once, settled once, withdrawn with their run.

use super::codec::{all, one, run};
use super::fault::{Halt, Reading, Writing};
use crate::checked::CheckedApproval;
use crate::codec::{PAGE, blob, digest, int, parse};
use mandate_journal::{ApprovalQuery, ApprovalRecord, ApprovalState, CommitError, Page, StoreError};
use mandate_kernel::{ApprovalId, RunId, Tenant, Timestamp};
use rusqlite::{Connection, Row, params};

const ASK: &str = "INSERT INTO approvals (tenant, approval, run, state, asked, proof) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (tenant, approval) DO NOTHING";
const SETTLE: &str = "UPDATE approvals SET state = ?4, decided_by = ?5, decided_at = ?6, answer = ?7,
    proof = coalesce(?8, proof)
    WHERE tenant = ?1 AND approval = ?2 AND run = ?3 AND state = 'pending'";
const WITHDRAW: &str = "UPDATE approvals SET state = 'withdrawn', decided_at = ?3
    WHERE tenant = ?1 AND run = ?2 AND state = 'pending'";
const ONE: &str = "SELECT asked, state, decided_by, decided_at, answer, proof FROM approvals
    WHERE tenant = ?1 AND approval = ?2";
const LIST: &str = "SELECT asked, state, decided_by, decided_at, answer, proof FROM approvals
    WHERE tenant = ?1 AND approval < coalesce(?2, 'apr_z') AND (?3 IS NULL OR state = ?3) ORDER BY approval DESC LIMIT ?4";
const LIST_OF_RUN: &str = "SELECT asked, state, decided_by, decided_at, answer, proof FROM approvals
    WHERE tenant = ?1 AND approval < coalesce(?2, 'apr_z') AND (?3 IS NULL OR state = ?3) AND run = ?5
    ORDER BY approval DESC LIMIT ?4";

/// Writes the changes; a run that has ended takes what is pending with it.
pub(super) fn write(
    conn: &Connection,
    tenant: &Tenant,
    of: &RunId,
    changes: &[CheckedApproval],
    ended: Option<Timestamp>,
) -> Writing<()> {
    let (tenant, of) = (tenant.as_str(), of.as_str());
    for change in changes {
        let (changed, approval, problem) = match change {
            CheckedApproval::Ask { approval, asked, proof } => {
                let state = ApprovalState::Pending.as_str();
                let row = params![tenant, approval.as_str(), of, state, asked, blob(proof.as_ref())];
                (run(conn, ASK, row)?, approval, "was asked for before")
            }
            CheckedApproval::Settle { approval, state, by, at, answer, proof } => {
                let (at, proof) = (at.as_millis(), blob(proof.as_ref()));
                let row = params![tenant, approval.as_str(), of, state.as_str(), by, at, answer, proof];
                (run(conn, SETTLE, row)?, approval, "is not pending in this run")
            }
        };
        if changed == 0 {
            return Err(CommitError::Invalid(format!("approval {approval} {problem}")).into());
        }
    }
    if let Some(at) = ended {
        run(conn, WITHDRAW, params![tenant, of, at.as_millis()])?;
    }
    Ok(())
}

fn record(row: &Row<'_>) -> Reading<ApprovalRecord> {
    let asked: ApprovalRecord = parse(row.get_ref(0)?.as_blob().unwrap_or_default(), "an approval")?;
    let state: String = row.get(1)?;
    let state = ApprovalState::ALL.iter().find(|known| known.as_str() == state).copied();
    let answer: Option<Vec<u8>> = row.get(4)?;
    let (at, proof): (Option<i64>, Option<Vec<u8>>) = (row.get(3)?, row.get(5)?);
    Ok(ApprovalRecord {
        state: state.ok_or_else(|| StoreError::Corrupt("an approval is in an unknown state".to_owned()))?,
        decided_by: row.get(2)?,
        decided_at: at.map(Timestamp::from_millis),
        answer: answer.map(|bytes| parse(&bytes, "an answer")).transpose()?,
        proof: proof.map(|bytes| digest(&bytes, "an approval's proof")).transpose()?,
        ..asked
    })
}

/// A row of a listing. One that can't be read must not hide the others.
fn readable(row: &Row<'_>) -> Reading<Option<ApprovalRecord>> {
    match record(row) {
        Ok(found) => Ok(Some(found)),
        Err(Halt::Told(error)) => {
            tracing::error!(%error, "an approval was left out: somebody changed the database");
            Ok(None)
        }
        Err(halt) => Err(halt),
    }
}

pub(super) fn find(conn: &Connection, tenant: &str, approval: &ApprovalId) -> Reading<Option<ApprovalRecord>> {
    let found = one(conn, ONE, params![tenant, approval.as_str()], record)?;
    match found {
        Some(found) if found.approval != *approval => {
            Err(StoreError::Corrupt(format!("approval {approval} holds {}", found.approval)).into())
        }
        other => Ok(other),
    }
}

pub(super) fn list(conn: &Connection, tenant: &str, query: &ApprovalQuery) -> Reading<Page<ApprovalRecord>> {
    let limit = query.limit.min(PAGE);
    let one_more = int(limit as u64 + 1);
    let before = query.before.as_ref().map(ApprovalId::as_str);
    let state = query.state.map(ApprovalState::as_str);
    let mut items = match &query.run {
        None => all(conn, LIST, params![tenant, before, state, one_more], readable)?,
        Some(of) => all(conn, LIST_OF_RUN, params![tenant, before, state, one_more, of.as_str()], readable)?,
    };
    let more = items.len() > limit;
    items.truncate(limit);
    Ok(Page { items: items.into_iter().flatten().collect(), more })
}
