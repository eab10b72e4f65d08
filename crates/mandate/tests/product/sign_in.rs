//! `mandate serve` and providers that are away, change their keys, or lie; throttles and lock-outs.

use super::browser::{Browser, form, parameter};
use super::receiver::{self, Captured};
use super::serve::Process;
use crate::house::http::{self, Reply};
use crate::house::process::{mandate, run, unused_port};
use mandate_identity::{Jwks, jws};
use mandate_kernel::{Clock, Ed25519Signer, Signer, SystemClock, SystemEntropy, base64_encode};
use serde_json::{Value, json};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a provider of ours says.
struct Said {
    up: bool,
    jwks: Value,
    token: (u16, Value),
    got: Vec<Captured>,
}

/// An OpenID provider that says whatever a test has it say.
struct Fake {
    url: String,
    signer: Ed25519Signer,
    said: Arc<Mutex<Said>>,
}

fn new_key() -> Ed25519Signer {
    Ed25519Signer::generate(&SystemEntropy).unwrap().0
}

impl Fake {
    fn start() -> Self {
        let signer = new_key();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let jwks = Jwks::new([signer.public()]).to_json();
        let said = Arc::new(Mutex::new(Said { up: true, jwks, token: (500, json!({})), got: Vec::new() }));
        let (shared, issuer) = (Arc::clone(&said), url.clone());
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let Some(request) = receiver::read(&mut stream) else { continue };
                let mut said = shared.lock().unwrap();
                let (status, body) = match request.target.as_str() {
                    _ if !said.up => (503, json!({})),
                    "/.well-known/openid-configuration" => (200, metadata(&issuer)),
                    "/keys" => (200, said.jwks.clone()),
                    _ => said.token.clone(),
                };
                said.got.push(request);
                let text = body.to_string();
                let head = format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close");
                let _ = write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{text}", text.len());
            }
        });
        Self { url, signer, said }
    }

    fn say(&self, change: impl FnOnce(&mut Said)) {
        change(&mut self.said.lock().unwrap());
    }

    /// An access token for the API.
    fn access(&self, signer: &Ed25519Signer, subject: &str) -> String {
        let now = SystemClock.now().as_secs();
        let claims = json!({
            "iss": self.url, "sub": subject, "aud": "https://api.example", "client_id": "c", "jti": "t", "iat": now,
            "exp": now + 600, "groups": ["staff"],
        });
        jws::sign(signer, "at+jwt", &claims).unwrap()
    }
}

fn metadata(issuer: &str) -> Value {
    json!({
        "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"), "jwks_uri": format!("{issuer}/keys"),
        "token_endpoint": format!("{issuer}/token"), "authorization_response_iss_parameter_supported": true,
    })
}

/// A node whose tenants trust two such providers: `demo` by a confidential client, `other` by a public one.
struct Node {
    folder: tempfile::TempDir,
    demo: Fake,
    other: Fake,
    port: u16,
    _witness: Process,
    server: Option<Process>,
}

impl Node {
    fn start(more: &str) -> Self {
        let mut node = Self::prepare(more);
        node.serve();
        node
    }

    fn prepare(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let witness = Process::start(
            mandate().args(["witness", "--data-dir"]).arg(at("witness")).arg("--trust-logs").arg(at("data/trust.json")),
            &at("witness.log"),
        );
        std::fs::write(at("secret"), "s3 cret&=\n").unwrap();
        std::fs::set_permissions(at("secret"), std::fs::Permissions::from_mode(0o600)).unwrap();
        let (port, demo, other) = (unused_port(), Fake::start(), Fake::start());
        let text = format!(
            "listen: 127.0.0.1:{port}\npublicUrl: http://127.0.0.1:{port}\ndataDir: {data}\nlogName: mandate.example\n\
             rootKey:\n  file: {root}\nwitness:\n  url: {url}\n  vkey: {vkey}\n{more}\ntenants:\n\
             - name: demo\n  provider: {{issuer: '{demo}', audience: 'https://api.example', name: Example SSO, clientId: 'con sole', \
             clientSecret: {{file: {secret}}}, scopes: [openid, groups]}}\n  firstAdministrators: ['user:alice']\n\
             - name: other\n  provider: {{issuer: '{other}', audience: 'https://api.example', clientId: console}}\n",
            data = at("data").display(),
            root = at("root.key").display(),
            url = witness.ready("url"),
            vkey = witness.ready("vkey"),
            secret = at("secret").display(),
            demo = demo.url,
            other = other.url,
        );
        std::fs::write(at("serve.yaml"), text).unwrap();
        Self { folder, demo, other, port, _witness: witness, server: None }
    }

    fn serve(&mut self) {
        let at = |name: &str| self.folder.path().join(name);
        self.server =
            Some(Process::start(mandate().args(["serve", "--config"]).arg(at("serve.yaml")), &at("serve.log")));
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("serve.log")).unwrap()
    }

    fn with_token(&self, method: &str, path: &str, token: &str, body: Option<&Value>) -> Reply {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let body = body.map(Value::to_string);
        http::send(method, &format!("{}{path}", self.url()), &headers, body.as_deref().map(str::as_bytes)).unwrap()
    }

    /// A browser on its way: its request to the provider, and what the provider's ID token would say.
    fn away(&self, browser: &mut Browser, tenant: &str) -> (String, Value) {
        let sent = browser.get(&format!("{}/auth/login?tenant={tenant}&return_to=/x", self.url()));
        assert_eq!(sent.status, 303, "{sent:?}\n{}", self.log());
        let to = sent.header("location").unwrap().to_owned();
        let fake = if tenant == "demo" { &self.demo } else { &self.other };
        let now = SystemClock.now().as_secs();
        let claims = json!({
            "iss": fake.url, "sub": "alice", "aud": parameter(&to, "client_id").unwrap(), "iat": now, "exp": now + 300,
            "nonce": parameter(&to, "nonce").unwrap(), "name": "Alice Example", "groups": ["staff", "Not A Group!"],
        });
        (to, claims)
    }

    /// The browser comes back; the provider gives this for its code.
    fn back(&self, browser: &mut Browser, to: &str, fake: &Fake, token: (u16, Value)) -> Reply {
        fake.say(|said| said.token = token);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let query = form(&[
            pair("code", "the code"),
            pair("state", &parameter(to, "state").unwrap()),
            pair("iss", to.split("/authorize").next().unwrap()),
        ]);
        browser.get(&format!("{}/auth/callback?{query}", self.url()))
    }
}

fn id_token(signer: &Ed25519Signer, claims: &Value) -> (u16, Value) {
    let token = jws::sign(signer, "JWT", claims).unwrap();
    (200, json!({"id_token": token, "access_token": "an access token", "token_type": "Bearer"}))
}

#[test]
fn a_provider_that_lies_signs_nobody_in() {
    let node = Node::start("sessions: {idleSeconds: 2, absoluteSeconds: 5}\nthrottle: {signInBurst: 1000}");
    let now = SystemClock.now().as_secs();
    for (member, value) in [
        ("nonce", json!("another")),
        ("nonce", Value::Null),
        ("iss", json!(node.other.url)),
        ("aud", json!("another")),
        ("aud", json!(["con sole", "another"])),
        ("azp", json!("another")),
        ("exp", json!(now - 60)),
        ("iat", json!(now + 600)),
        ("sub", json!("")),
        ("at_hash", json!("AAAA")),
    ] {
        let mut browser = Browser::default();
        let (to, mut claims) = node.away(&mut browser, "demo");
        claims[member] = value;
        let reply = node.back(&mut browser, &to, &node.demo, id_token(&node.demo.signer, &claims));
        assert_eq!(reply.status, 400, "{member}: {reply:?}");
        assert!(browser.cookie("mandate-session").is_none());
    }
    // Signed by the other tenant's provider, by nobody, or no ID token at all.
    let mut browser = Browser::default();
    let (to, claims) = node.away(&mut browser, "demo");
    assert_eq!(node.back(&mut browser, &to, &node.demo, id_token(&node.other.signer, &claims)).status, 400);
    let (_, of_other) = node.away(&mut Browser::default(), "other");
    let (to, claims) = node.away(&mut browser, "demo");
    let mut theirs = of_other.clone();
    (theirs["nonce"], theirs["aud"]) = (claims["nonce"].clone(), claims["aud"].clone());
    assert_eq!(node.back(&mut browser, &to, &node.demo, id_token(&node.other.signer, &theirs)).status, 400);
    for (token, status) in [
        ((200, json!({"access_token": "x"})), 400),
        ((200, json!({"id_token": node.demo.access(&node.demo.signer, "alice")})), 400),
        ((400, json!({"error": "invalid_grant"})), 400),
        ((500, json!({})), 503),
    ] {
        let (to, _) = node.away(&mut browser, "demo");
        assert_eq!(node.back(&mut browser, &to, &node.demo, token).status, status);
    }

    // The truth, to a client that shows its secret.
    let (to, claims) = node.away(&mut browser, "demo");
    assert_eq!(parameter(&to, "scope").as_deref(), Some("openid groups"));
    let done = node.back(&mut browser, &to, &node.demo, id_token(&node.demo.signer, &claims));
    assert_eq!((done.status, done.header("location")), (303, Some("/x")), "{}", node.log());
    let asked = node.demo.said.lock().unwrap().got.iter().rfind(|request| request.method == "POST").cloned().unwrap();
    let basic = format!("Basic {}", base64_encode(b"con+sole:s3+cret%26%3D"));
    assert_eq!(asked.header("authorization"), Some(basic.as_str()));
    let sent = String::from_utf8(asked.body).unwrap();
    assert!(sent.contains("code_verifier=") && !sent.contains("secret"), "{sent}");
    let session = || format!("{}/v1/session", node.url());
    let view = browser.get(&session()).json();
    assert_eq!((&view["name"], &view["groups"]), (&json!("Alice Example"), &json!(["staff"])));
    // Used each second it lives until its end; unused, not so long.
    let mut idle = browser.clone();
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(1_100));
        assert_eq!(browser.get(&session()).status, 200);
    }
    std::thread::sleep(Duration::from_millis(1_900));
    assert_eq!(browser.get(&session()).status, 401, "past its end");
    let (to, claims) = node.away(&mut idle, "demo");
    assert_eq!(node.back(&mut idle, &to, &node.demo, id_token(&node.demo.signer, &claims)).status, 303);
    std::thread::sleep(Duration::from_millis(2_100));
    assert_eq!(idle.get(&session()).status, 401, "unused");
    assert!(!node.log().contains("s3 cret"));
}

#[test]
fn keys_change_and_providers_go_away() {
    let mut node = Node::prepare("");
    node.other.say(|said| said.up = false);
    node.serve();
    let me = |token: &str| node.with_token("GET", "/v1/me", token, None).status;
    assert_eq!(me(&node.demo.access(&node.demo.signer, "alice")), 200);
    // A provider that was away at the start is read when somebody needs it.
    node.other.say(|said| said.up = true);
    assert_eq!(me(&node.other.access(&node.other.signer, "bob")), 200, "{}", node.log());
    // A new key is found when somebody shows a token by it; then not again for a while.
    let next = new_key();
    node.demo.say(|said| said.jwks = Jwks::new([node.demo.signer.public(), next.public()]).to_json());
    assert_eq!(me(&node.demo.access(&next, "alice")), 200);
    let count = || node.demo.said.lock().unwrap().got.iter().filter(|request| request.target == "/keys").count();
    let before = count();
    for _ in 0..5 {
        assert_eq!(me(&node.demo.access(&new_key(), "alice")), 401);
    }
    assert_eq!(count(), before, "a token by an unknown key may not make this server ask each time");
    // Away, its keys stay good, and nobody can sign in anew.
    node.demo.say(|said| said.up = false);
    assert_eq!(me(&node.demo.access(&next, "alice")), 200);
    let mut browser = Browser::default();
    let (to, _) = node.away(&mut browser, "demo");
    assert_eq!(node.back(&mut browser, &to, &node.demo, (200, json!({}))).status, 503);
    // A tenant is its provider's alone.
    let stranger = node.other.access(&node.demo.signer, "alice");
    assert_eq!(me(&stranger), 401);
}

#[test]
fn too_much_is_told_to_wait() {
    let node = Node::start(
        "throttle: {signInPerMinute: 6, signInBurst: 3, startsByPersonPerMinute: 6, startsByPersonBurst: 2, wrongTokens: 3}",
    );
    let waits = |reply: &Reply, code: &str| {
        let seconds: u64 = reply.header("retry-after").unwrap().parse().unwrap();
        assert!(reply.json()["type"].as_str().unwrap().ends_with(code), "{reply:?}");
        seconds
    };
    let login = || http::get(&format!("{}/auth/login?tenant=demo", node.url())).unwrap();
    for _ in 0..3 {
        assert_eq!(login().status, 303);
    }
    let reply = login();
    assert_eq!(reply.status, 429);
    assert!((1..=10).contains(&waits(&reply, "sign-in-throttled")));
    assert_eq!(http::get(&format!("{}/auth/callback?state=x", node.url())).unwrap().status, 429);
    // A header that anybody can write makes no other address of it.
    let forwarded = [("x-forwarded-for", "192.0.2.1")];
    let reply = http::send("GET", &format!("{}/auth/login?tenant=demo", node.url()), &forwarded, None).unwrap();
    assert_eq!(reply.status, 429);

    let body = json!({"worker": "finance/none", "purpose": "to see", "input": {}});
    let start = |who: &str| node.with_token("POST", "/v1/runs", &node.demo.access(&node.demo.signer, who), Some(&body));
    assert_eq!((start("alice").status, start("alice").status), (404, 404));
    let reply = start("alice");
    assert_eq!(reply.status, 429);
    assert!((1..=10).contains(&waits(&reply, "start-throttled")));
    assert_eq!(start("bob").status, 404, "another person is not held up");

    let good = node.demo.access(&node.demo.signer, "alice");
    let expired = {
        let now = SystemClock.now().as_secs();
        let claims =
            json!({"iss": node.demo.url, "sub": "a", "aud": "https://api.example", "jti": "t", "exp": now - 60});
        jws::sign(&node.demo.signer, "at+jwt", &claims).unwrap()
    };
    let me = |token: &str| node.with_token("GET", "/v1/me", token, None);
    for _ in 0..10 {
        assert_eq!(me(&expired).status, 401, "whoever is late is not guessing");
    }
    for _ in 0..4 {
        assert_eq!(me("a.b.c").status, 401);
    }
    let locked = me(&good);
    assert_eq!(locked.status, 429);
    let wait = waits(&locked, "locked-out");
    assert!((1..=5).contains(&wait), "{wait}");
    std::thread::sleep(Duration::from_secs(wait));
    assert_eq!(me(&good).status, 200);
    assert!(node.log().contains("address locked out") && node.log().contains("start throttled"), "{}", node.log());
}

#[test]
fn bad_sign_in_configurations_are_refused() {
    let node = Node::prepare("");
    let path = node.folder.path().join("serve.yaml");
    let good = std::fs::read_to_string(&path).unwrap();
    let secret = node.folder.path().join("secret");
    for (from, to, said) in [
        ("clientSecret: {file", "clientSecret: {inline", "a secret never stands here itself"),
        ("clientId: 'con sole', ", "", "clientSecret"),
        ("scopes: [openid, groups]", "scopes: [groups]", "openid"),
        ("publicUrl: http://127.0.0.1", "publicUrl: http://mandate.example", "https"),
        ("tenants:", "sessions: {idleSeconds: 0}\ntenants:", "idleSeconds"),
        ("tenants:", "tls: {certificate: none.pem, key: none.pem}\ntenants:", "publicUrl"),
        (&node.other.url, "http://sso.example", "https"),
        ("listen: 127.0.0.1", "listen: 0.0.0.0", "trustedProxy"),
    ] {
        std::fs::write(&path, good.replacen(from, to, 1)).unwrap();
        let ran = run(mandate().args(["serve", "--config"]).arg(&path));
        assert_ne!(ran.code, 0, "{to}");
        assert!(ran.stderr.contains(said), "{to}: {}", ran.stderr);
    }
    std::fs::write(&path, &good).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();
    let ran = run(mandate().args(["serve", "--config"]).arg(&path));
    assert!(ran.code != 0 && ran.stderr.contains("can be read by others"), "{ran:?}");
}
