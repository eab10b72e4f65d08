//! Ledger entries on their way in: whose they are, and whether they continue a run's chain.

use mandate_journal::{ChainHead, CommitError};
use mandate_kernel::{RunId, Tenant};
use mandate_ledger::{Entry, RunLink};

/// Entries that continue a run's chain, and where that chain has to stand for them.
#[derive(Debug)]
pub(crate) struct Chained {
    pub(crate) entries: Vec<Entry>,
    pub(crate) before: ChainHead,
}

fn invalid(why: String) -> CommitError {
    CommitError::Invalid(why)
}

fn of_tenant(entry: &Entry, tenant: &Tenant) -> Result<(), CommitError> {
    if entry.tenant() == tenant {
        Ok(())
    } else {
        Err(invalid(format!("a ledger entry is of another tenant than {tenant}")))
    }
}

/// Checks that the entries of `run` follow one another and end at `after`. An entry that stands alone
/// (a lease that ended after its run) is let through; it moves no chain.
pub(crate) fn chained(
    entries: Vec<Entry>,
    tenant: &Tenant,
    run: &RunId,
    after: ChainHead,
) -> Result<Chained, CommitError> {
    let mut ends: Option<(ChainHead, ChainHead)> = None;
    for entry in &entries {
        of_tenant(entry, tenant)?;
        let Some(RunLink { run: of, seq, prev }) = entry.link() else { continue };
        if of != run {
            return Err(invalid(format!("ledger entry {seq} belongs to {of}, not to {run}")));
        }
        let here = ChainHead { next: *seq, last: *prev };
        let first = match ends {
            Some((_, head)) if head != here => {
                return Err(invalid(format!("ledger entry {seq} of {run} does not follow the one before it")));
            }
            Some((first, _)) => first,
            None => here,
        };
        ends = Some((first, ChainHead { next: seq.saturating_add(1), last: Some(entry.leaf_hash()) }));
    }
    let (before, end) = ends.unwrap_or((after, after));
    if end != after {
        return Err(invalid(format!("the chain head given for {run} is not where its ledger entries end")));
    }
    Ok(Chained { entries, before })
}

/// Checks that no entry claims a place in a run.
pub(crate) fn alone(entries: Vec<Entry>, tenant: &Tenant) -> Result<Vec<Entry>, CommitError> {
    for entry in &entries {
        of_tenant(entry, tenant)?;
        if let Some(RunLink { run, .. }) = entry.link() {
            return Err(invalid(format!("a ledger entry of {run} can't be part of an administrative change")));
        }
    }
    Ok(entries)
}
