//! Connections: what is refused before the first one, and what is required of the server behind them.

use super::PostgresConfig;
use super::fault::sql_error;
use mandate_journal::StoreError;
use mandate_kernel::Secret;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{ConnectOptions, PgConnection, PgPool, Row};
use std::time::Duration;

/// Rights that would make row-level security a courtesy: a superuser's, `BYPASSRLS`, and being the owner of a
/// table or a member of its role.
const ROLE: &str = "SELECT r.rolsuper, r.rolbypassrls, EXISTS (SELECT 1 FROM pg_class c
    WHERE c.relnamespace = 'mandate'::regnamespace AND pg_has_role(current_user, c.relowner, 'MEMBER'))
    FROM pg_roles r WHERE r.rolname = current_user";
/// Tables with tenants' rows on which row-level security is not forced.
const UNFORCED: &str = "SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'mandate'::regnamespace
    AND c.relkind IN ('r', 'p') AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
    AND EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant' AND NOT a.attisdropped)
    ORDER BY 1 LIMIT 1";
const DURABLE: &str = "SELECT current_setting('fsync'), current_setting('full_page_writes'),
    current_setting('synchronous_commit')";

fn unavailable(why: impl Into<String>) -> StoreError {
    StoreError::Unavailable(why.into())
}

/// The options of a URL, none of which is ever repeated in an error or a log line: it holds a password.
///
/// # Errors
/// [`StoreError::Unavailable`] for what is no such URL, or for a server on another machine that is not
/// required to prove who it is.
pub(super) fn options(url: &Secret<String>, config: &PostgresConfig) -> Result<PgConnectOptions, StoreError> {
    let text = url.expose().trim();
    if !(text.starts_with("postgres://") || text.starts_with("postgresql://")) {
        return Err(unavailable("the database URL has to begin with postgres://"));
    }
    let options: PgConnectOptions =
        text.parse().map_err(|_| unavailable("the database URL is not of the form postgres://ROLE@HOST/DATABASE"))?;
    let near = options.get_socket().is_some()
        || matches!(options.get_host(), "localhost" | "127.0.0.1" | "::1" | "[::1]")
        || options.get_host().starts_with('/');
    let proves = matches!(options.get_ssl_mode(), PgSslMode::VerifyFull | PgSslMode::VerifyCa);
    if !near && !proves {
        return Err(unavailable(
            "the database is on another machine: add sslmode=verify-full (and sslrootcert=FILE for an authority of \
             your own) to its URL, so that nobody else can pose as it",
        ));
    }
    let timeout = config.statement_timeout.as_millis().to_string();
    let settings = [
        ("search_path", "mandate"),
        ("statement_timeout", timeout.as_str()),
        ("idle_in_transaction_session_timeout", "60000"),
        ("client_min_messages", "warning"),
        ("default_transaction_read_only", if config.read_only { "on" } else { "off" }),
    ];
    // Statements are not logged: their parameters are tenants' data.
    Ok(options.application_name("mandate").options(settings).disable_statement_logging())
}

/// The pool. Nothing is connected yet.
pub(super) fn pool(options: PgConnectOptions, config: &PostgresConfig) -> PgPool {
    PgPoolOptions::new()
        .max_connections(config.connections.max(2))
        .acquire_timeout(config.acquire_timeout)
        .idle_timeout(Duration::from_secs(300))
        // A dead connection shows at the transaction's first statement, which has done nothing yet; asking
        // beforehand would cost a round trip for each transaction.
        .test_before_acquire(false)
        .connect_lazy_with(options)
}

/// Refuses a role that could get around row-level security, and tables without it (I5).
pub(super) async fn require_confined(conn: &mut PgConnection) -> Result<(), StoreError> {
    let row = sqlx::query(ROLE).fetch_one(&mut *conn).await.map_err(|e| sql_error(&e))?;
    let has = |at: usize| row.try_get::<bool, _>(at).map_err(|e| sql_error(&e));
    for (at, what) in
        [(0, "is a superuser"), (1, "has BYPASSRLS"), (2, "owns Mandate's tables, or may act as who does")]
    {
        if has(at)? {
            let why = format!(
                "the database role of the node {what}, so that row-level security would not hold it; \
                 give the node a role of its own (docs/guide/05-operate.md)"
            );
            return Err(unavailable(why));
        }
    }
    match sqlx::query(UNFORCED).fetch_optional(conn).await.map_err(|e| sql_error(&e))? {
        None => Ok(()),
        Some(row) => {
            let table: String = row.try_get(0).map_err(|e| sql_error(&e))?;
            Err(StoreError::Corrupt(format!("row-level security is not forced on table {table}")))
        }
    }
}

/// Refuses a server that acknowledges what is not on disk.
pub(super) async fn require_durable(conn: &mut PgConnection) -> Result<(), StoreError> {
    let row = sqlx::query(DURABLE).fetch_one(conn).await.map_err(|e| sql_error(&e))?;
    for (at, setting) in [(0, "fsync"), (1, "full_page_writes"), (2, "synchronous_commit")] {
        if row.try_get::<&str, _>(at).map_err(|e| sql_error(&e))? == "off" {
            return Err(unavailable(format!(
                "the PostgreSQL server runs with {setting} = off, and would lose what it acknowledged; set it to on"
            )));
        }
    }
    Ok(())
}
