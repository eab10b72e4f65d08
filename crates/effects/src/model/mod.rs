//! Questions to a language model. The model decides nothing: what it is asked was judged, it has no
//! tools, and what it answers is data that fits a schema.

mod answer;
mod openai;
mod pipe;
mod question;

pub(crate) use openai::OpenAi;

use crate::http::header_slot;
use crate::reach;
use async_trait::async_trait;
use mandate_directory::{ConnectionSpec, FunctionSpec, ModelTarget};
use mandate_gate::{Call, Credentials, Effect, EffectFailure, PrepareError, Prepared, Reply, Request, Slot, Spent};
use mandate_identity::CanonicalUrl;
use mandate_kernel::{Limits, Secret, crash};
use serde_json::Value;
use std::{sync::Arc, time::Duration};

/// One question, as it was judged, with what opens the door.
pub struct Question<'a> {
    /// Where it is sent.
    pub url: &'a CanonicalUrl,
    /// The body of an OpenAI chat completion. What is sent is equal to it as JSON.
    pub body: &'a Value,
    /// Name and value of the header that holds the leased credential.
    pub credential: Option<(String, Secret<String>)>,
    /// How long the whole exchange may take.
    pub timeout: Duration,
}

/// Asks a language model: the port behind which the library that speaks the provider's protocol stands.
#[async_trait]
pub trait Model: Send + Sync {
    /// Sends the question once and reads the provider's whole answer, an OpenAI chat completion, within
    /// bounds. No retry, no redirect, no tool.
    ///
    /// # Errors
    /// [`EffectFailure`]: never [`EffectFailure::Unknown`], because asking changes nothing; no detail
    /// repeats a word of the model.
    async fn ask(&self, question: Question<'_>) -> Result<Value, EffectFailure>;
}

/// One model function at its connection.
pub(crate) struct ModelEffect {
    function: FunctionSpec,
    target: ModelTarget,
    connection: Option<ConnectionSpec>,
    model: Arc<dyn Model>,
    limits: Limits,
}

impl ModelEffect {
    pub(crate) const fn new(
        function: FunctionSpec,
        target: ModelTarget,
        connection: Option<ConnectionSpec>,
        model: Arc<dyn Model>,
        limits: Limits,
    ) -> Self {
        Self { function, target, connection, model, limits }
    }

    async fn run(
        &self,
        request: &Request,
        slot: Option<&Slot>,
        leased: Option<Secret<String>>,
    ) -> Result<Reply, EffectFailure> {
        let definite = |detail: &str| EffectFailure::Definite { status: 500, detail: detail.to_owned() };
        let Request::Model { url, body, .. } = request else {
            return Err(definite("the permit is for another kind of effect"));
        };
        let body: Value = serde_json::from_slice(body).map_err(|_| definite("the question is not JSON"))?;
        let credential = match (slot, &leased) {
            (None, None) => None,
            (Some(Slot::Header { name, prefix }), Some(secret)) => {
                Some((name.clone(), Secret::new(format!("{prefix}{}", secret.expose()))))
            }
            _ => return Err(definite("a slot without a leased credential, or a credential without a slot")),
        };
        let timeout = Duration::from_millis(self.function.timeout_ms.max(1));
        crash::point("effects.before-send");
        let answered = self.model.ask(Question { url, body: &body, credential, timeout }).await;
        crash::point("effects.after-reply");
        let secrets: Vec<&str> = leased.iter().map(|secret| secret.expose().as_str()).collect();
        answer::read(&answered?, &body, &self.limits, &secrets)
    }
}

#[async_trait]
impl Effect for ModelEffect {
    fn prepare(&self, call: &Call) -> Result<Prepared, PrepareError> {
        let (connection, endpoint) = reach::endpoint(self.connection.as_ref(), call)?;
        let definition = |why: String| PrepareError::Definition { function: call.function.clone(), why };
        let arguments = |why: String| PrepareError::Arguments { function: call.function.clone(), why };
        let url = question::url(endpoint).map_err(definition)?;
        let slot = connection.slot.as_ref().map(|slot| header_slot(slot, false)).transpose().map_err(definition)?;
        let given = question::arguments(&call.arguments, &self.limits).map_err(arguments)?;
        self.function.check_narrowed(given.all).map_err(arguments)?;
        let body = question::body(&self.target, &given, &self.limits).map_err(arguments)?;
        Ok(Prepared {
            destination: url.origin().to_owned(),
            request: Request::Model { url, model: self.target.model.clone(), body },
            audience: None,
            slot,
        })
    }

    async fn perform(&self, spent: &Spent, credentials: Credentials) -> Result<Reply, EffectFailure> {
        let prepared = spent.prepared();
        self.run(&prepared.request, prepared.slot.as_ref(), credentials.leased).await
    }
}

#[cfg(test)]
mod ask_tests;
#[cfg(test)]
mod prepare_tests;
