//! What several statements share: rows into values, and writes that transitions and changes have in common.

use super::fault::Reading;
use super::work::Work;
use crate::codec::nat;
use mandate_journal::SealedPayload;
use mandate_kernel::Digest;
use mandate_ledger::Entry;
use sqlx::Row;
use sqlx::postgres::PgRow;

const ENSURE: &str = "INSERT INTO tenants (tenant) VALUES ($1) ON CONFLICT (tenant) DO NOTHING";
const REVOCATIONS: &str = "SELECT revocations FROM tenants WHERE tenant = $1";
const KEEP: &str = "INSERT INTO payloads (tenant, commitment, subject, ciphertext)
    SELECT $1, p.commitment, p.subject, p.ciphertext
    FROM unnest($2::bytea[], $3::text[], $4::bytea[]) AS p (commitment, subject, ciphertext)
    ON CONFLICT (tenant, commitment) DO NOTHING";
/// Keys are given in the order of the entries.
const APPEND: &str = "INSERT INTO ledger_pending (tenant, run, chain_seq, bytes)
    SELECT $1, e.run, e.chain_seq, e.bytes
    FROM unnest($2::text[], $3::bigint[], $4::bytea[]) WITH ORDINALITY AS e (run, chain_seq, bytes, place)
    ORDER BY e.place";

/// A column that is never negative.
pub(super) fn number<T: TryFrom<i64>>(row: &PgRow, at: usize, what: &'static str) -> Reading<T> {
    Ok(nat(row.try_get(at)?, what)?)
}

/// A column of bytes, borrowed from the row.
pub(super) fn bytes(row: &PgRow, at: usize) -> Reading<&[u8]> {
    Ok(row.try_get(at)?)
}

/// A digest as a parameter.
pub(super) fn owned(digest: Option<&Digest>) -> Option<Vec<u8>> {
    digest.map(|digest| digest.as_bytes().to_vec())
}

/// The tenant's revocation sequence; 0 for a tenant that has no row yet.
pub(super) async fn revocations(work: &mut Work) -> Reading<u64> {
    let row = work.one(work.query(REVOCATIONS)).await?;
    row.map_or(Ok(0), |row| number(&row, 0, "revocation sequence"))
}

/// Makes the tenant's row, if it has none.
pub(super) async fn ensure_tenant(work: &mut Work) -> Result<(), sqlx::Error> {
    work.run(work.query(ENSURE)).await.map(drop)
}

/// Keeps payloads; one that is there already is the same value, by its commitment.
pub(super) async fn keep_payloads(work: &mut Work, payloads: &[SealedPayload]) -> Result<(), sqlx::Error> {
    if payloads.is_empty() {
        return Ok(());
    }
    // In one order, so that two transactions with the same payloads don't wait for each other in a circle.
    let mut payloads: Vec<&SealedPayload> = payloads.iter().collect();
    payloads.sort_by_key(|payload| *payload.commitment.as_bytes());
    let commitments: Vec<&[u8]> = payloads.iter().map(|p| p.commitment.as_bytes().as_slice()).collect();
    let subjects: Vec<&str> = payloads.iter().map(|p| p.subject.as_str()).collect();
    let ciphertexts: Vec<&[u8]> = payloads.iter().map(|p| p.ciphertext.as_slice()).collect();
    let query = work.query(KEEP).bind(commitments).bind(subjects).bind(ciphertexts);
    work.run(query).await.map(drop)
}

/// Entries as the columns of a statement.
pub(super) struct EntryColumns<'a> {
    pub(super) runs: Vec<Option<&'a str>>,
    pub(super) places: Vec<Option<i64>>,
    pub(super) bytes: Vec<&'a [u8]>,
}

impl<'a> EntryColumns<'a> {
    /// The columns of these, in their order.
    pub(super) fn of(entries: &'a [Entry]) -> Self {
        Self {
            runs: entries.iter().map(|entry| entry.link().map(|link| link.run.as_str())).collect(),
            places: entries.iter().map(|entry| entry.link().map(|link| i64::from(link.seq))).collect(),
            bytes: entries.iter().map(Entry::bytes).collect(),
        }
    }
}

/// Writes ledger entries, for the sequencer to find.
pub(super) async fn append(work: &mut Work, entries: &[Entry]) -> Result<(), sqlx::Error> {
    if entries.is_empty() {
        return Ok(());
    }
    let EntryColumns { runs, places, bytes } = EntryColumns::of(entries);
    let query = work.query(APPEND).bind(runs).bind(places).bind(bytes);
    work.run(query).await.map(drop)
}
