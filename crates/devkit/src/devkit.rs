//! The house as a whole: opened, asked for its addresses, closed.

use crate::db::Db;
use crate::hop::{Endpoint, HopGuard};
use crate::ports::Ports;
use crate::{DevkitConfig, DevkitError, keep, ledgerbook, ports, provider, reports, server, warehouse};
use mandate_identity::Scope;
use mandate_kernel::{Entropy, FunctionName, Secret};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The running development house. Dropping it ends its servers.
pub struct Devkit {
    ports: Ports,
    ledgerbook: Db,
    ledgerbook_key: Mutex<Option<Secret<String>>>,
    entropy: Arc<dyn Entropy>,
    stop: watch::Sender<bool>,
    servers: Vec<JoinHandle<()>>,
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
        ];
        Ok(Self {
            ports,
            ledgerbook: rooms.ledgerbook_db,
            ledgerbook_key: Mutex::new(rooms.ledgerbook_key),
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

    /// The key to ledgerbook, once, at the first start. Ledgerbook itself knows its digest only.
    #[must_use]
    pub fn take_ledgerbook_key(&self) -> Option<Secret<String>> {
        self.ledgerbook_key.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// A new key in place of the old, for a vault that has none: a crash may have come between the
    /// making of the first and its keeping.
    ///
    /// # Errors
    /// [`DevkitError`]; the old key stays good then.
    pub fn rotate_ledgerbook_key(&self) -> Result<Secret<String>, DevkitError> {
        ledgerbook::new_key(&self.ledgerbook, &*self.entropy)
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
    ledgerbook_db: Db,
    ledgerbook_key: Option<Secret<String>>,
}

impl Rooms {
    fn open(config: &DevkitConfig, folder: &Path, ports: Ports) -> Result<Self, DevkitError> {
        let warehouse_db = Db::open(&folder.join("warehouse.db"), warehouse::SCHEMA)?;
        let reports_db = Db::open(&folder.join("reports.db"), reports::SCHEMA)?;
        let ledgerbook_db = Db::open(&folder.join("ledgerbook.db"), ledgerbook::SCHEMA)?;
        let warehouse_guard = HopGuard::new(config, &origin(ports.warehouse), warehouse_db.clone())?;
        let reports_guard = HopGuard::new(config, &origin(ports.reports), reports_db.clone())?;
        let ledgerbook_key = match ledgerbook::has_key(&ledgerbook_db)? {
            true => None,
            false => Some(ledgerbook::new_key(&ledgerbook_db, &*config.entropy)?),
        };
        Ok(Self {
            provider: provider::router(config, &origin(ports.provider), folder)?,
            warehouse: warehouse::router(
                warehouse_db,
                warehouse_guard,
                endpoint("warehouse.revenue.read", "warehouse.revenue")?,
            )?,
            ledgerbook: ledgerbook::router(ledgerbook_db.clone())?,
            reports: reports::router(
                reports_db,
                reports_guard,
                endpoint("report.publish", "report.publish")?,
                Arc::clone(&config.clock),
                config.report_faults,
            ),
            ledgerbook_db,
            ledgerbook_key,
        })
    }
}

fn endpoint(scope: &str, function: &str) -> Result<Endpoint, DevkitError> {
    let invalid = |e: &dyn std::fmt::Display| DevkitError::Client(e.to_string());
    Ok(Endpoint {
        scope: Scope::new(scope).map_err(|e| invalid(&e))?,
        function: FunctionName::new(function).map_err(|e| invalid(&e))?,
    })
}
