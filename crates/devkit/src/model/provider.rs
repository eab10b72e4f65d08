//! The provider's side: the key, the question, the answer.
#![expect(
    clippy::indexing_slicing,
    reason = "an absent member of a JSON value reads as null; objects written to are made here"
)]

use super::wire::{Answered, Asked, endless, refuse};
use super::{author, facts::Facts};
use crate::ModelFault;
use crate::credential::fits;
use crate::db::Db;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::routing::post;
use mandate_kernel::{Clock, Digest};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// The one model there is.
const MODEL: &str = "scripted-1";

struct Provider {
    db: Db,
    clock: Arc<dyn Clock>,
    faults: Mutex<VecDeque<ModelFault>>,
}

/// The provider's routes.
pub(crate) fn router(db: Db, clock: Arc<dyn Clock>, faults: Vec<ModelFault>) -> Router {
    let provider = Arc::new(Provider { db, clock, faults: Mutex::new(faults.into()) });
    Router::new()
        .route("/chat/completions", post(complete))
        .route("/v1/chat/completions", post(complete))
        .with_state(provider)
}

async fn complete(State(provider): State<Arc<Provider>>, headers: HeaderMap, body: Bytes) -> Response {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let key = match (given.next(), given.next()) {
        (Some(one), None) => one.as_bytes().strip_prefix(b"Bearer ").map(Digest::of),
        _ => None,
    };
    let known = match key {
        Some(key) => provider.db.run(move |connection| fits(connection, key)).await,
        None => Ok(false),
    };
    match known {
        Ok(true) => {}
        Ok(false) => return refuse(StatusCode::UNAUTHORIZED, "invalid_api_key", "the API key is not known"),
        Err(_) => return refuse(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "the service is not available"),
    }
    let asked = match serde_json::from_slice::<Value>(&body) {
        Ok(asked) if asked["messages"].as_array().is_some_and(|messages| !messages.is_empty()) => asked,
        _ => return refuse(StatusCode::BAD_REQUEST, "invalid_body", "send a JSON object with `messages`"),
    };
    if asked["model"] != MODEL {
        return refuse(StatusCode::NOT_FOUND, "model_not_found", "the only model here is scripted-1");
    }
    let asked = Asked { digest: Digest::of(&body), created: provider.clock.now().as_secs(), body: asked };
    let fault = provider.faults.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    match fault {
        Some(ModelFault::Endless) => return endless(),
        Some(ModelFault::Unavailable) => {
            return refuse(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "failed on purpose");
        }
        Some(ModelFault::Slow(delay)) => tokio::time::sleep(delay).await,
        Some(fault) => {
            if let Some(answered) = Answered::of(&fault) {
                return asked.answer(&answered);
            }
        }
        None => {}
    }
    let draft = author::draft(&Facts::read(&asked.body));
    asked.answer(&Answered::bounded(draft, &asked.body))
}
