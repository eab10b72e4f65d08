//! Effects over HTTP.

mod call;
pub(crate) mod failure;
mod reply;
mod template;
mod transport;

pub(crate) use call::CallEffect;
pub(crate) use reply::{Answer, Output, echoes, parse};
pub(crate) use template::percent_encoded as encoded;
pub(crate) use template::{base, checked_url, wire_url};
pub(crate) use transport::{Outgoing, Transport};

use crate::reach;
use async_trait::async_trait;
use mandate_directory::{ConnectionSpec, FunctionSpec, HttpTemplate, SlotSpec};
use mandate_gate::{Call, Credentials, Effect, EffectFailure, PrepareError, Prepared, Reply, Request, Slot, Spent};
use std::{sync::Arc, time::Duration};
use template::Fault;

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
        let (connection, endpoint) = reach::endpoint(self.connection.as_ref(), call)?;
        let fault = |fault: Fault| fault.of(&call.function);
        let request = template::request(&self.function, &self.template, endpoint, call).map_err(fault)?;
        let slot = connection
            .slot
            .as_ref()
            .map(|slot| header_slot(slot, endpoint.audience.is_some()))
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
                exchange: None,
                listens: None,
                answer: Answer::Json,
                takes_redirects: false,
            })
            .await
    }
}

/// The header that a credential goes into.
pub(crate) fn header_slot(slot: &SlotSpec, takes_token: bool) -> Result<Slot, String> {
    match slot {
        SlotSpec::Header(header) => Ok(Slot::Header { name: header.name(takes_token)?, prefix: header.prefix.clone() }),
        SlotSpec::Policy(_) => Err("its connection takes what a document's own call says; name a `header`".to_owned()),
        SlotSpec::Smtp(_) => Err("its connection has a mail server's slot, `smtp: auth`; name a `header`".to_owned()),
    }
}

#[cfg(test)]
mod prepare_tests;
#[cfg(test)]
mod send_tests;
