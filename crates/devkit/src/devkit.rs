//! The house as a whole: opened, asked for its addresses, closed.

use crate::db::Db;
use crate::hop::{Endpoint, HopGuard};
use crate::ports::Ports;
use crate::{
    DevkitConfig, DevkitError, claims, credential, documents, inbox, keep, ledgerbook, mail, model, ports, provider,
    reports, server, warehouse,
};
use mandate_identity::Scope;
use mandate_kernel::{Entropy, FunctionName, Secret};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The running development house. Dropping it ends its servers.
pub struct Devkit {
    ports: Ports,
    ledgerbook: Lock,
    model: Lock,
    mail: Lock,
    warehouse: Db,
    entropy: Arc<dyn Entropy>,
    stop: watch::Sender<bool>,
    servers: Vec<JoinHandle<()>>,
}

/// A service with one static credential.
struct Lock {
    db: Db,
    /// What its credential begins with.
    prefix: &'static str,
    /// The first one, until it is taken.
    first: Mutex<Option<Secret<String>>>,
}

impl Lock {
    fn open(db: Db, entropy: &dyn Entropy, prefix: &'static str) -> Result<Self, DevkitError> {
        let first = Mutex::new(credential::first(&db, entropy, prefix)?);
        Ok(Self { db, prefix, first })
    }

    fn take(&self) -> Option<Secret<String>> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Devkit {
    /// Opens the house in the data folder and begins to listen. At the first start it makes its keys,
    /// its rows and its ports; later ones find them.
    ///
    /// # Errors
    /// [`DevkitError`]; nothing is left listening then.
    pub async fn start(config: DevkitConfig) -> Result<Self, DevkitError> {
        let folder = config.data_dir.join("devkit");
        keep::folder(&folder)?;
        let listeners = ports::listen(&folder.join("ports.json")).await?;
        let ports = listeners.ports;
        let (stop, stopped) = watch::channel(false);
        let rooms = Rooms::open(&config, &folder, ports)?;
        let spawn = |listener, port, router| server::spawn(listener, port, router, stopped.clone());
        let servers = vec![
            spawn(listeners.provider, ports.provider, rooms.provider),
            spawn(listeners.warehouse, ports.warehouse, rooms.warehouse),
            spawn(listeners.ledgerbook, ports.ledgerbook, rooms.ledgerbook),
            spawn(listeners.reports, ports.reports, rooms.reports),
            spawn(listeners.claims, ports.claims, rooms.claims),
            spawn(listeners.documents, ports.documents, rooms.documents),
            spawn(listeners.model, ports.model, rooms.model),
            spawn(listeners.mail, ports.mail, rooms.mail),
            mail::spawn(listeners.smtp, rooms.sink, stopped.clone()),
        ];
        Ok(Self {
            ports,
            ledgerbook: rooms.ledgerbook_lock,
            model: rooms.model_lock,
            mail: rooms.mail_lock,
            warehouse: rooms.warehouse_db,
            entropy: config.entropy,
            stop,
            servers,
        })
    }

    /// The issuer of a tenant's accounts.
    #[must_use]
    pub fn provider_url(&self, tenant: &str) -> String {
        format!("{}/t/{tenant}", origin(self.ports.provider))
    }

    /// The warehouse's origin, which is also its audience.
    #[must_use]
    pub fn warehouse_url(&self) -> String {
        origin(self.ports.warehouse)
    }

    /// Ledgerbook's origin.
    #[must_use]
    pub fn ledgerbook_url(&self) -> String {
        origin(self.ports.ledgerbook)
    }

    /// The origin of the receiver of reports, which is also its audience.
    #[must_use]
    pub fn reports_url(&self) -> String {
        origin(self.ports.reports)
    }

    /// Where reports are published (`POST`) and listed (`GET`, without sign-in).
    #[must_use]
    pub fn report_url(&self) -> String {
        format!("{}/v1/reports", self.reports_url())
    }

    /// The claims system's origin, which is also its audience. Below it `v1/notes` and `v1/payouts` list what
    /// it was given (`GET`, without sign-in).
    #[must_use]
    pub fn claims_url(&self) -> String {
        origin(self.ports.claims)
    }

    /// The documents service's origin, which is also its audience. Below it `v1/drafts` lists what it was
    /// given (`GET`, without sign-in).
    #[must_use]
    pub fn documents_url(&self) -> String {
        origin(self.ports.documents)
    }

    /// The key to ledgerbook, once, at the first start. Ledgerbook itself knows its digest only.
    #[must_use]
    pub fn take_ledgerbook_key(&self) -> Option<Secret<String>> {
        self.ledgerbook.take()
    }

    /// A new key in place of the old, for a vault that has none: a crash may have come between the
    /// making of the first and its keeping.
    ///
    /// # Errors
    /// [`DevkitError`]; the old key stays good then.
    pub fn rotate_ledgerbook_key(&self) -> Result<Secret<String>, DevkitError> {
        self.renew(&self.ledgerbook)
    }

    /// The scripted model's origin. It serves `chat/completions` there and below `/v1`.
    #[must_use]
    pub fn model_url(&self) -> String {
        origin(self.ports.model)
    }

    /// The key to the scripted model, once, at the first start.
    #[must_use]
    pub fn take_model_key(&self) -> Option<Secret<String>> {
        self.model.take()
    }

    /// A new key to the scripted model in place of the old.
    ///
    /// # Errors
    /// [`DevkitError`]; the old key stays good then.
    pub fn rotate_model_key(&self) -> Result<Secret<String>, DevkitError> {
        self.renew(&self.model)
    }

    /// The mail sink as a mail server, `smtp://127.0.0.1:PORT`.
    #[must_use]
    pub fn smtp_address(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.ports.smtp)
    }

    /// Where the mails received are listed (`GET`, without sign-in), as a JSON list.
    #[must_use]
    pub fn mail_url(&self) -> String {
        format!("{}/v1/mails", origin(self.ports.mail))
    }

    /// What the mail sink is signed in to with, `user:password`, once, at the first start.
    #[must_use]
    pub fn take_smtp_password(&self) -> Option<Secret<String>> {
        self.mail.take()
    }

    /// A new `user:password` in place of the old.
    ///
    /// # Errors
    /// [`DevkitError`]; the old one stays good then.
    pub fn rotate_smtp_password(&self) -> Result<Secret<String>, DevkitError> {
        self.renew(&self.mail)
    }

    /// Writes a note at the revenue of a region and product line, as somebody at the warehouse could;
    /// `None` takes it away. Gives whether there is such a row.
    ///
    /// # Errors
    /// [`DevkitError::Database`].
    pub fn write_note(
        &self,
        quarter: &str,
        region: &str,
        product: &str,
        note: Option<&str>,
    ) -> Result<bool, DevkitError> {
        warehouse::write_note(&self.warehouse, quarter, region, product, note)
    }

    /// Changes the day that a quarter's figures are of, `2026-10-10`. Gives whether there are any.
    ///
    /// # Errors
    /// [`DevkitError::Database`].
    pub fn date_figures(&self, quarter: &str, day: &str) -> Result<bool, DevkitError> {
        warehouse::date_figures(&self.warehouse, quarter, day)
    }

    /// Has a quarter's file hold another quarter's rows. Gives whether there is such a file.
    ///
    /// # Errors
    /// [`DevkitError::Database`].
    pub fn misfile(&self, quarter: &str, holds: &str) -> Result<bool, DevkitError> {
        warehouse::misfile(&self.warehouse, quarter, holds)
    }

    fn renew(&self, lock: &Lock) -> Result<Secret<String>, DevkitError> {
        credential::renew(&lock.db, &*self.entropy, lock.prefix)
    }

    /// Takes no more requests, and returns when those at hand are answered.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        for server in self.servers.drain(..) {
            // A server that panicked has ended, too.
            let _ = server.await;
        }
    }
}

impl Drop for Devkit {
    fn drop(&mut self) {
        for server in &self.servers {
            server.abort();
        }
    }
}

fn origin(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// The services, ready to be served.
struct Rooms {
    provider: axum::Router,
    warehouse: axum::Router,
    ledgerbook: axum::Router,
    reports: axum::Router,
    claims: axum::Router,
    documents: axum::Router,
    model: axum::Router,
    mail: axum::Router,
    sink: mail::Sink,
    warehouse_db: Db,
    ledgerbook_lock: Lock,
    model_lock: Lock,
    mail_lock: Lock,
}

impl Rooms {
    fn open(config: &DevkitConfig, folder: &Path, ports: Ports) -> Result<Self, DevkitError> {
        let warehouse_db = Db::open(&folder.join("warehouse.db"), warehouse::SCHEMA)?;
        let reports_db = Db::open(&folder.join("reports.db"), reports::SCHEMA)?;
        let locked = |name: &str, schema: &str| {
            Db::open(&folder.join(format!("{name}.db")), &format!("{}{schema}", credential::SCHEMA))
        };
        let ledgerbook_db = locked("ledgerbook", ledgerbook::SCHEMA)?;
        let model_db = locked("model", "")?;
        let mail_db = locked("mail", mail::SCHEMA)?;
        let entropy = &*config.entropy;
        let warehouse_guard = HopGuard::new(config, &origin(ports.warehouse), warehouse_db.clone())?;
        let reports_guard = HopGuard::new(config, &origin(ports.reports), reports_db.clone())?;
        Ok(Self {
            provider: provider::router(config, &origin(ports.provider), folder)?,
            warehouse: warehouse::router(
                warehouse_db.clone(),
                warehouse_guard,
                endpoint("warehouse.revenue.read", "warehouse.revenue")?,
                endpoint("warehouse.desks.read", "warehouse.desks")?,
            )?,
            ledgerbook: ledgerbook::router(ledgerbook_db.clone())?,
            reports: reports::router(
                reports_db,
                reports_guard,
                endpoint("report.publish", "report.publish")?,
                Arc::clone(&config.clock),
                config.report_faults,
            ),
            claims: claims(config, folder, &origin(ports.claims))?,
            documents: documents(config, folder, &origin(ports.documents))?,
            model: model::router(model_db.clone(), Arc::clone(&config.clock), config.model_faults.clone()),
            mail: mail::router(mail_db.clone()),
            sink: mail::Sink::new(mail_db.clone(), Arc::clone(&config.clock), config.mail_faults),
            warehouse_db,
            ledgerbook_lock: Lock::open(ledgerbook_db, entropy, ledgerbook::KEY)?,
            model_lock: Lock::open(model_db, entropy, model::KEY)?,
            mail_lock: Lock::open(mail_db, entropy, mail::LOGIN)?,
        })
    }
}

/// A service that keeps what it is given, and its database.
fn keeping(
    config: &DevkitConfig,
    folder: &Path,
    origin: &str,
    (name, schema): (&str, &str),
) -> Result<(Db, HopGuard), DevkitError> {
    let db = Db::open(&folder.join(format!("{name}.db")), &format!("{schema}{}", inbox::SCHEMA))?;
    let guard = HopGuard::new(config, origin, db.clone())?;
    Ok((db, guard))
}

fn claims(config: &DevkitConfig, folder: &Path, origin: &str) -> Result<axum::Router, DevkitError> {
    let (db, guard) = keeping(config, folder, origin, ("claims", claims::SCHEMA))?;
    let demands = claims::Demands {
        read: endpoint("claims.read", "claims.read")?,
        validate: endpoint("claims.validate", "claims.validate")?,
        note: endpoint("claims.note", "claims.note")?,
        pay: endpoint("claims.pay", "claims.pay")?,
    };
    claims::router(db, guard, demands, Arc::clone(&config.clock))
}

fn documents(config: &DevkitConfig, folder: &Path, origin: &str) -> Result<axum::Router, DevkitError> {
    let (db, guard) = keeping(config, folder, origin, ("documents", documents::SCHEMA))?;
    let (read, draft) =
        (endpoint("documents.read", "documents.read")?, endpoint("documents.draft", "documents.draft")?);
    documents::router(db, guard, read, draft, Arc::clone(&config.clock))
}

fn endpoint(scope: &str, function: &str) -> Result<Endpoint, DevkitError> {
    let invalid = |e: &dyn std::fmt::Display| DevkitError::Client(e.to_string());
    Ok(Endpoint {
        scope: Scope::new(scope).map_err(|e| invalid(&e))?,
        function: FunctionName::new(function).map_err(|e| invalid(&e))?,
    })
}
