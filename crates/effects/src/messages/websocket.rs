//! Messages over a WebSocket (RFC 6455): one connection for one call.

use super::subscription::{Basket, Subscription, Taken};
use crate::dial::{Dialer, Wire};
use crate::http::failure;
use futures_util::{SinkExt as _, StreamExt as _};
use mandate_gate::EffectFailure;
use mandate_identity::CanonicalUrl;
use mandate_kernel::{Digest, EffectClass, Limits, crash};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderValue, header::AUTHORIZATION};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// How long the other side may take to say that it is done.
const GOODBYE: Duration = Duration::from_secs(2);

/// A call over a WebSocket.
pub(super) struct Socket<'a> {
    pub(super) dialer: &'a Dialer,
    /// The address, as `http` or `https`.
    pub(super) url: &'a CanonicalUrl,
    /// The value of `Authorization`.
    pub(super) authorization: Option<&'a str>,
    pub(super) effect: EffectClass,
    pub(super) limits: Limits,
}

type Open = WebSocketStream<Box<dyn Wire>>;

impl Socket<'_> {
    /// Sends one message, and waits until the other side has read up to the end: it answers the goodbye that
    /// follows the message.
    pub(super) async fn publish(&self, message: &[u8]) -> Result<(Value, Digest), EffectFailure> {
        let origin = self.url.origin();
        let text = std::str::from_utf8(message)
            .map_err(|_| failure::unsendable("the message is no text".to_owned()))?
            .to_owned();
        let mut socket = self.open().await?;
        let broke = |_| failure::unanswered(self.effect, format!("the connection to {origin} broke"));
        crash::point("effects.before-send");
        socket.send(Message::text(text)).await.map_err(broke)?;
        socket.close(None).await.map_err(broke)?;
        let goodbye = async {
            while let Some(next) = socket.next().await {
                if matches!(next, Ok(Message::Close(_))) {
                    return true;
                }
            }
            false
        };
        let read = timeout(GOODBYE, goodbye).await.unwrap_or(false);
        crash::point("effects.after-reply");
        if !read {
            return Err(failure::unanswered(self.effect, format!("{origin} did not say that it read the message")));
        }
        Ok((Value::Null, Digest::of(b"")))
    }

    /// Takes messages until the subscription has enough.
    pub(super) async fn subscribe(&self, subscription: &Subscription) -> Result<(Value, Digest), EffectFailure> {
        let origin = self.url.origin();
        let mut socket = self.open().await?;
        let mut basket = Basket::new(subscription, self.limits);
        let until = subscription.period().map(|period| Instant::now() + period);
        loop {
            let next = match until {
                Some(until) => timeout_at(until, socket.next()).await,
                None => Ok(socket.next().await),
            };
            let Ok(next) = next else { break };
            let taken = match next {
                Some(Ok(Message::Text(text))) => basket.offer(text.as_bytes(), json!({})),
                Some(Ok(Message::Binary(bytes))) => basket.offer(&bytes, json!({})),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Ok(Message::Close(_)) | Err(_)) | None => {
                    let detail = format!("{origin} ended before the subscription had enough");
                    return Err(failure::unanswered(self.effect, detail));
                }
            };
            match taken {
                Ok(Taken::More) => {}
                Ok(Taken::Enough) => break,
                Err(why) => return Err(failure::unreadable(self.effect, format!("{origin} {why}"))),
            }
        }
        // Whether the goodbye is heard makes no difference.
        let _ = timeout(GOODBYE, socket.close(None)).await;
        let (messages, observed) = basket.into_messages();
        Ok((Value::Array(messages), observed))
    }

    async fn open(&self) -> Result<Open, EffectFailure> {
        let origin = self.url.origin();
        let address = self.url.as_str().replacen("http", "ws", 1);
        let unsendable = |_| failure::unsendable("nothing was sent: the handshake can't be written".to_owned());
        let mut request = address.into_client_request().map_err(unsendable)?;
        if let Some(value) = self.authorization {
            let mut value = HeaderValue::from_str(value).map_err(|_| {
                failure::unsendable("nothing was sent: `Authorization` can't hold its value".to_owned())
            })?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let stream = self.dialer.dial(self.url, b"http/1.1").await.map_err(failure::not_sent)?;
        let bound = Some(self.limits.reply_body);
        let config = WebSocketConfig::default().max_message_size(bound).max_frame_size(bound);
        // No message was sent yet, whatever happens here.
        match client_async_with_config(request, stream, Some(config)).await {
            Ok((socket, _)) => Ok(socket),
            Err(Error::Http(answer)) => {
                let (status, detail) =
                    (answer.status().as_u16(), format!("{origin} answered {}", answer.status().as_u16()));
                if answer.status().is_server_error() || matches!(status, 408 | 425 | 429) {
                    return Err(failure::not_sent(detail));
                }
                Err(EffectFailure::Definite { status, detail })
            }
            Err(_) => Err(failure::not_sent(format!("{origin} did not open a WebSocket"))),
        }
    }
}
