//! Times as people and HTTP write them.

use crate::Timestamp;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Reads `2026-12-31`, or `2026-12-31T17:00:00Z` with optional fractions (RFC 3339, UTC only: who
/// means another zone shall say so in UTC).
#[must_use]
pub fn parse_utc(text: &str) -> Option<Timestamp> {
    let (date, time) = match text.split_once(['T', 't']) {
        Some((date, time)) => (date, time.strip_suffix(['Z', 'z'])?),
        None => (text, "00:00:00"),
    };
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || (year.len(), month.len(), day.len()) != (4, 2, 2) {
        return None;
    }
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let ms = match fraction.len() {
        1..=9 => format!("{fraction:0<3}").get(..3).and_then(number)?,
        _ => return None,
    };
    let secs = civil(number(year)?, number(month)?, number(day)?)?.checked_add(clock(time)?)?;
    number(fraction).map(|_| Timestamp::from_millis(secs * 1000 + ms))
}

/// Reads a time of RFC 3339 in any zone: `2026-12-31T17:00:00.5+01:00`. No date alone.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    if text.ends_with(['Z', 'z']) {
        return parse_utc(text);
    }
    let split = text.len().checked_sub(6)?;
    let (local, zone) = (text.get(..split)?, text.get(split..)?);
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let offset = clock(&format!("{hours}:{minutes}:00"))?;
    let offset = match zone.chars().next()? {
        '+' => offset,
        '-' => -offset,
        _ => return None,
    };
    if !local.contains(['T', 't']) {
        return None;
    }
    parse_utc(&format!("{local}Z")).map(|at| Timestamp::from_millis(at.as_millis() - offset * 1000))
}

/// Reads the `Date` of an HTTP answer: `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7).
#[must_use]
pub fn parse_http(text: &str) -> Option<Timestamp> {
    let (_, rest) = text.split_once(", ")?;
    let mut parts = rest.strip_suffix(" GMT")?.split(' ');
    let (day, month, year, time) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let month = MONTHS.iter().zip(1i64..).find(|(name, _)| **name == month).map(|(_, n)| n)?;
    let secs = civil(number(year)?, month, number(day)?)?.checked_add(clock(time)?)?;
    Some(Timestamp::from_secs(secs))
}

fn number(digits: &str) -> Option<i64> {
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

fn clock(text: &str) -> Option<i64> {
    let mut parts = text.split(':');
    let (h, m, s) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || [h, m, s].iter().any(|part| part.len() != 2) {
        return None;
    }
    let (h, m, s) = (number(h)?, number(m)?, number(s)?);
    (h < 24 && m < 60 && s < 60).then_some(h * 3600 + m * 60 + s)
}

/// Seconds since the epoch at the beginning of a day, counted by whole years and days of months.
fn civil(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = |y: i64| (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    let lengths = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let index = usize::try_from(month.checked_sub(1)?).ok()?;
    let length = *lengths.get(index)?;
    if !(1970..=9999).contains(&year) || !(1..=length).contains(&day) {
        return None;
    }
    let years: i64 = (1970..year).map(|y| if leap(y) { 366 } else { 365 }).sum();
    let months: i64 = lengths.iter().take(index).sum();
    Some((years + months + day - 1) * 86_400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_timestamps_print() {
        for ms in [0, 951_782_400_000, 1_795_364_809_123, 4_102_444_799_999] {
            let at = Timestamp::from_millis(ms);
            assert_eq!(parse_utc(&at.to_string()), Some(at));
        }
        assert_eq!(parse_utc("2026-11-22"), parse_utc("2026-11-22T00:00:00Z"));
        assert_eq!(parse_http("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Timestamp::from_secs(784_111_777)));
    }

    #[test]
    fn zones_are_taken_off() {
        let utc = parse_utc("2026-11-22T10:00:00.5Z");
        assert!(utc.is_some());
        let same = ["2026-11-22T10:00:00.5Z", "2026-11-22T11:30:00.5+01:30", "2026-11-22T00:00:00.500-10:00"];
        assert!(same.iter().all(|text| parse_rfc3339(text) == utc));
        for bad in
            ["2026-11-22", "2026-11-22+01:00", "2026-11-22T10:00:00", "2026-11-22T10:00:00+1:00", "+01:00", "é+01:00"]
        {
            assert_eq!(parse_rfc3339(bad), None, "{bad}");
        }
    }

    #[test]
    fn refuses_what_is_no_time() {
        for bad in [
            "",
            "tomorrow",
            "2026-13-01",
            "2026-02-29",
            "2026-1-1",
            "2026-11-22T25:00:00Z",
            "2026-11-22T10:00:00",
            "2026-11-22T10:00:00+01:00",
            "2026-11-22T10:00Z",
            "2026-11-22T10:00:00.Z",
            "+026-11-22",
            "2026-11-22T10:00:00.1x2Z",
        ] {
            assert_eq!(parse_utc(bad), None, "{bad}");
        }
        for bad in ["", "Sun, 06 Nov 1994", "Sun, 06 Foo 1994 08:49:37 GMT", "06 Nov 1994 08:49:37 GMT"] {
            assert_eq!(parse_http(bad), None, "{bad}");
        }
    }
}
