//! The tenant's ledger: entries waiting, the tree, its checkpoints.

use super::PostgresTenant;
use super::common::{bytes, number};
use super::fault::Reading;
use super::tenant::read;
use super::work::{Fate, Job, Lock, Work};
use crate::checked::CheckedRound;
use crate::codec::{digest, int, parse};
use async_trait::async_trait;
use mandate_journal::{Integration, Log, LogHead, PendingEntry, StoreError};
use mandate_kernel::Digest;
use mandate_ledger::Frontier;
use sqlx::Row;
use sqlx::postgres::PgRow;
use std::collections::BTreeMap;

/// Whatever waits, in the order of keys. Transactions end in another order than their keys were given in, so
/// that an entry may turn up before others that were seen: what is taken is named by its key and deleted, and
/// nobody remembers a "last" one.
const PENDING: &str = "SELECT key, bytes FROM ledger_pending WHERE tenant = $1 ORDER BY key LIMIT $2";
const HEAD: &str = "SELECT frontier, signed, cosigned, cosigned_size, size FROM ledger_heads WHERE tenant = $1";
const SIZE: &str = "SELECT size FROM ledger_heads WHERE tenant = $1";
/// Moves entries into the tree; an entry that is not waiting, or is named twice, is missed by the count.
const PLACE: &str = "WITH taken AS (
        DELETE FROM ledger_pending p USING unnest($2::bigint[], $3::bigint[]) AS t (key, idx)
        WHERE p.tenant = $1 AND p.key = t.key RETURNING p.tenant, t.idx, p.run, p.chain_seq, p.bytes)
    INSERT INTO ledger_entries (tenant, idx, run, chain_seq, bytes)
    SELECT tenant, idx, run, chain_seq, bytes FROM taken WHERE tenant = $1";
const NODES: &str = "INSERT INTO ledger_nodes (tenant, level, idx, hash)
    SELECT $1, n.level, n.idx, n.hash FROM unnest($2::smallint[], $3::bigint[], $4::bytea[]) AS n (level, idx, hash)";
/// Compares and swaps: no row, no round.
const GROW: &str = "INSERT INTO ledger_heads (tenant, size, frontier) VALUES ($1, $2, $3)
    ON CONFLICT (tenant) DO UPDATE SET size = excluded.size, frontier = excluded.frontier
    WHERE ledger_heads.size = $4";
/// Never back to a smaller tree, never ahead of the tree.
const SIGNED: &str = "UPDATE ledger_heads SET signed = $3, signed_size = $2
    WHERE tenant = $1 AND signed_size <= $2 AND size >= $2";
const COSIGNED: &str = "UPDATE ledger_heads SET cosigned = $3, cosigned_size = $2
    WHERE tenant = $1 AND cosigned_size <= $2 AND size >= $2";
const ENTRIES: &str = "SELECT idx, bytes FROM ledger_entries WHERE tenant = $1 AND idx >= $2 AND idx < $3 ORDER BY idx";
const HASHES: &str = "SELECT n.level, n.idx, n.hash FROM ledger_nodes n
    JOIN (SELECT DISTINCT level, idx FROM unnest($2::smallint[], $3::bigint[]) AS a (level, idx)) w
    ON w.level = n.level AND w.idx = n.idx WHERE n.tenant = $1";

fn corrupt<T>(why: String) -> Reading<T> {
    Err(StoreError::Corrupt(why).into())
}

async fn size(work: &mut Work) -> Reading<u64> {
    let row = work.one(work.query(SIZE)).await?;
    row.map_or(Ok(0), |row| number(&row, 0, "tree size"))
}

fn head(row: &PgRow) -> Reading<LogHead> {
    let frontier: Frontier = parse(bytes(row, 0)?, "the tree's frontier")?;
    let size: u64 = number(row, 4, "tree size")?;
    if frontier.size() != size {
        return corrupt(format!("the tree has size {size}, its frontier {}", frontier.size()));
    }
    let cosigned_size = number(row, 3, "size of the cosigned tree")?;
    Ok(LogHead { frontier, signed: row.try_get(1)?, cosigned: row.try_get(2)?, cosigned_size })
}

impl Job for CheckedRound {
    type Out = bool;
    type Error = StoreError;

    fn point(&self) -> &'static str {
        "store.integrate"
    }

    fn locks(&self) -> &'static [Lock] {
        &[Lock::Ledger]
    }

    async fn run(&self, work: &mut Work) -> Reading<bool> {
        let Self { round, frontier, contradiction } = self;
        if size(work).await? != round.from_size {
            return Ok(false);
        }
        if let Some(contradiction) = contradiction {
            return Err(contradiction.clone().into());
        }
        let keys: Vec<i64> = round.taken.iter().map(|key| int(*key)).collect();
        let indexes: Vec<i64> = round.taken.iter().zip(round.from_size..).map(|(_, index)| int(index)).collect();
        let placed = work.run(work.query(PLACE).bind(keys).bind(indexes)).await?;
        if placed != round.taken.len() as u64 {
            let asked = round.taken.len();
            return corrupt(format!("a sequencer round takes {asked} entries, of which {placed} are waiting"));
        }
        let levels: Vec<i16> = round.nodes.iter().map(|node| i16::from(node.level)).collect();
        let indexes: Vec<i64> = round.nodes.iter().map(|node| int(node.index)).collect();
        let hashes: Vec<&[u8]> = round.nodes.iter().map(|node| node.hash.as_bytes().as_slice()).collect();
        work.run(work.query(NODES).bind(levels).bind(indexes).bind(hashes)).await?;
        let query = work.query(GROW).bind(int(round.frontier.size())).bind(frontier.as_slice());
        match work.run(query.bind(int(round.from_size))).await? {
            1 => Ok(true),
            _ => corrupt("the tree grew while it was locked".to_owned()),
        }
    }

    /// The frontier shows whether it was written.
    async fn fate(&self, work: &mut Work) -> Reading<Fate<bool>> {
        let row = work.one(work.query(HEAD)).await?;
        let stored = row.as_ref().map(|row| bytes(row, 0)).transpose()?;
        let grew = self.round.frontier.size() > self.round.from_size;
        let known = size(work).await? <= self.round.frontier.size();
        Ok(match stored {
            Some(stored) if grew && stored == self.frontier.as_slice() => Fate::Made(true),
            _ if grew && known => Fate::NotMade,
            _ => Fate::Unknowable,
        })
    }
}

/// Records a checkpoint. One of a smaller tree than recorded is left alone: it says less.
struct Record {
    sql: &'static str,
    point: &'static str,
    at: u64,
    note: String,
}

impl Job for Record {
    type Out = ();
    type Error = StoreError;

    fn point(&self) -> &'static str {
        self.point
    }

    async fn run(&self, work: &mut Work) -> Reading<()> {
        let recorded = work.run(work.query(self.sql).bind(int(self.at)).bind(self.note.as_str())).await?;
        let now = size(work).await?;
        if recorded == 0 && self.at > now {
            return corrupt(format!("a checkpoint of size {} is ahead of the tree of size {now}", self.at));
        }
        Ok(())
    }
}

#[async_trait]
impl Log for PostgresTenant {
    async fn pending(&self, limit: usize) -> Result<Vec<PendingEntry>, StoreError> {
        read!(self, work => {
            let rows = work.all(work.query(PENDING).bind(int(limit as u64))).await?;
            let entry = |row: &PgRow| -> Reading<_> {
                Ok(PendingEntry { key: number(row, 0, "key of an entry")?, bytes: row.try_get(1)? })
            };
            rows.iter().map(entry).collect::<Reading<Vec<_>>>()?
        })
    }

    async fn head(&self) -> Result<LogHead, StoreError> {
        let empty = || LogHead { frontier: Frontier::new(), signed: None, cosigned: None, cosigned_size: 0 };
        read!(self, work => match work.one(work.query(HEAD)).await? {
            Some(row) => head(&row)?,
            None => empty(),
        })
    }

    async fn integrate(&self, round: Integration) -> Result<bool, StoreError> {
        self.write(&CheckedRound::new(round)?).await
    }

    async fn record_signed(&self, size: u64, note: String) -> Result<(), StoreError> {
        self.write(&Record { sql: SIGNED, point: "store.record-signed", at: size, note }).await
    }

    async fn record_cosigned(&self, size: u64, note: String) -> Result<(), StoreError> {
        self.write(&Record { sql: COSIGNED, point: "store.record-cosigned", at: size, note }).await
    }

    async fn entries(&self, from: u64, to: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        read!(self, work => {
            let rows = work.all(work.query(ENTRIES).bind(int(from)).bind(int(to))).await?;
            let mut entries = Vec::with_capacity(rows.len());
            for (row, expected) in rows.iter().zip(from..) {
                let index: u64 = number(row, 0, "tree index")?;
                if index != expected {
                    return corrupt(format!("the ledger has entry {index} where {expected} belongs"));
                }
                entries.push(row.try_get(1)?);
            }
            entries
        })
    }

    async fn nodes(&self, at: &[(u8, u64)]) -> Result<Vec<Option<Digest>>, StoreError> {
        let levels: Vec<i16> = at.iter().map(|(level, _)| i16::from(*level)).collect();
        let indexes: Vec<i64> = at.iter().map(|(_, index)| int(*index)).collect();
        read!(self, work => {
            let rows = work.all(work.query(HASHES).bind(levels.as_slice()).bind(indexes.as_slice())).await?;
            let mut found = BTreeMap::new();
            for row in &rows {
                let place: (i16, i64) = (row.try_get(0)?, row.try_get(1)?);
                found.insert(place, digest(bytes(row, 2)?, "a node of the tree")?);
            }
            at.iter().map(|(level, index)| found.get(&(i16::from(*level), int(*index))).copied()).collect()
        })
    }
}
