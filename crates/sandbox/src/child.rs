//! The child: a process that reads requests, evaluates them and answers, until its parent closes the pipe or
//! kills it.

use super::{confine, frame, limits::Limits};
use mandate_flow::{Interpreter, Job};
use std::{
    io::{self, Read, Write},
    process::ExitCode,
};

/// The stack on which expressions are evaluated: deep enough for any that recurses in good faith.
const STACK: usize = 64 << 20;
/// It could not be confined, so it evaluates nothing.
const UNCONFINED: u8 = 70;
/// It failed inside; what it was asked has no answer.
const FAILED: u8 = 71;

/// The arguments by which a child is told its limits, in the order of [`serve`].
#[must_use]
pub fn arguments(limits: &Limits) -> [String; 2] {
    [limits.memory().to_string(), limits.processor().to_string()]
}

/// The whole life of a child: `memory` bytes beyond what it starts with, `processor` seconds in all. It reads
/// requests from stdin and answers on stdout. The process must have done nothing before, and do nothing after.
#[must_use]
pub fn serve(memory: u64, processor: u64) -> ExitCode {
    let work = move || {
        // What is set up once is set up while files can still be opened.
        let warm = Job {
            expressions: vec!["[limit(1; paths)]".to_owned()],
            input: [1].into_iter().collect(),
            variables: [].into(),
        };
        let mut interpreter = Interpreter::default();
        let ready = interpreter.evaluate(&warm).is_ok();
        let (mut requests, mut answers) = (io::stdin().lock(), io::stdout().lock());
        let confined = confine::confine(memory, processor);
        if !ready || confined.is_err() {
            return ExitCode::from(UNCONFINED);
        }
        match answer_all(&mut interpreter, &mut requests, &mut answers) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::from(FAILED),
        }
    };
    let thread = std::thread::Builder::new().name("expression".to_owned()).stack_size(STACK).spawn(work);
    thread.map_or(ExitCode::from(UNCONFINED), |thread| thread.join().unwrap_or(ExitCode::from(FAILED)))
}

fn answer_all(interpreter: &mut Interpreter, requests: &mut impl Read, answers: &mut impl Write) -> io::Result<()> {
    frame::write(answers, &[], frame::ANSWER)?;
    while let Some(request) = frame::read(requests, frame::REQUEST)? {
        let job = frame::parse_request(&request)?;
        drop(request);
        let answer: frame::Answer = interpreter.evaluate(&job);
        let failed = answer.is_err();
        frame::write(answers, &serde_json::to_vec(&answer)?, frame::ANSWER)?;
        if failed {
            // The parent gives a child up after any failure; leaving at once spares the drop of what the
            // expression left behind.
            std::process::exit(0);
        }
    }
    Ok(())
}

/// The limit that a child met which ended without an answer, from how it ended and its last words; `None`
/// when that tells nothing.
pub(crate) fn limit_met(signal: Option<i32>, last_words: &str) -> Option<&'static str> {
    if last_words.contains("overflowed its stack") || signal == Some(SEGV) {
        Some("recursion")
    } else if last_words.contains("memory allocation of") || last_words.contains("capacity overflow") {
        Some("memory")
    } else if signal == Some(KILL) {
        // Nobody kills it from here before its time: the system was out of memory.
        Some("memory")
    } else if signal == Some(XCPU) {
        Some("time")
    } else {
        None
    }
}

const SEGV: i32 = rustix::process::Signal::SEGV.as_raw();
const KILL: i32 = rustix::process::Signal::KILL.as_raw();
const XCPU: i32 = rustix::process::Signal::XCPU.as_raw();
