//! The trust anchor: a file that a verifier holds beforehand. It pins the witnesses and, for each
//! tenant, the *first* key of each role; later keys follow from signed statements ([`crate::keys`]).

use crate::note::{Algorithm, VerifierKey};
use mandate_kernel::{PublicKey, Tenant};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The `format` of an anchor file.
pub const FORMAT: &str = "https://mandate.dev/trust/v1";

/// Why an anchor can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnchorError {
    /// Not JSON of the expected shape.
    #[error("the trust anchor can't be read: {0}")]
    Form(String),
    /// It would trust nothing or contradict itself.
    #[error("the trust anchor is not usable: {0}")]
    Unusable(&'static str),
    /// It has nothing about that tenant.
    #[error("the trust anchor does not know tenant {0}")]
    UnknownTenant(Tenant),
}

/// What a verifier trusts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustAnchor {
    format: String,
    witnesses: Vec<VerifierKey>,
    quorum: u32,
    tenants: BTreeMap<Tenant, TenantAnchor>,
}

/// One tenant's first keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantAnchor {
    /// Name of its log; also the name of the log's keys.
    pub origin: String,
    /// First key that signs checkpoints (type 0x01).
    pub log: VerifierKey,
    /// First key that signs passports and artefacts.
    pub evidence: PublicKey,
    /// First key that signs tokens.
    pub token: PublicKey,
}

impl TrustAnchor {
    /// Puts an anchor together.
    ///
    /// # Errors
    /// [`AnchorError::Unusable`].
    pub fn new(
        witnesses: Vec<VerifierKey>,
        quorum: u32,
        tenants: BTreeMap<Tenant, TenantAnchor>,
    ) -> Result<Self, AnchorError> {
        let anchor = Self { format: FORMAT.to_owned(), witnesses, quorum, tenants };
        anchor.check()?;
        Ok(anchor)
    }

    /// Reads an anchor file. Spacing and key order are free: nobody signs it, its holder vouches for it.
    ///
    /// # Errors
    /// [`AnchorError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, AnchorError> {
        let anchor: Self = serde_json::from_slice(bytes).map_err(|e| AnchorError::Form(e.to_string()))?;
        anchor.check()?;
        Ok(anchor)
    }

    /// The file, indented, ending in a newline.
    ///
    /// # Errors
    /// [`AnchorError::Form`]; can't happen for text.
    pub fn to_json(&self) -> Result<String, AnchorError> {
        let text = serde_json::to_string_pretty(self).map_err(|e| AnchorError::Form(e.to_string()))?;
        Ok(text + "\n")
    }

    fn check(&self) -> Result<(), AnchorError> {
        let unusable = |reason| Err(AnchorError::Unusable(reason));
        if self.format != FORMAT {
            return unusable("its format is not https://mandate.dev/trust/v1");
        }
        let names: BTreeSet<&str> = self.witnesses.iter().map(VerifierKey::name).collect();
        let keys: BTreeSet<&PublicKey> = self.witnesses.iter().map(VerifierKey::public).collect();
        if names.len() != self.witnesses.len() || keys.len() != self.witnesses.len() {
            return unusable("two witnesses share a name or a key");
        }
        if self.witnesses.iter().any(|key| key.algorithm() != Algorithm::CosignatureV1) {
            return unusable("a witness key must be of the cosignature/v1 type");
        }
        if self.quorum == 0 || self.quorum() > self.witnesses.len() {
            return unusable("the quorum must be between 1 and the number of witnesses");
        }
        let mut own = BTreeSet::new();
        for tenant in self.tenants.values() {
            if tenant.log.algorithm() != Algorithm::Ed25519 || tenant.log.name() != tenant.origin {
                return unusable("a log key must be of the Ed25519 type and named as its origin");
            }
            // A key in two roles or tenants would let one sign for the other; a log that is its own
            // witness would witness nothing.
            let distinct = [tenant.log.public(), &tenant.evidence, &tenant.token].into_iter().all(|k| own.insert(k));
            if !distinct || own.iter().any(|key| keys.contains(key)) {
                return unusable("one key stands in two roles");
            }
        }
        let origins: BTreeSet<&str> = self.tenants.values().map(|tenant| tenant.origin.as_str()).collect();
        if origins.len() == self.tenants.len() { Ok(()) } else { unusable("two tenants share an origin") }
    }

    /// The witnesses, in the order their signatures stand in.
    #[must_use]
    pub fn witnesses(&self) -> &[VerifierKey] {
        &self.witnesses
    }

    /// How many witnesses must have signed.
    #[must_use]
    pub fn quorum(&self) -> usize {
        usize::try_from(self.quorum).unwrap_or(usize::MAX)
    }

    /// All tenants it knows.
    #[must_use]
    pub const fn tenants(&self) -> &BTreeMap<Tenant, TenantAnchor> {
        &self.tenants
    }

    /// What it pins for one tenant.
    ///
    /// # Errors
    /// [`AnchorError::UnknownTenant`].
    pub fn tenant(&self, tenant: &Tenant) -> Result<&TenantAnchor, AnchorError> {
        self.tenants.get(tenant).ok_or_else(|| AnchorError::UnknownTenant(tenant.clone()))
    }
}
