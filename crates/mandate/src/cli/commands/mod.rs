//! The client's commands, one file for each noun.

pub(super) mod apply;
pub(super) mod approvals;
pub(super) mod artifact;
pub(super) mod audit;
mod audit_data;
mod audit_files;
pub(super) mod backup;
pub(super) mod completions;
pub(super) mod diff;
pub(super) mod doctor;
mod explain;
pub(super) mod grants;
pub(super) mod init;
pub(super) mod keys;
pub(super) mod login;
pub(super) mod passport;
pub(super) mod resources;
mod rollback;
pub(super) mod run;
pub(super) mod runs;
pub(super) mod schedules;
pub(super) mod secrets;
mod state;
#[cfg(test)]
mod tests;

use super::output::Output;

/// Tells people how to get the next page of a list.
fn more(out: &Output<'_>, list: &serde_json::Value, flag: &str) {
    if out.is_table()
        && let Some(next) = super::output::text(list, "next")
    {
        out.progress(&format!("more with {flag} {next}"));
    }
}
