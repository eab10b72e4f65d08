//! From a call's arguments to the message on the wire. Pure, and the same each time.

use lettre::message::header::{ContentType, MIME_VERSION_1_0};
use lettre::message::{Mailbox, Message};
use lettre::{Address, address::AddressError};
use mandate_kernel::{RunId, Timestamp};
use serde_json::{Map, Value};
use std::time::{Duration, UNIX_EPOCH};

/// Longest subject in characters.
const MAX_SUBJECT: usize = 200;

/// Longest text in bytes.
const MAX_BODY: usize = 64 << 10;

/// The last moment that a mail's date can name: the end of the year 9999.
const MAX_DATE_MS: u64 = 253_402_300_799_000;

/// The arguments of a mail.
#[derive(Debug)]
pub(super) struct Arguments<'a> {
    pub(super) all: &'a Map<String, Value>,
    pub(super) to: &'a str,
    pub(super) subject: &'a str,
    pub(super) body: &'a str,
}

/// Reads `{to, subject, body}`; all are texts, and there is nothing else. The address is not looked at.
///
/// # Errors
/// One sentence naming the argument; never its value.
pub(super) fn arguments(value: &Value) -> Result<Arguments<'_>, String> {
    let all = value.as_object().ok_or("arguments must be an object of named values")?;
    if let Some(unknown) = all.keys().find(|name| !["to", "subject", "body"].contains(&name.as_str())) {
        let name: String = unknown.chars().take(80).collect();
        return Err(format!("there is no argument `{name}`; a mail takes: to, subject, body"));
    }
    let text = |name: &str| match all.get(name) {
        None => Err(format!("argument `{name}` is missing")),
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(_) => Err(format!("argument `{name}` is not a text")),
    };
    let (to, subject, body) = (text("to")?, text("subject")?, text("body")?);
    if !(1..=MAX_SUBJECT).contains(&subject.chars().count()) {
        return Err(format!("argument `subject` is not 1 to {MAX_SUBJECT} characters"));
    }
    if subject.chars().any(|c| c.is_control() || is_hidden(c)) {
        return Err("argument `subject` has line breaks, controls or invisible characters".to_owned());
    }
    if subject.trim() != subject || subject.contains("  ") {
        return Err(
            "argument `subject` has a space at an end or two in a row, which mail programs take away".to_owned()
        );
    }
    if body.len() > MAX_BODY {
        return Err(format!("argument `body` is longer than {MAX_BODY} bytes"));
    }
    if body.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        return Err("argument `body` has control characters other than line feeds and tabs".to_owned());
    }
    Ok(Arguments { all, to, subject, body })
}

/// Characters that turn the direction of a line, break it or can't be seen: in a subject they serve
/// nothing but to make it look like another.
const fn is_hidden(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// When a run began, as its id tells (a ULID begins with 48 bits of milliseconds): the date of the
/// mails it sends, so that the same step always makes the same message.
pub(super) fn date(run: &RunId) -> Timestamp {
    const ALPHABET: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let ulid = run.as_str().rsplit('_').next().unwrap_or_default();
    let digit = |c: char| ALPHABET.find(c).and_then(|at| u64::try_from(at).ok()).unwrap_or(0);
    let millis = ulid.chars().take(10).fold(0u64, |ms, c| ms.wrapping_mul(32).wrapping_add(digit(c)));
    Timestamp::from_millis(i64::try_from(millis.min(MAX_DATE_MS)).unwrap_or(0))
}

/// The fields of a mail as they were judged.
pub(super) struct Fields<'a> {
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    pub(super) subject: &'a str,
    pub(super) body: &'a str,
    pub(super) message_id: &'a str,
    pub(super) date: Timestamp,
}

/// The message (RFC 5322): one text part in UTF-8, encoded so that it is ASCII.
///
/// # Errors
/// What could not be written.
pub(super) fn render(fields: &Fields<'_>) -> Result<Vec<u8>, String> {
    let mailbox = |text: &str| -> Result<Mailbox, AddressError> { Ok(Mailbox::new(None, text.parse::<Address>()?)) };
    let address = |e: AddressError| format!("an address can't be written: {e}");
    let millis = u64::try_from(fields.date.as_millis()).unwrap_or(0).min(MAX_DATE_MS);
    let message = Message::builder()
        .from(mailbox(fields.from).map_err(address)?)
        .to(mailbox(fields.to).map_err(address)?)
        .subject(fields.subject)
        .date(UNIX_EPOCH + Duration::from_millis(millis))
        .message_id(Some(format!("<{}>", fields.message_id)))
        .header(MIME_VERSION_1_0)
        .header(ContentType::TEXT_PLAIN)
        .body(fields.body.to_owned())
        .map_err(|e| format!("the message can't be written: {e}"))?;
    Ok(message.formatted())
}
