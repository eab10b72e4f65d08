//! What the journal already answers: the state of each step and timer of a run.

use mandate_gate::GivenApproval;
use mandate_journal::{Declined, EventBody, JournalEvent, Outcome, Problem, Resolution, Stored};
use mandate_kernel::{ApprovalId, Attempt, Digest, EffectClass, StepSeq, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Where a step stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StepState {
    /// Admitted, and nothing known of the outcome: the process ended in between.
    Open {
        attempt: Attempt,
        effect: EffectClass,
        /// Commitment to the frozen arguments.
        arguments: Stored,
    },
    /// Failed in a passing way; to be asked again at that time.
    Failed { attempt: Attempt, retry_at: Timestamp },
    /// Nobody knows.
    InDoubt { attempt: Attempt },
    /// A person said it did not happen: it may be asked again.
    Cleared { attempt: Attempt },
    /// It waits for gates; those in `open` nobody has answered.
    Gated { attempt: Attempt, open: BTreeSet<ApprovalId>, until: Option<Timestamp> },
    /// A gate was not passed.
    Declined { why: Declined, by: Option<String> },
    /// A person was asked for data.
    Asked { attempt: Attempt, approval: ApprovalId, until: Timestamp },
    /// A person answered with data.
    Answered { attempt: Attempt, approved: bool, by: String, answer: Stored },
}

/// What the machine was told from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// A step ended.
    Returned { step: StepSeq, at: Timestamp, outcome: Returned },
    /// A timer fired.
    Woke { timer: u32, at: Timestamp },
    /// An event was emitted.
    Emitted { emit: u32, at: Timestamp, event: Stored },
    /// An event came, of this type.
    Received { kind: String, at: Timestamp, event: Stored },
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Returned {
    Value(Stored),
    Error(Problem),
}

/// The journal, folded.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    pub input: Option<(Timestamp, Stored, u32)>,
    /// Steps that are begun and have not ended.
    pub steps: BTreeMap<StepSeq, StepState>,
    /// Everything the machine was told from outside, in its order: told again in it, the machine is the same.
    /// Some of it the machine did not wait for any more.
    pub told: Vec<Told>,
    /// The function that each admitted step calls.
    pub functions: BTreeMap<StepSeq, String>,
    /// What people said yes to, by step.
    pub approvals: BTreeMap<StepSeq, Vec<GivenApproval>>,
    /// Source and id of each event that came.
    pub received: BTreeSet<(String, String)>,
    /// When the machine's timers are due.
    pub timers: BTreeMap<u32, Timestamp>,
    /// Evaluations that a limit ended, or the end of their process (`None`).
    pub evaluations: BTreeMap<u32, Option<String>>,
    /// The envelope of the latest admitted step.
    pub envelope: Option<Digest>,
    pub ended: bool,
}

impl History {
    pub(crate) fn of(events: Vec<JournalEvent>) -> Self {
        let mut history = Self::default();
        for event in events {
            let told = history.note(event.at, event.body);
            history.told.extend(told);
        }
        history
    }

    /// Takes in one event; gives what the machine is told by it.
    pub(crate) fn note(&mut self, at: Timestamp, body: EventBody) -> Option<Told> {
        match body {
            EventBody::Started { input, machine } => self.input = Some((at, input, machine)),
            EventBody::Admitted { step, attempt, function, effect, arguments, envelope, .. } => {
                self.envelope = Some(envelope);
                self.functions.insert(step, function);
                self.steps.insert(step, StepState::Open { attempt, effect, arguments });
            }
            EventBody::Returned { step, outcome, .. } => {
                let outcome = match outcome {
                    Outcome::Value(stored) => Returned::Value(stored),
                    Outcome::Error(problem) => Returned::Error(problem),
                };
                self.steps.remove(&step);
                self.approvals.remove(&step);
                return Some(Told::Returned { step, at, outcome });
            }
            EventBody::AttemptFailed { step, attempt, retry_at, .. } => {
                self.steps.insert(step, StepState::Failed { attempt, retry_at });
            }
            EventBody::InDoubt { step, attempt, .. } => {
                // It may have happened: whatever comes next at this step needs a new yes.
                self.approvals.remove(&step);
                self.steps.insert(step, StepState::InDoubt { attempt });
            }
            EventBody::Resolved { step, resolution, value, .. } => return self.resolve(at, step, resolution, value),
            EventBody::EvaluationEnded { evaluation, limit } => {
                self.evaluations.insert(evaluation, limit);
            }
            EventBody::TimerSet { timer, due } => {
                self.timers.insert(timer, due);
            }
            EventBody::Woke { timer } => {
                self.timers.remove(&timer);
                return Some(Told::Woke { timer, at });
            }
            EventBody::Emitted { emit, event } => return Some(Told::Emitted { emit, at, event }),
            EventBody::Received { source, id, kind, event } => {
                self.received.insert((source, id));
                return Some(Told::Received { kind, at, event });
            }
            EventBody::Gated { step, attempt, approvals, until, .. } => {
                // Whatever was approved before was another request.
                self.approvals.remove(&step);
                self.steps.insert(step, StepState::Gated { attempt, open: approvals.into_iter().collect(), until });
            }
            EventBody::Asked { step, attempt, approval, until, .. } => {
                self.steps.insert(step, StepState::Asked { attempt, approval, until });
            }
            EventBody::Answered { step, approved, by, answer, .. } => self.answered(step, approved, by, answer),
            EventBody::Approved { step, approval, gate, binding, by, until } => {
                self.approved(step, approval, &gate, binding, by, until);
            }
            EventBody::Declined { step, why, by, .. } => {
                self.steps.insert(step, StepState::Declined { why, by });
            }
            EventBody::Ended { .. } => self.ended = true,
        }
        None
    }

    /// The approvals that a step waits for.
    pub(crate) fn asked(&self, step: StepSeq) -> Vec<ApprovalId> {
        match self.steps.get(&step) {
            Some(StepState::Gated { open, .. }) => open.iter().cloned().collect(),
            Some(StepState::Asked { approval, .. }) => vec![approval.clone()],
            _ => Vec::new(),
        }
    }

    /// Actions that were open and that nobody will perform again are in doubt.
    pub(crate) fn doubt_lost(&mut self, ended: impl Fn(StepSeq) -> bool) {
        for (step, state) in &mut self.steps {
            if let StepState::Open { attempt, effect, .. } = state
                && *effect != EffectClass::Read
                && ended(*step)
            {
                *state = StepState::InDoubt { attempt: *attempt };
            }
        }
    }

    fn approved(
        &mut self,
        step: StepSeq,
        approval: ApprovalId,
        gate: &str,
        binding: Digest,
        by: String,
        until: Timestamp,
    ) {
        if let Some(StepState::Gated { open, .. }) = self.steps.get_mut(&step) {
            open.remove(&approval);
        }
        // A gate that can't be read passes nothing: the step is gated again.
        if let Ok(gate) = gate.parse() {
            self.approvals.entry(step).or_default().push(GivenApproval { approval, gate, binding, by, until });
        }
    }

    fn answered(&mut self, step: StepSeq, approved: bool, by: String, answer: Stored) {
        if let Some(StepState::Asked { attempt, .. }) = self.steps.get(&step) {
            let attempt = *attempt;
            self.steps.insert(step, StepState::Answered { attempt, approved, by, answer });
        }
    }

    fn resolve(&mut self, at: Timestamp, step: StepSeq, resolution: Resolution, value: Option<Stored>) -> Option<Told> {
        match (resolution, value, self.steps.get(&step)) {
            (Resolution::Happened, Some(value), _) => {
                self.steps.remove(&step);
                return Some(Told::Returned { step, at, outcome: Returned::Value(value) });
            }
            (_, _, Some(StepState::InDoubt { attempt })) => {
                let attempt = *attempt;
                self.steps.insert(step, StepState::Cleared { attempt });
            }
            _ => {}
        }
        None
    }
}
