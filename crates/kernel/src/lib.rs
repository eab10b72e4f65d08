//! The vocabulary every other crate speaks: typed ids, time, digests, labels, classes, the closed
//! set of actions, secrets and signatures. Nothing here performs I/O or reads a clock.

mod action;
mod canonical;
mod class;
pub mod crash;
mod date;
mod digest;
mod function;
mod id;
mod label;
mod limits;
mod name;
mod ports;
mod principal;
mod secret;
mod sign;
mod time;

pub use action::{Action, ResourceKind};
pub use canonical::{CanonicalError, EXACT_INTEGER, canonical_json, canonical_json_exact, is_exact, parse_canonical};
pub use class::{Category, Class, Impact};
pub use date::{parse_http, parse_rfc3339, parse_utc};
pub use digest::{Digest, DigestError, base64_decode, base64_encode, base64url_decode, base64url_encode, sha512};
pub use function::{EffectClass, IdentityModel};
pub use id::{
    ApprovalId, Attempt, DecisionId, IdError, LeaseId, RequestId, RunId, StepKey, StepPath, StepSeq, TokenId,
};
pub use label::{Confidentiality, Integrity, Labels, Readers, Source};
pub use limits::Limits;
pub use name::{Environment, FunctionName, GroupName, NameError, Project, ResourceName, Tenant};
pub use ports::{Clock, Entropy, EntropyError, SystemClock, SystemEntropy};
pub use principal::{Caller, Principal, PrincipalKind};
pub use secret::Secret;
pub use sign::{Ed25519Signer, KeyError, KeyId, PublicKey, Signature, SignatureError, Signer};
pub use time::{Duration, Timestamp};
