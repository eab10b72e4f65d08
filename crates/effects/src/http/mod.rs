//! Effects over HTTP.

mod failure;
mod reply;
mod template;
mod transport;

pub(crate) use transport::Transport;

use async_trait::async_trait;
use mandate_directory::{ConnectionSpec, FunctionSpec, HttpTemplate};
use mandate_gate::{Call, Credentials, Effect, EffectFailure, PrepareError, Prepared, Reply, Request, Slot, Spent};
use std::{sync::Arc, time::Duration};
use template::Fault;
use transport::Outgoing;

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
            .map(|slot| {
                let name = slot.header(endpoint.audience.is_some())?;
                Ok(Slot::Header { name, prefix: slot.prefix.clone() })
            })
            .transpose()
            .map_err(|why: String| fault(Fault::Definition(why)))?;
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

#[cfg(test)]
mod prepare_tests;
#[cfg(test)]
mod send_tests;
