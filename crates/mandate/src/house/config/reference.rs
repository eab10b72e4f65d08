//! The reference of the configuration file, made from the types that read it: a key that has no example here, or
//! that the page does not have, fails.

use super::ServeConfig;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::path::Path;

/// Where a secret is, as its own reader takes it.
#[derive(schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "only its schema is looked at")]
pub(super) enum SecretPlace {
    /// A file that only the server's user can read; one line break at its end is not part of it.
    File(String),
    /// An environment variable.
    Env(String),
    /// A systemd credential.
    Systemd(String),
}

/// An example of each key; of each alternative where there are several.
const EXAMPLES: &[(&str, &str)] = &[
    ("listen", "\"127.0.0.1:8445\""),
    ("tls.certificate", "\"/etc/mandate/tls/chain.pem\""),
    ("tls.key", "\"/etc/mandate/tls/key.pem\""),
    ("trustedProxy", "true"),
    ("publicUrl", "\"https://mandate.example.com\""),
    ("dataDir", "\"/var/lib/mandate\""),
    ("store.sqlite", "{}"),
    ("store.postgres.url.file", "\"/etc/mandate/store.url\""),
    ("store.postgres.url.env", "\"MANDATE_DB_URL\""),
    ("store.postgres.url.systemd", "\"store.url\""),
    ("store.postgres.ownerUrl.file", "\"/etc/mandate/owner.url\""),
    ("store.postgres.ownerUrl.env", "\"MANDATE_DB_OWNER_URL\""),
    ("store.postgres.ownerUrl.systemd", "\"owner.url\""),
    ("store.postgres.connections", "16"),
    ("logName", "\"mandate.example.com\""),
    ("rootKey.file", "\"/etc/mandate/root.key\""),
    ("rootKey.env", "\"MANDATE_ROOT_KEY\""),
    ("rootKey.systemd", "\"root.key\""),
    ("witness.url", "\"https://witness.example.org\""),
    ("witness.vkey", "\"mandate.local/witness+d096b5bc+BJ1cBgCHKwlZ0JEGHH9PKJUnhwYCbsw+1Whs9NyCRnlN\""),
    ("tenants[].name", "\"acme\""),
    ("tenants[].provider.issuer", "\"https://id.example.com\""),
    ("tenants[].provider.audience", "\"https://mandate.example.com\""),
    ("tenants[].provider.name", "\"Example SSO\""),
    ("tenants[].provider.jwksFile", "\"/etc/mandate/acme.jwks.json\""),
    ("tenants[].provider.clientId", "\"mandate\""),
    ("tenants[].provider.clientSecret.file", "\"/etc/mandate/client.secret\""),
    ("tenants[].provider.clientSecret.env", "\"MANDATE_CLIENT_SECRET\""),
    ("tenants[].provider.clientSecret.systemd", "\"client.secret\""),
    ("tenants[].provider.commandLineClientId", "\"mandate-cli\""),
    ("tenants[].provider.scopes", "[\"openid\", \"profile\"]"),
    ("tenants[].provider.groupsClaim", "\"groups\""),
    ("tenants[].provider.types", "[\"at+jwt\"]"),
    ("tenants[].firstAdministrators", "[\"user:jo\"]"),
    ("sessions.absoluteSeconds", "28800"),
    ("sessions.idleSeconds", "1800"),
    ("throttle.signInPerMinute", "30"),
    ("throttle.signInBurst", "10"),
    ("throttle.startsByPersonPerMinute", "120"),
    ("throttle.startsByPersonBurst", "60"),
    ("throttle.startsInTenantPerMinute", "1200"),
    ("throttle.startsInTenantBurst", "600"),
    ("throttle.wrongTokens", "20"),
    ("node.name", "\"node-a\""),
    ("node.leaseSeconds", "10"),
    ("node.noticeSeconds", "5"),
    ("node.drainSeconds", "25"),
    ("expressions", "\"tame-only\""),
    ("expressions.timeoutMilliseconds", "2000"),
    ("expressions.memoryMebibytes", "256"),
    ("expressions.concurrent", "8"),
    ("shares.turns", "64"),
    ("shares.shared", "48"),
    ("shares.runsPerTenant", "1000"),
    ("shares.runsPerWorker", "500"),
    ("allow", "[\"run-script\"]"),
];

/// One key.
struct Key {
    path: String,
    type_: String,
    /// What holds without it.
    default: String,
    told: String,
}

struct Walk<'a> {
    definitions: &'a Map<String, Value>,
    keys: Vec<Key>,
}

impl Walk<'_> {
    fn resolved(&self, schema: &Value) -> Value {
        let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) else {
            return schema.clone();
        };
        let mut found = self.definitions[name].clone();
        // What is said at the place goes before what is said of the type.
        for (key, value) in schema.as_object().unwrap().iter().filter(|(key, _)| *key != "$ref") {
            found[key] = value.clone();
        }
        found
    }

    /// The forms that a value may have, `null` left out.
    fn forms(&self, schema: &Value) -> Vec<Value> {
        let schema = self.resolved(schema);
        for word in ["oneOf", "anyOf"] {
            if let Some(several) = schema[word].as_array() {
                return several.iter().filter(|one| one["type"] != "null").flat_map(|one| self.forms(one)).collect();
            }
        }
        vec![schema]
    }

    fn object(&mut self, prefix: &str, schema: &Value) {
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let Some(properties) = schema["properties"].as_object() else { return };
        for (name, property) in properties {
            let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            self.key(&path, property, required.contains(&name.as_str()));
        }
    }

    fn key(&mut self, path: &str, property: &Value, required: bool) {
        let told = self.resolved(property)["description"].as_str().unwrap_or_default().to_owned();
        let forms = self.forms(property);
        for form in &forms {
            if forms.len() > 1 && form["required"].as_array().is_some_and(|one| one.len() == 1) {
                // One of several places: what is said of the alternative is said of its only key.
                let before = self.keys.len();
                self.object(path, form);
                for key in self.keys.iter_mut().skip(before).filter(|key| key.told.is_empty()) {
                    key.told = form["description"].as_str().unwrap_or_default().to_owned();
                    key.default = "one of these".to_owned();
                }
            } else if form["properties"].is_object() {
                self.object(path, form);
            } else if form["items"].is_object() && self.forms(&form["items"])[0]["properties"].is_object() {
                let inner = self.forms(&form["items"]).remove(0);
                self.object(&format!("{path}[]"), &inner);
            } else if !self.keys.iter().any(|key| key.path == path) {
                let default = match &property["default"] {
                    Value::Null if required => "required".to_owned(),
                    Value::Null => String::new(),
                    value => format!("`{value}`"),
                };
                self.keys.push(Key { path: path.to_owned(), type_: type_of(form), default, told: told.clone() });
            }
        }
    }
}

fn type_of(form: &Value) -> String {
    let word = |value: &Value| value.as_str().unwrap_or("any").to_owned();
    if let Some(words) = form["enum"].as_array() {
        return words.iter().map(|word| format!("`{}`", word.as_str().unwrap())).collect::<Vec<_>>().join(", ");
    }
    if let Some(constant) = form["const"].as_str() {
        return format!("`{constant}`");
    }
    match &form["type"] {
        Value::Array(several) => several.iter().map(word).filter(|one| one != "null").collect::<Vec<_>>().join(" or "),
        Value::String(one) if one == "array" => format!("list of {}s", word(&form["items"]["type"])),
        one => word(one),
    }
}

fn keys() -> Vec<Key> {
    let schema = schemars::schema_for!(ServeConfig).to_value();
    let mut walk = Walk { definitions: schema["$defs"].as_object().unwrap(), keys: Vec::new() };
    walk.object("", &schema);
    walk.keys
}

fn example(path: &str) -> Value {
    let found = EXAMPLES.iter().find(|(known, _)| *known == path);
    let (_, text) = found.unwrap_or_else(|| panic!("`{path}` has no example: add one to EXAMPLES"));
    serde_json::from_str(text).unwrap()
}

fn page() -> String {
    let mut page = String::from(
        "# Configuration reference\n\nEvery key of the file that `mandate serve --config` reads. Made from the code by \
         `MANDATE_BLESS=1 cargo test -p mandate --bin mandate reference`; a key that is not here fails the tests. \
         [05](05-operate.md) tells what they are for. Of several keys that begin alike and end in `file`, `env` and \
         `systemd`, give one.\n\n| Key | Type | Without it | Example | What |\n|---|---|---|---|---|\n",
    );
    for Key { path, type_, default, told } in keys() {
        let told = told.replace('\n', " ").replace('|', "\\|");
        writeln!(page, "| `{path}` | {type_} | {default} | `{}` | {told} |", example(&path)).unwrap();
    }
    page
}

/// A configuration that says nothing but what it must.
fn least() -> Value {
    json!({
        "listen": "127.0.0.1:1", "publicUrl": "https://a.example", "dataDir": "/d", "logName": "a.example",
        "rootKey": {"file": "/k"}, "witness": {"url": "http://127.0.0.1:2", "vkey": "v"},
        "tenants": [{"name": "acme", "provider": {"issuer": "https://id.example", "audience": "a"}}],
    })
}

/// Puts a value at a path, alone in the places where only one may be.
fn put(config: &mut Value, path: &str, value: Value) {
    let parts: Vec<&str> = path.split('.').collect();
    let alone = ["file", "env", "systemd", "sqlite"].contains(parts.last().unwrap());
    let mut at = config;
    for part in &parts[..parts.len() - 1] {
        at = match part.strip_suffix("[]") {
            Some(list) => &mut at[list][0],
            None => {
                if at[*part].is_null() {
                    at[*part] = json!({});
                }
                &mut at[*part]
            }
        };
    }
    if alone {
        *at = json!({});
    }
    at[parts[parts.len() - 1]] = value;
}

#[test]
fn the_page_has_every_key() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/16-configuration.md");
    let page = page();
    if std::env::var_os("MANDATE_BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/guide/16-configuration.md is stale: run this test with MANDATE_BLESS=1");
    let keys = keys();
    for (path, _) in EXAMPLES {
        assert!(keys.iter().any(|key| key.path == *path), "`{path}` is no key any more");
    }
}

#[test]
fn each_example_is_taken() {
    for Key { path, .. } in keys() {
        let mut config = least();
        if path.starts_with("store.postgres.") && !path.contains(".url.") {
            put(&mut config, "store.postgres.url.file", json!("/u"));
        }
        if path.starts_with("tls.") {
            config["tls"] = json!({"certificate": "c", "key": "k"});
        }
        put(&mut config, &path, example(&path));
        serde_json::from_value::<ServeConfig>(config).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
}
