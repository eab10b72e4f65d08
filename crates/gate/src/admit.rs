//! Admission: the decision becomes durable, then a permit exists.

use crate::permit::StepGranted;
use crate::{Allowed, Gate, InFlight, Permit, Step};
use mandate_journal::{Admission, Commit, CommitError, EventBody, Transition};
use mandate_kernel::crash;

/// Why an allowed step was not admitted. Nothing may be done on its account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdmitError {
    /// The transition does not record this decision.
    #[error("transition does not record decision and request of the step it admits")]
    Mismatch,
    /// A stop came while the decision was being made durable.
    #[error("the run was stopped while this step was admitted")]
    Stopped,
    /// The commit failed.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl Gate {
    /// Makes the decision durable in `transition` and returns the permit. The transition must hold
    /// the matching `Admitted` event; the gate adds the unique admission and the revocation fence.
    ///
    /// # Errors
    /// [`AdmitError`]; no permit exists then.
    pub async fn admit(
        &self,
        allowed: Box<Allowed>,
        mut transition: Transition,
        commit: &dyn Commit,
    ) -> Result<Permit<Step>, AdmitError> {
        let digest = allowed.prepared.digest();
        if !records(&transition, &allowed) {
            return Err(AdmitError::Mismatch);
        }
        transition.fence.revocations = Some(allowed.facts.standing.revocations);
        transition.admission = Some(Admission { step: allowed.facts.step.clone(), request: digest });
        let guard = self.live.register(InFlight {
            step: allowed.facts.step.clone(),
            function: allowed.facts.function.clone(),
            destination: allowed.prepared.destination.clone(),
            decision: allowed.decision.clone(),
            on_wire: false,
            token_valid_until: allowed.not_after,
        });
        crash::point("gate.before-admit");
        commit.commit(transition).await?;
        crash::point("gate.after-admit");
        if guard.is_stopped() {
            return Err(AdmitError::Stopped);
        }
        let Allowed { decision, facts, prepared, hop, not_after, .. } = *allowed;
        Ok(Permit { decision, granted: StepGranted { facts, prepared, hop, not_after, guard } })
    }
}

/// Whether the transition says what is being admitted, and only that: this step, decision and request.
fn records(transition: &Transition, allowed: &Allowed) -> bool {
    let key = &allowed.facts.step;
    let mut admitted = transition.events.iter().filter_map(|event| match &event.body {
        EventBody::Admitted { step, attempt, decision, request, .. } => Some((step, attempt, decision, *request)),
        _ => None,
    });
    transition.tenant == allowed.facts.initiator.tenant
        && transition.run == key.run
        && admitted.next() == Some((&key.seq, &key.attempt, &allowed.decision, allowed.prepared.digest()))
        && admitted.next().is_none()
}
