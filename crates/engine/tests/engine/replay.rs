//! A run told again from its journal alone, by the pure machine.

use mandate_directory::WorkerSpec;
use mandate_engine::TenantContext;
use mandate_flow::{Event, Failure, Intent, Labelled, Machine, OfData, Program, Start, WorkflowError};
use mandate_journal::{EventBody, JournalEvent, Outcome, Resolution, RunRecord, Stored};
use mandate_kernel::{Labels, StepPath, StepSeq, Timestamp};
use serde_json::Value;
use std::sync::Arc;

/// What the machine came to.
#[derive(Debug, PartialEq)]
pub(crate) enum End {
    Completed(Value, Labels),
    Faulted(String),
    /// It asked for something that the journal does not answer.
    Open,
}

async fn open(context: &TenantContext, record: &RunRecord, stored: &Stored) -> Value {
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
        let value = Labelled { value: open(context, record, value).await, labels: value.labels.clone() };
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
    let input = Labelled { value: open(context, record, &input).await, labels: input.labels };
    let (mut machine, mut intents) = Machine::start(program, Start { run: record.run.clone(), input, started_at });
    while let Some(intent) = intents.pop() {
        let event = match intent {
            Intent::Evaluate(asked) => Event::Evaluated { id: asked.id, result: mandate_flow::evaluate(&asked) },
            Intent::Sleep { id, .. } => {
                let woke = |event: &JournalEvent| event.body == EventBody::Woke { timer: id.0 };
                let Some(woke) = journal.iter().find(|event| woke(event)) else { return End::Open };
                Event::Woke { id, at: woke.at }
            }
            Intent::Call { seq, arguments, .. } => {
                match returned(context, record, &journal, seq, &arguments.labels).await {
                    Some((at, result)) => Event::Returned { seq, at, result },
                    None => return End::Open,
                }
            }
            Intent::Complete { output } => return End::Completed(output.value, output.labels),
            Intent::Fault { error, .. } => return End::Faulted(error.type_),
        };
        intents = machine.apply(event).unwrap();
    }
    End::Open
}

/// What the journal says the run came to.
pub(crate) async fn recorded(context: &TenantContext, record: &RunRecord) -> End {
    let journal = context.store().journal(&record.run).await.unwrap();
    let ended = journal.into_iter().find_map(|event| match event.body {
        EventBody::Ended { output, problem, .. } => Some((output, problem)),
        _ => None,
    });
    match ended {
        Some((Some(output), _)) => End::Completed(open(context, record, &output).await, output.labels),
        Some((None, Some(problem))) => End::Faulted(problem.type_),
        _ => End::Open,
    }
}
