//! How a request authenticates by a policy of a document: everything about it but the secret.
//!
//! A policy is read from the form that the language compiles it to, `{scheme, secret, fills?, …settings}`.
//! What this version does not perform is an error here, so that `apply` and the effect say the same.

use crate::CanonicalUrl;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The longest setting, and the most scopes, audiences or issuers.
const MAX_TEXT: usize = 500;
const MAX_ITEMS: usize = 32;

/// The schemes of the language (DSL 1.0.3, authentication policies).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthenticationScheme {
    /// RFC 7617
    Basic,
    /// RFC 6750
    Bearer,
    /// RFC 7616
    Digest,
    /// RFC 6749: the secret is exchanged for a token.
    Oauth2,
    /// The same at an OpenID provider.
    Oidc,
}

/// How a secret becomes the value of `Authorization`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Authentication {
    /// `Basic`. Without a user name the secret is `user:password`, or `{"username", "password"}`.
    Basic {
        /// The user name that the document says.
        username: Option<String>,
    },
    /// `Bearer`, and the secret.
    Bearer,
    /// The answer to a `Digest` challenge. The secret as for `Basic`.
    Digest {
        /// The user name that the document says.
        username: Option<String>,
    },
    /// `Bearer`, and a token that the secret is exchanged for.
    Exchange(Box<Exchange>),
}

/// An exchange of the secret for an access token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exchange {
    /// `oauth2` or `oidc`.
    pub scheme: AuthenticationScheme,
    /// The token endpoint that the document names (`oauth2`). Where it names none the credential's is meant.
    pub endpoint: Option<CanonicalUrl>,
    /// The provider that the document names (`oidc`), without a slash at its end.
    pub issuer: Option<String>,
    /// What is asked for; `None` when the secret is the whole policy.
    pub request: Option<TokenRequest>,
}

/// What a token is asked for with (RFC 6749, RFC 8693), besides secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenRequest {
    /// How it is asked for.
    pub grant: TokenGrant,
    /// Which part of it the secret is.
    pub fills: Fills,
    /// `client_id`
    pub client: Option<String>,
    /// How the client authenticates.
    pub client_authentication: ClientAuthentication,
    /// `username` of the password grant.
    pub username: Option<String>,
    /// `subject_token_type` of an exchange.
    pub subject_type: Option<String>,
    /// `scope`
    pub scopes: Vec<String>,
    /// `audience`, one parameter each (RFC 8693 §2.1).
    pub audiences: Vec<String>,
    /// Whose tokens are taken: `iss` of a token that is a JWT. Empty: anybody's.
    pub issuers: Vec<String>,
    /// Whether the request is JSON rather than a form.
    pub json: bool,
}

/// The grants that are performed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenGrant {
    /// RFC 6749 §4.4
    ClientCredentials,
    /// RFC 6749 §4.3
    Password,
    /// RFC 8693
    TokenExchange,
}

impl TokenGrant {
    /// `grant_type`
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
            Self::Password => "password",
            Self::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
        }
    }
}

/// The part of a token request that a secret is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fills {
    /// `client_secret`
    ClientSecret,
    /// `client_assertion` (RFC 7523)
    ClientAssertion,
    /// `password`
    Password,
    /// `subject_token`
    Subject,
}

/// How a client authenticates at a token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthentication {
    /// In the body (RFC 6749 §2.3.1).
    Post,
    /// By `Basic`.
    Basic,
    /// Not at all.
    None,
}

/// Where a credential is exchanged for tokens, by the word of its owner. Its secret goes there and nowhere else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ExchangePlace {
    /// The token endpoint.
    pub token_endpoint: CanonicalUrl,
    /// The OpenID provider's issuer, for documents that name it (`oidc`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Where a token is ended after its one use (RFC 7009).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint: Option<CanonicalUrl>,
}

impl ExchangePlace {
    /// Whether a document's exchange is the one that is meant: same token endpoint, same issuer.
    #[must_use]
    pub fn admits(&self, exchange: &Exchange) -> bool {
        exchange.endpoint.as_ref().is_none_or(|endpoint| *endpoint == self.token_endpoint)
            && exchange.issuer.as_ref().is_none_or(|issuer| self.issuer() == Some(issuer.as_str()))
    }

    /// The issuer without a slash at its end.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref().map(|issuer| issuer.trim_end_matches('/'))
    }
}

impl Authentication {
    /// Reads a compiled policy.
    ///
    /// # Errors
    /// What of it is not performed, or wrong; it repeats nothing of the policy.
    pub fn read(policy: &Value) -> Result<Self, &'static str> {
        let map = policy.as_object().ok_or("a policy is an object")?;
        if map.contains_key("supplied") {
            return Err("its credential comes from the run's data, not from the vault");
        }
        if !map.get("secret").is_some_and(Value::is_string) {
            return Err("it names no secret; a credential comes from the vault");
        }
        let username = || text(map, "username");
        match Self::scheme(policy).ok_or("its scheme is none of basic, bearer, digest, oauth2, oidc")? {
            AuthenticationScheme::Basic => Ok(Self::Basic { username: username()? }),
            AuthenticationScheme::Bearer => Ok(Self::Bearer),
            AuthenticationScheme::Digest => Ok(Self::Digest { username: username()? }),
            scheme => Exchange::read(scheme, map).map(|exchange| Self::Exchange(Box::new(exchange))),
        }
    }

    /// The scheme of a compiled policy.
    #[must_use]
    pub fn scheme(policy: &Value) -> Option<AuthenticationScheme> {
        policy.get("scheme").and_then(|scheme| AuthenticationScheme::deserialize(scheme).ok())
    }
}

impl Exchange {
    fn read(scheme: AuthenticationScheme, map: &Map<String, Value>) -> Result<Self, &'static str> {
        let Some(authority) = text(map, "authority")? else {
            // `use: NAME`: the policy is in the vault as a whole.
            return Ok(Self { scheme, endpoint: None, issuer: None, request: None });
        };
        let authority = authority.trim_end_matches('/').to_owned();
        let request = Some(TokenRequest::read(map)?);
        if scheme == AuthenticationScheme::Oidc {
            return Ok(Self { scheme, endpoint: None, issuer: Some(authority), request });
        }
        let paths = map.get("endpoints").and_then(Value::as_object);
        let path = paths.map(|paths| text(paths, "token")).transpose()?.flatten();
        let path = path.unwrap_or_else(|| "/oauth2/token".to_owned());
        if !path.starts_with('/') {
            return Err("`endpoints.token` is a path below the authority, beginning with /");
        }
        let endpoint = CanonicalUrl::new(format!("{authority}{path}"))
            .map_err(|_| "its authority and token endpoint make no URL in normal form")?;
        Ok(Self { scheme, endpoint: Some(endpoint), issuer: None, request })
    }
}

impl TokenRequest {
    /// Reads the settings of a policy.
    ///
    /// # Errors
    /// As [`Authentication::read`].
    pub fn read(map: &Map<String, Value>) -> Result<Self, &'static str> {
        let none = Map::new();
        let client = map.get("client").and_then(Value::as_object).unwrap_or(&none);
        let grant = match text(map, "grant")?.as_deref() {
            Some("client_credentials") => TokenGrant::ClientCredentials,
            Some("password") => TokenGrant::Password,
            Some("urn:ietf:params:oauth:grant-type:token-exchange") => TokenGrant::TokenExchange,
            _ => return Err("its grant is not performed: client_credentials, password and token exchange are"),
        };
        let fills = match text(map, "fills")?.as_deref() {
            Some("clientSecret") => Fills::ClientSecret,
            Some("clientAssertion") => Fills::ClientAssertion,
            Some("password") => Fills::Password,
            Some("subject") => Fills::Subject,
            _ => {
                return Err("its secret is none of the client's secret or assertion, a password, or a subject's token");
            }
        };
        let client_authentication = match text(client, "authentication")?.as_deref() {
            Some("client_secret_basic") => ClientAuthentication::Basic,
            Some("none") => ClientAuthentication::None,
            None | Some("client_secret_post") => ClientAuthentication::Post,
            _ => return Err("a client that signs assertions itself is not performed; use a client secret"),
        };
        let request = map.get("request").and_then(Value::as_object).unwrap_or(&none);
        let json = match text(request, "encoding")?.as_deref() {
            None | Some("application/x-www-form-urlencoded") => false,
            Some("application/json") => true,
            _ => return Err("a token request is a form or JSON"),
        };
        if map.contains_key("actorType") {
            return Err("an exchange with an `actor` is not performed: it needs a second secret");
        }
        let found = Self {
            grant,
            fills,
            client: text(client, "id")?,
            client_authentication,
            username: text(map, "username")?,
            subject_type: text(map, "subjectType")?,
            scopes: list(map, "scopes")?,
            audiences: list(map, "audiences")?,
            issuers: list(map, "issuers")?,
            json,
        };
        found.check().map(|()| found)
    }

    fn check(&self) -> Result<(), &'static str> {
        let by_client = matches!(self.fills, Fills::ClientSecret | Fills::ClientAssertion);
        match self.grant {
            TokenGrant::ClientCredentials if !by_client => Err("client_credentials takes the client's own secret"),
            TokenGrant::Password if self.username.is_none() || self.fills != Fills::Password => {
                Err("the password grant needs a `username`, and its password for the secret")
            }
            TokenGrant::TokenExchange if self.subject_type.is_none() || self.fills != Fills::Subject => {
                Err("an exchange needs a `subject`, and its token for the secret")
            }
            _ if self.fills == Fills::ClientSecret && self.client.is_none() => Err("a client secret needs `client.id`"),
            _ if by_client && self.client_authentication == ClientAuthentication::None => {
                Err("a client that does not authenticate has no secret")
            }
            _ => Ok(()),
        }
    }
}

fn text(map: &Map<String, Value>, key: &str) -> Result<Option<String>, &'static str> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if (1..=MAX_TEXT).contains(&text.len()) && !text.chars().any(char::is_control) => {
            Ok(Some(text.clone()))
        }
        Some(_) => Err("its settings are texts of 1 to 500 characters"),
    }
}

fn list(map: &Map<String, Value>, key: &str) -> Result<Vec<String>, &'static str> {
    let wrong = "its scopes, audiences and issuers are lists of up to 32 texts";
    match map.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) if items.len() <= MAX_ITEMS => {
            items.iter().map(|item| item.as_str().filter(|t| !t.is_empty()).map(str::to_owned).ok_or(wrong)).collect()
        }
        Some(_) => Err(wrong),
    }
}

#[cfg(test)]
#[path = "authentication_tests.rs"]
mod tests;
