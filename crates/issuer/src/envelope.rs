//! Envelopes: of a run, and of each attempt at a step within it.

use crate::{IssueError, Issuer};
use mandate_gate::{Allowed, StepFacts};
use mandate_identity::{Authority, Envelope, Next, Root, Work};
use mandate_kernel::{DecisionId, Digest, Duration, Labels, RunId, Secret, StepKey, Timestamp, base64url_decode};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How long a step's envelope lives at most. It travels; the run's stays here.
const STEP_LIFETIME: Duration = Duration::from_secs(300);

/// What a run begins with.
#[derive(Debug, Clone)]
pub struct Start {
    /// The run.
    pub run: RunId,
    /// What never changes about it.
    pub work: Work,
    /// What it may do, and until when.
    pub authority: Authority,
    /// The labels of its input.
    pub labels: Labels,
    /// The digest of the policies in force at the start.
    pub policy: Digest,
    /// The decision that admitted the start.
    pub decision: DecisionId,
    /// When it started.
    pub at: Timestamp,
}

/// A signed envelope.
pub struct MintedEnvelope {
    /// The signed form, for receivers inside the trust domain (`Txn-Token`). Never an access token.
    pub token: Secret<String>,
    /// SHA-256 of the signed form: how everything else names it.
    pub digest: Digest,
    envelope: Envelope,
}

impl MintedEnvelope {
    fn new(envelope: Envelope) -> Self {
        Self { token: Secret::new(envelope.token().to_owned()), digest: envelope.digest(), envelope }
    }

    /// The claims. Without the signature nobody can present them as an envelope.
    #[must_use]
    pub fn claims(&self) -> Value {
        claims(self.envelope.token())
    }

    /// When it ends.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.envelope.expires_at()
    }

    /// The attempt it is for; `None` for the run's.
    #[must_use]
    pub const fn step(&self) -> Option<&StepKey> {
        self.envelope.position().step.as_ref()
    }

    /// The decision it was minted for.
    #[must_use]
    pub const fn decision(&self) -> &DecisionId {
        &self.envelope.position().decision
    }
}

/// The middle part of a token of ours.
fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).and_then(|part| base64url_decode(part).ok());
    payload.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or(Value::Null)
}

impl Issuer {
    /// Mints the envelope of a run. It lives as long as the run's authority, since all steps' envelopes
    /// narrow from it, and stays in this process. The same start under the same key gives the same
    /// envelope, bit by bit: recovery makes it again instead of storing it.
    ///
    /// # Errors
    /// [`IssueError::MintEnvelope`]: an unacceptable purpose, an authority of another environment or
    /// that ends before the start.
    pub fn start(&self, start: Start) -> Result<MintedEnvelope, IssueError> {
        let root = Root {
            issuer: self.url.clone(),
            trust_domain: self.trust_domain.clone(),
            requester: worker(&start.work.worker),
            run: start.run,
            work: start.work,
            authority: start.authority,
            labels: start.labels,
            policy: start.policy,
            decision: start.decision,
            now: start.at,
        };
        Ok(MintedEnvelope::new(Envelope::root(root, self.signer.as_ref())?))
    }

    /// Mints the envelope of an attempt that may be admitted, within the run's, for at most 300 s.
    /// `predecessors` are the envelopes right before it in time: several where forks join; empty at the
    /// first step.
    ///
    /// # Errors
    /// [`IssueError::Envelope`] for a run's envelope of another run, [`IssueError::MintEnvelope`].
    pub fn envelope(
        &self,
        run: &MintedEnvelope,
        allowed: &Allowed,
        predecessors: &[Digest],
    ) -> Result<MintedEnvelope, IssueError> {
        let facts = allowed.facts();
        let around = &run.envelope;
        if *around.run() != facts.step.run || around.position().step.is_some() {
            return Err(IssueError::Envelope(allowed.decision().clone()));
        }
        let now = self.clock.now();
        let mut authority = allowed.hop().cloned().unwrap_or_else(|| nothing(facts));
        // A step's part is never handed on, whatever the judge left in it.
        authority.depth = 0;
        authority.not_after = allowed.not_after().min(now.plus(STEP_LIFETIME)).min(around.authority().not_after);
        let next = Next {
            requester: worker(&facts.worker),
            step: facts.step.clone(),
            authority,
            labels: facts.labels.clone(),
            policy: allowed.policy().policy_digest,
            decision: allowed.decision().clone(),
            predecessors: predecessors.to_vec(),
            now,
        };
        Ok(MintedEnvelope::new(around.next(next, self.signer.as_ref())?))
    }
}

/// The part of the initiator's authority in a step that rests on an embedded grant: none.
fn nothing(facts: &StepFacts) -> Authority {
    Authority {
        scopes: BTreeSet::new(),
        audiences: BTreeSet::new(),
        functions: BTreeMap::new(),
        environment: facts.environment.clone(),
        not_after: facts.authority.not_after,
        depth: 0,
    }
}

/// A Worker as tokens name it.
pub(crate) fn worker(name: &mandate_kernel::ResourceName) -> String {
    format!("worker:{name}")
}
