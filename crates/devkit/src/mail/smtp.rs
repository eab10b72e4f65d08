//! The mail server (RFC 5321) with sign-in (RFC 4954), on the loopback. Every connection is bounded in
//! time and bytes, and their number is bounded, too.

use super::mailbox::{Mail, keep};
use super::talk::{Next, Talk};
use crate::MailFaults;
use crate::credential::fits;
use crate::db::Db;
use mandate_kernel::{Clock, Digest};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

/// Connections at a time, and how long one may last.
const MAX_CONNECTIONS: usize = 32;
const MAX_TIME: Duration = Duration::from_secs(60);

/// Longest command line (RFC 4954 §4 wants 12288 for sign-in), and longest message, in bytes.
const MAX_LINE: u64 = 12_288;
const MAX_MESSAGE: usize = 1 << 20;

/// Where mails go.
pub(crate) struct Sink {
    db: Db,
    clock: Arc<dyn Clock>,
    delay: Duration,
    silent: AtomicU32,
}

impl Sink {
    pub(crate) fn new(db: Db, clock: Arc<dyn Clock>, faults: MailFaults) -> Self {
        Self { db, clock, delay: faults.delay, silent: AtomicU32::new(faults.after_message) }
    }
}

/// Serves until `stop` turns true; then no new connection is taken, and open ones are closed.
pub(crate) fn spawn(listener: TcpListener, sink: Sink, mut stop: watch::Receiver<bool>) -> JoinHandle<()> {
    let (sink, room) = (Arc::new(sink), Arc::new(Semaphore::new(MAX_CONNECTIONS)));
    tokio::spawn(async move {
        let mut talks = tokio::task::JoinSet::new();
        loop {
            let accepted = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                accepted = listener.accept() => accepted,
            };
            while talks.try_join_next().is_some() {}
            let (Ok((stream, _)), Ok(place)) = (accepted, Arc::clone(&room).try_acquire_owned()) else { continue };
            let sink = Arc::clone(&sink);
            talks.spawn(async move {
                // Whoever is too slow, or breaks off, has handed in nothing.
                let _ = tokio::time::timeout(MAX_TIME, hold(stream, &sink)).await;
                drop(place);
            });
        }
        talks.shutdown().await;
    })
}

async fn hold(stream: TcpStream, sink: &Sink) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 localhost ESMTP mail sink\r\n").await?;
    let mut talk = Talk::default();
    while let Some(line) = line(&mut stream).await? {
        let reply = match talk.hear(&line) {
            Next::Say(reply) => reply.to_owned(),
            Next::Leave => return stream.write_all(b"221 2.0.0 bye\r\n").await,
            Next::SignIn(given) => {
                let digest = Digest::of(given.as_bytes());
                let fits = sink.db.run(move |connection| fits(connection, digest)).await.unwrap_or(false);
                if !talk.signed_in(fits) {
                    return stream.write_all(b"421 4.7.0 too many attempts\r\n").await;
                }
                if fits { "235 2.7.0 welcome" } else { "535 5.7.8 the credential is not known" }.to_owned()
            }
            Next::Message => {
                stream.write_all(b"354 end with a dot on a line of its own\r\n").await?;
                let Some(raw) = message(&mut stream).await? else {
                    return stream.write_all(b"552 5.3.4 the message is too long\r\n").await;
                };
                let (from, to) = talk.take_envelope();
                match take(sink, Mail { received_at: sink.clock.now(), from, to, raw }).await {
                    Some(reply) => reply,
                    None => return Ok(()),
                }
            }
        };
        stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
    }
    Ok(())
}

/// Keeps a mail. `None`: it is kept, and nothing is said, on purpose.
async fn take(sink: &Sink, mail: Mail) -> Option<String> {
    tokio::time::sleep(sink.delay).await;
    let kept = sink.db.run(move |connection| keep(connection, &mail)).await;
    let silent = sink.silent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
    match kept {
        Ok(_) if silent => None,
        Ok(number) => Some(format!("250 2.0.0 kept as {number}")),
        Err(cause) => {
            tracing::warn!(%cause, "the mail sink could not keep a mail");
            Some("451 4.3.0 it could not be kept".to_owned())
        }
    }
}

/// A line without its end; `None` at the end of the connection.
async fn line(stream: &mut BufReader<TcpStream>) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    (&mut *stream).take(MAX_LINE).read_until(b'\n', &mut bytes).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let text = bytes.strip_suffix(b"\r\n").and_then(|text| std::str::from_utf8(text).ok());
    text.map(|text| Some(text.to_owned())).ok_or_else(|| io::Error::other("not a line"))
}

/// A message to its dot, the doubled dots made single again (RFC 5321 §4.5.2); `None` when it is too long.
async fn message(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Vec<u8>>> {
    let mut message = Vec::new();
    loop {
        let begun = message.len();
        let left = u64::try_from(MAX_MESSAGE.saturating_sub(begun)).unwrap_or(0);
        let count = (&mut *stream).take(left).read_until(b'\n', &mut message).await?;
        let line = message.get(begun..).unwrap_or_default();
        match line {
            b".\r\n" => {
                message.truncate(begun);
                return Ok(Some(message));
            }
            _ if !line.ends_with(b"\n") && left <= u64::try_from(count).unwrap_or(0) => return Ok(None),
            _ if !line.ends_with(b"\n") => return Err(io::ErrorKind::UnexpectedEof.into()),
            [b'.', ..] => {
                message.remove(begun);
            }
            _ => {}
        }
    }
}
