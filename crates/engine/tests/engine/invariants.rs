//! What has to hold after every run, whatever went wrong.

use crate::house::{anchor, journal, tenant};
use crate::replay::{End, recorded, replay};
use mandate_engine::TenantContext;
use mandate_journal::{EventBody, Resolution, RunRecord, RunState, WaitingFor};
use mandate_kernel::{EffectClass, StepSeq};
use mandate_ledger::{leaf_hash, verify_log};
use mandate_testkit::{Act, World};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

/// Everything that is wrong with a run that has settled. To be asked with no fault left.
pub(crate) async fn violations(world: &World, context: &TenantContext, run: &RunRecord) -> Vec<String> {
    let mut wrong = Vec::new();
    decisions(world, &mut wrong);
    receivers(world, run, &mut wrong);
    settled(world, run, &mut wrong);
    evidence(world, context, &mut wrong).await;
    same_again(context, run, &mut wrong).await;
    wrong
}

/// No effect without a decision made and recorded for that very attempt.
pub(crate) fn decisions(world: &World, wrong: &mut Vec<String>) {
    let mut spent = BTreeSet::new();
    for received in world.effects.received() {
        if !received.admitted {
            wrong.push(format!("{} saw {} without its decision in the journal", received.receiver, received.step));
        }
        if !received.credentials {
            wrong.push(format!("{} saw {} with other credentials than declared", received.receiver, received.step));
        }
        if !spent.insert(received.decision.clone()) {
            wrong.push(format!("decision {} reached a receiver twice", received.decision));
        }
    }
}

/// One report for each key; a once receiver is asked again only if certainly nothing was done.
fn receivers(world: &World, run: &RunRecord, wrong: &mut Vec<String>) {
    let received = world.effects.received();
    for (key, first) in world.effects.accepted() {
        let same = |r: &&mandate_testkit::Received| r.step.idempotency_key() == key && r.request != first;
        if received.iter().any(|r| same(&r)) {
            wrong.push(format!("another request under the key {key}"));
        }
    }
    for (key, times) in world.effects.done() {
        if times > 1 {
            wrong.push(format!("what may happen once was done {times} times under {key}"));
        }
    }
    let journal = journal(world, &run.run);
    let mut asked: BTreeMap<StepSeq, usize> = BTreeMap::new();
    for r in received.iter().filter(|r| r.class == EffectClass::Once && r.act != Act::Transient) {
        *asked.entry(r.step.seq).or_default() += 1;
    }
    for (seq, times) in asked {
        let cleared = journal.iter().filter(|event| {
            matches!(&event.body, EventBody::Resolved { step, resolution: Resolution::DidNotHappen, .. } if *step == seq)
        });
        if times > 1 + cleared.count() {
            wrong.push(format!("step {} was asked {times} times of a receiver that can't tell", seq.0));
        }
    }
    let reports = |event: &mandate_journal::JournalEvent| match &event.body {
        EventBody::Admitted { step, effect: EffectClass::Idempotent, .. } => Some(*step),
        _ => None,
    };
    let steps: BTreeSet<_> = journal.iter().filter_map(reports).collect();
    let accepted = world.effects.accepted().len();
    if accepted > steps.len() || (run.status.state == RunState::Completed && accepted != steps.len()) {
        wrong.push(format!("{accepted} reports were accepted of {} steps that make one", steps.len()));
    }
}

/// It ended, or waits for a person; nothing of it is left over.
fn settled(world: &World, run: &RunRecord, wrong: &mut Vec<String>) {
    let status = &run.status;
    let waits = status.state == RunState::Waiting
        && matches!(status.waiting_for, Some(WaitingFor::OutcomeUnknown | WaitingFor::Approval | WaitingFor::StepUp));
    if !status.state.is_terminal() && !waits {
        wrong.push(format!("it is stuck: {:?} {:?}", status.state, status.waiting_for));
    }
    let (leases, timers) = world.store.peek_loose_ends(&tenant(), &run.run);
    if !leases.is_empty() {
        wrong.push(format!("{} leases are open", leases.len()));
    }
    if status.state.is_terminal() && !timers.is_empty() {
        wrong.push(format!("timers are set: {timers:?}"));
    }
}

/// Everything acknowledged is in the log, and the log verifies.
pub(crate) async fn evidence(world: &World, context: &TenantContext, wrong: &mut Vec<String>) {
    let (entries, waiting, nodes, cosigned) = world.store.peek_ledger(&tenant());
    let leaves: BTreeSet<_> = entries.iter().map(|bytes| leaf_hash(bytes)).collect();
    let lost = world.store.acknowledged().iter().filter(|leaf| !leaves.contains(leaf)).count();
    if lost + waiting > 0 {
        wrong.push(format!("{lost} acknowledged entries are not in the tree, {waiting} wait"));
    }
    let Some(cosigned) = cosigned else {
        wrong.push("no checkpoint is cosigned".to_owned());
        return;
    };
    let anchor = anchor(world, context).await;
    let entries = entries.into_iter().map(Ok::<_, Infallible>);
    match verify_log(entries, &nodes, &cosigned, &anchor, &tenant()) {
        Ok(report) if report.beyond == 0 => {}
        Ok(report) => wrong.push(format!("{} entries are not under the checkpoint", report.beyond)),
        Err(error) => wrong.push(format!("the log does not verify: {error}")),
    }
}

/// The journal tells the same end again.
pub(crate) async fn same_again(context: &TenantContext, run: &RunRecord, wrong: &mut Vec<String>) {
    if !matches!(run.status.state, RunState::Completed | RunState::Faulted) {
        return;
    }
    let (told, said) = (replay(context, run).await, recorded(context, run).await);
    if told != said || told == End::Open {
        wrong.push(format!("replayed it ends {told:?}, recorded is {said:?}"));
    }
}
