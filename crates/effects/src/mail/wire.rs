//! The connection to a mail server: bounded reading, and the knowledge of how far writing came.

use lettre::transport::smtp::client::AsyncTokioStream;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// Most bytes that a mail server may say in one conversation.
const MAX_HEARD: usize = 64 << 10;

/// What ends a message (RFC 5321 §4.1.1.4). Dots at the beginning of its lines are doubled, so that it
/// can't stand inside.
const END: &[u8; 5] = b"\r\n.\r\n";

/// What a client of a connection that is encrypted already expects first.
const GREETING: &[u8] = b"220 ready\r\n";

/// The bytes' way.
#[derive(Debug)]
pub(super) enum Way {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Whether the end of the message was handed to the system: from then on the server may have taken it.
#[derive(Debug, Clone, Default)]
pub(super) struct Ended(Arc<AtomicBool>);

impl Ended {
    pub(super) fn is(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// A connection to a mail server.
#[derive(Debug)]
pub(super) struct Wire {
    way: Way,
    heard: usize,
    /// What is read before anything of the way.
    before: &'static [u8],
    last: [u8; 5],
    ended: Ended,
}

impl Wire {
    /// `greeted`: the server's greeting was read already, and another is put in its place.
    pub(super) const fn new(way: Way, greeted: bool, ended: Ended) -> Self {
        Self { way, heard: 0, before: if greeted { GREETING } else { b"" }, last: [0; 5], ended }
    }

    fn note(&mut self, written: &[u8]) {
        for byte in written {
            self.last.rotate_left(1);
            if let Some(end) = self.last.last_mut() {
                *end = *byte;
            }
            if self.last == *END {
                self.ended.0.store(true, Ordering::SeqCst);
            }
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.before.is_empty() {
            let (now, later) = this.before.split_at(this.before.len().min(into.remaining()));
            into.put_slice(now);
            this.before = later;
            return Poll::Ready(Ok(()));
        }
        let before = into.filled().len();
        let polled = match &mut this.way {
            Way::Plain(stream) => Pin::new(stream).poll_read(context, into),
            Way::Tls(stream) => Pin::new(stream).poll_read(context, into),
        };
        this.heard += into.filled().len() - before;
        if this.heard > MAX_HEARD {
            return Poll::Ready(Err(io::Error::other("the server said more than 65536 bytes")));
        }
        polled
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let polled = match &mut this.way {
            Way::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Way::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        };
        if let Poll::Ready(Ok(count)) = &polled {
            this.note(bytes.get(..*count).unwrap_or(bytes));
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.way {
            Way::Plain(stream) => Pin::new(stream).poll_flush(context),
            Way::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.way {
            Way::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Way::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

impl AsyncTokioStream for Wire {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        match &self.way {
            Way::Plain(stream) => stream.peer_addr(),
            Way::Tls(stream) => stream.get_ref().0.peer_addr(),
        }
    }
}
