//! A node whose state was restored and not released: it shows what is there, and does nothing. Its database is
//! opened for reading only; that requests are refused before they get that far is for a clear answer.

use super::config::ServeConfig;
use super::database::Database;
use anyhow::{Context, Result};
use axum::Router;
use axum::extract::Request;
use axum::http::Method;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use mandate_api::Problem;
use mandate_engine::Tenants as _;
use mandate_engine::quarantine::{Quarantine, mark};
use mandate_kernel::{Caller, Tenant};

/// The tenants in quarantine.
pub(super) async fn marks(database: &Database) -> Result<Vec<(Tenant, Quarantine)>> {
    let mut found = Vec::new();
    for tenant in database.system().tenants().await? {
        let store = database.of(&Caller::system(tenant.clone(), "engine"));
        if let Some(mark) = mark(store.as_ref()).await? {
            found.push((tenant, mark));
        }
    }
    Ok(found)
}

/// The same database for reading only, if a tenant is in quarantine; and whether one is.
pub(super) async fn held(config: &ServeConfig, database: Database) -> Result<(Database, bool)> {
    let found = marks(&database).await.context("whether the state may be worked on")?;
    for (tenant, mark) in &found {
        let (made_at, witnessed) = (mark.made_at, mark.witnessed);
        tracing::warn!(%tenant, %made_at, ?witnessed, "restored from a backup and not released: nothing is driven, issued or changed; see `mandate release`");
    }
    if found.is_empty() {
        return Ok((database, false));
    }
    database.close().await;
    Ok((config.database_to_read().await?, true))
}

/// Lets through what only looks.
pub(super) fn guarded(router: Router) -> Router {
    router.layer(from_fn(refuse))
}

async fn refuse(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let looks = matches!(*request.method(), Method::GET | Method::HEAD);
    // These sign something, begin a session, or say that this node takes work.
    let issues =
        ["/passport", "/artifact", "/readyz"].iter().any(|end| path.ends_with(end)) || path.starts_with("/auth");
    if looks && !issues { next.run(request).await } else { Problem::quarantined().into_response() }
}
