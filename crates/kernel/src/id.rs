//! Typed ids made by the system. Text form: a prefix, `_`, and 26 Crockford base32 characters that
//! sort by time (ULID).

use crate::{Entropy, EntropyError, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a text is not the id it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not a {kind}: it should look like {prefix}_01J9ZK3Y4T6W8Q2N5R7VX0ABCD")]
pub struct IdError {
    kind: &'static str,
    prefix: &'static str,
    given: String,
}

macro_rules! ulid_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// Makes a fresh id from the two ports: 48 bits of time in milliseconds, 80 random bits.
            ///
            /// # Errors
            /// [`EntropyError`] when the source of randomness fails.
            pub fn generate(now: Timestamp, entropy: &dyn Entropy) -> Result<Self, EntropyError> {
                let mut random = [0u8; 16];
                entropy.fill(&mut random)?;
                let ulid = ulid::Ulid::from_parts(now.as_millis().unsigned_abs(), u128::from_be_bytes(random));
                Ok(Self(format!(concat!($prefix, "_{}"), ulid.to_string())))
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                let well_formed = text
                    .strip_prefix(concat!($prefix, "_"))
                    .is_some_and(|rest| rest.len() == 26 && rest.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()));
                if well_formed {
                    Ok(Self(text))
                } else {
                    Err(IdError { kind: $kind, prefix: $prefix, given: text.chars().take(80).collect() })
                }
            }
        }
        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::try_from(text.to_owned())
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

ulid_id!(
    /// One run of a Worker.
    RunId, "run", "run id"
);
ulid_id!(
    /// One decision of the gate, allow or deny.
    DecisionId, "dec", "decision id"
);
ulid_id!(
    /// One lease of one credential for one attempt of one step.
    LeaseId, "lse", "lease id"
);
ulid_id!(
    /// One approval that a step waits for.
    ApprovalId, "apr", "approval id"
);
ulid_id!(
    /// One request to the interface, as its answer, its problem and the log name it.
    RequestId, "req", "request id"
);
ulid_id!(
    /// The `jti` of one token. A receiver accepts it once.
    TokenId, "tok", "token id"
);

/// Where in the Worker's document a step is: a JSON pointer into `do`, plus the iteration of each
/// enclosing loop, such as `/do/2/correlate/for#3/do/0/enrich`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepPath(pub String);

impl fmt::Display for StepPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The ordinal of a step among the effects of a run, from 1. `(run, StepSeq)` is the idempotency key
/// sent outside; it stays the same over all attempts of that step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepSeq(pub u32);

/// The ordinal of an attempt at one step, from 1. Each attempt has a decision of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attempt(pub u32);

/// What is unique about one attempt: run, step, attempt.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StepKey {
    /// The run.
    pub run: RunId,
    /// The step within it.
    pub seq: StepSeq,
    /// The attempt at that step.
    pub attempt: Attempt,
}

impl StepKey {
    /// The idempotency key that receivers see: the same for each attempt at this step.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        format!("{}.{}", self.run, self.seq.0)
    }
}

impl fmt::Display for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.run, self.seq.0, self.attempt.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemEntropy;

    #[test]
    fn ids_round_trip_and_refuse_strangers() {
        let id = RunId::generate(Timestamp::from_millis(1_700_000_000_000), &SystemEntropy).unwrap();
        assert_eq!(id.as_str().parse::<RunId>().unwrap(), id);
        assert!(id.as_str().parse::<LeaseId>().is_err());
        assert!("run_".parse::<RunId>().is_err());
    }

    #[test]
    fn later_ids_sort_later() {
        let at = |ms| RunId::generate(Timestamp::from_millis(ms), &SystemEntropy).unwrap();
        assert!(at(1_000) < at(2_000));
    }
}
