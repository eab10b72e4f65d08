//! The mail sink, by plain TCP and plain HTTP.

use crate::platform::{World, world, world_of};
use mandate_devkit::{MailFaults, ReportFaults};
use mandate_kernel::base64_encode;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

const MESSAGE: &str = "From: a@b.example\r\nTo: board@demo.example\r\nSubject: =?utf-8?B?UXXDpHJ0ZXI=?=\r\n\
    Message-ID: <run_1.3@demo.example>\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n\
    RGVhciBhbGwsCm1hdHTDqXIK\r\n";

struct Client(BufReader<TcpStream>);

impl Client {
    async fn new(world: &World) -> Self {
        let address = world.house.smtp_address();
        let stream = TcpStream::connect(address.strip_prefix("smtp://").unwrap()).await.unwrap();
        let mut client = Self(BufReader::new(stream));
        assert_eq!(client.code().await, "220");
        assert_eq!(client.say("EHLO test").await, "250");
        client
    }

    /// The code of the next reply; empty when the connection is over.
    async fn code(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).await.unwrap_or(0);
            if line.as_bytes().get(3) != Some(&b'-') {
                return line.chars().take(3).collect();
            }
        }
    }

    async fn say(&mut self, line: &str) -> String {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
        self.code().await
    }

    async fn sign_in(&mut self, secret: &str) -> String {
        let (user, password) = secret.split_once(':').unwrap();
        self.say(&format!("AUTH PLAIN {}", base64_encode(format!("\0{user}\0{password}").as_bytes()))).await
    }

    async fn send(&mut self, message: &str) -> String {
        for (line, code) in
            [("MAIL FROM:<finance@demo.example>", "250"), ("RCPT TO:<board@demo.example>", "250"), ("DATA", "354")]
        {
            assert_eq!(self.say(line).await, code, "{line}");
        }
        self.say(&format!("{message}.")).await
    }
}

async fn mails(world: &World) -> Vec<Value> {
    world.client.get(world.house.mail_url()).send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn a_mail_is_kept_and_listed_and_a_second_sending_is_a_second_mail() {
    let world = world().await;
    let secret = world.house.take_smtp_password().unwrap();
    assert!(world.house.take_smtp_password().is_none());
    assert_eq!(mails(&world).await, Vec::<Value>::new());
    let mut client = Client::new(&world).await;
    assert_eq!(client.sign_in(secret.expose()).await, "235");
    assert_eq!(client.send(MESSAGE).await, "250");
    let listed = mails(&world).await;
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (&listed[0]["from"], &listed[0]["to"], &listed[0]["message_id"]),
        (&json!("finance@demo.example"), &json!(["board@demo.example"]), &json!("run_1.3@demo.example"))
    );
    assert_eq!((&listed[0]["subject"], &listed[0]["body"]), (&json!("Quärter"), &json!("Dear all,\nmattér\n")));
    assert!(listed[0]["received_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(client.send(MESSAGE).await, "250");
    assert_eq!(client.say("QUIT").await, "221");
    let world = world.restart().await;
    assert_eq!(mails(&world).await.len(), 2);
    let mut client = Client::new(&world).await;
    assert_eq!(client.sign_in(secret.expose()).await, "235");
    let newer = world.house.rotate_smtp_password().unwrap();
    let mut client = Client::new(&world).await;
    assert_eq!(client.sign_in(secret.expose()).await, "535");
    assert_eq!(client.sign_in(newer.expose()).await, "235");
    for file in std::fs::read_dir(world.folder.path().join("devkit")).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let secret = newer.expose().as_bytes();
        assert!(!bytes.windows(secret.len()).any(|part| part == secret));
    }
}

#[tokio::test]
async fn strangers_and_oddities_hand_in_nothing() {
    let world = world().await;
    let secret = world.house.take_smtp_password().unwrap();
    let mut client = Client::new(&world).await;
    assert_eq!(client.say("MAIL FROM:<a@b.c>").await, "530");
    for _ in 0..2 {
        assert_eq!(client.sign_in("mandate:guess").await, "535");
    }
    assert_eq!(client.sign_in("mandate:guess").await, "421");
    // A message that never ends, one that is broken off, a line that never ends.
    let mut long = Client::new(&world).await;
    assert_eq!(long.sign_in(secret.expose()).await, "235");
    assert_eq!(long.send(&"x".repeat((1 << 20) + 10)).await, "552");
    let mut broken = Client::new(&world).await;
    assert_eq!(broken.sign_in(secret.expose()).await, "235");
    for line in ["MAIL FROM:<a@b.c>", "RCPT TO:<a@b.c>", "DATA"] {
        broken.say(line).await;
    }
    broken.0.get_mut().write_all(b"half a mess").await.unwrap();
    drop(broken);
    let mut line = Client::new(&world).await;
    let _ = line.0.get_mut().write_all(&vec![b'x'; 64 << 10]).await;
    assert_eq!(line.code().await, "");
    assert_eq!(mails(&world).await.len(), 0);
    // It is still there for others, and its dots are honest.
    let mut client = Client::new(&world).await;
    assert_eq!(client.sign_in(secret.expose()).await, "235");
    assert_eq!(client.send("Subject: dots\r\n\r\n..\r\n..two\r\n").await, "250");
    assert_eq!(mails(&world).await[0]["body"], ".\n.two\n");
}

#[tokio::test]
async fn a_mail_can_be_kept_without_a_word_and_the_end_does_not_wait_for_a_talker() {
    let world =
        world_of(ReportFaults::default(), MailFaults { after_message: 1, ..MailFaults::default() }, Vec::new()).await;
    let secret = world.house.take_smtp_password().unwrap();
    for (code, count) in [("", 1), ("250", 2)] {
        let mut client = Client::new(&world).await;
        assert_eq!(client.sign_in(secret.expose()).await, "235");
        assert_eq!(client.send(MESSAGE).await, code);
        assert_eq!(mails(&world).await.len(), count);
    }
    let open = Client::new(&world).await;
    let begun = Instant::now();
    let world = world.restart().await;
    assert!(begun.elapsed() < Duration::from_secs(10));
    drop(open);
    assert_eq!(mails(&world).await.len(), 2);
}
