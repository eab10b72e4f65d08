//! The mail sink: a mail server that keeps what it is given and sends nothing on.

mod mailbox;
mod smtp;
mod talk;

pub(crate) use mailbox::{SCHEMA, router};
pub(crate) use smtp::{Sink, spawn};

/// What the one credential begins with: the user, and the start of the password.
pub(crate) const LOGIN: &str = "mandate:smtp_";
