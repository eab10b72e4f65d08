//! Approvals: asked once, settled once, withdrawn with their run.

use super::common::bytes;
use super::fault::{Halt, Reading, Writing};
use super::work::Work;
use crate::checked::CheckedApproval;
use crate::codec::{PAGE, blob, digest, int, parse};
use mandate_journal::{ApprovalQuery, ApprovalRecord, ApprovalState, CommitError, Page, StoreError};
use mandate_kernel::{ApprovalId, RunId, Timestamp};
use sqlx::Row;
use sqlx::postgres::PgRow;

const ASK: &str = "INSERT INTO approvals (tenant, approval, run, state, asked, proof) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (tenant, approval) DO NOTHING";
const SETTLE: &str = "UPDATE approvals SET state = $4, decided_by = $5, decided_at = $6, answer = $7,
    proof = coalesce($8, proof)
    WHERE tenant = $1 AND approval = $2 AND run = $3 AND state = 'pending'";
const WITHDRAW: &str = "UPDATE approvals SET state = 'withdrawn', decided_at = $3
    WHERE tenant = $1 AND run = $2 AND state = 'pending'";
const ONE: &str = "SELECT asked, state, decided_by, decided_at, answer, proof FROM approvals
    WHERE tenant = $1 AND approval = $2";
const LIST: &str = "SELECT asked, state, decided_by, decided_at, answer, proof FROM approvals
    WHERE tenant = $1 AND approval < coalesce($2::text, 'apr_z') AND ($3::text IS NULL OR state = $3)
    ORDER BY approval DESC LIMIT $4";
const LIST_OF_RUN: &str = "SELECT asked, state, decided_by, decided_at, answer, proof FROM approvals
    WHERE tenant = $1 AND approval < coalesce($2::text, 'apr_z') AND ($3::text IS NULL OR state = $3) AND run = $5
    ORDER BY approval DESC LIMIT $4";

/// Writes the changes; a run that has ended takes what is pending with it.
pub(super) async fn write(
    work: &mut Work,
    of: &RunId,
    changes: &[CheckedApproval],
    ended: Option<Timestamp>,
) -> Writing<()> {
    for change in changes {
        let (query, approval, problem) = match change {
            CheckedApproval::Ask { approval, asked, proof } => {
                let query = work.query(ASK).bind(approval.as_str()).bind(of.as_str());
                let query =
                    query.bind(ApprovalState::Pending.as_str()).bind(asked.as_slice()).bind(blob(proof.as_ref()));
                (query, approval, "was asked for before")
            }
            CheckedApproval::Settle { approval, state, by, at, answer, proof } => {
                let query = work.query(SETTLE).bind(approval.as_str()).bind(of.as_str()).bind(state.as_str());
                let query = query.bind(by.as_deref()).bind(at.as_millis()).bind(answer.as_deref());
                let query = query.bind(blob(proof.as_ref()));
                (query, approval, "is not pending in this run")
            }
        };
        if work.run(query).await? == 0 {
            return Err(CommitError::Invalid(format!("approval {approval} {problem}")).into());
        }
    }
    if let Some(at) = ended {
        work.run(work.query(WITHDRAW).bind(of.as_str()).bind(at.as_millis())).await?;
    }
    Ok(())
}

fn record(row: &PgRow) -> Reading<ApprovalRecord> {
    let asked: ApprovalRecord = parse(bytes(row, 0)?, "an approval")?;
    let state: &str = row.try_get(1)?;
    let state = ApprovalState::ALL.iter().find(|known| known.as_str() == state).copied();
    let answer: Option<&[u8]> = row.try_get(4)?;
    let (at, proof): (Option<i64>, Option<&[u8]>) = (row.try_get(3)?, row.try_get(5)?);
    Ok(ApprovalRecord {
        state: state.ok_or_else(|| StoreError::Corrupt("an approval is in an unknown state".to_owned()))?,
        decided_by: row.try_get(2)?,
        decided_at: at.map(Timestamp::from_millis),
        answer: answer.map(|bytes| parse(bytes, "an answer")).transpose()?,
        proof: proof.map(|bytes| digest(bytes, "an approval's proof")).transpose()?,
        ..asked
    })
}

/// A row of a listing. One that can't be read must not hide the others.
fn readable(row: &PgRow) -> Reading<Option<ApprovalRecord>> {
    match record(row) {
        Ok(found) => Ok(Some(found)),
        Err(Halt::Told(error)) => {
            tracing::error!(%error, "an approval was left out: somebody changed the database");
            Ok(None)
        }
        Err(halt) => Err(halt),
    }
}

/// One approval.
pub(super) async fn find(work: &mut Work, approval: &ApprovalId) -> Reading<Option<ApprovalRecord>> {
    let row = work.one(work.query(ONE).bind(approval.as_str())).await?;
    match row.as_ref().map(record).transpose()? {
        Some(found) if found.approval != *approval => {
            Err(StoreError::Corrupt(format!("approval {approval} holds {}", found.approval)).into())
        }
        other => Ok(other),
    }
}

/// Approvals, newest first.
pub(super) async fn list(work: &mut Work, query: &ApprovalQuery) -> Reading<Page<ApprovalRecord>> {
    let limit = query.limit.min(PAGE);
    let sql = if query.run.is_some() { LIST_OF_RUN } else { LIST };
    let asked = work.query(sql).bind(query.before.as_ref().map(ApprovalId::as_str));
    let asked = asked.bind(query.state.map(ApprovalState::as_str)).bind(int(limit as u64 + 1));
    let asked = match &query.run {
        Some(of) => asked.bind(of.as_str()),
        None => asked,
    };
    let rows = work.all(asked).await?;
    let more = rows.len() > limit;
    let items: Reading<Vec<_>> = rows.iter().take(limit).map(readable).collect();
    Ok(Page { items: items?.into_iter().flatten().collect(), more })
}
