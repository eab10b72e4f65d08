//! The scalars of canonical JSON: text with the fewest escapes, numbers as ECMAScript writes them.

use super::EXACT_INTEGER;

/// Whether a byte can't stand in JSON text as it is.
const fn is_escaped(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Writes text between quotes (RFC 8785 §3.2.2.2). Says whether every byte is plain: ASCII, and written as it is.
pub(super) fn text(out: &mut Vec<u8>, text: &str) -> bool {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text.as_bytes();
    let mut plain = text.is_ascii();
    while let Some(at) = rest.iter().position(|byte| is_escaped(*byte)) {
        plain = false;
        let (before, from) = rest.split_at(at);
        out.extend_from_slice(before);
        let Some((byte, after)) = from.split_first() else { break };
        escape(out, *byte);
        rest = after;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
    plain
}

fn escape(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x09 => b't',
        0x0a => b'n',
        0x0c => b'f',
        0x0d => b'r',
        _ => {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 0xf)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Writes a number that is not NaN or infinite (RFC 8785 §3.2.2.3); says whether it is not.
pub(super) fn float(out: &mut Vec<u8>, number: f64) -> bool {
    if !number.is_finite() {
        return false;
    }
    out.extend_from_slice(ryu_js::Buffer::new().format_finite(number).as_bytes());
    true
}

/// Writes an integer. ECMAScript knows doubles alone: one beyond 2^53 is rounded like any other. Says whether it was
/// written as it is.
#[expect(clippy::cast_precision_loss, reason = "what is beyond 2^53 is to be rounded")]
pub(super) fn integer(out: &mut Vec<u8>, number: i128) -> bool {
    match i64::try_from(number) {
        Ok(exact) if exact.unsigned_abs() <= EXACT_INTEGER.unsigned_abs() => {
            out.extend_from_slice(itoa::Buffer::new().format(exact).as_bytes());
            true
        }
        _ => {
            float(out, number as f64);
            false
        }
    }
}
