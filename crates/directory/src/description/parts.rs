//! The parts of an operation: parameters and bodies, with what they refer to.

use serde_json::{Map, Value};

/// How many references may follow each other.
const MAX_REFERENCES: usize = 16;

/// Whose rules a description follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// Swagger 2.0.
    Two,
    /// OpenAPI 3.0 or 3.1.
    Three,
}

impl Version {
    pub(super) fn of(document: &Value) -> Result<Self, String> {
        let text = |key| document.get(key).and_then(Value::as_str);
        match (text("swagger"), text("openapi")) {
            (Some("2.0"), None) => Ok(Self::Two),
            (None, Some(three)) if three.starts_with("3.0.") || three.starts_with("3.1.") => Ok(Self::Three),
            _ => Err("it is neither OpenAPI 3.0 or 3.1 nor Swagger 2.0 by its first line".to_owned()),
        }
    }
}

/// Where a parameter goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Into the path.
    Path,
    /// Into the query.
    Query,
    /// Into a header.
    Header,
    /// Into a form (Swagger 2.0).
    Form,
}

/// How a list, or an object, becomes text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// Its items with this between them.
    Joined(&'static str),
    /// The name again for each item; of an object each member by its own name.
    Repeated,
    /// `name[member]=value`
    Deep,
}

/// A parameter outside the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter<'d> {
    /// Its name.
    pub name: &'d str,
    /// Where it goes.
    pub place: Place,
    /// Whether a call has to give it.
    pub required: bool,
    /// What becomes of a list.
    pub spread: Spread,
}

/// The body of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body<'d> {
    /// Which member of a call's `parameters` it is: `body`, or in Swagger 2.0 its own name.
    pub name: &'d str,
    /// Whether a call has to give it.
    pub required: bool,
    /// What it is sent as.
    pub form: BodyForm<'d>,
}

/// What a body is sent as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyForm<'d> {
    /// JSON, under this media type.
    Json(&'d str),
    /// `application/x-www-form-urlencoded`: an object of scalars.
    Form,
    /// Text, under this media type.
    Text(&'d str),
}

pub(super) struct Reader<'d> {
    pub document: &'d Value,
    pub version: Version,
}

const FORM: &str = "application/x-www-form-urlencoded";

impl<'d> Reader<'d> {
    /// What a reference inside the description means; what is none means itself.
    fn resolved(&self, value: &'d Value) -> Result<&'d Value, String> {
        let mut at = value;
        for _ in 0..MAX_REFERENCES {
            let Some(reference) = at.get("$ref") else { return Ok(at) };
            let pointer = reference.as_str().and_then(|text| text.strip_prefix('#'));
            at = pointer
                .and_then(|pointer| self.document.pointer(pointer))
                .ok_or("the operation refers to something outside the description, or to nothing")?;
        }
        Err("the operation's references lead in a circle".to_owned())
    }

    /// Parameters of the path item and the operation; the latter's win. A body of Swagger 2.0 is beside them.
    pub(super) fn parameters(
        &self,
        item: &'d Value,
        operation: &'d Value,
    ) -> Result<(Vec<Parameter<'d>>, Option<Body<'d>>), String> {
        let mut found: Vec<(&str, &str, &'d Value)> = Vec::new();
        for owner in [item, operation] {
            for value in owner.get("parameters").and_then(Value::as_array).into_iter().flatten() {
                let value = self.resolved(value)?;
                let text = |key| value.get(key).and_then(Value::as_str);
                let (Some(name), Some(place)) = (text("name"), text("in")) else {
                    return Err("a parameter of the operation has no name, or no place".to_owned());
                };
                found.retain(|(other, its, _)| (*other, *its) != (name, place));
                found.push((name, place, value));
            }
        }
        let (mut parameters, mut body) = (Vec::new(), None);
        for (name, place, value) in found {
            let required = value.get("required") == Some(&Value::Bool(true));
            match (self.version, place) {
                (Version::Two, "body") => body = Some(self.body_of_two(name, required, operation)?),
                (_, "cookie") if !required => {}
                (_, "cookie") => {
                    let why = "is a cookie, which is a credential here: bind one to the connection's slot";
                    return Err(format!("parameter `{name}` of the operation {why}"));
                }
                _ => parameters.push(self.parameter(name, place, required, value)?),
            }
        }
        let form = parameters.iter().any(|parameter| parameter.place == Place::Form);
        if form && self.consumes(operation).is_some_and(|kinds| !kinds.contains(&FORM)) {
            return Err(
                "the operation takes a form as something else than application/x-www-form-urlencoded".to_owned()
            );
        }
        Ok((parameters, body))
    }

    fn parameter(&self, name: &'d str, place: &str, required: bool, value: &'d Value) -> Result<Parameter<'d>, String> {
        let no_call = |what: &str| Err(format!("parameter `{name}` of the operation {what}, which no call can have"));
        let place = match (place, self.version) {
            ("path", _) => Place::Path,
            ("query", _) => Place::Query,
            ("header", _) => Place::Header,
            ("formData", Version::Two) if value.get("type").and_then(Value::as_str) == Some("file") => {
                return no_call("is a file");
            }
            ("formData", Version::Two) => Place::Form,
            _ => return no_call("has another place than path, query or header"),
        };
        let text = |key| value.get(key).and_then(Value::as_str);
        let spread = match self.version {
            Version::Two => match text("collectionFormat").unwrap_or("csv") {
                "csv" => Spread::Joined(","),
                "ssv" => Spread::Joined(" "),
                "tsv" => Spread::Joined("\t"),
                "pipes" => Spread::Joined("|"),
                "multi" if matches!(place, Place::Query | Place::Form) => Spread::Repeated,
                _ => return no_call("has another collectionFormat"),
            },
            Version::Three => {
                if value.get("content").is_some() {
                    return no_call("has a `content`");
                }
                let style = text("style").unwrap_or(if place == Place::Query { "form" } else { "simple" });
                let explode = value.get("explode").map_or(style == "form", |explode| explode == &Value::Bool(true));
                match (style, place, explode) {
                    ("form", Place::Query, true) => Spread::Repeated,
                    ("form", Place::Query, false) | ("simple", Place::Path | Place::Header, _) => Spread::Joined(","),
                    ("spaceDelimited", Place::Query, _) => Spread::Joined(" "),
                    ("pipeDelimited", Place::Query, _) => Spread::Joined("|"),
                    ("deepObject", Place::Query, _) => Spread::Deep,
                    _ => return no_call("has another style"),
                }
            }
        };
        Ok(Parameter { name, place, required: required || place == Place::Path, spread })
    }

    /// The media types that an operation of Swagger 2.0 takes, if it says.
    fn consumes(&self, operation: &'d Value) -> Option<Vec<&'d str>> {
        let said = operation.get("consumes").or_else(|| self.document.get("consumes"))?.as_array()?;
        let kinds: Vec<&str> = said.iter().filter_map(Value::as_str).collect();
        (!kinds.is_empty()).then_some(kinds)
    }

    fn body_of_two(&self, name: &'d str, required: bool, operation: &'d Value) -> Result<Body<'d>, String> {
        let kinds = self.consumes(operation).unwrap_or_else(|| vec!["application/json"]);
        Ok(Body { name, required, form: form_of(kinds.into_iter())? })
    }

    /// A `requestBody` of OpenAPI 3.
    pub(super) fn request_body(&self, value: &'d Value) -> Result<Body<'d>, String> {
        let value = self.resolved(value)?;
        let kinds = value.get("content").and_then(Value::as_object).into_iter().flat_map(Map::keys);
        let form = form_of(kinds.map(String::as_str))?;
        Ok(Body { name: "body", required: value.get("required") == Some(&Value::Bool(true)), form })
    }
}

/// The best of the media types: JSON, a form, text.
fn form_of<'k>(kinds: impl Iterator<Item = &'k str>) -> Result<BodyForm<'k>, String> {
    let kinds: Vec<&str> = kinds.collect();
    let bare = |kind: &str| kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let find = |fits: &dyn Fn(&str) -> bool| kinds.iter().copied().find(|kind| fits(&bare(kind)));
    if let Some(json) = find(&|kind| kind == "application/json").or_else(|| find(&|kind| kind.ends_with("+json"))) {
        return Ok(BodyForm::Json(json));
    }
    if find(&|kind| matches!(kind, "*/*" | "application/*")).is_some() {
        return Ok(BodyForm::Json("application/json"));
    }
    if find(&|kind| kind == FORM).is_some() {
        return Ok(BodyForm::Form);
    }
    match find(&|kind| kind.starts_with("text/") && !kind.contains('*')) {
        Some(text) => Ok(BodyForm::Text(text)),
        None => Err("the operation's body is neither JSON nor a form nor text".to_owned()),
    }
}
