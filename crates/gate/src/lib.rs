//! The only place that makes permits (I1).
//!
//! ```text
//! Effect::prepare ─▶ Prepared ─▶ Gate::judge ─▶ Judged ─▶ Gate::admit ─▶ Permit<Step> ─▶ spend ─▶ Effect::perform
//!      (pure)                      (pure)          │        (durable)                      (once)
//!                                                  └▶ NotYet │ Refused
//! ```
//!
//! A [`Permit`] has private fields, no `Clone` and no serde; it carries exactly the request that was
//! judged, so what was judged is what is done. The gate knows no SQL, no HTTP and no clock: it judges
//! facts it is given and commits through a port.

mod access;
mod admit;
mod approval;
mod effect;
mod facts;
mod judge;
mod live;
mod permit;
mod refusal;
mod shown;

pub use access::{AccessQuestion, ApprovalAsked, Roles};
pub use admit::AdmitError;
pub use approval::{GivenApproval, binding};
pub use effect::{
    Call, Claimed, Credentials, Effect, EffectFailure, HopCredential, PrepareError, Prepared, Reply, Request, Slot,
};
pub use facts::{AuthorityRoot, CredentialFacts, GrantFacts, StandingFacts, StepFacts};
pub use judge::{Allowed, Gate, Judged, NotYet};
pub use live::{InFlight, Live, Stopped};
pub use permit::{Access, Expired, Kind, Permit, Spent, Step};
pub use refusal::{Refusal, RefusalKind};
pub use shown::visible;
