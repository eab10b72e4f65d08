//! What has to hold at the end of every seed.

use crate::house::{journal, tenant};
use crate::invariants::{decisions, evidence, same_again};
use crate::replay::open_value;
use crate::simulation::base::{OUTSIDE, TAINT};
use crate::simulation::life::Life;
use crate::simulation::memory::Promise;
use mandate_engine::TenantContext;
use mandate_journal::{ApprovalState, EventBody, JournalEvent, Resolution, RunRecord, RunState, Stored};
use mandate_kernel::{Confidentiality, EffectClass, Integrity, RunId, StepSeq};
use mandate_testkit::Act;
use std::collections::{BTreeMap, BTreeSet};

/// Attempts that a function's retry allows; each but the last may be followed by another.
const ATTEMPTS: usize = 3;

/// Everything that is wrong, to be asked with no fault left.
pub(crate) async fn violations(life: &Life<'_>, context: &TenantContext) -> Vec<String> {
    let mut wrong = Vec::new();
    let runs = life.runs();
    let journals: BTreeMap<RunId, Vec<JournalEvent>> =
        runs.iter().map(|run| (run.run.clone(), journal(life.world, &run.run))).collect();
    decisions(life.world, &mut wrong);
    receivers(life, &journals, &mut wrong);
    for run in &runs {
        settled(life, run, &mut wrong);
        backoff(run, &journals[&run.run], &mut wrong);
        labels(context, run, &journals[&run.run], &mut wrong).await;
        same_again(context, run, &mut wrong).await;
    }
    let promises = life.memory.borrow().promises.clone();
    for promise in &promises {
        kept(life, promise, &journals, &mut wrong);
    }
    evidence(life.world, context, &mut wrong).await;
    wrong
}

/// No second effect under one key at receivers that honour it, and none repeated blindly at those that can't tell.
fn receivers(life: &Life<'_>, journals: &BTreeMap<RunId, Vec<JournalEvent>>, wrong: &mut Vec<String>) {
    let effects = &life.world.effects;
    let received = effects.received();
    let accepted = effects.accepted();
    for r in &received {
        let key = r.step.idempotency_key();
        if accepted.get(&key).is_some_and(|first| *first != r.request) {
            wrong.push(format!("another request under the key {key}"));
        }
    }
    for (key, times) in effects.done() {
        if times > 1 {
            wrong.push(format!("what may happen once was done {times} times under {key}"));
        }
    }
    let mut asked: BTreeMap<(&RunId, StepSeq), usize> = BTreeMap::new();
    for r in received.iter().filter(|r| r.class == EffectClass::Once && r.act != Act::Transient) {
        *asked.entry((&r.step.run, r.step.seq)).or_default() += 1;
    }
    for ((run, seq), times) in asked {
        let cleared = journals[run].iter().filter(|event| {
            matches!(&event.body, EventBody::Resolved { step, resolution: Resolution::DidNotHappen, .. } if *step == seq)
        });
        if times > 1 + cleared.count() {
            wrong.push(format!("step {} of {run} was asked {times} times of a receiver that can't tell", seq.0));
        }
    }
}

/// With people who answer and events that come, every run has ended; nothing of it is left over.
fn settled(life: &Life<'_>, run: &RunRecord, wrong: &mut Vec<String>) {
    let (id, status) = (&run.run, &run.status);
    if !status.state.is_terminal() {
        wrong.push(format!("{id} is stuck: {:?} {:?}", status.state, status.waiting_for));
    }
    if status.problem.as_ref().is_some_and(|problem| problem.type_.ends_with("/problems/engine")) {
        wrong.push(format!("{id} could not go on: {:?}", status.problem));
    }
    let (leases, timers) = life.world.store.peek_loose_ends(&tenant(), id);
    if !leases.is_empty() {
        wrong.push(format!("{} leases of {id} are open", leases.len()));
    }
    if !timers.is_empty() && status.state.is_terminal() {
        wrong.push(format!("timers of {id} are set: {timers:?}"));
    }
}

/// Nothing is tried again without end.
fn backoff(run: &RunRecord, journal: &[JournalEvent], wrong: &mut Vec<String>) {
    let mut failed: BTreeMap<StepSeq, usize> = BTreeMap::new();
    for event in journal {
        if let EventBody::AttemptFailed { step, .. } = &event.body {
            *failed.entry(*step).or_default() += 1;
        }
    }
    for (step, times) in failed {
        if times >= ATTEMPTS {
            wrong.push(format!("step {} of {} was to be asked again {times} times", step.0, run.run));
        }
    }
}

/// What came of the receiver nobody trusts, or from outside, says so wherever it goes.
async fn labels(context: &TenantContext, run: &RunRecord, journal: &[JournalEvent], wrong: &mut Vec<String>) {
    for event in journal {
        let (what, stored): (&str, &Stored) = match &event.body {
            EventBody::Admitted { arguments, .. } => ("the arguments of a step", arguments),
            EventBody::Emitted { event, .. } => ("an emitted event", event),
            EventBody::Ended { output: Some(output), .. } if run.status.state == RunState::Completed => {
                ("the output", output)
            }
            _ => continue,
        };
        let text = open_value(context, run, stored).await.to_string();
        let labels = &stored.labels;
        let from = |origin: &str| labels.sources.iter().any(|source| source.origin == origin);
        let mut missing = Vec::new();
        if text.contains(TAINT) {
            missing.extend((!from("sim.taint")).then_some("where it came from"));
            missing.extend((labels.integrity > Integrity::Untrusted).then_some("that nobody trusts it"));
            missing.extend((labels.confidentiality < Confidentiality::Restricted).then_some("who may know it"));
        }
        if text.contains(OUTSIDE) {
            missing.extend((!from("outside")).then_some("that it came from outside"));
            missing.extend((labels.integrity > Integrity::Untrusted).then_some("that nobody trusts it"));
        }
        if !missing.is_empty() {
            wrong.push(format!("{what} of {} (journal {}) lost {}: {text}", run.run, event.seq, missing.join(", ")));
        }
    }
}

/// What was acknowledged has happened, and stays.
fn kept(life: &Life<'_>, promise: &Promise, journals: &BTreeMap<RunId, Vec<JournalEvent>>, wrong: &mut Vec<String>) {
    match promise {
        Promise::Started(run) => {
            if !journals.contains_key(run) {
                wrong.push(format!("{run} was acknowledged and is gone"));
            }
        }
        Promise::Delivered { id, runs } => {
            let is_it = |event: &JournalEvent| matches!(&event.body, EventBody::Received { id: of, .. } if of == id);
            let held = journals.values().filter(|journal| journal.iter().any(is_it)).count();
            if held < *runs {
                wrong.push(format!("event {id} was taken for {runs} runs, and {held} have it"));
            }
            if journals.values().any(|journal| journal.iter().filter(|event| is_it(event)).count() > 1) {
                wrong.push(format!("a run took event {id} twice"));
            }
        }
        Promise::Answered(approval, state) => {
            let now = life.world.store.peek_approval(&tenant(), approval).map(|now| now.state);
            if now != Some(*state) || *state == ApprovalState::Pending {
                wrong.push(format!("{approval} was said to be {state:?}, and is {now:?}"));
            }
        }
        Promise::Stopped(run, seen) => {
            let now = life.world.effects.received().iter().filter(|r| r.step.run == *run).count();
            if now > *seen {
                wrong.push(format!("after the stop of {run} receivers saw {} more requests", now - seen));
            }
        }
        Promise::Revoked { runs, decided } => {
            for run in runs {
                let after: BTreeSet<u64> = journals[run]
                    .iter()
                    .filter_map(|event| match &event.body {
                        EventBody::Admitted { decision, .. } if !decided.contains(decision) => Some(event.seq),
                        _ => None,
                    })
                    .collect();
                if !after.is_empty() {
                    wrong.push(format!("{run} was admitted to more after it was revoked: journal {after:?}"));
                }
            }
        }
    }
}
