//! Evaluating expressions without standing in anybody's way.
//!
//! An expression is bounded in itself, but a loop may have thousands of them. So each one leaves the
//! runtime's worker threads free, few are evaluated at a time, a stop is looked for before each, and a
//! run has a budget of time for all of them together.

use crate::driver::Driver;
use crate::{Engine, EngineError};
use mandate_flow::{Evaluation, Event};
use mandate_kernel::Duration;
use tokio::runtime::{Handle, RuntimeFlavor};

/// How long a run may evaluate expressions in all, each time it is taken up.
const BUDGET: Duration = Duration::from_secs(30);

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
        let place = engine.evaluations.acquire().await;
        let begun = engine.ports.clock.now();
        let result = match Handle::current().runtime_flavor() {
            RuntimeFlavor::MultiThread => tokio::task::block_in_place(|| mandate_flow::evaluate(&evaluation)),
            _ => mandate_flow::evaluate(&evaluation),
        };
        let spent = engine.ports.clock.now().since(begun);
        drop(place);
        self.evaluating = Duration::from_millis(self.evaluating.as_millis().saturating_add(spent.as_millis()));
        // A long chain of short expressions gives way to others, too.
        tokio::task::yield_now().await;
        Ok(Evaluated::Tell(Event::Evaluated { id: evaluation.id, result }))
    }
}
