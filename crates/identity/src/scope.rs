//! The two checked texts that authority is made of: scope tokens and audiences.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a text can't be part of an authority.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// Outside the scope-token characters of RFC 6749 §3.3.
    #[error("scope `{0}` is not valid: use 1 to 256 printable ASCII characters other than space, `\"` and `\\`")]
    Scope(String),
    /// Not an absolute URI without fragment and userinfo (RFC 8707 §2).
    #[error("audience `{0}` is not valid: write an absolute URI without fragment, such as https://warehouse.example")]
    Audience(String),
    /// Not a JSON pointer (RFC 6901), or too many of them.
    #[error("argument limit `{0}` is not valid: write a JSON pointer such as /quarter; at most 64 for each function")]
    Pointer(String),
}

/// The first 80 characters, with control characters replaced: for messages.
pub(crate) fn shortened(given: &str) -> String {
    given.chars().take(80).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $check:path, $error:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks and wraps a text.
            ///
            /// # Errors
            /// [`FormError`] when the text is not well formed.
            pub fn new(text: impl Into<String>) -> Result<Self, FormError> {
                let text = text.into();
                if $check(&text) { Ok(Self(text)) } else { Err($error(shortened(&text))) }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl std::str::FromStr for $name {
            type Err = FormError;
            fn from_str(text: &str) -> Result<Self, FormError> {
                Self::new(text)
            }
        }
        impl TryFrom<String> for $name {
            type Error = FormError;
            fn try_from(text: String) -> Result<Self, FormError> {
                Self::new(text)
            }
        }
        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }
    };
}

checked_text!(
    /// One scope token (RFC 6749 §3.3), such as `warehouse:read`. Compared as a whole, never by part.
    Scope, is_scope, FormError::Scope
);
checked_text!(
    /// Who a token is for: an absolute URI (RFC 8707 §2), compared byte by byte, never normalised.
    Audience, is_audience, FormError::Audience
);

fn is_scope(text: &str) -> bool {
    (1..=256).contains(&text.len()) && text.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

fn is_audience(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let scheme_ok = scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.'));
    // RFC 3986 characters only; `#` starts a fragment and `@` in the authority is userinfo.
    let chars_ok = rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&b));
    let authority_ok = match rest.strip_prefix("//") {
        Some(after) => {
            let authority = after.split(['/', '?']).next().unwrap_or("");
            !authority.is_empty() && !authority.contains('@')
        }
        None => !rest.is_empty(),
    };
    text.len() <= 512 && scheme_ok && chars_ok && authority_ok
}

/// A set of scopes as tokens write it: separated by single spaces, sorted, none twice.
pub(crate) mod list {
    use super::Scope;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::{borrow::Cow, collections::BTreeSet};

    pub(crate) fn join(scopes: &BTreeSet<Scope>) -> String {
        scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn serialize<S: Serializer>(scopes: &BTreeSet<Scope>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&join(scopes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeSet<Scope>, D::Error> {
        let text = Cow::<'de, str>::deserialize(from)?;
        let mut scopes = BTreeSet::new();
        for part in text.split(' ').filter(|_| !text.is_empty()) {
            if !scopes.insert(Scope::new(part).map_err(D::Error::custom)?) {
                return Err(D::Error::custom("a scope is listed twice"));
            }
        }
        Ok(scopes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_keep_to_rfc_6749() {
        for good in ["warehouse:read", "a", "!#[]~"] {
            assert!(Scope::new(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "a\"", "a\\b", "ä", "a\n", &"a".repeat(257)] {
            assert!(matches!(Scope::new(bad), Err(FormError::Scope(_))), "{bad}");
        }
    }

    #[test]
    fn audiences_are_absolute_uris() {
        for good in
            ["https://warehouse.example", "http://127.0.0.1:4000/x?y=1", "urn:demo:warehouse", "https://[::1]:1"]
        {
            assert!(Audience::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "warehouse",
            "//host",
            "https:",
            "https://",
            "https:///x",
            "https://u@host/",
            "https://host/#f",
            "HTTPS://host",
            "https://host/ x",
            "https://host/\u{e4}",
            "1x:y",
            &format!("https://h/{}", "a".repeat(512)),
        ] {
            assert!(matches!(Audience::new(bad), Err(FormError::Audience(_))), "{bad}");
        }
    }
}
