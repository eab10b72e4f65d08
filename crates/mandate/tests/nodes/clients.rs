//! Clients that start runs at whichever node answers, and write down what they were told.

use super::cluster::Cluster;
use crate::house::http;
use serde_json::json;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Between two starts of a client.
const PACE: Duration = Duration::from_millis(60);

/// The clients.
pub(crate) struct Clients {
    urls: Vec<String>,
    authorization: String,
    ended: AtomicBool,
    /// The run of each idempotency key.
    told: Mutex<BTreeMap<String, String>>,
    /// Starts that a node refused because it was being stopped.
    turned_away: Mutex<usize>,
}

impl Clients {
    pub(crate) fn new(cluster: &Cluster) -> Self {
        Self {
            urls: (0..cluster.len()).map(|node| cluster.url(node)).collect(),
            authorization: format!("Bearer {}", cluster.token("bob", "staff")),
            ended: AtomicBool::new(false),
            told: Mutex::default(),
            turned_away: Mutex::default(),
        }
    }

    /// Has so many of them work while `act` does. Gives the run of each key that was acknowledged, and how many
    /// starts were turned away.
    pub(crate) fn during(self, count: usize, act: impl FnOnce(&Self)) -> (BTreeMap<String, String>, usize) {
        std::thread::scope(|scope| {
            for number in 0..count {
                let clients = &self;
                scope.spawn(move || clients.client(number));
            }
            // They have to end even when it fails.
            let done = catch_unwind(AssertUnwindSafe(|| act(&self)));
            self.ended.store(true, Ordering::SeqCst);
            if let Err(panic) = done {
                resume_unwind(panic);
            }
        });
        (self.told.into_inner().unwrap(), self.turned_away.into_inner().unwrap())
    }

    /// Waits until so many more starts are acknowledged.
    pub(crate) fn get_through(&self, starts: usize) {
        let count = || self.told.lock().unwrap().len();
        let (begun, before) = (Instant::now(), count());
        while count() < before + starts {
            assert!(begun.elapsed() < Duration::from_secs(60), "too little load");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// One client: what a node does not answer, it asks of the next, with the same key.
    fn client(&self, number: usize) {
        let (mut count, mut node) = (0, number);
        while !self.ended.load(Ordering::SeqCst) {
            let key = format!("client-{number}-{count}");
            node += 1;
            if let Some(run) = self.start(node % self.urls.len(), &key) {
                self.told.lock().unwrap().insert(key, run);
                count += 1;
            }
            std::thread::sleep(PACE);
        }
    }

    fn start(&self, node: usize, key: &str) -> Option<String> {
        let body = json!({"worker": "finance/three", "purpose": "load", "input": {}}).to_string();
        let headers = [
            ("authorization", self.authorization.as_str()),
            ("content-type", "application/json"),
            ("idempotency-key", key),
        ];
        let reply =
            http::send("POST", &format!("{}/v1/runs", self.urls[node]), &headers, Some(body.as_bytes())).ok()?;
        match reply.status {
            201 => Some(reply.json()["run"].as_str().unwrap().to_owned()),
            503 => {
                let problem = reply.json();
                if problem["type"] == "https://mandate.dev/problems/draining" {
                    assert!(reply.header("retry-after").is_some(), "{reply:?}");
                    *self.turned_away.lock().unwrap() += 1;
                }
                None
            }
            _ => panic!("{reply:?} {}", String::from_utf8_lossy(&reply.body)),
        }
    }
}
