//! What an effect is: pure preparation of one exact request, and its performance by spending a permit.

use crate::Spent;
use async_trait::async_trait;
use mandate_identity::{Audience, Authentication, CanonicalRequest, CanonicalUrl};
use mandate_journal::Doubt;
use mandate_kernel::{Digest, Environment, FunctionName, Secret, StepKey, Timestamp, canonical_json};
use serde_json::Value;

/// A call that the workflow proposes, before anything is decided about it.
#[derive(Debug, Clone)]
pub struct Call {
    /// Which attempt of which step.
    pub step: StepKey,
    /// The function.
    pub function: FunctionName,
    /// The run's environment, which selects the destination.
    pub environment: Environment,
    /// The arguments, as the workflow computed them.
    pub arguments: Value,
}

/// The exact request of an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Over HTTP.
    Http(CanonicalRequest),
    /// A registered function inside this process; it reaches nothing outside.
    Local {
        /// Its name in the registry of local functions.
        name: String,
        /// Canonical JSON of the arguments.
        arguments: Vec<u8>,
    },
    /// One mail to one recipient. The message on the wire is made of these fields and nothing else.
    Mail {
        /// The mail server, `smtp://host:port` or `smtps://host:port`.
        server: String,
        /// Whom it is from: sender of the envelope and of the message.
        from: String,
        /// The one recipient.
        to: String,
        /// The subject, one line.
        subject: String,
        /// The text, lines ending in LF.
        body: String,
        /// `Message-ID` without angle brackets: the same for each attempt at the step.
        message_id: String,
        /// `Date` of the message: when its run began.
        date: Timestamp,
    },
    /// One question to a language model.
    Model {
        /// Where it is sent.
        url: CanonicalUrl,
        /// The model asked, as the body names it.
        model: String,
        /// Canonical JSON of the body. What is sent is equal to it as JSON; members may stand in another order.
        body: Vec<u8>,
    },
}

/// Where a leased credential goes: one slot, as a whole (I4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slot {
    /// The value of a header, after a fixed prefix such as `Bearer `.
    Header {
        /// Header name, lower case.
        name: String,
        /// Text before the secret; may be empty.
        prefix: String,
    },
    /// A mail server's `AUTH` (RFC 4954). The secret is `user:password`.
    SmtpAuth,
    /// `Authorization`, made of the secret by a document's authentication policy.
    Authorization {
        /// The policy.
        policy: Authentication,
        /// Whether a `Digest` challenge may ask for MD5.
        md5: bool,
    },
}

/// One exact request, ready to be judged. What is judged is what is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// The request.
    pub request: Request,
    /// The destination in the form that credential owners allow: an origin, `https://host:port`.
    pub destination: String,
    /// The audience a hop token for it would name; `None` where the receiver takes none.
    pub audience: Option<Audience>,
    /// Where a leased credential would go; `None` where none is needed.
    pub slot: Option<Slot>,
}

impl Prepared {
    /// Everything that the credential's owner has to allow: the destination, and for a mail the server that
    /// gets the credential and the mail besides.
    pub fn destinations(&self) -> impl Iterator<Item = &str> {
        let server = match &self.request {
            Request::Mail { server, .. } => Some(server.as_str()),
            Request::Http(_) | Request::Local { .. } | Request::Model { .. } => None,
        };
        std::iter::once(self.destination.as_str()).chain(server)
    }

    /// The digest the decision, the approval, the token and the ledger all speak of. How a document wants the
    /// request authenticated is part of it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let Some(Slot::Authorization { policy, md5 }) = &self.slot else { return self.request.digest() };
        // A policy is made of texts and truth values: there is always a canonical form.
        let policy = canonical_json(policy).unwrap_or_default();
        let request = self.request.digest();
        let parts: [&[u8]; 3] = [request.as_bytes(), &policy, &[u8::from(*md5)]];
        digest_of_fields("mandate/authorization/v1", &parts)
    }
}

impl Request {
    fn digest(&self) -> Digest {
        match self {
            Self::Http(request) => request.digest(),
            Self::Local { name, arguments } => {
                Digest::of_parts(&[b"mandate/local/v1\0", name.as_bytes(), b"\0", arguments])
            }
            Self::Mail { server, from, to, subject, body, message_id, date } => {
                let date = date.as_millis().to_string();
                let fields: [&str; 7] = [server, from, to, subject, body, message_id, &date];
                digest_of_fields("mandate/mail/v1", &fields.map(str::as_bytes))
            }
            Self::Model { url, model, body } => {
                digest_of_fields("mandate/model/v1", &[url.as_str().as_bytes(), model.as_bytes(), body])
            }
        }
    }
}

/// The digest of some fields under a name of their own. Each is preceded by its length, so that no two
/// lists of fields give the same bytes.
fn digest_of_fields(domain: &str, fields: &[&[u8]]) -> Digest {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(domain.as_bytes());
    bytes.push(0);
    for field in fields {
        bytes.extend_from_slice(&u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend_from_slice(field);
    }
    Digest::of(&bytes)
}

/// The call can't be turned into a request. Nothing was decided and nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    /// The arguments don't fit the function's declaration.
    #[error("arguments of {function} do not fit its declaration: {why}")]
    Arguments {
        /// The function.
        function: FunctionName,
        /// What is wrong, and where.
        why: String,
    },
    /// The function has no destination in this environment.
    #[error(
        "{function} has no connection in environment {environment}; apply one, or start the run in another environment"
    )]
    NoDestination {
        /// The function.
        function: FunctionName,
        /// The environment.
        environment: Environment,
    },
    /// The function's own definition makes no valid request.
    #[error("the definition of {function} makes no valid request: {why}")]
    Definition {
        /// The function.
        function: FunctionName,
        /// What is wrong.
        why: String,
    },
}

/// A hop token with its proof of possession, for one request.
pub struct HopCredential {
    /// The access token (RFC 9068).
    pub token: Secret<String>,
    /// The DPoP proof (RFC 9449) by the key made for this attempt.
    pub proof: Secret<String>,
}

/// What the edge injects into the request: minted and leased for this permit, gone afterwards.
#[derive(Default)]
pub struct Credentials {
    /// For receivers that verify hop tokens.
    pub hop: Option<HopCredential>,
    /// For the declared slot of legacy receivers.
    pub leased: Option<Secret<String>>,
    /// The envelope of this step, for receivers inside the trust domain (`Txn-Token`).
    pub envelope: Option<Secret<String>>,
}

/// Whose word a fact about an effect is (design, Ledger).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claimed {
    /// Said by the remote end: status line, identifiers.
    pub by_remote: serde_json::Map<String, Value>,
}

/// What an effect brought back.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The value for the workflow.
    pub value: Value,
    /// Digest of the very bytes received: observed, not claimed.
    pub observed: Digest,
    /// What the remote end said besides.
    pub claimed: Claimed,
}

/// How an effect failed. The difference decides what may happen next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EffectFailure {
    /// Certainly nothing was done, and trying again later may work.
    #[error("{0}")]
    Transient(String),
    /// The receiver said by this status that it did nothing now, and trying again later may work.
    #[error("{detail}")]
    Later {
        /// The receiver's HTTP status.
        status: u16,
        /// What happened; never a payload or a secret.
        detail: String,
    },
    /// Certainly nothing was done, and trying again won't help.
    #[error("{detail}")]
    Definite {
        /// The receiver's HTTP status, or the nearest one.
        status: u16,
        /// What happened; never a payload or a secret.
        detail: String,
    },
    /// Nobody knows whether it was done.
    #[error("{detail}")]
    Unknown {
        /// Why.
        why: Doubt,
        /// What happened.
        detail: String,
    },
}

/// Reaches outside, by spending a permit. The only trait through which anything does.
#[async_trait]
pub trait Effect: Send + Sync {
    /// Turns a call into the one request that would be sent. Pure: no I/O, no clock, no randomness;
    /// the same call gives the same request.
    ///
    /// # Errors
    /// [`PrepareError`].
    fn prepare(&self, call: &Call) -> Result<Prepared, PrepareError>;

    /// Sends exactly the request in the permit, injecting the credentials at the edge. No retries, no
    /// redirects: a retry is a new attempt that asks again.
    ///
    /// # Errors
    /// [`EffectFailure`].
    async fn perform(&self, spent: &Spent, credentials: Credentials) -> Result<Reply, EffectFailure>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn prepared(request: Request) -> Prepared {
        Prepared { request, destination: String::new(), audience: None, slot: None }
    }

    fn mail(change: impl FnOnce(&mut [String; 6], &mut i64)) -> Digest {
        let mut fields = ["s", "f", "t", "u", "b", "m"].map(str::to_owned);
        let mut date = 1;
        change(&mut fields, &mut date);
        let [server, from, to, subject, body, message_id] = fields;
        let date = Timestamp::from_millis(date);
        prepared(Request::Mail { server, from, to, subject, body, message_id, date }).digest()
    }

    #[test]
    fn every_field_of_a_mail_counts_and_none_runs_into_the_next() {
        let mut digests = BTreeSet::from([mail(|_, _| {}), mail(|_, date| *date = 2)]);
        for i in 0..6 {
            digests.insert(mail(|fields, _| fields[i].push('x')));
            digests.insert(mail(|fields, _| fields[i].clear()));
        }
        // "t"+"u" as "tu"+"": the lengths keep them apart.
        digests.insert(mail(|fields, _| (fields[2], fields[3]) = ("tu".to_owned(), String::new())));
        assert_eq!(digests.len(), 15);
    }

    #[test]
    fn every_field_of_a_question_counts() {
        let digest = |url: &str, model: &str, body: &str| {
            let url = CanonicalUrl::new(url).unwrap();
            prepared(Request::Model { url, model: model.to_owned(), body: body.as_bytes().to_vec() }).digest()
        };
        let digests = BTreeSet::from([
            digest("https://a/v1", "m", "{}"),
            digest("https://a/v2", "m", "{}"),
            digest("https://a/v1", "m{", "}"),
            digest("https://a/v1", "", "m{}"),
            digest("https://a/v1", "m", "[]"),
        ]);
        assert_eq!(digests.len(), 5);
        let local = Request::Local { name: "m".to_owned(), arguments: b"{}".to_vec() };
        assert!(!digests.contains(&prepared(local).digest()));
    }
}
