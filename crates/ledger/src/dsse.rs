//! DSSE envelopes v1 (secure-systems-lab/dsse): a payload, its type, and signatures over both. Read
//! strictly: canonical JSON, padded standard base64, exactly the expected signatures.

use mandate_kernel::{
    CanonicalError, DigestError, KeyId, PublicKey, Signature, Signer, base64_decode, base64_encode, canonical_json,
    parse_canonical,
};
use serde::{Deserialize, Serialize};

/// Why an envelope was refused.
#[derive(Debug, thiserror::Error)]
pub enum DsseError {
    /// Not canonical JSON of an envelope.
    #[error("not a DSSE envelope: {0}")]
    Form(#[from] CanonicalError),
    /// Signed content of another type.
    #[error("payload type is `{found}`, not `{expected}`")]
    PayloadType {
        /// What was expected.
        expected: String,
        /// What it says.
        found: String,
    },
    /// More or fewer signatures than expected.
    #[error("{found} signatures where {expected} are expected")]
    Count {
        /// How many are expected.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// Signed by a key that may not sign this, or in another order.
    #[error("signed by key {0}, which may not sign this")]
    UnknownKey(KeyId),
    /// The signature does not verify.
    #[error("the signature by key {0} does not verify")]
    Signature(KeyId),
}

/// An envelope. Its JSON form is that of the specification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawEnvelope", into = "RawEnvelope")]
pub struct Dsse {
    payload_type: String,
    payload: Vec<u8>,
    signatures: Vec<DsseSignature>,
}

/// One signature of an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DsseSignature {
    /// Whose.
    pub keyid: KeyId,
    /// Over the pre-authentication encoding.
    pub signature: Signature,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawEnvelope {
    payload: String,
    payload_type: String,
    signatures: Vec<RawSignature>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSignature {
    keyid: KeyId,
    sig: String,
}

impl TryFrom<RawEnvelope> for Dsse {
    type Error = DigestError;
    fn try_from(raw: RawEnvelope) -> Result<Self, DigestError> {
        let signatures = raw.signatures.into_iter().map(|raw| {
            let signature = base64_decode(&raw.sig)?.try_into().map_err(|_| DigestError::Base64)?;
            Ok(DsseSignature { keyid: raw.keyid, signature: Signature(signature) })
        });
        Ok(Self {
            payload: base64_decode(&raw.payload)?,
            payload_type: raw.payload_type,
            signatures: signatures.collect::<Result<_, DigestError>>()?,
        })
    }
}
impl From<Dsse> for RawEnvelope {
    fn from(envelope: Dsse) -> Self {
        let signatures = envelope.signatures.into_iter();
        Self {
            payload: base64_encode(&envelope.payload),
            payload_type: envelope.payload_type,
            signatures: signatures
                .map(|s| RawSignature { keyid: s.keyid, sig: base64_encode(&s.signature.0) })
                .collect(),
        }
    }
}

impl Dsse {
    /// Signs a payload.
    #[must_use]
    pub fn sign(payload_type: &str, payload: Vec<u8>, signer: &dyn Signer) -> Self {
        let unsigned = Self { payload_type: payload_type.to_owned(), payload, signatures: Vec::new() };
        unsigned.with_signature(signer)
    }

    /// The same with one more signature, after those there are.
    #[must_use]
    pub fn with_signature(mut self, signer: &dyn Signer) -> Self {
        let signature = signer.sign(&self.signed_bytes());
        self.signatures.push(DsseSignature { keyid: signer.key_id(), signature });
        self
    }

    /// Reads an envelope from canonical JSON.
    ///
    /// # Errors
    /// [`DsseError::Form`].
    pub fn parse(bytes: &[u8]) -> Result<Self, DsseError> {
        Ok(parse_canonical(bytes)?)
    }

    /// Writes it as canonical JSON.
    ///
    /// # Errors
    /// [`DsseError::Form`]; can't happen for an envelope of text and bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, DsseError> {
        Ok(canonical_json(self)?)
    }

    /// The payload, **not yet verified**: to find out which keys to verify it with.
    #[must_use]
    pub fn unverified_payload(&self) -> &[u8] {
        &self.payload
    }

    /// The signatures, not yet verified.
    #[must_use]
    pub fn signatures(&self) -> &[DsseSignature] {
        &self.signatures
    }

    /// What is signed, `PAE(type, payload)`: the lengths make the parts unambiguous.
    fn signed_bytes(&self) -> Vec<u8> {
        let mut bytes =
            format!("DSSEv1 {} {} {} ", self.payload_type.len(), self.payload_type, self.payload.len()).into_bytes();
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// The payload, if it is of this type and signed by exactly one key, which is one of `allowed`.
    ///
    /// # Errors
    /// [`DsseError`].
    pub fn verify(&self, payload_type: &str, allowed: &[PublicKey]) -> Result<&[u8], DsseError> {
        self.expect_type(payload_type)?;
        let [only] = self.signatures.as_slice() else {
            return Err(DsseError::Count { expected: 1, found: self.signatures.len() });
        };
        self.check(only, allowed)?;
        Ok(&self.payload)
    }

    /// The payload, if it is of this type and signed by `first` and then by distinct `others` in their
    /// order, at least `quorum` of them, and by nobody else.
    ///
    /// # Errors
    /// [`DsseError`].
    pub fn verify_countersigned(
        &self,
        payload_type: &str,
        first: &PublicKey,
        others: &[PublicKey],
        quorum: usize,
    ) -> Result<&[u8], DsseError> {
        self.expect_type(payload_type)?;
        let expected = quorum.saturating_add(1);
        if self.signatures.len() < expected {
            return Err(DsseError::Count { expected, found: self.signatures.len() });
        }
        let mut signatures = self.signatures.iter();
        if let Some(signature) = signatures.next() {
            self.check(signature, std::slice::from_ref(first))?;
        }
        let mut rest = others;
        for signature in signatures {
            let at = rest.iter().position(|key| key.id() == signature.keyid);
            let at = at.ok_or_else(|| DsseError::UnknownKey(signature.keyid.clone()))?;
            self.check(signature, rest)?;
            rest = rest.get(at + 1..).unwrap_or_default();
        }
        Ok(&self.payload)
    }

    fn expect_type(&self, payload_type: &str) -> Result<(), DsseError> {
        if self.payload_type == payload_type {
            return Ok(());
        }
        Err(DsseError::PayloadType { expected: payload_type.to_owned(), found: self.payload_type.clone() })
    }

    fn check(&self, signature: &DsseSignature, allowed: &[PublicKey]) -> Result<(), DsseError> {
        let key = allowed.iter().find(|key| key.id() == signature.keyid);
        let key = key.ok_or_else(|| DsseError::UnknownKey(signature.keyid.clone()))?;
        key.verify(&self.signed_bytes(), &signature.signature)
            .map_err(|_| DsseError::Signature(signature.keyid.clone()))
    }
}
