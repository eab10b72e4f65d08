//! `mandate serve`: a node that believes its tenants' OpenID providers and nobody else.

use super::config::{ServeConfig, TenantConfig};
use super::door::door;
use super::node::left;
use super::oidc::Oidc;
use super::wiring::{NodeConfig, node};
use super::witness_client::WitnessClient;
use super::{anchor, files, quarantine, signals, telemetry, tls};
use crate::cli::args::ServeArgs;
use anyhow::{Context, Result, anyhow};
use mandate_api::admin::{self, Actor};
use mandate_api::{ApiState, router};
use mandate_engine::{Engine, TenantContext};
use mandate_ledger::VerifierKey;
use serde_json::json;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

/// Runs a node until it is told to end.
pub(crate) async fn serve(args: ServeArgs) -> Result<()> {
    telemetry::start("info");
    let config = ServeConfig::read_file(&args.config)?;
    files::private_folder(&config.data_dir)?;
    let _lock = files::lock_folder(&config.data_dir)?;
    let key: VerifierKey = config.witness.vkey.parse().context("witness.vkey is not a verifier key")?;
    let client = WitnessClient::new(config.witness.url.clone(), key.clone())?;
    let (database, quarantined) = quarantine::held(&config, config.database().await?).await?;
    let node = node(NodeConfig {
        root: config.root_key(database.is_new().await?)?,
        database,
        public_url: config.public_url.clone(),
        log_name: config.log_name.clone(),
        witness: Arc::new(client),
        evaluator: config.expressions.evaluator().await?,
        allow: config.allow.clone().into(),
        node: config.node()?,
    })?;
    node.engine.share(config.shares.shares()?);
    let trusted = config.tenants.iter().map(TenantConfig::trust).collect::<Result<Vec<_>>>()?;
    // What can't be served is told before anything is.
    config.tls.as_ref().map(tls::read).transpose()?;
    let oidc = Oidc::open(trusted).await?;
    let mut contexts = Vec::new();
    for tenant in &config.tenants {
        let context = node.engine.open_tenant(&tenant.name).await?;
        if !quarantined {
            first_administrators(&node.engine, &context, tenant).await?;
        }
        contexts.push(context);
    }
    let trust = config.data_dir.join("trust.json");
    anchor::ensure(&trust, key, &contexts).await?;
    for context in contexts.iter().filter(|_| !quarantined) {
        node.engine.keep_ledger(context).await?;
    }
    let listener = tokio::net::TcpListener::bind(config.listen).await.context("the server can't listen")?;
    let state = ApiState {
        engine: Arc::clone(&node.engine),
        providers: oidc.providers(),
        door: door(&config.door(), &node.database, Arc::clone(&oidc)),
        streams: signals::streams(),
        hosts: Arc::default(),
    };
    oidc.keep_reading();
    let mut routes = router(state);
    if quarantined {
        routes = quarantine::guarded(routes);
    } else {
        node.engine.recover().await?;
    }
    let ready = json!({
        "url": config.public_url, "listen": listener.local_addr()?, "trust": trust,
        "allow": node.engine.allowed(), "quarantine": quarantined,
    });
    writeln!(std::io::stdout(), "{ready}").context("nobody reads the ready line")?;
    let left = left(Arc::clone(&node.engine), config.node.clone());
    let served = match &config.tls {
        Some(tls) => tls::serve(listener.into_std()?, tls, routes, left).await,
        None => {
            let service = routes.into_make_service_with_connect_info::<SocketAddr>();
            let serving = axum::serve(listener, service).with_graceful_shutdown(left);
            serving.await.context("the server stopped")
        }
    };
    node.engine.close();
    node.database.close().await;
    served
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
