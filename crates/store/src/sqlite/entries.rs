//! Writes ledger entries.

use super::codec::put;
use super::fault::Reading;
use crate::checked::Placed;
use mandate_kernel::Tenant;
use rusqlite::{Connection, params};

const APPEND: &str = "INSERT INTO ledger_pending (tenant, run, chain_seq, bytes) VALUES (?1, ?2, ?3, ?4)";

/// Writes entries, for the sequencer to find.
pub(super) fn append(conn: &Connection, tenant: &Tenant, entries: &[Placed]) -> Reading<()> {
    for entry in entries {
        let (of, seq) = entry.link.as_ref().map_or((None, None), |(of, seq)| (Some(of.as_str()), Some(*seq)));
        put(conn, APPEND, params![tenant.as_str(), of, seq, entry.bytes], "a ledger entry")?;
    }
    Ok(())
}
