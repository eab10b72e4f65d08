//! A tenant's signing keys and their recorded history.

use crate::{EngineError, Ports, TenantContext};
use mandate_journal::{Change, CommitError, ResourceWrite, TenantStore};
use mandate_kernel::{Digest, PublicKey, Signer, Tenant, canonical_json};
use mandate_ledger::{Dsse, Event, EventKind, KeyStatement, Role};
use mandate_vault::TenantVault;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;

/// What a key of a tenant is for. The ledger's word for it.
pub type KeyRole = Role;

/// The resource kind that keeps signed key statements, for passports and exports.
const STATEMENT: &str = "KeyStatement";

/// How long a new token key is published before it signs: receivers that meet an unknown key ask again
/// at most every few seconds.
pub(crate) const PUBLISHED_BEFORE_USE: std::time::Duration = std::time::Duration::from_secs(3);

/// A signed key statement as the store keeps it.
#[derive(Debug, Serialize, Deserialize)]
struct StoredStatement {
    /// Place among all rotations of the tenant.
    order: u64,
    role: Role,
    /// 1 for the first successor.
    ordinal: u32,
    statement: Dsse,
}

/// The keys in use, each the newest of its role.
#[derive(Clone)]
pub(crate) struct TenantKeys {
    pub log: Arc<dyn Signer>,
    pub evidence: Arc<dyn Signer>,
    pub token: Arc<dyn Signer>,
    /// Ordinal of the token key, as the vault counts.
    pub token_ordinal: u32,
    /// Every token key so far: what is published.
    pub token_history: Vec<PublicKey>,
    /// Signed statements of every rotation so far, oldest first.
    pub statements: Vec<Dsse>,
}

/// Every role, in the order in which the keys of a new tenant are made.
const ROLES: [Role; 3] = [Role::Log, Role::Evidence, Role::Token];

impl TenantKeys {
    /// Reads the keys, and makes the first ones of a new tenant with a ledger entry each.
    pub(crate) async fn open(
        ports: &Ports,
        tenant: &Tenant,
        origin: &str,
        store: &dyn TenantStore,
        vault: &TenantVault,
    ) -> Result<Self, EngineError> {
        let mut rotations = Vec::new();
        for record in store.resources(STATEMENT).await? {
            let stored: StoredStatement = serde_json::from_value(record.spec)
                .map_err(|e| EngineError::Inconsistent(format!("key statement {}: {e}", record.name)))?;
            rotations.push(stored);
        }
        rotations.sort_by_key(|stored| stored.order);
        // The vault counts keys from 1, statements from 1 for the first successor.
        let newest =
            |role| 1 + rotations.iter().filter(|stored| stored.role == role).map(|s| s.ordinal).max().unwrap_or(0);
        let token_ordinal = newest(Role::Token);
        let mut token_history = Vec::new();
        for ordinal in 1..=token_ordinal {
            token_history.push(vault.signing_key(Role::Token.as_str(), ordinal).await?.public());
        }
        let keys = Self {
            log: vault.signing_key(Role::Log.as_str(), newest(Role::Log)).await?,
            evidence: vault.signing_key(Role::Evidence.as_str(), newest(Role::Evidence)).await?,
            token: vault.signing_key(Role::Token.as_str(), token_ordinal).await?,
            token_ordinal,
            token_history,
            statements: rotations.into_iter().map(|stored| stored.statement).collect(),
        };
        keys.introduce(ports, tenant, origin, store).await?;
        Ok(keys)
    }

    pub(crate) fn public(&self, role: Role) -> PublicKey {
        self.signer(role).public()
    }

    pub(crate) fn signer(&self, role: Role) -> &Arc<dyn Signer> {
        match role {
            Role::Log => &self.log,
            Role::Evidence => &self.evidence,
            Role::Token => &self.token,
        }
    }

    /// Records the first keys in the ledger, once. The marker resource makes it exactly once.
    async fn introduce(
        &self,
        ports: &Ports,
        tenant: &Tenant,
        origin: &str,
        store: &dyn TenantStore,
    ) -> Result<(), EngineError> {
        if store.resource("KeyGenesis", "keys").await?.is_some() {
            return Ok(());
        }
        let now = ports.clock.now();
        let mut change = Change::new(tenant.clone(), now, "system:keys".to_owned());
        for role in ROLES {
            let key = self.public(role);
            let event = Event {
                time: now,
                tenant: tenant.clone(),
                kind: EventKind::KeyIntroduced,
                actor: "system:keys".to_owned(),
                run: None,
                details: json!({"role": role.as_str(), "ordinal": 0, "key": key, "key_id": key.id(), "origin": origin}),
            };
            change.entries.push(event.encode()?);
        }
        change.resources.push(ResourceWrite {
            kind: "KeyGenesis".to_owned(),
            name: "keys".to_owned(),
            expected: Some(0),
            spec: Some(json!({
                "log": self.public(Role::Log), "evidence": self.public(Role::Evidence), "token": self.public(Role::Token),
            })),
        });
        match store.change(change).await {
            // Another process of this store was first, with the same keys from the same vault.
            Ok(_) | Err(CommitError::VersionConflict { .. }) => Ok(()),
            Err(other) => Err(other.into()),
        }
    }
}

/// Makes a successor for the newest key of a role: signed by its predecessor and by the witness,
/// recorded in the ledger.
pub(crate) async fn rotate(
    ports: &Ports,
    context: &TenantContext,
    current: &TenantKeys,
    role: Role,
    by: &str,
) -> Result<PublicKey, EngineError> {
    let TenantContext { tenant, store, vault, .. } = context;
    // The log's key goes by the log's name; the others have no name of their own.
    let key_name = if role == Role::Log { context.names.origin.clone() } else { format!("{tenant}/{role}") };
    let now = ports.clock.now();
    let held: Vec<StoredStatement> = store
        .resources(STATEMENT)
        .await?
        .into_iter()
        .filter_map(|record| serde_json::from_value(record.spec).ok())
        .collect();
    let ordinal = 1 + u32::try_from(held.iter().filter(|stored| stored.role == role).count()).unwrap_or(u32::MAX - 1);
    let (signer, secret) = vault.new_signing_key(role.as_str(), ordinal + 1).await?;
    let key = signer.public();
    let statement = KeyStatement {
        tenant: tenant.clone(),
        role,
        key,
        key_name,
        ordinal,
        predecessor: Some(current.public(role).id()),
        introduced_at: now,
    };
    let signed = statement.sign(current.signer(role).as_ref())?;
    let cosigned = ports.witness.sign_key(&signed).await.map_err(|e| EngineError::Witness(e.to_string()))?;
    let mut change = Change::new(tenant.clone(), now, by.to_owned());
    change.secrets.push(secret);
    let stored = StoredStatement { order: held.len() as u64, role, ordinal, statement: cosigned.clone() };
    let stored = serde_json::to_value(stored).map_err(|e| EngineError::Inconsistent(e.to_string()))?;
    let name = format!("{}-{ordinal}", role.as_str());
    let digest = Digest::of(&canonical_json(&stored)?);
    change.resources.push(ResourceWrite {
        kind: STATEMENT.to_owned(),
        name: name.clone(),
        expected: Some(0),
        spec: Some(stored),
    });
    let event = Event {
        time: now,
        tenant: tenant.clone(),
        kind: EventKind::KeyRotated,
        actor: by.to_owned(),
        run: None,
        details: json!({
            "role": role.as_str(), "ordinal": ordinal, "key": key, "key_id": key.id(), "statement": cosigned,
            "kind": STATEMENT, "resource": name, "version": 1, "digest": digest,
        }),
    };
    change.entries.push(event.encode()?);
    store.change(change).await?;
    Ok(key)
}
