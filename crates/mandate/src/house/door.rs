//! The door of a node: its sessions in its store, its sign-ins at its providers.

use super::database::Database;
use super::oidc::Oidc;
use mandate_api::{Door, DoorConfig};
use std::sync::Arc;

/// Puts the door together.
pub(crate) fn door(config: &DoorConfig, database: &Database, oidc: Arc<Oidc>) -> Arc<Door> {
    Arc::new(Door::new(config, Arc::new(database.clone()), oidc))
}
