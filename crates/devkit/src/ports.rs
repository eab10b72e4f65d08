//! Ports: chosen by the system at the first start, remembered, taken again later.

use crate::{DevkitError, keep};
use serde::{Deserialize, Serialize};
use std::path::Path;
use tokio::net::TcpListener;

/// The ports of the house.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Ports {
    pub(crate) provider: u16,
    pub(crate) warehouse: u16,
    pub(crate) ledgerbook: u16,
    pub(crate) reports: u16,
    pub(crate) model: u16,
    pub(crate) smtp: u16,
    pub(crate) mail: u16,
    pub(crate) claims: u16,
    pub(crate) documents: u16,
}

/// The listeners of the house.
pub(crate) struct Listeners {
    pub(crate) provider: TcpListener,
    pub(crate) warehouse: TcpListener,
    pub(crate) ledgerbook: TcpListener,
    pub(crate) reports: TcpListener,
    pub(crate) model: TcpListener,
    pub(crate) smtp: TcpListener,
    pub(crate) mail: TcpListener,
    pub(crate) claims: TcpListener,
    pub(crate) documents: TcpListener,
    pub(crate) ports: Ports,
}

/// Listens on the remembered ports, or on new ones where those are taken, and remembers them.
pub(crate) async fn listen(file: &Path) -> Result<Listeners, DevkitError> {
    // A damaged file costs nothing but the old addresses.
    let old: Ports = keep::read(file)?.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let provider = bind(old.provider).await?;
    let warehouse = bind(old.warehouse).await?;
    let ledgerbook = bind(old.ledgerbook).await?;
    let reports = bind(old.reports).await?;
    let model = bind(old.model).await?;
    let smtp = bind(old.smtp).await?;
    let mail = bind(old.mail).await?;
    let claims = bind(old.claims).await?;
    let documents = bind(old.documents).await?;
    let ports = Ports {
        provider: port(&provider)?,
        warehouse: port(&warehouse)?,
        ledgerbook: port(&ledgerbook)?,
        reports: port(&reports)?,
        model: port(&model)?,
        smtp: port(&smtp)?,
        mail: port(&mail)?,
        claims: port(&claims)?,
        documents: port(&documents)?,
    };
    if ports != old {
        let text = serde_json::to_vec_pretty(&ports).map_err(|e| DevkitError::io("writing ports")(e.into()))?;
        keep::write(file, &text)?;
    }
    Ok(Listeners { provider, warehouse, ledgerbook, reports, model, smtp, mail, claims, documents, ports })
}

async fn bind(remembered: u16) -> Result<TcpListener, DevkitError> {
    if let Ok(listener) = TcpListener::bind(("127.0.0.1", remembered)).await {
        return Ok(listener);
    }
    TcpListener::bind(("127.0.0.1", 0)).await.map_err(DevkitError::io("listening on the loopback"))
}

fn port(listener: &TcpListener) -> Result<u16, DevkitError> {
    Ok(listener.local_addr().map_err(DevkitError::io("reading a port"))?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ports_are_remembered_and_replaced_when_taken() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ports.json");
        let first = listen(&file).await.unwrap();
        let ports = first.ports;
        drop(first);
        let second = listen(&file).await.unwrap();
        assert_eq!(second.ports, ports);
        let third = listen(&file).await.unwrap();
        assert_ne!(third.ports.provider, ports.provider);
        let remembered: Ports = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(remembered, third.ports);
        drop((second, third));
        std::fs::write(&file, "{").unwrap();
        listen(&file).await.unwrap();
    }
}
