//! One AES-256-GCM key in memory.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use mandate_kernel::{Digest, Entropy, EntropyError, Secret};
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// Bytes of a key, of a nonce, of a tag, of a key id.
pub(crate) const KEY: usize = 32;
pub(crate) const NONCE: usize = 12;
pub(crate) const TAG: usize = 16;
pub(crate) const ID: usize = 16;

/// Names a key without telling anything about it: half a digest of its 256 random bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct KeyRef(pub(crate) [u8; ID]);

impl fmt::Display for KeyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The ciphertext is not one of this key and associated data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Forged;

/// A key, wiped when dropped.
pub(crate) struct Key {
    bytes: Secret<[u8; KEY]>,
    aead: LessSafeKey,
    id: KeyRef,
}

impl Key {
    /// Takes ownership of 32 random bytes. They only fail to make a key if cryptography itself fails,
    /// which is reported as a lack of randomness: no key was made.
    pub(crate) fn new(bytes: Secret<[u8; KEY]>) -> Result<Self, EntropyError> {
        let aead = UnboundKey::new(&AES_256_GCM, bytes.expose()).map_err(|_| EntropyError)?;
        let digest = Digest::of_parts(&[b"mandate/key-id/v1\0", bytes.expose()]);
        let mut id = [0u8; ID];
        id.iter_mut().zip(digest.as_bytes()).for_each(|(to, from)| *to = *from);
        Ok(Self { bytes, aead: LessSafeKey::new(aead), id: KeyRef(id) })
    }

    /// A key out of a decrypted value; `None` when it has another length.
    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut array: [u8; KEY] = bytes.try_into().ok()?;
        let key = Self::new(Secret::new(array));
        array.zeroize();
        key.ok()
    }

    pub(crate) fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut bytes = Zeroizing::new([0u8; KEY]);
        entropy.fill(bytes.as_mut())?;
        Self::new(Secret::new(*bytes))
    }

    pub(crate) const fn id(&self) -> KeyRef {
        self.id
    }

    /// The key itself, to be sealed under another one.
    pub(crate) const fn expose(&self) -> &[u8; KEY] {
        self.bytes.expose()
    }

    /// Appends nonce, ciphertext and tag to `out`.
    pub(crate) fn seal_into(
        &self,
        out: &mut Vec<u8>,
        mut plain: Vec<u8>,
        bound: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<(), EntropyError> {
        let mut nonce = [0u8; NONCE];
        entropy.fill(&mut nonce)?;
        let sealed =
            self.aead.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(bound), &mut plain);
        let Ok(tag) = sealed else {
            plain.zeroize();
            return Err(EntropyError);
        };
        out.reserve(NONCE + plain.len() + TAG);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&plain);
        out.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Opens nonce, ciphertext and tag.
    pub(crate) fn open(&self, sealed: &[u8], bound: &[u8]) -> Result<Zeroizing<Vec<u8>>, Forged> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE>().ok_or(Forged)?;
        let mut buffer = Zeroizing::new(rest.to_vec());
        let length = self
            .aead
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(bound), buffer.as_mut_slice())
            .map_err(|_| Forged)?
            .len();
        buffer.truncate(length);
        Ok(buffer)
    }
}
