//! The part of `cargo metadata` that the layering check reads.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

/// What `cargo metadata --no-deps` says: the workspace's own packages.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
}

/// One workspace crate.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) dependencies: Vec<Dependency>,
}

/// One line of a manifest's dependency tables; `name` is the package's, whatever it is renamed to.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// Absent for a normal dependency; cargo writes `null` then.
    #[serde(default)]
    pub(crate) kind: Option<Kind>,
}

/// The table a dependency stands in, when it isn't the normal one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Dev,
    Build,
}

/// Asks cargo for the workspace below `root`, without the network.
pub(crate) fn read(root: &Path) -> anyhow::Result<Metadata> {
    let output = Command::new(crate::cargo())
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root)
        .output()
        .context("cannot start cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata failed:\n{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("cannot read what cargo metadata printed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_kind_of_dependency() {
        let text = r#"{"packages": [{"name": "a", "version": "0.1.0", "dependencies": [
            {"name": "b", "kind": null}, {"name": "c", "kind": "dev"}, {"name": "d", "kind": "build"}]}]}"#;
        let metadata: Metadata = serde_json::from_str(text).unwrap();
        let kinds: Vec<_> = metadata.packages[0].dependencies.iter().map(|d| d.kind).collect();
        assert_eq!(kinds, [None, Some(Kind::Dev), Some(Kind::Build)]);
    }
}
