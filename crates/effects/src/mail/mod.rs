//! Mail: one message to one recipient, handed to a mail server once.

mod message;
mod send;
mod starttls;
mod wire;

pub(crate) use send::Mailer;

use crate::reach;
use async_trait::async_trait;
use mandate_directory::{ConnectionSpec, FunctionSpec, MailAddress, MailTarget, SlotSpec};
use mandate_gate::{Call, Credentials, Effect, EffectFailure, PrepareError, Prepared, Reply, Request, Slot, Spent};
use send::Outgoing;
use std::{sync::Arc, time::Duration};

/// One mail function at its connection.
pub(crate) struct MailEffect {
    function: FunctionSpec,
    target: MailTarget,
    connection: Option<ConnectionSpec>,
    mailer: Arc<Mailer>,
}

impl MailEffect {
    pub(crate) const fn new(
        function: FunctionSpec,
        target: MailTarget,
        connection: Option<ConnectionSpec>,
        mailer: Arc<Mailer>,
    ) -> Self {
        Self { function, target, connection, mailer }
    }
}

#[async_trait]
impl Effect for MailEffect {
    fn prepare(&self, call: &Call) -> Result<Prepared, PrepareError> {
        let (connection, endpoint) = reach::endpoint(self.connection.as_ref(), call)?;
        let definition = |why: String| PrepareError::Definition { function: call.function.clone(), why };
        let arguments = |why: String| PrepareError::Arguments { function: call.function.clone(), why };
        let server = endpoint.mail_server().map_err(definition)?;
        if !matches!(connection.slot, Some(SlotSpec::Smtp(_))) {
            return Err(definition("its connection has no slot `smtp: auth`, and no mail is sent without".to_owned()));
        }
        let given = message::arguments(&call.arguments).map_err(arguments)?;
        self.function.check_narrowed(given.all).map_err(arguments)?;
        let to = MailAddress::new(given.to).map_err(|why| arguments(format!("argument `to` {why}")))?;
        Ok(Prepared {
            destination: to.destination(),
            request: Request::Mail {
                server: server.url(),
                from: self.target.from.to_string(),
                to: to.to_string(),
                subject: given.subject.to_owned(),
                body: given.body.to_owned(),
                message_id: format!("{}@{}", call.step.idempotency_key(), self.target.from.domain()),
                date: message::date(&call.step.run),
            },
            audience: None,
            slot: Some(Slot::SmtpAuth),
        })
    }

    async fn perform(&self, spent: &Spent, credentials: Credentials) -> Result<Reply, EffectFailure> {
        let outgoing = Outgoing {
            function: &spent.facts().function,
            request: &spent.prepared().request,
            secret: credentials.leased,
            timeout: Duration::from_millis(self.function.timeout_ms.max(1)),
        };
        self.mailer.send(outgoing).await
    }
}

#[cfg(test)]
mod prepare_tests;
#[cfg(test)]
mod send_tests;
#[cfg(test)]
mod server;
