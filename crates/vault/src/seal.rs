//! The sealed form of a secret, version 1:
//!
//! ```text
//! 1 format │ 16 id of the wrapping key │ 12 nonce, 32 data key, 16 tag │ 12 nonce, value, 16 tag
//! ```
//!
//! Both encryptions are bound to the place. The data key is used for this one value, so that wrapping it
//! anew under another key is all that a change of that key needs.

use crate::{
    Place, VaultError,
    key::{ID, KEY, Key, KeyRef, NONCE, TAG},
    place::Layer,
};
use mandate_kernel::{Entropy, Secret};
use zeroize::Zeroizing;

/// The format written. Older ones stay readable.
const FORMAT: u8 = 1;

/// Bytes of a wrapped data key.
const WRAPPED: usize = NONCE + KEY + TAG;

/// A sealed value, taken apart but not opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sealed<'a> {
    /// The key that wraps the data key.
    pub(crate) wrapped_by: KeyRef,
    wrapped: &'a [u8],
    value: &'a [u8],
}

/// Seals a value under a fresh data key, wrapped by `kek`.
pub(crate) fn seal(kek: &Key, place: &Place, value: &[u8], entropy: &dyn Entropy) -> Result<Vec<u8>, VaultError> {
    let data_key = Key::generate(entropy)?;
    let mut out = wrap(kek, place, &data_key, entropy)?;
    let bound = place.bind(Layer::Value, &data_key.id().to_string(), FORMAT)?;
    data_key.seal_into(&mut out, value.to_vec(), &bound, entropy)?;
    Ok(out)
}

/// The head of a sealed value alone: format, key id, wrapped data key.
pub(crate) fn wrap(kek: &Key, place: &Place, data_key: &Key, entropy: &dyn Entropy) -> Result<Vec<u8>, VaultError> {
    let mut out = Vec::with_capacity(1 + ID + WRAPPED);
    out.push(FORMAT);
    out.extend_from_slice(&kek.id().0);
    let bound = place.bind(Layer::DataKey, &kek.id().to_string(), FORMAT)?;
    kek.seal_into(&mut out, data_key.expose().to_vec(), &bound, entropy)?;
    Ok(out)
}

impl<'a> Sealed<'a> {
    /// Takes a sealed value, or a wrapped data key alone, apart.
    pub(crate) fn parse(bytes: &'a [u8], place: &Place) -> Result<Self, VaultError> {
        let malformed = || VaultError::Malformed { place: place.to_string() };
        let (format, rest) = bytes.split_first().ok_or_else(malformed)?;
        if *format != FORMAT {
            return Err(VaultError::UnknownFormat { place: place.to_string(), format: *format });
        }
        let (id, rest) = rest.split_first_chunk::<ID>().ok_or_else(malformed)?;
        let (wrapped, value) = rest.split_at_checked(WRAPPED).ok_or_else(malformed)?;
        Ok(Self { wrapped_by: KeyRef(*id), wrapped, value })
    }

    /// Unwraps the data key.
    pub(crate) fn unwrap_key(&self, kek: &Key, place: &Place) -> Result<Key, VaultError> {
        let bound = place.bind(Layer::DataKey, &kek.id().to_string(), FORMAT)?;
        let undecryptable = || VaultError::Undecryptable { place: place.to_string() };
        let bytes = kek.open(self.wrapped, &bound).map_err(|_| undecryptable())?;
        Key::from_slice(&bytes).ok_or_else(undecryptable)
    }

    /// Opens the value with its data key.
    pub(crate) fn open_value(&self, data_key: &Key, place: &Place) -> Result<Secret<Vec<u8>>, VaultError> {
        let bound = place.bind(Layer::Value, &data_key.id().to_string(), FORMAT)?;
        let mut plain: Zeroizing<Vec<u8>> =
            data_key.open(self.value, &bound).map_err(|_| VaultError::Undecryptable { place: place.to_string() })?;
        Ok(Secret::new(std::mem::take(&mut *plain)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mandate_kernel::{SystemEntropy, Tenant};

    fn place() -> Place {
        Place::new(&Tenant::new("demo").unwrap(), "credential", "finance/key", 3)
    }

    fn open(kek: &Key, bytes: &[u8], place: &Place) -> Result<Vec<u8>, VaultError> {
        let sealed = Sealed::parse(bytes, place)?;
        let data_key = sealed.unwrap_key(kek, place)?;
        Ok(sealed.open_value(&data_key, place)?.expose().clone())
    }

    #[test]
    fn opens_in_its_own_place_only() {
        let kek = Key::generate(&SystemEntropy).unwrap();
        let bytes = seal(&kek, &place(), b"value", &SystemEntropy).unwrap();
        assert_eq!(open(&kek, &bytes, &place()).unwrap(), b"value");
        let elsewhere = [
            Place { tenant: Tenant::new("other").unwrap(), ..place() },
            Place { kind: "signing-key".to_owned(), ..place() },
            Place { name: "finance/key2".to_owned(), ..place() },
            Place { version: 4, ..place() },
        ];
        for moved in elsewhere {
            let undecryptable = VaultError::Undecryptable { place: moved.to_string() };
            assert_eq!(open(&kek, &bytes, &moved), Err(undecryptable.clone()), "{moved}");
            // The inner layer holds on its own, were the outer one ever to agree.
            let sealed = Sealed::parse(&bytes, &place()).unwrap();
            let data_key = sealed.unwrap_key(&kek, &place()).unwrap();
            assert_eq!(sealed.open_value(&data_key, &moved).err(), Some(undecryptable), "{moved}");
        }
        let stranger = Key::generate(&SystemEntropy).unwrap();
        assert!(matches!(open(&stranger, &bytes, &place()), Err(VaultError::Undecryptable { .. })));
    }

    #[test]
    fn every_altered_byte_and_every_cut_is_noticed() {
        let kek = Key::generate(&SystemEntropy).unwrap();
        let bytes = seal(&kek, &place(), b"value", &SystemEntropy).unwrap();
        for at in 0..bytes.len() {
            for flip in [1u8, 0x80, 0xff] {
                let mut altered = bytes.clone();
                altered[at] ^= flip;
                // An altered key id is noticed when the key is looked up by it.
                let named = Sealed::parse(&altered, &place()).map(|s| s.wrapped_by);
                assert!(named != Ok(kek.id()) || open(&kek, &altered, &place()).is_err(), "byte {at}");
            }
            assert!(open(&kek, &bytes[..at], &place()).is_err(), "cut at {at}");
        }
        let mut longer = bytes;
        longer.push(0);
        assert!(open(&kek, &longer, &place()).is_err());
    }

    #[test]
    fn two_seals_of_one_value_have_nothing_in_common() {
        let kek = Key::generate(&SystemEntropy).unwrap();
        let (a, b) = (seal(&kek, &place(), b"v", &SystemEntropy), seal(&kek, &place(), b"v", &SystemEntropy));
        assert_ne!(a.unwrap()[1 + ID..], b.unwrap()[1 + ID..]);
    }
}
