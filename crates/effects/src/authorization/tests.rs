//! Policies against real servers on the loopback: what is sent where, and what is not.

use super::*;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, Uri};
use axum::routing::any;
use mandate_identity::{CanonicalUrl, Exchange, TokenRequest};
use mandate_kernel::Limits;
use proptest::prelude::*;
use std::sync::Mutex;
use tokio::net::TcpListener;

const CANARY: &str = "canary-5be91d07";

#[derive(Clone, Debug)]
struct Got {
    path: String,
    headers: HeaderMap,
    body: String,
}

type Answering = Arc<dyn Fn(&Got, usize) -> Response<Body> + Send + Sync>;

/// A server that keeps what it gets, and its origin.
struct Server {
    url: String,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Server {
    async fn start(answer: impl Fn(&Got, usize) -> Response<Body> + Send + Sync + 'static) -> Self {
        let got: Arc<Mutex<Vec<Got>>> = Arc::default();
        let state: (Arc<Mutex<Vec<Got>>>, Answering) = (Arc::clone(&got), Arc::new(answer));
        let handler = |State((got, answer)): State<(Arc<Mutex<Vec<Got>>>, Answering)>,
                       _: Method,
                       uri: Uri,
                       headers: HeaderMap,
                       body: Bytes| async move {
            let one = Got { path: uri.to_string(), headers, body: String::from_utf8_lossy(&body).into_owned() };
            let mut all = got.lock().unwrap();
            all.push(one.clone());
            answer(&one, all.len())
        };
        let app = Router::new().fallback(any(handler)).with_state(state);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, got }
    }

    fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }
}

fn json(status: u16, body: &Value) -> Response<Body> {
    let answer = Response::builder().status(status).header("content-type", "application/json");
    answer.body(Body::from(body.to_string())).unwrap()
}

fn issued() -> Response<Body> {
    json(200, &json!({"access_token": format!("{CANARY}-token"), "token_type": "Bearer", "expires_in": 60}))
}

fn transport() -> Arc<Transport> {
    Arc::new(Transport::new(Limits::DEFAULT).unwrap())
}

fn place(server: &Server) -> ExchangePlace {
    ExchangePlace {
        token_endpoint: CanonicalUrl::new(format!("{}/token", server.url)).unwrap(),
        issuer: Some(server.url.clone()),
        revocation_endpoint: Some(CanonicalUrl::new(format!("{}/revoke", server.url)).unwrap()),
    }
}

fn policy(settings: Value) -> Authentication {
    let mut all = json!({"scheme": "oidc", "secret": "s", "fills": "clientSecret", "grant": "client_credentials"});
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    Authentication::read(&all).unwrap()
}

fn client(server: &Server, more: Value) -> Authentication {
    let mut settings = json!({"authority": server.url, "client": {"id": "worker"}});
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    policy(settings)
}

async fn authorized(policy: Authentication, secret: &str, place: &ExchangePlace) -> Result<Authorized, EffectFailure> {
    let slot = Slot::Authorization { policy, md5: false };
    let secret = Secret::new(secret.to_owned());
    let made = Authorized::by(&transport(), Some(&slot), Some(&secret), Some(place), Duration::from_secs(5)).await;
    if let Err(error) = &made {
        assert!(!format!("{error:?}").contains(CANARY), "{error:?}");
    }
    made.map(Option::unwrap)
}

#[tokio::test]
async fn a_client_secret_becomes_a_token_for_one_use() {
    let server = Server::start(|got, _| if got.path == "/token" { issued() } else { json(200, &json!({})) }).await;
    let more = json!({"scopes": ["a", "b"], "audiences": ["https://api.example", "x y"]});
    let made = authorized(client(&server, more), &format!("{CANARY}&=secret"), &place(&server)).await.unwrap();
    assert_eq!(made.value().unwrap(), format!("Bearer {CANARY}-token"));
    let asked = server.got();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        asked[0].body,
        format!(
            "grant_type=client_credentials&scope=a%20b&client_id=worker&client_secret={CANARY}%26%3Dsecret&audience=https%3A%2F%2Fapi.example&audience=x%20y"
        )
    );
    let reply = Reply {
        value: Value::Null,
        observed: mandate_kernel::Digest::of(b""),
        claimed: mandate_gate::Claimed::default(),
    };
    let reply = made.end(Duration::from_secs(5), Ok(reply)).await.unwrap();
    assert_eq!(reply.claimed.by_remote["token"], json!({"expires_in": 60, "revoked": true}));
    let ended = server.got().pop().unwrap();
    assert_eq!(ended.path, "/revoke");
    assert!(ended.body.starts_with(&format!("token={CANARY}-token&token_type_hint=access_token")), "{}", ended.body);
}

#[tokio::test]
async fn a_token_whose_user_is_gone_is_ended_all_the_same() {
    let server = Server::start(|got, _| if got.path == "/token" { issued() } else { json(200, &json!({})) }).await;
    drop(authorized(client(&server, json!({})), CANARY, &place(&server)).await.unwrap());
    for _ in 0..500 {
        if server.got().len() == 2 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the token was not ended: {:?}", server.got().len());
}

#[tokio::test]
async fn clients_authenticate_as_the_policy_says() {
    let server = Server::start(|_, _| issued()).await;
    let basic = json!({"client": {"id": "a:b", "authentication": "client_secret_basic"}});
    authorized(client(&server, basic), "s:t", &place(&server)).await.unwrap();
    let got = server.got().remove(0);
    let value = base64_encode(b"a%3Ab:s%3At");
    assert_eq!(got.headers["authorization"].to_str().unwrap(), format!("Basic {value}"));
    assert_eq!(got.body, "grant_type=client_credentials");
    let json_form = json!({"request": {"encoding": "application/json"}, "audiences": ["x"]});
    authorized(client(&server, json_form), "s", &place(&server)).await.unwrap();
    let got = server.got().iter().rev().find(|got| got.body.starts_with('{')).unwrap().clone();
    assert_eq!(
        serde_json::from_str::<Value>(&got.body).unwrap(),
        json!({"grant_type": "client_credentials", "client_id": "worker", "client_secret": "s", "audience": "x"})
    );
}

#[tokio::test]
async fn other_grants() {
    let server = Server::start(|got, _| if got.path == "/token" { issued() } else { json(200, &json!({})) }).await;
    let at = |more: Value| client(&server, more);
    let password = at(json!({
        "grant": "password", "fills": "password", "username": "ann", "client": {"id": "c", "authentication": "none"}
    }));
    authorized(password, "pw", &place(&server)).await.unwrap();
    let jwt = "urn:ietf:params:oauth:token-type:jwt";
    let exchange = at(json!({
        "grant": "urn:ietf:params:oauth:grant-type:token-exchange", "fills": "subject", "subjectType": jwt
    }));
    authorized(exchange, "subject", &place(&server)).await.unwrap();
    let assertion = at(json!({"fills": "clientAssertion"}));
    authorized(assertion, "jwt", &place(&server)).await.unwrap();
    let whole = Authentication::read(&json!({"scheme": "oauth2", "secret": "s"})).unwrap();
    let secret = json!({"authority": server.url, "client": {"id": "w", "secret": "ws"}, "scopes": ["r"]}).to_string();
    authorized(whole.clone(), &secret, &place(&server)).await.unwrap();
    let elsewhere = json!({"authority": "https://evil.example", "client": {"id": "w", "secret": CANARY}}).to_string();
    assert!(authorized(whole.clone(), &elsewhere, &place(&server)).await.is_err());
    assert!(authorized(whole, CANARY, &place(&server)).await.is_err());
    let bodies: Vec<String> = server.got().into_iter().filter(|got| got.path == "/token").map(|got| got.body).collect();
    assert_eq!(
        bodies,
        [
            "grant_type=password&username=ann&password=pw&client_id=c",
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=subject&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt&client_id=worker",
            "grant_type=client_credentials&client_id=worker&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=jwt",
            "grant_type=client_credentials&scope=r&client_id=w&client_secret=ws",
        ]
    );
}

#[tokio::test]
async fn a_token_endpoint_that_misbehaves_gets_no_further() {
    let thief = Server::start(|_, _| issued()).await;
    let stolen = thief.url.clone();
    let redirect = move |_: &Got, _: usize| {
        Response::builder().status(307).header("location", format!("{stolen}/token")).body(Body::empty()).unwrap()
    };
    let server = Server::start(redirect).await;
    let failed = authorized(client(&server, json!({})), CANARY, &place(&server)).await.err().unwrap();
    assert!(matches!(failed, EffectFailure::Definite { status: 401, .. }), "{failed:?}");
    assert!(thief.got().is_empty());
    for (status, body, transient) in [
        (400, json!({"error": "invalid_client"}), false),
        (400, json!({"error": format!("{CANARY} <b>")}), false),
        (429, json!({}), true),
        (503, json!({}), true),
        (200, json!({"access_token": "t", "token_type": "mac"}), false),
        (200, json!({"access_token": "", "token_type": "bearer"}), false),
        (200, json!({"access_token": "a\r\nX-Evil: 1", "token_type": "bearer"}), false),
        (200, json!({"access_token": "x".repeat(20_000), "token_type": "bearer"}), false),
        (200, json!({"access_token": "x".repeat(80_000), "token_type": "bearer"}), false),
    ] {
        let server = Server::start(move |_, _| json(status, &body)).await;
        let failed = authorized(client(&server, json!({})), CANARY, &place(&server)).await.err().unwrap();
        assert_eq!(matches!(failed, EffectFailure::Transient(_)), transient, "{failed:?}");
    }
    let gone = ExchangePlace {
        token_endpoint: CanonicalUrl::new("http://127.0.0.1:9/token").unwrap(),
        issuer: Some(server.url.clone()),
        revocation_endpoint: None,
    };
    let failed = authorized(client(&server, json!({})), CANARY, &gone).await.err().unwrap();
    assert!(matches!(failed, EffectFailure::Transient(_)), "{failed:?}");
}

#[tokio::test]
async fn only_tokens_of_the_issuers_are_taken() {
    let jwt = |issuer: &str| {
        let claims = mandate_kernel::base64url_encode(json!({"iss": issuer}).to_string().as_bytes());
        format!("e30.{claims}.sig")
    };
    for (token, good) in
        [(jwt("https://i.example"), true), (jwt("https://evil.example"), false), ("opaque".to_owned(), false)]
    {
        let server =
            Server::start(move |_, _| json(200, &json!({"access_token": token, "token_type": "bearer"}))).await;
        let policy = client(&server, json!({"issuers": ["https://i.example"]}));
        assert_eq!(authorized(policy, "s", &place(&server)).await.is_ok(), good);
    }
}

#[tokio::test]
async fn nothing_is_exchanged_but_where_the_owner_says() {
    let thief = Server::start(|_, _| issued()).await;
    let server = Server::start(|_, _| issued()).await;
    let exchange = Exchange {
        scheme: AuthenticationScheme::Oauth2,
        endpoint: Some(CanonicalUrl::new(format!("{}/token", thief.url)).unwrap()),
        issuer: None,
        request: TokenRequest::read(
            json!({"grant": "client_credentials", "fills": "clientSecret", "client": {"id": "c"}}).as_object().unwrap(),
        )
        .ok(),
    };
    let policy = Authentication::Exchange(Box::new(exchange));
    assert!(authorized(policy, CANARY, &place(&server)).await.is_err());
    assert!(thief.got().is_empty() && server.got().is_empty());
}

#[test]
fn logins_are_read_from_a_secret() {
    let read = |username: Option<&str>, secret: &str| {
        Login::read(username, &Secret::new(secret.to_owned()))
            .and_then(|login| login.basic().map(|value| value.expose().clone()))
    };
    let basic = |pair: &str| Ok(format!("Basic {}", base64_encode(pair.as_bytes())));
    assert_eq!(read(Some("Aladdin"), "open sesame"), Ok("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==".to_owned()));
    assert_eq!(read(None, "ann:p:w"), basic("ann:p:w"));
    assert_eq!(read(None, r#"{"username": "ann", "password": "p"}"#), basic("ann:p"));
    assert_eq!(read(Some("ann"), "p:w"), basic("ann:p:w"));
    for (username, secret) in [
        (Some("a:b"), "p"),
        (Some("a"), "p\r\n"),
        (Some(""), "p"),
        (None, "nobody"),
        (None, "{}"),
        (None, "{\"username\": 1}"),
    ] {
        assert!(read(username, secret).is_err(), "{username:?}");
    }
}

fn connection(slot: Value) -> ConnectionSpec {
    let spec = json!({"environments": {"sandbox": {"url": "https://api.example"}}, "slot": slot});
    let spec: ConnectionSpec = serde_json::from_value(spec).unwrap();
    spec.check().unwrap();
    spec
}

#[test]
fn a_policy_fits_the_connections_schemes_or_nothing() {
    let basic = json!({"scheme": "basic", "secret": "s"});
    let digest_alone = connection(json!({"schemes": ["digest"]}));
    assert!(slot(&digest_alone, false, Some(&basic)).is_err());
    assert_eq!(slot(&digest_alone, false, None), Ok(None));
    let digest = json!({"scheme": "digest", "secret": "s", "username": "ann"});
    let found = slot(&digest_alone, false, Some(&digest)).unwrap().unwrap();
    assert_eq!(
        found,
        Slot::Authorization { policy: Authentication::Digest { username: Some("ann".to_owned()) }, md5: false }
    );
    let header = connection(json!({"header": "authorization", "prefix": "Bearer "}));
    assert!(slot(&header, false, Some(&basic)).is_err());
    assert!(slot(&header, false, Some(&json!({"scheme": "bearer", "secret": "s"}))).unwrap().is_some());
    let supplied = json!({"scheme": "digest", "supplied": {"username": CANARY, "password": CANARY}});
    assert!(!slot(&digest_alone, false, Some(&supplied)).unwrap_err().contains(CANARY));
}

proptest! {
    #[test]
    fn any_secret_is_survived(secret in ".{0,60}", user in proptest::option::of(".{0,10}")) {
        let login = Login::read(user.as_deref(), &Secret::new(secret.clone()));
        if let Ok(Ok(value)) = login.map(|login| login.basic()) {
            prop_assert!(reqwest::header::HeaderValue::from_str(value.expose()).is_ok());
        }
        if let Ok(value) = bearer(&secret) {
            prop_assert!(reqwest::header::HeaderValue::from_str(value.expose()).is_ok());
        }
    }
}
