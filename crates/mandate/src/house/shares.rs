//! How work is shared out between tenants and Workers, as the configuration says.

use anyhow::{Result, bail};
use mandate_engine::Shares;
use serde::Deserialize;

/// What is left out is the engine's own.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema, serde::Serialize))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct SharesConfig {
    /// Steps worked on at one time.
    turns: Option<usize>,
    /// Of these, what tenants divide among each other while there are several.
    shared: Option<usize>,
    /// Runs of one tenant that are driven at one time.
    runs_per_tenant: Option<usize>,
    /// Runs of one Worker that are driven at one time.
    runs_per_worker: Option<usize>,
}

impl SharesConfig {
    /// The engine's shares.
    ///
    /// # Errors
    /// One of them is 0, or more is shared than there is.
    pub(crate) fn shares(self) -> Result<Shares> {
        let own = Shares::default();
        let shares = Shares {
            turns: self.turns.unwrap_or(own.turns),
            shared: self.shared.unwrap_or(own.shared.min(self.turns.unwrap_or(own.turns))),
            runs_per_tenant: self.runs_per_tenant.unwrap_or(own.runs_per_tenant),
            runs_per_worker: self.runs_per_worker.unwrap_or(own.runs_per_worker),
        };
        for (name, value) in [
            ("turns", shares.turns),
            ("shared", shares.shared),
            ("runsPerTenant", shares.runs_per_tenant),
            ("runsPerWorker", shares.runs_per_worker),
        ] {
            if !(1..=1_000_000).contains(&value) {
                bail!("`shares.{name}` is {value}; it must be 1 to 1,000,000");
            }
        }
        if shares.shared > shares.turns {
            bail!("`shares.shared` is {}, more than all `turns` ({})", shares.shared, shares.turns);
        }
        Ok(shares)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Shares> {
        serde_json::from_str::<SharesConfig>(text)?.shares()
    }

    #[test]
    fn what_is_left_out_is_the_engines_own_and_nonsense_is_refused() {
        assert_eq!(read("{}").unwrap(), Shares::default());
        let few = read(r#"{"turns": 4, "runsPerWorker": 7}"#).unwrap();
        assert_eq!((few.turns, few.shared, few.runs_per_worker), (4, 4, 7));
        for wrong in [r#"{"turns": 0}"#, r#"{"shared": 65}"#, r#"{"runsPerTenant": 0}"#, r#"{"turn": 1}"#] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
