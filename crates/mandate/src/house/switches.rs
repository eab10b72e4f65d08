//! The operator's switches as they are written: `allow` of the configuration, `--allow` of the command line.

use mandate_flow::Need;
use serde::Deserialize;
use std::collections::BTreeSet;

/// `allow`: names of switches.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub(crate) struct AllowConfig(BTreeSet<Need>);

impl TryFrom<Vec<String>> for AllowConfig {
    type Error = String;
    fn try_from(names: Vec<String>) -> Result<Self, String> {
        names.iter().map(|name| read(name)).collect::<Result<_, _>>().map(Self)
    }
}

impl From<AllowConfig> for BTreeSet<Need> {
    fn from(config: AllowConfig) -> Self {
        config.0
    }
}

/// A switch by its name.
///
/// # Errors
/// One sentence with the names there are.
pub(crate) fn read(name: &str) -> Result<Need, String> {
    Need::of_switch(name).ok_or_else(|| {
        let known: Vec<&str> = Need::ALL.iter().map(|need| need.switch()).collect();
        format!("`{name}` is no switch; there are: {}", known.join(", "))
    })
}
