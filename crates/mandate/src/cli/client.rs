//! The HTTP client: authentication, bounds on time and size, and errors as the server means them.

use super::error::Problem;
use super::signed_in::Keeper;
use super::{CliError, Exit};
use mandate_kernel::Secret;
use reqwest::{Method, RequestBuilder, Url};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::Mutex;

/// The grant type of the development provider.
const DEV_GRANT: &str = "urn:mandate:params:oauth:grant-type:dev-account";
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an ordinary request may take.
const ORDINARY: Duration = Duration::from_secs(30);
/// What is granted beyond the time that the server was asked to wait.
const SLACK: Duration = Duration::from_secs(20);
/// The largest answer.
const MAX_ANSWER: usize = 256 << 20;

/// As whom requests are made.
pub(crate) enum Credential {
    /// An account of the development provider.
    Account(String),
    /// An access token from elsewhere.
    Token(Secret<String>),
    /// Whoever signed in by `mandate login`.
    SignedIn(Keeper),
    /// Nobody.
    None,
}

/// A server and an identity.
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    credential: Credential,
    /// What the development provider gave last, or what was kept from the sign-in.
    granted: Mutex<Option<Secret<String>>>,
}

/// A request, described.
pub(crate) struct Call<'a> {
    method: Method,
    path: &'a str,
    query: Vec<(&'static str, String)>,
    body: Option<&'a Value>,
    key: Option<&'a str>,
    wait: Duration,
}

impl<'a> Call<'a> {
    /// A request that changes nothing. `path` begins with `/` and holds checked names only.
    pub(crate) const fn get(path: &'a str) -> Self {
        Self { method: Method::GET, path, query: Vec::new(), body: None, key: None, wait: Duration::ZERO }
    }

    /// A request that does something.
    pub(crate) fn post(path: &'a str, body: &'a Value) -> Self {
        Self { method: Method::POST, body: Some(body), ..Self::get(path) }
    }

    /// A request that stores something.
    pub(crate) fn put(path: &'a str, body: &'a Value) -> Self {
        Self { method: Method::PUT, body: Some(body), ..Self::get(path) }
    }

    /// Adds a query parameter, if there is one.
    pub(crate) fn query(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.query.extend(value.map(|value| (name, value.to_string())));
        self
    }

    /// Asks the server to answer only when there is something to tell.
    pub(crate) fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self.query("wait", Some(wait.as_secs()))
    }

    /// Grants the server more time than usual.
    pub(crate) const fn patiently(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Makes a repetition of the request harmless.
    pub(crate) const fn key(mut self, key: &'a str) -> Self {
        self.key = Some(key);
        self
    }
}

/// An answer.
pub(crate) struct Answer {
    /// HTTP status.
    pub(crate) status: u16,
    /// The `Date` header.
    pub(crate) date: Option<String>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Client {
    /// A client of the server at `url`. Nothing is sent yet.
    pub(crate) fn new(url: &str, credential: Credential) -> Result<Self, CliError> {
        let base = base_url(url)?;
        if base.scheme() == "http" && !is_loopback(&base) && !matches!(credential, Credential::None) {
            return Err(CliError::usage_help(
                format!("{base} is not encrypted, so a token sent there could be read on the way"),
                "use https, or reach the server over the loopback address",
            ));
        }
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT)
            .user_agent(concat!("mandate/", env!("CARGO_PKG_VERSION")));
        if base.scheme() == "http" {
            // No TLS, so no need to read the system's certificates.
            builder = builder.tls_certs_only([]);
        }
        let http =
            builder.build().map_err(|e| CliError::failed(format!("no HTTP client can be made: {}", cause(&e))))?;
        Ok(Self { http, base, credential, granted: Mutex::new(None) })
    }

    /// The server, as people know it.
    pub(crate) fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Sends a request as the caller and reads the answer as JSON.
    pub(crate) async fn json(&self, call: Call<'_>) -> Result<Value, CliError> {
        let bytes = self.bytes(call).await?;
        serde_json::from_slice(&bytes)
            .map_err(|e| CliError::failed(format!("{} answered something that is not JSON: {e}", self.url())))
    }

    /// Sends a request as the caller and gives the body of a successful answer.
    pub(crate) async fn bytes(&self, call: Call<'_>) -> Result<Vec<u8>, CliError> {
        let answer = self.send(&call).await?;
        if answer.is_success() {
            Ok(answer.body)
        } else {
            Err(CliError::Problem(Box::new(Problem::of(answer.status, &answer.body))))
        }
    }

    async fn send(&self, call: &Call<'_>) -> Result<Answer, CliError> {
        let answer = self.attempt(call).await?;
        // A token of the development provider is short-lived; a long wait outlives it.
        if answer.status != 401 {
            return Ok(answer);
        }
        let Some(refused) = self.granted.lock().await.take() else { return Ok(answer) };
        if let Credential::SignedIn(keeper) = &self.credential {
            *self.granted.lock().await = Some(Secret::new(keeper.token(Some(refused.expose())).await?));
        }
        self.attempt(call).await
    }

    async fn attempt(&self, call: &Call<'_>) -> Result<Answer, CliError> {
        let mut request = self.http.request(call.method.clone(), self.at(call.path)?).query(&call.query);
        if let Some(body) = call.body {
            request = request.json(body);
        }
        if let Some(key) = call.key {
            request = request.header("idempotency-key", key);
        }
        let request = self.authenticate(request).await?;
        let patience = if call.wait.is_zero() { ORDINARY } else { call.wait.saturating_add(SLACK) };
        self.exchange(request.timeout(patience)).await
    }

    /// Sends a request without an identity: for what is public.
    pub(crate) async fn public(&self, path: &str) -> Result<Answer, CliError> {
        self.exchange(self.http.get(self.at(path)?).timeout(ORDINARY)).await
    }

    fn at(&self, path: &str) -> Result<Url, CliError> {
        let text = format!("{}{path}", self.url());
        Url::parse(&text).map_err(|e| CliError::usage(format!("{text} is not a URL: {e}")))
    }

    async fn authenticate(&self, request: RequestBuilder) -> Result<RequestBuilder, CliError> {
        match &self.credential {
            Credential::Token(token) => Ok(request.bearer_auth(token.expose())),
            Credential::Account(account) => {
                let mut granted = self.granted.lock().await;
                if granted.is_none() {
                    *granted = Some(self.grant(account).await?);
                }
                Ok(match granted.as_ref() {
                    Some(token) => request.bearer_auth(token.expose()),
                    None => request,
                })
            }
            Credential::SignedIn(keeper) => {
                let token = keeper.token(None).await?;
                let request = request.bearer_auth(&token);
                *self.granted.lock().await = Some(Secret::new(token));
                Ok(request)
            }
            Credential::None => Err(CliError::usage_help(
                "it is not said as whom",
                "`mandate login`, or pass --as ACCOUNT (with `mandate dev`), or put an access token into MANDATE_TOKEN",
            )),
        }
    }

    /// Has the development provider give a token for an account.
    async fn grant(&self, account: &str) -> Result<Secret<String>, CliError> {
        let answer = self.public("/dev/provider").await?;
        match answer.status {
            200 => {}
            404 => {
                return Err(CliError::usage_help(
                    "--as works with `mandate dev` only",
                    "this server has an identity provider of its own: `mandate login`, or put an access token of it into MANDATE_TOKEN",
                ));
            }
            status => return Err(CliError::Problem(Box::new(Problem::of(status, &answer.body)))),
        }
        let endpoint = token_endpoint(&answer.body, account)?;
        // A form, written by the URL crate so that nothing in a name can break out of it.
        let mut form = Url::parse("http://form/").map_err(|e| CliError::failed(e.to_string()))?;
        form.query_pairs_mut().append_pair("grant_type", DEV_GRANT).append_pair("account", account);
        let request = self
            .http
            .post(endpoint)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.query().unwrap_or_default().to_owned());
        let answer = self.exchange(request.timeout(ORDINARY)).await?;
        let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        match (answer.is_success(), said.get("access_token").and_then(Value::as_str)) {
            (true, Some(token)) => Ok(Secret::new(token.to_owned())),
            _ => {
                let why = said.get("error_description").and_then(Value::as_str).unwrap_or("it gave no reason");
                Err(CliError::usage(format!("the development provider gave no token for {account}: {why}")))
            }
        }
    }

    async fn exchange(&self, request: RequestBuilder) -> Result<Answer, CliError> {
        let mut response = request.send().await.map_err(|e| self.unreachable(&e))?;
        let status = response.status().as_u16();
        let date = response.headers().get("date").and_then(|date| date.to_str().ok()).map(str::to_owned);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.unreachable(&e))? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER {
                return Err(CliError::failed(format!("{} answered more than {MAX_ANSWER} bytes", self.url())));
            }
        }
        Ok(Answer { status, date, body })
    }

    fn unreachable(&self, error: &reqwest::Error) -> CliError {
        let why = if error.is_timeout() { "it took too long".to_owned() } else { cause(error) };
        CliError::Unreachable {
            url: self.url().to_owned(),
            why,
            help: "check --url or MANDATE_URL, and that the server runs: `mandate dev` starts one here".to_owned(),
        }
    }
}

/// Whether the server may be there a moment later: it is being restarted, or is busy.
pub(crate) fn is_passing(error: &CliError) -> bool {
    error.exit() == Exit::Unreachable
}

/// The innermost cause, which says what happened; the outer ones say what was tried.
fn cause(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

fn base_url(text: &str) -> Result<Url, CliError> {
    let wrong = |why: &str| {
        CliError::usage_help(
            format!("the server's URL is not usable: {why}"),
            "write it as https://HOST or http://127.0.0.1:PORT",
        )
    };
    let url = Url::parse(text.trim()).map_err(|e| wrong(&e.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(wrong("it must begin with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it must not hold credentials, a query or a fragment"));
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let host = host.trim_matches(['[', ']']);
        host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
    })
}

/// Where the provider of the account's tenant gives tokens.
fn token_endpoint(provider: &[u8], account: &str) -> Result<Url, CliError> {
    #[derive(serde::Deserialize)]
    struct Discovery {
        tenants: BTreeMap<String, Tenant>,
    }
    #[derive(serde::Deserialize)]
    struct Tenant {
        token_endpoint: String,
        accounts: Vec<Value>,
    }
    // An account is its name, or an object with one.
    let name = |value: &Value| value.as_str().or_else(|| value.get("name")?.as_str()).map(str::to_owned);
    let found: Discovery = serde_json::from_slice(provider)
        .map_err(|e| CliError::failed(format!("the development provider can't be understood: {e}")))?;
    let mut known = Vec::new();
    for tenant in found.tenants.values() {
        let names: Vec<String> = tenant.accounts.iter().filter_map(name).collect();
        if names.iter().any(|name| name == account) {
            return Url::parse(&tenant.token_endpoint)
                .map_err(|e| CliError::failed(format!("the development provider's address is wrong: {e}")));
        }
        known.extend(names);
    }
    Err(CliError::usage_help(format!("there is no account `{account}`"), format!("use one of {}", known.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusable_urls_are_usage_errors() {
        for bad in [
            "",
            "127.0.0.1:8420",
            "ftp://host",
            "http://user:pw@127.0.0.1",
            "http://127.0.0.1/?x=1",
            "file:///etc/passwd",
        ] {
            let error = Client::new(bad, Credential::None).err().unwrap_or_else(|| panic!("{bad} was taken"));
            assert_eq!(error.exit(), Exit::Usage, "{bad}");
        }
    }

    #[test]
    fn tokens_never_travel_in_the_clear() {
        let token = || Credential::Token(Secret::new("t".to_owned()));
        for bad in ["http://mandate.example", "http://10.0.0.7:8420", "http://localhost.evil.example"] {
            assert!(Client::new(bad, token()).is_err(), "{bad}");
        }
        for fine in ["https://mandate.example", "http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"] {
            assert!(Client::new(fine, token()).is_ok(), "{fine}");
        }
    }

    #[test]
    fn accounts_are_found_in_their_tenant() {
        let discovery = br#"{"tenants": {
            "demo": {"issuer": "i", "token_endpoint": "http://127.0.0.1:1/t/demo/token", "accounts": ["admin", {"name": "auditor"}]},
            "other": {"issuer": "i", "token_endpoint": "http://127.0.0.1:1/t/other/token", "accounts": ["other-admin"]}}}"#;
        for (account, path) in
            [("admin", "/t/demo/token"), ("auditor", "/t/demo/token"), ("other-admin", "/t/other/token")]
        {
            assert_eq!(token_endpoint(discovery, account).unwrap().path(), path);
        }
        let error = token_endpoint(discovery, "nobody").unwrap_err();
        assert_eq!(error.exit(), Exit::Usage);
    }
}
