//! The verification of one call, in one place and in one order.

use crate::{HopRefusal, ReceivedRequest, ReplayCache, ReplayError};
use mandate_identity::{
    Audience, CanonicalRequest, CanonicalUrl, FunctionDetail, HopClaims, HopExpectation, Jwks, Scope, dpop,
};
use mandate_kernel::{Clock, Digest, Duration, Environment, FunctionName, PublicKey, Tenant, Timestamp};
use serde_json::Value;
use std::sync::Arc;

/// How old a proof may be, beyond the leeway. The sender makes one for each request.
const PROOF_AGE: Duration = Duration::from_secs(60);

/// What a service knows about itself and about whom it trusts.
#[derive(Clone)]
pub struct VerifierConfig {
    /// The one issuer that is trusted.
    pub issuer: String,
    /// This service, as tokens name it.
    pub audience: Audience,
    /// Only calls from this tenant's runs; `None` for a service that separates tenants by itself.
    pub tenant: Option<Tenant>,
    /// The environment that this service is part of.
    pub environment: Environment,
    /// The issuer's public keys.
    pub keys: Jwks,
    /// How far clocks may differ.
    pub leeway: Duration,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Remembers what was used.
    pub replay: Arc<dyn ReplayCache>,
}

/// What an endpoint demands of a call.
#[derive(Debug, Clone, Copy)]
pub struct Demand<'a> {
    /// The scope it takes.
    pub scope: &'a Scope,
    /// The function that the endpoint performs.
    pub function: &'a FunctionName,
    /// The arguments as the endpoint understood them, to be held against the token's limits. `None`
    /// for an endpoint that relies on the digest of the request alone.
    pub arguments: Option<&'a Value>,
}

/// A call that was found good in every respect. It can't be made in any other way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedHop {
    claims: HopClaims,
    request: Digest,
    key: PublicKey,
}

impl VerifiedHop {
    /// The token's claims: subject, actors, run, decision, purpose.
    #[must_use]
    pub const fn claims(&self) -> &HopClaims {
        &self.claims
    }

    /// The digest of the request.
    #[must_use]
    pub const fn request_digest(&self) -> Digest {
        self.request
    }

    /// The key whose possession the sender has shown.
    #[must_use]
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }
}

/// Verifies calls for one service.
pub struct HopVerifier {
    config: VerifierConfig,
}

impl HopVerifier {
    /// A verifier for this service.
    #[must_use]
    pub const fn new(config: VerifierConfig) -> Self {
        Self { config }
    }

    /// Verifies a call: scheme, signature, issuer, audience, times, tenant, environment, scope, function
    /// and arguments, the request itself, possession of the key, and, last, that neither token nor
    /// proof was used before. Only a call that is good in all else uses its token up.
    ///
    /// # Errors
    /// [`HopRefusal`], each reason its own variant.
    pub fn verify(&self, request: &ReceivedRequest<'_>, demand: &Demand<'_>) -> Result<VerifiedHop, HopRefusal> {
        let now = self.config.clock.now();
        let token = dpop_token(request.authorization)?;
        let url = CanonicalUrl::new(request.url)?;
        let expected = HopExpectation {
            issuer: &self.config.issuer,
            audience: &self.config.audience,
            now,
            leeway: self.config.leeway,
        };
        let claims = HopClaims::verify(token, &self.config.keys, &expected)?;
        self.check_place(&claims)?;
        let detail = check_demand(&claims, demand)?;
        let digest = CanonicalRequest::digest_received(
            request.method,
            &url,
            request.content_type,
            request.body,
            request.idempotency_key,
        )?;
        if digest != detail.request_digest {
            return Err(HopRefusal::RequestDigest);
        }
        let proof = dpop::verify(
            request.dpop.ok_or(HopRefusal::NoProof)?,
            &dpop::Expected {
                method: request.method,
                url: &url,
                token,
                jkt: &claims.cnf.as_ref().ok_or(HopRefusal::Unbound)?.jkt,
                now,
                max_age: PROOF_AGE,
                leeway: self.config.leeway,
            },
        )?;
        self.use_up(&claims, &proof, now)?;
        Ok(VerifiedHop { request: digest, key: proof.key, claims })
    }

    fn check_place(&self, claims: &HopClaims) -> Result<(), HopRefusal> {
        if self.config.tenant.as_ref().is_some_and(|tenant| *tenant != claims.mandate.tenant) {
            return Err(HopRefusal::Tenant);
        }
        if claims.mandate.environment != self.config.environment {
            return Err(HopRefusal::Environment(self.config.environment.clone()));
        }
        Ok(())
    }

    /// Ids are kept until nobody would accept their bearer any more. The token first: a proof that is
    /// good for one token only can be new under an old token.
    fn use_up(&self, claims: &HopClaims, proof: &dpop::Proof, now: Timestamp) -> Result<(), HopRefusal> {
        let refuse = |seen: HopRefusal| {
            move |error| match error {
                ReplayError::Seen => seen,
                ReplayError::Unavailable => HopRefusal::ReplayUnknown,
            }
        };
        let leeway = self.config.leeway;
        let token_id = Digest::of_parts(&[b"hop\0", claims.iss.as_bytes(), b"\0", claims.jti.as_str().as_bytes()]);
        let proof_id = Digest::of_parts(&[b"dpop\0", proof.key.as_bytes(), proof.jti.as_bytes()]);
        let proof_end = proof.issued_at.plus(PROOF_AGE).plus(leeway);
        self.config
            .replay
            .first_use(token_id, claims.exp.plus(leeway), now)
            .map_err(refuse(HopRefusal::TokenReplayed))?;
        self.config.replay.first_use(proof_id, proof_end, now).map_err(refuse(HopRefusal::ProofReplayed))
    }
}

/// The token of an `Authorization: DPoP TOKEN` header (RFC 9449 §7.1).
fn dpop_token(authorization: Option<&str>) -> Result<&str, HopRefusal> {
    let (scheme, token) = authorization.ok_or(HopRefusal::NoToken)?.split_once(' ').ok_or(HopRefusal::Scheme)?;
    if scheme.eq_ignore_ascii_case("DPoP") { Ok(token) } else { Err(HopRefusal::Scheme) }
}

fn check_demand<'a>(claims: &'a HopClaims, demand: &Demand<'_>) -> Result<&'a FunctionDetail, HopRefusal> {
    if !claims.scope.contains(demand.scope) {
        return Err(HopRefusal::Scope(demand.scope.clone()));
    }
    let detail = claims.functions().find(|detail| detail.function == *demand.function).ok_or(HopRefusal::Function)?;
    if let Some(arguments) = demand.arguments {
        detail.arguments.admit(arguments).map_err(|pointer| HopRefusal::Argument(pointer.to_owned()))?;
    }
    Ok(detail)
}
