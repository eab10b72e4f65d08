//! A transition: checked and encoded by whoever asks, before the database is.

use super::approvals::{self, CheckedApproval};
use super::entries::{self, Chained};
use crate::codec::json;
use mandate_journal::{
    ChainHead, CommitError, Fence, JOURNAL_VERSION, JournalEvent, LeaseChange, LeaseRecord, LeaseState, NewClaim,
    NewRun, RunStatus, SealedPayload, TimerChange, Transition,
};
use mandate_kernel::{RunId, StepKey, Tenant, Timestamp};

/// A transition that agrees with itself and with its tenant, its values encoded.
#[derive(Debug)]
pub(crate) struct CheckedTransition {
    pub(crate) tenant: Tenant,
    pub(crate) run: RunId,
    pub(crate) fence: Fence,
    pub(crate) create: Option<Creation>,
    pub(crate) claim: Option<NewClaim>,
    pub(crate) events: Vec<(u64, Vec<u8>)>,
    pub(crate) ledger: Chained,
    pub(crate) after: ChainHead,
    pub(crate) admission: Option<mandate_journal::Admission>,
    pub(crate) leases: Vec<LeaseChange>,
    pub(crate) approvals: Vec<CheckedApproval>,
    pub(crate) ended: Option<Timestamp>,
    pub(crate) timers: Vec<TimerChange>,
    pub(crate) payloads: Vec<SealedPayload>,
    pub(crate) status: Option<(&'static str, Vec<u8>)>,
}

#[derive(Debug)]
pub(crate) struct Creation {
    pub(crate) new: NewRun,
    pub(crate) initiator: String,
    pub(crate) json: Vec<u8>,
}

fn invalid<T>(why: String) -> Result<T, CommitError> {
    Err(CommitError::Invalid(why))
}

impl CheckedTransition {
    /// Everything that can be found out without the database.
    pub(crate) fn new(tenant: &Tenant, t: Transition) -> Result<Self, CommitError> {
        if t.tenant != *tenant {
            return invalid(format!("it is for tenant {}, and was given to tenant {tenant}", t.tenant));
        }
        let events = encode_events(t.fence, &t.events)?;
        let ledger = entries::chained(t.entries, tenant, &t.run, t.chain)?;
        if let Some(admission) = &t.admission {
            of_run(&t.run, &admission.step, "the admission")?;
        }
        for lease in &t.leases {
            if let LeaseChange::Intend(lease) = lease {
                check_intent(&t.run, lease)?;
            }
        }
        let (approvals, ended) = (approvals::check(&t.run, t.approvals)?, approvals::end_of(t.status.as_ref()));
        let status = t.status.as_ref().map(encode_status).transpose()?;
        let create = t.create.map(|new| check_creation(tenant, &t.fence, &ledger.before, new)).transpose()?;
        if create.is_some() && status.is_none() {
            return invalid("a run that begins needs a status".to_owned());
        }
        if create.is_none() && t.claim.is_some() {
            return invalid("only a run that begins is claimed with its transition".to_owned());
        }
        Ok(Self {
            tenant: t.tenant,
            run: t.run,
            fence: t.fence,
            create,
            claim: t.claim,
            events,
            ledger,
            after: t.chain,
            admission: t.admission,
            leases: t.leases,
            approvals,
            ended,
            timers: t.timers,
            payloads: t.payloads,
            status,
        })
    }

    /// The sequence number of the run's latest event once this is written.
    pub(crate) fn seq_after(&self) -> u64 {
        self.events.last().map_or(self.fence.journal_seq, |(seq, _)| *seq)
    }
}

fn encode_events(fence: Fence, events: &[JournalEvent]) -> Result<Vec<(u64, Vec<u8>)>, CommitError> {
    let mut seq = fence.journal_seq;
    let mut out = Vec::with_capacity(events.len());
    for event in events {
        seq = seq.saturating_add(1);
        if event.seq != seq {
            return invalid(format!("journal event {} where {seq} is next", event.seq));
        }
        if event.v != JOURNAL_VERSION {
            return invalid(format!("journal event {seq} has version {}, and {JOURNAL_VERSION} is written", event.v));
        }
        out.push((seq, json(event, "a journal event")?));
    }
    Ok(out)
}

fn encode_status(status: &RunStatus) -> Result<(&'static str, Vec<u8>), CommitError> {
    Ok((status.state.as_str(), json(status, "the run's status")?))
}

fn check_creation(tenant: &Tenant, fence: &Fence, before: &ChainHead, new: NewRun) -> Result<Creation, CommitError> {
    if fence.journal_seq != 0 {
        return invalid(format!("a run can't begin at journal sequence {}", fence.journal_seq));
    }
    if (ChainHead { next: 0, last: None }) != *before {
        return invalid("the first ledger entry of a run has sequence number 0 and no predecessor".to_owned());
    }
    if new.initiator.tenant != *tenant {
        return invalid(format!("the initiator is of tenant {}, the run of {tenant}", new.initiator.tenant));
    }
    let json = json(&new, "the new run")?;
    Ok(Creation { initiator: new.initiator.subject(), new, json })
}

fn check_intent(run: &RunId, lease: &LeaseRecord) -> Result<(), CommitError> {
    of_run(run, &lease.step, "a lease")?;
    if lease.state == LeaseState::Intended {
        Ok(())
    } else {
        invalid(format!("lease {} is to be intended, but is ended already", lease.lease))
    }
}

fn of_run(run: &RunId, step: &StepKey, what: &'static str) -> Result<(), CommitError> {
    if step.run == *run { Ok(()) } else { invalid(format!("{what} is for attempt {step}, which is not of {run}")) }
}
