//! The words before encryption (RFC 3207), byte by byte: nothing that a stranger puts in before the
//! handshake is taken for something said after it.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Longest reply line in bytes (RFC 5321 §4.5.3.1.5), and most lines of one reply.
const MAX_LINE: usize = 512;
const MAX_LINES: usize = 64;

/// Asks the server to begin encryption. Afterwards the next byte on the stream is the handshake's.
///
/// # Errors
/// What it said instead. A server that does not offer encryption is an error: somebody on the way may
/// have taken the offer out.
pub(super) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, name: &str) -> Result<(), String> {
    expect(stream, b"220", "its greeting").await?;
    stream.write_all(format!("EHLO {name}\r\n").as_bytes()).await.map_err(broke)?;
    let offers = expect(stream, b"250", "its answer to EHLO").await?;
    if !offers.iter().any(|line| line.eq_ignore_ascii_case(b"STARTTLS")) {
        return Err("it does not offer STARTTLS, and nothing is sent unencrypted".to_owned());
    }
    stream.write_all(b"STARTTLS\r\n").await.map_err(broke)?;
    expect(stream, b"220", "its answer to STARTTLS").await.map(drop)
}

fn broke(error: std::io::Error) -> String {
    format!("the connection broke before encryption ({})", error.kind())
}

/// Reads one reply with this code; gives the texts of its lines.
async fn expect<S: AsyncRead + Unpin>(stream: &mut S, code: &[u8; 3], what: &str) -> Result<Vec<Vec<u8>>, String> {
    let mut texts = Vec::new();
    for _ in 0..MAX_LINES {
        let line = line(stream).await?;
        let (said, rest) = line.split_at_checked(3).ok_or_else(|| format!("{what} is not a reply"))?;
        if said != code {
            return Err(format!("{what} is not the expected {}", String::from_utf8_lossy(code)));
        }
        let (last, text) = match rest.split_first() {
            None => (true, rest),
            Some((b' ', text)) => (true, text),
            Some((b'-', text)) => (false, text),
            Some(_) => return Err(format!("{what} is not a reply")),
        };
        texts.push(text.to_vec());
        if last {
            return Ok(texts);
        }
    }
    Err(format!("{what} has more than {MAX_LINES} lines"))
}

/// One line without its end.
async fn line<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Vec<u8>, String> {
    let mut line = Vec::new();
    loop {
        match stream.read_u8().await.map_err(broke)? {
            b'\n' if line.last() == Some(&b'\r') => {
                line.pop();
                return Ok(line);
            }
            _ if line.len() >= MAX_LINE => return Err(format!("it said a line of more than {MAX_LINE} bytes")),
            byte => line.push(byte),
        }
    }
}
