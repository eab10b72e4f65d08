//! The direction of the house: which crate may depend on which, and who owns each heavy dependency.
//!
//! The table is explicit, so that a new edge is a line of a review and never an accident. A crate may use only
//! crates that stand above it; `deny.toml` repeats the ownership of the heavy ones for the resolved graph.

mod table;

use crate::metadata::{Dependency, Kind, Metadata, Package};
use table::{HEAVY, LAYERS};

/// One crate of the workspace and all it may depend on.
#[derive(Debug, Clone, Copy)]
struct Layer {
    name: &'static str,
    /// Workspace crates it may use, in `[dependencies]` and `[build-dependencies]`.
    uses: &'static [&'static str],
    /// Heavy dependencies it may use anywhere.
    heavy: &'static [&'static str],
    /// Heavy dependencies its tests may use as well.
    dev_heavy: &'static [&'static str],
}

/// The crate that tests of every other crate may use, though it stands below them.
const TESTKIT: &str = "mandate-testkit";
/// The development house; not even a test may reach it unless its crate's `uses` names it.
const DEVKIT: &str = "mandate-devkit";

/// Every way in which the workspace departs from the table; empty when it doesn't.
pub(crate) fn check(metadata: &Metadata) -> Vec<String> {
    let mut findings = table_findings(LAYERS);
    findings.extend(workspace_findings(&metadata.packages, LAYERS, HEAVY));
    findings
}

/// A table that allows an edge upwards would make the whole check worthless, so it is checked itself.
fn table_findings(layers: &[Layer]) -> Vec<String> {
    let mut findings = Vec::new();
    for (rank, layer) in layers.iter().enumerate() {
        let above = layers.get(..rank).unwrap_or_default();
        for used in layer.uses {
            if !stands_in(above, used) {
                findings.push(format!(
                    "the table lets `{}` use `{used}`, which doesn't stand above it in xtask/src/layers/table.rs",
                    layer.name
                ));
            }
        }
        if stands_in(above, layer.name) {
            findings.push(format!("the table names `{}` twice", layer.name));
        }
    }
    findings
}

fn workspace_findings(packages: &[Package], layers: &[Layer], heavy: &[&str]) -> Vec<String> {
    let mut findings = Vec::new();
    for package in packages {
        match layers.iter().position(|layer| layer.name == package.name) {
            None => findings.push(format!(
                "`{}` isn't in the edge table; place it in xtask/src/layers/table.rs and give the reason in docs/decisions",
                package.name
            )),
            Some(rank) => {
                let verdict = |dependency| forbidden(dependency, rank, packages, layers, heavy);
                findings.extend(package.dependencies.iter().filter_map(verdict));
            }
        }
    }
    for layer in layers {
        if !packages.iter().any(|package| package.name == layer.name) {
            findings.push(format!("the table names `{}`, which the workspace doesn't have; remove it", layer.name));
        }
    }
    findings
}

/// Why the layer at `rank` may not have this dependency, if so.
fn forbidden(
    dependency: &Dependency,
    rank: usize,
    packages: &[Package],
    layers: &[Layer],
    heavy: &[&str],
) -> Option<String> {
    let layer = layers.get(rank)?;
    let name = dependency.name.as_str();
    let dev = dependency.kind == Some(Kind::Dev);
    let edge = format!("`{}` -> `{name}`{}", layer.name, if dev { " (dev)" } else { "" });
    if heavy.contains(&name) {
        let allowed = layer.heavy.contains(&name) || (dev && layer.dev_heavy.contains(&name));
        return (!allowed).then(|| format!("{edge}: a heavy dependency that belongs to {}", owners(name, layers)));
    }
    let ours = packages.iter().any(|package| package.name == name) || stands_in(layers, name);
    if !ours || layer.uses.contains(&name) {
        return None;
    }
    if !dev {
        return Some(format!("{edge}: not an allowed edge; it may use {}", listed(layer.uses)));
    }
    let above = layers.get(..rank).unwrap_or_default();
    let allowed = name == TESTKIT || (name != DEVKIT && stands_in(above, name));
    (!allowed).then(|| format!("{edge}: tests may use only `{TESTKIT}` and crates that stand above"))
}

fn stands_in(layers: &[Layer], name: &str) -> bool {
    layers.iter().any(|layer| layer.name == name)
}

fn owners(heavy: &str, layers: &[Layer]) -> String {
    let owners: Vec<_> = layers.iter().filter(|layer| layer.heavy.contains(&heavy)).map(|layer| layer.name).collect();
    listed(&owners)
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() { "no crate".to_owned() } else { format!("`{}`", names.join("`, `")) }
}

#[cfg(test)]
mod tests;
