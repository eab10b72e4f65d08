//! The answer to a `Digest` challenge (RFC 7616): `qop=auth`, SHA-256, and MD5 where the operator lets it be.
//!
//! A challenge is answered once, for the very request that it came for; each nonce is used with the count 1.
//! No crate for it is kept up; what is needed is little, and the RFC has examples.

use mandate_kernel::Digest;
use md5::{Digest as _, Md5};
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// The longest challenge that is read, in bytes.
const MAX_CHALLENGE: usize = 4 << 10;

/// A hash that a challenge may name, `-sess` apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Hash {
    Md5,
    Sha256,
}

/// A challenge that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    hash: Hash,
    session: bool,
    userhash: bool,
}

/// For whom and what a challenge is answered.
pub(crate) struct Answering<'a> {
    pub(crate) username: &'a str,
    pub(crate) password: &'a str,
    pub(crate) method: &'a str,
    /// Path and query, as they stand in the request's first line.
    pub(crate) target: &'a str,
    pub(crate) cnonce: &'a str,
}

impl Challenge {
    /// The strongest of an answer's challenges that can be answered.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn of(headers: &HeaderMap, md5: bool) -> Result<Self, &'static str> {
        let mut best: Option<Self> = None;
        let mut why = "asks for no Digest";
        for value in headers.get_all(WWW_AUTHENTICATE) {
            let Some(text) = value.to_str().ok().filter(|text| text.len() <= MAX_CHALLENGE) else { continue };
            for one in challenges(text) {
                match Self::read(one) {
                    Ok(found) if found.hash == Hash::Md5 && !md5 => {
                        why = "asks for MD5, which the connection does not allow"
                    }
                    Ok(found) if best.as_ref().is_none_or(|best| best.hash < found.hash) => best = Some(found),
                    Ok(_) => {}
                    Err(reason) => why = reason,
                }
            }
        }
        best.ok_or(why)
    }

    fn read(text: &str) -> Result<Self, &'static str> {
        let unreadable = "asks by a Digest challenge that can't be read";
        let parameters = parameters(text).ok_or(unreadable)?;
        let get =
            |name: &str| parameters.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, v)| v.clone());
        let algorithm = get("algorithm").unwrap_or_else(|| "MD5".to_owned()).to_ascii_uppercase();
        let (name, session) = algorithm.strip_suffix("-SESS").map_or((algorithm.as_str(), false), |name| (name, true));
        let hash = match name {
            "MD5" => Hash::Md5,
            "SHA-256" => Hash::Sha256,
            _ => return Err("asks for a Digest by a hash that is not known here"),
        };
        // Without `qop` there is no count and no nonce of ours: what RFC 2069 did.
        let qop = get("qop").ok_or("asks for a Digest without qop=auth")?;
        if !qop.split(',').any(|one| one.trim().eq_ignore_ascii_case("auth")) {
            return Err("asks for a Digest without qop=auth");
        }
        Ok(Self {
            realm: get("realm").ok_or(unreadable)?,
            nonce: get("nonce").filter(|nonce| !nonce.is_empty()).ok_or(unreadable)?,
            opaque: get("opaque"),
            hash,
            session,
            userhash: get("userhash").is_some_and(|flag| flag.eq_ignore_ascii_case("true")),
        })
    }

    /// The value of `Authorization`.
    pub(crate) fn answer(&self, by: &Answering<'_>) -> String {
        let hash = |parts: &[&str]| self.hash.of(&parts.join(":"));
        let mut a1 = hash(&[by.username, &self.realm, by.password]);
        if self.session {
            a1 = hash(&[&a1, &self.nonce, by.cnonce]);
        }
        let a2 = hash(&[by.method, by.target]);
        let response = hash(&[&a1, &self.nonce, "00000001", by.cnonce, "auth", &a2]);
        let username = if self.userhash { hash(&[by.username, &self.realm]) } else { by.username.to_owned() };
        let algorithm = match (self.hash, self.session) {
            (Hash::Md5, false) => "MD5",
            (Hash::Md5, true) => "MD5-sess",
            (Hash::Sha256, false) => "SHA-256",
            (Hash::Sha256, true) => "SHA-256-sess",
        };
        let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        let opaque = self.opaque.as_ref().map(|text| format!(", opaque=\"{}\"", quoted(text))).unwrap_or_default();
        format!(
            "Digest username=\"{}\", realm=\"{}\", uri=\"{}\", algorithm={algorithm}, nonce=\"{}\", nc=00000001, cnonce=\"{}\", qop=auth, response=\"{response}\"{opaque}, userhash={}",
            quoted(&username),
            quoted(&self.realm),
            quoted(by.target),
            quoted(&self.nonce),
            quoted(by.cnonce),
            self.userhash,
        )
    }
}

impl Hash {
    fn of(self, text: &str) -> String {
        match self {
            Self::Sha256 => Digest::of(text.as_bytes()).to_hex(),
            Self::Md5 => Md5::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

/// The parameters of each `Digest` challenge in a header's value, which may hold several challenges (RFC 9110 §11.6.1).
fn challenges(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut begin, mut in_text, mut escaped, mut at_start) = (None, false, false, true);
    for (at, byte) in text.bytes().enumerate() {
        if in_text {
            (in_text, escaped) = (escaped || byte != b'"', !escaped && byte == b'\\');
            continue;
        }
        if at_start && let Some(length) = scheme_at(text, at) {
            if let Some(from) = begin.take() {
                found.push(text.get(from..at).unwrap_or_default());
            }
            begin = is_digest(text, at).then_some(at.saturating_add(length));
        }
        in_text = byte == b'"';
        at_start = byte == b',' || (at_start && matches!(byte, b' ' | b'\t'));
    }
    found.extend(begin.and_then(|from| text.get(from..)));
    found
}

/// The length of a scheme's name that begins here: a token followed by a space and no `=`.
fn scheme_at(text: &str, at: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    let length = rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b)).count();
    let after = rest.get(length..)?;
    let name =
        length > 0 && (after.is_empty() || after.starts_with([' ', ','])) && !after.trim_start().starts_with('=');
    name.then_some(length)
}

fn is_digest(text: &str, at: usize) -> bool {
    let end = at.saturating_add("Digest".len());
    text.get(at..end).is_some_and(|name| name.eq_ignore_ascii_case("Digest"))
        && text.get(end..).is_some_and(|after| after.starts_with(' '))
}

/// `name=token` and `name="text"`, by commas. A name that stands twice makes it unreadable.
fn parameters(text: &str) -> Option<Vec<(String, String)>> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let (name, after) = (name.trim(), after.trim_start());
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let (value, after) = after.split_at(after.find(',').unwrap_or(after.len()));
                (value.trim().to_owned(), after)
            }
        };
        if name.is_empty()
            || value.chars().any(char::is_control)
            || found.iter().any(|(n, _)| n.eq_ignore_ascii_case(name))
        {
            return None;
        }
        found.push((name.to_owned(), value));
        rest = match after.trim_start().strip_prefix(',') {
            Some(rest) => rest.trim_start_matches([',', ' ', '\t']),
            None if after.trim().is_empty() => "",
            None => return None,
        };
    }
    Some(found)
}

/// A quoted text up to its end, and what follows.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let (mut value, mut escaped) = (String::new(), false);
    for (at, character) in text.char_indices() {
        match (escaped, character) {
            (false, '\\') => escaped = true,
            (false, '"') => return Some((value, text.get(at.saturating_add(1)..)?)),
            _ => {
                escaped = false;
                value.push(character);
            }
        }
    }
    None
}

#[cfg(test)]
#[path = "challenge_tests.rs"]
mod tests;
