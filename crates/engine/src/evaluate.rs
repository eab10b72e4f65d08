//! Evaluating expressions without standing in anybody's way.
//!
//! A tame expression is bounded in itself, but a loop may have thousands of them. So each one that computes
//! anything leaves the runtime's worker threads free, few of these are evaluated at a time, a stop is looked for
//! before each, and a run has a budget of time for all of them together. Wild expressions are evaluated elsewhere
//! ([`crate::Evaluator`]), on the same budget.

use crate::driver::Driver;
use crate::{Engine, EngineError, WildOutcome};
use mandate_flow::{Evaluation, Event, ExprError, Job};
use mandate_journal::EventBody;
use mandate_kernel::Duration;
use serde_json::Value;
use tokio::runtime::{Handle, RuntimeFlavor};

/// How long a run may evaluate expressions in all, each time it is taken up.
const BUDGET: Duration = Duration::from_secs(30);
/// How often an evaluation is tried before a limit is believed, when the run is taken up from its journal: it
/// may have had a value the first time, on a machine less busy.
const ATTEMPTS: u32 = 3;

/// Of the expressions that only copy what they name, each of this many gives way to other runs.
const GIVES_WAY: u32 = 16;

/// What came of an expression.
#[expect(clippy::large_enum_variant, reason = "one lives at a time, on its way to the machine")]
pub(crate) enum Evaluated {
    /// The machine is told.
    Tell(Event),
    /// Somebody stops the run.
    Stopped,
    /// The run has used up its budget.
    Exhausted,
}

impl Driver {
    pub(crate) async fn evaluate(&mut self, engine: &Engine, evaluation: Evaluation) -> Result<Evaluated, EngineError> {
        if engine.is_stopping(&self.run) {
            self.refresh_standing().await?;
            if self.is_stopped() {
                return Ok(Evaluated::Stopped);
            }
        }
        if self.evaluating > BUDGET {
            return Ok(Evaluated::Exhausted);
        }
        let wild = match mandate_flow::job(&evaluation) {
            Some(job) => self.wild(engine, evaluation.id.0, &job).await?,
            None => Ok(Vec::new()),
        };
        let result = match wild {
            Ok(values) => self.tame(engine, &evaluation, values).await,
            Err(error) => Err(error),
        };
        // A long chain of short expressions gives way to others, too.
        if evaluation.id.0.is_multiple_of(GIVES_WAY) || !evaluation.expression.is_quick() {
            tokio::task::yield_now().await;
        }
        Ok(Evaluated::Tell(Event::Evaluated { id: evaluation.id, result }))
    }

    async fn tame(&mut self, engine: &Engine, evaluation: &Evaluation, wild: Vec<Value>) -> Result<Value, ExprError> {
        if evaluation.expression.is_quick() {
            // Nothing in it computes or repeats, so that others don't have to wait for it.
            let begun = engine.ports.clock.now();
            let result = mandate_flow::evaluate_with(evaluation, wild);
            self.has_evaluated(engine.ports.clock.now().since(begun));
            return result;
        }
        let place = engine.evaluations.acquire().await;
        let begun = engine.ports.clock.now();
        let result = match Handle::current().runtime_flavor() {
            RuntimeFlavor::MultiThread => tokio::task::block_in_place(|| mandate_flow::evaluate_with(evaluation, wild)),
            _ => mandate_flow::evaluate_with(evaluation, wild),
        };
        let spent = engine.ports.clock.now().since(begun);
        drop(place);
        self.has_evaluated(spent);
        result
    }

    /// The values of the wild expressions in an evaluation. How a limit ended it is recorded with the next
    /// commit, so that a replay does not depend on how fast it is.
    async fn wild(
        &mut self,
        engine: &Engine,
        evaluation: u32,
        job: &Job,
    ) -> Result<Result<Vec<Value>, ExprError>, EngineError> {
        if let Some(limit) = self.history.evaluations.get(&evaluation) {
            return Ok(Err(ended(limit.clone())));
        }
        if self.begun.is_some() {
            // Whoever started the run is not kept waiting for as long as this may take.
            self.commit(engine).await?;
        }
        let attempts = if self.history.steps.is_empty() && self.history.timers.is_empty() { 1 } else { ATTEMPTS };
        for attempt in 1.. {
            let begun = engine.ports.clock.now();
            self.place.leave();
            let outcome = engine.ports.evaluator.evaluate(&self.run, job).await?;
            self.take_turn(engine).await;
            let now = engine.ports.clock.now();
            self.has_evaluated(now.since(begun));
            match outcome {
                WildOutcome::Evaluated(result) => return Ok(result),
                WildOutcome::Ended(limit) if attempt >= attempts => {
                    self.draft.event(now, EventBody::EvaluationEnded { evaluation, limit: limit.clone() });
                    return Ok(Err(ended(limit)));
                }
                WildOutcome::Ended(_) => {}
            }
        }
        Ok(Err(ended(None)))
    }

    fn has_evaluated(&mut self, spent: Duration) {
        self.evaluating = Duration::from_millis(self.evaluating.as_millis().saturating_add(spent.as_millis()));
    }
}

pub(crate) fn ended(limit: Option<String>) -> ExprError {
    limit.map_or_else(
        || ExprError::Failed("the process that evaluated the expression ended without an answer".to_owned()),
        ExprError::Limit,
    )
}
