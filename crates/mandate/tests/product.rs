//! The product as others meet it: the contract, abuse, canaries and bad input, through the running
//! server, with the real command line.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests")]

mod house;
#[path = "../../store/tests/postgres/server.rs"]
#[allow(dead_code, clippy::expect_used, reason = "each test file uses a part of it")]
mod server;

#[path = "product/abuse.rs"]
mod abuse;
#[path = "product/attacks.rs"]
mod attacks;
#[path = "product/authentication.rs"]
mod authentication;
#[path = "product/backup.rs"]
mod backup;
#[path = "product/bad_input.rs"]
mod bad_input;
#[path = "product/boundary.rs"]
mod boundary;
#[path = "product/browser.rs"]
mod browser;
#[path = "product/canaries.rs"]
mod canaries;
#[path = "product/contract.rs"]
mod contract;
#[path = "product/damaged.rs"]
mod damaged;
#[path = "product/door.rs"]
mod door;
#[path = "product/events.rs"]
mod events;
#[path = "product/evidence.rs"]
mod evidence;
#[path = "product/expressions.rs"]
mod expressions;
#[path = "product/foreign.rs"]
mod foreign;
#[path = "product/forensics.rs"]
mod forensics;
#[path = "product/grants.rs"]
mod grants;
#[path = "conformance/guarded.rs"]
mod guarded;
#[path = "product/init.rs"]
mod init;
#[path = "product/lateral.rs"]
mod lateral;
#[path = "conformance/live.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod live;
#[path = "product/login.rs"]
mod login;
#[path = "product/postgres.rs"]
mod postgres;
#[path = "product/protocols.rs"]
mod protocols;
#[path = "product/receiver.rs"]
mod receiver;
#[path = "product/rollback.rs"]
mod rollback;
#[path = "product/rows.rs"]
mod rows;
#[path = "product/samples.rs"]
mod samples;
#[path = "product/schedules.rs"]
mod schedules;
#[path = "product/serve.rs"]
mod serve;
#[path = "product/sessions.rs"]
mod sessions;
#[path = "product/shares.rs"]
mod shares;
#[path = "product/sign_in.rs"]
mod sign_in;
#[path = "product/story.rs"]
mod story;
#[path = "product/strict.rs"]
mod strict;
#[path = "product/supplied.rs"]
mod supplied;
#[path = "product/surface.rs"]
mod surface;
#[path = "product/tampered.rs"]
mod tampered;
#[path = "product/telemetry.rs"]
mod telemetry;
#[path = "product/tls.rs"]
mod tls;
#[path = "product/tokens.rs"]
mod tokens;
#[path = "product/upgrade.rs"]
mod upgrade;
#[path = "product/withheld.rs"]
mod withheld;
#[path = "product/world.rs"]
mod world;
