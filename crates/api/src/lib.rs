//! HTTP: the only way in. Every request is authenticated, judged by the gate, and answered with a
//! resource or a problem (RFC 9457).
//!
//! Controllers are thin: they read a request, ask [`Engine::authorize`](mandate_engine::Engine), call
//! the engine or [`admin`], and write an answer. The router is built from one table of endpoints, each
//! with the action it asks for, which the golden permission table prints.

#![expect(clippy::result_large_err, reason = "a problem is the answer itself; it is made once for a request")]

pub mod admin;
mod auth;
mod body;
mod conditional;
mod console;
mod cursor;
mod endpoints;
mod handlers;
mod login;
mod measure;
mod observe;
mod openapi;
mod problem;
mod problem_types;
mod session;
mod state;
mod streams;
mod throttle;
mod view;

pub use endpoints::{Endpoint, endpoint_table, router};
pub use login::{AuthorizationRequest, Destination, Offer, Redeemed, Redemption, SignIn, SignInError};
pub use openapi::{openapi_document, undescribed};
pub use problem::Problem;
pub use problem_types::PROBLEM_TYPES;
pub use session::{Door, DoorConfig, SessionSource};
pub use state::{ApiState, Providers};
pub use streams::Streams;
pub use throttle::{Rate, ThrottleConfig};
