//! The door of a node: its sessions in its store, its sign-ins at its providers.

use super::oidc::Oidc;
use mandate_api::{Door, DoorConfig, SessionSource};
use mandate_directory::Sessions;
use mandate_kernel::Caller;
use mandate_store::Store;
use std::sync::Arc;

struct Kept(Store);

impl SessionSource for Kept {
    fn of(&self, caller: &Caller) -> Arc<dyn Sessions> {
        Arc::new(self.0.of(caller))
    }
}

/// Puts the door together.
pub(crate) fn door(config: &DoorConfig, store: &Store, oidc: Arc<Oidc>) -> Arc<Door> {
    Arc::new(Door::new(config, Arc::new(Kept(store.clone())), oidc))
}
