//! One entry of the ledger: an event in its only byte form.

use crate::kind::{EventKind, RunScope};
use crate::ocsf::EntryObject;
use crate::tree;
use mandate_kernel::{
    CanonicalError, Digest, Limits, RunId, Tenant, Timestamp, canonical_json_exact, is_exact, parse_canonical,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// Something that happened, before it is written. What was read back has its details as a [`Value`].
#[derive(Debug, Clone, PartialEq)]
pub struct Event<D = Value> {
    /// When.
    pub time: Timestamp,
    /// In whose ledger.
    pub tenant: Tenant,
    /// What.
    pub kind: EventKind,
    /// Who: `Principal::subject()`, such as `user:finance-lead`.
    pub actor: String,
    /// Its place in its run's chain, for kinds that have one.
    pub run: Option<RunLink>,
    /// What else is to be known: an object. Never a secret or a payload; those by digest.
    pub details: D,
}

/// What an entry tells beyond when, who and what. A type of its own is written as it stands; a [`Value`] first has to
/// be made, member by member.
pub trait Details: Serialize {
    /// Whether it is written as an object.
    fn is_object(&self) -> bool;

    /// The text that a member holds, if it holds one. The OCSF attributes are made of it, so it must be what is
    /// written: an entry of which it is not can't be read back.
    fn text(&self, member: &str) -> Option<&str>;
}

impl Details for Value {
    fn is_object(&self) -> bool {
        Self::is_object(self)
    }

    fn text(&self, member: &str) -> Option<&str> {
        self.get(member)?.as_str()
    }
}

/// An entry's place in its run: entries of a run form a chain of their own, at once and without the
/// tree, so that none can be left out of a passport.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunLink {
    /// The run.
    pub run: RunId,
    /// Ordinal within the run, from 0.
    pub seq: u32,
    /// Leaf hash of the run's previous entry; `None` only at 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev: Option<Digest>,
}

/// An event in canonical JSON (RFC 8785), at most [`Limits::ledger_entry`] bytes. Only
/// [`Event::encode`] and [`Entry::decode`] make one. A clone is the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    written: Arc<Written>,
}

/// An entry's bytes, and what would otherwise be read out of them again.
#[derive(Debug, PartialEq, Eq)]
struct Written {
    bytes: Vec<u8>,
    tenant: Tenant,
    run: Option<RunLink>,
    leaf: Digest,
}

/// Why an event can't be written, or bytes are not an entry.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// `details` is not an object.
    #[error("details of a {kind} entry must be a JSON object")]
    DetailsNotObject {
        /// Of which kind.
        kind: EventKind,
    },
    /// An integer that canonical JSON would round.
    #[error("the value holds an integer beyond 2^53, which canonical JSON would round: write it as text")]
    InexactNumber,
    /// Nested too deeply.
    #[error("the value is nested deeper than {} levels", Limits::DEFAULT.depth)]
    TooDeep,
    /// Actor is empty or not `kind:name`.
    #[error("actor `{given}` is not of the form kind:name")]
    Actor {
        /// What was given, shortened.
        given: String,
    },
    /// A link where there must be none, or none where there must be one.
    #[error("a {kind} entry {} a link into a run", if *.needed { "needs" } else { "must not carry" })]
    RunLink {
        /// Of which kind.
        kind: EventKind,
        /// Whether it needs the link.
        needed: bool,
    },
    /// `prev` is missing after the first entry, or present at the first.
    #[error("entry {seq} of a run must {} its predecessor", if *.seq == 0 { "not name" } else { "name" })]
    Prev {
        /// Ordinal within the run.
        seq: u32,
    },
    /// The entry would be too large.
    #[error("entry of {size} bytes exceeds {}: put payloads in blobs and their digests in the entry", Limits::DEFAULT.ledger_entry)]
    TooLarge {
        /// Its size.
        size: usize,
    },
    /// Not canonical JSON.
    #[error(transparent)]
    Canonical(CanonicalError),
    /// Canonical JSON, but not what an event is written as.
    #[error("not a ledger entry: {reason}")]
    NotAnEntry {
        /// What is wrong.
        reason: String,
    },
}

/// Levels of an entry above its details: the entry, `unmapped`, `mandate`.
const ABOVE_DETAILS: usize = 3;

impl<D: Details> Event<D> {
    /// Writes the event.
    ///
    /// # Errors
    /// [`EntryError`] when the event breaks a rule of its kind or is too large.
    pub fn encode(&self) -> Result<Entry, EntryError> {
        self.check()?;
        let bytes = canonical_json_exact(&EntryObject::of(self), Limits::DEFAULT.depth + ABOVE_DETAILS)?;
        if bytes.len() > Limits::DEFAULT.ledger_entry {
            return Err(EntryError::TooLarge { size: bytes.len() });
        }
        let leaf = tree::leaf_hash(&bytes);
        let written = Written { bytes, tenant: self.tenant.clone(), run: self.run.clone(), leaf };
        Ok(Entry { written: Arc::new(written) })
    }

    fn check(&self) -> Result<(), EntryError> {
        let kind = self.kind;
        if !self.details.is_object() {
            return Err(EntryError::DetailsNotObject { kind });
        }
        if !self.actor.split_once(':').is_some_and(|(class, name)| !class.is_empty() && !name.is_empty()) {
            return Err(EntryError::Actor { given: self.actor.chars().take(80).collect() });
        }
        match (kind.run_scope(), &self.run) {
            (RunScope::Always, None) => Err(EntryError::RunLink { kind, needed: true }),
            (RunScope::Never, Some(_)) => Err(EntryError::RunLink { kind, needed: false }),
            (_, Some(link)) if (link.seq == 0) != link.prev.is_none() => Err(EntryError::Prev { seq: link.seq }),
            _ => Ok(()),
        }
    }
}

/// Whether canonical JSON carries the value exactly, and it is not too deep.
pub(crate) fn check_value(value: &Value, depth: usize) -> Result<(), EntryError> {
    let inner = depth.checked_sub(1).ok_or(EntryError::TooDeep)?;
    match value {
        Value::Number(_) if !is_exact(value) => Err(EntryError::InexactNumber),
        Value::Array(items) => items.iter().try_for_each(|item| check_value(item, inner)),
        Value::Object(map) => map.values().try_for_each(|item| check_value(item, inner)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

impl From<CanonicalError> for EntryError {
    fn from(error: CanonicalError) -> Self {
        match error {
            CanonicalError::Inexact => Self::InexactNumber,
            CanonicalError::TooDeep => Self::TooDeep,
            other => Self::Canonical(other),
        }
    }
}

impl Entry {
    /// The canonical bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.written.bytes
    }

    /// In whose ledger it belongs.
    #[must_use]
    pub fn tenant(&self) -> &Tenant {
        &self.written.tenant
    }

    /// Its place in its run's chain, if it has one.
    #[must_use]
    pub fn link(&self) -> Option<&RunLink> {
        self.written.run.as_ref()
    }

    /// The RFC 6962 leaf hash: `SHA-256(0x00 ‖ bytes)`.
    #[must_use]
    pub fn leaf_hash(&self) -> Digest {
        self.written.leaf
    }

    /// Reads an entry strictly: the event in it is written again and must give the same bytes.
    ///
    /// # Errors
    /// [`EntryError`] for anything [`Event::encode`] would not have written.
    pub fn decode(bytes: &[u8]) -> Result<(Self, Event), EntryError> {
        if bytes.len() > Limits::DEFAULT.ledger_entry {
            return Err(EntryError::TooLarge { size: bytes.len() });
        }
        let event = event_in(parse_canonical(bytes)?)?;
        let entry = event.encode()?;
        if entry.bytes() == bytes {
            Ok((entry, event))
        } else {
            Err(EntryError::NotAnEntry { reason: "its OCSF attributes do not follow from its event".to_owned() })
        }
    }
}

fn event_in(mut object: Value) -> Result<Event, EntryError> {
    Ok(Event {
        time: field(&mut object, "/time")?,
        tenant: field(&mut object, "/metadata/tenant_uid")?,
        kind: field(&mut object, "/metadata/event_code")?,
        actor: field(&mut object, "/actor/user/uid")?,
        run: match object.pointer("/unmapped/mandate/run") {
            Some(_) => Some(field(&mut object, "/unmapped/mandate/run")?),
            None => None,
        },
        details: field(&mut object, "/unmapped/mandate/details")?,
    })
}

/// Takes one attribute out.
fn field<T: serde::de::DeserializeOwned>(object: &mut Value, pointer: &str) -> Result<T, EntryError> {
    let value = object.pointer_mut(pointer).map(Value::take);
    let value = value.ok_or_else(|| EntryError::NotAnEntry { reason: format!("{pointer} is missing") })?;
    serde_json::from_value(value).map_err(|e| EntryError::NotAnEntry { reason: format!("{pointer}: {e}") })
}
