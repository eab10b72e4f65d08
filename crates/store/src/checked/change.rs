//! An administrative change: checked and encoded by whoever asks, before the database is.

use super::entries;
use crate::codec;
use mandate_journal::{
    ArrivalChange, Change, CommitError, EpochKey, ResourceWrite, ScheduleWrite, SealedPayload, SecretRecord,
};
use mandate_kernel::{Digest, Tenant, Timestamp, canonical_json, is_exact};
use mandate_ledger::Entry;

/// A change that agrees with itself and with its tenant, its values encoded.
#[derive(Debug)]
pub(crate) struct CheckedChange {
    pub(crate) tenant: Tenant,
    pub(crate) at: Timestamp,
    pub(crate) by: String,
    pub(crate) resources: Vec<(ResourceWrite, Option<Content>)>,
    pub(crate) secrets: Vec<SecretRecord>,
    pub(crate) shred: Vec<(String, String)>,
    pub(crate) revoke: Vec<EpochKey>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) payloads: Vec<SealedPayload>,
    pub(crate) arrivals: Vec<ArrivalChange>,
    /// Each with its state as JSON.
    pub(crate) schedules: Vec<(ScheduleWrite, Vec<u8>)>,
}

/// A resource's content: canonical JSON and its digest.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) json: Vec<u8>,
    pub(crate) digest: Digest,
}

/// How an epoch key is stored.
pub(crate) fn epoch_columns(key: &EpochKey) -> (&'static str, &str) {
    match key {
        EpochKey::Tenant => ("tenant", ""),
        EpochKey::Configuration => ("configuration", ""),
        EpochKey::User(name) => ("user", name),
        EpochKey::Credential(name) => ("credential", name),
        EpochKey::Function(name) => ("function", name),
        EpochKey::Worker(name) => ("worker", name),
        EpochKey::Grant(name) => ("grant", name),
        EpochKey::Run(name) => ("run", name),
    }
}

impl CheckedChange {
    /// Everything that can be found out without the database.
    pub(crate) fn new(tenant: &Tenant, change: Change) -> Result<Self, CommitError> {
        if change.tenant != *tenant {
            let why = format!("it is for tenant {}, and was given to tenant {tenant}", change.tenant);
            return Err(CommitError::Invalid(why));
        }
        let encode = |write: ResourceWrite| Ok((content(&write)?, write)).map(|(content, write)| (write, content));
        let resources: Result<Vec<_>, CommitError> = change.resources.into_iter().map(encode).collect();
        let encode = |write: ScheduleWrite| codec::json(&write.state, "a schedule").map(|state| (write, state));
        let schedules: Result<Vec<_>, CommitError> = change.schedules.into_iter().map(encode).collect();
        Ok(Self {
            tenant: change.tenant,
            at: change.at,
            by: change.by,
            resources: resources?,
            secrets: change.secrets,
            shred: change.shred,
            revoke: change.revoke,
            entries: entries::alone(change.entries, tenant)?,
            payloads: change.payloads,
            arrivals: change.arrivals,
            schedules: schedules?,
        })
    }

    /// Whether it destroys secrets.
    pub(crate) fn shreds(&self) -> bool {
        !self.shred.is_empty()
    }
}

fn content(write: &ResourceWrite) -> Result<Option<Content>, CommitError> {
    let Some(spec) = &write.spec else { return Ok(None) };
    let refused = |why: String| CommitError::Invalid(format!("{} {} can't be written: {why}", write.kind, write.name));
    if !is_exact(spec) {
        let why = "it holds an integer beyond 2^53, which canonical JSON would round: write it as text";
        return Err(refused(why.to_owned()));
    }
    let json = canonical_json(spec).map_err(|e| refused(e.to_string()))?;
    Ok(Some(Content { digest: Digest::of(&json), json }))
}
