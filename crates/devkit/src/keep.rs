//! Small files that must survive: written whole or not at all, readable by their owner only.

use crate::DevkitError;
use mandate_kernel::{Ed25519Signer, Entropy, Secret, base64url_decode, base64url_encode};
use std::io::{ErrorKind, Write as _};
use std::path::Path;

/// Creates a folder for the owner alone.
pub(crate) fn folder(path: &Path) -> Result<(), DevkitError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(DevkitError::io(format!("creating {}", path.display())))
}

/// Writes a file by way of a temporary one beside it, so that a crash leaves the old or the new.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), DevkitError> {
    let temporary = path.with_extension("new");
    let write = || {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    write().map_err(DevkitError::io(format!("writing {}", path.display())))
}

/// Reads a file; `None` when there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, DevkitError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(DevkitError::io(format!("reading {}", path.display()))(e)),
    }
}

/// The signing key kept in a file; a new one when there is none.
pub(crate) fn signer(path: &Path, entropy: &dyn Entropy) -> Result<Ed25519Signer, DevkitError> {
    let damaged = || DevkitError::Damaged(path.display().to_string());
    if let Some(bytes) = read(path)? {
        let text = String::from_utf8(bytes).map_err(|_| damaged())?;
        let seed: [u8; 32] = base64url_decode(text.trim()).ok().and_then(|b| b.try_into().ok()).ok_or_else(damaged)?;
        return Ed25519Signer::from_seed(&Secret::new(seed)).map_err(|_| damaged());
    }
    let (signer, seed) = Ed25519Signer::generate(entropy)?;
    write(path, base64url_encode(seed.expose()).as_bytes())?;
    Ok(signer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mandate_kernel::{Signer as _, SystemEntropy};

    #[test]
    fn a_key_is_made_once_and_kept_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        let first = signer(&path, &SystemEntropy).unwrap().public();
        assert_eq!(signer(&path, &SystemEntropy).unwrap().public(), first);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        std::fs::write(&path, "not a key").unwrap();
        assert!(matches!(signer(&path, &SystemEntropy), Err(DevkitError::Damaged(_))));
    }
}
