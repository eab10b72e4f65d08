//! Configuration is bound to the ledger: what is stored must be what the ledger last recorded of it.
//!
//! Whoever edits the database can recompute a row's plain digest, but not the tree that a witness signed.
//! So the newest record of each resource is read from the entries, whose hashes must give the stored tree,
//! and compared with what is stored: content, version, whether it is there at all.

use crate::EngineError;
use mandate_directory::STANDING_GRANT;
use mandate_journal::{LogHead, ResourceContent, ResourceState, StoreError, TenantStore};
use mandate_kernel::{Digest, Tenant, canonical_json};
use mandate_ledger::{Entry, Event, EventKind, Frontier, leaf_hash};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;

/// Kinds that nothing is decided by, and that have no entries: `DevSeed` keeps the development house from
/// giving a grant again that its owner revoked.
const UNBOUND: &[&str] = &["DevSeed"];

/// Kinds of entries that record a resource.
const RECORDS: &[EventKind] = &[
    EventKind::ResourceApplied,
    EventKind::GrantGiven,
    EventKind::GrantRevoked,
    EventKind::KeyIntroduced,
    EventKind::KeyRotated,
    EventKind::StateQuarantined,
    EventKind::StateReleased,
    EventKind::RollbackStarted,
];

/// Entries read at once.
const CHUNK: u64 = 512;

/// Rounds after which a configuration that keeps changing is left alone.
const ROUNDS: usize = 100;

/// Differences told in one message.
const TOLD: usize = 10;

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// Resources compared.
    pub compared: usize,
    /// Those that are not what the ledger records, in the order of kind and name.
    pub differences: Vec<Difference>,
}

/// A resource that is not what the ledger records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Kind.
    pub kind: String,
    /// Name inside the tenant.
    pub name: String,
    /// How they differ.
    pub how: Deviation,
}

/// How what is stored differs from what the ledger records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deviation {
    /// The ledger knows nothing of it.
    Unrecorded,
    /// It is gone, or marked as deleted, and the ledger records no deletion.
    Gone,
    /// The ledger records its deletion.
    Back,
    /// Its content is another; `stored` is `None` where it does not even fit its own digest.
    Changed {
        /// Digest of what the ledger records.
        recorded: Digest,
        /// Digest of what is stored.
        stored: Option<Digest>,
    },
    /// It is at another version.
    Version {
        /// As many as the ledger records.
        recorded: u64,
        /// What is stored.
        stored: u64,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, how } = self;
        match how {
            Deviation::Unrecorded => write!(f, "{kind} {name} is not in the ledger"),
            Deviation::Gone => write!(f, "{kind} {name} is gone, and the ledger records no deletion"),
            Deviation::Back => write!(f, "{kind} {name} is there, and the ledger records its deletion"),
            Deviation::Changed { recorded, stored: Some(stored) } => {
                write!(f, "{kind} {name} is stored with digest {stored}, and the ledger records {recorded}")
            }
            Deviation::Changed { recorded, stored: None } => {
                write!(f, "{kind} {name} does not fit its own digest; the ledger records {recorded}")
            }
            Deviation::Version { recorded, stored } => {
                write!(f, "{kind} {name} is at version {stored}, and the ledger records {recorded}")
            }
        }
    }
}

/// Several differences in one sentence, the first ones by name.
#[must_use]
pub fn told(differences: &[Difference]) -> String {
    let mut parts: Vec<String> = differences.iter().take(TOLD).map(ToString::to_string).collect();
    if let Some(more) = differences.len().checked_sub(TOLD).filter(|more| *more > 0) {
        parts.push(format!("and {more} more"));
    }
    parts.join("; ")
}

/// Why nothing can be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The store could not.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger itself does not hold.
    #[error("{0}")]
    Damaged(String),
}

/// Refuses a configuration that the ledger does not record.
pub(crate) async fn check(store: &dyn TenantStore, tenant: &Tenant) -> Result<(), EngineError> {
    let found = compare(store).await.map_err(|error| match error {
        CompareError::Store(error) => EngineError::Store(error),
        CompareError::Damaged(why) => EngineError::LedgerDamaged { tenant: tenant.to_string(), why },
    })?;
    if found.differences.is_empty() {
        return Ok(());
    }
    Err(EngineError::Unrecorded { tenant: tenant.to_string(), found: told(&found.differences) })
}

/// Compares every resource with the ledger's newest record of it, entries that are not in the tree yet
/// included. Reads all entries, a few at a time.
///
/// # Errors
/// [`CompareError`].
pub async fn compare(store: &dyn TenantStore) -> Result<Configuration, CompareError> {
    let mut scan = Scan::default();
    for _ in 0..ROUNDS {
        let generation = store.generation().await?;
        let stored = store.inventory().await?;
        let recorded = scan.newest(store).await?;
        // A change and its entries are one commit: unless one came in between, these belong together.
        if store.generation().await? == generation {
            return Ok(differences(stored, recorded));
        }
    }
    Err(StoreError::Unavailable("the configuration keeps changing".to_owned()).into())
}

/// What the ledger says of a resource.
#[derive(Debug, Clone)]
struct Record {
    /// Each write has one entry, so that their number is the version.
    version: u64,
    /// `None`: deleted.
    digest: Option<Digest>,
}

/// The newest record of each resource, by kind and name.
#[derive(Debug, Clone, Default)]
struct Records {
    newest: BTreeMap<(String, String), Record>,
    /// The tenant's first keys, each introduced by an entry of its own.
    first_keys: Map<String, Value>,
}

/// A walk along the tree's entries that goes on where it was.
#[derive(Default)]
struct Scan {
    frontier: Frontier,
    records: Records,
}

impl Scan {
    /// Reads on to the newest entry.
    async fn newest(&mut self, store: &dyn TenantStore) -> Result<Records, CompareError> {
        for _ in 0..ROUNDS {
            let head = store.head().await.map_err(damaged)?;
            self.tree(store, &head).await?;
            let pending = store.pending(usize::MAX).await?;
            // What waited may have come into the tree meanwhile; then it is read there.
            if store.head().await.map_err(damaged)?.frontier.size() == self.frontier.size() {
                let mut records = self.records.clone();
                for entry in &pending {
                    records.take(&entry.bytes).map_err(|why| CompareError::Damaged(format!("a new entry: {why}")))?;
                }
                return Ok(records);
            }
        }
        Err(StoreError::Unavailable("the ledger keeps growing".to_owned()).into())
    }

    async fn tree(&mut self, store: &dyn TenantStore, head: &LogHead) -> Result<(), CompareError> {
        let size = head.frontier.size();
        while self.frontier.size() < size {
            let from = self.frontier.size();
            let read = store.entries(from, size.min(from.saturating_add(CHUNK))).await.map_err(damaged)?;
            if read.is_empty() {
                return Err(CompareError::Damaged(format!("entry {from} of {size} is missing")));
            }
            for bytes in read {
                let at = self.frontier.size();
                self.records.take(&bytes).map_err(|why| CompareError::Damaged(format!("entry {at}: {why}")))?;
                self.frontier.append(leaf_hash(&bytes));
            }
        }
        if self.frontier.size() == size && self.frontier.root() != head.frontier.root() {
            let why = format!("its {size} entries do not hash to its tree: one was changed");
            return Err(CompareError::Damaged(why));
        }
        Ok(())
    }
}

impl Records {
    /// Takes an entry's record in, if it is one of a resource.
    fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        if !may_record(bytes) {
            return Ok(());
        }
        let (_, event) = Entry::decode(bytes).map_err(|e| e.to_string())?;
        if event.kind == EventKind::KeyIntroduced {
            return self.first_key(&event);
        }
        if let Some((kind, name, digest)) = recorded(&event)? {
            let record = self.newest.entry((kind, name)).or_insert(Record { version: 0, digest: None });
            // Deleting what is not there makes no version.
            if digest.is_some() || record.digest.is_some() {
                *record = Record { version: record.version.saturating_add(1), digest };
            }
        }
        Ok(())
    }

    /// The resource that pins a tenant's first keys is written once, with an entry for each key.
    fn first_key(&mut self, event: &Event) -> Result<(), String> {
        let part = |key: &str| event.details.get(key).cloned().ok_or_else(|| format!("a key without its {key}"));
        let Value::String(role) = part("role")? else { return Err("a key without its role".to_owned()) };
        self.first_keys.insert(role, part("key")?);
        let digest = digest_of(&self.first_keys)?;
        self.newest.insert(("KeyGenesis".to_owned(), "keys".to_owned()), Record { version: 1, digest: Some(digest) });
        Ok(())
    }
}

/// Whether an entry may be one that records a resource. In canonical JSON a text can't look like this; a
/// key of somebody's data can, and is then read in full for nothing.
fn may_record(bytes: &[u8]) -> bool {
    const CODE: &str = "\"event_code\":\"";
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    text.match_indices(CODE).any(|(at, _)| {
        let rest = text.get(at + CODE.len()..).unwrap_or_default();
        RECORDS.iter().any(|kind| rest.strip_prefix(kind.as_str()).is_some_and(|rest| rest.starts_with('"')))
    })
}

/// Kind, name and new content of the resource an entry records; no content when it was deleted.
fn recorded(event: &Event) -> Result<Option<(String, String, Option<Digest>)>, String> {
    let text = |key: &str| {
        let found = event.details.get(key).and_then(Value::as_str).map(str::to_owned);
        found.ok_or_else(|| format!("a {} entry without {key}", event.kind))
    };
    Ok(match event.kind {
        EventKind::ResourceApplied
        | EventKind::KeyRotated
        | EventKind::StateQuarantined
        | EventKind::StateReleased
        | EventKind::RollbackStarted => {
            let digest = event.details.get("digest").cloned().unwrap_or_default();
            let digest = serde_json::from_value(digest).map_err(|e| format!("a digest that is none: {e}"))?;
            Some((text("kind")?, text("resource")?, digest))
        }
        EventKind::GrantGiven => {
            let grant = event.details.get("grant").ok_or_else(|| "a grant that is not told".to_owned())?;
            let (kind, name) = granted(event)?;
            Some((kind, name, Some(digest_of(grant)?)))
        }
        EventKind::GrantRevoked => {
            let (kind, name) = granted(event)?;
            Some((kind, name, None))
        }
        _ => None,
    })
}

/// Which grant it is about: a standing one says its kind and is stored by the name of its Worker, one of a
/// credential by its own.
fn granted(event: &Event) -> Result<(String, String), String> {
    let text = |key: &str| event.details.get(key).and_then(Value::as_str);
    let named = match text("kind") {
        Some(STANDING_GRANT) => text("resource").map(|name| (STANDING_GRANT.to_owned(), name.to_owned())),
        _ => text("name").map(|name| ("Grant".to_owned(), name.to_owned())),
    };
    named.ok_or_else(|| format!("a {} entry without its name", event.kind))
}

fn digest_of(value: &impl serde::Serialize) -> Result<Digest, String> {
    canonical_json(value).map(|bytes| Digest::of(&bytes)).map_err(|e| e.to_string())
}

/// What can't be read of the ledger is damage to it.
fn damaged(error: StoreError) -> CompareError {
    match error {
        StoreError::Corrupt(why) => CompareError::Damaged(why),
        other => other.into(),
    }
}

fn differences(stored: Vec<ResourceState>, recorded: Records) -> Configuration {
    let mut recorded = recorded.newest;
    let mut differences = Vec::new();
    let mut compared = 0;
    for ResourceState { kind, name, version, content } in stored {
        if UNBOUND.contains(&kind.as_str()) {
            continue;
        }
        compared += 1;
        let record = recorded.remove(&(kind.clone(), name.clone()));
        if let Some(how) = deviation(version, content, record.as_ref()) {
            differences.push(Difference { kind, name, how });
        }
    }
    // A deletion that left no row at all is a deletion.
    for ((kind, name), record) in recorded {
        compared += 1;
        if record.digest.is_some() {
            differences.push(Difference { kind, name, how: Deviation::Gone });
        }
    }
    differences.sort_by(|a, b| (&a.kind, &a.name).cmp(&(&b.kind, &b.name)));
    Configuration { compared, differences }
}

fn deviation(version: u64, content: ResourceContent, record: Option<&Record>) -> Option<Deviation> {
    let Some(record) = record else { return Some(Deviation::Unrecorded) };
    match (record.digest, content) {
        (Some(_), ResourceContent::Deleted) => Some(Deviation::Gone),
        (None, ResourceContent::Digest(_) | ResourceContent::Damaged) => Some(Deviation::Back),
        (Some(recorded), ResourceContent::Damaged) => Some(Deviation::Changed { recorded, stored: None }),
        (Some(recorded), ResourceContent::Digest(stored)) if stored != recorded => {
            Some(Deviation::Changed { recorded, stored: Some(stored) })
        }
        _ if version != record.version => Some(Deviation::Version { recorded: record.version, stored: version }),
        _ => None,
    }
}
