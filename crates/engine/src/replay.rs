//! Where the journal left a run: everything the machine was told is told again, in the same order.

use crate::board::Board;
use crate::driver::{Driver, Ended};
use crate::history::{Returned, Told};
use crate::step::Wanted;
use crate::{Engine, EngineError, doubt};
use mandate_flow::{EmitId, Event, Failure, Labelled, OfData, Open, TimerId, WorkflowError};
use mandate_journal::ApprovalState;
use mandate_kernel::{StepPath, Timestamp};
use std::sync::Arc;

impl Driver {
    /// Brings the machine to where the journal left it. Gives the run's end if it ends on the way.
    pub(crate) async fn catch_up(&mut self, engine: &Arc<Engine>) -> Result<Option<Ended>, EngineError> {
        self.replaying = true;
        let mut last_emitted = None;
        for told in std::mem::take(&mut self.history.told) {
            if let Some(ended) = self.evaluate_all(engine).await? {
                return Ok(Some(ended));
            }
            // What the machine does not wait for any more was recorded, and is not told.
            let event = match told {
                Told::Woke { timer, at } => {
                    let id = TimerId(timer);
                    self.board.timers.contains_key(&id).then_some(Event::Woke { id, at })
                }
                Told::Emitted { emit, at, event } => {
                    let id = EmitId(emit);
                    last_emitted = Some(event);
                    self.board.emits.contains_key(&id).then_some(Event::Emitted { id, at })
                }
                Told::Received { kind, at, event } => {
                    if let Some(ended) = self.hear(engine, &kind, at, &event).await? {
                        return Ok(Some(ended));
                    }
                    None
                }
                Told::Returned { step, at, outcome } => match self.board.calls.get(&step) {
                    Some(asked) => {
                        let wanted = asked.wanted.clone();
                        let event = self.replayed(&wanted, at, outcome).await?;
                        if let Event::Returned { result: Ok(returned), .. } = &event {
                            self.keep_result(&wanted, returned);
                        }
                        Some(event)
                    }
                    None => None,
                },
            };
            if let Some(event) = event {
                self.tell(engine, event)?;
            }
        }
        if let Some(ended) = self.evaluate_all(engine).await? {
            return Ok(Some(ended));
        }
        self.replaying = false;
        self.withdraw_cut(engine).await?;
        self.say_what_is_heard();
        if let Some(event) = last_emitted {
            // The process may have ended before it was handed on. Whoever had it knows its id.
            self.hand_on(engine, Labelled { value: self.open(&event).await?, labels: event.labels });
        }
        // An effect that was under way when its branch was cut off, and then the process ended.
        let Board { calls, .. } = &self.board;
        let (now, actor) = (engine.ports.clock.now(), self.actor());
        let lost = doubt::record(&self.history, &mut self.draft, now, &actor, |step| !calls.contains_key(&step))?;
        if !lost.is_empty() {
            self.history.doubt_lost(|step| !calls.contains_key(&step));
        }
        Ok(None)
    }

    /// Withdraws what was cut off by something that was written while nobody drove the run: a person's word. What
    /// a driver had cut off was withdrawn in the same commit, and is not any more what it was.
    async fn withdraw_cut(&mut self, engine: &Engine) -> Result<(), EngineError> {
        for open in std::mem::take(&mut self.board.cut) {
            let mut pending = true;
            if let Open::Call(seq) = open {
                for approval in self.history.asked(seq) {
                    let found = self.context.store.approval(&approval).await?;
                    pending &= found.is_some_and(|found| found.state == ApprovalState::Pending);
                }
            }
            if pending {
                self.withdraw(engine, open)?;
            }
        }
        Ok(())
    }

    /// The journal knows how the step ended.
    async fn replayed(&self, wanted: &Wanted, at: Timestamp, outcome: Returned) -> Result<Event, EngineError> {
        let result = match outcome {
            Returned::Value(stored) => Ok(Labelled { value: self.open(&stored).await?, labels: stored.labels }),
            Returned::Error(problem) => {
                let error = WorkflowError {
                    type_: problem.type_,
                    status: problem.status,
                    title: Some(problem.title),
                    detail: problem.detail,
                    instance: problem.instance.map(StepPath),
                    of_data: OfData::NONE,
                };
                Err(Failure { error, labels: wanted.arguments.labels.clone() })
            }
        };
        Ok(Event::Returned { seq: wanted.seq, at, result })
    }
}
