//! From a function's definition to the effect that performs it.

use crate::EffectsError;
use crate::dial::Dialer;
use crate::grpc::GrpcEffect;
use crate::http::{CallEffect, HttpEffect, Transport};
use crate::local::{LocalEffect, LocalFunction};
use crate::mail::{MailEffect, Mailer};
use crate::messages::MessagesEffect;
use crate::model::{Model, ModelEffect, OpenAi};
use crate::review::ReviewEffect;
use mandate_directory::{CallTarget, ConnectionSpec, FunctionSpec, Protocol, Target};
use mandate_gate::Effect;
use mandate_kernel::{Entropy, Limits};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything that can be performed: HTTP, mails, questions to models, and the functions registered in
/// this process.
#[derive(Clone)]
pub struct Effects {
    limits: Limits,
    transport: Arc<Transport>,
    dialer: Arc<Dialer>,
    mailer: Arc<Mailer>,
    model: Arc<dyn Model>,
    local: BTreeMap<String, LocalFunction>,
}

impl Effects {
    /// Effects over HTTP with these limits; no local functions yet.
    ///
    /// # Errors
    /// [`EffectsError::Client`].
    pub fn new(limits: Limits) -> Result<Self, EffectsError> {
        Ok(Self {
            limits,
            transport: Arc::new(Transport::new(limits)?),
            dialer: Arc::default(),
            mailer: Arc::default(),
            model: Arc::new(OpenAi::new(limits)),
            local: BTreeMap::new(),
        })
    }

    /// Takes randomness from another source than the system's.
    ///
    /// # Errors
    /// [`EffectsError::Client`].
    pub fn with_entropy(mut self, entropy: Arc<dyn Entropy>) -> Result<Self, EffectsError> {
        self.transport = Arc::new(Transport::new(self.limits)?.with_entropy(entropy));
        Ok(self)
    }

    /// Asks models by other means than the OpenAI protocol.
    #[must_use]
    pub fn with_model(mut self, model: Arc<dyn Model>) -> Self {
        self.model = model;
        self
    }

    /// Registers a function of this process under the name that a `Function` says in `target.local`.
    #[must_use]
    pub fn with_local(mut self, name: impl Into<String>, function: LocalFunction) -> Self {
        self.local.insert(name.into(), function);
        self
    }

    /// The effect of a function at its connection. A function whose connection is not there gets an
    /// effect that prepares nothing and says so.
    #[must_use]
    pub fn effect_for(&self, function: &FunctionSpec, connection: Option<&ConnectionSpec>) -> Arc<dyn Effect> {
        match &function.target {
            Target::Http(template) => Arc::new(HttpEffect::new(
                function.clone(),
                template.clone(),
                connection.cloned(),
                Arc::clone(&self.transport),
            )),
            Target::Call(call) => self.call(function, call, connection),
            Target::Model(model) => Arc::new(ModelEffect::new(
                function.clone(),
                model.clone(),
                connection.cloned(),
                Arc::clone(&self.model),
                self.limits,
            )),
            Target::Mail(mail) => {
                Arc::new(MailEffect::new(function.clone(), mail.clone(), connection.cloned(), Arc::clone(&self.mailer)))
            }
            Target::Review(_) => Arc::new(ReviewEffect),
            Target::Local(local) => {
                Arc::new(LocalEffect::new(function.clone(), local.clone(), self.local.get(&local.name).cloned()))
            }
        }
    }

    /// A document's own call, by its protocol.
    fn call(&self, function: &FunctionSpec, call: &CallTarget, connection: Option<&ConnectionSpec>) -> Arc<dyn Effect> {
        let (function, call, connection) = (function.clone(), call.clone(), connection.cloned());
        let (transport, dialer) = (Arc::clone(&self.transport), Arc::clone(&self.dialer));
        match call.protocol {
            Protocol::Http | Protocol::Openapi => Arc::new(CallEffect::new(function, call, connection, transport)),
            Protocol::Asyncapi => {
                Arc::new(MessagesEffect { function, target: call, connection, transport, dialer, limits: self.limits })
            }
            Protocol::Grpc => Arc::new(GrpcEffect::new(function, call, connection, transport, dialer, self.limits)),
        }
    }

    /// Checks what a function pins: that its document or definition can be read.
    ///
    /// # Errors
    /// JSON pointer into the function's content, and what is wrong there.
    pub fn check(&self, function: &FunctionSpec) -> Result<(), (String, String)> {
        let Target::Call(call) = &function.target else { return Ok(()) };
        let Some(pinned) = &call.document else { return Ok(()) };
        let checked = match call.protocol {
            // The domain reads those of OpenAPI itself.
            Protocol::Http | Protocol::Openapi => Ok(()),
            Protocol::Asyncapi => crate::messages::check(&pinned.content),
            Protocol::Grpc => match pinned.content.as_str() {
                Some(source) => crate::grpc::compile(source).map(drop),
                None => Err("the definition is the text of a `.proto` file".to_owned()),
            },
        };
        checked.map_err(|why| ("/target/call/document/content".to_owned(), why))
    }
}
