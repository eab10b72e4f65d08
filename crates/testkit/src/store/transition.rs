//! Committing a transition.

use super::SimTenant;
use super::state::{Kept, Row, State};
use crate::{Faults, Sabotage};
use async_trait::async_trait;
use mandate_journal::{
    ApprovalChange, ApprovalState, ChainHead, Commit, CommitError, EventBody, JOURNAL_VERSION, LeaseChange, LeaseState,
    RunRecord, RunStatus, TimerChange, Transition,
};
use mandate_kernel::{Integrity, RunId, StepKey, Tenant};
use mandate_ledger::{Entry, RunLink};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

fn invalid<T>(why: impl Into<String>) -> Result<T, CommitError> {
    Err(CommitError::Invalid(why.into()))
}

#[async_trait]
impl Commit for SimTenant {
    async fn commit(&self, transition: Transition) -> Result<(), CommitError> {
        self.check_tenant(&transition.tenant)?;
        let leaves = transition.entries.iter().map(Entry::leaf_hash).collect();
        let (entries, before) = check(&self.tenant, &transition)?;
        let transition = sabotaged(&self.store.shared.faults, transition);
        let name = if transition.admission.is_some() { "store.commit-admission" } else { "store.commit" };
        self.write(name, |state| write(state, &self.tenant, &transition, entries, before)).await?;
        self.store.shared.acknowledge(leaves);
        self.store.shared.committed();
        Ok(())
    }
}

/// Everything that can be found out without the disk.
fn check(tenant: &Tenant, t: &Transition) -> Result<(Vec<Kept>, ChainHead), CommitError> {
    let mut seq = t.fence.journal_seq;
    for event in &t.events {
        seq = seq.saturating_add(1);
        if event.seq != seq || event.v != JOURNAL_VERSION {
            return invalid(format!("journal event {} where {seq} is next", event.seq));
        }
    }
    let (entries, before) = chained(tenant, &t.run, &t.entries, t.chain)?;
    if let Some(admission) = &t.admission {
        of_run(&t.run, &admission.step)?;
    }
    for lease in &t.leases {
        if let LeaseChange::Intend(lease) = lease {
            of_run(&t.run, &lease.step)?;
            if lease.state != LeaseState::Intended {
                return invalid("a lease begins ended");
            }
        }
    }
    if let Some(new) = &t.create
        && (t.fence.journal_seq != 0
            || before != (ChainHead { next: 0, last: None })
            || new.initiator.tenant != *tenant
            || t.status.is_none())
    {
        return invalid("a run can't begin like this");
    }
    Ok((entries, before))
}

/// The transition as a store that is broken on purpose keeps it.
fn sabotaged(faults: &Faults, mut t: Transition) -> Transition {
    if faults.sabotaged(Sabotage::IgnoresRevocations) {
        t.fence.revocations = None;
    }
    if faults.sabotaged(Sabotage::LosesLeaseEnds) {
        t.leases.retain(|change| matches!(change, LeaseChange::Intend(_)));
    }
    if faults.sabotaged(Sabotage::LosesTimers) {
        t.timers.retain(|change| matches!(change, TimerChange::Clear(_)));
    }
    if faults.sabotaged(Sabotage::LosesEvents) {
        t.events.retain(|event| !matches!(event.body, EventBody::Received { .. }));
    }
    if faults.sabotaged(Sabotage::StripsLabels) {
        for event in &mut t.events {
            if let EventBody::Admitted { arguments: stored, .. }
            | EventBody::Ended { output: Some(stored), .. }
            | EventBody::Emitted { event: stored, .. } = &mut event.body
            {
                (stored.labels.sources, stored.labels.integrity) = (BTreeSet::new(), Integrity::Authoritative);
            }
        }
    }
    t
}

fn of_run(run: &RunId, step: &StepKey) -> Result<(), CommitError> {
    if step.run == *run { Ok(()) } else { invalid(format!("attempt {step} is not of {run}")) }
}

/// Reads where entries belong.
pub(super) fn place(tenant: &Tenant, entry: &Entry) -> Result<Option<RunLink>, CommitError> {
    let (_, event) = Entry::decode(entry.bytes()).map_err(|e| CommitError::Invalid(e.to_string()))?;
    if event.tenant == *tenant { Ok(event.run) } else { invalid("a ledger entry of another tenant") }
}

fn chained(
    tenant: &Tenant,
    run: &RunId,
    entries: &[Entry],
    after: ChainHead,
) -> Result<(Vec<Kept>, ChainHead), CommitError> {
    let mut kept = Vec::new();
    let mut ends: Option<(ChainHead, ChainHead)> = None;
    for entry in entries {
        let Some(RunLink { run: of, seq, prev }) = place(tenant, entry)? else {
            kept.push(Kept { link: None, bytes: entry.bytes().to_vec() });
            continue;
        };
        let here = ChainHead { next: seq, last: prev };
        if of != *run || ends.is_some_and(|(_, head)| head != here) {
            return invalid(format!("ledger entry {seq} of {of} does not follow"));
        }
        let first = ends.map_or(here, |(first, _)| first);
        ends = Some((first, ChainHead { next: seq + 1, last: Some(entry.leaf_hash()) }));
        kept.push(Kept { link: Some((of, seq)), bytes: entry.bytes().to_vec() });
    }
    let (before, end) = ends.unwrap_or((after, after));
    if end == after { Ok((kept, before)) } else { invalid("the chain head is not where the entries end") }
}

fn write(
    state: &mut State,
    tenant: &Tenant,
    t: &Transition,
    entries: Vec<Kept>,
    before: ChainHead,
) -> Result<(), CommitError> {
    let fenced = CommitError::Fenced { run: t.run.clone() };
    let revoked = match t.fence.revocations {
        Some(seen) if seen != state.revocations => {
            Err(CommitError::Revoked { tenant: tenant.clone(), now: state.revocations })
        }
        _ => Ok(()),
    };
    if let (Some(new), Some(status)) = (&t.create, &t.status) {
        revoked?;
        let same = |row: &&Row| {
            new.start_key.is_some()
                && row.record.new.start_key == new.start_key
                && row.record.new.initiator == new.initiator
        };
        if let Some(row) = state.runs.values().map(Arc::as_ref).find(same) {
            return Err(CommitError::DuplicateStart { run: row.record.run.clone() });
        }
        if state.runs.contains_key(&t.run) {
            return Err(fenced);
        }
        state.runs.insert(t.run.clone(), Arc::new(fresh(t, new, status)));
    } else {
        let row = state.runs.get(&t.run).ok_or_else(|| fenced.clone())?;
        if row.record.journal_seq != t.fence.journal_seq || row.record.epoch != t.fence.epoch {
            return Err(fenced);
        }
        revoked?;
        if row.record.chain != before {
            return invalid(format!("the entries do not continue the chain of {}", t.run));
        }
    }
    for payload in &t.payloads {
        state.payloads.entry(payload.commitment).or_insert_with(|| Arc::new(payload.clone()));
    }
    state.log.append(entries);
    let row = state.row_mut(&t.run).ok_or(fenced)?;
    row.record.journal_seq += t.events.len() as u64;
    row.record.chain = t.chain;
    row.journal.extend(t.events.iter().cloned().map(Arc::new));
    if let Some(status) = &t.status {
        row.record.status = status.clone();
    }
    admit(row, t)?;
    lease(row, t)?;
    for timer in &t.timers {
        match timer {
            TimerChange::Set(timer) => drop(row.timers.insert(timer.name.clone(), timer.due)),
            TimerChange::Clear(name) => drop(row.timers.remove(name)),
        }
    }
    approve(state, t)
}

/// Approvals asked for and settled; a run that ends takes what is pending with it.
fn approve(state: &mut State, t: &Transition) -> Result<(), CommitError> {
    for change in &t.approvals {
        match change {
            ApprovalChange::Ask(record) => {
                if record.run != t.run || record.state != ApprovalState::Pending {
                    return invalid(format!("approval {} can't be asked for", record.approval));
                }
                if state.approvals.insert(record.approval.clone(), (**record).clone()).is_some() {
                    return invalid(format!("approval {} was asked for before", record.approval));
                }
            }
            ApprovalChange::Settle { approval, state: settled, by, at, answer, proof } => {
                let found = state.approvals.get_mut(approval);
                let pending = found.filter(|found| found.run == t.run && found.state == ApprovalState::Pending);
                let Some(found) = pending.filter(|_| *settled != ApprovalState::Pending) else {
                    return invalid(format!("approval {approval} is not pending in this run"));
                };
                (found.state, found.decided_by, found.decided_at) = (*settled, by.clone(), Some(*at));
                (found.answer, found.proof) = (answer.clone(), proof.or(found.proof));
            }
        }
    }
    if let Some(status) = t.status.as_ref().filter(|status| status.state.is_terminal()) {
        let open = state.approvals.values_mut();
        for found in open.filter(|found| found.run == t.run && found.state == ApprovalState::Pending) {
            (found.state, found.decided_at) = (ApprovalState::Withdrawn, Some(status.since));
        }
    }
    Ok(())
}

fn fresh(t: &Transition, new: &mandate_journal::NewRun, status: &RunStatus) -> Row {
    let record = RunRecord {
        run: t.run.clone(),
        new: new.clone(),
        status: status.clone(),
        journal_seq: 0,
        epoch: t.fence.epoch,
        chain: ChainHead { next: 0, last: None },
    };
    Row { record, journal: Vec::new(), admissions: BTreeMap::new(), leases: BTreeMap::new(), timers: BTreeMap::new() }
}

fn admit(row: &mut Row, t: &Transition) -> Result<(), CommitError> {
    let Some(admission) = &t.admission else { return Ok(()) };
    let key = (admission.step.seq.0, admission.step.attempt.0);
    match row.admissions.insert(key, admission.request) {
        Some(_) => Err(CommitError::AlreadyAdmitted { step: admission.step.to_string() }),
        None => Ok(()),
    }
}

fn lease(row: &mut Row, t: &Transition) -> Result<(), CommitError> {
    for change in &t.leases {
        match change {
            LeaseChange::Intend(lease) => {
                if row.leases.insert(lease.lease.clone(), (lease.clone(), false)).is_some() {
                    return invalid(format!("lease {} was recorded before", lease.lease));
                }
            }
            LeaseChange::End { lease, .. } => match row.leases.get_mut(lease) {
                Some((_, ended)) => *ended = true,
                None => return invalid(format!("lease {lease} was never recorded")),
            },
        }
    }
    Ok(())
}
