//! What parent and child say to each other: frames of a length (four bytes, big end first) and as many bytes
//! of JSON. Neither side reads a frame that is longer than it may be.
//!
//! The child begins with an empty frame: it is confined and ready. Then each request, a
//! [`mandate_flow::Job`] in canonical form, gets one answer: the values, or the error.

use mandate_flow::{ExprError, Job};
use serde_json::Value;
use std::io::{self, Read, Write};

/// Bytes of one request: the input and the variables of an evaluation, each within a run's bounds.
pub const REQUEST: usize = 64 << 20;
/// Bytes of one answer: values within a run's bounds, each byte of text escaped at worst.
pub const ANSWER: usize = 8 << 20;
/// Characters of an error's text.
const MESSAGE: usize = 500;

/// What an evaluation came to.
pub type Answer = Result<Vec<Value>, ExprError>;

/// The length a frame's head tells, if such a frame may be read.
#[must_use]
pub fn length(head: [u8; 4], most: usize) -> Option<usize> {
    usize::try_from(u32::from_be_bytes(head)).ok().filter(|length| *length <= most)
}

/// The head of a frame, if it may be sent.
#[must_use]
pub fn head(body: &[u8], most: usize) -> Option<[u8; 4]> {
    let length = u32::try_from(body.len()).ok()?;
    (body.len() <= most).then(|| length.to_be_bytes())
}

/// Reads a frame; `None` when the other side is gone.
///
/// # Errors
/// When it breaks off, or is longer than `most` bytes.
pub fn read(from: &mut impl Read, most: usize) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = [0; 4];
    let mut got = 0;
    while let Some(rest) = bytes.get_mut(got..).filter(|rest| !rest.is_empty()) {
        match from.read(rest) {
            Ok(0) if got == 0 => return Ok(None),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => got += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let length = length(bytes, most).ok_or(io::ErrorKind::InvalidData)?;
    // What is announced may never come: memory is taken as it comes.
    let mut body = Vec::new();
    from.take(length as u64).read_to_end(&mut body)?;
    if body.len() == length { Ok(Some(body)) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Writes a frame.
///
/// # Errors
/// When it can't be written, or is longer than `most` bytes.
pub fn write(to: &mut impl Write, body: &[u8], most: usize) -> io::Result<()> {
    let head = head(body, most).ok_or(io::ErrorKind::InvalidData)?;
    to.write_all(&head)?;
    to.write_all(body)?;
    to.flush()
}

/// Reads a request.
///
/// # Errors
/// When it is not a job.
pub fn parse_request(body: &[u8]) -> serde_json::Result<Job> {
    serde_json::from_slice(body)
}

/// Reads an answer to a job with so many expressions. What a child says is believed no further than this.
#[must_use]
pub fn parse_answer(body: &[u8], expressions: usize) -> Option<Answer> {
    let clipped = |text: String| text.chars().take(MESSAGE).collect();
    match serde_json::from_slice::<Answer>(body).ok()? {
        Ok(values) => {
            (values.len() == expressions && values.iter().all(mandate_kernel::is_exact)).then_some(Ok(values))
        }
        Err(ExprError::Failed(text)) => Some(Err(ExprError::Failed(clipped(text)))),
        Err(ExprError::Limit(text)) => Some(Err(ExprError::Limit(clipped(text)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_frame_breaks_off_or_is_whole() {
        let mut sent = Vec::new();
        write(&mut sent, b"abc", 3).unwrap();
        assert_eq!(read(&mut sent.as_slice(), 3).unwrap(), Some(b"abc".to_vec()));
        assert_eq!(read(&mut &sent[..0], 3).unwrap(), None);
        for cut in 1..sent.len() {
            assert_eq!(read(&mut &sent[..cut], 3).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
        assert_eq!(read(&mut sent.as_slice(), 2).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(write(&mut sent, b"abc", 2).is_err());
    }

    #[test]
    fn an_answer_is_believed_within_bounds_only() {
        let values = |text: &str| parse_answer(text.as_bytes(), 1);
        assert_eq!(values(r#"{"Ok":[1]}"#), Some(Ok(vec![1.into()])));
        assert_eq!(values(r#"{"Err":{"limit":"time"}}"#), Some(Err(ExprError::Limit("time".to_owned()))));
        let long = format!(r#"{{"Err":{{"failed":"{}"}}}}"#, "x".repeat(9_000));
        assert_eq!(values(&long), Some(Err(ExprError::Failed("x".repeat(MESSAGE)))));
        for garbled in
            ["", "{}", "1", r#"{"Ok":[]}"#, r#"{"Ok":[1,2]}"#, r#"{"Ok":[9007199254740993]}"#, r#"{"Ok":[1]} "x""#]
        {
            assert_eq!(values(garbled), None, "{garbled}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_frame_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..64), most in 0usize..64) {
            if let Ok(Some(body)) = read(&mut bytes.as_slice(), most) {
                prop_assert!(body.len() <= most);
                let mut again = Vec::new();
                write(&mut again, &body, most).unwrap();
                prop_assert!(bytes.starts_with(&again));
            }
        }

        #[test]
        fn any_bytes_are_an_answer_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..64), n in 0usize..3) {
            if let Some(Ok(values)) = parse_answer(&bytes, n) {
                prop_assert_eq!(values.len(), n);
            }
        }
    }
}
