//! The processor time of this process.

use anyhow::{Context, Result};

/// User and system time so far, in seconds, as proc(5) tells it.
pub(crate) fn seconds() -> Result<f64> {
    /// Ticks per second, which Linux has fixed for programs (`USER_HZ`).
    const TICKS: f64 = 100.0;
    let text = std::fs::read_to_string("/proc/self/stat").context("processor time is read from /proc")?;
    let fields: Vec<&str> = text.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    let (user, system) = ticks(11).zip(ticks(12)).context("/proc/self/stat is of another form")?;
    Ok((user + system) / TICKS)
}
