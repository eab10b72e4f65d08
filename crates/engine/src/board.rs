//! What the machine has open, and how far the engine is with each of it.

use crate::driver::Driver;
use crate::flight::Flights;
use crate::gated::approval_timer;
use crate::step::{Wanted, retry_timer};
use crate::{Engine, EngineError};
use mandate_flow::{EmitId, Evaluation, Intent, Labelled, ListenId, Open, TimerId, WorkflowError};
use mandate_journal::{ApprovalChange, ApprovalState, Problem, WaitingFor};
use mandate_kernel::{Duration, EffectClass, StepSeq, Timestamp};
use mandate_ledger::EventKind;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What has to be done, is under way, or waits.
#[derive(Default)]
pub(crate) struct Board {
    /// Expressions, in the order asked. They come before everything else, so that what the machine asks next
    /// depends on nothing but what it was told.
    pub evaluations: VecDeque<Evaluation>,
    pub calls: BTreeMap<StepSeq, Asked>,
    pub timers: BTreeMap<TimerId, Duration>,
    /// Events to emit.
    pub emits: BTreeMap<EmitId, Labelled>,
    /// Tasks that listen, each with the types it listens to; `None` for any.
    pub listens: BTreeMap<ListenId, Option<BTreeSet<String>>>,
    /// What waits for something outside.
    pub aside: BTreeMap<Open, Aside>,
    pub flights: Flights,
    /// What was cut off while the journal was told.
    pub cut: Vec<Open>,
    /// How the machine ended.
    pub end: Option<End>,
}

/// A call as the machine asked for it.
#[derive(Clone)]
pub(crate) struct Asked {
    pub wanted: Wanted,
    /// Why its arguments can't be made, where they can't.
    pub refused: Option<WorkflowError>,
}

/// How the machine ended.
pub(crate) enum End {
    Complete(Labelled),
    Fault(WorkflowError),
}

/// Why something is set aside.
#[derive(Debug, Clone)]
pub(crate) struct Aside {
    pub waits: Waits,
    /// When to look at it again.
    pub until: Option<Timestamp>,
}

/// What it waits for, the most telling last.
#[derive(Debug, Clone)]
pub(crate) enum Waits {
    /// The next attempt. A run between two attempts is not said to wait.
    Retry,
    Timer,
    Event,
    StepUp,
    Approval,
    Doubt(Box<Problem>),
}

impl Waits {
    pub(crate) const fn rank(&self) -> u8 {
        match self {
            Self::Retry => 0,
            Self::Timer => 1,
            Self::Event => 2,
            Self::StepUp => 3,
            Self::Approval => 4,
            Self::Doubt(_) => 5,
        }
    }

    /// What the run is said to wait for.
    pub(crate) const fn said(&self) -> Option<WaitingFor> {
        match self {
            Self::Retry => None,
            Self::Timer => Some(WaitingFor::Timer),
            Self::Event => Some(WaitingFor::Event),
            Self::StepUp => Some(WaitingFor::StepUp),
            Self::Approval => Some(WaitingFor::Approval),
            Self::Doubt(_) => Some(WaitingFor::OutcomeUnknown),
        }
    }
}

/// What can go on now.
pub(crate) enum Next {
    Timer(TimerId, Duration),
    Emit(EmitId, Labelled),
    Call(Box<Asked>),
}

impl Board {
    /// What can go on: timers first, they only have to be set; then steps in the order asked.
    pub(crate) fn next(&mut self, now: Timestamp) -> Option<Next> {
        let due = |aside: &Aside| aside.until.is_some_and(|until| until <= now);
        self.aside.retain(|_, aside| !due(aside));
        let free = |open: Open| !self.aside.contains_key(&open);
        if let Some((id, span)) = self.timers.iter().find(|(id, _)| free(Open::Timer(**id))) {
            return Some(Next::Timer(*id, *span));
        }
        if let Some((id, event)) = self.emits.iter().next() {
            return Some(Next::Emit(*id, event.clone()));
        }
        let idle = |seq: &StepSeq| free(Open::Call(*seq)) && !self.flights.has(*seq);
        self.calls.iter().find(|(seq, _)| idle(seq)).map(|(_, asked)| Next::Call(Box::new(asked.clone())))
    }

    /// Whether the run has nothing else to do, or to wait for, than this step.
    pub(crate) fn is_alone(&self, seq: StepSeq) -> bool {
        self.timers.is_empty()
            && self.emits.is_empty()
            && self.listens.is_empty()
            && self.flights.is_empty()
            && self.calls.keys().all(|other| *other == seq)
    }

    /// When something that is set aside has to be looked at.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.aside.values().filter_map(|aside| aside.until).min()
    }

    /// What the run waits for: the most telling of what is set aside.
    pub(crate) fn waits(&self) -> Option<Waits> {
        let listens = (!self.listens.is_empty()).then_some(Waits::Event);
        let aside = self.aside.values().map(|aside| aside.waits.clone());
        aside.chain(listens).max_by_key(Waits::rank)
    }

    /// The tasks that listen to events of this type.
    pub(crate) fn listeners(&self, kind: &str) -> Vec<ListenId> {
        let hears = |types: &Option<BTreeSet<String>>| types.as_ref().is_none_or(|types| types.contains(kind));
        self.listens.iter().filter(|(_, types)| hears(types)).map(|(id, _)| *id).collect()
    }

    /// Whether the machine still waits for it.
    pub(crate) fn has(&self, open: Open) -> bool {
        match open {
            Open::Evaluation(id) => self.evaluations.iter().any(|evaluation| evaluation.id == id),
            Open::Call(seq) => self.calls.contains_key(&seq),
            Open::Timer(id) => self.timers.contains_key(&id),
            Open::Emit(id) => self.emits.contains_key(&id),
            Open::Listen(id) => self.listens.contains_key(&id),
        }
    }

    /// The machine has ended: it waits for nothing.
    fn finish(&mut self, end: End) {
        self.evaluations.clear();
        self.calls.clear();
        self.timers.clear();
        self.emits.clear();
        self.listens.clear();
        self.aside.clear();
        self.end = Some(end);
    }

    fn close(&mut self, open: Open) {
        self.aside.remove(&open);
        match open {
            Open::Evaluation(id) => self.evaluations.retain(|evaluation| evaluation.id != id),
            Open::Call(seq) => {
                self.calls.remove(&seq);
            }
            Open::Timer(id) => {
                self.timers.remove(&id);
            }
            Open::Emit(id) => {
                self.emits.remove(&id);
            }
            Open::Listen(id) => {
                self.listens.remove(&id);
            }
        }
    }
}

impl Driver {
    /// Takes in what the machine wants.
    pub(crate) fn intake(&mut self, engine: &Engine, intents: Vec<Intent>) -> Result<(), EngineError> {
        for intent in intents {
            match intent {
                Intent::Evaluate(evaluation) => self.board.evaluations.push_back(evaluation),
                Intent::Call { seq, path, function, arguments } => {
                    let effect = self.pinned.functions.get(&function).map_or(EffectClass::Once, |f| f.spec.effect);
                    // Here, and not when its turn comes: what a model is shown depends on what was told so far.
                    let asked = match self.with_shown(Wanted { seq, path, function, arguments, effect }) {
                        Ok(wanted) => Asked { wanted, refused: None },
                        Err(refused) => Asked { wanted: refused.0, refused: Some(refused.1) },
                    };
                    self.board.calls.insert(seq, asked);
                }
                Intent::Sleep { id, duration, .. } => {
                    self.board.timers.insert(id, duration);
                }
                Intent::Emit { id, event, .. } => {
                    self.board.emits.insert(id, event);
                }
                Intent::Listen { id, types, .. } => {
                    self.board.listens.insert(id, types);
                }
                Intent::Cancel(open) => {
                    self.board.close(open);
                    if self.replaying {
                        self.board.cut.push(open);
                    } else {
                        self.withdraw(engine, open)?;
                    }
                }
                Intent::Complete { output } => self.board.finish(End::Complete(output)),
                Intent::Fault { error, .. } => self.board.finish(End::Fault(error)),
            }
        }
        Ok(())
    }

    /// Tells the machine, and takes in what it wants next.
    pub(crate) fn tell(&mut self, engine: &Engine, event: mandate_flow::Event) -> Result<(), EngineError> {
        // A task that listens may be told again.
        if !matches!(event, mandate_flow::Event::Received { .. }) {
            self.board.close(event.answers());
        }
        let intents = self.machine.apply(event)?;
        self.intake(engine, intents)?;
        if !self.replaying {
            self.say_what_is_heard();
        }
        Ok(())
    }

    /// Nobody waits for it any more: its timers are cleared, and people are not asked any longer. An effect
    /// on the wire ends as it does and is recorded; a doubt stays one.
    pub(crate) fn withdraw(&mut self, engine: &Engine, open: Open) -> Result<(), EngineError> {
        match open {
            Open::Evaluation(_) | Open::Emit(_) | Open::Listen(_) => {}
            Open::Timer(id) => self.clear_timer(&machine_timer(id)),
            Open::Call(seq) => {
                self.clear_timer(&retry_timer(seq));
                self.clear_timer(&approval_timer(seq));
                for approval in self.history.asked(seq) {
                    let now = engine.ports.clock.now();
                    let details =
                        json!({"approval": approval, "step": seq, "why": "the branch that asked was cut off"});
                    self.draft.entry(now, EventKind::ApprovalExpired, "system:engine".to_owned(), details)?;
                    let state = ApprovalState::Withdrawn;
                    self.draft.approval(ApprovalChange::Settle {
                        approval,
                        state,
                        by: None,
                        at: now,
                        answer: None,
                        proof: None,
                    });
                }
            }
        }
        Ok(())
    }
}

/// The row of a timer of the machine.
pub(crate) fn machine_timer(id: TimerId) -> String {
    format!("machine:{}", id.0)
}
