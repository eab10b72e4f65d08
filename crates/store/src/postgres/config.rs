//! How a PostgreSQL store is opened.

use mandate_kernel::Secret;
use std::time::Duration;

/// How a PostgreSQL store is opened. Two roles, so that nobody who reads and writes tenants' rows can
/// switch row-level security off (I5): one owns the tables and changes the schema, the other works.
pub struct PostgresConfig {
    /// `postgres://ROLE:PASSWORD@HOST:PORT/DATABASE?…` of the role that works. It must not own the tables,
    /// be a superuser or have `BYPASSRLS`.
    pub url: Secret<String>,
    /// The same of the role that owns the tables. With it the schema is made and brought up to date when
    /// the store opens; without it an old schema is refused.
    pub owner_url: Option<Secret<String>>,
    /// Whether the server is to refuse every change that this process asks for.
    pub read_only: bool,
    /// How many connections this process holds at most.
    pub connections: u32,
    /// How long to wait for a connection before giving up.
    pub acquire_timeout: Duration,
    /// How long one statement may take, waiting for locks included.
    pub statement_timeout: Duration,
    /// How long to look for the fate of a commit whose answer was lost with its connection.
    pub resolve_timeout: Duration,
}

impl PostgresConfig {
    /// The defaults for a database.
    #[must_use]
    pub const fn new(url: Secret<String>, owner_url: Option<Secret<String>>) -> Self {
        Self {
            url,
            owner_url,
            read_only: false,
            connections: 16,
            acquire_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(30),
            resolve_timeout: Duration::from_secs(30),
        }
    }
}

impl std::fmt::Debug for PostgresConfig {
    /// Without the URLs, which hold passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresConfig")
            .field("migrates", &self.owner_url.is_some())
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}
