//! Endpoints, URI templates and external resources.
//!
//! A URI template has simple expansion alone (RFC 6570 level 1), as the specification says: `{name}` is the
//! member of that name of the task's input, `{a.b}` the member called `a.b`.

use super::{
    compile::Compiler,
    components::short,
    credential,
    reader::{Ptr, enclosed},
};
use crate::expr::{Expression, Scope, UriPart};
use fluent_uri::UriRef;
use serde_json::Value;

/// Bytes of a URI.
const MAX_URI: usize = 4 << 10;

impl Compiler<'_> {
    /// An endpoint as `{uri, authentication?}`. Of an expression only a text is taken, so that it never brings
    /// an authentication of its own.
    pub(super) fn endpoint(
        &mut self,
        at: Ptr<'_>,
        value: &Value,
        scope: &Scope,
        schemes: &[&str],
    ) -> Option<Expression> {
        let Some(map) = value.as_object() else {
            let uri = self.uri(at, value, scope, schemes)?;
            return Some(Expression::object(vec![("uri".to_owned(), uri)]));
        };
        self.reader.keys(at, map, &["uri", "authentication"], &[]);
        let authentication =
            map.get("authentication").map(|value| self.authentication(at.key("authentication"), value, scope));
        let uri = self.reader.required(at, map, "uri")?;
        let uri = self.uri(at.key("uri"), uri, scope, schemes)?;
        let mut members = Vec::new();
        if let Some(authentication) = authentication {
            members.push(("authentication".to_owned(), authentication?));
        }
        members.push(("uri".to_owned(), uri));
        Some(Expression::object(members))
    }

    /// `{name?, endpoint}`
    pub(super) fn resource(&mut self, at: Ptr<'_>, value: &Value, scope: &Scope) -> Option<Expression> {
        let map = self.reader.object(at, value)?;
        self.reader.keys(at, map, &["name", "endpoint"], &[]);
        let mut members = Vec::new();
        if let Some(name) = map.get("name") {
            self.reader.text(at.key("name"), name)?;
            members.push(("name".to_owned(), Expression::constant(name.clone())));
        }
        let endpoint = self.reader.required(at, map, "endpoint")?;
        let endpoint = self.endpoint(at.key("endpoint"), endpoint, scope, &["http", "https", "file"])?;
        members.insert(0, ("endpoint".to_owned(), endpoint));
        Some(Expression::object(members))
    }

    /// A URI: literal, a template, or an expression.
    fn uri(&mut self, at: Ptr<'_>, value: &Value, scope: &Scope, schemes: &[&str]) -> Option<Expression> {
        let text = self.reader.text(at, value)?;
        if enclosed(text).is_some() {
            return self.reader.template(at, value, scope);
        }
        let parts = self.uri_template(at, text)?;
        let sample: String = parts
            .iter()
            .map(|part| match part {
                UriPart::Text(text) => text.as_str(),
                UriPart::Variable(_) => "x",
            })
            .collect();
        // What the template itself decides can be checked; a variable may stand for the scheme.
        let schemes = if matches!(parts.first(), Some(UriPart::Variable(_))) { &[][..] } else { schemes };
        if !self.check_uri(at, &sample, schemes) {
            return None;
        }
        match parts.as_slice() {
            [UriPart::Text(text)] => Some(Expression::constant(Value::String(text.clone()))),
            _ => Some(Expression::uri(parts)),
        }
    }

    /// Splits a template at its variables.
    fn uri_template(&mut self, at: Ptr<'_>, text: &str) -> Option<Vec<UriPart>> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else {
                self.reader.report("flow.uri", at, "a `{` of this URI template is not closed", None);
                return None;
            };
            if before.contains('}') {
                break;
            }
            let plain = !name.is_empty()
                && name.len() <= 128
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
            if !plain {
                let why = format!("`{{{}}}` is not a variable of a URI template", short(name));
                let help = "a variable is the name of a member of the input; for more, write an expression in ${ }";
                self.reader.report("flow.uri", at, why, Some(help));
                return None;
            }
            if !before.is_empty() {
                parts.push(UriPart::Text(before.to_owned()));
            }
            parts.push(UriPart::Variable(name.to_owned()));
            rest = after;
        }
        if rest.contains('}') {
            self.reader.report("flow.uri", at, "a `}` of this URI template was never opened", None);
            return None;
        }
        if !rest.is_empty() || parts.is_empty() {
            parts.push(UriPart::Text(rest.to_owned()));
        }
        Some(parts)
    }

    /// Checks a literal URI; any scheme will do when none are given.
    pub(super) fn check_uri(&mut self, at: Ptr<'_>, text: &str, schemes: &[&str]) -> bool {
        let parsed = (text.len() <= MAX_URI).then(|| UriRef::parse(text).ok()).flatten();
        let Some(uri) = parsed else {
            self.reader.report("flow.uri", at, "this is not a URI (RFC 3986)", None);
            return false;
        };
        if !schemes.is_empty() {
            let scheme = uri.scheme().map(|scheme| scheme.as_str().to_ascii_lowercase());
            if !scheme.is_some_and(|scheme| schemes.contains(&scheme.as_str())) {
                let why = format!("this must be an absolute URI with the scheme {}", schemes.join(" or "));
                self.reader.report("flow.uri", at, why, None);
                return false;
            }
        }
        if uri.authority().is_some_and(|authority| authority.userinfo().is_some()) {
            self.reader.report("flow.credential", at, credential::MESSAGE, Some(credential::HELP));
            return false;
        }
        if uri.path().as_str().split('/').any(|segment| matches!(segment, "." | "..")) {
            self.reader.report("flow.uri", at, "a path with `.` or `..` as a segment is refused", None);
            return false;
        }
        true
    }
}
