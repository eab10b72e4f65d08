//! `mandate serve`: a node that believes its tenants' OpenID providers and nobody else.

use super::config::{ServeConfig, TenantConfig};
use super::wiring::{NodeConfig, node};
use super::witness_client::WitnessClient;
use super::{anchor, files, signals, telemetry};
use crate::cli::args::ServeArgs;
use anyhow::{Context, Result, anyhow};
use mandate_api::admin::{self, Actor};
use mandate_api::{ApiState, Providers, router};
use mandate_engine::{Engine, TenantContext};
use mandate_identity::{Audience, Provider, ProviderConfig};
use mandate_kernel::Duration;
use mandate_ledger::VerifierKey;
use serde_json::json;
use std::io::Write;
use std::sync::Arc;

/// Runs a node until it is told to end.
pub(crate) async fn serve(args: ServeArgs) -> Result<()> {
    telemetry::start("info");
    let config = ServeConfig::read(&args)?;
    files::private_folder(&config.data_dir)?;
    let _lock = files::lock_folder(&config.data_dir)?;
    let key: VerifierKey = config.witness.vkey.parse().context("witness.vkey is not a verifier key")?;
    let client = WitnessClient::new(config.witness.url.clone(), key.clone())?;
    let node = node(NodeConfig {
        data_dir: &config.data_dir,
        public_url: config.public_url.clone(),
        log_name: config.log_name.clone(),
        root: config.root_key()?,
        witness: Arc::new(client),
    })?;
    let providers = Providers::default();
    let mut contexts = Vec::new();
    for tenant in &config.tenants {
        let context = node.engine.open_tenant(&tenant.name).await?;
        providers.set(provider(tenant)?);
        first_administrators(&node.engine, &context, tenant).await?;
        contexts.push(context);
    }
    let trust = config.data_dir.join("trust.json");
    anchor::ensure(&trust, key, &contexts).await?;
    for context in &contexts {
        node.engine.keep_ledger(context).await?;
    }
    let listener = tokio::net::TcpListener::bind(config.listen).await.context("the server can't listen")?;
    let state = ApiState { engine: Arc::clone(&node.engine), providers, hosts: Arc::default() };
    node.engine.recover().await?;
    let ready = json!({"url": config.public_url, "listen": listener.local_addr()?, "trust": trust});
    writeln!(std::io::stdout(), "{ready}").context("nobody reads the ready line")?;
    let served = axum::serve(listener, router(state)).with_graceful_shutdown(signals::told_to_end()).await;
    node.engine.close();
    node.store.close().await;
    served.context("the server stopped")
}

fn provider(tenant: &TenantConfig) -> Result<Provider> {
    let from = &tenant.provider;
    let jwks = std::fs::read_to_string(&from.jwks_file)
        .with_context(|| format!("{} can't be read", from.jwks_file.display()))?;
    Ok(Provider::new(ProviderConfig {
        issuer: from.issuer.clone(),
        audience: Audience::new(from.audience.clone())?,
        tenant: tenant.name.clone(),
        jwks,
        groups_claim: from.groups_claim.clone(),
        types: from.types.clone(),
        leeway: Duration::from_secs(30),
    })?)
}

/// Gives a new tenant its first administrators. From then on roles are given by people.
async fn first_administrators(engine: &Engine, context: &TenantContext, tenant: &TenantConfig) -> Result<()> {
    let set_up = !context.store().resources("RoleBinding").await?.is_empty();
    if set_up || tenant.first_administrators.is_empty() {
        return Ok(());
    }
    let binding = json!({
        "apiVersion": mandate_directory::API_VERSION,
        "kind": "RoleBinding",
        "metadata": {"name": "platform/administrators"},
        "spec": {"subjects": tenant.first_administrators, "role": "tenant-admin", "on": "tenant"},
    });
    let applied = admin::apply(engine, context, Actor::Bootstrap, vec![binding]).await;
    applied.map(|_| ()).map_err(|problem| anyhow!("{}: {}", problem.title, problem.detail.unwrap_or_default()))
}
