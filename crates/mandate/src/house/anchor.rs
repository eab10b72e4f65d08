//! The trust anchor file: written once, when the keys it pins are new, and never changed.

use super::files;
use anyhow::{Context, Result, bail};
use mandate_engine::TenantContext;
use mandate_kernel::Tenant;
use mandate_ledger::{TenantAnchor, TrustAnchor, VerifierKey};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Writes the anchor if there is none; adds tenants that are new; refuses to run beside one that pins
/// other keys, because nothing this node signs could be verified with it.
pub(crate) async fn ensure(path: &Path, witness: VerifierKey, contexts: &[Arc<TenantContext>]) -> Result<()> {
    let mut tenants: BTreeMap<Tenant, TenantAnchor> = BTreeMap::new();
    if path.exists() {
        let bytes = std::fs::read(path).with_context(|| format!("{} can't be read", path.display()))?;
        let held = TrustAnchor::parse(&bytes).with_context(|| format!("{} is not a trust anchor", path.display()))?;
        if !held.witnesses().contains(&witness) {
            bail!("{} pins another witness; start the witness it names, or begin a new data folder", path.display());
        }
        tenants.clone_from(held.tenants());
    }
    let before = tenants.len();
    for context in contexts {
        let anchor = context.anchor().await?;
        let held = tenants.entry(context.tenant().clone()).or_insert_with(|| anchor.clone());
        if *held != anchor {
            bail!(
                "{} pins other keys for tenant {}; this data folder is not the one it was made for",
                path.display(),
                context.tenant()
            );
        }
    }
    if before == tenants.len() {
        return Ok(());
    }
    let anchor = TrustAnchor::new(vec![witness], 1, tenants)?;
    files::write_whole(path, anchor.to_json()?.as_bytes())
}
