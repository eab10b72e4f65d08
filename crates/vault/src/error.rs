//! What can go wrong with a secret. No message holds a value.

use mandate_journal::{CommitError, StoreError};
use mandate_kernel::EntropyError;

/// Why the vault did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// Sealed under another root key.
    #[error(
        "the keys of tenant {tenant} are sealed under root key {sealed_by}, not {given}; start with the root key they were made with"
    )]
    WrongRootKey {
        /// The tenant.
        tenant: String,
        /// Id of the root key it was sealed under.
        sealed_by: String,
        /// Id of the root key at hand.
        given: String,
    },
    /// The key that sealed it was destroyed. Nobody can read it any more.
    #[error("{place} was shredded: its key no longer exists")]
    Shredded {
        /// What.
        place: String,
    },
    /// It was altered, or moved here from another place.
    #[error(
        "{place} can't be decrypted: it was altered, or belongs to another place; restore it from a backup or put it again"
    )]
    Undecryptable {
        /// What.
        place: String,
    },
    /// Not a sealed value at all.
    #[error("{place} is not a sealed value: it is cut or overwritten; restore it from a backup or put it again")]
    Malformed {
        /// What.
        place: String,
    },
    /// Written by a newer version.
    #[error(
        "{place} is in format {format}, which this version can't read; use the version that wrote it, or a newer one"
    )]
    UnknownFormat {
        /// What.
        place: String,
        /// The format found.
        format: u8,
    },
    /// There is none.
    #[error("there is no {place}")]
    Missing {
        /// What.
        place: String,
    },
    /// A payload that decrypts to something else than was committed to.
    #[error("the payload of {subject} is not what its commitment says")]
    Commitment {
        /// Whose.
        subject: String,
    },
    /// A value that no receiver's slot could take.
    #[error("the secret for credential {credential} was not stored: {fault}")]
    Value {
        /// The credential.
        credential: String,
        /// What is wrong with it.
        fault: ValueFault,
    },
    /// An old tenant key can't go yet.
    #[error("tenant key {generation} can't be retired: {why}")]
    StillNeeded {
        /// Its generation.
        generation: u32,
        /// What needs it.
        why: String,
    },
    /// A value that has no canonical JSON.
    #[error("the value has no canonical JSON form, so it can't be committed to")]
    NotCanonical,
    /// A role or subject outside what names may be.
    #[error("`{given}` can't name a key: use 1 to 256 characters, none of them control characters")]
    Name {
        /// What was given, shortened.
        given: String,
    },
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The store could not.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The change was not committed.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// Why a secret can't go into a header slot. It says where, never what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ValueFault {
    /// Nothing there.
    #[error("it is empty")]
    Empty,
    /// Too long for any header.
    #[error("it is longer than {max} bytes")]
    TooLong {
        /// The most.
        max: usize,
    },
    /// Not text.
    #[error("it is not UTF-8 text; encode it first if the receiver expects base64")]
    NotText,
    /// Ends in a newline.
    #[error("it ends with a line break, which an `echo` or an editor may have added; use `printf %s` or cut it off")]
    TrailingNewline,
    /// A control character.
    #[error("it holds a control character at byte {at}; a header can't carry it")]
    Control {
        /// Byte offset, from 0.
        at: usize,
    },
    /// White space at an end, which receivers cut off.
    #[error("it begins or ends with white space, which receivers cut off")]
    OuterSpace,
}
