//! Bounds on how long and how often a function is tried.

use crate::FunctionSpec;

/// The longest that one attempt may take, in milliseconds.
const MAX_TIMEOUT_MS: u64 = 600_000;
/// The most attempts.
const MAX_ATTEMPTS: u32 = 20;
/// The longest wait between two attempts, in milliseconds: a day.
const MAX_DELAY_MS: u64 = 86_400_000;

impl FunctionSpec {
    /// Checks that attempts end, and that there is an end of them.
    ///
    /// # Errors
    /// JSON pointer into the content, and what is wrong there.
    pub(crate) fn check_bounds(&self) -> Result<(), (String, String)> {
        let at = |pointer: &str, why: String| Err((pointer.to_owned(), why));
        if !(1..=MAX_TIMEOUT_MS).contains(&self.timeout_ms) {
            return at("/timeoutMs", format!("an attempt takes 1 to {MAX_TIMEOUT_MS} milliseconds"));
        }
        if !(1..=MAX_ATTEMPTS).contains(&self.retry.attempts) {
            return at("/retry/attempts", format!("there are 1 to {MAX_ATTEMPTS} attempts, the first included"));
        }
        for (key, delay) in [("firstDelayMs", self.retry.first_delay_ms), ("maxDelayMs", self.retry.max_delay_ms)] {
            if delay > MAX_DELAY_MS {
                let why = format!("between two attempts lie at most {MAX_DELAY_MS} milliseconds, a day");
                return at(&format!("/retry/{key}"), why);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::FunctionSpec;
    use serde_json::{Value, json};

    fn wrong(extra: Value) -> Option<String> {
        let mut spec = json!({
            "effect": "read", "model": "delegated", "target": {"local": {"name": "x"}},
        });
        spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let spec: FunctionSpec = serde_json::from_value(spec).unwrap();
        spec.check().err().map(|(pointer, _)| pointer)
    }

    #[test]
    fn attempts_end_and_there_is_an_end_of_them() {
        for fine in [
            json!({}),
            json!({"timeoutMs": 1}),
            json!({"timeoutMs": 600_000, "retry": {"attempts": 1, "firstDelayMs": 0, "maxDelayMs": 0}}),
            json!({"retry": {"attempts": 20, "firstDelayMs": 86_400_000, "maxDelayMs": 86_400_000}}),
        ] {
            assert_eq!(wrong(fine.clone()), None, "{fine}");
        }
        for (bad, pointer) in [
            (json!({"timeoutMs": 0}), "/timeoutMs"),
            (json!({"timeoutMs": 600_001}), "/timeoutMs"),
            (json!({"timeoutMs": u64::MAX}), "/timeoutMs"),
            (json!({"retry": {"attempts": 0}}), "/retry/attempts"),
            (json!({"retry": {"attempts": 4_000_000_000_u32}}), "/retry/attempts"),
            (json!({"retry": {"firstDelayMs": 86_400_001}}), "/retry/firstDelayMs"),
            (json!({"retry": {"maxDelayMs": u64::MAX}}), "/retry/maxDelayMs"),
        ] {
            assert_eq!(wrong(bad.clone()).as_deref(), Some(pointer), "{bad}");
        }
    }
}
