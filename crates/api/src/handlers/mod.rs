//! The handlers, one module for each noun.

pub(crate) mod apply;
pub(crate) mod approvals;
pub(crate) mod audit;
pub(crate) mod auth;
pub(crate) mod door;
pub(crate) mod events;
pub(crate) mod forensics;
pub(crate) mod grants;
pub(crate) mod keys;
pub(crate) mod meta;
pub(crate) mod metrics;
pub(crate) mod resources;
pub(crate) mod rollback;
pub(crate) mod runs;
pub(crate) mod schedules;
pub(crate) mod search;
pub(crate) mod secrets;
pub(crate) mod tasks;
pub(crate) mod workers;

use crate::Problem;
use mandate_kernel::ResourceName;

/// A resource name from two path segments. A malformed one names nothing.
pub(crate) fn resource_name(project: &str, name: &str) -> Result<ResourceName, Problem> {
    ResourceName::new(format!("{project}/{name}")).map_err(|e| Problem::absent(&e.to_string()))
}

/// A page size: as asked, within bounds.
pub(crate) fn page_size(asked: Option<usize>) -> usize {
    asked.unwrap_or(50).clamp(1, 500)
}
