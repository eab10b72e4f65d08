//! Ledger entries on their way in: whose they are, and whether they continue a run's chain.

use mandate_journal::{ChainHead, CommitError};
use mandate_kernel::{RunId, Tenant};
use mandate_ledger::{Entry, RunLink};
use serde::Deserialize;

/// An entry with its place in a run, ready to be written.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) link: Option<(RunId, u32)>,
    pub(crate) bytes: Vec<u8>,
}

/// Entries that continue a run's chain, and where that chain has to stand for them.
#[derive(Debug)]
pub(crate) struct Chained {
    pub(crate) entries: Vec<Placed>,
    pub(crate) before: ChainHead,
}

/// The part of an entry that says whose it is. An `Entry` is well-formed by construction, so this
/// reads only what it needs: a full decode writes the event again, which is too much for each step.
#[derive(Deserialize)]
struct Header {
    metadata: Metadata,
    #[serde(default)]
    unmapped: Unmapped,
}

#[derive(Deserialize)]
struct Metadata {
    tenant_uid: Tenant,
}

#[derive(Deserialize, Default)]
struct Unmapped {
    #[serde(default)]
    mandate: Ours,
}

#[derive(Deserialize, Default)]
struct Ours {
    #[serde(default)]
    run: Option<RunLink>,
}

fn invalid(why: String) -> CommitError {
    CommitError::Invalid(why)
}

fn link_of(entry: &Entry, tenant: &Tenant) -> Result<Option<RunLink>, CommitError> {
    let header: Header =
        serde_json::from_slice(entry.bytes()).map_err(|e| invalid(format!("a ledger entry is unreadable: {e}")))?;
    if header.metadata.tenant_uid != *tenant {
        return Err(invalid(format!("a ledger entry is of another tenant than {tenant}")));
    }
    Ok(header.unmapped.mandate.run)
}

/// Checks that the entries of `run` follow one another and end at `after`. An entry that stands alone
/// (a lease that ended after its run) is let through; it moves no chain.
pub(crate) fn chained(
    entries: Vec<Entry>,
    tenant: &Tenant,
    run: &RunId,
    after: ChainHead,
) -> Result<Chained, CommitError> {
    let mut placed = Vec::with_capacity(entries.len());
    let mut ends: Option<(ChainHead, ChainHead)> = None;
    for entry in entries {
        let Some(RunLink { run: of, seq, prev }) = link_of(&entry, tenant)? else {
            placed.push(Placed { link: None, bytes: entry.into_bytes() });
            continue;
        };
        if of != *run {
            return Err(invalid(format!("ledger entry {seq} belongs to {of}, not to {run}")));
        }
        let here = ChainHead { next: seq, last: prev };
        let first = match ends {
            Some((_, head)) if head != here => {
                return Err(invalid(format!("ledger entry {seq} of {run} does not follow the one before it")));
            }
            Some((first, _)) => first,
            None => here,
        };
        ends = Some((first, ChainHead { next: seq.saturating_add(1), last: Some(entry.leaf_hash()) }));
        placed.push(Placed { link: Some((of, seq)), bytes: entry.into_bytes() });
    }
    let (before, end) = ends.unwrap_or((after, after));
    if end != after {
        return Err(invalid(format!("the chain head given for {run} is not where its ledger entries end")));
    }
    Ok(Chained { entries: placed, before })
}

/// Checks that no entry claims a place in a run.
pub(crate) fn alone(entries: Vec<Entry>, tenant: &Tenant) -> Result<Vec<Placed>, CommitError> {
    let place = |entry: Entry| match link_of(&entry, tenant)? {
        None => Ok(Placed { link: None, bytes: entry.into_bytes() }),
        Some(link) => {
            let run = link.run;
            Err(invalid(format!("a ledger entry of {run} can't be part of an administrative change")))
        }
    };
    entries.into_iter().map(place).collect()
}
