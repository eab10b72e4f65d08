//! What a subscription takes, message by message, and when it has enough. Bounded in messages, bytes and time.

use mandate_flow::Predicate;
use mandate_kernel::{Digest, Limits};
use serde_json::{Value, json};
use std::time::Duration;

/// The most messages that one call takes.
const MAX_MESSAGES: usize = 10_000;

/// When a subscription has enough.
enum Enough {
    /// After so many.
    Amount(usize),
    /// After the first for which this does not hold.
    While(Predicate),
    /// Before the first for which this holds.
    Until(Predicate),
}

/// A subscription, as a call's arguments have it.
pub(crate) struct Subscription {
    filter: Option<Predicate>,
    enough: Enough,
    /// For how long messages are taken.
    period: Option<Duration>,
}

impl Subscription {
    /// Reads one from arguments: `{filter?, consume: {for?, amount | while | until}}`.
    ///
    /// # Errors
    /// What is wrong with it; it repeats nothing of it.
    pub(crate) fn read(value: &Value) -> Result<Self, String> {
        let consume = value.get("consume").ok_or("argument `subscription` needs `consume`")?;
        let predicate = |value: &Value| Predicate::of(value).map_err(|_| "a condition can't be read".to_owned());
        let enough = if let Some(amount) = consume.get("amount") {
            let amount = amount.as_u64().and_then(|amount| usize::try_from(amount).ok());
            Enough::Amount(amount.filter(|a| (1..=MAX_MESSAGES).contains(a)).ok_or("`amount` is 1 to 10000")?)
        } else if let Some(condition) = consume.get("while") {
            Enough::While(predicate(condition)?)
        } else if let Some(condition) = consume.get("until") {
            Enough::Until(predicate(condition)?)
        } else {
            return Err("`consume` needs one of amount, while, until".to_owned());
        };
        let period = match consume.get("for") {
            None => None,
            Some(period) => {
                let millis = period.get("milliseconds").and_then(Value::as_u64);
                Some(Duration::from_millis(millis.ok_or("`for` is a duration in milliseconds")?))
            }
        };
        Ok(Self { filter: value.get("filter").map(predicate).transpose()?, enough, period })
    }

    /// For how long messages are taken, where it says that.
    pub(crate) const fn period(&self) -> Option<Duration> {
        self.period
    }
}

/// What came of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    More,
    Enough,
}

/// The messages taken so far.
pub(crate) struct Basket<'a> {
    subscription: &'a Subscription,
    messages: Vec<Value>,
    /// Digests of the bytes of each, in their order.
    observed: Vec<u8>,
    bytes: usize,
    seen: usize,
    limits: Limits,
}

impl<'a> Basket<'a> {
    pub(crate) const fn new(subscription: &'a Subscription, limits: Limits) -> Self {
        Self { subscription, messages: Vec::new(), observed: Vec::new(), bytes: 0, seen: 0, limits }
    }

    /// Looks at a message: its bytes as they came, and its headers. JSON is read as such, else it is text.
    ///
    /// # Errors
    /// Why the call can't go on; it repeats nothing of the message.
    pub(crate) fn offer(&mut self, payload: &[u8], headers: Value) -> Result<Taken, String> {
        self.seen = self.seen.saturating_add(1);
        self.bytes = self.bytes.saturating_add(payload.len());
        // What is filtered out counts, too: it was read.
        if self.bytes > self.limits.reply_body || self.seen > MAX_MESSAGES {
            return Err(format!(
                "sent more than {MAX_MESSAGES} messages or {} bytes; narrow the subscription",
                self.limits.reply_body
            ));
        }
        let payload_value = match crate::http::parse(payload, self.limits.depth) {
            Ok(value) => value,
            Err(_) => {
                Value::String(std::str::from_utf8(payload).map_err(|_| "sent a message that is no text")?.to_owned())
            }
        };
        let message = json!({"payload": payload_value, "headers": headers, "correlationId": correlation(&headers)});
        let failed = |_| "sent a message that a condition fails on".to_owned();
        if let Some(filter) = &self.subscription.filter
            && !filter.holds(&message).map_err(failed)?
        {
            return Ok(Taken::More);
        }
        if let Enough::Until(condition) = &self.subscription.enough
            && condition.holds(&message).map_err(failed)?
        {
            return Ok(Taken::Enough);
        }
        let goes_on = match &self.subscription.enough {
            Enough::Amount(amount) => self.messages.len().saturating_add(1) < *amount,
            Enough::While(condition) => condition.holds(&message).map_err(failed)?,
            Enough::Until(_) => true,
        };
        self.observed.extend_from_slice(Digest::of(payload).as_bytes());
        self.messages.push(message);
        Ok(if goes_on { Taken::More } else { Taken::Enough })
    }

    /// The messages, and one digest over those of their bytes.
    pub(crate) fn into_messages(self) -> (Vec<Value>, Digest) {
        (self.messages, Digest::of(&self.observed))
    }
}

fn correlation(headers: &Value) -> Value {
    headers.get("correlationId").filter(|id| id.is_string()).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(subscription: Value, messages: &[&str]) -> (Vec<Value>, usize) {
        let subscription = Subscription::read(&subscription).unwrap();
        let mut basket = Basket::new(&subscription, Limits { reply_body: 1000, ..Limits::DEFAULT });
        for (at, message) in messages.iter().enumerate() {
            if basket.offer(message.as_bytes(), json!({})) == Ok(Taken::Enough) {
                return (basket.into_messages().0, at + 1);
            }
        }
        (basket.into_messages().0, usize::MAX)
    }

    fn payloads(found: &[Value]) -> Vec<Value> {
        found.iter().map(|message| message["payload"].clone()).collect()
    }

    fn condition(text: &str) -> Value {
        json!({"expression": text, "variables": {}})
    }

    #[test]
    fn it_ends_when_it_has_enough() {
        let all = ["1", "2", "3", "4", "\"x\"", "plain"];
        let (found, seen) = taken(json!({"consume": {"amount": 2}, "filter": condition(".payload > 1")}), &all);
        assert_eq!((payloads(&found), seen), (vec![json!(2), json!(3)], 3));
        let (found, seen) = taken(json!({"consume": {"while": condition(".payload < 3")}}), &all);
        assert_eq!((payloads(&found), seen), (vec![json!(1), json!(2), json!(3)], 3));
        let (found, seen) = taken(json!({"consume": {"until": condition(".payload == 3")}}), &all);
        assert_eq!((payloads(&found), seen), (vec![json!(1), json!(2)], 3));
        let (found, _) = taken(json!({"consume": {"amount": 9}}), &all);
        assert_eq!(payloads(&found)[4..], [json!("x"), json!("plain")]);
    }

    #[test]
    fn it_is_bounded_and_repeats_nothing() {
        let subscription = Subscription::read(&json!({"consume": {"amount": 5}})).unwrap();
        let mut basket = Basket::new(&subscription, Limits { reply_body: 100, ..Limits::DEFAULT });
        assert_eq!(basket.offer(&[b'1'; 90], json!({})), Ok(Taken::More));
        let why = basket.offer(b"canary canary canary", json!({})).unwrap_err();
        assert!(!why.contains("canary"), "{why}");
        let mut basket = Basket::new(&subscription, Limits::DEFAULT);
        assert!(basket.offer(b"\xff\xfe", json!({})).is_err());
        for bad in [
            json!({}),
            json!({"consume": {}}),
            json!({"consume": {"amount": 0}}),
            json!({"consume": {"amount": 10_001}}),
            json!({"consume": {"amount": 1, "for": "PT1S"}}),
            json!({"consume": {"while": "canary"}}),
            json!({"consume": {"amount": 1}, "filter": {"expression": "canary |", "variables": {}}}),
        ] {
            let why = Subscription::read(&bad).err().unwrap();
            assert!(!why.contains("canary"), "{why}");
        }
    }
}
