//! What of a policy is performed, and where a secret may be exchanged.
use super::*;
use serde_json::json;

fn exchange(policy: Value) -> Result<Exchange, &'static str> {
    match Authentication::read(&policy)? {
        Authentication::Exchange(exchange) => Ok(*exchange),
        other => panic!("{other:?}"),
    }
}

fn oauth2() -> Value {
    json!({
        "scheme": "oauth2", "secret": "s", "fills": "clientSecret", "authority": "https://id.example/realms/x/",
        "grant": "client_credentials", "client": {"id": "worker"}, "scopes": ["read"],
    })
}

fn with(pointer: &str, value: Value) -> Value {
    let mut policy = oauth2();
    policy.as_object_mut().unwrap().insert(pointer.to_owned(), value);
    policy
}

#[test]
fn policies_are_read() {
    assert_eq!(
        Authentication::read(&json!({"scheme": "basic", "secret": "s", "username": "ann"})),
        Ok(Authentication::Basic { username: Some("ann".to_owned()) })
    );
    assert_eq!(Authentication::read(&json!({"scheme": "bearer", "secret": "s"})), Ok(Authentication::Bearer));
    let read = exchange(oauth2()).unwrap();
    assert_eq!(read.endpoint.unwrap().as_str(), "https://id.example/realms/x/oauth2/token");
    let request = read.request.unwrap();
    assert_eq!((request.fills, request.client.as_deref()), (Fills::ClientSecret, Some("worker")));
    let named = exchange(with("endpoints", json!({"token": "/token"}))).unwrap();
    assert_eq!(named.endpoint.unwrap().as_str(), "https://id.example/realms/x/token");
    let whole = exchange(json!({"scheme": "oidc", "secret": "s"})).unwrap();
    assert_eq!((whole.endpoint, whole.issuer, whole.request), (None, None, None));
}

#[test]
fn what_is_not_performed_is_said() {
    for bad in [
        json!({"scheme": "basic"}),
        json!({"scheme": "basic", "supplied": {"username": "a", "password": "b"}}),
        json!({"scheme": "negotiate", "secret": "s"}),
        json!("basic"),
        with("grant", json!("authorization_code")),
        with("client", json!({"id": "c", "authentication": "private_key_jwt"})),
        with("client", json!({"id": "c", "authentication": "none"})),
        with("client", json!({})),
        with("fills", json!("password")),
        with("fills", json!(null)),
        with("authority", json!("https://user@id.example")),
        with("authority", json!("https://id.example/../x")),
        with("endpoints", json!({"token": "https://evil.example/token"})),
        with("endpoints", json!({"token": "@evil.example/token"})),
        with("scopes", json!([1])),
        with("request", json!({"encoding": "text/plain"})),
        json!({"scheme": "oauth2", "secret": "s", "fills": "password", "authority": "https://i.example", "grant": "password"}),
    ] {
        assert!(Authentication::read(&bad).is_err(), "{bad}");
    }
}

#[test]
fn a_secret_is_exchanged_where_its_owner_says_and_nowhere_else() {
    let place = |token: &str, issuer: Option<&str>| ExchangePlace {
        token_endpoint: CanonicalUrl::new(token).unwrap(),
        issuer: issuer.map(str::to_owned),
        revocation_endpoint: None,
    };
    let here = "https://id.example/realms/x/oauth2/token";
    let oauth2 = exchange(oauth2()).unwrap();
    assert!(place(here, None).admits(&oauth2));
    for other in ["https://id.example/realms/x/token", "https://evil.example/realms/x/oauth2/token"] {
        assert!(!place(other, None).admits(&oauth2), "{other}");
    }
    let mut oidc = with("scheme", json!("oidc"));
    let read = exchange(oidc.clone()).unwrap();
    assert!(place(here, Some("https://id.example/realms/x")).admits(&read));
    assert!(place(here, Some("https://id.example/realms/x/")).admits(&read));
    assert!(!place(here, None).admits(&read) && !place(here, Some("https://id.example")).admits(&read));
    oidc["authority"] = json!("https://evil.example");
    assert!(!place(here, Some("https://id.example/realms/x")).admits(&exchange(oidc).unwrap()));
}
