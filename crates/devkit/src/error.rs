//! Why the development house can't be opened.

/// Why the development house can't be opened or used. No message holds a key.
#[derive(Debug, thiserror::Error)]
pub enum DevkitError {
    /// A file or socket.
    #[error("{what}: {cause}")]
    Io {
        /// What was being done, and where.
        what: String,
        /// Why it failed.
        cause: std::io::Error,
    },
    /// A database.
    #[error("database {what}: {cause}")]
    Database {
        /// Which, or what was being done.
        what: String,
        /// Why it failed.
        cause: rusqlite::Error,
    },
    /// A file that the house wrote itself holds something else now.
    #[error("{0} is damaged; remove it to start over with a new one")]
    Damaged(String),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] mandate_kernel::EntropyError),
    /// The HTTP client for the platform's keys.
    #[error("the HTTP client can't be built: {0}")]
    Client(String),
}

impl DevkitError {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |cause| Self::Io { what, cause }
    }

    pub(crate) fn database(what: impl Into<String>) -> impl FnOnce(rusqlite::Error) -> Self {
        let what = what.into();
        move |cause| Self::Database { what, cause }
    }
}
