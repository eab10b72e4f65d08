//! A run told again from its journal alone, by the pure machine.

use mandate_directory::WorkerSpec;
use mandate_engine::TenantContext;
use mandate_flow::{
    EmitId, Event, Failure, Intent, Labelled, Machine, OfData, Open, Program, Start, TimerId, WorkflowError,
};
use mandate_journal::{EventBody, JournalEvent, Outcome, Resolution, RunRecord, Stored};
use mandate_kernel::{Labels, StepPath, StepSeq, Timestamp};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// What the machine came to.
#[derive(Debug, PartialEq)]
pub(crate) enum End {
    Completed(Value, Labels),
    Faulted(String),
    /// It asked for something that the journal does not answer.
    Open,
}

pub(crate) async fn open_value(context: &TenantContext, record: &RunRecord, stored: &Stored) -> Value {
    let subject = context.vault().subject(&record.new.initiator.subject()).await.unwrap();
    let payload = context.store().payload(&stored.commitment).await.unwrap().unwrap();
    subject.open(&payload).unwrap()
}

/// How a step ended, if it has.
async fn returned(
    context: &TenantContext,
    record: &RunRecord,
    journal: &[JournalEvent],
    seq: StepSeq,
    arguments: &Labels,
) -> Option<(Timestamp, Result<Labelled, Failure>)> {
    for event in journal {
        let value = match &event.body {
            EventBody::Returned { step, outcome: Outcome::Value(stored), .. } if *step == seq => stored,
            EventBody::Resolved { step, resolution: Resolution::Happened, value: Some(stored), .. } if *step == seq => {
                stored
            }
            EventBody::Returned { step, outcome: Outcome::Error(problem), .. } if *step == seq => {
                let error = WorkflowError {
                    type_: problem.type_.clone(),
                    status: problem.status,
                    title: Some(problem.title.clone()),
                    detail: problem.detail.clone(),
                    instance: problem.instance.clone().map(StepPath),
                    of_data: OfData::NONE,
                };
                return Some((event.at, Err(Failure { error, labels: arguments.clone() })));
            }
            _ => continue,
        };
        let value = Labelled { value: open_value(context, record, value).await, labels: value.labels.clone() };
        return Some((event.at, Ok(value)));
    }
    None
}

/// Tells the machine everything the journal knows.
pub(crate) async fn replay(context: &TenantContext, record: &RunRecord) -> End {
    let journal = context.store().journal(&record.run).await.unwrap();
    let new = &record.new;
    let worker = context.store().resource_by_digest("Worker", new.worker.as_str(), &new.worker_version).await.unwrap();
    let spec: WorkerSpec = serde_json::from_value(worker.unwrap().spec).unwrap();
    let program = Arc::new(Program::from_json(spec.document).unwrap());
    let (started_at, input) = journal
        .iter()
        .find_map(|event| match &event.body {
            EventBody::Started { input, .. } => Some((event.at, input.clone())),
            _ => None,
        })
        .unwrap();
    let input = Labelled { value: open_value(context, record, &input).await, labels: input.labels };
    let (mut machine, intents) = Machine::start(program, Start { run: record.run.clone(), input, started_at });
    let mut asked = VecDeque::from(intents);
    let (mut calls, mut listens) = (BTreeMap::new(), BTreeMap::new());
    let (mut told, mut heard) = (journal.iter(), VecDeque::new());
    loop {
        // Every evaluation at once, in the order asked; then the next thing that the journal tells.
        while let Some(intent) = asked.pop_front() {
            match intent {
                Intent::Evaluate(asking) if machine.open().contains(&Open::Evaluation(asking.id)) => {
                    let event = Event::Evaluated { id: asking.id, result: mandate_flow::evaluate(&asking) };
                    asked.extend(machine.apply(event).unwrap());
                }
                Intent::Call { seq, arguments, .. } => {
                    calls.insert(seq, arguments.labels);
                }
                Intent::Listen { id, types, .. } => {
                    listens.insert(id, types);
                }
                Intent::Evaluate(_) | Intent::Sleep { .. } | Intent::Cancel(_) | Intent::Emit { .. } => {}
                Intent::Complete { output } => return End::Completed(output.value, output.labels),
                Intent::Fault { error, .. } => return End::Faulted(error.type_),
            }
        }
        let Some(event) = heard.pop_front().or_else(|| told.next().map(|event| (None, event))) else {
            return End::Open;
        };
        let (listener, event) = event;
        let event = match &event.body {
            EventBody::Emitted { emit, .. } => Event::Emitted { id: EmitId(*emit), at: event.at },
            EventBody::Received { kind, .. } if listener.is_none() => {
                let hears = |types: &Option<BTreeSet<String>>| types.as_ref().is_none_or(|types| types.contains(kind));
                let open = machine.open();
                let all = listens.iter().filter(|(id, types)| open.contains(&Open::Listen(**id)) && hears(types));
                heard.extend(all.map(|(id, _)| (Some(*id), event)));
                continue;
            }
            EventBody::Received { event: stored, .. } => {
                let value = open_value(context, record, stored).await;
                let labelled = Labelled { value, labels: stored.labels.clone() };
                Event::Received { id: listener.unwrap(), at: event.at, event: labelled }
            }
            EventBody::Woke { timer } => Event::Woke { id: TimerId(*timer), at: event.at },
            EventBody::Returned { step, .. } | EventBody::Resolved { step, .. } => {
                let Some(labels) = calls.get(step) else { continue };
                match returned(context, record, std::slice::from_ref(event), *step, labels).await {
                    Some((at, result)) => Event::Returned { seq: *step, at, result },
                    None => continue,
                }
            }
            _ => continue,
        };
        // What was cut off is recorded, and not told.
        if machine.open().contains(&event.answers()) {
            asked.extend(machine.apply(event).unwrap());
        }
    }
}

/// What the journal says the run came to.
pub(crate) async fn recorded(context: &TenantContext, record: &RunRecord) -> End {
    let journal = context.store().journal(&record.run).await.unwrap();
    let ended = journal.into_iter().find_map(|event| match event.body {
        EventBody::Ended { output, problem, .. } => Some((output, problem)),
        _ => None,
    });
    match ended {
        Some((Some(output), _)) => End::Completed(open_value(context, record, &output).await, output.labels),
        Some((None, Some(problem))) => End::Faulted(problem.type_),
        _ => End::Open,
    }
}
