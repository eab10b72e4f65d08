//! Several real `mandate serve` processes on one real PostgreSQL: runs are shared out, and none is lost or driven
//! twice whatever ends.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests")]

mod house;
#[path = "../../store/tests/postgres/server.rs"]
#[allow(dead_code, clippy::expect_used, reason = "each test file uses a part of it")]
mod server;

#[path = "nodes/across.rs"]
mod across;
#[path = "nodes/cicd.rs"]
mod cicd;
#[path = "nodes/clients.rs"]
mod clients;
#[path = "nodes/cluster.rs"]
mod cluster;
#[path = "nodes/loss.rs"]
mod loss;
#[path = "nodes/receiver.rs"]
mod receiver;
#[path = "nodes/rolling.rs"]
mod rolling;
#[path = "product/receiver.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod system;
