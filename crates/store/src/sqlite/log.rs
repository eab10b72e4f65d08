//! The tenant's ledger: entries waiting, the tree, its checkpoints.

use super::TenantHandle;
use super::codec::{all, one, run};
use super::fault::Reading;
use crate::checked::CheckedRound;
use crate::codec::{blob, digest, int, nat, parse};
use async_trait::async_trait;
use mandate_journal::{Integration, Log, LogHead, PendingEntry, StoreError};
use mandate_kernel::{Digest, Tenant};
use mandate_ledger::Frontier;
use rusqlite::{Connection, Row, params};

const PENDING: &str = "SELECT key, bytes FROM ledger_pending WHERE tenant = ?1 ORDER BY key LIMIT ?2";
const HEAD: &str = "SELECT frontier, signed, cosigned, cosigned_size, size FROM ledger_heads WHERE tenant = ?1";
const SIZE: &str = "SELECT size FROM ledger_heads WHERE tenant = ?1";
const PLACE: &str = "INSERT INTO ledger_entries (tenant, idx, run, chain_seq, bytes)
    SELECT tenant, ?3, run, chain_seq, bytes FROM ledger_pending WHERE tenant = ?1 AND key = ?2";
const TAKEN: &str = "DELETE FROM ledger_pending WHERE tenant = ?1 AND key >= ?2 AND key <= ?3";
const NODE: &str = "INSERT INTO ledger_nodes (tenant, level, idx, hash) VALUES (?1, ?2, ?3, ?4)";
const GROW: &str = "INSERT INTO ledger_heads (tenant, size, frontier) VALUES (?1, ?2, ?3)
    ON CONFLICT (tenant) DO UPDATE SET size = excluded.size, frontier = excluded.frontier";
/// Never back to a smaller tree, never ahead of the tree.
const SIGNED: &str = "UPDATE ledger_heads SET signed = ?3, signed_size = ?2
    WHERE tenant = ?1 AND signed_size <= ?2 AND size >= ?2";
const COSIGNED: &str = "UPDATE ledger_heads SET cosigned = ?3, cosigned_size = ?2
    WHERE tenant = ?1 AND cosigned_size <= ?2 AND size >= ?2";
const ENTRIES: &str = "SELECT idx, bytes FROM ledger_entries WHERE tenant = ?1 AND idx >= ?2 AND idx < ?3 ORDER BY idx";
const HASH: &str = "SELECT hash FROM ledger_nodes WHERE tenant = ?1 AND level = ?2 AND idx = ?3";

fn corrupt<T>(why: String) -> Reading<T> {
    Err(StoreError::Corrupt(why).into())
}

fn size(conn: &Connection, tenant: &str) -> Reading<u64> {
    let found = one(conn, SIZE, [tenant], |row| Ok(nat(row.get(0)?, "tree size")?))?;
    Ok(found.unwrap_or(0))
}

fn head(row: &Row<'_>) -> Reading<LogHead> {
    let frontier: Frontier = parse(row.get_ref(0)?.as_blob().unwrap_or_default(), "the tree's frontier")?;
    let size: u64 = nat(row.get(4)?, "tree size")?;
    if frontier.size() != size {
        return corrupt(format!("the tree has size {size}, its frontier {}", frontier.size()));
    }
    let cosigned_size = nat(row.get(3)?, "size of the cosigned tree")?;
    Ok(LogHead { frontier, signed: row.get(1)?, cosigned: row.get(2)?, cosigned_size })
}

fn integrate(conn: &Connection, tenant: &Tenant, checked: &CheckedRound) -> Reading<bool> {
    let CheckedRound { round, frontier, contradiction } = checked;
    let tenant = tenant.as_str();
    if size(conn, tenant)? != round.from_size {
        return Ok(false);
    }
    if let Some(contradiction) = contradiction {
        return Err(contradiction.clone().into());
    }
    place(conn, tenant, round)?;
    let mut keep = conn.prepare_cached(NODE)?;
    for node in &round.nodes {
        keep.execute(params![tenant, node.level, int(node.index), blob(Some(&node.hash))])?;
    }
    run(conn, GROW, params![tenant, int(round.frontier.size()), frontier])?;
    Ok(true)
}

/// Moves the entries of a round from those that wait to their places in the tree.
fn place(conn: &Connection, tenant: &str, round: &Integration) -> Reading<()> {
    let mut place = conn.prepare_cached(PLACE)?;
    for (key, index) in round.taken.iter().zip(round.from_size..) {
        if place.execute(params![tenant, int(*key), int(index)])? != 1 {
            return corrupt(format!("a sequencer round takes entry {key}, which is not waiting"));
        }
    }
    // Keys that follow one another are taken away together. What stands between them may be another tenant's, or
    // have come later.
    for keys in round.taken.chunk_by(|a, b| a.checked_add(1) == Some(*b)) {
        if let (Some(first), Some(last)) = (keys.first(), keys.last()) {
            run(conn, TAKEN, params![tenant, int(*first), int(*last)])?;
        }
    }
    Ok(())
}

/// Records a checkpoint. One of a smaller tree than recorded is left alone: it says less.
fn record(conn: &Connection, tenant: &Tenant, sql: &str, at: u64, note: &str) -> Reading<()> {
    let recorded = run(conn, sql, params![tenant.as_str(), int(at), note])?;
    let now = size(conn, tenant.as_str())?;
    if recorded == 0 && at > now {
        return corrupt(format!("a checkpoint of size {at} is ahead of the tree of size {now}"));
    }
    Ok(())
}

#[async_trait]
impl Log for TenantHandle {
    async fn pending(&self, limit: usize) -> Result<Vec<PendingEntry>, StoreError> {
        let read = move |conn: &Connection, tenant: &str| {
            all(conn, PENDING, params![tenant, int(limit as u64)], |row| {
                Ok(PendingEntry { key: nat(row.get(0)?, "key of an entry")?, bytes: row.get(1)? })
            })
        };
        self.read(read).await
    }

    async fn head(&self) -> Result<LogHead, StoreError> {
        let found = self.read(|conn, tenant| one(conn, HEAD, [tenant], head)).await?;
        let empty = || LogHead { frontier: Frontier::new(), signed: None, cosigned: None, cosigned_size: 0 };
        Ok(found.unwrap_or_else(empty))
    }

    async fn integrate(&self, round: Integration) -> Result<bool, StoreError> {
        let round = CheckedRound::new(round)?;
        self.write("store.integrate", move |conn, tenant| integrate(conn, tenant, &round)).await
    }

    async fn record_signed(&self, size: u64, note: String) -> Result<(), StoreError> {
        self.write("store.record-signed", move |conn, tenant| record(conn, tenant, SIGNED, size, &note)).await
    }

    async fn record_cosigned(&self, size: u64, note: String) -> Result<(), StoreError> {
        self.write("store.record-cosigned", move |conn, tenant| record(conn, tenant, COSIGNED, size, &note)).await
    }

    async fn entries(&self, from: u64, to: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        let read = move |conn: &Connection, tenant: &str| {
            let rows = all(conn, ENTRIES, params![tenant, int(from), int(to)], |row| {
                Ok((nat::<u64>(row.get(0)?, "tree index")?, row.get::<_, Vec<u8>>(1)?))
            })?;
            match rows.iter().zip(from..).find(|((index, _), expected)| index != expected) {
                Some(((index, _), expected)) => {
                    corrupt(format!("the ledger has entry {index} where {expected} belongs"))
                }
                None => Ok(rows.into_iter().map(|(_, bytes)| bytes).collect()),
            }
        };
        self.read(read).await
    }

    async fn nodes(&self, at: &[(u8, u64)]) -> Result<Vec<Option<Digest>>, StoreError> {
        let at = at.to_vec();
        let read = move |conn: &Connection, tenant: &str| {
            let hash = |(level, index): &(u8, u64)| {
                one(conn, HASH, params![tenant, level, int(*index)], |row| {
                    Ok(digest(row.get_ref(0)?.as_blob().unwrap_or_default(), "a node of the tree")?)
                })
            };
            at.iter().map(hash).collect()
        };
        self.read(read).await
    }
}
