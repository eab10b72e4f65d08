//! Secrets at rest and on loan (I4).
//!
//! ```text
//! root key ─▶ tenant key, one per generation ─▶ data key, one per secret version ─▶ value
//!                                                 (credential, signing key, subject key, row key)
//! subject key ─▶ payloads of the journal
//! ```
//!
//! Everything is AES-256-GCM with a random 96-bit nonce; the associated data names the place (tenant,
//! kind, name, version), the key and the format, so that a sealed value is good in one place only. What
//! can't be decrypted is an error, never an empty value. Values leave in two ways: into an effect, by a
//! [`TenantVault::lease`] that demands the step's permit, and as signatures by a signing key.
//!
//! **Invariant:** no error, no record and no `Debug` of this crate holds a secret value.

mod backup;
mod error;
mod key;
mod lease;
mod lent;
mod payload;
mod place;
mod provider;
mod rewrap;
mod ring;
mod root;
mod rows;
mod seal;
mod secret;
mod signing;
mod tenant;

pub use backup::BackupKey;
pub use error::{ValueFault, VaultError};
pub use lease::{LeaseEnd, LeaseError};
pub use payload::{SubjectKey, commitment};
pub use place::Place;
pub use provider::{CredentialProvider, ProviderError};
pub use root::{RootKey, RootKeyError};
pub use rows::RowKey;
pub use tenant::{TenantVault, Vault};
