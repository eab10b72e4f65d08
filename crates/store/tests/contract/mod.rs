//! The contract of a store, written against the ports alone: any database has to pass the same cases.
//!
//! A database implements [`Backend`], gives a function that makes a fresh one, and calls
//! `contract_suite!`. A case that is missing there shows as dead code.

pub(crate) mod approvals;
pub(crate) mod commit;
pub(crate) mod isolation;
pub(crate) mod ledger;
pub(crate) mod model;
pub(crate) mod occasions;
pub(crate) mod resources;
pub(crate) mod script;

use mandate_journal::{System, TenantStore};
use mandate_kernel::Caller;
use std::sync::Arc;

/// A database under test. What it needs (a folder, a server) lives as long as it does.
pub(crate) trait Backend: Send + Sync {
    /// As `Store::of`.
    fn of(&self, caller: &Caller) -> Arc<dyn TenantStore>;
    /// As `Store::system`.
    fn system(&self) -> Arc<dyn System>;
}

/// One test for each case, over backends that `$fresh` makes.
#[macro_export]
macro_rules! contract_suite {
    ($fresh:path) => {
        $crate::contract_suite!($fresh;
            approvals: an_approval_is_asked_for_and_settled_once, nobody_settles_another_run_s_approval,
                an_end_withdraws_what_is_pending, approvals_are_listed_newest_first,
                a_foreign_tenant_sees_no_approval;
            commit: a_run_begins_and_is_read_back, a_start_key_is_used_once, a_run_begins_once,
                a_stale_sequence_is_fenced, a_stale_epoch_is_fenced, an_absent_run_is_fenced,
                a_revocation_stops_admission, an_attempt_is_admitted_once, a_refused_transition_leaves_nothing,
                a_transition_that_contradicts_itself_is_refused, a_forked_chain_is_refused, leases_open_and_end,
                timers_are_set_moved_and_cleared, payloads_are_kept_once, runs_are_listed_newest_first,
                unfinished_runs_are_found, an_entry_alone_moves_no_chain;
            isolation: a_foreign_tenant_sees_nothing, a_foreign_tenant_changes_nothing, system_lists_tenants,
                a_refused_job_harms_no_neighbour, writers_lose_nothing, one_driver_wins_each_step,
                readers_see_what_was_acknowledged;
            resources: versions_rise_and_conflicts_show, a_deletion_keeps_history, the_generation_rises,
                the_inventory_is_everything_there_is,
                secrets_are_kept_by_version, shredded_secrets_are_gone, a_refused_change_leaves_nothing,
                epochs_rise_with_the_sequence, a_change_takes_no_entry_of_a_run;
            ledger: entries_move_into_the_tree, a_stale_round_changes_nothing, a_contradictory_round_is_refused_whole,
                checkpoints_never_go_back, entries_of_a_run_carry_their_index;
            occasions: runs_are_found_by_what_they_listen_to, an_event_is_taken_once_and_kept_until_handed_on,
                events_are_forgotten_in_time, a_schedule_moves_by_its_version, a_foreign_tenant_sees_no_occasion;
            model: interleavings_agree_with_the_model;
        );
    };
    ($fresh:path; $($module:ident: $($case:ident),+;)+) => {
        $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                $crate::contract::$module::$case(&$fresh()).await;
            }
        )+)+
    };
}
