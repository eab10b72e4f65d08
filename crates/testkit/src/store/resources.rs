//! Administrative changes, resources and secrets.

use super::state::{Kept, State};
use super::transition::place;
use super::{SimTenant, occasions};
use async_trait::async_trait;
use mandate_journal::{
    Change, CommitError, ResourceContent, ResourceRecord, ResourceState, ResourceWrite, Resources, SecretRecord,
    StoreError,
};
use mandate_kernel::{Digest, canonical_json, is_exact};
use mandate_ledger::Entry;
use std::sync::Arc;

#[async_trait]
impl Resources for SimTenant {
    async fn change(&self, change: Change) -> Result<u64, CommitError> {
        self.check_tenant(&change.tenant)?;
        let mut entries = Vec::new();
        for entry in &change.entries {
            if place(&self.tenant, entry)?.is_some() {
                return Err(CommitError::Invalid("an entry of a run in an administrative change".to_owned()));
            }
            entries.push(Kept { link: None, bytes: entry.bytes().to_vec() });
        }
        let leaves = change.entries.iter().map(Entry::leaf_hash).collect();
        let revocations = self.write("store.change", |state| write(state, &change, entries)).await?;
        self.store.shared.acknowledge(leaves);
        Ok(revocations)
    }

    async fn resource(&self, kind: &str, name: &str) -> Result<Option<ResourceRecord>, StoreError> {
        let key = (kind.to_owned(), name.to_owned());
        self.read("store.resource", |state| state.resources.get(&key).and_then(|all| all.last().cloned().flatten()))
            .await
    }

    async fn resource_by_digest(
        &self,
        kind: &str,
        name: &str,
        digest: &Digest,
    ) -> Result<Option<ResourceRecord>, StoreError> {
        let key = (kind.to_owned(), name.to_owned());
        self.read("store.resource-by-digest", |state| {
            let versions = state.resources.get(&key)?;
            versions.iter().rev().flatten().find(|record| record.digest == *digest).cloned()
        })
        .await
    }

    async fn resources(&self, kind: &str) -> Result<Vec<ResourceRecord>, StoreError> {
        self.read("store.resources", |state| {
            let of_kind = state.resources.iter().filter(|((of, _), _)| of == kind);
            of_kind.filter_map(|(_, all)| all.last().cloned().flatten()).collect()
        })
        .await
    }

    async fn inventory(&self) -> Result<Vec<ResourceState>, StoreError> {
        let of = |((kind, name), all): (&(String, String), &Vec<Option<ResourceRecord>>)| ResourceState {
            kind: kind.clone(),
            name: name.clone(),
            version: all.len() as u64,
            content: all.last().and_then(Option::as_ref).map_or(ResourceContent::Deleted, content),
        };
        self.read("store.inventory", |state| state.resources.iter().map(of).collect()).await
    }

    async fn generation(&self) -> Result<u64, StoreError> {
        self.read("store.generation", |state| state.generation).await
    }

    async fn secret(&self, kind: &str, name: &str, version: Option<u32>) -> Result<Option<SecretRecord>, StoreError> {
        let at = |version| (kind.to_owned(), name.to_owned(), version);
        self.read("store.secret", |state| match version {
            Some(version) => state.secrets.get(&at(version)).cloned(),
            None => state.secrets.range(at(0)..=at(u32::MAX)).next_back().map(|(_, secret)| secret.clone()),
        })
        .await
    }

    async fn secrets(&self, kind: &str) -> Result<Vec<SecretRecord>, StoreError> {
        self.read("store.secrets", |state| state.secrets.values().filter(|s| s.kind == kind).cloned().collect()).await
    }
}

fn content(record: &ResourceRecord) -> ResourceContent {
    let digest = canonical_json(&record.spec).map(|bytes| Digest::of(&bytes)).ok();
    let fitting = digest.filter(|digest| *digest == record.digest);
    fitting.map_or(ResourceContent::Damaged, ResourceContent::Digest)
}

fn write(state: &mut State, change: &Change, entries: Vec<Kept>) -> Result<u64, CommitError> {
    for resource in &change.resources {
        put(state, change, resource)?;
    }
    state.generation += u64::from(!change.resources.is_empty());
    for (kind, name) in &change.shred {
        Arc::make_mut(&mut state.secrets).retain(|(of, called, _), _| of != kind || called != name);
    }
    for secret in &change.secrets {
        let key = (secret.kind.clone(), secret.name.clone(), secret.version);
        if state.secrets.contains_key(&key) {
            let same = state.secrets.keys().filter(|(kind, name, _)| *kind == secret.kind && *name == secret.name);
            return Err(CommitError::VersionConflict {
                kind: secret.kind.clone(),
                name: secret.name.clone(),
                expected: u64::from(secret.version.saturating_sub(1)),
                actual: same.map(|(_, _, version)| u64::from(*version)).max().unwrap_or(0),
            });
        }
        Arc::make_mut(&mut state.secrets).insert(key, secret.clone());
    }
    for payload in &change.payloads {
        state.payloads.entry(payload.commitment).or_insert_with(|| Arc::new(payload.clone()));
    }
    occasions::write(state, change)?;
    state.log.append(entries);
    for key in &change.revoke {
        *state.epochs.entry(key.clone()).or_default() += 1;
        state.revocations += 1;
    }
    Ok(state.revocations)
}

fn put(state: &mut State, change: &Change, write: &ResourceWrite) -> Result<(), CommitError> {
    let refused = |why: String| CommitError::Invalid(format!("{} {} can't be written: {why}", write.kind, write.name));
    let key = (write.kind.clone(), write.name.clone());
    let versions = state.resources.get(&key).map_or(&[][..], Vec::as_slice);
    let held = versions.len() as u64;
    let actual = if versions.last().is_some_and(Option::is_some) { held } else { 0 };
    if let Some(expected) = write.expected
        && expected != actual
    {
        let (kind, name) = key;
        return Err(CommitError::VersionConflict { kind, name, expected, actual });
    }
    let record = match &write.spec {
        None if actual == 0 => return Ok(()),
        None => None,
        Some(spec) if !is_exact(spec) => return Err(refused("an integer beyond 2^53".to_owned())),
        Some(spec) => Some(ResourceRecord {
            kind: write.kind.clone(),
            name: write.name.clone(),
            version: held + 1,
            digest: Digest::of(&canonical_json(spec).map_err(|e| refused(e.to_string()))?),
            spec: spec.clone(),
            written_by: change.by.clone(),
            written_at: change.at,
        }),
    };
    Arc::make_mut(&mut state.resources).entry(key).or_default().push(record);
    Ok(())
}
