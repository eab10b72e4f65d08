//! A platform that publishes keys and makes hop tokens, and a house that trusts it.

use axum::{Json, Router, extract::State, routing::get};
use mandate_devkit::{Devkit, DevkitConfig, MailFaults, ModelFault, ReportFaults};
use mandate_identity::{
    Audience, AuthorizationDetail, CanonicalRequest, CanonicalUrl, Confirmation, FunctionDetail, HopClaims, HopContext,
    IdentityModel, Jwks, Scope, dpop,
};
use mandate_kernel::{
    Attempt, Clock as _, DecisionId, Digest, Duration, Ed25519Signer, Environment, FunctionName, RunId, Signer,
    StepKey, StepSeq, SystemClock, SystemEntropy, Tenant, TokenId,
};
use reqwest::header::HeaderMap;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

pub(crate) const API: &str = "http://127.0.0.1:1";

/// What the platform publishes, and how often it was asked.
#[derive(Clone)]
struct Published {
    keys: Arc<Mutex<Jwks>>,
    fetches: Arc<AtomicU32>,
}

pub(crate) struct World {
    pub(crate) house: Devkit,
    pub(crate) folder: TempDir,
    pub(crate) client: reqwest::Client,
    pub(crate) signer: Ed25519Signer,
    config: DevkitConfig,
    published: Published,
}

/// An answer, read whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn challenge(&self) -> &str {
        self.headers.get("www-authenticate").map_or("", |value| value.to_str().unwrap())
    }
}

pub(crate) async fn read(response: reqwest::Response) -> Answer {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or(Value::Null);
    Answer { status, headers, body }
}

pub(crate) fn new_key() -> Ed25519Signer {
    Ed25519Signer::generate(&SystemEntropy).unwrap().0
}

pub(crate) async fn world() -> World {
    world_with(ReportFaults::default()).await
}

pub(crate) async fn world_with(report_faults: ReportFaults) -> World {
    world_of(report_faults, MailFaults::default(), Vec::new()).await
}

pub(crate) async fn world_of(
    report_faults: ReportFaults,
    mail_faults: MailFaults,
    model_faults: Vec<ModelFault>,
) -> World {
    let signer = new_key();
    let keys = Arc::new(Mutex::new(Jwks::new([signer.public()])));
    let published = Published { keys, fetches: Arc::default() };
    let app = Router::new()
        .route(
            "/jwks.json",
            get(|State(published): State<Published>| async move {
                published.fetches.fetch_add(1, Ordering::SeqCst);
                Json(published.keys.lock().unwrap().to_json())
            }),
        )
        .with_state(published.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let folder = tempfile::tempdir().unwrap();
    let config = DevkitConfig {
        data_dir: folder.path().to_owned(),
        hop_issuer: format!("{API}/t/demo"),
        jwks_url: format!("{origin}/jwks.json"),
        api_audience: Audience::new(API).unwrap(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        report_faults,
        mail_faults,
        model_faults,
    };
    let house = Devkit::start(config.clone()).await.unwrap();
    World { house, folder, client: reqwest::Client::builder().no_proxy().build().unwrap(), signer, config, published }
}

impl World {
    /// Ends the house and opens it again over the same folder.
    pub(crate) async fn restart(self) -> Self {
        let Self { house, folder, client, signer, config, published } = self;
        house.shutdown().await;
        let house = Devkit::start(config.clone()).await.unwrap();
        Self { house, folder, client, signer, config, published }
    }

    pub(crate) fn fetches(&self) -> u32 {
        self.published.fetches.load(Ordering::SeqCst)
    }

    /// Publishes another key in place of the present one.
    pub(crate) fn rotate(&mut self) {
        self.signer = new_key();
        *self.published.keys.lock().unwrap() = Jwks::new([self.signer.public()]);
    }

    /// Sends a call as it stands.
    pub(crate) async fn send(&self, call: &Call) -> Answer {
        let method = reqwest::Method::from_bytes(call.method.as_bytes()).unwrap();
        let mut request = self.client.request(method, &call.url).body(call.body.clone());
        for (name, value) in [
            ("authorization", &call.authorization),
            ("dpop", &call.proof),
            ("idempotency-key", &call.key),
            ("content-type", &call.content_type),
        ] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        read(request.send().await.unwrap()).await
    }
}

/// A call with its token and proof; the attacks change it.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) url: String,
    pub(crate) content_type: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) body: Vec<u8>,
    pub(crate) authorization: Option<String>,
    pub(crate) proof: Option<String>,
}

impl Call {
    pub(crate) fn get(url: impl Into<String>) -> Self {
        let none = None::<String>;
        Self {
            method: "GET",
            url: url.into(),
            content_type: none.clone(),
            key: none.clone(),
            body: Vec::new(),
            authorization: none.clone(),
            proof: none,
        }
    }

    pub(crate) fn post(url: impl Into<String>, key: &str, body: &Value) -> Self {
        Self {
            method: "POST",
            content_type: Some("application/json".to_owned()),
            key: Some(key.to_owned()),
            body: serde_json::to_vec(body).unwrap(),
            ..Self::get(url)
        }
    }

    /// Puts a good token and proof on it, after `change` to the claims.
    pub(crate) fn signed(mut self, world: &World, kind: Kind, change: impl FnOnce(&mut HopClaims)) -> Self {
        let request = CanonicalRequest::new(
            self.method,
            self.url.clone(),
            self.content_type.clone(),
            self.body.clone(),
            self.key.clone(),
        );
        let sender = new_key();
        let mut claims = claims(world, kind, &sender, request.unwrap().digest());
        change(&mut claims);
        let token = claims.sign(&world.signer).unwrap();
        let url = CanonicalUrl::new(self.url.clone()).unwrap();
        let now = SystemClock.now();
        let id = TokenId::generate(now, &SystemEntropy).unwrap();
        self.proof = Some(dpop::prove(&sender, self.method, &url, token.expose(), &id, now).unwrap());
        self.authorization = Some(format!("DPoP {}", token.expose()));
        self
    }
}

/// Which service a token is for.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Revenue,
    Desks,
    Publish,
    /// A function of the claims system, which is also the scope it needs.
    Claims(&'static str),
    /// A function of the documents service, which is also the scope it needs.
    Documents(&'static str),
}

/// Reads are delegated, what is written is bound to its run.
fn model_of(function: &str) -> IdentityModel {
    let reads = function.ends_with(".read") || function.ends_with(".validate");
    if reads { IdentityModel::Delegated } else { IdentityModel::WorkflowBound }
}

fn claims(world: &World, kind: Kind, sender: &Ed25519Signer, digest: Digest) -> HopClaims {
    let now = SystemClock.now();
    let run = RunId::generate(now, &SystemEntropy).unwrap();
    let (audience, scope, function, model) = match kind {
        Kind::Revenue => {
            (world.house.warehouse_url(), "warehouse.revenue.read", "warehouse.revenue", IdentityModel::Delegated)
        }
        Kind::Desks => {
            (world.house.warehouse_url(), "warehouse.desks.read", "warehouse.desks", IdentityModel::Delegated)
        }
        Kind::Publish => (world.house.reports_url(), "report.publish", "report.publish", IdentityModel::WorkflowBound),
        Kind::Claims(function) => (world.house.claims_url(), function, function, model_of(function)),
        Kind::Documents(function) => (world.house.documents_url(), function, function, model_of(function)),
    };
    let limits = match kind {
        Kind::Claims("claims.validate") => r#"{"/contract":{"prefix":"CT-"}}"#,
        Kind::Claims(_) => r#"{"/claim":{"prefix":"CL-"}}"#,
        Kind::Documents(_) => r#"{"/document":{"prefix":"minutes-"}}"#,
        Kind::Revenue | Kind::Desks | Kind::Publish => r#"{"/quarter":{"prefix":"20"}}"#,
    };
    HopClaims {
        iss: format!("{API}/t/demo"),
        sub: "user:finance-lead".to_owned(),
        aud: Audience::new(audience).unwrap(),
        exp: now.plus(Duration::from_secs(60)),
        iat: now,
        nbf: now,
        jti: TokenId::generate(now, &SystemEntropy).unwrap(),
        client_id: "finance/quarterly-summary".to_owned(),
        scope: BTreeSet::from([Scope::new(scope).unwrap()]),
        act: None,
        txn: run.clone(),
        authorization_details: vec![AuthorizationDetail::Function(FunctionDetail {
            function: FunctionName::new(function).unwrap(),
            arguments: serde_json::from_str(limits).unwrap(),
            request_digest: digest,
        })],
        cnf: Some(Confirmation { jkt: sender.key_id().0 }),
        mandate: HopContext {
            tenant: Tenant::new("demo").unwrap(),
            step: StepKey { run, seq: StepSeq(1), attempt: Attempt(1) },
            environment: Environment::new("sandbox").unwrap(),
            model,
            purpose: None,
            argument_digest: Digest::of(b"arguments"),
            parent: Digest::of(b"envelope"),
            decision: DecisionId::generate(now, &SystemEntropy).unwrap(),
        },
    }
}
