//! A store as one caller may see it. Every statement behind it says `tenant = $1`, and every transaction
//! sets the tenant for row-level security.

use super::fault::Reading;
use super::store::Shared;
use super::work::{Job, Work};
use crate::checked::CheckedTransition;
use async_trait::async_trait;
use mandate_journal::{Commit, CommitError, Transition};
use mandate_kernel::Tenant;
use std::sync::Arc;

/// The store of one tenant: [`mandate_journal::TenantStore`].
#[derive(Debug, Clone)]
pub struct PostgresTenant {
    shared: Arc<Shared>,
    tenant: Tenant,
}

impl PostgresTenant {
    pub(super) const fn new(shared: Arc<Shared>, tenant: Tenant) -> Self {
        Self { shared, tenant }
    }

    /// The tenant everything asked here is confined to.
    #[must_use]
    pub const fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// One snapshot of the tenant, to be read.
    pub(super) async fn reading(&self) -> Reading<Work> {
        self.shared.reading(&self.tenant).await
    }

    /// Has a piece of work done.
    pub(super) async fn write<J: Job>(&self, job: &J) -> Result<J::Out, J::Error> {
        self.shared.write(&self.tenant, job).await
    }
}

/// Reads in one snapshot of the tenant: the body is given the transaction by the name before the arrow.
macro_rules! read {
    ($handle:expr, $work:ident => $body:expr) => {{
        let read: super::fault::Reading<_> = async {
            let mut transaction = $handle.reading().await?;
            let $work = &mut transaction;
            let found = $body;
            transaction.done().await;
            Ok(found)
        }
        .await;
        read.map_err(mandate_journal::StoreError::from)
    }};
}
pub(super) use read;

#[async_trait]
impl Commit for PostgresTenant {
    async fn commit(&self, transition: Transition) -> Result<(), CommitError> {
        let checked = CheckedTransition::new(&self.tenant, transition)?;
        let begun = std::time::Instant::now();
        let done = self.write(&checked).await;
        metrics::histogram!("mandate_commit_seconds", "tenant" => self.tenant.to_string()).record(begun.elapsed());
        done
    }
}
