//! Payloads of the journal, encrypted per subject and named by a salted commitment:
//!
//! ```text
//! commitment = SHA-256("mandate/commitment/v1\0" │ 32 salt │ canonical JSON)
//! ciphertext = 1 format │ 16 id of the subject's key │ 12 nonce, (salt │ canonical JSON), 16 tag
//! ```
//!
//! Destroying the subject's key leaves the commitments, and every proof about them, as they are.

use crate::{
    TenantVault, VaultError,
    key::{ID, Key, KeyRef},
    tenant::Shared,
};
use mandate_journal::{SealedPayload, Stored};
use mandate_kernel::{Digest, Entropy, Labels, Tenant, canonical_json, parse_canonical};
use serde::Serialize;
use serde_json::Value;
use std::sync::{Arc, PoisonError, RwLock};

const FORMAT: u8 = 1;
const SALT: usize = 32;
const DOMAIN: &[u8] = b"mandate/commitment/v1\0";

/// How many subjects' keys are kept in memory beyond those in use.
const MAX_CACHED: usize = 4096;

/// The commitment to a value's canonical JSON under a salt: what an auditor recomputes when shown both.
#[must_use]
pub fn commitment(salt: &[u8; SALT], canonical: &[u8]) -> Digest {
    Digest::of_parts(&[DOMAIN, salt, canonical])
}

/// The key of one subject's payloads. Cheap to clone; when the subject is shredded through this vault,
/// all clones stop working at once.
#[derive(Clone)]
pub struct SubjectKey {
    state: Arc<State>,
}

struct State {
    subject: String,
    /// The associated data but for the commitment, which follows it.
    bound: Vec<u8>,
    key: RwLock<Option<Key>>,
    shared: Arc<Shared>,
}

impl TenantVault {
    /// The key of a subject (`user:finance-lead`): made once, kept in memory.
    ///
    /// After the subject was shredded this makes another key; what the old one sealed stays
    /// [`VaultError::Shredded`].
    ///
    /// # Errors
    /// Whatever the store or the source of randomness says.
    pub async fn subject(&self, subject: &str) -> Result<SubjectKey, VaultError> {
        if let Some(cached) = self.core.cached_subject(subject) {
            return Ok(cached);
        }
        self.ensure_tenant().await?;
        let _making = self.core.making.lock().await;
        if let Some(cached) = self.core.cached_subject(subject) {
            return Ok(cached);
        }
        let bytes = self.core.subject_bytes(subject).await?;
        let place = || self.core.place(crate::place::SUBJECT_KEY, subject, 1).to_string();
        let key = Key::from_slice(bytes.expose()).ok_or_else(|| VaultError::Undecryptable { place: place() })?;
        let made = SubjectKey::new(key, subject, &self.core.tenant, self.core.shared.clone())?;
        let mut subjects = self.core.subjects.lock().unwrap_or_else(PoisonError::into_inner);
        if subjects.len() >= MAX_CACHED {
            // Those in use stay, so that shredding finds them.
            subjects.retain(|_, kept| Arc::strong_count(&kept.state) > 1);
        }
        subjects.insert(subject.to_owned(), made.clone());
        Ok(made)
    }
}

impl SubjectKey {
    fn new(key: Key, subject: &str, tenant: &Tenant, shared: Arc<Shared>) -> Result<Self, VaultError> {
        #[derive(Serialize)]
        struct Bound<'a> {
            format: u8,
            key: String,
            kind: &'a str,
            subject: &'a str,
            tenant: &'a str,
        }
        let id = key.id().to_string();
        let bound = Bound { format: FORMAT, key: id, kind: "payload", subject, tenant: tenant.as_str() };
        let bound = canonical_json(&bound).map_err(|_| VaultError::NotCanonical)?;
        let state = State { subject: subject.to_owned(), bound, key: RwLock::new(Some(key)), shared };
        Ok(Self { state: Arc::new(state) })
    }

    /// Whose key it is.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.state.subject
    }

    /// Seals a value: the name by which the journal knows it, and the form in which the store keeps it.
    ///
    /// # Errors
    /// [`VaultError::Shredded`], [`VaultError::NotCanonical`], [`VaultError::Entropy`].
    pub fn seal<T: Serialize>(&self, value: &T, labels: &Labels) -> Result<(Stored, SealedPayload), VaultError> {
        let canonical = canonical_json(value).map_err(|_| VaultError::NotCanonical)?;
        let entropy = self.state.shared.entropy.as_ref();
        let mut salt = [0u8; SALT];
        entropy.fill(&mut salt)?;
        let commitment = commitment(&salt, &canonical);
        let size = canonical.len() as u64;
        let ciphertext = self.encrypt(&commitment, [&salt[..], &canonical].concat(), entropy)?;
        let stored = Stored { commitment, labels: labels.clone(), size };
        Ok((stored, SealedPayload { commitment, subject: self.state.subject.clone(), ciphertext }))
    }

    fn encrypt(&self, commitment: &Digest, plain: Vec<u8>, entropy: &dyn Entropy) -> Result<Vec<u8>, VaultError> {
        let key = self.state.key.read().unwrap_or_else(PoisonError::into_inner);
        let key = key.as_ref().ok_or_else(|| self.shredded())?;
        let mut out = Vec::with_capacity(1 + ID + plain.len() + crate::key::NONCE + crate::key::TAG);
        out.push(FORMAT);
        out.extend_from_slice(&key.id().0);
        key.seal_into(&mut out, plain, &self.bound(commitment), entropy)?;
        Ok(out)
    }

    /// Opens a payload and checks it against its commitment.
    ///
    /// # Errors
    /// [`VaultError::Shredded`] when the key that sealed it was destroyed, [`VaultError::Undecryptable`]
    /// when it was altered or belongs to another subject or commitment, [`VaultError::Commitment`],
    /// [`VaultError::UnknownFormat`], [`VaultError::Malformed`].
    pub fn open(&self, payload: &SealedPayload) -> Result<Value, VaultError> {
        self.open_with_salt(payload).map(|(value, _)| value)
    }

    /// Opens a payload and also gives its salt: whoever is shown both can recompute the commitment.
    ///
    /// # Errors
    /// As [`SubjectKey::open`].
    pub fn open_with_salt(&self, payload: &SealedPayload) -> Result<(Value, [u8; SALT]), VaultError> {
        let place = || format!("payload {} of {}", payload.commitment, self.state.subject);
        let malformed = || VaultError::Malformed { place: place() };
        let undecryptable = || VaultError::Undecryptable { place: place() };
        if payload.subject != self.state.subject {
            return Err(undecryptable());
        }
        let (format, rest) = payload.ciphertext.split_first().ok_or_else(malformed)?;
        if *format != FORMAT {
            return Err(VaultError::UnknownFormat { place: place(), format: *format });
        }
        let (id, sealed) = rest.split_first_chunk::<ID>().ok_or_else(malformed)?;
        let key = self.state.key.read().unwrap_or_else(PoisonError::into_inner);
        let key = key.as_ref().filter(|key| key.id() == KeyRef(*id)).ok_or_else(|| self.shredded())?;
        let plain = key.open(sealed, &self.bound(&payload.commitment)).map_err(|_| undecryptable())?;
        let (salt, canonical) = plain.split_first_chunk::<SALT>().ok_or_else(malformed)?;
        if commitment(salt, canonical) != payload.commitment {
            return Err(VaultError::Commitment { subject: self.state.subject.clone() });
        }
        let value = parse_canonical(canonical).map_err(|_| VaultError::NotCanonical)?;
        Ok((value, *salt))
    }

    /// Forgets the key, in all clones.
    pub(crate) fn shred(&self) {
        *self.state.key.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The prefix ends with `}` and the commitment has a fixed length: no two pairs read alike.
    fn bound(&self, commitment: &Digest) -> Vec<u8> {
        [&self.state.bound[..], commitment.as_bytes()].concat()
    }

    fn shredded(&self) -> VaultError {
        VaultError::Shredded { place: format!("what belongs to {}", self.state.subject) }
    }
}
