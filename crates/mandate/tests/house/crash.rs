//! Houses that end at a given I/O step, and the table of what became of each. Debug builds number these
//! steps; see `mandate_kernel::crash`.

use super::{House, NotReady};
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The names of the steps a process has passed, in order.
pub(crate) fn passed(log: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().filter_map(|line| line.split_once(' ')).map(|(_, name)| name.to_owned()).collect()
}

/// A step: the N-th of a name, which stays the same step however tasks interleave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// Its name.
    pub(crate) name: String,
    /// The how many-eth of that name, from 1.
    pub(crate) nth: usize,
}

impl Step {
    /// Those among the steps passed that came after the first so many.
    pub(crate) fn after(first: usize, passed: &[String]) -> Vec<Self> {
        let nth = |at: usize, name: &String| passed.iter().take(at + 1).filter(|other| *other == name).count();
        let all = passed.iter().enumerate().map(|(at, name)| Self { name: name.clone(), nth: nth(at, name) });
        all.skip(first).collect()
    }

    /// Starts a house that ends at this step, and writes down those it passes.
    pub(crate) fn start(&self, data: &Path, port: u16, log: &Path) -> Result<House, NotReady> {
        let at = format!("{}#{}", self.name, self.nth);
        let env = [("MANDATE_CRASH_AT", at.as_str()), ("MANDATE_CRASH_LOG", log.to_str().unwrap())];
        House::start_with(data, port, &env)
    }
}

/// A row of the table.
pub(crate) struct Row {
    /// Which row.
    pub(crate) number: usize,
    /// The step the process was to end at.
    pub(crate) step: Step,
    /// Whether it came to it.
    pub(crate) ended: bool,
    /// What became of the run.
    pub(crate) outcome: String,
    /// How long all that took.
    pub(crate) took: Duration,
}

/// Makes the table, a row for each step, as many at the same time as there are lanes. Gives
/// it as text too. Panics when a row failed, once all are done.
pub(crate) fn table(steps: &[Step], lanes: &[impl Fn(usize, &Step) -> Row + Sync]) -> (Vec<Row>, String) {
    let only: Option<usize> = std::env::var("MANDATE_CRASH_ONLY").ok().map(|number| number.parse().unwrap());
    let numbered = (1..).zip(steps).filter(|(number, _)| only.is_none_or(|only| only == *number));
    let waiting: Mutex<Vec<(usize, &Step)>> = Mutex::new(numbered.collect::<Vec<_>>().into_iter().rev().collect());
    let waiting = &waiting;
    let mut rows: Vec<Row> = std::thread::scope(|scope| {
        let working: Vec<_> = lanes.iter().map(|lane| scope.spawn(move || work(waiting, lane))).collect();
        working.into_iter().flat_map(|rows| rows.join().unwrap()).collect()
    });
    rows.sort_by_key(|row| row.number);
    let mut text = String::new();
    for row in &rows {
        let step = format!("{}#{}", row.step.name, row.step.nth);
        let ended = if row.ended { "" } else { "not come to; " };
        writeln!(text, "{:4}  {step:30} {:5.2} s  {ended}{}", row.number, row.took.as_secs_f64(), row.outcome).unwrap();
    }
    assert!(rows.iter().all(|row| !row.outcome.starts_with("FAILED")), "{text}");
    (rows, text)
}

/// Takes rows, one after the other, until none is left.
fn work(waiting: &Mutex<Vec<(usize, &Step)>>, row: impl Fn(usize, &Step) -> Row) -> Vec<Row> {
    let mut rows = Vec::new();
    loop {
        let next = waiting.lock().unwrap().pop();
        let Some((number, step)) = next else { return rows };
        let begun = Instant::now();
        rows.push(catch_unwind(AssertUnwindSafe(|| row(number, step))).unwrap_or_else(|panic| Row {
            number,
            step: step.clone(),
            ended: false,
            outcome: format!("FAILED: {}", said(panic.as_ref())),
            took: begun.elapsed(),
        }));
    }
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}
