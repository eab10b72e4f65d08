//! Writes ledger entries.

use super::codec::one_row;
use super::fault::Reading;
use mandate_kernel::Tenant;
use mandate_ledger::Entry;
use rusqlite::{Connection, params};

const APPEND: &str = "INSERT INTO ledger_pending (tenant, run, chain_seq, bytes) VALUES (?1, ?2, ?3, ?4)";

/// Writes entries, for the sequencer to find.
pub(super) fn append(conn: &Connection, tenant: &Tenant, entries: &[Entry]) -> Reading<()> {
    let mut append = conn.prepare_cached(APPEND)?;
    for entry in entries {
        let (of, seq) = entry.link().map(|link| (link.run.as_str(), link.seq)).unzip();
        one_row(append.execute(params![tenant.as_str(), of, seq, entry.bytes()])?, "a ledger entry")?;
    }
    Ok(())
}
