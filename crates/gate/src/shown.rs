//! The exact request as people are shown it: every byte, none of them able to hide or to turn the text
//! around (design, Authority).

use crate::Request;
use std::fmt::Write as _;

impl Request {
    /// The request as text, nothing cut: what it is, then its bytes.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Http(request) => {
                let mut text = format!("{} {}\n", request.method(), request.url().as_str());
                for (name, value) in
                    [("content-type", request.content_type()), ("idempotency-key", request.idempotency_key())]
                {
                    if let Some(value) = value {
                        // Writing into a String can't fail.
                        let _ = writeln!(text, "{name}: {value}");
                    }
                }
                for (name, value) in request.headers() {
                    let _ = writeln!(text, "{name}: {value}");
                }
                format!("{}\n{}", visible(text.as_bytes()), visible(request.body()))
            }
            Self::Local { name, arguments } => format!("local {}\n\n{}", visible(name.as_bytes()), visible(arguments)),
            Self::Mail { server, from, to, subject, body, message_id, date } => {
                let line = |name: &str, value: &str| format!("{name}: {}\n", visible(value.as_bytes()));
                [
                    line("server", server),
                    line("from", from),
                    line("to", to),
                    line("message-id", message_id),
                    line("date", &date.to_string()),
                    line("subject", subject),
                    format!("\n{}", visible(body.as_bytes())),
                ]
                .concat()
            }
            Self::Model { url, model, body } => {
                format!("model {} at {}\n\n{}", visible(model.as_bytes()), url.as_str(), visible(body))
            }
        }
    }
}

/// Bytes as text in which nothing hides: controls (but line feeds), invisible and direction-changing
/// characters become `\u{…}`, bytes that are no UTF-8 become `\x{…}`. A backslash that could be taken
/// for one of these is doubled.
#[must_use]
pub fn visible(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        let mut rest = chunk.valid().chars().peekable();
        while let Some(character) = rest.next() {
            match character {
                '\\' => {
                    let before_escape = match rest.peek() {
                        Some(next) => matches!(next, 'u' | 'x' | '\\') || (hides(*next) && *next != '\n'),
                        None => !chunk.invalid().is_empty(),
                    };
                    text.push_str(if before_escape { "\\\\" } else { "\\" });
                }
                '\n' => text.push('\n'),
                hidden if hides(hidden) => {
                    let _ = write!(text, "\\u{{{:x}}}", u32::from(hidden));
                }
                plain => text.push(plain),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{{{byte:02x}}}");
        }
    }
    text
}

/// Whether a character is a control, has no width, or changes the direction of text: Unicode's general
/// categories Cc, Cf, Zl and Zp, and the fillers that look like nothing.
fn hides(character: char) -> bool {
    character.is_control()
        || matches!(u32::from(character),
            0xAD | 0x34F | 0x600..=0x605 | 0x61C | 0x6DD | 0x70F | 0x890..=0x891 | 0x8E2 | 0x115F..=0x1160
            | 0x17B4..=0x17B5 | 0x180B..=0x180F | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0x3164
            | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFB | 0x110BD | 0x110CD | 0x13430..=0x1345F
            | 0x1BCA0..=0x1BCA3 | 0x1D173..=0x1D17A | 0xE0000..=0xE0FFF)
}

#[cfg(test)]
mod tests {
    use super::{Request, visible};

    /// A document's own headers are part of the digest that is approved: they are shown.
    #[test]
    fn every_header_of_a_request_is_shown() {
        let request = mandate_identity::CanonicalRequest::new("GET", "https://a.example/x", None, Vec::new(), None);
        let headers = [("x-mode".to_owned(), "delete all".to_owned())].into();
        let shown = Request::Http(request.unwrap().with_headers(headers).unwrap()).text();
        assert_eq!(shown, "GET https://a.example/x\nx-mode: delete all\n\n");
    }

    #[test]
    fn nothing_hides_and_nothing_is_cut() {
        for (bytes, shown) in [
            (&b"to: board@finance.example\nplain"[..], "to: board@finance.example\nplain"),
            ("a\u{202e}b\u{200b}c".as_bytes(), "a\\u{202e}b\\u{200b}c"),
            (b"a\r\x1b[31m\x00", "a\\u{d}\\u{1b}[31m\\u{0}"),
            (b"\xff\xfe", "\\x{ff}\\x{fe}"),
            // What pretends to be an escape is told from one.
            (b"\\u{202e} \\n \\\\u{1}", "\\\\u{202e} \\n \\\\\\\\u{1}"),
        ] {
            assert_eq!(visible(bytes), shown);
        }
    }

    #[test]
    fn different_bytes_look_different() {
        let samples: [&[u8]; 8] = [
            b"\\u{202e}",
            "\u{202e}".as_bytes(),
            b"\\\\u{202e}",
            b"\\\\\\u{202e}",
            b"\\x{ff}",
            b"\xff",
            b"\\\xff",
            "\\\u{202e}".as_bytes(),
        ];
        let shown: std::collections::BTreeSet<String> = samples.iter().map(|bytes| visible(bytes)).collect();
        assert_eq!(shown.len(), samples.len(), "{shown:?}");
    }
}
