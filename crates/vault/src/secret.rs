//! Credentials: values that people put in and only an effect gets out.

use crate::{TenantVault, ValueFault, VaultError, place::CREDENTIAL};
use mandate_journal::SecretRecord;
use mandate_kernel::{ResourceName, Secret};

/// The longest value: more than receivers accept in one header.
const MAX_VALUE: usize = 8 << 10;

impl TenantVault {
    /// Seals a credential's value. The caller puts the record into a [`mandate_journal::Change`] with
    /// the ledger entry that says who put it in; a version that exists already is a conflict there.
    ///
    /// # Errors
    /// [`VaultError::Value`] for a value that no header slot can carry, and whatever the store says.
    pub async fn seal_secret(
        &self,
        credential: &ResourceName,
        version: u32,
        value: Secret<Vec<u8>>,
    ) -> Result<SecretRecord, VaultError> {
        check_value(value.expose()).map_err(|fault| VaultError::Value { credential: credential.to_string(), fault })?;
        self.core.seal(self.core.place(CREDENTIAL, credential.as_str(), version), value.expose()).await
    }

    /// The newest version of a credential's value; `None` when none was put in.
    ///
    /// # Errors
    /// Whatever the store says.
    pub async fn newest_version(&self, credential: &ResourceName) -> Result<Option<u32>, VaultError> {
        let newest = self.core.store.secret(CREDENTIAL, credential.as_str(), None).await?;
        Ok(newest.map(|record| record.version))
    }
}

/// Whether a header slot can carry the value as it is. Answers by kind and position only.
fn check_value(value: &[u8]) -> Result<(), ValueFault> {
    if value.is_empty() {
        return Err(ValueFault::Empty);
    }
    if value.len() > MAX_VALUE {
        return Err(ValueFault::TooLong { max: MAX_VALUE });
    }
    let text = std::str::from_utf8(value).map_err(|_| ValueFault::NotText)?;
    match text.char_indices().find(|(_, c)| c.is_control()) {
        Some((at, '\n' | '\r')) if text.get(at..).is_some_and(|rest| rest.trim().is_empty()) => {
            return Err(ValueFault::TrailingNewline);
        }
        Some((at, _)) => return Err(ValueFault::Control { at }),
        None => {}
    }
    if text.trim() != text { Err(ValueFault::OuterSpace) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_header_can_carry() {
        let long = vec![b'a'; MAX_VALUE + 1];
        let table: [(&[u8], Result<(), ValueFault>); 13] = [
            (b"sk-live-1", Ok(())),
            (b"two words", Ok(())),
            ("schl\u{fc}ssel".as_bytes(), Ok(())),
            (b"", Err(ValueFault::Empty)),
            (b"key\n", Err(ValueFault::TrailingNewline)),
            (b"key\r\n", Err(ValueFault::TrailingNewline)),
            (b"a\nX-Injected: 1", Err(ValueFault::Control { at: 1 })),
            (b"a\0", Err(ValueFault::Control { at: 1 })),
            ("a\u{85}".as_bytes(), Err(ValueFault::Control { at: 1 })),
            (b"\xff\xfe", Err(ValueFault::NotText)),
            (b" key", Err(ValueFault::OuterSpace)),
            (b"key ", Err(ValueFault::OuterSpace)),
            (&long, Err(ValueFault::TooLong { max: MAX_VALUE })),
        ];
        for (value, expected) in table {
            assert_eq!(check_value(value), expected, "{value:?}");
        }
    }
}
