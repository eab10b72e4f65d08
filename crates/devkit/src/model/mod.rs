//! The scripted model: the OpenAI chat-completions protocol, offline, and the same answer to the same
//! question. It drafts from what it is shown; it is honest and gullible.

mod author;
mod facts;
mod provider;
mod wire;

pub(crate) use provider::router;

/// What its one key begins with.
pub(crate) const KEY: &str = "sk-scripted-";
