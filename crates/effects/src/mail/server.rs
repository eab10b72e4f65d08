//! A mail server that behaves, but for one trick.

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What the server does at one point of the conversation: `greeting`, a command's verb, or `.`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Act {
    Say(&'static [u8]),
    /// Does what it should, and says this.
    TakeAndSay(&'static [u8]),
    Close,
    TakeAndClose,
    Hang,
    /// Says letters without an end, and never a line feed.
    Flood,
}

/// How the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Security {
    None,
    StartTls,
    Implicit,
}

/// What the server saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) connections: u32,
    pub(super) lines: Vec<String>,
    pub(super) mails: Vec<Vec<u8>>,
    pub(super) encrypted: bool,
}

pub(super) struct Server {
    pub(super) url: String,
    pub(super) seen: Arc<Mutex<Seen>>,
    /// What trusts it.
    pub(super) trust: ClientConfig,
}

struct Talk {
    trick: Option<(&'static str, Act)>,
    acceptor: Option<TlsAcceptor>,
    /// Said together with the answer to STARTTLS, still in plain.
    injected: &'static [u8],
    seen: Arc<Mutex<Seen>>,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

pub(super) async fn server(trick: Option<(&'static str, Act)>) -> Server {
    server_with(trick, Security::None, b"").await
}

pub(super) async fn server_with(
    trick: Option<(&'static str, Act)>,
    security: Security,
    injected: &'static [u8],
) -> Server {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    let provider = || Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let trust = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let scheme = if security == Security::Implicit { "smtps" } else { "smtp" };
    let url = format!("{scheme}://{}", listener.local_addr().unwrap());
    let seen: Arc<Mutex<Seen>> = Arc::default();
    let noted = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            noted.lock().unwrap().connections += 1;
            let start_tls = (security == Security::StartTls).then(|| acceptor.clone());
            let talk = Talk { trick, acceptor: start_tls, injected, seen: Arc::clone(&noted) };
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if security == Security::Implicit {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        talk.seen.lock().unwrap().encrypted = true;
                        talk.hold(Box::new(stream), true).await;
                    }
                } else {
                    talk.hold(Box::new(stream), true).await;
                }
            });
        }
    });
    Server { url, seen, trust }
}

impl Talk {
    /// Does the trick, if it is for here. `None` when the conversation is over.
    async fn act(&self, at: &str, usual: &[u8], stream: &mut (dyn Stream + '_)) -> Option<()> {
        let act = self.trick.filter(|(when, _)| *when == at).map_or(Act::TakeAndSay(b""), |(_, act)| act);
        let says = match act {
            Act::TakeAndSay(b"") => usual,
            Act::Say(bytes) | Act::TakeAndSay(bytes) => bytes,
            Act::Close | Act::TakeAndClose => return None,
            Act::Hang => {
                tokio::time::sleep(std::time::Duration::from_secs(60)).await;
                return None;
            }
            Act::Flood => loop {
                stream.write_all(&[b'2'; 4096]).await.ok()?;
            },
        };
        stream.write_all(says).await.ok()
    }

    fn takes(&self) -> bool {
        !matches!(self.trick, Some((".", Act::Say(_) | Act::Close | Act::Hang | Act::Flood)))
    }

    async fn hold(self, stream: Box<dyn Stream>, greet: bool) {
        let mut stream = BufReader::new(stream);
        if greet && self.act("greeting", b"220 test ESMTP\r\n", &mut stream).await.is_none() {
            return;
        }
        loop {
            let mut line = String::new();
            match stream.read_line(&mut line).await {
                Ok(0) | Err(_) => return,
                Ok(_) => self.seen.lock().unwrap().lines.push(line.clone()),
            }
            let verb = line.split([' ', '\r']).next().unwrap_or_default().to_ascii_uppercase();
            let offers: &[u8] = match self.acceptor {
                Some(_) if !self.seen.lock().unwrap().encrypted => b"250-test\r\n250 STARTTLS\r\n",
                _ => b"250-test\r\n250 AUTH PLAIN LOGIN\r\n",
            };
            let usual = match verb.as_str() {
                "EHLO" => offers,
                "AUTH" => b"235 welcome\r\n",
                "DATA" => b"354 go on\r\n",
                "QUIT" => b"221 bye\r\n",
                "STARTTLS" => b"220 go on\r\n",
                _ => b"250 ok\r\n",
            };
            if self.act(&verb, usual, &mut stream).await.is_none() || verb == "QUIT" {
                return;
            }
            if verb == "STARTTLS" {
                let Some(acceptor) = self.acceptor.clone() else { return };
                let _ = stream.write_all(self.injected).await;
                let Ok(secured) = acceptor.accept(stream.into_inner()).await else { return };
                self.seen.lock().unwrap().encrypted = true;
                return Box::pin(self.hold(Box::new(secured), false)).await;
            }
            if verb == "DATA" && self.message(&mut stream).await.is_none() {
                return;
            }
        }
    }

    async fn message(&self, stream: &mut BufReader<Box<dyn Stream>>) -> Option<()> {
        if matches!(self.trick, Some(("DATA", Act::Say(_)))) {
            return Some(());
        }
        let mut mail = Vec::new();
        while !mail.ends_with(b"\r\n.\r\n") {
            if let Some(("middle", Act::Close)) = self.trick
                && mail.len() > 10
            {
                return None;
            }
            mail.push(stream.read_u8().await.ok()?);
        }
        if self.takes() {
            self.seen.lock().unwrap().mails.push(mail);
        }
        self.act(".", b"250 2.0.0 queued as 42\r\n", stream).await
    }
}
