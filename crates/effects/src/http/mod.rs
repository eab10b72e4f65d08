//! Effects over HTTP.

mod failure;
mod reply;
mod template;
mod transport;

pub(crate) use transport::Transport;

use async_trait::async_trait;
use mandate_directory::{ConnectionSpec, FunctionSpec, HttpTemplate, SlotSpec};
use mandate_gate::{Call, Credentials, Effect, EffectFailure, PrepareError, Prepared, Reply, Request, Slot, Spent};
use std::{sync::Arc, time::Duration};
use template::Fault;
use transport::Outgoing;

/// Headers that a credential slot may not name: they frame the message, or are ours to set.
const RESERVED: &[&str] = &[
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "dpop",
    "expect",
    "host",
    "idempotency-key",
    "te",
    "trailer",
    "transfer-encoding",
    "txn-token",
    "upgrade",
    "user-agent",
];

/// One function at its connection.
pub(crate) struct HttpEffect {
    function: FunctionSpec,
    template: HttpTemplate,
    connection: Option<ConnectionSpec>,
    transport: Arc<Transport>,
}

impl HttpEffect {
    pub(crate) const fn new(
        function: FunctionSpec,
        template: HttpTemplate,
        connection: Option<ConnectionSpec>,
        transport: Arc<Transport>,
    ) -> Self {
        Self { function, template, connection, transport }
    }
}

#[async_trait]
impl Effect for HttpEffect {
    fn prepare(&self, call: &Call) -> Result<Prepared, PrepareError> {
        let connection = self.connection.as_ref();
        let (Some(connection), Some(endpoint)) =
            (connection, connection.and_then(|c| c.environments.get(&call.environment)))
        else {
            return Err(PrepareError::NoDestination {
                function: call.function.clone(),
                environment: call.environment.clone(),
            });
        };
        let fault = |fault: Fault| fault.of(&call.function);
        let request = template::request(&self.function, &self.template, endpoint, call).map_err(fault)?;
        let slot = connection
            .slot
            .as_ref()
            .map(|slot| checked_slot(slot, endpoint.audience.is_some()))
            .transpose()
            .map_err(|why| fault(Fault::Definition(why)))?;
        Ok(Prepared {
            destination: request.url().origin().to_owned(),
            request: Request::Http(request),
            audience: endpoint.audience.clone(),
            slot,
        })
    }

    async fn perform(&self, spent: &Spent, credentials: Credentials) -> Result<Reply, EffectFailure> {
        let (facts, prepared) = (spent.facts(), spent.prepared());
        let Request::Http(request) = &prepared.request else {
            return Err(EffectFailure::Definite {
                status: 500,
                detail: "the permit is for another kind of effect".to_owned(),
            });
        };
        self.transport
            .send(Outgoing {
                function: &facts.function,
                effect: facts.effect,
                request,
                slot: prepared.slot.as_ref(),
                takes_envelope: self.connection.as_ref().is_some_and(|connection| connection.envelope),
                timeout: Duration::from_millis(self.function.timeout_ms.max(1)),
                credentials,
            })
            .await
    }
}

/// The slot, if its header is one that a credential may go into.
fn checked_slot(slot: &SlotSpec, takes_token: bool) -> Result<Slot, String> {
    let name = slot.header.to_ascii_lowercase();
    let reserved = RESERVED.contains(&name.as_str()) || (takes_token && name == "authorization");
    if reserved {
        return Err(format!("its connection puts a credential into header `{name}`, which is set by other means"));
    }
    if reqwest::header::HeaderName::from_bytes(name.as_bytes()).is_err() {
        return Err("its connection puts a credential into a header whose name is not valid".to_owned());
    }
    if !slot.prefix.bytes().all(|b| matches!(b, 0x20..=0x7e)) {
        return Err("its connection's slot has a prefix with characters that no header can hold".to_owned());
    }
    Ok(Slot::Header { name, prefix: slot.prefix.clone() })
}

#[cfg(test)]
mod prepare_tests;
#[cfg(test)]
mod send_tests;
