//! Putting a secret into the vault.

use super::grants::owned;
use super::{add_entry, commit};
use crate::Problem;
use mandate_engine::{Engine, TenantContext};
use mandate_journal::{Change, EpochKey};
use mandate_kernel::{Action, Caller, ResourceName, Secret};
use mandate_ledger::EventKind;
use serde_json::json;

/// Stores a new version of a credential's secret; leases from now on take it. The value never comes
/// out again but into the declared slot.
///
/// # Errors
/// [`Problem`]: not the owner's credential, or a value that fits no header.
pub async fn put_secret(
    engine: &Engine,
    context: &TenantContext,
    caller: &Caller,
    name: &ResourceName,
    value: Secret<Vec<u8>>,
) -> Result<u32, Problem> {
    let (permit, _) = owned(engine, context, caller, Action::SecretPut, name).await?;
    let vault = context.vault();
    let failed = |e: mandate_vault::VaultError| Problem::invalid("invalid-secret", e.to_string());
    let version = vault.newest_version(name).await.map_err(failed)?.unwrap_or(0) + 1;
    let record = vault.seal_secret(name, version, value).await.map_err(failed)?;
    let mut change = Change::new(context.tenant().clone(), engine.ports().clock.now(), caller.principal.subject());
    change.secrets.push(record);
    change.revoke.push(EpochKey::Configuration);
    let details = json!({"credential": name, "version": version, "decision": permit.decision()});
    add_entry(&mut change, EventKind::SecretPut, caller.principal.subject(), details)?;
    commit(context, change).await?;
    Ok(version)
}
