//! What a mail server answers to which command, and when. Pure.

use mandate_kernel::base64_decode;

/// Most recipients of one mail, and wrong credentials of one connection.
const MAX_RECIPIENTS: usize = 10;
const MAX_ATTEMPTS: u32 = 3;

/// Longest address.
const MAX_ADDRESS: usize = 254;

/// What happens after a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// This reply.
    Say(&'static str),
    /// Goodbye.
    Leave,
    /// Look at this credential, `user:password`, and tell [`Talk::signed_in`].
    SignIn(String),
    /// Read the message, then ask for the envelope.
    Message,
}

/// What a line is expected to be.
#[derive(Debug, Default)]
enum Expect {
    #[default]
    Command,
    /// The answer to an empty challenge of `PLAIN`.
    Plain,
    /// The answers of `LOGIN`.
    User,
    Password(String),
}

/// One conversation.
#[derive(Debug, Default)]
pub(super) struct Talk {
    expect: Expect,
    greeted: bool,
    signed_in: bool,
    attempts: u32,
    from: Option<String>,
    to: Vec<String>,
}

impl Talk {
    /// Takes the next line, without its end.
    pub(super) fn hear(&mut self, line: &str) -> Next {
        match std::mem::take(&mut self.expect) {
            Expect::Command => self.command(line),
            Expect::Plain => plain(line),
            Expect::User => match decoded(line) {
                Some(user) => {
                    self.expect = Expect::Password(user);
                    Next::Say("334 UGFzc3dvcmQ6")
                }
                None => Next::Say("501 5.5.2 not base64"),
            },
            Expect::Password(user) => match decoded(line) {
                Some(password) => Next::SignIn(format!("{user}:{password}")),
                None => Next::Say("501 5.5.2 not base64"),
            },
        }
    }

    fn command(&mut self, line: &str) -> Next {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" | "HELO" => {
                (self.greeted, self.from, self.to) = (true, None, Vec::new());
                Next::Say("250-localhost\r\n250-8BITMIME\r\n250-SIZE 1048576\r\n250 AUTH PLAIN LOGIN")
            }
            "QUIT" => Next::Leave,
            "NOOP" => Next::Say("250 2.0.0 ok"),
            "RSET" => {
                (self.from, self.to) = (None, Vec::new());
                Next::Say("250 2.0.0 ok")
            }
            _ if !self.greeted => Next::Say("503 5.5.1 say EHLO first"),
            "AUTH" => self.auth(rest),
            "MAIL" | "RCPT" | "DATA" if !self.signed_in => Next::Say("530 5.7.0 sign in first"),
            "MAIL" => match address(rest, "FROM:") {
                Some(_) if self.from.is_some() => Next::Say("503 5.5.1 one mail at a time"),
                Some(from) => {
                    self.from = Some(from);
                    Next::Say("250 2.1.0 ok")
                }
                None => Next::Say("501 5.1.7 not an address"),
            },
            "RCPT" => match address(rest, "TO:") {
                _ if self.from.is_none() => Next::Say("503 5.5.1 say MAIL first"),
                _ if self.to.len() >= MAX_RECIPIENTS => Next::Say("452 4.5.3 too many recipients"),
                Some(to) if to.contains('@') => {
                    self.to.push(to);
                    Next::Say("250 2.1.5 ok")
                }
                _ => Next::Say("501 5.1.3 not an address"),
            },
            "DATA" if self.to.is_empty() => Next::Say("503 5.5.1 say RCPT first"),
            "DATA" => Next::Message,
            _ => Next::Say("502 5.5.1 no such command here"),
        }
    }

    fn auth(&mut self, rest: &str) -> Next {
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        match (mechanism.to_ascii_uppercase().as_str(), initial) {
            _ if self.signed_in => Next::Say("503 5.5.1 signed in already"),
            ("PLAIN", "") => {
                self.expect = Expect::Plain;
                Next::Say("334 ")
            }
            ("PLAIN", initial) => plain(initial),
            ("LOGIN", "") => {
                self.expect = Expect::User;
                Next::Say("334 VXNlcm5hbWU6")
            }
            _ => Next::Say("504 5.5.4 PLAIN or LOGIN"),
        }
    }

    /// Takes whether the credential fits. False when this was one attempt too many.
    pub(super) const fn signed_in(&mut self, fits: bool) -> bool {
        self.signed_in = fits;
        self.attempts += 1;
        fits || self.attempts < MAX_ATTEMPTS
    }

    /// Sender and recipients of the message just read; the next mail begins anew.
    pub(super) fn take_envelope(&mut self) -> (String, Vec<String>) {
        (self.from.take().unwrap_or_default(), std::mem::take(&mut self.to))
    }
}

/// `authzid NUL authcid NUL password` (RFC 4616).
fn plain(text: &str) -> Next {
    let decoded = decoded(text).unwrap_or_default();
    match decoded.split('\0').collect::<Vec<_>>()[..] {
        [_, user, password] => Next::SignIn(format!("{user}:{password}")),
        _ => Next::Say("501 5.5.2 not the answer to PLAIN"),
    }
}

fn decoded(text: &str) -> Option<String> {
    String::from_utf8(base64_decode(text).ok()?).ok()
}

/// What stands in `FROM:<…>` or `TO:<…>`; parameters after it are taken and mean nothing here.
fn address(rest: &str, key: &str) -> Option<String> {
    let head = rest.get(..key.len()).filter(|head| head.eq_ignore_ascii_case(key))?;
    let (address, _) = rest.get(head.len()..)?.trim_start().strip_prefix('<')?.split_once('>')?;
    let plain = address.bytes().all(|b| b.is_ascii_graphic() && b != b'<');
    (plain && address.len() <= MAX_ADDRESS).then(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mandate_kernel::base64_encode;

    fn code(talk: &mut Talk, line: &str) -> String {
        match talk.hear(line) {
            Next::Say(reply) => reply.rsplit("\r\n").next().unwrap()[..3].to_owned(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn nothing_is_taken_out_of_turn() {
        let mut talk = Talk::default();
        let credential = base64_encode(b"\0mandate:x\0y");
        for (line, expected) in [
            ("MAIL FROM:<a@b.c>", "503"),
            ("AUTH PLAIN", "503"),
            ("ehlo x", "250"),
            ("DATA", "530"),
            ("MAIL FROM:<a@b.c>", "530"),
            ("AUTH CRAM-MD5", "504"),
            ("AUTH PLAIN !", "501"),
            ("AUTH PLAIN", "334"),
        ] {
            assert_eq!(code(&mut talk, line), expected, "{line}");
        }
        assert_eq!(talk.hear(&credential), Next::SignIn("mandate:x:y".to_owned()));
        assert!(talk.signed_in(true));
        for (line, expected) in [
            ("AUTH PLAIN", "503"),
            ("RCPT TO:<a@b.c>", "503"),
            ("MAIL FROM:a@b.c", "501"),
            ("MAIL FROM:<a b>", "501"),
            ("MAIL FROM:<a@b.c> BODY=8BITMIME", "250"),
            ("MAIL FROM:<a@b.c>", "503"),
            ("DATA", "503"),
            ("RCPT TO:<>", "501"),
            ("RCPT TO:<d@e.f>", "250"),
            ("STARTTLS", "502"),
        ] {
            assert_eq!(code(&mut talk, line), expected, "{line}");
        }
        assert_eq!(talk.hear("DATA"), Next::Message);
        assert_eq!(talk.take_envelope(), ("a@b.c".to_owned(), vec!["d@e.f".to_owned()]));
        assert_eq!(code(&mut talk, "DATA"), "503");
    }

    #[test]
    fn both_ways_to_sign_in_and_no_third_guess() {
        let mut talk = Talk::default();
        talk.hear("EHLO x");
        for attempt in 1..=3 {
            assert_eq!(code(&mut talk, "AUTH LOGIN"), "334");
            assert_eq!(code(&mut talk, &base64_encode(b"mandate")), "334");
            assert_eq!(talk.hear(&base64_encode(b"guess")), Next::SignIn("mandate:guess".to_owned()));
            assert_eq!(talk.signed_in(false), attempt < 3);
        }
    }
}
