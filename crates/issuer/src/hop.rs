//! Hop tokens: one call, one receiver, one attempt.

use crate::{IssueError, Issuer, MintedEnvelope, envelope::worker, narrow};
use mandate_gate::{HopCredential, Permit, Request, Step, StepFacts};
use mandate_identity::{
    Actor, Audience, Authority, AuthorizationDetail, CanonicalUrl, Confirmation, FunctionDetail, HopClaims, HopContext,
    HopError, dpop,
};
use mandate_kernel::{Digest, Ed25519Signer, IdentityModel, Secret, Signer, Timestamp, TokenId, canonical_json};

/// A hop token that was just minted.
pub struct MintedHop {
    /// Token and proof, for the edge. The key that made the proof is gone.
    pub credential: HopCredential,
    /// SHA-256 of the token, for the ledger.
    pub digest: Digest,
    /// When the token ends, in whole seconds.
    pub expires_at: Timestamp,
    /// The thumbprint of the key made for this attempt.
    pub jkt: String,
}

/// What proofs of possession for a function inside this process name as its URL. The host can't exist
/// (RFC 6761 §6.4).
///
/// # Errors
/// [`IssueError::Local`] for a name that can't stand in a path.
pub fn local_url(name: &str) -> Result<CanonicalUrl, IssueError> {
    CanonicalUrl::new(format!("https://local.invalid/{name}"))
        .map_err(|why| IssueError::Local { name: name.chars().filter(|c| !c.is_control()).take(80).collect(), why })
}

impl Issuer {
    /// Mints the hop token of an admitted attempt, with a proof of possession by a key made for it and
    /// dropped here. `None` where the step has no authority of its own to pass on (it rests on a grant)
    /// or its receiver takes no tokens.
    ///
    /// # Errors
    /// [`IssueError`]; nothing may be sent then.
    pub fn hop(
        &self,
        permit: &Permit<Step>,
        jti: TokenId,
        envelope: &MintedEnvelope,
    ) -> Result<Option<MintedHop>, IssueError> {
        let (Some(authority), Some(audience)) = (permit.hop(), permit.prepared().audience.as_ref()) else {
            return Ok(None);
        };
        let facts = permit.facts();
        if envelope.step() != Some(&facts.step) || envelope.decision() != permit.decision() {
            return Err(IssueError::Envelope(permit.decision().clone()));
        }
        let now = self.clock.now();
        let (key, seed) = Ed25519Signer::generate(self.entropy.as_ref())?;
        drop(seed);
        let jkt = key.key_id().0;
        let claims = self.claims(permit, (authority, audience), jti, envelope, now, &jkt)?;
        let expires_at = Timestamp::from_secs(claims.exp.as_secs());
        let token = claims.sign(self.signer.as_ref()).map_err(|error| match error {
            HopError::Lifetime => IssueError::Expired(permit.decision().clone()),
            other => IssueError::MintHop(other),
        })?;
        let proof_id = TokenId::generate(now, self.entropy.as_ref())?;
        let proof = match &permit.prepared().request {
            Request::Http(http) => dpop::prove(&key, http.method(), http.url(), token.expose(), &proof_id, now)?,
            Request::Model { url, .. } => dpop::prove(&key, "POST", url, token.expose(), &proof_id, now)?,
            // No mail server takes a token of ours.
            Request::Mail { .. } => return Ok(None),
            Request::Local { name, .. } => {
                dpop::prove(&key, "POST", &local_url(name)?, token.expose(), &proof_id, now)?
            }
        };
        let digest = token.digest();
        let credential = HopCredential { token: Secret::new(token.expose().clone()), proof: Secret::new(proof) };
        Ok(Some(MintedHop { credential, digest, expires_at, jkt }))
    }

    fn claims(
        &self,
        permit: &Permit<Step>,
        (authority, audience): (&Authority, &Audience),
        jti: TokenId,
        envelope: &MintedEnvelope,
        now: Timestamp,
        jkt: &str,
    ) -> Result<HopClaims, IssueError> {
        let (facts, decision) = (permit.facts(), permit.decision());
        let beyond = || IssueError::Beyond(decision.clone());
        let (sub, act) = subject(facts)?;
        let held = authority.functions.get(&facts.function).ok_or_else(beyond)?;
        let arguments = canonical_json(&facts.arguments).map_err(|_| beyond())?;
        let claims = HopClaims {
            iss: self.url.clone(),
            sub,
            aud: audience.clone(),
            exp: permit.not_after().min(now.plus(HopClaims::MAX_LIFETIME)).min(envelope.expires_at()),
            iat: now,
            nbf: now,
            jti,
            client_id: facts.worker.to_string(),
            scope: facts.scopes.clone(),
            act,
            txn: facts.step.run.clone(),
            authorization_details: vec![AuthorizationDetail::Function(FunctionDetail {
                function: facts.function.clone(),
                arguments: narrow::to_call(held, &facts.arguments),
                request_digest: permit.prepared().digest(),
            })],
            cnf: Some(Confirmation { jkt: jkt.to_owned() }),
            mandate: HopContext {
                tenant: facts.initiator.tenant.clone(),
                step: facts.step.clone(),
                environment: facts.environment.clone(),
                model: facts.model,
                // The envelope tells it, to receivers that may know.
                purpose: None,
                argument_digest: Digest::of(&arguments),
                parent: envelope.digest,
                decision: decision.clone(),
            },
        };
        // The judge made the permit's authority for this very call; whatever went wrong since, what is
        // signed is no more than that.
        if authority.covers(&claims.authority()) { Ok(claims) } else { Err(beyond()) }
    }
}

/// Whose authority the token exercises, and who acts for them.
fn subject(facts: &StepFacts) -> Result<(String, Option<Actor>), IssueError> {
    let worker = worker(&facts.worker);
    let refuse = |why| Err(IssueError::Model { model: facts.model, why });
    match facts.model {
        IdentityModel::Delegated => Ok((facts.initiator.subject(), Actor::chain([worker]))),
        // The initiator stands in the envelope, not in the token.
        IdentityModel::WorkflowBound => Ok((worker, None)),
        IdentityModel::UserPassthrough => refuse("the initiator's own provider issues it"),
        IdentityModel::StepUp => refuse("it takes a fresh sign-in of the initiator, which this step does not show"),
        IdentityModel::ServiceAccount => refuse("a service account is used by its own credential, under a grant"),
    }
}
