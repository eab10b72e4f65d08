//! An event source: who may send which events through the door, and what they are labelled.

use crate::InputLabels;
use mandate_kernel::{Integrity, Labels};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The longest an event may be on its way, in seconds. What was taken is remembered longer than that, so that
/// no event is taken twice.
const MAX_AGE: u64 = 3_600;
/// The most events in a minute.
const MAX_PER_MINUTE: u32 = 60_000;
/// The most names in one list, and the most bytes of one.
const MAX_NAMES: usize = 200;
const MAX_BYTES: usize = 512;

/// The content of an `EventSource` resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct EventSourceSpec {
    /// What it is.
    #[serde(default)]
    pub description: String,
    /// The `source` attributes it may speak for, to the letter (CloudEvents 1.0, `source`).
    pub sources: BTreeSet<String>,
    /// The `type`s it may send: to the letter, or all below a prefix written as `com.example.*`.
    pub types: BTreeSet<String>,
    /// Who sends them: `user:NAME` or `service-account:NAME`, as the tenant's provider names them. Nobody else
    /// speaks for these sources.
    pub senders: BTreeSet<String>,
    /// How confidential what it sends is, and which kinds of data it holds. It is never trusted.
    #[serde(default)]
    pub labels: InputLabels,
    /// How old an event may be when it comes, in seconds.
    #[serde(default = "default_age")]
    pub max_age_seconds: u64,
    /// How many events it may send in a minute, a sixth of them at once.
    #[serde(default = "default_rate")]
    pub per_minute: u32,
}

const fn default_age() -> u64 {
    300
}

const fn default_rate() -> u32 {
    600
}

impl EventSourceSpec {
    /// Whether this sender may speak for a `source`.
    #[must_use]
    pub fn speaks(&self, sender: &str, source: &str) -> bool {
        self.senders.contains(sender) && self.sources.contains(source)
    }

    /// Whether it may send events of a type.
    #[must_use]
    pub fn sends(&self, event_type: &str) -> bool {
        let below = |of: &String| of.strip_suffix('*').is_some_and(|prefix| event_type.starts_with(prefix));
        self.types.contains(event_type) || self.types.iter().any(below)
    }

    /// The labels of what it sends, without where it came from.
    #[must_use]
    pub fn event_labels(&self) -> Labels {
        Labels {
            integrity: Integrity::Untrusted,
            confidentiality: self.labels.confidentiality,
            categories: self.labels.data.clone(),
            ..Labels::default()
        }
    }

    /// Checks what can be checked on its own.
    ///
    /// # Errors
    /// JSON pointer into the content, and what is wrong there.
    pub(crate) fn check(&self) -> Result<(), (String, String)> {
        let at = |pointer: &str, why: String| Err((pointer.to_owned(), why));
        for (name, list) in [("/sources", &self.sources), ("/types", &self.types), ("/senders", &self.senders)] {
            if list.is_empty() || list.len() > MAX_NAMES {
                return at(name, format!("name 1 to {MAX_NAMES}"));
            }
            let odd = |text: &&String| {
                text.is_empty() || text.len() > MAX_BYTES || text.chars().any(|c| c.is_control() || c.is_whitespace())
            };
            if list.iter().any(|text| odd(&text)) {
                return at(name, format!("each is text of 1 to {MAX_BYTES} bytes without spaces"));
            }
        }
        if self.types.iter().any(|name| name.trim_end_matches(".*").contains('*') || name == "*") {
            return at("/types", "a `*` stands at the end only, after a dot: com.example.*".to_owned());
        }
        let known = |sender: &String| {
            ["user:", "service-account:"].iter().any(|kind| sender.strip_prefix(kind).is_some_and(|n| !n.is_empty()))
        };
        if !self.senders.iter().all(known) {
            return at("/senders", "write user:NAME or service-account:NAME; groups don't send events".to_owned());
        }
        if !(1..=MAX_AGE).contains(&self.max_age_seconds) {
            return at("/maxAgeSeconds", format!("an event is 1 to {MAX_AGE} seconds old at most"));
        }
        if !(1..=MAX_PER_MINUTE).contains(&self.per_minute) {
            return at("/perMinute", format!("1 to {MAX_PER_MINUTE} events in a minute"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn spec(extra: &Value) -> Result<EventSourceSpec, String> {
        let mut all =
            json!({"sources": ["https://erp.example/"], "types": ["com.erp.*", "ping"], "senders": ["user:erp"]});
        for (key, value) in extra.as_object().unwrap() {
            all[key] = value.clone();
        }
        let spec: EventSourceSpec = serde_json::from_value(all).map_err(|e| e.to_string())?;
        spec.check().map_err(|(pointer, why)| format!("{pointer}: {why}"))?;
        Ok(spec)
    }

    #[test]
    fn it_speaks_for_its_own_and_sends_its_types() {
        let spec = spec(&json!({})).unwrap();
        assert!(spec.speaks("user:erp", "https://erp.example/"));
        for (sender, source) in [
            ("user:else", "https://erp.example/"),
            ("service-account:erp", "https://erp.example/"),
            ("user:erp", "https://erp.example"),
            ("user:erp", "https://erp.example/x"),
            ("", ""),
        ] {
            assert!(!spec.speaks(sender, source), "{sender} {source}");
        }
        assert!(spec.sends("com.erp.paid") && spec.sends("com.erp.a.b") && spec.sends("ping"));
        for other in ["com.erp", "com.erpx.paid", "pings", "Ping", "", "*", "com.*"] {
            assert!(!spec.sends(other), "{other}");
        }
        assert_eq!(spec.event_labels().integrity, Integrity::Untrusted);
    }

    #[test]
    fn what_is_no_source_is_refused() {
        for (bad, at) in [
            (json!({"sources": []}), "/sources"),
            (json!({"sources": ["a b"]}), "/sources"),
            (json!({"types": ["*"]}), "/types"),
            (json!({"types": ["a*b.*"]}), "/types"),
            (json!({"types": [""]}), "/types"),
            (json!({"senders": ["group:all"]}), "/senders"),
            (json!({"senders": ["user:"]}), "/senders"),
            (json!({"maxAgeSeconds": 0}), "/maxAgeSeconds"),
            (json!({"maxAgeSeconds": 3601}), "/maxAgeSeconds"),
            (json!({"perMinute": 0}), "/perMinute"),
            (json!({"labels": {"integrity": "authoritative"}}), "integrity"),
            (json!({"trusted": true}), "trusted"),
        ] {
            let told = spec(&bad).unwrap_err();
            assert!(told.contains(at), "{bad}: {told}");
        }
    }
}
