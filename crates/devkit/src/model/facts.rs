//! What a question says: the task, and the figures and texts in the data that is shown.
#![expect(
    clippy::indexing_slicing,
    reason = "an absent member of a JSON value reads as null; objects written to are made here"
)]

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What stands where something was withheld.
const WITHHELD: &str = "[withheld]";

/// Most texts that are looked at.
const MAX_TEXTS: usize = 10_000;

/// One value that was shown.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    /// Its name.
    pub(super) source: String,
    /// Whether it is about costs.
    pub(super) is_cost: bool,
    /// Cents by region.
    pub(super) regions: BTreeMap<String, i64>,
    /// Its day, if it says one.
    pub(super) as_of: Option<String>,
    /// Its texts, in order, with the names they stand under.
    pub(super) texts: Vec<(String, String)>,
}

/// A question, read.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) instructions: String,
    pub(super) schema: Value,
    pub(super) shown: Vec<Shown>,
    /// How many places were withheld.
    pub(super) withheld: usize,
    /// Everything as data: where a wanted name may be found.
    pub(super) data: Vec<Value>,
}

impl Facts {
    /// Reads the messages: whatever is JSON in them with `instructions`, `schema`, `input` or `shown`.
    pub(super) fn read(body: &Value) -> Self {
        let messages = body["messages"].as_array().map_or(&[][..], Vec::as_slice);
        let parts: Vec<Value> = messages
            .iter()
            .filter(|message| message["role"] != "system")
            .filter_map(|message| serde_json::from_str(message["content"].as_str()?).ok())
            .collect();
        let part = |name: &str| parts.iter().find_map(|part| part.get(name)).cloned().unwrap_or_default();
        let spoken = || messages.iter().rev().find(|m| m["role"] == "user").and_then(|m| m["content"].as_str());
        let instructions = match part("instructions") {
            Value::String(text) => text,
            _ => spoken().unwrap_or_default().to_owned(),
        };
        let schema = match &body["response_format"]["json_schema"]["schema"] {
            Value::Null => part("schema"),
            schema => schema.clone(),
        };
        let items = part("shown").as_array().cloned().unwrap_or_default();
        let withheld = items.iter().map(|item| item["withheld"].as_array().map_or(0, Vec::len)).sum();
        let input = part("input");
        let mut data: Vec<Value> = items.iter().map(|item| item["value"].clone()).collect();
        data.push(input);
        Self { instructions, schema, shown: items.iter().map(shown).collect(), withheld, data }
    }

    /// Every text of the data, with the name it stands under.
    pub(super) fn texts(&self) -> Vec<(String, String)> {
        let mut out = Vec::new();
        self.data.iter().for_each(|value| texts(value, "", &mut out));
        out
    }

    /// The first value of the data that stands under a name, whatever its case and punctuation.
    pub(super) fn named(&self, name: &str) -> Option<&Value> {
        self.data.iter().find_map(|value| named(value, &plain(name)))
    }

    /// Cents by region, of what is about costs or of what is not.
    pub(super) fn cents(&self, costs: bool) -> BTreeMap<&str, i64> {
        let mut sums = BTreeMap::new();
        for shown in self.shown.iter().filter(|shown| shown.is_cost == costs) {
            for (region, cents) in &shown.regions {
                let sum: &mut i64 = sums.entry(region.as_str()).or_default();
                *sum = sum.saturating_add(*cents);
            }
        }
        sums
    }

    /// The names of what is about costs, or of what is not, and has figures.
    pub(super) fn sources(&self, costs: bool) -> Vec<String> {
        let fits = |shown: &&Shown| shown.is_cost == costs && !shown.regions.is_empty();
        self.shown.iter().filter(fits).map(|shown| shown.source.clone()).collect()
    }
}

fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn named<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Array(items) => items.iter().find_map(|item| named(item, name)),
        Value::Object(map) => map
            .iter()
            .find(|(key, item)| plain(key) == name && !item.is_null() && *item != WITHHELD)
            .map(|(_, item)| item)
            .or_else(|| map.values().find_map(|item| named(item, name))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn shown(item: &Value) -> Shown {
    let name = |key: &str| item[key].as_str().unwrap_or_default().to_owned();
    let (source, function) = (name("source"), name("function"));
    let value = &item["value"];
    let rows = value.as_array().or_else(|| value["rows"].as_array()).map_or(&[][..], Vec::as_slice);
    let mut regions: BTreeMap<String, i64> = BTreeMap::new();
    for row in rows {
        if let (Some(region), Some(cents)) = (row["region"].as_str(), row["amount_cents"].as_i64()) {
            let sum = regions.entry(region.to_owned()).or_default();
            *sum = sum.saturating_add(cents);
        }
    }
    let mut texts = Vec::new();
    self::texts(value, "", &mut texts);
    let is_cost = source.contains("cost") || function.contains("cost");
    Shown { is_cost, source, regions, as_of: value["as_of"].as_str().map(str::to_owned), texts }
}

fn texts(value: &Value, name: &str, out: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) if text != WITHHELD && out.len() < MAX_TEXTS => out.push((name.to_owned(), text.clone())),
        Value::Array(items) => items.iter().for_each(|item| texts(item, name, out)),
        Value::Object(map) => object_texts(map, out),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn object_texts(map: &Map<String, Value>, out: &mut Vec<(String, String)>) {
    map.iter().for_each(|(name, item)| texts(item, name, out));
}
