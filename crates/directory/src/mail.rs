//! One mail address.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest address, local part and domain label, in bytes (RFC 5321 §4.5.3.1).
const MAX_ADDRESS: usize = 254;
const MAX_LOCAL: usize = 64;
const MAX_LABEL: usize = 63;

/// Exactly one mail address, `board@finance.example`, that has one spelling only: a dot-atom of ASCII
/// letters, digits and `._+-'`, `@`, and a domain of at least two labels in lower case. No display name,
/// no comment, no quoting, no second recipient: none of those characters is allowed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MailAddress(String);

impl MailAddress {
    /// Checks and wraps an address.
    ///
    /// # Errors
    /// What is wrong with it; never the text itself.
    pub fn new(text: impl Into<String>) -> Result<Self, String> {
        let text = text.into();
        let wrong = |why: &str| format!("is not one mail address such as board@finance.example: {why}");
        if text.len() > MAX_ADDRESS {
            return Err(wrong("it is longer than 254 characters"));
        }
        let (local, domain) = text.split_once('@').ok_or_else(|| wrong("it has no @"))?;
        let in_local = |b: u8| b.is_ascii_alphanumeric() || b"._+-'".contains(&b);
        if local.is_empty() || local.len() > MAX_LOCAL || !local.bytes().all(in_local) {
            return Err(wrong("before the @ stand 1 to 64 letters, digits or . _ + - '"));
        }
        if local.split('.').any(str::is_empty) {
            return Err(wrong("before the @ a dot stands between other characters"));
        }
        let in_label = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let is_label = |label: &str| {
            (1..=MAX_LABEL).contains(&label.len())
                && label.bytes().all(in_label)
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if !domain.contains('.') || !domain.split('.').all(is_label) {
            return Err(wrong("after the @ stands a domain name in lower case, such as finance.example"));
        }
        Ok(Self(text))
    }

    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands after the `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, domain)| domain)
    }

    /// The form in which a credential's owner allows it: `mailto:board@finance.example` (RFC 6068).
    #[must_use]
    pub fn destination(&self) -> String {
        format!("mailto:{}", self.0)
    }
}

impl fmt::Display for MailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl TryFrom<String> for MailAddress {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::new(text)
    }
}
impl From<MailAddress> for String {
    fn from(address: MailAddress) -> Self {
        address.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn takes_one_address_and_none_of_the_tricks() {
        for good in ["board@finance.example", "a@b.c", "o'neill+q3@x-1.example.com", "a.b_c-d@1.2"] {
            assert_eq!(MailAddress::new(good).unwrap().destination(), format!("mailto:{good}"));
        }
        let long = format!("{}@a.b", "x".repeat(65));
        for bad in [
            "",
            "@",
            "board",
            "board@",
            "@finance.example",
            "board@localhost",
            "board@Finance.example",
            "board@finance..example",
            "board@finance.example.",
            "board@-finance.example",
            "board@[127.0.0.1]",
            ".a@b.c",
            "a.@b.c",
            "a..b@c.d",
            "a@b.c@d.e",
            "a@b.c,d@e.f",
            "a@b.c;d@e.f",
            "a@b.c d@e.f",
            "a@b.c\r\nRCPT TO:<x@y.z>",
            "a@b.c\n",
            "a@b.c>",
            "<a@b.c>",
            "Board <a@b.c>",
            "\"a b\"@c.d",
            "a(comment)@b.c",
            "a%b@c.d",
            "a?cc=x@b.c",
            "a\0@b.c",
            "bo\u{430}rd@finance.example",
            "board@fin\u{430}nce.example",
            "a\u{202e}@b.c",
            &long,
        ] {
            assert!(MailAddress::new(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_passes_is_one_line_of_one_address(text in "[ -~\r\n\u{0}\u{202e}]{0,40}|[a-z.@+]{1,12}") {
            if let Ok(address) = MailAddress::new(text) {
                let text = address.as_str();
                prop_assert_eq!(text.matches('@').count(), 1);
                prop_assert!(text.bytes().all(|b| b.is_ascii_graphic() && !b"<>,;:\"()[]\\".contains(&b)));
            }
        }
    }
}
