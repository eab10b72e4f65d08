//! A secret exchanged for a token at the credential's own token endpoint: one token for one permit, held in
//! memory alone, and ended after its one use where the provider can do that (RFC 6749, 7009, 8693).

use crate::http::{Transport, encoded, failure, parse};
use mandate_gate::EffectFailure;
use mandate_identity::{CanonicalUrl, ClientAuthentication, Exchange, ExchangePlace, Fills, TokenGrant, TokenRequest};
use mandate_kernel::{Secret, base64_encode, base64url_decode};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

/// The longest answer of a token endpoint, and the longest token, in bytes.
const MAX_ANSWER: usize = 64 << 10;
const MAX_TOKEN: usize = 16 << 10;

/// How long a provider may take to end a token.
const REVOKE_TIMEOUT: Duration = Duration::from_secs(5);

/// A token that was issued.
pub(super) struct Token {
    pub(super) value: Secret<String>,
    /// Seconds that it lives, by the word of the token endpoint.
    pub(super) expires_in: Option<u64>,
    /// The client, for its end.
    client: Client,
}

/// How the client shows who it is.
#[derive(Default)]
struct Client {
    fields: Vec<(&'static str, Secret<String>)>,
    basic: Option<Secret<String>>,
}

/// Gets a token. Nothing was sent to the receiver of the call yet, so whatever fails may be tried again, unless
/// the token endpoint said no.
pub(super) async fn token(
    transport: &Arc<Transport>,
    exchange: &Exchange,
    place: &ExchangePlace,
    secret: &Secret<String>,
    timeout: Duration,
) -> Result<Token, EffectFailure> {
    let refused = |why: &str| failure::unsendable(format!("nothing was sent: {why}"));
    // The gate judged this; here it is what the address is made of.
    if !place.admits(exchange) {
        return Err(refused("the document's token endpoint is not the credential's"));
    }
    let (request, parts) = parts(exchange, place, secret).map_err(refused)?;
    let client = client(&request, &parts);
    let body = body(&request, &parts, &client);
    let origin = place.token_endpoint.origin();
    let headers = headers(&client, request.json).ok_or_else(|| refused("the client's secret can't be sent"))?;
    let answer = post(transport, &place.token_endpoint, headers, body, timeout).await?;
    let value = answer.value().map_err(|why| failure::not_sent(format!("the token endpoint at {origin} {why}")))?;
    let (value, expires_in) = read(&value, &request).map_err(|why| EffectFailure::Definite {
        status: 401,
        detail: format!("the token endpoint at {origin} {why}"),
    })?;
    Ok(Token { value, expires_in, client })
}

/// Ends a token (RFC 7009): whether the provider says so.
pub(super) async fn revoke(transport: &Arc<Transport>, endpoint: &CanonicalUrl, token: Token) -> bool {
    let Some(headers) = headers(&token.client, false) else { return false };
    let mut fields = vec![("token", token.value.expose().as_str()), ("token_type_hint", "access_token")];
    fields.extend(token.client.fields.iter().map(|(name, value)| (*name, value.expose().as_str())));
    post(transport, endpoint, headers, form(&fields), REVOKE_TIMEOUT).await.is_ok()
}

/// What a token endpoint answered with a success status.
struct Answer(Vec<u8>);

impl Answer {
    fn value(&self) -> Result<Value, &'static str> {
        parse(&self.0, 16)
    }
}

async fn post(
    transport: &Transport,
    url: &CanonicalUrl,
    headers: HeaderMap,
    body: Vec<u8>,
    timeout: Duration,
) -> Result<Answer, EffectFailure> {
    let origin = url.origin();
    let mut response = transport.post(url, headers, body, timeout).await?;
    let status = response.status();
    let mut bytes = Vec::new();
    while let Some(chunk) =
        response.chunk().await.map_err(|error| failure::not_sent(failure::describe(&error, origin)))?
    {
        if bytes.len().saturating_add(chunk.len()) > MAX_ANSWER {
            let detail = format!("the answer of the token endpoint at {origin} is longer than {MAX_ANSWER} bytes");
            return Err(EffectFailure::Definite { status: 502, detail });
        }
        bytes.extend_from_slice(&chunk);
    }
    if status.is_success() {
        return Ok(Answer(bytes));
    }
    let code = error_code(&bytes).map(|code| format!(" ({code})")).unwrap_or_default();
    let detail = format!("the token endpoint at {origin} answered {}{code}", status.as_u16());
    if status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429) {
        return Err(failure::not_sent(detail));
    }
    // A redirect too: it would carry the secret to where nobody allowed it.
    Err(EffectFailure::Definite { status: 401, detail })
}

/// `error` of RFC 6749 §5.2, if it has the form of a code.
fn error_code(body: &[u8]) -> Option<String> {
    let value = parse(body, 16).ok()?;
    let code = value.get("error")?.as_str()?;
    let plain = (1..=64).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    plain.then(|| code.to_owned())
}

/// What is secret in a token request.
#[derive(Default)]
struct Parts {
    client_secret: Option<Secret<String>>,
    client_assertion: Option<Secret<String>>,
    password: Option<Secret<String>>,
    subject: Option<Secret<String>>,
}

/// The request, and what of it is secret: one part by the document, or all of it by the secret itself.
fn parts(
    exchange: &Exchange,
    place: &ExchangePlace,
    secret: &Secret<String>,
) -> Result<(TokenRequest, Parts), &'static str> {
    let Some(request) = &exchange.request else { return whole(place, secret) };
    let mut parts = Parts::default();
    let value = Some(Secret::new(secret.expose().clone()));
    match request.fills {
        Fills::ClientSecret => parts.client_secret = value,
        Fills::ClientAssertion => parts.client_assertion = value,
        Fills::Password => parts.password = value,
        Fills::Subject => parts.subject = value,
    }
    Ok((request.clone(), parts))
}

/// A policy that is a secret as a whole: a JSON object with the members that the language gives a policy.
fn whole(place: &ExchangePlace, secret: &Secret<String>) -> Result<(TokenRequest, Parts), &'static str> {
    let unreadable = "the credential is no OAuth 2 policy as a JSON object";
    let mut policy: Map<String, Value> = serde_json::from_str(secret.expose()).map_err(|_| unreadable)?;
    let authority = policy.get("authority").and_then(Value::as_str).map(|text| text.trim_end_matches('/').to_owned());
    let elsewhere = |authority: &str| {
        let endpoint = place.token_endpoint.as_str().strip_prefix(authority);
        place.issuer() != Some(authority) && !endpoint.is_some_and(|rest| rest.starts_with('/'))
    };
    if authority.as_deref().is_some_and(elsewhere) {
        return Err("the credential's authority is not that of its token endpoint");
    }
    let mut take = |object: &str, member: &str| {
        let holder = if object.is_empty() { Some(&mut policy) } else { policy.get_mut(object)?.as_object_mut() };
        match holder?.remove(member)? {
            Value::String(text) => Some(Secret::new(text)),
            _ => None,
        }
    };
    let parts = Parts {
        client_secret: take("client", "secret"),
        client_assertion: take("client", "assertion"),
        password: take("", "password"),
        ..Parts::default()
    };
    let fills = if parts.password.is_some() {
        "password"
    } else if parts.client_assertion.is_some() {
        "clientAssertion"
    } else {
        "clientSecret"
    };
    policy.insert("fills".to_owned(), Value::String(fills.to_owned()));
    policy.entry("grant").or_insert_with(|| Value::String("client_credentials".to_owned()));
    TokenRequest::read(&policy).map(|request| (request, parts))
}

fn client(request: &TokenRequest, parts: &Parts) -> Client {
    let mut client = Client::default();
    let copy = |secret: &Secret<String>| Secret::new(secret.expose().clone());
    let id = request.client.as_deref();
    if let (ClientAuthentication::Basic, Some(id), Some(secret)) =
        (request.client_authentication, id, &parts.client_secret)
    {
        let pair = format!("{}:{}", encoded(id), encoded(secret.expose()));
        client.basic = Some(Secret::new(format!("Basic {}", base64_encode(pair.as_bytes()))));
        return client;
    }
    client.fields.extend(id.map(|id| ("client_id", Secret::new(id.to_owned()))));
    client.fields.extend(parts.client_secret.as_ref().map(|secret| ("client_secret", copy(secret))));
    if let Some(assertion) = &parts.client_assertion {
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        client.fields.push(("client_assertion_type", Secret::new(kind.to_owned())));
        client.fields.push(("client_assertion", copy(assertion)));
    }
    client
}

fn body(request: &TokenRequest, parts: &Parts, client: &Client) -> Vec<u8> {
    let scope = request.scopes.join(" ");
    let exchange = request.grant == TokenGrant::TokenExchange;
    let given = [
        ("grant_type", Some(request.grant.as_str())),
        ("scope", Some(scope.as_str()).filter(|scope| !scope.is_empty())),
        ("username", request.username.as_deref().filter(|_| request.grant == TokenGrant::Password)),
        ("password", text(parts.password.as_ref())),
        ("subject_token", text(parts.subject.as_ref())),
        ("subject_token_type", request.subject_type.as_deref().filter(|_| exchange)),
    ];
    let mut fields: Vec<(&str, &str)> = given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    fields.extend(client.fields.iter().map(|(name, value)| (*name, value.expose().as_str())));
    if !request.json {
        fields.extend(request.audiences.iter().map(|audience| ("audience", audience.as_str())));
        return form(&fields);
    }
    let string = |text: &str| Value::String(text.to_owned());
    let mut object: Map<String, Value> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), string(value))).collect();
    match request.audiences.as_slice() {
        [] => None,
        [one] => object.insert("audience".to_owned(), string(one)),
        many => object.insert("audience".to_owned(), many.iter().map(|one| string(one)).collect()),
    };
    Value::Object(object).to_string().into_bytes()
}

fn text(secret: Option<&Secret<String>>) -> Option<&str> {
    secret.map(|secret| secret.expose().as_str())
}

fn form(fields: &[(&str, &str)]) -> Vec<u8> {
    let pair = |(name, value): &(&str, &str)| format!("{}={}", encoded(name), encoded(value));
    fields.iter().map(pair).collect::<Vec<_>>().join("&").into_bytes()
}

fn headers(client: &Client, json: bool) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    let kind = if json { "application/json" } else { "application/x-www-form-urlencoded" };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(basic) = &client.basic {
        let mut value = HeaderValue::from_str(basic.expose()).ok()?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Some(headers)
}

/// The token of an answer (RFC 6749 §5.1), and the seconds that it lives.
fn read(answer: &Value, request: &TokenRequest) -> Result<(Secret<String>, Option<u64>), &'static str> {
    let kind = answer.get("token_type").and_then(Value::as_str).unwrap_or_default();
    if !kind.eq_ignore_ascii_case("bearer") {
        return Err("gave no bearer token");
    }
    let token = answer.get("access_token").and_then(Value::as_str).unwrap_or_default();
    if !(1..=MAX_TOKEN).contains(&token.len()) {
        return Err("gave no token of 1 to 16384 bytes");
    }
    if !request.issuers.is_empty() && !issuer(token).is_some_and(|issuer| request.issuers.contains(&issuer)) {
        return Err("gave a token of none of the policy's `issuers`");
    }
    Ok((Secret::new(token.to_owned()), answer.get("expires_in").and_then(Value::as_u64)))
}

/// `iss` of a token that is a JWT. Its signature is the receiver's to check; it came from the token endpoint.
fn issuer(token: &str) -> Option<String> {
    let claims = base64url_decode(token.split('.').nth(1)?).ok()?;
    parse(&claims, 16).ok()?.get("iss")?.as_str().map(str::to_owned)
}
