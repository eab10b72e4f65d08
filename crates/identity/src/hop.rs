//! The hop token: an access token (RFC 9068) for one call, by one attempt, to one receiver.

use crate::{
    ArgumentLimits, Audience, Authority, IdentityModel, Jwks, JwsError, Scope,
    date::{self, whole_secs},
    jws,
    scope::list,
};
use mandate_kernel::{
    DecisionId, Digest, Duration, Environment, FunctionName, RunId, Secret, Signer, StepKey, Tenant, Timestamp, TokenId,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The `typ` of an access token (RFC 9068 §2.1).
const TYPE: &str = "at+jwt";

/// Why a hop token is not good, or was not made. No variant carries any part of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HopError {
    /// It is no token of ours.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// From another issuer.
    #[error("the token is from another issuer")]
    Issuer,
    /// For another receiver.
    #[error("the token is for another audience")]
    Audience,
    /// Past its end.
    #[error("the token has expired")]
    Expired,
    /// Before its beginning, or issued in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// No lifetime, or one beyond [`HopClaims::MAX_LIFETIME`].
    #[error("the token's lifetime is not between 1 and 300 seconds")]
    Lifetime,
    /// Its parts contradict each other: another run in `txn`, no function, a function twice.
    #[error("the token's claims contradict each other")]
    Inconsistent,
}

/// The claims of a hop token. Times are whole seconds in the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HopClaims {
    /// The issuer's URL.
    pub iss: String,
    /// Whose authority is exercised (`kind:name`): the initiator, or the service account.
    pub sub: String,
    /// The one receiver.
    pub aud: Audience,
    /// The end.
    #[serde(with = "date")]
    pub exp: Timestamp,
    /// When it was issued.
    #[serde(with = "date")]
    pub iat: Timestamp,
    /// The beginning.
    #[serde(with = "date")]
    pub nbf: Timestamp,
    /// Accepted once.
    pub jti: TokenId,
    /// The client that the token was issued to (RFC 8693 §4.3): the Worker, as `PROJECT/NAME`.
    pub client_id: String,
    /// What the receiver may be asked for.
    #[serde(with = "list")]
    pub scope: BTreeSet<Scope>,
    /// Who acts for the subject (RFC 8693 §4.1); the present actor outermost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Actor>,
    /// The run.
    pub txn: RunId,
    /// What may be called, and with what (RFC 9396).
    pub authorization_details: Vec<AuthorizationDetail>,
    /// The key whose possession must be shown (RFC 7800). `None`: a bearer token, for a receiver that
    /// can't check proofs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
    /// The context of the call.
    pub mandate: HopContext,
}

/// One actor, and whom it acts after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actor {
    /// The actor (`kind:name`).
    pub sub: String,
    /// The actor before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Box<Actor>>,
}

/// What may be called. The set is closed: an unknown type makes the token unreadable, because a
/// receiver that skips a limit would widen the authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum AuthorizationDetail {
    /// One function, by one request.
    #[serde(rename = "mandate_function")]
    Function(FunctionDetail),
}

/// One function, within limits, by exactly one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionDetail {
    /// The function.
    pub function: FunctionName,
    /// The limits on its arguments.
    pub arguments: ArgumentLimits,
    /// The digest of the very request, as [`crate::CanonicalRequest::digest`] computes it.
    pub request_digest: Digest,
}

/// The key that the token is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// The RFC 7638 thumbprint of the key (RFC 9449 §6.1).
    pub jkt: String,
}

/// What else a receiver and an auditor need to know about the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HopContext {
    /// The tenant that the run belongs to.
    pub tenant: Tenant,
    /// Run, step and attempt.
    pub step: StepKey,
    /// The environment that the token is good for.
    pub environment: Environment,
    /// How the identity reaches the receiver.
    pub model: IdentityModel,
    /// Why the run was started, where the receiver may know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// The digest of the arguments' canonical JSON.
    pub argument_digest: Digest,
    /// The digest of the envelope that the token was made from.
    pub parent: Digest,
    /// The decision that admitted the call.
    pub decision: DecisionId,
}

/// What a receiver expects of every hop token.
#[derive(Debug, Clone, Copy)]
pub struct HopExpectation<'a> {
    /// The one issuer that is trusted.
    pub issuer: &'a str,
    /// Who the receiver is.
    pub audience: &'a Audience,
    /// The present moment.
    pub now: Timestamp,
    /// How far clocks may differ.
    pub leeway: Duration,
}

impl Actor {
    /// A chain out of actors, the present one first. `None` for an empty list.
    #[must_use]
    pub fn chain<I>(actors: I) -> Option<Self>
    where
        I: IntoIterator<Item = String>,
        I::IntoIter: DoubleEndedIterator,
    {
        actors.into_iter().rev().fold(None, |act, sub| Some(Self { sub, act: act.map(Box::new) }))
    }

    /// The actors, the present one first.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(Some(self), |actor| actor.act.as_deref()).map(|actor| actor.sub.as_str())
    }
}

impl HopClaims {
    /// The longest that a hop token may live.
    pub const MAX_LIFETIME: Duration = Duration::from_secs(300);

    /// Signs the token.
    ///
    /// # Errors
    /// [`HopError::Lifetime`] and [`HopError::Inconsistent`] for claims that no receiver should accept,
    /// [`HopError::Jws`] for a token that is too large.
    pub fn sign(&self, signer: &dyn Signer) -> Result<SignedToken, HopError> {
        self.check()?;
        Ok(SignedToken::new(jws::sign(signer, TYPE, self)?))
    }

    /// Verifies a token's signature, type, issuer, audience, times and consistency. Whether it fits a
    /// request, and whether its sender holds the key, is for the caller to check.
    ///
    /// # Errors
    /// [`HopError`], each refusal its own variant.
    pub fn verify(token: &str, keys: &Jwks, expected: &HopExpectation<'_>) -> Result<Self, HopError> {
        let claims: Self = jws::verify(token, TYPE, keys)?;
        if claims.iss != expected.issuer {
            return Err(HopError::Issuer);
        }
        if claims.aud != *expected.audience {
            return Err(HopError::Audience);
        }
        if expected.now >= claims.exp.plus(expected.leeway) {
            return Err(HopError::Expired);
        }
        if expected.now.plus(expected.leeway) < claims.nbf.max(claims.iat) {
            return Err(HopError::NotYetValid);
        }
        claims.check()?;
        Ok(claims)
    }

    /// The functions that may be called.
    pub fn functions(&self) -> impl Iterator<Item = &FunctionDetail> {
        self.authorization_details.iter().map(|AuthorizationDetail::Function(detail)| detail)
    }

    /// What the token allows, as an authority: the issuer compares it with the one it was made from.
    #[must_use]
    pub fn authority(&self) -> Authority {
        Authority {
            scopes: self.scope.clone(),
            audiences: BTreeSet::from([self.aud.clone()]),
            functions: self.functions().map(|d| (d.function.clone(), d.arguments.clone())).collect(),
            environment: self.mandate.environment.clone(),
            not_after: whole_secs(self.exp),
            depth: 0,
        }
    }

    fn check(&self) -> Result<(), HopError> {
        let (begin, end) = (whole_secs(self.nbf.min(self.iat)), whole_secs(self.exp));
        if end <= begin || end.since(begin) > Self::MAX_LIFETIME {
            return Err(HopError::Lifetime);
        }
        let functions: BTreeSet<&FunctionName> = self.functions().map(|detail| &detail.function).collect();
        if functions.is_empty()
            || functions.len() != self.authorization_details.len()
            || self.txn != self.mandate.step.run
        {
            return Err(HopError::Inconsistent);
        }
        Ok(())
    }
}

/// A token that was just signed. It can't be printed or cloned: it goes to the receiver, its digest
/// into the records.
pub struct SignedToken {
    text: Secret<String>,
    digest: Digest,
}

impl SignedToken {
    fn new(text: String) -> Self {
        Self { digest: Digest::of(text.as_bytes()), text: Secret::new(text) }
    }

    /// Lends the token to the edge that sends it.
    #[must_use]
    pub const fn expose(&self) -> &String {
        self.text.expose()
    }

    /// SHA-256 of the token's text.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }
}
