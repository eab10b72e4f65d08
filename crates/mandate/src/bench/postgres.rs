//! A PostgreSQL server for one measurement, with fsync on.

use crate::database::Database;
use crate::server::Server;
use anyhow::Result;
use mandate_kernel::Secret;
use mandate_store::PostgresConfig;

/// A new database of the server: how it is opened.
pub(crate) fn config(server: &Server) -> PostgresConfig {
    let database = server.database();
    PostgresConfig::new(Secret::new(database.url), Some(Secret::new(database.owner_url)))
}

/// A new database of the server, open.
pub(crate) async fn database(server: &Server) -> Result<Database> {
    Database::on_server(config(server)).await
}
