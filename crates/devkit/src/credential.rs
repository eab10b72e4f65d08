//! The static credential of a service that knows no identities: handed out once, kept as a digest.

use crate::DevkitError;
use crate::db::Db;
use mandate_kernel::{Digest, Entropy, Secret, base64url_encode};
use rusqlite::{Connection, OptionalExtension as _};

/// The table for it.
pub(crate) const SCHEMA: &str =
    "CREATE TABLE IF NOT EXISTS api_key (one INTEGER PRIMARY KEY CHECK (one = 1), sha256 BLOB NOT NULL);";

/// The credential, if none was ever made: it is handed out this once.
pub(crate) fn first(db: &Db, entropy: &dyn Entropy, prefix: &str) -> Result<Option<Secret<String>>, DevkitError> {
    let found = db.with(|c| c.query_row("SELECT 1 FROM api_key", [], |_| Ok(())).optional());
    match found.map_err(DevkitError::database("credential"))? {
        Some(()) => Ok(None),
        None => renew(db, entropy, prefix).map(Some),
    }
}

/// Makes a new one in place of any before it, and hands it out: nobody can read it afterwards.
pub(crate) fn renew(db: &Db, entropy: &dyn Entropy, prefix: &str) -> Result<Secret<String>, DevkitError> {
    let mut random = [0u8; 32];
    entropy.fill(&mut random)?;
    // It has as many random bits as the digest: no salt and no slow hash would add anything.
    let secret = Secret::new(format!("{prefix}{}", base64url_encode(&random)));
    let digest = Digest::of(secret.expose().as_bytes());
    db.with(|c| c.execute("INSERT OR REPLACE INTO api_key VALUES (1, ?1)", [digest.as_bytes()]))
        .map_err(DevkitError::database("credential"))?;
    Ok(secret)
}

/// Whether this is the digest of the credential in force.
pub(crate) fn fits(connection: &Connection, given: Digest) -> rusqlite::Result<bool> {
    let known = connection.query_row("SELECT sha256 FROM api_key", [], |row| row.get::<_, Vec<u8>>(0)).optional()?;
    Ok(known.as_deref() == Some(&given.as_bytes()[..]))
}
