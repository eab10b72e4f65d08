//! Sessions of browsers: sign-in at the development provider, forged requests, and the end of it all.

use super::browser::{Browser, parameter, with_parameter};
use super::world::search;
use crate::house::{House, INPUT, WORKER};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn problem(body: &Value) -> &str {
    body["type"].as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default()
}

fn start_body() -> String {
    let input: Value = serde_json::from_str(INPUT).unwrap();
    json!({"worker": WORKER, "purpose": "quarterly review", "input": input}).to_string()
}

#[test]
fn signing_in_makes_a_session_that_ends_with_signing_out() {
    let house = House::start();
    let (url, mut browser) = (house.url().to_owned(), Browser::default());
    let tenants = browser.get(&format!("{url}/auth/tenants")).json();
    let demo = tenants["tenants"].as_array().unwrap().iter().find(|t| t["tenant"] == "demo").unwrap();
    assert_eq!(demo["provider"], "Development provider");
    assert_eq!(browser.get(&format!("{url}/v1/session")).status, 401);

    let sent = browser.get(&format!("{url}/auth/login?tenant=demo&return_to=/runs?tab=data"));
    let to = sent.header("location").unwrap().to_owned();
    assert_eq!(parameter(&to, "code_challenge_method").as_deref(), Some("S256"));
    assert_eq!(parameter(&to, "redirect_uri").unwrap(), format!("{url}/auth/callback"));
    for secret in ["state", "nonce", "code_challenge"] {
        assert_eq!(parameter(&to, secret).unwrap().len(), 43, "{secret}");
    }
    let page = browser.get(&to);
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'") && policy.contains(&format!("form-action 'self' {url}")),
        "{policy}"
    );
    let back = browser.press(&to, &page, ("account", "finance-lead"));
    let done = browser.get(back.header("location").unwrap());
    assert_eq!((done.status, done.header("location")), (303, Some("/runs?tab=data")));
    let cookie = done.headers.iter().find(|(n, v)| n == "set-cookie" && v.starts_with("mandate-session")).unwrap();
    for attribute in ["; Path=/", "; HttpOnly", "; SameSite=Lax", "; Max-Age=28800"] {
        assert!(cookie.1.contains(attribute), "{}", cookie.1);
    }
    assert!(browser.cookie("mandate-login").is_none(), "the cookie of the sign-in is gone");

    let session = browser.get(&format!("{url}/v1/session"));
    assert_eq!(session.header("cache-control"), Some("no-store"));
    let session = session.json();
    assert_eq!((&session["subject"], &session["tenant"]), (&json!("user:finance-lead"), &json!("demo")));
    assert_eq!((&session["name"], &session["groups"]), (&json!("finance-lead"), &json!(["finance", "finance-leads"])));
    let csrf = session["csrf"].as_str().unwrap();
    let me = browser.get(&format!("{url}/v1/me")).json();
    assert_eq!(me["subject"], "user:finance-lead");

    let post = [("content-type", "application/json"), ("origin", url.as_str()), ("x-csrf-token", csrf)];
    let started = browser.send("POST", &format!("{url}/v1/runs"), &post, Some(start_body().as_bytes()));
    assert_eq!((started.status, &started.json()["initiator"]), (201, &json!("user:finance-lead")));

    // Nothing that is stored, logged or answered holds the secret.
    let (name, secret) = browser.cookie("mandate-session").unwrap();
    let random = secret.split_once('.').unwrap().1;
    assert!(!house.log().contains(random));
    for file in ["mandate.db", "mandate.db-wal"] {
        let bytes = std::fs::read(house.data_dir().join(file)).unwrap_or_default();
        assert!(!bytes.windows(random.len()).any(|window| window == random.as_bytes()), "{file} holds the secret");
        assert!(!bytes.windows(csrf.len()).any(|window| window == csrf.as_bytes()), "{file} holds the csrf token");
    }

    let forged = browser.send("POST", &format!("{url}/auth/logout"), &[("origin", &url)], None);
    assert_eq!(forged.status, 403);
    let out = browser.send("POST", &format!("{url}/auth/logout"), &[("origin", &url), ("x-csrf-token", csrf)], None);
    assert_eq!(out.status, 204);
    assert!(browser.cookie("mandate-session").is_none());
    // Whoever kept a copy has nothing.
    browser.set_cookie(&name, &secret);
    assert_eq!(browser.get(&format!("{url}/v1/me")).status, 401);
}

#[test]
fn a_session_survives_a_restart_but_not_a_signed_out_secret() {
    let mut house = House::start();
    let mut browser = Browser::default();
    browser.sign_in(&house, "demo", "auditor");
    house.restart();
    assert_eq!(browser.get(&format!("{}/v1/session", house.url())).json()["subject"], "user:auditor");
}

#[test]
fn forged_requests_are_refused_and_recorded() {
    let house = House::start();
    let (url, mut browser) = (house.url().to_owned(), Browser::default());
    let csrf = browser.sign_in(&house, "demo", "finance-lead");
    let other = Browser::default().sign_in(&house, "demo", "finance-lead");
    let port = house.port();
    let elsewhere =
        [format!("http://localhost:{port}"), format!("https://127.0.0.1:{port}"), format!("{url}.evil.example")];
    let cases: Vec<Vec<(&str, &str)>> = vec![
        vec![("origin", &url)],
        vec![("origin", &url), ("x-csrf-token", "")],
        vec![("origin", &url), ("x-csrf-token", "guess")],
        vec![("origin", &url), ("x-csrf-token", &other)],
        vec![("x-csrf-token", &csrf)],
        vec![("origin", "null"), ("x-csrf-token", &csrf)],
        vec![("origin", "https://evil.example"), ("x-csrf-token", &csrf)],
        vec![("origin", &elsewhere[0]), ("x-csrf-token", &csrf)],
        vec![("origin", &elsewhere[1]), ("x-csrf-token", &csrf)],
        vec![("origin", &elsewhere[2]), ("x-csrf-token", &csrf)],
        vec![("sec-fetch-site", "cross-site"), ("x-csrf-token", &csrf)],
        vec![("sec-fetch-site", "same-site"), ("x-csrf-token", &csrf)],
        vec![("origin", &url), ("sec-fetch-site", "cross-site"), ("x-csrf-token", &csrf)],
        vec![("origin", &url), ("origin", "https://evil.example"), ("x-csrf-token", &csrf)],
    ];
    let count = cases.len();
    for mut headers in cases {
        headers.push(("content-type", "application/json"));
        let reply = browser.send("POST", &format!("{url}/v1/runs"), &headers, Some(start_body().as_bytes()));
        assert_eq!((reply.status, problem(&reply.json())), (403, "csrf"), "{headers:?}");
    }
    let refusals = || {
        let mut entries = search(&house, "auditor", "limit=500");
        entries.retain(|entry| entry["details"]["reason"] == "csrf");
        entries
    };
    // Entries are in the tree a moment after they are durable.
    let begun = Instant::now();
    while refusals().len() < count && begun.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let refused = refusals();
    assert_eq!(refused.len(), count, "{refused:#?}");
    assert_eq!((&refused[0]["actor"], &refused[0]["kind"]), (&json!("user:finance-lead"), &json!("access-denied")));
    assert_eq!(refused[0]["details"]["resource"], "POST /v1/runs");
    assert!(house.all_runs().is_empty());
    // What browsers tell themselves is enough without Origin.
    let headers =
        [("sec-fetch-site", "same-origin"), ("x-csrf-token", csrf.as_str()), ("content-type", "application/json")];
    let fine = browser.send("POST", &format!("{url}/v1/runs"), &headers, Some(start_body().as_bytes()));
    assert_eq!(fine.status, 201);
}

#[test]
fn two_identities_at_once_are_nobody() {
    let house = House::start();
    let mut browser = Browser::default();
    browser.sign_in(&house, "demo", "finance-lead");
    let me = format!("{}/v1/me", house.url());
    let bearer = format!("Bearer {}", house.token("admin"));
    let both = browser.send("GET", &me, &[("authorization", &bearer)], None);
    assert_eq!((both.status, problem(&both.json())), (400, "two-identities"));
    let (name, secret) = browser.cookie("mandate-session").unwrap();
    let mut second = Browser::default();
    second.sign_in(&house, "demo", "admin");
    let two = format!("{name}={secret}; {name}={}", second.cookie("mandate-session").unwrap().1);
    let reply = Browser::default().send("GET", &me, &[("cookie", &two)], None);
    assert_eq!((reply.status, problem(&reply.json())), (400, "two-cookies"));
    // The tenant in front of the secret can't be swapped.
    let random = secret.split_once('.').unwrap().1;
    for bad in [
        format!("other.{random}"),
        random.to_owned(),
        format!("demo.{}", "A".repeat(43)),
        format!("{secret}x"),
        String::new(),
    ] {
        let reply = Browser::default().send("GET", &me, &[("cookie", &format!("{name}={bad}"))], None);
        assert_eq!(reply.status, 401, "{bad}");
    }
    // A session of another tenant sees nothing of this one.
    let run = house.start_run();
    let mut foreign = Browser::default();
    foreign.sign_in(&house, "other", "other-admin");
    let reply = foreign.get(&format!("{}/v1/runs/{run}", house.url()));
    assert_eq!(reply.status, 404);
    assert_eq!(foreign.get(&format!("{}/v1/runs", house.url())).json()["items"], json!([]));
}

#[test]
fn a_sign_in_is_good_once_and_in_one_browser() {
    let house = House::start();
    let url = house.url().to_owned();
    let refused = |browser: &mut Browser, callback: &str| {
        let reply = browser.get(callback);
        assert_eq!((reply.status, problem(&reply.json())), (400, "sign-in-refused"), "{callback}");
        assert!(browser.cookie("mandate-session").is_none());
    };
    // Another browser, such as a victim's that was sent a link.
    let mut attacker = Browser::default();
    let callback = attacker.choose(&url, "demo", "finance-lead", "/");
    refused(&mut Browser::default(), &callback);
    // That used the state up: it is not good for its own browser either.
    refused(&mut attacker, &callback);
    // A state that was made up, none, another's, an answer of another provider, and nobody's answer.
    for (name, value) in [("state", "made-up"), ("iss", "http%3A%2F%2Fevil.example"), ("code", "made-up")] {
        let mut browser = Browser::default();
        let callback = browser.choose(&url, "demo", "finance-lead", "/");
        refused(&mut browser, &with_parameter(&callback, name, value));
    }
    let (mut one, mut two) = (Browser::default(), Browser::default());
    let (first, second) = (one.choose(&url, "demo", "admin", "/"), two.choose(&url, "demo", "auditor", "/"));
    let swapped = with_parameter(&first, "code", &parameter(&second, "code").unwrap());
    refused(&mut one, &swapped);
    let mut browser = Browser::default();
    let callback = browser.choose(&url, "demo", "finance-lead", "/");
    let nameless = callback.split("&iss=").next().unwrap().to_owned();
    refused(&mut browser, &nameless);
    // Twice.
    let callback = browser.choose(&url, "demo", "finance-lead", "/");
    assert_eq!(browser.get(&callback).status, 303);
    assert_eq!(browser.get(&callback).status, 400);
    assert_eq!(browser.get(&format!("{url}/v1/session")).status, 200, "a refused sign-in leaves the session alone");
    // Nobody chosen.
    let mut browser = Browser::default();
    let sent = browser.get(&format!("{url}/auth/login?tenant=demo"));
    let to = sent.header("location").unwrap().to_owned();
    let page = browser.get(&to);
    let back = browser.press(&to, &page, ("cancel", "yes"));
    let reply = browser.send("GET", back.header("location").unwrap(), &[("accept", "text/html")], None);
    assert_eq!((reply.status, reply.header("content-type")), (400, Some("text/html; charset=utf-8")));
    assert!(String::from_utf8_lossy(&reply.body).contains("access_denied"));
}

#[test]
fn signing_in_brings_a_secret_nobody_knew() {
    let house = House::start();
    let mut browser = Browser::default();
    let name = format!("mandate-session-{}", house.port());
    let planted = format!("demo.{}", "A".repeat(43));
    browser.set_cookie(&name, &planted);
    let callback = browser.choose(house.url(), "demo", "finance-lead", "/");
    assert_eq!(browser.get(&callback).status, 303);
    let first = browser.cookie("mandate-session").unwrap().1;
    assert_ne!(first, planted);
    let opens = |value: &str| {
        let cookie = format!("{name}={value}");
        Browser::default().send("GET", &format!("{}/v1/session", house.url()), &[("cookie", &cookie)], None).status
    };
    assert_eq!((opens(&planted), opens(&first)), (401, 200));
    // Signing in again ends what was.
    browser.sign_in(&house, "demo", "auditor");
    assert_eq!(opens(&first), 401);
}

#[test]
fn a_sign_in_leads_back_here_or_nowhere() {
    let house = House::start();
    let url = house.url();
    for bad in [
        "https://evil.example/",
        "//evil.example",
        "%2F%2Fevil.example",
        "/%5Cevil.example",
        "/%09/evil.example",
        "javascript:alert(1)",
        "evil.example",
        "/.//evil.example",
        "/%0d%0aset-cookie:x=y",
    ] {
        let reply = Browser::default().get(&format!("{url}/auth/login?tenant=demo&return_to={bad}"));
        assert_eq!((reply.status, problem(&reply.json())), (422, "invalid-return-to"), "{bad}");
    }
    for (query, status) in
        [("", 422), ("?tenant=nobody", 404), ("?tenant=demo&next=/x", 422), ("?tenant=demo&tenant=other", 422)]
    {
        assert_eq!(Browser::default().get(&format!("{url}/auth/login{query}")).status, status, "{query}");
    }
    // Under another of its names the browser is sent to the one that cookies are for.
    let reply = Browser::default().send(
        "GET",
        &format!("{url}/auth/login?tenant=demo&return_to=/x"),
        &[("host", &format!("localhost:{}", house.port()))],
        None,
    );
    assert_eq!(reply.header("location").unwrap(), format!("{url}/auth/login?tenant=demo&return_to=/x"));
}

#[test]
fn every_answer_tells_browsers_what_they_may_do() {
    let house = House::start();
    for path in ["/livez", "/v1/me", "/nowhere", "/auth/tenants", "/t/demo/.well-known/jwks.json"] {
        let reply = Browser::default().get(&format!("{}{path}", house.url()));
        for (name, value) in [
            ("content-security-policy", "frame-ancestors 'none'"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
        ] {
            assert!(reply.header(name).is_some_and(|found| found.contains(value)), "{path} {name}: {reply:?}");
        }
        assert_eq!(reply.header("access-control-allow-origin"), None);
    }
}
