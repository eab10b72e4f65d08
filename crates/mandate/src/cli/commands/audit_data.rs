//! `mandate audit verify --data-dir`: the ledgers in a database, also while a server writes to it.

use super::audit::{Held, Verified};
use crate::cli::CliError;
use mandate_engine::configuration::{self, CompareError};
use mandate_journal::{Log as _, StoreError, System as _};
use mandate_kernel::{Caller, Digest, Tenant};
use mandate_ledger::{LogReport, Nodes, TrustAnchor, verify_log};
use mandate_store::{Store, TenantHandle};
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::vec;
use tokio::runtime::Handle;

/// Entries read at once.
const CHUNK: u64 = 512;

/// Verifies the ledger of one tenant, or of all that the anchor knows and that are there.
pub(super) async fn verify(folder: &Path, anchor: TrustAnchor, only: Option<&Tenant>) -> Result<Verified, CliError> {
    let path = folder.join("mandate.db");
    if !path.is_file() {
        return Err(CliError::usage(format!("{} is no data folder: it has no mandate.db", folder.display())));
    }
    let place = path.display().to_string();
    let unreadable = |error: StoreError| unreadable(&place, error);
    let store = Store::open_read_only(&path).map_err(unreadable)?;
    let there: BTreeSet<Tenant> = store.system().tenants().await.map_err(unreadable)?.into_iter().collect();
    let wanted: Vec<Tenant> = only.map_or_else(|| anchor.tenants().keys().cloned().collect(), |one| vec![one.clone()]);
    let mut verified = Verified { reports: Vec::new(), absent: Vec::new() };
    for tenant in wanted {
        let handle = store.of(&Caller::system(tenant.clone(), "verifier"));
        let head = handle.head().await.map_err(unreadable)?;
        let size = head.frontier.size();
        if !there.contains(&tenant) && size == 0 {
            verified.absent.push(tenant);
            continue;
        }
        let what = format!("the ledger of {tenant} in {place}");
        let note = head.cosigned.ok_or_else(|| CliError::Unverified {
            what: what.clone(),
            why: format!("{size} entries, and no checkpoint that a witness signed"),
        })?;
        let (anchor, runtime) = (anchor.clone(), Handle::current());
        // Hashing everything takes its time: not on the thread that reads for it.
        let task = tokio::task::spawn_blocking(move || check(handle, &runtime, size, &note, &anchor, &tenant));
        let report = task.await.map_err(|e| CliError::failed(format!("verification was interrupted: {e}")))?;
        let report = report.map_err(|e| CliError::unverified(what, &e))?;
        let handle = store.of(&Caller::system(report.tenant.clone(), "verifier"));
        let configuration = Some(compared(&handle, &report.tenant, &place).await?);
        verified.reports.push(Held { report, configuration });
    }
    if verified.reports.is_empty() {
        return Err(CliError::Unverified {
            what: place,
            why: "it holds no ledger of a tenant that the anchor knows".to_owned(),
        });
    }
    Ok(verified)
}

/// How many resources are stored as the ledger records them: all, or it is an error that names the others.
async fn compared(handle: &TenantHandle, tenant: &Tenant, place: &str) -> Result<usize, CliError> {
    let fail = |what: String, why: String| Err(CliError::Unverified { what, why });
    match configuration::compare(handle).await {
        Ok(found) if found.differences.is_empty() => Ok(found.compared),
        Ok(found) => {
            let why = format!("it is not what the ledger records: {}", configuration::told(&found.differences));
            fail(format!("the configuration of {tenant} in {place}"), why)
        }
        Err(CompareError::Damaged(why)) => fail(format!("the ledger of {tenant} in {place}"), why),
        Err(CompareError::Store(error)) => Err(unreadable(place, error)),
    }
}

/// What can't be read because of what is there fails verification; what can't be read now says nothing.
fn unreadable(place: &str, error: StoreError) -> CliError {
    match error {
        StoreError::Corrupt(why) => CliError::Unverified { what: place.to_owned(), why },
        other => CliError::failed(other.to_string()),
    }
}

fn check(
    handle: TenantHandle,
    runtime: &Handle,
    size: u64,
    note: &str,
    anchor: &TrustAnchor,
    tenant: &Tenant,
) -> Result<LogReport, mandate_ledger::VerifyError> {
    let entries = Entries { handle: &handle, runtime, next: 0, size, chunk: Vec::new().into_iter() };
    let nodes = Stored { handle: &handle, runtime, size, chunk: RefCell::default() };
    verify_log(entries, &nodes, note, anchor, tenant)
}

/// The entries in order, read in chunks. Entries that are there are never changed, so that chunks read
/// one after the other fit together.
struct Entries<'a> {
    handle: &'a TenantHandle,
    runtime: &'a Handle,
    next: u64,
    size: u64,
    chunk: vec::IntoIter<Vec<u8>>,
}

impl Iterator for Entries<'_> {
    type Item = Result<Vec<u8>, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(entry) = self.chunk.next() {
            return Some(Ok(entry));
        }
        if self.next >= self.size {
            return None;
        }
        let (from, to) = (self.next, self.size.min(self.next + CHUNK));
        match self.runtime.block_on(self.handle.entries(from, to)) {
            // Fewer than there should be: the verifier then finds the log cut off.
            Ok(read) if read.is_empty() => {
                self.next = self.size;
                None
            }
            Ok(read) => {
                self.next = from + read.len() as u64;
                self.chunk = read.into_iter();
                self.chunk.next().map(Ok)
            }
            Err(error) => {
                self.next = self.size;
                Some(Err(error))
            }
        }
    }
}

/// The stored nodes. All nodes that a chunk of leaves completes are read together, since they are asked
/// for together.
struct Stored<'a> {
    handle: &'a TenantHandle,
    runtime: &'a Handle,
    size: u64,
    chunk: RefCell<Chunk>,
}

#[derive(Default)]
struct Chunk {
    /// First leaf; `None` before anything was read.
    from: Option<u64>,
    hashes: HashMap<(u8, u64), Digest>,
}

impl Nodes for Stored<'_> {
    type Error = StoreError;

    fn node(&self, level: u8, index: u64) -> Result<Option<Digest>, StoreError> {
        // The last leaf below a node completes it.
        let last = index.checked_add(1).and_then(|n| n.checked_mul(1u64.checked_shl(level.into())?)).map(|n| n - 1);
        let Some(last) = last else { return Ok(None) };
        let from = last - last % CHUNK;
        let mut chunk = self.chunk.borrow_mut();
        if chunk.from != Some(from) {
            let wanted = completed(from, self.size.min(from + CHUNK));
            let hashes = self.runtime.block_on(self.handle.nodes(&wanted))?;
            let known = wanted.into_iter().zip(hashes).filter_map(|(at, hash)| Some((at, hash?)));
            *chunk = Chunk { from: Some(from), hashes: known.collect() };
        }
        Ok(chunk.hashes.get(&(level, index)).copied())
    }
}

/// The nodes that leaves `from..to` complete.
fn completed(from: u64, to: u64) -> Vec<(u8, u64)> {
    let mut nodes = Vec::new();
    for leaf in from..to {
        for level in 0..=(leaf + 1).trailing_zeros() {
            nodes.push((u8::try_from(level).unwrap_or(u8::MAX), leaf >> level));
        }
    }
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;
    use mandate_ledger::Frontier;

    #[test]
    fn completed_nodes_are_those_the_tree_makes() {
        let mut tree = Frontier::new();
        let mut made = Vec::new();
        for n in 0u64..1_100 {
            made.extend(tree.append(Digest::of(&n.to_be_bytes())).into_iter().map(|node| (node.level, node.index)));
        }
        let chunks = [(0, 512), (512, 1_024), (1_024, 1_100)];
        let found: Vec<_> = chunks.into_iter().flat_map(|(from, to)| completed(from, to)).collect();
        assert_eq!(found, made);
    }
}
