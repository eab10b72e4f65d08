//! Row keys: rows that a decision rests on carry a code (HMAC-SHA-256, RFC 2104) that only the vault can
//! make, so that who can write to the database alone can't write such a row (I10).

use crate::{TenantVault, VaultError, place::ROW_KEY, tenant::check_name};
use aws_lc_rs::hmac;
use mandate_kernel::Digest;
use std::fmt;

/// Says what the code is for, whatever the key.
const DOMAIN: &[u8] = b"mandate/row/v1\0";

/// The key that authenticates the rows of one table of one tenant. Cheap to clone.
#[derive(Clone)]
pub struct RowKey {
    key: hmac::Key,
}

impl RowKey {
    fn new(bytes: &[u8]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, bytes) }
    }

    /// The code of a row: 32 bytes over its canonical form. The tenant and the table are the key's.
    #[must_use]
    pub fn proof(&self, row: &[u8]) -> Digest {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(DOMAIN);
        context.update(row);
        let mut code = [0u8; 32];
        code.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
        Digest::from_bytes(code)
    }

    /// Whether the row is as it was when the code was made. Takes as long whatever is wrong.
    #[must_use]
    pub fn holds(&self, row: &[u8], proof: Option<&Digest>) -> bool {
        let Some(proof) = proof else { return false };
        hmac::verify(&self.key, &[DOMAIN, row].concat(), proof.as_bytes()).is_ok()
    }
}

impl fmt::Debug for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RowKey")
    }
}

impl TenantVault {
    /// The key of a table's rows (`sessions`, `approvals`), made when there is none.
    ///
    /// # Errors
    /// Whatever the store or the source of randomness says.
    pub async fn row_key(&self, table: &str) -> Result<RowKey, VaultError> {
        check_name(table)?;
        self.ensure_tenant().await?;
        let bytes = self.core.kept_key(ROW_KEY, table).await?;
        Ok(RowKey::new(bytes.expose()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_holds_for_its_row_and_key_alone() {
        let (key, other) = (RowKey::new(&[7; 32]), RowKey::new(&[8; 32]));
        let proof = key.proof(b"row");
        assert!(key.holds(b"row", Some(&proof)));
        for (key, row) in [(&key, &b"roW"[..]), (&key, b"row "), (&key, b""), (&other, b"row")] {
            assert!(!key.holds(row, Some(&proof)));
        }
        assert!(!key.holds(b"row", None));
    }
}
