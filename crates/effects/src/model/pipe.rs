//! A way to one host that carries a bounded number of bytes back.
//!
//! The client library reads an answer to its end, however long that is. So it is given no way to the
//! network of its own: it connects to a socket in a folder of ours, and whatever it connects to there
//! is passed on to the one host, TLS and all, until the bound is reached.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{TcpStream, UnixListener};
use tokio::task::JoinHandle;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What became of a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing was passed on: there is no connection yet, or there will be none.
    Unconnected,
    /// Connected.
    Open,
    /// Cut, because more came back than may.
    Cut,
}

/// One pipe, for one connection. Dropping it closes it.
pub(super) struct Pipe {
    path: PathBuf,
    fate: Arc<AtomicU8>,
    task: JoinHandle<()>,
}

impl Pipe {
    /// Opens a pipe in a folder that nobody else can look into. At most `limit` bytes come back.
    ///
    /// # Errors
    /// The socket can't be made.
    pub(super) fn open(folder: &Path, number: u64, host: String, port: u16, limit: usize) -> io::Result<Self> {
        let path = folder.join(number.to_string());
        let listener = UnixListener::bind(&path)?;
        let fate = Arc::new(AtomicU8::new(0));
        let told = Arc::clone(&fate);
        let task = tokio::spawn(async move {
            // The client sees a broken connection; why is told by the fate.
            let _ = carry(listener, &host, port, limit, &told).await;
        });
        Ok(Self { path, fate, task })
    }

    /// Where the client connects.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn fate(&self) -> Fate {
        match self.fate.load(Ordering::SeqCst) {
            0 => Fate::Unconnected,
            1 => Fate::Open,
            _ => Fate::Cut,
        }
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.task.abort();
        // Left behind it would only be a name that leads nowhere.
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn carry(listener: UnixListener, host: &str, port: u16, limit: usize, fate: &AtomicU8) -> io::Result<()> {
    let (client, _) = listener.accept().await?;
    drop(listener);
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect((host, port))).await;
    let server = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
    fate.store(1, Ordering::SeqCst);
    let (back, mut there) = server.into_split();
    let (mut asked, answered) = client.into_split();
    let asking = async move {
        tokio::io::copy(&mut asked, &mut there).await?;
        there.shutdown().await
    };
    // When nothing more comes back, the rest of the question is of no use.
    tokio::select! {
        ended = answer(back, answered, limit, fate) => ended,
        Err(broken) = asking => Err(broken),
    }
}

async fn answer(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, limit: usize, fate: &AtomicU8) -> io::Result<()> {
    let (mut left, mut buffer) = (limit, vec![0u8; 16 << 10]);
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        if count > left {
            fate.store(2, Ordering::SeqCst);
            return Err(io::Error::other("more came back than may"));
        }
        left -= count;
        to.write_all(buffer.get(..count).unwrap_or_default()).await?;
    }
}
