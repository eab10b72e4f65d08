//! The envelope of a run: a signed description of the work, minted anew at each step.
//!
//! On the wire it is a transaction token (draft-ietf-oauth-transaction-tokens-10). The draft's names
//! stay inside this module. `tctx` holds what never changes during a run, `rctx` where the run is. It
//! describes the work; it is never an access token.

use crate::{
    Authority, Jwks, JwsError, Scope, Widening,
    date::{self, whole_secs},
    jws,
    scope::list,
};
use mandate_kernel::{
    Class, DecisionId, Digest, Environment, Labels, Limits, Principal, ResourceName, RunId, Signer, StepKey, Tenant,
    Timestamp,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The `typ` of a transaction token.
const TYPE: &str = "txntoken+jwt";

/// The most branches that may join in one step.
const MAX_PREDECESSORS: usize = 64;

/// Why an envelope was not made, or not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// It is no token of ours.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// The step asks for more than the run has.
    #[error(transparent)]
    Widening(#[from] Widening),
    /// The purpose is empty, too long, or holds control or direction-changing characters.
    #[error("the purpose must be 1 to 1000 printable characters")]
    Purpose,
    /// Too many branches join.
    #[error("more than 64 branches join in one step")]
    Predecessors,
    /// The step belongs to another run.
    #[error("the step belongs to another run than the envelope")]
    Run,
    /// From another issuer.
    #[error("the envelope is from another issuer")]
    Issuer,
    /// For another trust domain.
    #[error("the envelope is for another trust domain")]
    TrustDomain,
    /// Past its end.
    #[error("the envelope has expired")]
    Expired,
    /// Issued in the future.
    #[error("the envelope is not valid yet")]
    NotYetValid,
    /// Its parts contradict each other.
    #[error("the envelope's claims contradict each other")]
    Inconsistent,
}

/// What never changes during a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Work {
    /// The tenant.
    pub tenant: Tenant,
    /// Who started the run.
    pub initiator: Principal,
    /// Why.
    pub purpose: String,
    /// What it does to the world, and to what data.
    pub class: Class,
    /// Where.
    pub environment: Environment,
    /// The Worker.
    pub worker: ResourceName,
    /// The digest of the Worker version's canonical JSON.
    pub worker_version: Digest,
    /// What started it, if no request of the initiator's did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<crate::Trigger>,
}

/// Where a run is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// What may be done here.
    pub authority: Authority,
    /// How confidential and how trustworthy the data is that was seen so far. Without the sources:
    /// these are in the ledger.
    pub labels: Labels,
    /// The digest of the policies in force.
    pub policy: Digest,
    /// The decision that led here.
    pub decision: DecisionId,
    /// The attempt at a step; `None` at the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepKey>,
    /// The digest of the envelope around this one: of the run, or of the sub-flow. `None` at the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Digest>,
    /// The digests of the envelopes right before this one in time, sorted: several where forks join.
    pub predecessors: Vec<Digest>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    #[serde(with = "date")]
    iat: Timestamp,
    #[serde(with = "date")]
    exp: Timestamp,
    txn: RunId,
    sub: String,
    #[serde(with = "list")]
    scope: BTreeSet<Scope>,
    req_wl: String,
    tctx: Work,
    rctx: Position,
}

/// What the first envelope of a run is made from.
#[derive(Debug, Clone)]
pub struct Root {
    /// The issuer's URL.
    pub issuer: String,
    /// The trust domain, such as `mandate.example/t/demo`.
    pub trust_domain: String,
    /// The part of the system that asks for the envelope.
    pub requester: String,
    /// The run.
    pub run: RunId,
    /// What never changes.
    pub work: Work,
    /// What the run may do. Its end is the envelope's end.
    pub authority: Authority,
    /// The labels of the input.
    pub labels: Labels,
    /// The digest of the policies in force.
    pub policy: Digest,
    /// The decision that admitted the start.
    pub decision: DecisionId,
    /// The present moment.
    pub now: Timestamp,
}

/// What the envelope of a step, a sub-flow or a sub-run is made from.
#[derive(Debug, Clone)]
pub struct Next {
    /// The part of the system that asks for the envelope.
    pub requester: String,
    /// The attempt at a step.
    pub step: StepKey,
    /// What it may do: a true part of what is around it.
    pub authority: Authority,
    /// The labels of what was seen since; joined with those around.
    pub labels: Labels,
    /// The digest of the policies in force.
    pub policy: Digest,
    /// The decision that admitted it.
    pub decision: DecisionId,
    /// What came right before in time. Empty: the envelope around it.
    pub predecessors: Vec<Digest>,
    /// The present moment.
    pub now: Timestamp,
}

/// A signed envelope. It exists only by [`Envelope::root`], [`Envelope::next`] or a verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    claims: Claims,
    token: String,
    digest: Digest,
}

impl Envelope {
    /// The first envelope of a run.
    ///
    /// # Errors
    /// [`EnvelopeError`], naming what is not acceptable.
    pub fn root(root: Root, signer: &dyn Signer) -> Result<Self, EnvelopeError> {
        let position = Position {
            labels: summary(root.labels),
            policy: root.policy,
            decision: root.decision,
            step: None,
            parent: None,
            predecessors: Vec::new(),
            authority: root.authority,
        };
        Self::seal(
            Claims {
                iss: root.issuer,
                aud: root.trust_domain,
                iat: whole_secs(root.now),
                exp: whole_secs(position.authority.not_after),
                txn: root.run,
                sub: root.work.initiator.subject(),
                scope: position.authority.scopes.clone(),
                req_wl: root.requester,
                tctx: root.work,
                rctx: position,
            },
            root.now,
            signer,
        )
    }

    /// The envelope of something nested in this one: a step of a run, a sub-flow, a sub-run. Authority
    /// narrows along nesting; the order in time is told by the predecessors.
    ///
    /// # Errors
    /// [`EnvelopeError::Widening`] when it asks for more than this envelope has, or for as much.
    pub fn next(&self, next: Next, signer: &dyn Signer) -> Result<Self, EnvelopeError> {
        if next.now >= self.claims.exp {
            return Err(EnvelopeError::Expired);
        }
        let authority = self.authority().narrow(&next.authority)?;
        let mut predecessors = if next.predecessors.is_empty() { vec![self.digest] } else { next.predecessors };
        predecessors.sort_unstable();
        predecessors.dedup();
        let around = &self.claims;
        Self::seal(
            Claims {
                iss: around.iss.clone(),
                aud: around.aud.clone(),
                iat: whole_secs(next.now),
                exp: whole_secs(authority.not_after),
                txn: around.txn.clone(),
                sub: around.sub.clone(),
                scope: authority.scopes.clone(),
                req_wl: next.requester,
                tctx: around.tctx.clone(),
                rctx: Position {
                    labels: summary(around.rctx.labels.join(&next.labels)),
                    policy: next.policy,
                    decision: next.decision,
                    step: Some(next.step),
                    parent: Some(self.digest),
                    predecessors,
                    authority,
                },
            },
            next.now,
            signer,
        )
    }

    /// Verifies an envelope that is to be worked with now.
    ///
    /// # Errors
    /// [`EnvelopeError`], each refusal its own variant.
    pub fn verify(
        token: &str,
        keys: &Jwks,
        issuer: &str,
        trust_domain: &str,
        now: Timestamp,
    ) -> Result<Self, EnvelopeError> {
        let envelope = Self::verify_evidence(token, keys, issuer, trust_domain)?;
        envelope.claims.in_force(now)?;
        Ok(envelope)
    }

    /// Verifies an envelope as evidence of past work, at whatever time.
    ///
    /// # Errors
    /// [`EnvelopeError`], each refusal its own variant.
    pub fn verify_evidence(token: &str, keys: &Jwks, issuer: &str, trust_domain: &str) -> Result<Self, EnvelopeError> {
        let claims: Claims = jws::verify(token, TYPE, keys)?;
        if claims.iss != issuer {
            return Err(EnvelopeError::Issuer);
        }
        if claims.aud != trust_domain {
            return Err(EnvelopeError::TrustDomain);
        }
        claims.check()?;
        Ok(Self { claims, token: token.to_owned(), digest: Digest::of(token.as_bytes()) })
    }

    fn seal(claims: Claims, now: Timestamp, signer: &dyn Signer) -> Result<Self, EnvelopeError> {
        claims.check()?;
        claims.in_force(now)?;
        let token = jws::sign(signer, TYPE, &claims)?;
        Ok(Self { digest: Digest::of(token.as_bytes()), claims, token })
    }

    /// The signed form.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// SHA-256 of the signed form.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The run.
    #[must_use]
    pub const fn run(&self) -> &RunId {
        &self.claims.txn
    }

    /// The initiator, as `kind:name`.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.claims.sub
    }

    /// What never changes during the run.
    #[must_use]
    pub const fn work(&self) -> &Work {
        &self.claims.tctx
    }

    /// Where the run is.
    #[must_use]
    pub const fn position(&self) -> &Position {
        &self.claims.rctx
    }

    /// What may be done here.
    #[must_use]
    pub const fn authority(&self) -> &Authority {
        &self.claims.rctx.authority
    }

    /// When it was issued, in whole seconds.
    #[must_use]
    pub const fn issued_at(&self) -> Timestamp {
        self.claims.iat
    }

    /// When it ends, in whole seconds.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.claims.exp
    }
}

impl Claims {
    /// What must hold at any time, for what we sign and for what we are shown.
    fn check(&self) -> Result<(), EnvelopeError> {
        let (work, position) = (&self.tctx, &self.rctx);
        if !is_purpose(&work.purpose) {
            return Err(EnvelopeError::Purpose);
        }
        if position.predecessors.len() > MAX_PREDECESSORS {
            return Err(EnvelopeError::Predecessors);
        }
        if position.step.as_ref().is_some_and(|step| step.run != self.txn) {
            return Err(EnvelopeError::Run);
        }
        // A start has nothing before it; everything else has something around it and before it.
        let is_start = position.step.is_none();
        let placed = is_start == position.parent.is_none() && is_start == position.predecessors.is_empty();
        let sorted = position.predecessors.iter().zip(position.predecessors.iter().skip(1)).all(|(a, b)| a < b);
        let agrees = self.scope == position.authority.scopes
            && self.exp == whole_secs(position.authority.not_after)
            && work.environment == position.authority.environment
            && work.tenant == work.initiator.tenant
            && self.sub == work.initiator.subject();
        if placed && sorted && agrees { Ok(()) } else { Err(EnvelopeError::Inconsistent) }
    }

    fn in_force(&self, now: Timestamp) -> Result<(), EnvelopeError> {
        if now >= self.exp {
            return Err(EnvelopeError::Expired);
        }
        if now < self.iat {
            return Err(EnvelopeError::NotYetValid);
        }
        Ok(())
    }
}

fn summary(labels: Labels) -> Labels {
    Labels { sources: BTreeSet::new(), ..labels }
}

/// What a person can be shown as it is: no control characters, none that change the direction of
/// writing or are invisible.
#[must_use]
pub fn is_purpose(text: &str) -> bool {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{61c}')
    };
    !text.trim().is_empty() && text.chars().count() <= Limits::DEFAULT.purpose_chars && !text.contains(hidden)
}
