//! Key history: each key after the first is vouched for by its predecessor and by the witnesses, so
//! that old evidence stays verifiable and a stolen key alone can't found a new line.

use crate::anchor::{AnchorError, TenantAnchor, TrustAnchor};
use crate::dsse::{Dsse, DsseError};
use crate::note::{Algorithm, NoteError, VerifierKey};
use mandate_kernel::{CanonicalError, KeyId, PublicKey, Signer, Tenant, Timestamp, canonical_json, parse_canonical};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The DSSE payload type of a key statement.
pub const PAYLOAD_TYPE: &str = "application/vnd.mandate.key+json";

/// What a key is for. A key serves one role of one tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Signs checkpoints.
    Log,
    /// Signs passports and artefacts.
    Evidence,
    /// Signs tokens.
    Token,
}

impl Role {
    /// Every role.
    pub const ALL: &'static [Self] = &[Self::Log, Self::Evidence, Self::Token];

    /// The role as statements write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Evidence => "evidence",
            Self::Token => "token",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// "From now on, this key too."
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyStatement {
    /// Whose key.
    pub tenant: Tenant,
    /// What for.
    pub role: Role,
    /// The key.
    pub key: PublicKey,
    /// Its name; for a log key, the log's origin.
    pub key_name: String,
    /// 0 for the key the anchor pins, then 1, 2, ….
    pub ordinal: u32,
    /// The key before it; `None` only at 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predecessor: Option<KeyId>,
    /// Since when.
    pub introduced_at: Timestamp,
}

impl KeyStatement {
    /// Signs the statement as the predecessor; witnesses then add theirs
    /// ([`crate::WitnessState::endorse_key`]).
    ///
    /// # Errors
    /// [`KeyRingError::Form`]; can't happen for these fields.
    pub fn sign(&self, predecessor: &dyn Signer) -> Result<Dsse, KeyRingError> {
        Ok(Dsse::sign(PAYLOAD_TYPE, canonical_json(self)?, predecessor))
    }

    /// What an envelope claims to state, **not yet verified**.
    ///
    /// # Errors
    /// [`KeyRingError::Form`].
    pub fn unverified(envelope: &Dsse) -> Result<Self, KeyRingError> {
        Ok(parse_canonical(envelope.unverified_payload())?)
    }
}

/// Why a key was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum KeyRingError {
    /// The anchor does not help.
    #[error(transparent)]
    Anchor(#[from] AnchorError),
    /// Not canonical JSON of a statement.
    #[error("not a key statement: {0}")]
    Form(#[from] CanonicalError),
    /// A key name that notes can't carry.
    #[error(transparent)]
    Name(#[from] NoteError),
    /// About another tenant.
    #[error("the key statement is about tenant {0}")]
    Tenant(Tenant),
    /// A log key that is not named as its log.
    #[error("log key is named `{0}`, not as the log's origin")]
    KeyName(String),
    /// Its ordinal does not follow.
    #[error("{role} key statement has ordinal {found}; {expected} is next")]
    Ordinal {
        /// Which line of keys.
        role: Role,
        /// What is next.
        expected: u32,
        /// What it says.
        found: u32,
    },
    /// Its predecessor has a successor already.
    #[error("fork: {role} key {predecessor} has another successor already")]
    Fork {
        /// Which line of keys.
        role: Role,
        /// The key with two successors.
        predecessor: KeyId,
    },
    /// Its predecessor is not a key of this role.
    #[error("{role} key statement names no known predecessor")]
    Predecessor {
        /// Which line of keys.
        role: Role,
    },
    /// The key serves already.
    #[error("key {0} is in use already")]
    Reused(KeyId),
    /// Not signed by predecessor and witnesses.
    #[error("the key statement is not signed by predecessor and witnesses: {0}")]
    Signatures(#[from] DsseError),
}

/// All keys of a tenant that may have signed, per role, oldest first. It begins in the anchor and
/// grows only by verified statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRing {
    tenant: Tenant,
    origin: String,
    witnesses: Vec<PublicKey>,
    quorum: usize,
    log: Vec<PublicKey>,
    evidence: Vec<PublicKey>,
    token: Vec<PublicKey>,
}

impl KeyRing {
    /// The keys an anchor pins for a tenant.
    ///
    /// # Errors
    /// [`AnchorError::UnknownTenant`].
    pub fn from_anchor(anchor: &TrustAnchor, tenant: &Tenant) -> Result<Self, KeyRingError> {
        let TenantAnchor { origin, log, evidence, token } = anchor.tenant(tenant)?.clone();
        Ok(Self {
            tenant: tenant.clone(),
            origin,
            witnesses: anchor.witnesses().iter().map(|witness| *witness.public()).collect(),
            quorum: anchor.quorum(),
            log: vec![*log.public()],
            evidence: vec![evidence],
            token: vec![token],
        })
    }

    /// Adds successors, in their order within each role.
    ///
    /// # Errors
    /// [`KeyRingError`] at the first statement that does not follow.
    pub fn extend(mut self, statements: &[Dsse]) -> Result<Self, KeyRingError> {
        statements.iter().try_for_each(|envelope| self.add(envelope))?;
        Ok(self)
    }

    /// Adds one successor.
    ///
    /// # Errors
    /// [`KeyRingError`]; the ring is then unchanged.
    pub fn add(&mut self, envelope: &Dsse) -> Result<(), KeyRingError> {
        let (statement, predecessor) = self.check_follows(envelope)?;
        envelope.verify_countersigned(PAYLOAD_TYPE, &predecessor, &self.witnesses, self.quorum)?;
        self.line_mut(statement.role).push(statement.key);
        Ok(())
    }

    /// Whether the statement in an envelope is the next of its line, whoever signed it; gives it with
    /// the key that must have signed first.
    pub(crate) fn check_follows(&self, envelope: &Dsse) -> Result<(KeyStatement, PublicKey), KeyRingError> {
        let statement = KeyStatement::unverified(envelope)?;
        let role = statement.role;
        if statement.tenant != self.tenant {
            return Err(KeyRingError::Tenant(statement.tenant));
        }
        if role == Role::Log && statement.key_name != self.origin {
            return Err(KeyRingError::KeyName(statement.key_name));
        }
        let line = self.keys(role);
        let at = statement.predecessor.as_ref().and_then(|id| line.iter().position(|key| key.id() == *id));
        let at = at.ok_or(KeyRingError::Predecessor { role })?;
        let Some(predecessor) = line.get(at).filter(|_| at + 1 == line.len()).copied() else {
            let predecessor = statement.predecessor.unwrap_or_else(|| statement.key.id());
            return Err(KeyRingError::Fork { role, predecessor });
        };
        let expected = u32::try_from(line.len()).unwrap_or(u32::MAX);
        if statement.ordinal != expected {
            return Err(KeyRingError::Ordinal { role, expected, found: statement.ordinal });
        }
        let used = Role::ALL.iter().any(|role| self.keys(*role).contains(&statement.key));
        if used || self.witnesses.contains(&statement.key) {
            return Err(KeyRingError::Reused(statement.key.id()));
        }
        Ok((statement, predecessor))
    }

    /// The keys of a role, oldest first; never empty.
    #[must_use]
    pub fn keys(&self, role: Role) -> &[PublicKey] {
        match role {
            Role::Log => &self.log,
            Role::Evidence => &self.evidence,
            Role::Token => &self.token,
        }
    }

    fn line_mut(&mut self, role: Role) -> &mut Vec<PublicKey> {
        match role {
            Role::Log => &mut self.log,
            Role::Evidence => &mut self.evidence,
            Role::Token => &mut self.token,
        }
    }

    /// The log keys as notes name them.
    ///
    /// # Errors
    /// [`KeyRingError::Name`]; can't happen for an origin that an anchor accepted.
    pub fn log_keys(&self) -> Result<Vec<VerifierKey>, KeyRingError> {
        self.log.iter().map(|key| Ok(VerifierKey::new(self.origin.clone(), Algorithm::Ed25519, *key)?)).collect()
    }

    /// The witnesses' keys, in the anchor's order.
    #[must_use]
    pub fn witnesses(&self) -> &[PublicKey] {
        &self.witnesses
    }

    /// The tenant.
    #[must_use]
    pub const fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// Name of the tenant's log.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }
}
