//! The code flow and the device grant of the development provider, as a client and as a thief meet them.

use crate::platform::{API, Answer, World, read, world};
use mandate_devkit::{CLI_CLIENT, CONSOLE_CLIENT};
use mandate_identity::{Audience, IdTokenExpectation, Provider, ProviderConfig};
use mandate_kernel::{Clock as _, Digest, Duration, SystemClock, Tenant, base64url_encode};
use reqwest::{Client, Url};
use serde_json::Value;

const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters-1234";

fn challenge() -> String {
    base64url_encode(Digest::of(VERIFIER.as_bytes()).as_bytes())
}

fn callback() -> String {
    format!("{API}/auth/callback")
}

fn browser() -> Client {
    Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

fn form(pairs: &[(&str, &str)]) -> String {
    let mut url = Url::parse("http://form/").unwrap();
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap().to_owned()
}

/// A good request, with some parameters changed; `-` takes one away.
fn asking<'a>(challenge: &'a str, callback: &'a str, changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut pairs = vec![
        ("response_type", "code"),
        ("client_id", CONSOLE_CLIENT),
        ("redirect_uri", callback),
        ("scope", "openid"),
        ("state", "the \"state\" & <more>"),
        ("nonce", "the nonce"),
        ("code_challenge", challenge),
        ("code_challenge_method", "S256"),
    ];
    for (name, value) in changes {
        pairs.retain(|(found, _)| found != name);
        if *value != "-" {
            pairs.push((name, value));
        }
    }
    pairs
}

async fn authorize(world: &World, changes: &[(&str, &str)], chosen: bool) -> reqwest::Response {
    let (challenge, callback) = (challenge(), callback());
    let text = form(&asking(&challenge, &callback, changes));
    let url = format!("{}/authorize", world.house.provider_url("demo"));
    let request = match chosen {
        false => browser().get(format!("{url}?{text}")),
        true => browser().post(url).header("content-type", "application/x-www-form-urlencoded").body(text),
    };
    request.send().await.unwrap()
}

fn told(response: &reqwest::Response, name: &str) -> Option<String> {
    let url = Url::parse(response.headers().get("location")?.to_str().unwrap()).unwrap();
    url.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}

async fn code(world: &World, changes: &[(&str, &str)]) -> String {
    let mut all = vec![("account", "finance-lead")];
    all.extend(changes);
    let response = authorize(world, &all, true).await;
    assert_eq!(response.status(), 303);
    told(&response, "code").unwrap()
}

async fn token(world: &World, tenant: &str, pairs: &[(&str, &str)]) -> Answer {
    let url = format!("{}/token", world.house.provider_url(tenant));
    let request = world.client.post(url).header("content-type", "application/x-www-form-urlencoded");
    read(request.body(form(pairs)).send().await.unwrap()).await
}

fn exchange<'a>(code: &'a str, callback: &'a str) -> [(&'a str, &'a str); 5] {
    [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", callback),
        ("code_verifier", VERIFIER),
        ("client_id", CONSOLE_CLIENT),
    ]
}

async fn provider(world: &World) -> Provider {
    let issuer = world.house.provider_url("demo");
    let jwks = world.client.get(format!("{issuer}/jwks.json")).send().await.unwrap().text().await.unwrap();
    Provider::new(ProviderConfig {
        issuer,
        audience: Audience::new(API).unwrap(),
        tenant: Tenant::new("demo").unwrap(),
        jwks,
        groups_claim: "groups".to_owned(),
        types: vec!["at+jwt".to_owned()],
        leeway: Duration::from_secs(5),
    })
    .unwrap()
}

#[tokio::test]
async fn the_code_flow_gives_an_id_token_and_an_access_token() {
    let world = world().await;
    let page = authorize(&world, &[], false).await;
    assert_eq!((page.status().as_u16(), page.headers()["cache-control"].to_str().unwrap()), (200, "no-store"));
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    let html = page.text().await.unwrap();
    for account in ["admin", "finance-lead", "finance-director", "finance-analyst", "product-lead", "auditor"] {
        assert!(html.contains(&format!("<button name=\"account\" value=\"{account}\">")), "{html}");
    }
    assert!(!html.contains("other-admin") && !html.contains("<more>") && !html.contains("<script"), "{html}");

    let response = authorize(&world, &[("account", "finance-lead")], true).await;
    assert_eq!(told(&response, "state").unwrap(), "the \"state\" & <more>");
    assert_eq!(told(&response, "iss").unwrap(), world.house.provider_url("demo"));
    let code = told(&response, "code").unwrap();
    let answer = token(&world, "demo", &exchange(&code, &callback())).await;
    assert_eq!((answer.status, &answer.body["token_type"]), (200, &Value::from("Bearer")), "{}", answer.body);
    assert!(answer.body["refresh_token"].is_null());
    let (provider, now) = (provider(&world).await, SystemClock.now());
    let access = answer.body["access_token"].as_str().unwrap();
    let verified = provider.verify(access, now).unwrap();
    assert_eq!(
        (verified.caller.principal.subject().as_str(), verified.acr.as_deref()),
        ("user:finance-lead", Some("0"))
    );
    let id = answer.body["id_token"].as_str().unwrap();
    let expected = IdTokenExpectation { client_id: CONSOLE_CLIENT, nonce: "the nonce", access_token: Some(access) };
    let verified = provider.verify_id_token(id, &expected, now).unwrap();
    assert!(verified.authenticated_at.is_some());
    assert_eq!((verified.name.as_deref(), verified.caller.groups.len()), (Some("finance-lead"), 2));
    // Neither is good for the other's purpose.
    assert!(provider.verify(id, now).is_err());
    assert!(provider.verify_id_token(access, &expected, now).is_err());
    // Once.
    let again = token(&world, "demo", &exchange(&code, &callback())).await;
    assert_eq!((again.status, &again.body["error"]), (400, &Value::from("invalid_grant")));
}

#[tokio::test]
async fn whoever_is_not_registered_is_sent_nowhere() {
    let world = world().await;
    for changes in [
        [("client_id", "nobody")],
        [("client_id", "-")],
        [("redirect_uri", "https://evil.example/auth/callback")],
        [("redirect_uri", "-")],
        [("client_id", CLI_CLIENT)],
    ] {
        let response = authorize(&world, &changes, false).await;
        assert_eq!(response.status(), 400, "{changes:?}");
        assert!(response.headers().get("location").is_none());
    }
    let twice = format!("{}/authorize?client_id={CONSOLE_CLIENT}&client_id=x", world.house.provider_url("demo"));
    assert_eq!(browser().get(twice).send().await.unwrap().status(), 400);
    let elsewhere = authorize(&world, &[("account", "other-admin")], true).await;
    assert_eq!(elsewhere.status(), 400);
    // A link can't choose for the person who follows it.
    let link = authorize(&world, &[("account", "finance-lead")], false).await;
    assert_eq!(link.status(), 200);
}

#[tokio::test]
async fn bad_requests_are_told_to_their_client() {
    let world = world().await;
    for (changes, error) in [
        ([("response_type", "token")], "unsupported_response_type"),
        ([("response_mode", "fragment")], "invalid_request"),
        ([("scope", "profile")], "invalid_scope"),
        ([("state", "-")], "invalid_request"),
        ([("nonce", "-")], "invalid_request"),
        ([("code_challenge", "-")], "invalid_request"),
        ([("code_challenge", "short")], "invalid_request"),
        ([("code_challenge_method", "plain")], "invalid_request"),
        ([("code_challenge_method", "-")], "invalid_request"),
        ([("prompt", "none")], "login_required"),
        ([("request", "x.y.z")], "request_not_supported"),
        ([("request_uri", "https://evil.example/r")], "request_uri_not_supported"),
        ([("cancel", "yes")], "access_denied"),
    ] {
        let response = authorize(&world, &changes, error == "access_denied").await;
        assert_eq!(
            (response.status().as_u16(), told(&response, "error").as_deref()),
            (303, Some(error)),
            "{changes:?}"
        );
        assert!(told(&response, "code").is_none());
    }
}

#[tokio::test]
async fn a_code_is_no_good_to_a_thief() {
    let world = world().await;
    let callback = callback();
    let wrong = "another-verifier-of-at-least-forty-three-characters";
    for (change, error) in [
        (("code_verifier", wrong), "invalid_grant"),
        (("code_verifier", &challenge()), "invalid_grant"),
        (("redirect_uri", "http://127.0.0.1:9/callback"), "invalid_grant"),
        (("client_id", CLI_CLIENT), "invalid_grant"),
        (("client_id", "nobody"), "invalid_client"),
        (("code", "made-up"), "invalid_grant"),
    ] {
        let code = code(&world, &[]).await;
        let mut pairs = exchange(&code, &callback).to_vec();
        pairs.iter_mut().filter(|pair| pair.0 == change.0).for_each(|pair| *pair = change);
        let answer = token(&world, "demo", &pairs).await;
        assert_eq!((answer.status, &answer.body["error"]), (400, &Value::from(error)), "{change:?}");
        if error == "invalid_grant" && change.0 != "code" {
            // Whoever failed has used it up: the right one gets nothing either, and finds out.
            let after = token(&world, "demo", &exchange(&code, &callback)).await;
            assert_eq!(after.body["error"], "invalid_grant", "{change:?}");
        }
    }
    let code = code(&world, &[]).await;
    assert_eq!(token(&world, "other", &exchange(&code, &callback)).await.body["error"], "invalid_grant");
    for missing in ["code", "redirect_uri", "code_verifier", "client_id"] {
        let pairs: Vec<_> = exchange("x", &callback).into_iter().filter(|(name, _)| *name != missing).collect();
        let error = if missing == "client_id" { "invalid_client" } else { "invalid_request" };
        assert_eq!(token(&world, "demo", &pairs).await.body["error"], error, "{missing}");
    }
}

#[tokio::test]
async fn a_device_waits_for_a_person() {
    let world = world().await;
    let issuer = world.house.provider_url("demo");
    let begin = async |client: &str| {
        let request = world.client.post(format!("{issuer}/device_authorization"));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        read(request.body(form(&[("client_id", client), ("scope", "openid")])).send().await.unwrap()).await
    };
    assert_eq!(begin("nobody").await.body["error"], "invalid_client");
    assert_eq!(begin(CONSOLE_CLIENT).await.body["error"], "unauthorized_client");
    let asked = begin(CLI_CLIENT).await.body;
    let device = asked["device_code"].as_str().unwrap().to_owned();
    let grant = "urn:ietf:params:oauth:grant-type:device_code";
    let poll = async |tenant: &str, client: &str| {
        token(&world, tenant, &[("grant_type", grant), ("device_code", &device), ("client_id", client)]).await
    };
    assert_eq!(poll("other", CLI_CLIENT).await.body["error"], "expired_token");
    assert_eq!(poll("demo", CONSOLE_CLIENT).await.body["error"], "expired_token");
    assert_eq!(poll("demo", CLI_CLIENT).await.body["error"], "authorization_pending");
    assert_eq!(poll("demo", CLI_CLIENT).await.body["error"], "slow_down");
    let url = format!("{issuer}/device");
    let press = async |pairs: &[(&str, &str)]| {
        let request = browser().post(&url).header("content-type", "application/x-www-form-urlencoded");
        request.body(form(pairs)).send().await.unwrap().text().await.unwrap()
    };
    let user_code = asked["user_code"].as_str().unwrap().to_lowercase();
    assert!(press(&[("user_code", "bbbb-bbbb"), ("account", "admin")]).await.contains("role=\"alert\""));
    assert!(press(&[("user_code", &user_code), ("account", "finance-lead")]).await.contains("Signed in"));
    // An answer stands.
    assert!(press(&[("user_code", &user_code), ("account", "admin")]).await.contains("role=\"alert\""));
    tokio::time::sleep(std::time::Duration::from_millis(1_050)).await;
    let given = poll("demo", CLI_CLIENT).await;
    assert_eq!(given.status, 200, "{}", given.body);
    let verified = provider(&world).await.verify(given.body["access_token"].as_str().unwrap(), SystemClock.now());
    assert_eq!(verified.unwrap().caller.principal.subject(), "user:finance-lead");
    tokio::time::sleep(std::time::Duration::from_millis(1_050)).await;
    assert_eq!(poll("demo", CLI_CLIENT).await.body["error"], "expired_token");
    // Its refresh token is good once, for its client, at its tenant.
    let refresh = given.body["refresh_token"].as_str().unwrap();
    let pairs = [("grant_type", "refresh_token"), ("refresh_token", refresh), ("client_id", CLI_CLIENT)];
    let next = token(&world, "demo", &pairs).await;
    assert_eq!(next.status, 200);
    assert_eq!(token(&world, "demo", &pairs).await.body["error"], "invalid_grant");
    let next = next.body["refresh_token"].as_str().unwrap();
    let pairs = [("grant_type", "refresh_token"), ("refresh_token", next), ("client_id", CLI_CLIENT)];
    assert_eq!(token(&world, "other", &pairs).await.body["error"], "invalid_grant");
}
