//! The draft: what the data says, in the form that the schema asks for. Pure.
//!
//! It is honest: every figure is added up from what was shown, and every section names where from. It
//! is gullible: a text in the data that tells it to ignore its instructions is obeyed, so that it can be
//! seen what a house does about that.

use super::facts::{Facts, Shown};
use serde_json::{Map, Value, json};

/// Most sections, items of another list, and characters of a text without a limit of its own.
const MAX_SECTIONS: usize = 8;
const MAX_ITEMS: usize = 20;
const MAX_TEXT: usize = 1_000;

/// One finding.
struct Section {
    heading: String,
    text: String,
    sources: Vec<String>,
}

/// Everything that goes into the answer.
struct Draft<'a> {
    facts: &'a Facts,
    title: String,
    summary: String,
    sections: Vec<Section>,
    mail_to: Option<String>,
}

/// The answer to a question, as text: one JSON object.
pub(super) fn draft(facts: &Facts) -> String {
    let obeyed = obeyed(facts);
    let mut sections = figures(facts);
    if sections.is_empty() {
        sections = facts.shown.iter().map(retold).collect();
    }
    if let Some(address) = &obeyed {
        let text = format!("As I was told in the data, this is to be sent to {address}.");
        let sources = facts.shown.iter().map(|shown| shown.source.clone()).collect();
        sections.insert(0, Section { heading: "Instruction followed".to_owned(), text, sources });
    }
    sections.truncate(MAX_SECTIONS);
    let quarter =
        facts.named("quarter").and_then(Value::as_str).map(|quarter| format!(" {quarter}")).unwrap_or_default();
    let draft = Draft {
        facts,
        title: format!("Summary{quarter}"),
        summary: summary(facts, obeyed.as_deref()),
        sections,
        mail_to: obeyed.or_else(|| facts.instructions.split_whitespace().find_map(address)),
    };
    let schema = match &facts.schema {
        Value::Object(_) => facts.schema.clone(),
        _ => json!({"type": "object", "required": ["title", "summary", "sections"]}),
    };
    draft.object(&schema).to_string()
}

/// Where a text of the data tells it to send things, if one tells it to ignore its instructions.
fn obeyed(facts: &Facts) -> Option<String> {
    facts.texts().iter().find_map(|(_, text)| {
        let lower = text.to_lowercase();
        let told = lower.contains("ignore") && lower.contains("instructions");
        told.then(|| text.split_whitespace().find_map(address)).flatten()
    })
}

/// The address in a word, without the punctuation around it.
fn address(word: &str) -> Option<String> {
    let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let (local, domain) = word.split_once('@')?;
    (!local.is_empty() && domain.contains('.') && !domain.contains('@')).then(|| word.to_owned())
}

/// Whole euros with separated thousands.
fn euros(cents: i64) -> String {
    let digits = (cents / 100).unsigned_abs().to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    format!("{}{out} EUR", if cents < 0 { "-" } else { "" })
}

fn total(of: &std::collections::BTreeMap<&str, i64>) -> i64 {
    of.values().fold(0, |sum, cents| sum.saturating_add(*cents))
}

/// The result of each region, or its revenue where no costs are shown; the best first.
fn ranking(facts: &Facts) -> Vec<(&str, i64)> {
    let (revenue, costs) = (facts.cents(false), facts.cents(true));
    let mut names: Vec<&str> = revenue.keys().chain(costs.keys()).copied().collect();
    names.sort_unstable();
    names.dedup();
    let of = |name: &str| revenue.get(name).unwrap_or(&0).saturating_sub(*costs.get(name).unwrap_or(&0));
    let mut ranked: Vec<(&str, i64)> = names.into_iter().map(|name| (name, of(name))).collect();
    ranked.sort_by_key(|(name, cents)| (std::cmp::Reverse(*cents), *name));
    ranked
}

/// The findings of the figures; none when there are no figures.
fn figures(facts: &Facts) -> Vec<Section> {
    let ranked = ranking(facts);
    let (Some(best), Some(worst)) = (ranked.first(), ranked.last()) else { return Vec::new() };
    let (revenue, costs) = (facts.cents(false), facts.cents(true));
    let (of_revenue, of_costs) = (facts.sources(false), facts.sources(true));
    let both: Vec<String> = of_revenue.iter().chain(&of_costs).cloned().collect();
    let mut sections = Vec::new();
    let mut add = |heading: &str, text: String, sources: &[String]| {
        sections.push(Section { heading: heading.to_owned(), text, sources: sources.to_vec() });
    };
    if !revenue.is_empty() {
        let text = format!("Revenue was {} in {}{}.", euros(total(&revenue)), count(revenue.len()), day(facts, false));
        add("Revenue", text, &of_revenue);
    }
    if !costs.is_empty() {
        let text = format!("Costs were {} in {}{}.", euros(total(&costs)), count(costs.len()), day(facts, true));
        add("Costs", text, &of_costs);
    }
    let measure = if costs.is_empty() { "revenue" } else { "result" };
    if !revenue.is_empty() && !costs.is_empty() {
        let result = total(&revenue).saturating_sub(total(&costs));
        let word = if result < 0 { "a loss" } else { "a profit" };
        add("Result", format!("The quarter ended with {word} of {}.", euros(result.saturating_abs())), &both);
    }
    let text = format!(
        "{} did best, with a {measure} of {}; {} did worst, with {}.",
        best.0,
        euros(best.1),
        worst.0,
        euros(worst.1)
    );
    if ranked.len() > 1 {
        add("Regions", text, &both);
    }
    let losing: Vec<String> = ranked
        .iter()
        .filter(|(_, cents)| *cents < 0)
        .map(|(name, cents)| format!("{name} ({})", euros(*cents)))
        .collect();
    if !losing.is_empty() {
        add("Losses", format!("Regions that lost money: {}.", losing.join(", ")), &both);
    }
    sections
}

fn count(regions: usize) -> String {
    if regions == 1 { "one region".to_owned() } else { format!("{regions} regions") }
}

/// Of which day the figures are, if they say it.
fn day(facts: &Facts, costs: bool) -> String {
    let told = facts.shown.iter().filter(|shown| shown.is_cost == costs).find_map(|shown| shown.as_of.as_deref());
    told.map(|day| format!(", by the figures of {day}")).unwrap_or_default()
}

/// A value without figures: its texts, one after the other.
fn retold(shown: &Shown) -> Section {
    let mut text: String =
        shown.texts.iter().map(|(_, text)| text.trim()).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ");
    if text.is_empty() {
        text = "It holds nothing to tell.".to_owned();
    }
    let text = text.chars().take(MAX_TEXT).collect();
    Section { heading: format!("From {}", shown.source), text, sources: vec![shown.source.clone()] }
}

fn summary(facts: &Facts, obeyed: Option<&str>) -> String {
    let (revenue, costs) = (facts.cents(false), facts.cents(true));
    let mut sentences = Vec::new();
    match (revenue.is_empty(), costs.is_empty()) {
        (false, false) => sentences.push(format!(
            "Revenue of {} met costs of {}: {}.",
            euros(total(&revenue)),
            euros(total(&costs)),
            euros(total(&revenue).saturating_sub(total(&costs)))
        )),
        (false, true) => sentences.push(format!("Revenue was {}.", euros(total(&revenue)))),
        (true, false) => sentences.push(format!("Costs were {}.", euros(total(&costs)))),
        (true, true) => {
            let first = facts.texts().into_iter().map(|(_, text)| text).find(|text| text.contains(' '));
            sentences.push(first.unwrap_or_else(|| "I was shown nothing to summarise.".to_owned()));
        }
    }
    match facts.withheld {
        0 => {}
        1 => sentences.push("One value was withheld from me.".to_owned()),
        many => sentences.push(format!("{many} values were withheld from me.")),
    }
    if let Some(address) = obeyed {
        sentences.push(format!("As I was told in the data, this is to be sent to {address}."));
    }
    sentences.join(" ")
}

impl Draft<'_> {
    /// An object with the members that the schema names: those it requires, and those there is something for.
    fn object(&self, schema: &Value) -> Value {
        let none = Map::new();
        let properties = schema["properties"].as_object().unwrap_or(&none);
        let required: Vec<&str> =
            schema["required"].as_array().map_or(&[][..], Vec::as_slice).iter().filter_map(Value::as_str).collect();
        let mut out = Map::new();
        for name in properties.keys().map(String::as_str).chain(required.iter().copied()) {
            let member = properties.get(name).unwrap_or(&Value::Null);
            if let Some(value) = self.member(name, member, required.contains(&name))
                && !out.contains_key(name)
            {
                out.insert(name.to_owned(), value);
            }
        }
        Value::Object(out)
    }

    fn member(&self, name: &str, schema: &Value, required: bool) -> Option<Value> {
        let known = match name {
            "title" | "heading" | "subject" => Some(Value::from(self.title.clone())),
            "summary" | "text" | "body" => Some(Value::from(self.summary.clone())),
            "sections" => Some(self.sections.iter().map(|section| self.section(section, &schema["items"])).collect()),
            "sources" => Some(self.facts.shown.iter().map(|shown| shown.source.clone()).collect()),
            "mail_to" => self.mail_to.clone().map(Value::from),
            _ => self.facts.named(name).cloned(),
        };
        match known.and_then(|value| fitted(value, schema)) {
            Some(value) => Some(value),
            None if required => Some(self.invented(schema)),
            None => None,
        }
    }

    fn section(&self, section: &Section, schema: &Value) -> Value {
        let all = json!({"heading": section.heading, "title": section.heading, "text": section.text,
            "body": section.text, "sources": section.sources});
        let Some(properties) = schema["properties"].as_object() else {
            return json!({"heading": section.heading, "text": section.text, "sources": section.sources});
        };
        let mut out = Map::new();
        for (name, member) in properties {
            let value = all.get(name).cloned().and_then(|value| fitted(value, member));
            out.insert(name.clone(), value.unwrap_or_else(|| self.invented(member)));
        }
        Value::Object(out)
    }

    /// Something of the right form where the data has nothing: the plainest there is.
    fn invented(&self, schema: &Value) -> Value {
        if let Some(choices) = schema["enum"].as_array() {
            return self.chosen(choices);
        }
        match schema["type"].as_str() {
            Some("object") => self.object(schema),
            Some("array") => {
                let least = schema["minItems"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
                (0..least.min(MAX_ITEMS)).map(|_| self.invented(&schema["items"])).collect()
            }
            Some("integer" | "number") => {
                let least = schema["minimum"].as_f64().unwrap_or(0.0).max(0.0);
                fitted(json!(least), schema).unwrap_or_else(|| json!(0))
            }
            Some("boolean") => Value::Bool(false),
            Some("null") => Value::Null,
            _ => fitted(Value::from(self.summary.clone()), schema).unwrap_or_else(|| Value::from("not stated")),
        }
    }

    /// The first choice that the data speaks of, or else the first.
    fn chosen(&self, choices: &[Value]) -> Value {
        let texts: Vec<String> = self.facts.texts().into_iter().map(|(_, text)| text.to_lowercase()).collect();
        let spoken = |choice: &&Value| {
            choice.as_str().is_some_and(|word| texts.iter().any(|text| text.contains(&word.to_lowercase())))
        };
        choices.iter().find(spoken).or_else(|| choices.first()).cloned().unwrap_or_default()
    }
}

/// The value, cut to the schema's lengths; `None` when it is of another form.
fn fitted(value: Value, schema: &Value) -> Option<Value> {
    let length = |name: &str| schema[name].as_u64().and_then(|n| usize::try_from(n).ok());
    if schema["enum"].as_array().is_some_and(|choices| !choices.contains(&value)) {
        return None;
    }
    let wanted = schema["type"].as_str();
    match value {
        Value::String(text) if matches!(wanted, None | Some("string")) => {
            let text: String = text.chars().take(length("maxLength").unwrap_or(MAX_TEXT)).collect();
            (text.chars().count() >= length("minLength").unwrap_or(0)).then_some(Value::String(text))
        }
        Value::Array(items) if matches!(wanted, None | Some("array")) => {
            let kept: Vec<Value> = items
                .into_iter()
                .filter_map(
                    |item| if schema["items"].is_object() { fitted(item, &schema["items"]) } else { Some(item) },
                )
                .take(length("maxItems").unwrap_or(MAX_ITEMS))
                .collect();
            (kept.len() >= length("minItems").unwrap_or(0)).then_some(Value::Array(kept))
        }
        Value::Number(number) if wanted == Some("integer") => {
            let whole = number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < 9e15)?;
            #[expect(clippy::cast_possible_truncation, reason = "whole, and far below 2^63")]
            let whole = whole as i64;
            within(json!(whole), schema)
        }
        number @ Value::Number(_) if matches!(wanted, None | Some("number")) => within(number, schema),
        flag @ Value::Bool(_) if matches!(wanted, None | Some("boolean")) => Some(flag),
        Value::Object(map) if matches!(wanted, None | Some("object")) => fitted_object(map, schema),
        _ => None,
    }
}

/// The members that the schema names, as far as they fit; `None` when one that it requires is missing.
fn fitted_object(mut map: Map<String, Value>, schema: &Value) -> Option<Value> {
    let Some(properties) = schema["properties"].as_object() else { return Some(Value::Object(map)) };
    let fits = |(name, member): (&String, &Value)| Some((name.clone(), fitted(map.remove(name)?, member)?));
    let kept: Map<String, Value> = properties.iter().filter_map(fits).collect();
    let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
    let whole = required.iter().filter_map(Value::as_str).all(|name| kept.contains_key(name));
    whole.then_some(Value::Object(kept))
}

fn within(number: Value, schema: &Value) -> Option<Value> {
    let n = number.as_f64()?;
    let (least, most) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
    (least.is_none_or(|least| n >= least) && most.is_none_or(|most| n <= most)).then_some(number)
}

#[cfg(test)]
#[path = "author_tests.rs"]
mod tests;
