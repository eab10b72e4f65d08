//! Who may do what, and how that is said in signed tokens: the narrowing lattice, the envelope, hop
//! tokens, proofs of possession, and the verification of callers' tokens. Pure: no I/O, no clock, no
//! randomness of its own.

mod authentication;
mod caller;
mod date;
pub mod dpop;
mod envelope;
mod header;
mod hop;
mod id_token;
mod jwks;
pub mod jws;
mod lattice;
mod limit;
mod request;
mod scope;
mod strict;
mod trigger;

pub use authentication::{
    Authentication, AuthenticationScheme, ClientAuthentication, Exchange, ExchangePlace, Fills, TokenGrant,
    TokenRequest,
};
pub use caller::{Provider, ProviderConfig, ProviderError, TokenError, Verified};
pub use envelope::{Envelope, EnvelopeError, Next, Position, Root, Work, is_purpose};
pub use hop::{
    Actor, AuthorizationDetail, Confirmation, FunctionDetail, HopClaims, HopContext, HopError, HopExpectation,
    SignedToken,
};
pub use id_token::{IdTokenError, IdTokenExpectation, claimed_issuer};
pub use jwks::{Jwks, JwksError};
pub use jws::JwsError;
pub use lattice::{Authority, Call, Widening};
pub use limit::{ArgumentLimits, Limit};
pub use request::{CanonicalRequest, CanonicalUrl, RequestError};
pub use scope::{Audience, FormError, Scope};
pub use strict::unambiguous;

/// Part of the vocabulary; told here too because hop tokens carry it.
pub use mandate_kernel::IdentityModel;
pub use trigger::{Trigger, TriggerKind};
