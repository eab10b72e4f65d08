//! The table of endpoints: the router is built from it, and the golden permission table prints it, so
//! that no endpoint exists without a line that says who may.

use crate::handlers::auth as sign_in;
use crate::handlers::{
    apply, approvals, audit, door, events, forensics, grants, keys, meta, metrics, resources, rollback, runs,
    schedules, search, secrets, tasks, workers,
};
use crate::{ApiState, auth, console, measure, observe, openapi};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{MethodRouter, get, post, put};
use mandate_kernel::{Action, Limits};
use std::fmt::Write as _;

/// What an endpoint asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// Nothing: public.
    Nothing,
    /// To be signed in; what is shown is filtered by what they may see.
    SignedIn,
    /// To be the sender of a registered event source.
    Sender,
    /// One of these actions, on the resource named.
    Action(&'static [Action]),
}

/// One endpoint.
pub struct Endpoint {
    /// HTTP method.
    pub method: &'static str,
    /// Path pattern.
    pub path: &'static str,
    /// What it asks.
    pub asks: Asks,
    handler: fn() -> MethodRouter<ApiState>,
}

const EDITS: &[Action] = &[
    Action::WorkerEdit,
    Action::FunctionEdit,
    Action::ConnectionEdit,
    Action::CredentialEdit,
    Action::PolicyEdit,
    Action::DirectoryEdit,
];
const VIEWS: &[Action] = &[
    Action::WorkerView,
    Action::FunctionView,
    Action::ConnectionView,
    Action::CredentialView,
    Action::PolicyView,
    Action::DirectoryView,
];

macro_rules! endpoint {
    ($method:literal, $path:literal, $asks:expr, $handler:expr) => {
        Endpoint { method: $method, path: $path, asks: $asks, handler: || $handler }
    };
}

/// Every endpoint.
const ENDPOINTS: &[Endpoint] = &[
    endpoint!("GET", "/livez", Asks::Nothing, get(meta::live)),
    endpoint!("GET", "/readyz", Asks::Nothing, get(meta::ready)),
    endpoint!("GET", "/metrics", Asks::Action(&[Action::LedgerRead]), get(metrics::metrics)),
    endpoint!("GET", "/v1/openapi.json", Asks::Nothing, get(openapi::openapi)),
    endpoint!("GET", "/t/{tenant}/.well-known/jwks.json", Asks::Nothing, get(meta::jwks)),
    endpoint!("GET", "/auth/tenants", Asks::Nothing, get(sign_in::tenants)),
    endpoint!("GET", "/auth/login", Asks::Nothing, get(sign_in::login)),
    endpoint!("GET", "/auth/callback", Asks::Nothing, get(sign_in::callback)),
    endpoint!("POST", "/auth/logout", Asks::SignedIn, post(sign_in::logout)),
    endpoint!("GET", "/v1/session", Asks::SignedIn, get(sign_in::session)),
    endpoint!("GET", "/v1/me", Asks::SignedIn, get(meta::me)),
    endpoint!("POST", "/v1/apply", Asks::Action(EDITS), post(apply::apply)),
    endpoint!("GET", "/v1/resources/{kind}", Asks::SignedIn, get(resources::list)),
    endpoint!("GET", "/v1/resources/{kind}/{project}/{name}", Asks::Action(VIEWS), get(resources::one)),
    endpoint!("GET", "/v1/workers", Asks::SignedIn, get(workers::list)),
    endpoint!("GET", "/v1/workers/{project}/{name}", Asks::Action(&[Action::WorkerView]), get(workers::one)),
    endpoint!("POST", "/v1/workers/{project}/{name}/runs", Asks::Action(&[Action::RunStart]), post(workers::run)),
    endpoint!("POST", "/v1/runs", Asks::Action(&[Action::RunStart]), post(runs::start)),
    endpoint!("GET", "/v1/runs", Asks::SignedIn, get(runs::list)),
    endpoint!("GET", "/v1/runs/{run}", Asks::Action(&[Action::RunView]), get(runs::one)),
    endpoint!("GET", "/v1/runs/{run}/entries", Asks::Action(&[Action::RunView]), get(runs::entries)),
    endpoint!("GET", "/v1/runs/{run}/forensics", Asks::Action(&[Action::RunView]), get(forensics::of_run)),
    endpoint!("GET", "/v1/runs/{run}/tasks", Asks::Action(&[Action::RunView]), get(tasks::tasks)),
    endpoint!("GET", "/v1/runs/{run}/events", Asks::Action(&[Action::RunView]), get(events::events)),
    endpoint!("POST", "/v1/runs/{run}/kill", Asks::Action(&[Action::RunKill]), post(runs::kill)),
    endpoint!("POST", "/v1/runs/{run}/resolve", Asks::Action(&[Action::RunResolve]), post(runs::resolve)),
    endpoint!("GET", "/v1/runs/{run}/rollback", Asks::Action(&[Action::RunRollback]), get(rollback::plan)),
    endpoint!("POST", "/v1/runs/{run}/rollback", Asks::Action(&[Action::RunRollback]), post(rollback::start)),
    endpoint!("GET", "/v1/runs/{run}/passport", Asks::Action(&[Action::PassportExport]), get(runs::passport)),
    endpoint!("GET", "/v1/runs/{run}/artifact", Asks::Action(&[Action::ArtifactRead]), get(runs::artifact)),
    endpoint!("GET", "/v1/approvals", Asks::SignedIn, get(approvals::list)),
    endpoint!("GET", "/v1/approvals/{approval}", Asks::SignedIn, get(approvals::one)),
    endpoint!(
        "POST",
        "/v1/approvals/{approval}/approve",
        Asks::Action(&[Action::ApprovalDecide]),
        post(approvals::approve)
    ),
    endpoint!("POST", "/v1/approvals/{approval}/deny", Asks::Action(&[Action::ApprovalDecide]), post(approvals::deny)),
    endpoint!("POST", "/v1/events", Asks::Sender, post(door::take)),
    endpoint!("GET", "/v1/schedules", Asks::SignedIn, get(schedules::list)),
    endpoint!("POST", "/v1/schedules/grant", Asks::Action(&[Action::RunStart]), post(schedules::give)),
    endpoint!(
        "POST",
        "/v1/schedules/revoke",
        Asks::Action(&[Action::WorkerEdit, Action::DirectoryEdit]),
        post(schedules::revoke)
    ),
    endpoint!("GET", "/v1/grants", Asks::SignedIn, get(grants::list)),
    endpoint!("POST", "/v1/grants", Asks::Action(&[Action::GrantManage]), post(grants::give)),
    endpoint!("POST", "/v1/grants/revoke", Asks::Action(&[Action::GrantManage]), post(grants::revoke)),
    endpoint!("GET", "/v1/secrets", Asks::SignedIn, get(secrets::list)),
    endpoint!("PUT", "/v1/secrets/{project}/{name}", Asks::Action(&[Action::SecretPut]), put(secrets::put)),
    endpoint!("POST", "/v1/keys/{role}/rotate", Asks::Action(&[Action::KeyRotate]), post(keys::rotate)),
    endpoint!("GET", "/v1/audit/checkpoint", Asks::Action(&[Action::LedgerRead]), get(audit::checkpoint)),
    endpoint!("GET", "/v1/audit/tile/{*path}", Asks::Action(&[Action::LedgerRead]), get(audit::tile)),
    endpoint!("GET", "/v1/audit/proof/{index}", Asks::Action(&[Action::LedgerRead]), get(audit::proof)),
    endpoint!("GET", "/v1/audit/search", Asks::Action(&[Action::LedgerRead]), get(search::search)),
    endpoint!("POST", "/v1/audit/exports", Asks::Action(&[Action::LedgerExport]), post(audit::export)),
];

/// Every endpoint, for its description.
pub(crate) const fn endpoints() -> &'static [Endpoint] {
    ENDPOINTS
}

/// The API.
pub fn router(state: ApiState) -> Router {
    measure::begin();
    let mut router = Router::new();
    for endpoint in ENDPOINTS {
        router = router.route(endpoint.path, (endpoint.handler)());
    }
    router
        .fallback(console::fallback)
        .method_not_allowed_fallback(meta::no_such_method)
        .layer(DefaultBodyLimit::max(Limits::DEFAULT.request_body))
        .layer(axum::middleware::from_fn_with_state(state.clone(), auth::own_host))
        .layer(axum::middleware::from_fn_with_state(state.clone(), auth::told_to_browsers))
        .layer(axum::middleware::from_fn_with_state(state.clone(), observe::observe))
        .with_state(state)
}

/// The table of endpoints as text, one a line: method, path, what it asks.
#[must_use]
pub fn endpoint_table() -> String {
    let mut table = String::new();
    for endpoint in ENDPOINTS {
        let asks = match endpoint.asks {
            Asks::Nothing => "public".to_owned(),
            Asks::SignedIn => "signed in; filtered".to_owned(),
            Asks::Sender => "sender of an event source".to_owned(),
            Asks::Action(actions) => actions.iter().map(|a| a.as_str()).collect::<Vec<_>>().join(" or "),
        };
        // Writing to a String can't fail.
        let _ = writeln!(table, "{:<5} {:<42} {asks}", endpoint.method, endpoint.path);
    }
    table
}
