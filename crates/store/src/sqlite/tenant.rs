//! A store as one caller may see it. Every statement behind it says `tenant = ?`.

use super::fault::{Reading, Writing};
use super::store::Shared;
use super::writer::Task;
use crate::checked::CheckedTransition;
use async_trait::async_trait;
use mandate_journal::{Commit, CommitError, StoreError, Transition};
use mandate_kernel::Tenant;
use rusqlite::Connection;
use std::sync::Arc;

/// The store of one tenant: [`mandate_journal::TenantStore`].
#[derive(Debug, Clone)]
pub struct TenantHandle {
    shared: Arc<Shared>,
    tenant: Tenant,
}

impl TenantHandle {
    pub(super) const fn new(shared: Arc<Shared>, tenant: Tenant) -> Self {
        Self { shared, tenant }
    }

    /// The tenant everything asked here is confined to.
    #[must_use]
    pub const fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// Reads in one snapshot; the work is given the tenant, and has no other.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, &str) -> Reading<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let tenant = self.tenant.clone();
        self.shared.readers.read(move |conn| work(conn, tenant.as_str())).await
    }

    /// Has work done by the writer thread that can only fail as storage does.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        point: &'static str,
        work: impl FnOnce(&Connection, &Tenant) -> Reading<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let tenant = self.tenant.clone();
        self.shared.write(Task { point, scrubs: false }, move |conn| work(conn, &tenant)).await
    }

    /// Has work done by the writer thread that can be refused.
    pub(super) async fn commit_job<T: Send + 'static>(
        &self,
        task: Task,
        work: impl FnOnce(&Connection) -> Writing<T> + Send + 'static,
    ) -> Result<T, CommitError> {
        self.shared.write(task, work).await
    }
}

#[async_trait]
impl Commit for TenantHandle {
    async fn commit(&self, transition: Transition) -> Result<(), CommitError> {
        let checked = CheckedTransition::new(&self.tenant, transition)?;
        let begun = std::time::Instant::now();
        let work = move |conn: &Connection| checked.write(conn);
        let done = self.commit_job(Task { point: "store.transition", scrubs: false }, work).await;
        metrics::histogram!("mandate_commit_seconds", "tenant" => self.tenant.to_string()).record(begun.elapsed());
        done
    }
}
