//! The root key: everything else hangs on it, and it is never in the data folder's database.

use crate::key::{KEY, Key};
use mandate_kernel::{Entropy, EntropyError, Secret, base64_decode, base64_encode};
use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// Why there is no root key. Nothing was decrypted or written with another one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootKeyError {
    /// The file could not be read or written.
    #[error("root key file {}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why. Not a source: the message has it already.
        why: io::Error,
    },
    /// Others can read it.
    #[error("root key file {} can be read by others (mode {mode:04o}); run `chmod 600` on it, and replace the key if somebody may have read it", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Not there.
    #[error("{0} is not set")]
    NotSet(String),
    /// Not 32 bytes in base64.
    #[error("the root key in {0} is not 32 bytes in base64; make one with `head -c 32 /dev/urandom | base64`")]
    Malformed(String),
    /// Not the name of a credential.
    #[error("`{0}` is not the name of a systemd credential: it can't hold `/` or begin with a dot")]
    CredentialName(String),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

/// The root key in memory, wiped when dropped.
pub struct RootKey(pub(crate) Key);

impl RootKey {
    /// From a file that holds 32 bytes in base64 and that only its owner can read. With `create`, an
    /// absent one is made, mode 0600: whole and durable, or not at all.
    ///
    /// # Errors
    /// [`RootKeyError`].
    pub fn from_file(path: &Path, create: Option<&dyn Entropy>) -> Result<Self, RootKeyError> {
        match (read_private(path), create) {
            (Err(RootKeyError::File { why, .. }), Some(entropy)) if why.kind() == io::ErrorKind::NotFound => {
                make(path, entropy)?;
                Self::from_file(path, None)
            }
            (Err(error), _) => Err(error),
            (Ok(text), _) => Self::from_text(&text, &format!("file {}", path.display())),
        }
    }

    /// From an environment variable that holds 32 bytes in base64.
    ///
    /// # Errors
    /// [`RootKeyError::NotSet`] and [`RootKeyError::Malformed`].
    pub fn from_env(variable: &str) -> Result<Self, RootKeyError> {
        let place = format!("environment variable {variable}");
        match std::env::var(variable) {
            Ok(text) => Self::from_text(Zeroizing::new(text).as_bytes(), &place),
            Err(std::env::VarError::NotPresent) => Err(RootKeyError::NotSet(place)),
            Err(std::env::VarError::NotUnicode(_)) => Err(RootKeyError::Malformed(place)),
        }
    }

    /// From the systemd credential `NAME` (`LoadCredential=` or `LoadCredentialEncrypted=`). Who may
    /// read it is up to systemd, which gives it an unswappable file system of its own.
    ///
    /// # Errors
    /// [`RootKeyError`].
    pub fn from_systemd(name: &str) -> Result<Self, RootKeyError> {
        let directory = std::env::var_os("CREDENTIALS_DIRECTORY")
            .ok_or_else(|| RootKeyError::NotSet("$CREDENTIALS_DIRECTORY".to_owned()))?;
        Self::from_credentials(Path::new(&directory), name)
    }

    fn from_credentials(directory: &Path, name: &str) -> Result<Self, RootKeyError> {
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
            return Err(RootKeyError::CredentialName(name.to_owned()));
        }
        let path = directory.join(name);
        let text = fs::read(&path).map_err(|why| RootKeyError::File { path, why })?;
        Self::from_text(Zeroizing::new(text).as_slice(), &format!("systemd credential {name}"))
    }

    fn from_text(text: &[u8], place: &str) -> Result<Self, RootKeyError> {
        let malformed = || RootKeyError::Malformed(place.to_owned());
        let text = std::str::from_utf8(text.trim_ascii()).map_err(|_| malformed())?;
        let bytes = Zeroizing::new(base64_decode(text).map_err(|_| malformed())?);
        // A key of nothing but zeros is a placeholder somebody forgot.
        if bytes.iter().all(|byte| *byte == 0) {
            return Err(malformed());
        }
        Key::from_slice(&bytes).map(Self).ok_or_else(malformed)
    }

    /// From 32 bytes: for tests and for key services.
    ///
    /// # Errors
    /// [`RootKeyError::Entropy`] when cryptography fails.
    pub fn from_bytes(bytes: Secret<[u8; KEY]>) -> Result<Self, RootKeyError> {
        Ok(Self(Key::new(bytes)?))
    }

    /// Names the key, in hexadecimal, without telling anything about it.
    #[must_use]
    pub fn id(&self) -> String {
        self.0.id().to_string()
    }
}

fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, RootKeyError> {
    let failed = |why| RootKeyError::File { path: path.to_owned(), why };
    let mut file = fs::File::open(path).map_err(failed)?;
    // Asked of the open file, so that nobody swaps it in between.
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(RootKeyError::Exposed { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(Vec::with_capacity(64));
    io::Read::read_to_end(&mut io::Read::take(&mut file, 1024), &mut text).map_err(failed)?;
    Ok(text)
}

/// Writes a new key aside and links it into place: a crash leaves no half-written key, and of two
/// processes that start at once one wins.
fn make(path: &Path, entropy: &dyn Entropy) -> Result<(), RootKeyError> {
    let failed = |why| RootKeyError::File { path: path.to_owned(), why };
    let mut suffix = [0u8; 8];
    entropy.fill(&mut suffix)?;
    let key = Key::generate(entropy)?;
    let text = Zeroizing::new(base64_encode(key.expose()) + "\n");
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{:016x}", u64::from_be_bytes(suffix)));
    let aside = PathBuf::from(aside);

    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside).map_err(failed)?;
    let linked = file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).and_then(|()| {
        match fs::hard_link(&aside, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    });
    let removed = fs::remove_file(&aside);
    linked.and(removed).map_err(failed)?;
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    fs::File::open(parent).and_then(|directory| directory.sync_all()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mandate_kernel::SystemEntropy;

    const GOOD: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    #[test]
    fn a_file_is_made_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        let absent = RootKey::from_file(&path, None).err().unwrap();
        assert!(matches!(absent, RootKeyError::File { .. }));
        assert!(std::error::Error::source(&absent).is_none(), "what the system said would be told twice");
        assert_eq!(absent.to_string().matches("No such file").count(), 1, "{absent}");
        let made = RootKey::from_file(&path, Some(&SystemEntropy)).unwrap();
        let again = RootKey::from_file(&path, Some(&SystemEntropy)).unwrap();
        assert_eq!(made.id(), again.id());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left aside");
    }

    #[test]
    fn starting_twice_at_once_agrees_on_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        let start = || RootKey::from_file(&path, Some(&SystemEntropy)).unwrap().id();
        let ids: Vec<String> = std::thread::scope(|scope| {
            let started: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            started.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]));
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        fs::write(&path, GOOD).unwrap();
        for mode in [0o640, 0o604, 0o660, 0o602, 0o610] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let refused = RootKey::from_file(&path, Some(&SystemEntropy)).err().unwrap();
            assert!(matches!(refused, RootKeyError::Exposed { mode: m, .. } if m == mode), "{refused}");
            assert!(!refused.to_string().contains(GOOD));
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert!(RootKey::from_file(&path, None).is_ok());
    }

    #[test]
    fn what_is_not_a_key_is_refused_and_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        let zeros = base64_encode(&[0u8; 32]);
        for bad in ["", "\n", "short", "AAECAw==", &GOOD[..43], &zeros, "äöü"] {
            fs::write(&path, bad).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let refused = RootKey::from_file(&path, Some(&SystemEntropy)).err().unwrap();
            assert!(matches!(refused, RootKeyError::Malformed(_)), "{bad}: {refused}");
            assert_eq!(fs::read_to_string(&path).unwrap(), bad);
        }
    }

    #[test]
    fn variables_and_credentials() {
        assert!(matches!(RootKey::from_env("MANDATE_NO_SUCH_VARIABLE"), Err(RootKeyError::NotSet(_))));
        assert!(matches!(RootKey::from_env("CARGO_PKG_NAME"), Err(RootKeyError::Malformed(_))));
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("root"), format!("{GOOD}\n")).unwrap();
        assert!(RootKey::from_credentials(folder.path(), "root").is_ok());
        assert!(matches!(RootKey::from_credentials(folder.path(), "absent"), Err(RootKeyError::File { .. })));
        for bad in ["", "../root", "a/b", ".root"] {
            assert!(matches!(RootKey::from_credentials(folder.path(), bad), Err(RootKeyError::CredentialName(_))));
        }
    }
}
