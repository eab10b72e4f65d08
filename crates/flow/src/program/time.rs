//! Durations as documents write them, and the pauses between retries.

use mandate_kernel::{Digest, Duration};
use serde_json::Value;

/// A hundred years: past this a duration is a mistake.
const MAX_MILLIS: u64 = 100 * 366 * 86_400_000;

/// Members of a duration object, with their length in milliseconds.
pub(crate) const UNITS: [(&str, u64); 5] =
    [("days", 86_400_000), ("hours", 3_600_000), ("minutes", 60_000), ("seconds", 1_000), ("milliseconds", 1)];

/// Reads a duration: an object of whole numbers, or ISO 8601 text without years and months.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn duration(value: &Value) -> Result<Duration, String> {
    let millis = match value {
        Value::String(text) => iso8601(text)?,
        Value::Object(map) if map.is_empty() => return Err("a duration needs at least one unit".to_owned()),
        Value::Object(map) => {
            let mut total = 0u64;
            for (unit, amount) in map {
                let (_, length) = UNITS.iter().find(|(name, _)| name == unit).ok_or_else(|| {
                    format!("`{unit}` is not a unit: use days, hours, minutes, seconds, milliseconds")
                })?;
                let amount = amount.as_u64().ok_or_else(|| format!("`{unit}` must be a whole number, not negative"))?;
                total = total.saturating_add(amount.saturating_mul(*length));
            }
            total
        }
        _ => return Err("a duration is an object such as {seconds: 30}, or ISO 8601 text such as PT30S".to_owned()),
    };
    if millis > MAX_MILLIS {
        return Err("a duration is at most a hundred years".to_owned());
    }
    Ok(Duration::from_millis(millis))
}

/// `P[nW][nD][T[nH][nM][nS]]`, in this order; a fraction is allowed in the last part only.
fn iso8601(text: &str) -> Result<u64, String> {
    let wrong = || {
        format!("`{}` is not an ISO 8601 duration such as PT30S or P1DT12H", text.chars().take(40).collect::<String>())
    };
    let rest = text.strip_prefix('P').ok_or_else(wrong)?;
    let (date, time) = match rest.split_once('T') {
        Some((date, time)) if !time.is_empty() => (date, time),
        Some(_) => return Err(wrong()),
        None => (rest, ""),
    };
    if date.is_empty() && time.is_empty() {
        return Err(wrong());
    }
    if date.contains(['Y', 'M']) {
        return Err("years and months differ in length: write days".to_owned());
    }
    let (days, open) = parts(date, &[('W', 7 * 86_400_000), ('D', 86_400_000)], true).ok_or_else(wrong)?;
    let (clock, _) = parts(time, &[('H', 3_600_000), ('M', 60_000), ('S', 1_000)], open).ok_or_else(wrong)?;
    Ok(days.saturating_add(clock))
}

/// Sums `n<unit>` in the order of the units. The flag says whether a part may still follow, which a
/// fraction forbids.
fn parts(mut text: &str, units: &[(char, u64)], mut open: bool) -> Option<(u64, bool)> {
    let mut total = 0u64;
    for (unit, length) in units {
        let Some((amount, rest)) = text.split_once(*unit) else { continue };
        let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit()) && s.len() <= 12;
        if !open || whole.is_empty() || !digits(whole) || !digits(fraction) || amount.ends_with('.') {
            return None;
        }
        let mut millis = whole.parse::<u64>().ok()?.saturating_mul(*length);
        if !fraction.is_empty() {
            open = false;
            let scale = 10u128.pow(u32::try_from(fraction.len()).ok()?);
            let part = fraction.parse::<u128>().ok()? * u128::from(*length) / scale;
            millis = millis.saturating_add(u64::try_from(part).ok()?);
        }
        total = total.saturating_add(millis);
        text = rest;
    }
    text.is_empty().then_some((total, open))
}

/// How the pause grows from one retry to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Growth {
    /// Not at all.
    Constant,
    /// By the delay each time.
    Linear,
    /// Doubling each time.
    Exponential,
}

/// The pauses between retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Backoff {
    pub(crate) delay: Duration,
    pub(crate) growth: Growth,
    /// Added, between the two.
    pub(crate) jitter: Option<(Duration, Duration)>,
}

impl Backoff {
    /// The pause after the `failures`-th failure in a row, from 1. The jitter is drawn from `seed`, so
    /// that the machine stays pure and a replay gives the same; it spreads runs, it hides nothing.
    pub(crate) fn pause(&self, failures: u32, seed: &str) -> Duration {
        let base = self.delay.as_millis();
        let grown = match self.growth {
            Growth::Constant => base,
            Growth::Linear => base.saturating_mul(u64::from(failures)),
            Growth::Exponential => {
                base.saturating_mul(1u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX))
            }
        };
        let spread = self.jitter.map_or(0, |(from, to)| {
            let drawn = Digest::of(format!("{seed}#{failures}").as_bytes())
                .as_bytes()
                .iter()
                .take(8)
                .fold(0u64, |n, b| n << 8 | u64::from(*b));
            let width = to.as_millis().saturating_sub(from.as_millis()).saturating_add(1);
            from.as_millis().saturating_add(drawn % width)
        });
        Duration::from_millis(grown.saturating_add(spread).min(MAX_MILLIS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reads_durations() {
        for (value, millis) in [
            (json!("PT30S"), 30_000),
            (json!("P1DT12H"), 129_600_000),
            (json!("P2W"), 1_209_600_000),
            (json!("PT0.5S"), 500),
            (json!({"minutes": 1, "seconds": 2, "milliseconds": 3}), 62_003),
        ] {
            assert_eq!(duration(&value), Ok(Duration::from_millis(millis)), "{value}");
        }
        for bad in
            ["", "P", "PT", "30S", "P1Y", "PT1.5H3S", "PT1S1H", "P-1D", "PT1,5S", "PTS", "P1DT", "PT99999999999999S"]
        {
            assert!(duration(&json!(bad)).is_err(), "{bad}");
        }
        for bad in [
            json!({}),
            json!({"weeks": 1}),
            json!({"days": -1}),
            json!({"days": 1.5}),
            json!(3),
            json!({"days": 40_000}),
        ] {
            assert!(duration(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn pauses_grow() {
        let at = |growth, n| Backoff { delay: Duration::from_secs(3), growth, jitter: None }.pause(n, "").as_secs();
        assert_eq!([1, 2, 3].map(|n| at(Growth::Constant, n)), [3, 3, 3]);
        assert_eq!([1, 2, 3].map(|n| at(Growth::Linear, n)), [3, 6, 9]);
        assert_eq!([1, 2, 3].map(|n| at(Growth::Exponential, n)), [3, 6, 12]);
        assert!(at(Growth::Exponential, 90) > 0);
        let jitter = Some((Duration::from_millis(10), Duration::from_millis(20)));
        let jittered = Backoff { delay: Duration::from_millis(100), growth: Growth::Constant, jitter };
        let pauses: Vec<_> = ["a", "b", "c", "d"].map(|seed| jittered.pause(1, seed).as_millis()).into();
        assert!(pauses.iter().all(|p| (110..=120).contains(p)) && pauses.iter().any(|p| *p != pauses[0]), "{pauses:?}");
    }
}
