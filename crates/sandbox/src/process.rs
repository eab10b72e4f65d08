//! One child, from its parent's side.

use super::{
    child, frame,
    limits::Limits,
    pool::{Outcome, Program},
};
use std::{os::unix::process::ExitStatusExt as _, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child as Process, ChildStdin, ChildStdout, Command},
    time::{Instant, timeout, timeout_at},
};

/// How long a child may take to start; a busy machine takes its time.
const START: Duration = Duration::from_secs(20);
/// How long a child that closed its pipe may take to end.
const END: Duration = Duration::from_secs(1);
/// Bytes of last words that are looked at.
const LAST_WORDS: u64 = 4 << 10;
/// Evaluations of one child.
const EVALUATIONS: u32 = 500;

/// A child that is confined and waits for requests.
#[derive(Debug)]
pub(crate) struct Child {
    process: Process,
    requests: ChildStdin,
    answers: ChildStdout,
    evaluations: u32,
    spent: Duration,
}

impl Child {
    /// Starts one and waits until it is confined.
    pub(crate) async fn start(program: &Program, limits: &Limits) -> Result<Self, String> {
        let mut command = Command::new(&program.path);
        command
            .args(&program.arguments)
            .args(child::arguments(limits))
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A signal for the parent's terminal is not for it.
            .process_group(0)
            .kill_on_drop(true);
        let mut process = command.spawn().map_err(|error| format!("it can't be started: {error}"))?;
        let (Some(requests), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            return Err("it was started without pipes".to_owned());
        };
        let mut child = Self { process, requests, answers, evaluations: 0, spent: Duration::ZERO };
        match timeout(START, child.read(0)).await {
            Ok(Ok(_)) => Ok(child),
            Ok(Err(_)) => match timeout(END, child.process.wait()).await {
                Ok(Ok(status)) => Err(format!("it could not be confined ({status})")),
                _ => Err("it said something else than that it is ready".to_owned()),
            },
            Err(_) => Err("it was not ready in time".to_owned()),
        }
    }

    /// Whether it is still there, and may be asked again.
    pub(crate) fn is_usable(&mut self, limits: &Limits) -> bool {
        self.evaluations < EVALUATIONS && self.spent < limits.lifetime() && matches!(self.process.try_wait(), Ok(None))
    }

    /// Asks it. After an error it must not be asked again.
    pub(crate) async fn ask(&mut self, request: &[u8], expressions: usize, limits: &Limits) -> Outcome {
        let begun = Instant::now();
        let answered = timeout_at(begun + limits.time(), self.exchange(request)).await;
        self.evaluations += 1;
        self.spent += begun.elapsed();
        match answered {
            Err(_) => Outcome::Limit("time"),
            Ok(Ok(body)) => frame::parse_answer(&body, expressions).map_or(Outcome::Broken, Outcome::Answered),
            Ok(Err(Broken::TooLong)) => Outcome::Broken,
            Ok(Err(Broken::Gone)) => self.how_it_ended().await,
        }
    }

    async fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>, Broken> {
        let head = frame::head(request, frame::REQUEST).ok_or(Broken::TooLong)?;
        // A child may end before it has read everything; what it said then is read all the same.
        let _ = self.requests.write_all(&head).await;
        let _ = self.requests.write_all(request).await;
        self.read(frame::ANSWER).await
    }

    async fn read(&mut self, most: usize) -> Result<Vec<u8>, Broken> {
        let mut head = [0; 4];
        self.answers.read_exact(&mut head).await.map_err(|_| Broken::Gone)?;
        let length = frame::length(head, most).ok_or(Broken::TooLong)?;
        let mut body = Vec::new();
        (&mut self.answers).take(length as u64).read_to_end(&mut body).await.map_err(|_| Broken::Gone)?;
        if body.len() == length { Ok(body) } else { Err(Broken::Gone) }
    }

    async fn how_it_ended(&mut self) -> Outcome {
        let mut words = Vec::new();
        if let Some(stderr) = self.process.stderr.take() {
            // What can't be read tells nothing.
            let _ = timeout(END, stderr.take(LAST_WORDS).read_to_end(&mut words)).await;
        }
        let signal = match timeout(END, self.process.wait()).await {
            Ok(Ok(status)) => status.signal(),
            _ => None,
        };
        child::limit_met(signal, &String::from_utf8_lossy(&words)).map_or(Outcome::Broken, Outcome::Limit)
    }

    /// Ends it, whatever it does.
    pub(crate) async fn end(mut self) {
        // It may have ended by itself; nothing is left to do then.
        let _ = self.process.kill().await;
    }
}

enum Broken {
    /// The pipe is closed.
    Gone,
    /// A frame longer than it may be.
    TooLong,
}
