//! Clients that start runs, one after the other, and write down what they were told.

use super::{House, INPUT, WORKER, http, process};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Between two starts of a client.
const PACE: Duration = Duration::from_millis(40);

/// How a start was answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// The run.
    Acknowledged(String),
    /// "Not now": the problem document, or what the command line said.
    TurnedAway(String),
    /// There was no answer, or half of one.
    Unanswered,
}

/// What clients were told, by the idempotency key of the start.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// These have a run.
    pub(crate) acknowledged: BTreeMap<String, String>,
    /// These have none.
    pub(crate) turned_away: BTreeMap<String, String>,
    /// These may have one.
    pub(crate) unanswered: BTreeSet<String>,
}

impl Told {
    fn note(&mut self, key: String, start: Start) {
        match start {
            Start::Acknowledged(run) => drop(self.acknowledged.insert(key, run)),
            Start::TurnedAway(why) => drop(self.turned_away.insert(key, why)),
            Start::Unanswered => drop(self.unanswered.insert(key)),
        }
    }

    /// Panics unless every acknowledged run is there, each for one key, and no start made two.
    pub(crate) fn holds_for(&self, runs: &BTreeMap<String, Value>) {
        for (key, run) in &self.acknowledged {
            assert!(runs.contains_key(run), "{run} of {key} was acknowledged and is lost");
        }
        let distinct: BTreeSet<&String> = self.acknowledged.values().collect();
        assert_eq!(distinct.len(), self.acknowledged.len(), "two keys, one run");
        let most = self.acknowledged.len() + self.unanswered.len();
        assert!(runs.len() <= most, "{} runs for {most} starts", runs.len());
    }
}

/// The clients of a house.
pub(crate) struct Load {
    url: String,
    name: &'static str,
    token: String,
    clients: usize,
    paused: AtomicBool,
    ended: AtomicBool,
    told: Mutex<Told>,
}

impl Load {
    /// So many clients, which rest until [`Load::during`]. Their idempotency keys begin with the name.
    pub(crate) fn new(house: &House, name: &'static str, clients: usize) -> Self {
        Self {
            url: house.url().to_owned(),
            name,
            token: house.token("finance-lead"),
            clients,
            paused: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            told: Mutex::default(),
        }
    }

    /// Has the clients work while `act` does; gives what they were told.
    pub(crate) fn during(&self, act: impl FnOnce()) -> Told {
        std::thread::scope(|scope| {
            for number in 0..self.clients {
                scope.spawn(move || self.client(number));
            }
            // The clients have to end even when it fails.
            let done = catch_unwind(AssertUnwindSafe(act));
            self.ended.store(true, Ordering::SeqCst);
            if let Err(panic) = done {
                resume_unwind(panic);
            }
        });
        std::mem::take(&mut self.told.lock().unwrap())
    }

    /// The clients rest.
    pub(crate) fn pause(&self) {
        self.paused.store(true, Ordering::SeqCst);
    }

    /// They go on.
    pub(crate) fn resume(&self) {
        self.paused.store(false, Ordering::SeqCst);
    }

    /// How many starts were answered so far: with a run, and with "not now".
    pub(crate) fn answered(&self) -> (usize, usize) {
        let told = self.told.lock().unwrap();
        (told.acknowledged.len(), told.turned_away.len())
    }

    /// Waits until so many more starts are acknowledged; panics when it takes longer than `patience`.
    pub(crate) fn gets_through(&self, starts: usize, patience: Duration) {
        let (begun, before) = (Instant::now(), self.answered().0);
        while self.answered().0 < before + starts {
            assert!(begun.elapsed() < patience, "too little load: {:?}", self.answered());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Client 0 is the command line, the others speak HTTP.
    fn client(&self, number: usize) {
        let mut count = 0;
        while !self.ended.load(Ordering::SeqCst) {
            if !self.paused.load(Ordering::SeqCst) {
                let key = format!("{}-{number}-{count}", self.name);
                let start = if number == 0 { self.start_by_cli(&key) } else { self.start(&key) };
                self.told.lock().unwrap().note(key, start);
                count += 1;
            }
            std::thread::sleep(PACE);
        }
    }

    fn start_by_cli(&self, key: &str) -> Start {
        let args =
            ["run", WORKER, "--purpose", "load", "--input", INPUT, "--idempotency-key", key, "--detach", "-o", "json"];
        let mut command = process::mandate();
        let ran = process::run(command.env("MANDATE_URL", &self.url).env("MANDATE_AS", "finance-lead").args(args));
        match ran.code {
            0 => Start::Acknowledged(ran.json()["run"].as_str().unwrap().to_owned()),
            7 if ran.stderr.contains("can't be reached") => Start::Unanswered,
            7 => Start::TurnedAway(ran.stderr),
            _ => panic!("a start ended otherwise: {ran:?}"),
        }
    }

    /// Starts a run over HTTP.
    pub(crate) fn start(&self, key: &str) -> Start {
        let input: Value = serde_json::from_str(INPUT).unwrap();
        let body = json!({"worker": WORKER, "purpose": "load", "input": input}).to_string();
        let authorization = format!("Bearer {}", self.token);
        let headers =
            [("authorization", authorization.as_str()), ("content-type", "application/json"), ("idempotency-key", key)];
        let Ok(reply) = http::send("POST", &format!("{}/v1/runs", self.url), &headers, Some(body.as_bytes())) else {
            return Start::Unanswered;
        };
        match reply.status {
            200 | 201 => Start::Acknowledged(reply.json()["run"].as_str().unwrap().to_owned()),
            503 => Start::TurnedAway(String::from_utf8_lossy(&reply.body).into_owned()),
            _ => panic!("a start was answered otherwise: {reply:?}"),
        }
    }
}
