//! Reviews reach nobody through here: people answer them, and whoever drives the run waits for that.

use async_trait::async_trait;
use mandate_gate::{Call, Credentials, Effect, EffectFailure, PrepareError, Prepared, Reply, Spent};

/// Stands in for a review, and makes no request.
pub(crate) struct ReviewEffect;

#[async_trait]
impl Effect for ReviewEffect {
    fn prepare(&self, call: &Call) -> Result<Prepared, PrepareError> {
        let why = "a review is answered by people, not by a request".to_owned();
        Err(PrepareError::Definition { function: call.function.clone(), why })
    }

    async fn perform(&self, _: &Spent, _: Credentials) -> Result<Reply, EffectFailure> {
        Err(EffectFailure::Definite { status: 500, detail: "a review is answered by people".to_owned() })
    }
}
