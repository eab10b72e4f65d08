//! How a function is reached: over HTTP, in the process, at a model, at a mail server, by people.

use crate::{Clearance, MailAddress};
use mandate_kernel::{Duration, GroupName};
use serde::{Deserialize, Serialize};
use serde_json::Number;
use std::collections::BTreeSet;

/// Longest name of a connection or model.
const MAX_NAME: usize = 200;

/// Most tokens that an answer may be allowed.
const MAX_TOKENS: u32 = 200_000;

/// Most groups that may answer one form.
const MAX_GROUPS: usize = 16;

/// The shortest and the longest time to answer.
const MIN_PERIOD: Duration = Duration::from_secs(60);
const MAX_PERIOD: Duration = Duration::from_secs(90 * 86_400);

/// How a function is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Target {
    /// Over HTTP, at the connection's endpoint for the run's environment.
    Http(HttpTemplate),
    /// What a document's own `call: http` asks for, as far as it stays below the connection's URL.
    Call(CallTarget),
    /// A function registered inside the process. It reaches nothing outside.
    Local(LocalTarget),
    /// A language model, asked over the OpenAI chat-completions protocol.
    Model(ModelTarget),
    /// A mail server.
    Mail(MailTarget),
    /// People, who answer a form.
    Review(ReviewTarget),
}

/// A language model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ModelTarget {
    /// The connection, by its name in the same project; requests go to `chat/completions` below its URL.
    pub connection: String,
    /// The model, by the provider's name for it.
    pub model: String,
    /// How much chance there is in its answers, 0 to 2; absent for the provider's own choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<Number>,
    /// Most tokens of an answer; absent for the provider's own choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// What it may be shown.
    pub clearance: Clearance,
}

/// A mail server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct MailTarget {
    /// The connection, by its name in the same project; its URL is `smtp://` or `smtps://`.
    pub connection: String,
    /// Whom mails are from.
    pub from: MailAddress,
}

/// People, who answer a form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ReviewTarget {
    /// Groups whose members may answer.
    pub groups: BTreeSet<GroupName>,
    /// How long an answer may take.
    pub expires: ReviewPeriod,
}

/// How long an answer may take: `PT30M`, `PT24H` or `P3D` (ISO 8601), one minute to ninety days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReviewPeriod {
    text: String,
    length: Duration,
}

impl ReviewPeriod {
    /// As a span of time.
    #[must_use]
    pub const fn duration(&self) -> Duration {
        self.length
    }
}

impl TryFrom<String> for ReviewPeriod {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || "how long an answer may take is written PT30M, PT24H or P3D, from PT1M to P90D".to_owned();
        let rest = text.strip_prefix('P').ok_or_else(wrong)?;
        let (number, seconds) = match (rest.strip_prefix('T'), rest.strip_suffix('D')) {
            (Some(time), _) => match (time.strip_suffix('M'), time.strip_suffix('H')) {
                (Some(minutes), _) => (minutes, 60),
                (_, Some(hours)) => (hours, 3_600),
                _ => return Err(wrong()),
            },
            (None, Some(days)) => (days, 86_400),
            (None, None) => return Err(wrong()),
        };
        let digits = (1..=6).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
        let count: u64 = number.parse().ok().filter(|_| digits).ok_or_else(wrong)?;
        let length = Duration::from_secs(count.saturating_mul(seconds));
        if !(MIN_PERIOD..=MAX_PERIOD).contains(&length) {
            return Err(wrong());
        }
        Ok(Self { text, length })
    }
}

impl From<ReviewPeriod> for String {
    fn from(period: ReviewPeriod) -> Self {
        period.text
    }
}

impl Target {
    /// The connection it names, in the same project; `None` for what reaches nothing outside.
    #[must_use]
    pub fn connection(&self) -> Option<&str> {
        match self {
            Self::Http(http) => Some(&http.connection),
            Self::Call(call) => Some(&call.connection),
            Self::Model(model) => Some(&model.connection),
            Self::Mail(mail) => Some(&mail.connection),
            Self::Local(_) | Self::Review(_) => None,
        }
    }

    /// The arguments of a target that has its own; `None` where the function declares them.
    #[must_use]
    pub const fn arguments(&self) -> Option<&'static [&'static str]> {
        match self {
            Self::Http(_) | Self::Local(_) => None,
            Self::Call(call) => Some(call.protocol.arguments()),
            Self::Model(_) => Some(&["instructions", "input", "sources", "schema"]),
            Self::Mail(_) => Some(&["to", "subject", "body"]),
            Self::Review(_) => Some(&["title", "data", "form"]),
        }
    }

    /// Its key in a manifest.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Call(_) => "call",
            Self::Local(_) => "local",
            Self::Model(_) => "model",
            Self::Mail(_) => "mail",
            Self::Review(_) => "review",
        }
    }

    /// JSON pointer into the function's content, and what is wrong there.
    pub(crate) fn check(&self) -> Result<(), (String, String)> {
        let at = |pointer: &str, why: &str| Err((format!("/target/{}{pointer}", self.as_str()), why.to_owned()));
        match self {
            Self::Local(_) => Ok(()),
            Self::Http(http) => http.check_path().or_else(|why| at("/path", why)),
            Self::Call(call) if call.check().is_err() => call.check().or_else(|(pointer, why)| at(pointer, &why)),
            Self::Call(CallTarget { connection, .. })
            | Self::Model(ModelTarget { connection, .. })
            | Self::Mail(MailTarget { connection, .. })
                if !(1..=MAX_NAME).contains(&connection.len()) =>
            {
                at("/connection", "name the connection in 1 to 200 characters")
            }
            Self::Call(_) | Self::Mail(_) => Ok(()),
            Self::Model(target) => {
                let visible = target.model.bytes().all(|b| b.is_ascii_graphic());
                if !visible || !(1..=MAX_NAME).contains(&target.model.len()) {
                    return at("/model", "a model's name is 1 to 200 visible ASCII characters");
                }
                let chance = target.temperature.as_ref().map_or(0.0, |t| t.as_f64().unwrap_or(f64::NAN));
                if !(0.0..=2.0).contains(&chance) {
                    return at("/temperature", "the temperature is a number from 0 to 2");
                }
                if target.max_tokens.is_some_and(|most| !(1..=MAX_TOKENS).contains(&most)) {
                    return at("/maxTokens", "the most tokens of an answer are 1 to 200000");
                }
                target.clearance.check().or_else(|why| at("/clearance/readers", &why))
            }
            Self::Review(review) if !(1..=MAX_GROUPS).contains(&review.groups.len()) => {
                at("/groups", "name 1 to 16 groups whose members may answer")
            }
            Self::Review(_) => Ok(()),
        }
    }
}

/// A protocol call that a document spells out itself. What it may reach is still the connection's to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CallTarget {
    /// The protocol.
    pub protocol: Protocol,
    /// The connection, by its name in the same project.
    pub connection: String,
    /// The methods that documents may use: HTTP.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub methods: BTreeSet<Method>,
    /// What the calls are spelled out by: an OpenAPI or AsyncAPI document, or the definition of a gRPC service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<PinnedDocument>,
    /// The operations or channels, or `package.Service/Method`s, that documents may use; empty for all of the
    /// pinned document.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub operations: BTreeSet<String>,
}

/// A document that a function pins, so that what a call means does not change with somebody's server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PinnedDocument {
    /// The address by which workflows name it. Nothing is fetched from there.
    pub uri: String,
    /// What it says: an OpenAPI or AsyncAPI document, or the text of a `.proto` file.
    pub content: serde_json::Value,
}

/// The longest pinned document, in bytes of JSON.
const MAX_DOCUMENT: usize = 256 << 10;

impl CallTarget {
    /// JSON pointer into the target, and what is wrong there.
    fn check(&self) -> Result<(), (&'static str, String)> {
        self.check_shape().map_err(|(pointer, why)| (pointer, why.to_owned()))?;
        match (self.protocol, &self.document) {
            (Protocol::Openapi, Some(pinned)) => pinned.check_openapi(),
            _ => Ok(()),
        }
    }

    fn check_shape(&self) -> Result<(), (&'static str, &'static str)> {
        match (self.protocol, &self.document) {
            (Protocol::Http, Some(_)) => Err(("/document", "a call over HTTP spells itself out; there is no document")),
            (Protocol::Http, None) if self.methods.is_empty() => Err(("/methods", "name at least one method")),
            (Protocol::Http, None) if !self.operations.is_empty() => Err(("/operations", "HTTP has `methods`")),
            (Protocol::Http, None) => Ok(()),
            (_, None) => Err(("/document", "pin the document that the calls are spelled out by: uri and content")),
            (Protocol::Openapi, Some(_)) if self.methods.is_empty() => Err(("/methods", "name at least one method")),
            (Protocol::Asyncapi | Protocol::Grpc, Some(_)) if !self.methods.is_empty() => {
                Err(("/methods", "only HTTP has methods"))
            }
            (_, Some(pinned)) if !(1..=MAX_NAME).contains(&pinned.uri.len()) => {
                Err(("/document/uri", "name it by 1 to 200 characters"))
            }
            (_, Some(pinned)) if pinned.content.to_string().len() > MAX_DOCUMENT => {
                Err(("/document/content", "a pinned document has at most 262144 bytes"))
            }
            (_, Some(_)) => Ok(()),
        }
    }
}

/// A protocol that documents call by its own name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// `call: http`
    Http,
    /// `call: openapi`
    Openapi,
    /// `call: asyncapi`
    Asyncapi,
    /// `call: grpc`
    Grpc,
}

impl Protocol {
    /// Its name in a document's `call`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Openapi => "openapi",
            Self::Asyncapi => "asyncapi",
            Self::Grpc => "grpc",
        }
    }

    /// The arguments that a document gives by it.
    #[must_use]
    pub const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Http => &["method", "endpoint", "headers", "query", "body", "output", "redirect"],
            Self::Openapi => &["document", "operationId", "parameters", "authentication", "output", "redirect"],
            Self::Asyncapi => &["channel", "operation", "server", "protocol", "message", "subscription"],
            Self::Grpc => &["service", "method", "arguments"],
        }
    }
}

/// A function registered inside the process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LocalTarget {
    /// The name it is registered under.
    pub name: String,
    /// Whether it takes a credential, leased for each call like any other.
    #[serde(default)]
    pub credential: bool,
}

/// The HTTP request a call becomes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HttpTemplate {
    /// The connection, by its name in the same project.
    pub connection: String,
    /// The method.
    pub method: Method,
    /// The path below the connection's URL; `{name}` stands for an argument, percent-encoded.
    pub path: String,
    /// Arguments sent as query parameters. What is in neither path nor query is the JSON body.
    #[serde(default)]
    pub query: Vec<String>,
}

impl HttpTemplate {
    /// What can be known of its path without a value: that it stays below the connection's URL whatever is put in.
    fn check_path(&self) -> Result<(), &'static str> {
        let Some(inner) = self.path.strip_prefix('/') else { return Err("a path begins with /") };
        if self.path.len() > MAX_PATH {
            return Err("a path has at most 2000 characters");
        }
        if inner.bytes().any(|b| !(0x21..0x7f).contains(&b) || b"\\?#\"<>^`|".contains(&b)) {
            return Err("a path has no spaces, `?`, `#` or characters that have to be encoded");
        }
        let mut segments = inner.split('/').peekable();
        while let Some(segment) = segments.next() {
            let encoded_dot = segment.to_ascii_lowercase().contains("%2e");
            if matches!(segment, "." | "..") || encoded_dot || (segment.is_empty() && segments.peek().is_some()) {
                return Err("a path has no empty segments and no dots for segments");
            }
        }
        Ok(())
    }
}

/// The longest path, in bytes.
const MAX_PATH: usize = 2_000;

/// An HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Read.
    Get,
    /// Act.
    Post,
    /// Replace.
    Put,
    /// Change.
    Patch,
    /// Remove.
    Delete,
}

impl Method {
    /// Whether it only reads (RFC 9110 §9.2.1).
    #[must_use]
    pub const fn is_safe(self) -> bool {
        matches!(self, Self::Get)
    }

    /// The method's token.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
