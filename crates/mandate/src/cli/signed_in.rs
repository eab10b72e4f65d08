//! Whom this user is signed in as, at each server: files in the user's configuration folder that nobody
//! else can read, and the renewal of what they hold.

use super::provider::{ProviderClient, Tokens};
use super::{CliError, files};
use mandate_kernel::{Clock as _, Digest, Duration, SystemClock, Timestamp};
use serde::{Deserialize, Serialize};
use std::fs::{DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::PathBuf;

/// The largest file.
const MAX_FILE: u64 = 256 << 10;
/// A token that ends within this is renewed before it is used.
const EARLY: Duration = Duration::from_secs(30);
/// How long another process may take to renew a token.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

/// What is kept for a server. It holds tokens: it has no `Debug`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignedIn {
    /// The server.
    pub(crate) url: String,
    /// The tenant signed in to.
    pub(crate) tenant: String,
    /// Who, as the server says.
    pub(crate) subject: String,
    /// The provider.
    pub(crate) issuer: String,
    /// The client there.
    pub(crate) client_id: String,
    /// What to send to the server.
    pub(crate) access_token: String,
    /// When that ends, in seconds since 1970, if the provider said.
    pub(crate) expires_at: Option<i64>,
    /// What a new one is got with, if the provider gave one.
    pub(crate) refresh_token: Option<String>,
}

impl SignedIn {
    /// Takes over what the provider gave.
    pub(crate) fn take(&mut self, tokens: Tokens) {
        let now = SystemClock.now();
        self.expires_at = tokens.expires_in.map(|seconds| now.plus(Duration::from_secs(seconds)).as_secs());
        self.access_token = tokens.access_token;
        // RFC 6749 §6: without a new one the old one stays good.
        if tokens.refresh_token.is_some() {
            self.refresh_token = tokens.refresh_token;
        }
    }

    fn holds(&self) -> bool {
        self.expires_at.is_none_or(|end| SystemClock.now().plus(EARLY) < Timestamp::from_secs(end))
    }
}

/// The folder, and the file of one server in it.
pub(crate) struct Keeper {
    url: String,
    folder: PathBuf,
}

impl Keeper {
    /// For the server at a normalised URL. `None` when this user has no configuration folder.
    pub(crate) fn new(url: &str) -> Option<Self> {
        let given = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let folder = given("MANDATE_CONFIG_DIR")
            .or_else(|| given("XDG_CONFIG_HOME").map(|config| config.join("mandate")))
            .or_else(|| given("HOME").map(|home| home.join(".config/mandate")))?;
        Some(Self { url: url.to_owned(), folder: folder.join("signed-in") })
    }

    fn path(&self) -> PathBuf {
        let digest = Digest::of(self.url.as_bytes()).to_hex();
        self.folder.join(format!("{}.json", digest.get(..32).unwrap_or(&digest)))
    }

    /// What is kept, if anything is.
    pub(crate) fn load(&self) -> Result<Option<SignedIn>, CliError> {
        let path = self.path();
        let Ok(metadata) = std::fs::metadata(&path) else { return Ok(None) };
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(CliError::usage_help(
                format!("{} can be read by others, and holds a token", path.display()),
                "`mandate logout`, sign in again, and think about who may have read it",
            ));
        }
        let held: Option<SignedIn> = serde_json::from_slice(&files::read(&path, MAX_FILE)?).ok();
        match held {
            Some(held) if held.url == self.url => Ok(Some(held)),
            _ => Err(again(&self.url, &format!("{} is not what `mandate login` wrote", path.display()))),
        }
    }

    /// Keeps it, for this user alone.
    pub(crate) fn store(&self, held: &SignedIn) -> Result<(), CliError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.folder);
        made.map_err(|e| CliError::failed(format!("{} can't be made: {e}", self.folder.display())))?;
        let bytes = serde_json::to_vec(held).map_err(|e| CliError::failed(e.to_string()))?;
        files::write(&self.path(), &bytes)
    }

    /// Forgets it; whether there was anything.
    pub(crate) fn remove(&self) -> Result<bool, CliError> {
        match std::fs::remove_file(self.path()) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(CliError::failed(format!("{} can't be removed: {e}", self.path().display()))),
        }
    }

    /// A token that holds, renewed if need be. `refused` is one that the server did not take although it
    /// seemed to hold.
    pub(crate) async fn token(&self, refused: Option<&str>) -> Result<String, CliError> {
        let missing = || again(&self.url, "nobody is signed in any more");
        let held = self.load()?.ok_or_else(missing)?;
        if held.holds() && refused != Some(&held.access_token) {
            return Ok(held.access_token);
        }
        // Providers take a refresh token once: of several processes one renews, the others read.
        let _lock = self.lock().await?;
        let mut held = self.load()?.ok_or_else(missing)?;
        if held.holds() && refused != Some(&held.access_token) {
            return Ok(held.access_token);
        }
        let Some(refresh) = held.refresh_token.take() else {
            return Err(again(&self.url, "the sign-in has ended"));
        };
        let renewed = ProviderClient::discover(&held.issuer).await?.refresh(&held.client_id, &refresh).await;
        match renewed {
            Ok(Some(tokens)) => {
                held.refresh_token = Some(refresh);
                held.take(tokens);
                self.store(&held)?;
                Ok(held.access_token)
            }
            Ok(None) => Err(again(&self.url, "the sign-in has ended, and the provider does not renew it")),
            Err(error) => Err(error),
        }
    }

    /// Holds the folder until it is dropped, or the process ends.
    async fn lock(&self) -> Result<File, CliError> {
        let path = self.folder.join("lock");
        let opened = File::options().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = opened.map_err(|e| CliError::failed(format!("{} can't be locked: {e}", path.display())))?;
        let begun = std::time::Instant::now();
        while file.try_lock().is_err() {
            if begun.elapsed() > PATIENCE {
                return Err(CliError::failed(format!("another process holds {}", path.display())));
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        Ok(file)
    }
}

/// There is no way but to sign in again.
fn again(url: &str, why: &str) -> CliError {
    CliError::usage_help(format!("{url}: {why}"), format!("sign in again: `mandate login --url {url}`"))
}
