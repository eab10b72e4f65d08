//! What is kept of a person's sign-in.

use mandate_directory::{SessionRecord, SessionStoreError};
use mandate_kernel::{GroupName, Principal, Tenant};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What is kept of a person.
#[derive(Serialize, Deserialize)]
pub(crate) struct SessionPerson {
    pub(crate) principal: Principal,
    pub(crate) name: String,
    pub(crate) groups: BTreeSet<GroupName>,
}

impl SessionPerson {
    /// The person of a row that is filed under `subject`; `None` for a row that nobody here wrote.
    pub(crate) fn decode(bytes: &[u8], subject: &str) -> Option<Self> {
        let who = serde_json::from_slice::<Self>(bytes).ok().filter(|who| who.principal.subject() == subject);
        if who.is_none() {
            tracing::error!("a session is not as it was written: somebody changed the database");
        }
        who
    }

    /// The person of a session of this tenant, as JSON.
    pub(crate) fn encode(tenant: &Tenant, session: &SessionRecord) -> Result<Vec<u8>, SessionStoreError> {
        if session.principal.tenant != *tenant {
            let why = format!("a session of tenant {} was given to tenant {tenant}", session.principal.tenant);
            return Err(SessionStoreError(why));
        }
        let (principal, name, groups) = (session.principal.clone(), session.name.clone(), session.groups.clone());
        serde_json::to_vec(&Self { principal, name, groups }).map_err(|e| SessionStoreError(e.to_string()))
    }
}
