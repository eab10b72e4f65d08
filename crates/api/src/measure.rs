//! Counts and gauges of this process, in the text form of Prometheus.
//!
//! What happens is counted where it happens (`mandate-engine`, `mandate-store`, [`crate::observe`]); what
//! stands open is asked of the stores when somebody looks. Labels come from closed sets: tenants of this
//! server, states, verdicts, routes. No person, run or resource is one.

use crate::{ApiState, Problem};
use mandate_engine::TenantContext;
use mandate_kernel::Tenant;
use mandate_ledger::SignedNote;
use metrics::{Unit, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::fmt::Write as _;
use std::sync::OnceLock;
use std::time::Duration;

/// Upper bounds of latencies, in seconds.
const SECONDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];
/// How often what was recorded is folded into the buckets, when nobody looks.
const FOLD_EVERY: Duration = Duration::from_secs(5);

static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Begins to count; what happened before is not counted. Later calls change nothing.
pub(crate) fn begin() {
    let begun = RECORDER.get().is_some();
    if handle().is_none() {
        tracing::error!("another recorder of metrics is in place; /metrics will be empty");
        return;
    }
    if !begun && let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async {
            loop {
                tokio::time::sleep(FOLD_EVERY).await;
                if let Some(handle) = handle() {
                    handle.run_upkeep();
                }
            }
        });
    }
}

fn handle() -> Option<&'static PrometheusHandle> {
    let make = || {
        let handle = PrometheusBuilder::new().set_buckets(&SECONDS).ok()?.install_recorder().ok()?;
        describe();
        Some(handle)
    };
    RECORDER.get_or_init(make).as_ref()
}

fn describe() {
    describe_counter!("mandate_runs_started_total", "Runs that began.");
    describe_counter!("mandate_runs_ended_total", "Runs that ended, by their last state.");
    describe_counter!("mandate_steps_total", "Attempts at steps that ended, by outcome and effect class.");
    describe_counter!("mandate_decisions_total", "Decisions about steps and starts, by verdict.");
    describe_counter!("mandate_access_decisions_total", "Decisions about callers' requests, by verdict.");
    describe_counter!("mandate_approvals_asked_total", "Approvals that were asked for.");
    describe_counter!("mandate_approvals_decided_total", "Approvals that were given, denied or ran out.");
    describe_counter!("mandate_http_requests_total", "Requests, by method, route and status.");
    describe_histogram!("mandate_http_request_seconds", Unit::Seconds, "Time to the head of an answer.");
    describe_histogram!("mandate_commit_seconds", Unit::Seconds, "Time until a transition of a run is durable.");
    describe_gauge!("mandate_runs_open", "Runs that have not ended, by state.");
    describe_counter!("mandate_starts_refused_total", "Starts refused because as many runs are driven as may be.");
    describe_gauge!("mandate_runs_driven", "Runs that this node drives.");
    describe_gauge!("mandate_turns_waiting", "Runs that wait for their turn to go on.");
    describe_gauge!("mandate_turns_taken", "Runs whose turn it is.");
    describe_gauge!("mandate_approvals_pending", "Approvals nobody has answered.");
    describe_gauge!("mandate_leases_open", "Leases of credentials that have not ended.");
    describe_gauge!("mandate_ledger_entries", "Entries in the tree.");
    describe_gauge!("mandate_ledger_unsequenced_entries", "Durable entries that are not in the tree yet.");
    describe_gauge!("mandate_ledger_cosigned_entries", "Entries in the newest tree that the witness cosigned.");
    describe_gauge!("mandate_ledger_cosigned_age_seconds", Unit::Seconds, "Age of the newest cosignature.");
    describe_gauge!("mandate_event_streams", "Streams of run events that are open.");
}

/// All series, or those of one tenant.
///
/// # Errors
/// A problem when nothing is counted here.
pub(crate) async fn text(state: &ApiState, only: Option<&Tenant>) -> Result<String, Problem> {
    let handle = handle().ok_or_else(|| Problem::internal_error("no recorder of metrics"))?;
    for context in state.engine.open_tenants() {
        if only.is_none_or(|tenant| tenant == context.tenant()) {
            gauges(state, &context).await?;
        }
    }
    state.engine.measure_turns();
    gauge!("mandate_event_streams").set(number(state.streams.count() as u64));
    handle.run_upkeep();
    let all = handle.render();
    Ok(only.map_or_else(|| all.clone(), |tenant| of_tenant(&all, tenant)))
}

async fn gauges(state: &ApiState, context: &TenantContext) -> Result<(), Problem> {
    let open = context.store().open_counts().await?;
    let head = context.store().head().await?;
    let tenant = || context.tenant().to_string();
    gauge!("mandate_runs_open", "tenant" => tenant(), "state" => "running").set(number(open.running));
    gauge!("mandate_runs_open", "tenant" => tenant(), "state" => "waiting").set(number(open.waiting));
    gauge!("mandate_approvals_pending", "tenant" => tenant()).set(number(open.approvals));
    gauge!("mandate_leases_open", "tenant" => tenant()).set(number(open.leases));
    gauge!("mandate_ledger_entries", "tenant" => tenant()).set(number(head.frontier.size()));
    gauge!("mandate_ledger_unsequenced_entries", "tenant" => tenant()).set(number(open.unsequenced));
    gauge!("mandate_ledger_cosigned_entries", "tenant" => tenant()).set(number(head.cosigned_size));
    if let Some(at) = head.cosigned.as_deref().and_then(|note| cosigned_at(state, note)) {
        let now = u64::try_from(state.engine.ports().clock.now().as_secs()).unwrap_or(0);
        gauge!("mandate_ledger_cosigned_age_seconds", "tenant" => tenant()).set(number(now.saturating_sub(at)));
    }
    Ok(())
}

/// When the witness cosigned, in seconds since 1970, as its signature says.
fn cosigned_at(state: &ApiState, note: &str) -> Option<u64> {
    let note = SignedNote::parse(note).ok()?;
    let times = state.engine.ports().witness.keys().into_iter().flat_map(|key| {
        let times: Vec<u64> =
            note.signatures.iter().filter_map(|line| key.verify(&note.text, line).ok().flatten()).collect();
        times
    });
    times.max()
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
fn number(count: u64) -> f64 {
    count as f64
}

/// The series with this tenant's label, each with what describes it.
fn of_tenant(all: &str, tenant: &Tenant) -> String {
    let label = format!("tenant=\"{tenant}\"");
    let is_own = |line: &str| {
        let labels = line.split_once('{').map_or("", |(_, rest)| rest);
        labels.starts_with(&label) || labels.contains(&format!(",{label}"))
    };
    let (mut own, mut about) = (String::new(), String::new());
    for line in all.lines() {
        if line.starts_with('#') {
            if line.starts_with("# HELP") {
                about.clear();
            }
            // Writing to a String can't fail.
            let _ = writeln!(about, "{line}");
        } else if is_own(line) {
            own.push_str(&std::mem::take(&mut about));
            let _ = writeln!(own, "{line}");
        }
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_sees_its_own_series_only() {
        let all = "# HELP a_total A.\n# TYPE a_total counter\na_total{tenant=\"demo\"} 1\na_total{tenant=\"other\"} 2\n\n\
                   # HELP b_total B.\n# TYPE b_total counter\nb_total{state=\"x\",tenant=\"other\"} 3\n\n\
                   # HELP c C.\n# TYPE c gauge\nc 9\nc{route=\"tenant=\\\"demo\\\"\"} 4\n";
        let own = of_tenant(all, &Tenant::new("demo").unwrap());
        assert_eq!(own, "# HELP a_total A.\n# TYPE a_total counter\na_total{tenant=\"demo\"} 1\n");
        let other = of_tenant(all, &Tenant::new("other").unwrap());
        assert_eq!(other.lines().filter(|line| !line.starts_with('#')).count(), 2, "{other}");
    }
}
