//! From a function's definition to the effect that performs it.

use crate::EffectsError;
use crate::http::{CallEffect, HttpEffect, Transport};
use crate::local::{LocalEffect, LocalFunction};
use crate::mail::{MailEffect, Mailer};
use crate::model::{Model, ModelEffect, OpenAi};
use crate::review::ReviewEffect;
use mandate_directory::{ConnectionSpec, FunctionSpec, Target};
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
            Target::Call(call) => Arc::new(CallEffect::new(
                function.clone(),
                call.clone(),
                connection.cloned(),
                Arc::clone(&self.transport),
            )),
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
}
