//! Authentication policies (I4): a static slot that names a credential, never a value of the run.
//!
//! A policy compiles to `{scheme, use?, secret?, fills?, …}`: `use` is the policy's name in
//! `use.authentications`, `secret` the name of the secret that fills the slot as a whole, `fills` which part of
//! an OAuth 2 policy it is, and the rest are the policy's settings. What takes its credential from the run's data instead has `supplied`, and needs the operator's
//! switch ([`Need::CallerSuppliedCredentials`]).

use super::{
    compile::Compiler,
    components::{is_secret_name, short},
    process::Need,
    reader::{Ptr, enclosed},
};
use crate::expr::{Expression, Scope};
use serde_json::{Map, Value};

/// A place in a document that needs a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthenticationSlot {
    /// JSON pointer (RFC 6901) of the slot in the document.
    pub pointer: String,
    /// `basic`, `bearer`, `digest`, `oauth2` or `oidc`.
    pub scheme: &'static str,
    /// The policy's name in `use.authentications`, if it has one.
    pub policy: Option<String>,
    /// The secret that fills it; none when the policy's name alone tells, or the run supplies it.
    pub secret: Option<String>,
    /// Whether its credential comes from the run's data.
    pub supplied: bool,
    /// The policy as a call gets it, but for what the run supplies.
    pub compiled: Value,
}

/// Schemes of the language.
const SCHEMES: [&str; 5] = ["basic", "bearer", "digest", "oauth2", "oidc"];

/// Members of OAuth 2 policies beside the credentials in them.
const OAUTH: [&str; 11] = [
    "authority",
    "grant",
    "client",
    "request",
    "issuers",
    "scopes",
    "audiences",
    "username",
    "password",
    "subject",
    "actor",
];

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// What a policy is made of, as far as it was read.
#[derive(Default)]
struct Parts {
    settings: Map<String, Value>,
    secret: Option<String>,
    /// Which part of an OAuth 2 policy the secret is.
    fills: Option<&'static str>,
    supplied: Vec<(String, Expression)>,
}

impl Parts {
    /// Notes what the secret is, if it was read since.
    fn fill(&mut self, before: bool, what: &'static str) {
        if !before && self.secret.is_some() {
            self.fills = Some(what);
        }
    }
}

impl Compiler<'_> {
    /// `{use: NAME}`, or a policy in place.
    pub(super) fn authentication(&mut self, ptr: Ptr<'_>, value: &Value, scope: &Scope) -> Option<Expression> {
        let map = self.reader.object(ptr, value)?;
        let Some(name) = map.get("use") else {
            let (slot, made) = self.policy(ptr, value, None, scope)?;
            self.slot(ptr, slot);
            return Some(made);
        };
        self.reader.keys(ptr, map, &["use"], &[]);
        let name = self.reader.text(ptr.key("use"), name)?;
        let found = self.referred(ptr.key("use"), "authentications", name)?;
        let root = Ptr::Root.key("use");
        let section = root.key("authentications");
        let (slot, made) = self.policy(section.key(name), found, Some(name), scope)?;
        self.slot(ptr, slot);
        Some(made)
    }

    fn slot(&mut self, ptr: Ptr<'_>, slot: AuthenticationSlot) {
        if slot.supplied {
            self.code.needs.insert(Need::CallerSuppliedCredentials);
            if !matches!(slot.scheme, "basic" | "bearer" | "digest") {
                let what = "a credential out of the run's data by another scheme than basic, bearer and digest";
                self.code.later.push((ptr.to_string(), what));
            }
        }
        self.code.secrets.extend(slot.secret.clone());
        self.code.authentications.push(AuthenticationSlot { pointer: ptr.to_string(), ..slot });
    }

    /// A policy written out, and what it compiles to.
    pub(super) fn policy(
        &mut self,
        ptr: Ptr<'_>,
        value: &Value,
        name: Option<&str>,
        scope: &Scope,
    ) -> Option<(AuthenticationSlot, Expression)> {
        let map = self.reader.object(ptr, value)?;
        self.reader.keys(ptr, map, &SCHEMES, &[]);
        let mut present = SCHEMES.iter().filter(|scheme| map.contains_key(**scheme));
        let (Some(scheme), None) = (present.next(), present.next()) else {
            let why = "an authentication is exactly one of basic, bearer, digest, oauth2, oidc";
            self.reader.report("flow.authentication", ptr, why, Some("or `use` and the name of one"));
            return None;
        };
        let at = ptr.key(scheme);
        let body = map.get(*scheme).and_then(|value| self.reader.object(at, value))?;
        let mut parts = Parts::default();
        if let Some(secret) = body.get("use") {
            self.reader.keys(at, body, &["use"], &[]);
            let secret = self.reader.text(at.key("use"), secret)?;
            parts.secret = Some(self.secret(at.key("use"), secret)?);
        } else {
            match *scheme {
                "bearer" => {
                    self.reader.keys(at, body, &["token"], &[]);
                    self.credential(at, body, "token", &mut parts, scope)?;
                }
                "basic" | "digest" => {
                    self.reader.keys(at, body, &["username", "password"], &[]);
                    self.login(at, body, &mut parts, scope)?;
                }
                _ => self.oauth(at, scheme, body, &mut parts, scope)?,
            }
        }
        if parts.secret.is_some() && !parts.supplied.is_empty() {
            let why = "a credential comes either from the vault as a whole, or from the run's data";
            self.reader.report("flow.authentication", at, why, Some("write `use` and the name of one secret"));
            return None;
        }
        let slot = AuthenticationSlot {
            pointer: String::new(),
            scheme,
            policy: name.map(str::to_owned),
            secret: parts.secret.clone(),
            supplied: !parts.supplied.is_empty(),
            compiled: parts.told(scheme, name),
        };
        Some((slot, parts.made(scheme, name)))
    }

    /// The name of a secret that the document declares.
    fn secret(&mut self, at: Ptr<'_>, name: &str) -> Option<String> {
        if !is_secret_name(name) || !self.components.declares(name) {
            let why = format!("the secret `{}` is not in `use.secrets`", short(name));
            self.reader.report("flow.reference", at, why, Some("name there every secret that the document needs"));
            return None;
        }
        Some(name.to_owned())
    }

    /// A member that is a credential: `${ $secrets.NAME }`, or an expression on the run's data. Literals are
    /// told about elsewhere.
    fn credential(
        &mut self,
        at: Ptr<'_>,
        map: &Map<String, Value>,
        key: &str,
        parts: &mut Parts,
        scope: &Scope,
    ) -> Option<()> {
        let value = self.reader.required(at, map, key)?;
        let text = self.reader.text(at.key(key), value)?;
        let Some((_, inner)) = enclosed(text) else {
            if text.is_empty() {
                self.reader.report("flow.authentication", at.key(key), format!("`{key}` is empty"), None);
            }
            return None;
        };
        if let Some(name) = inner.trim().strip_prefix("$secrets.") {
            let secret = self.secret(at.key(key), name.trim_matches('"'))?;
            if parts.secret.replace(secret).is_some() {
                self.one_secret(at.key(key));
            }
            return Some(());
        }
        let supplied = self.reader.template(at.key(key), value, scope)?;
        parts.supplied.push((key.to_owned(), supplied));
        Some(())
    }

    fn one_secret(&mut self, at: Ptr<'_>) {
        let why = "one secret fills the slot as a whole";
        let help = "store what belongs together as one secret, and write `use` and its name";
        self.reader.report("flow.authentication", at, why, Some(help));
    }

    fn login(&mut self, at: Ptr<'_>, map: &Map<String, Value>, parts: &mut Parts, scope: &Scope) -> Option<()> {
        let user = self.reader.required(at, map, "username")?;
        let text = self.reader.text(at.key("username"), user)?;
        let password = self.credential(at, map, "password", parts, scope);
        if enclosed(text).is_some() {
            self.credential(at, map, "username", parts, scope)?;
        } else {
            parts.settings.insert("username".to_owned(), user.clone());
        }
        password
    }

    fn oauth(
        &mut self,
        at: Ptr<'_>,
        scheme: &str,
        map: &Map<String, Value>,
        parts: &mut Parts,
        scope: &Scope,
    ) -> Option<()> {
        let endpoints: &[&str] = if scheme == "oauth2" { &["endpoints"] } else { &[] };
        let known: Vec<&str> = OAUTH.iter().chain(endpoints).copied().collect();
        self.reader.keys(at, map, &known, &[]);
        let authority = self.reader.required(at, map, "authority")?;
        let fixed = self.fixed(at.key("authority"), authority)?;
        self.check_uri(at.key("authority"), fixed, &["http", "https"]);
        let grant = self.reader.required(at, map, "grant")?;
        let grants = ["client_credentials", "password", "authorization_code", "refresh_token", EXCHANGE];
        let grant = self.reader.one_of(at.key("grant"), grant, &grants)?;
        if matches!(grant, "authorization_code" | "refresh_token") {
            self.reader.unsupported(at.key("grant"), "a grant that needs a person at a browser");
        }
        for key in ["issuers", "scopes", "audiences"] {
            let Some(list) = map.get(key).and_then(|value| self.reader.list(at.key(key), value)) else { continue };
            let list_at = at.key(key);
            for (i, item) in list.iter().enumerate() {
                self.fixed(list_at.index(i), item);
            }
        }
        for key in ["authority", "grant", "issuers", "scopes", "audiences"] {
            parts.settings.extend(map.get(key).map(|value| (key.to_owned(), value.clone())));
        }
        self.client(at, map, parts, scope);
        for (key, known) in
            [("request", &["encoding"][..]), ("endpoints", &["token", "revocation", "introspection"][..])]
        {
            let Some(inner) = map.get(key).and_then(|value| self.reader.object(at.key(key), value)) else { continue };
            let inner_at = at.key(key);
            self.reader.keys(inner_at, inner, known, &[]);
            for (name, value) in inner {
                self.fixed(inner_at.key(name), value);
            }
            parts.settings.insert(key.to_owned(), Value::Object(inner.clone()));
        }
        if grant == "password" || map.contains_key("password") || map.contains_key("username") {
            let before = parts.secret.is_some();
            self.login(at, map, parts, scope);
            parts.fill(before, "password");
        }
        for key in ["subject", "actor"] {
            let Some(token) = map.get(key).and_then(|value| self.reader.object(at.key(key), value)) else { continue };
            let token_at = at.key(key);
            self.reader.keys(token_at, token, &["token", "type"], &[]);
            if let Some(kind) = self.reader.required(token_at, token, "type") {
                self.fixed(token_at.key("type"), kind);
                parts.settings.insert(format!("{key}Type"), kind.clone());
            }
            let mut inner = Parts::default();
            self.credential(token_at, token, "token", &mut inner, scope);
            if parts.secret.is_some() && inner.secret.is_some() {
                self.one_secret(token_at.key("token"));
            }
            let before = parts.secret.is_some();
            parts.secret = parts.secret.take().or(inner.secret);
            parts.fill(before, key);
            parts.supplied.extend(inner.supplied.into_iter().map(|(_, value)| (key.to_owned(), value)));
        }
        Some(())
    }

    /// `client: {id, secret, assertion, authentication}`
    fn client(&mut self, at: Ptr<'_>, map: &Map<String, Value>, parts: &mut Parts, scope: &Scope) {
        let ptr = at.key("client");
        let Some(client) = map.get("client").and_then(|value| self.reader.object(ptr, value)) else { return };
        self.reader.keys(ptr, client, &["id", "secret", "assertion", "authentication"], &[]);
        let mut kept = Map::new();
        for key in ["id", "authentication"] {
            let Some(value) = client.get(key) else { continue };
            self.fixed(ptr.key(key), value);
            kept.insert(key.to_owned(), value.clone());
        }
        if let Some(way) = client.get("authentication") {
            let known = ["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none"];
            self.reader.one_of(ptr.key("authentication"), way, &known);
        }
        parts.settings.insert("client".to_owned(), Value::Object(kept));
        for (key, name) in [("secret", "clientSecret"), ("assertion", "clientAssertion")] {
            if client.contains_key(key) {
                let (before, had) = (parts.supplied.len(), parts.secret.is_some());
                self.credential(ptr, client, key, parts, scope);
                parts.fill(had, name);
                for (member, _) in parts.supplied.iter_mut().skip(before) {
                    name.clone_into(member);
                }
            }
        }
    }

    /// A text without expressions.
    fn fixed<'v>(&mut self, at: Ptr<'_>, value: &'v Value) -> Option<&'v str> {
        let text = self.reader.text(at, value)?;
        if text.contains("${") {
            self.reader.unsupported(at, "an expression in an authentication policy");
            return None;
        }
        Some(text)
    }
}

impl Parts {
    /// Everything about the policy but what the run supplies.
    fn told(&self, scheme: &str, name: Option<&str>) -> Value {
        let text = |text: &str| Value::String(text.to_owned());
        let mut members = self.settings.clone();
        members.insert("scheme".to_owned(), text(scheme));
        members.extend(name.map(|name| ("use".to_owned(), text(name))));
        members.extend(self.secret.as_deref().map(|secret| ("secret".to_owned(), text(secret))));
        members.extend(self.fills.map(|fills| ("fills".to_owned(), text(fills))));
        Value::Object(members)
    }

    fn made(self, scheme: &str, name: Option<&str>) -> Expression {
        let told = self.told(scheme, name);
        let constant = |(key, value): (&String, &Value)| (key.clone(), Expression::constant(value.clone()));
        let mut members: Vec<_> = told.as_object().into_iter().flatten().map(constant).collect();
        if !self.supplied.is_empty() {
            members.push(("supplied".to_owned(), Expression::object(self.supplied)));
        }
        members.sort_by(|(a, _), (b, _)| a.cmp(b));
        Expression::object(members)
    }
}
