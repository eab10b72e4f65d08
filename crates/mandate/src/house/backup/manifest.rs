//! What a backup holds, authenticated by the root key it was made under.

use crate::cli::CliError;
use anyhow::{Context, Result};
use mandate_kernel::{Digest, Tenant, Timestamp, canonical_json};
use mandate_vault::RootKey;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// The `format` of a manifest.
const FORMAT: &str = "https://mandate.dev/backup/v1";
/// Its file.
pub(super) const FILE: &str = "manifest.json";
/// The most bytes of it.
const MAX: u64 = 16 << 20;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Manifest {
    format: String,
    /// The version that made it.
    pub(crate) product: String,
    pub(crate) made_at: Timestamp,
    pub(crate) store: StoreKind,
    /// The name of the logs.
    pub(crate) log_name: String,
    /// The root key's name; the key itself is nowhere in a backup.
    pub(crate) root_key: String,
    pub(crate) tenants: BTreeMap<Tenant, TenantState>,
    pub(crate) files: BTreeMap<String, FileState>,
}

/// Which database it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StoreKind {
    /// The file is in the backup.
    Sqlite,
    /// The database's own tools keep it; the manifest says what it has to hold.
    Postgres,
}

/// A tenant at the moment of the backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct TenantState {
    /// Entries in its ledger's tree.
    pub(crate) entries: u64,
    /// Its root hash.
    pub(crate) root: Digest,
    /// How many of them the witness had cosigned.
    pub(crate) witnessed: u64,
    /// Runs in the middle of something.
    pub(crate) running: u64,
    /// Runs that wait.
    pub(crate) waiting: u64,
}

/// A file of the backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct FileState {
    pub(crate) bytes: u64,
    /// SHA-256.
    pub(crate) digest: Digest,
}

/// The manifest as it is written, with its code.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    manifest: Manifest,
    code: Digest,
}

impl FileState {
    /// Of a file as it is.
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let read = || {
            let (digest, bytes) = Digest::of_reader(&mut File::open(path)?)?;
            std::io::Result::Ok(Self { bytes, digest })
        };
        read().with_context(|| format!("{} can't be read", path.display()))
    }
}

impl Manifest {
    /// A manifest of nothing yet.
    pub(crate) fn new(made_at: Timestamp, store: StoreKind, log_name: String, root: &RootKey) -> Self {
        Self {
            format: FORMAT.to_owned(),
            product: env!("CARGO_PKG_VERSION").to_owned(),
            made_at,
            store,
            log_name,
            root_key: root.id(),
            tenants: BTreeMap::new(),
            files: BTreeMap::new(),
        }
    }

    /// Names it: the digest of its canonical form.
    pub(crate) fn digest(&self) -> Result<Digest> {
        Ok(Digest::of(&canonical_json(self)?))
    }

    /// The file, with the code that only who holds the root key can make.
    pub(crate) fn to_file(&self, root: &RootKey) -> Result<Vec<u8>> {
        let code = root.backup_key().code(&canonical_json(self)?);
        let mut bytes = serde_json::to_vec_pretty(&Signed { manifest: self.clone(), code })?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads a backup's manifest, if it is as it was made under this root key.
    ///
    /// # Errors
    /// [`CliError`]: usage for what is no backup, unverified for one that was changed.
    pub(crate) fn read(folder: &Path, root: &RootKey) -> Result<Self, CliError> {
        let path = folder.join(FILE);
        let place = path.display().to_string();
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(MAX).read_to_end(&mut bytes));
        read.map_err(|e| CliError::usage(format!("{} is no backup: {place}: {e}", folder.display())))?;
        let changed = |why: &str| CliError::Unverified { what: place.clone(), why: why.to_owned() };
        let signed: Signed = serde_json::from_slice(&bytes).map_err(|_| changed("it is not a backup's manifest"))?;
        if signed.manifest.format != FORMAT {
            return Err(changed("it is of another format; use the version that made it"));
        }
        if signed.manifest.root_key != root.id() {
            return Err(CliError::usage_help(
                format!("{place} was made under root key {}, and here is {}", signed.manifest.root_key, root.id()),
                "give the root key of that installation in the configuration",
            ));
        }
        let canonical = canonical_json(&signed.manifest).map_err(|_| changed("it has no canonical form"))?;
        if root.backup_key().holds(&canonical, &signed.code) {
            Ok(signed.manifest)
        } else {
            Err(changed("it is not as it was made"))
        }
    }
}
