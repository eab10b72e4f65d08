//! JSON Schema, draft 2020-12, by the `jsonschema` crate: without network or files, with patterns that match
//! in linear time, and with findings of our own that never hold a value.
//!
//! `format`, `contentEncoding` and `contentMediaType` describe and don't reject, as by default in the draft.

use super::dialect::{self, ordered};
use jsonschema::{
    Draft, PatternOptions, ValidationError, Validator,
    error::{TypeKind, ValidationErrorKind},
};
use serde_json::Value;

pub(crate) use super::dialect::Refusal;

/// Bytes of a compiled pattern.
const PATTERN_SIZE: usize = 256 << 10;
/// Bytes of a pattern's cache while it matches.
const PATTERN_CACHE: usize = 1 << 20;
/// Characters of a name in a finding.
const SHOWN: usize = 80;

/// What a value must be.
#[derive(Debug)]
pub struct Schema {
    validator: Validator,
}

impl Schema {
    /// A schema from elsewhere than a document.
    ///
    /// # Errors
    /// The first thing that is refused, with its JSON pointer.
    pub fn of(value: &Value) -> Result<Self, String> {
        Self::compile(value).map_err(|refused| {
            let (at, _, message) = refused.into_iter().next().unwrap_or_default();
            format!("the schema's {at}: {message}")
        })
    }

    /// Compiles a schema, or says what is refused, by pointers inside of it.
    pub(crate) fn compile(value: &Value) -> Result<Self, Vec<Refusal>> {
        let mut refused = dialect::refusals(value);
        let schema = ordered(value);
        for error in jsonschema::draft202012::meta::validator().iter_errors(&schema).take(20) {
            let found = wrong(&error);
            // What the walk found at that place says it better.
            if !refused.iter().any(|(at, ..)| *at == found.0) {
                refused.push(found);
            }
        }
        if !refused.is_empty() {
            return Err(refused);
        }
        jsonschema::options()
            .with_draft(Draft::Draft202012)
            .offline()
            .should_validate_formats(false)
            .without_content_media_type_support("application/json")
            .without_content_encoding_support("base64")
            .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_SIZE).dfa_size_limit(PATTERN_CACHE))
            .build(&schema)
            .map(|validator| Self { validator })
            .map_err(|error| vec![wrong(&error)])
    }

    /// Checks a value. The message names the place and what is expected, never the value.
    ///
    /// # Errors
    /// The first thing that does not fit, by the names of members in order.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        if self.validator.is_valid(value) {
            return Ok(());
        }
        let value = ordered(value);
        self.validator.validate(&value).map_err(|error| told(&error))
    }
}

/// What is wrong with a schema, told by its keyword.
fn wrong(error: &ValidationError<'_>) -> Refusal {
    let at = error.instance_path().to_string();
    let keyword = at.rsplit('/').next().unwrap_or_default().to_owned();
    let why = match (keyword.as_str(), error.kind()) {
        ("pattern", _) => "`pattern` must be a regular expression without look-around or back references".to_owned(),
        (_, ValidationErrorKind::Referencing(_)) => "a reference in it leads nowhere".to_owned(),
        ("type", _) => "`type` must be a type or a list of types".to_owned(),
        (_, ValidationErrorKind::Type { kind }) => format!("`{keyword}` must be {}", types(kind)),
        (_, ValidationErrorKind::Format { format }) if format == "regex" => {
            format!("`{keyword}` must be a regular expression without look-around or back references")
        }
        _ => format!("`{keyword}` is not as JSON Schema 2020-12 has it"),
    };
    (at, false, why)
}

fn types(kind: &TypeKind) -> String {
    let mut names: Vec<String> = match kind {
        TypeKind::Single(one) => vec![one.to_string()],
        TypeKind::Multiple(several) => several.iter().map(|one| one.to_string()).collect(),
    };
    names.sort();
    names.join(" or ")
}

fn short(name: &str) -> String {
    name.chars().take(SHOWN).collect()
}

fn told(error: &ValidationError<'_>) -> String {
    use ValidationErrorKind as K;
    let path: String = error.instance_path().to_string();
    let path: String = path.split('/').map(short).collect::<Vec<_>>().join("/").chars().take(8 * SHOWN).collect();
    let here = if path.is_empty() { "the value" } else { path.as_str() };
    let bound = |keyword: &str, limit: &Value| format!("{here} is outside `{keyword}` {limit}");
    match error.kind() {
        K::Type { kind } => format!("{here} must be {}", types(kind)),
        K::Enum { .. } | K::Constant { .. } => format!("{here} is not one of the values the schema lists"),
        K::Required { property } => format!("{here} must have `{}`", short(property.as_str().unwrap_or_default())),
        K::AdditionalProperties { unexpected } | K::UnevaluatedProperties { unexpected } => {
            let name = unexpected.iter().min().map(|name| short(name)).unwrap_or_default();
            format!("{path}/{name} is not allowed")
        }
        K::FalseSchema | K::AdditionalItems { .. } | K::UnevaluatedItems { .. } => format!("{here} is not allowed"),
        K::Minimum { limit } => bound("minimum", limit),
        K::Maximum { limit } => bound("maximum", limit),
        K::ExclusiveMinimum { limit } => bound("exclusiveMinimum", limit),
        K::ExclusiveMaximum { limit } => bound("exclusiveMaximum", limit),
        K::MultipleOf { multiple_of } => format!("{here} must be a multiple of {multiple_of}"),
        K::MinLength { .. } | K::MinItems { .. } | K::MinProperties { .. } => {
            format!("{here} is shorter than `{}`", error.kind().keyword())
        }
        K::MaxLength { .. } | K::MaxItems { .. } | K::MaxProperties { .. } => {
            format!("{here} is longer than `{}`", error.kind().keyword())
        }
        K::Pattern { pattern } => format!("{here} must match {}", short(pattern)),
        K::UniqueItems => format!("{here} must not hold the same item twice"),
        K::Contains => format!("{here} must hold as many items as `contains` asks for"),
        K::PropertyNames { .. } => format!("{here} must have only names that `propertyNames` allows"),
        kind => format!("{here} must fit the schema's `{}`", short(kind.keyword())),
    }
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
