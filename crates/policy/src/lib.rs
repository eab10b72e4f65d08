//! Cedar wrapped: one question in, one explained verdict out.
//!
//! [`PolicySet::compile`] takes a tenant's `.cedar` files, adds the built-in ones (`policies/`) and
//! checks all of them against `schema/mandate.cedarschema` in strict mode. [`PolicySet::decide`]
//! answers a [`Question`] with a [`Decision`]; it can't fail, because whatever goes wrong is a deny.
//!
//! **How it differs from Cedar alone.** Cedar skips a policy that fails to evaluate, so an erroring
//! `forbid` would vanish: here any failure denies. Cedar knows yes and no: here a `forbid` may carry
//! `@gate("step-up")` or `@gate("approval:GROUP")`, and when a policy permits and only such rules are
//! in the way, the verdict is [`Verdict::NotYet`]. Every policy has an `@id`; `@description` says why;
//! no other annotation exists.
//!
//! **Cost.** Policies are filed by action and by the resource or principal that their scope names, so
//! that policies about other things cost nothing. It never changes a verdict: tested against the
//! unsliced set.
//!
//! **Arguments.** Policies see each leaf of a step's arguments as a tag named by its JSON pointer:
//! `context.arguments.text.hasTag("/to") && context.arguments.text.getTag("/to") == "board"`. Texts are
//! in `text`, whole numbers in `number`, every number of at most four decimal places in `decimal`,
//! booleans in `flag`, lists of texts in `list`; other lists go member by member (`/items/0/price`).
//! Null is absent; a number that no form holds exactly is a text. So a limit is written `forbid …
//! unless { hasTag … && getTag … }`: what can't be compared is refused.

mod arguments;
mod bounds;
mod compile;
mod explain;
mod facts;
mod judge;
mod mentions;
mod question;
mod request;
mod set;
mod slice;
#[cfg(test)]
mod slice_tests;
mod source;
mod table;
mod verdict;
mod vocabulary;

pub use question::{
    ApprovalFacts, CredentialFacts, Destination, Facts, FactsNeeded, Question, ROLES, Resource, RunFacts, StepFacts,
    askers,
};
pub use set::PolicySet;
pub use source::{PolicyError, PolicyErrors, PolicySource};
pub use table::{TableError, role_table};
pub use verdict::{Decision, DenyReason, Effect, Explanation, GateDemand, GateError, GateKind, PolicyRef, Verdict};
