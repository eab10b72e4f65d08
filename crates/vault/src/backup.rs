//! The key of backups: a backup carries a code (HMAC-SHA-256, RFC 2104) that only who holds the root key can
//! make, so that nobody who keeps backups can change one.

use crate::RootKey;
use aws_lc_rs::hmac;
use mandate_kernel::Digest;
use std::fmt;

/// Derives the key; then says what the code is for.
const KEY: &[u8] = b"mandate/backup-key/v1\0";
const DOMAIN: &[u8] = b"mandate/backup/v1\0";

/// The key that authenticates the backups of an installation.
pub struct BackupKey {
    key: hmac::Key,
}

impl RootKey {
    /// The key of the backups of what this root key seals. It opens nothing.
    #[must_use]
    pub fn backup_key(&self) -> BackupKey {
        let root = hmac::Key::new(hmac::HMAC_SHA256, self.0.expose());
        let derived = hmac::sign(&root, KEY);
        BackupKey { key: hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()) }
    }
}

impl BackupKey {
    /// The code of a backup: 32 bytes over the canonical form of its manifest.
    #[must_use]
    pub fn code(&self, manifest: &[u8]) -> Digest {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(DOMAIN);
        context.update(manifest);
        let mut code = [0u8; 32];
        code.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
        Digest::from_bytes(code)
    }

    /// Whether the manifest is as it was when the code was made. Takes as long whatever is wrong.
    #[must_use]
    pub fn holds(&self, manifest: &[u8], code: &Digest) -> bool {
        hmac::verify(&self.key, &[DOMAIN, manifest].concat(), code.as_bytes()).is_ok()
    }
}

impl fmt::Debug for BackupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BackupKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mandate_kernel::Secret;

    #[test]
    fn a_code_holds_for_its_manifest_and_root_key_alone() {
        let key = |byte: u8| RootKey::from_bytes(Secret::new([byte; 32])).unwrap().backup_key();
        let code = key(1).code(b"manifest");
        assert!(key(1).holds(b"manifest", &code));
        assert!(!key(2).holds(b"manifest", &code));
        assert!(!key(1).holds(b"manifesT", &code));
        assert!(!key(1).holds(b"", &code));
    }
}
