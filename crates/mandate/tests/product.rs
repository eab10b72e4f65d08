//! The product as others meet it: the contract, abuse, canaries and bad input, through the running
//! server, with the real command line.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests")]

mod house;

#[path = "product/abuse.rs"]
mod abuse;
#[path = "product/attacks.rs"]
mod attacks;
#[path = "product/bad_input.rs"]
mod bad_input;
#[path = "product/boundary.rs"]
mod boundary;
#[path = "product/canaries.rs"]
mod canaries;
#[path = "product/contract.rs"]
mod contract;
#[path = "product/evidence.rs"]
mod evidence;
#[path = "product/foreign.rs"]
mod foreign;
#[path = "product/grants.rs"]
mod grants;
#[path = "product/lateral.rs"]
mod lateral;
#[path = "product/receiver.rs"]
mod receiver;
#[path = "product/serve.rs"]
mod serve;
#[path = "product/tokens.rs"]
mod tokens;
#[path = "product/world.rs"]
mod world;
