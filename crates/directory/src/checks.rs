//! What a reply is looked at for when it comes: whether it is fresh, and whether it is about what was
//! asked. A failed check stops nothing; it is evidence, so that a wrong result can be traced to its cause.

use mandate_kernel::{Duration, Timestamp, parse_utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Most pairs of field and argument.
const MAX_ABOUT: usize = 16;

/// The longest age that can be asked for, in days.
const MAX_DAYS: u32 = 3_660;

/// The checks of a function.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct ReplyChecks {
    /// How old the data may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fresh: Option<Freshness>,
    /// Fields of the reply (JSON pointers) that must equal an argument, by its name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub about: BTreeMap<String, String>,
}

/// How old the data may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Freshness {
    /// Where the reply says as of when it is: JSON pointer to a date or a time in UTC (RFC 3339).
    pub at: String,
    /// The most days ago.
    pub max_age_days: u32,
}

/// What a check was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// Whether the data is fresh.
    Fresh,
    /// Whether it is about what was asked.
    About,
}

/// What a check found. It holds no value of the reply but its own date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// What was checked.
    pub check: Check,
    /// Where in the reply.
    pub at: String,
    /// Whether it is as it should be.
    pub passed: bool,
    /// What was found, in words.
    pub found: String,
}

impl ReplyChecks {
    /// JSON pointer into the function's content, and what is wrong there.
    pub(crate) fn check(&self) -> Result<(), (String, String)> {
        let pointer = |text: &str| text.starts_with('/') && text.len() <= 500;
        if let Some(fresh) = &self.fresh {
            if !pointer(&fresh.at) {
                return Err(("/checks/fresh/at".to_owned(), "a JSON pointer such as /as_of".to_owned()));
            }
            if !(1..=MAX_DAYS).contains(&fresh.max_age_days) {
                return Err(("/checks/fresh/maxAgeDays".to_owned(), format!("1 to {MAX_DAYS} days")));
            }
        }
        if self.about.len() > MAX_ABOUT || !self.about.keys().all(|at| pointer(at)) {
            let why = format!("at most {MAX_ABOUT} JSON pointers such as /quarter, each with the name of an argument");
            return Err(("/checks/about".to_owned(), why));
        }
        Ok(())
    }

    /// Looks at a reply.
    #[must_use]
    pub fn examine(&self, reply: &Value, arguments: &Value, now: Timestamp) -> Vec<Checked> {
        let mut found: Vec<Checked> = self.fresh.iter().map(|fresh| fresh.examine(reply, now)).collect();
        for (at, argument) in &self.about {
            let (said, asked) = (reply.pointer(at), arguments.get(argument));
            let passed = asked.is_some() && said == asked;
            let found_is = match said {
                None => "the reply does not say what it is about".to_owned(),
                Some(_) if passed => format!("it is about the `{argument}` that was asked"),
                Some(_) => format!("it is about another `{argument}` than was asked"),
            };
            found.push(Checked { check: Check::About, at: at.clone(), passed, found: found_is });
        }
        found
    }
}

impl Freshness {
    fn examine(&self, reply: &Value, now: Timestamp) -> Checked {
        let of = reply.pointer(&self.at).and_then(Value::as_str).and_then(parse_utc);
        let most = Duration::from_secs(u64::from(self.max_age_days) * 86_400);
        let (passed, found) = match of {
            None => (false, "the reply does not say as of when it is".to_owned()),
            Some(of) if now.since(of) > most => {
                let days = now.since(of).as_secs() / 86_400;
                (false, format!("as of {of}, {days} days old; at most {} are fresh", self.max_age_days))
            }
            Some(of) => (true, format!("as of {of}")),
        };
        Checked { check: Check::Fresh, at: self.at.clone(), passed, found }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn checks() -> ReplyChecks {
        serde_json::from_value(json!({"fresh": {"at": "/as_of", "maxAgeDays": 30}, "about": {"/quarter": "quarter"}}))
            .unwrap()
    }

    fn passed(reply: &Value) -> Vec<bool> {
        let now = parse_utc("2026-11-22").unwrap();
        let found = checks().examine(reply, &json!({"quarter": "2026-Q3"}), now);
        found.into_iter().map(|one| one.passed).collect()
    }

    #[test]
    fn tells_stale_and_misplaced_data_from_good() {
        for (reply, outcome) in [
            (json!({"as_of": "2026-11-20", "quarter": "2026-Q3"}), [true, true]),
            (json!({"as_of": "2026-10-23T00:00:00Z", "quarter": "2026-Q3"}), [true, true]),
            (json!({"as_of": "2026-10-22", "quarter": "2026-Q3"}), [false, true]),
            (json!({"as_of": "2026-11-20", "quarter": "2026-Q2"}), [true, false]),
            // What says nothing is neither fresh nor about anything.
            (json!({}), [false, false]),
            (json!({"as_of": 5, "quarter": null}), [false, false]),
            (json!("text"), [false, false]),
        ] {
            assert_eq!(passed(&reply), outcome, "{reply}");
        }
    }

    #[test]
    fn an_argument_that_was_not_given_matches_nothing() {
        let now = parse_utc("2026-11-22").unwrap();
        let found = checks().examine(&json!({"as_of": "2026-11-20"}), &json!({}), now);
        assert!(!found[1].passed);
    }

    #[test]
    fn what_is_found_repeats_no_value() {
        let now = parse_utc("2026-11-22").unwrap();
        let found = checks().examine(&json!({"as_of": "CANARY", "quarter": "CANARY"}), &json!({"quarter": "x"}), now);
        assert!(!serde_json::to_string(&found).unwrap().contains("CANARY"));
    }

    #[test]
    fn bad_checks_are_named() {
        for (json, at) in [
            (json!({"fresh": {"at": "as_of", "maxAgeDays": 1}}), "/checks/fresh/at"),
            (json!({"fresh": {"at": "/as_of", "maxAgeDays": 0}}), "/checks/fresh/maxAgeDays"),
            (json!({"about": {"quarter": "quarter"}}), "/checks/about"),
        ] {
            let checks: ReplyChecks = serde_json::from_value(json).unwrap();
            assert_eq!(checks.check().unwrap_err().0, at);
        }
    }
}
