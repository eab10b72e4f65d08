//! No permit comes from a default or from text.

use mandate_gate::{Access, Permit, Step};

fn by_default() -> Permit<Step> {
    <Permit<Step> as Default>::default()
}

fn taken(slot: &mut Permit<Step>) -> Permit<Step> {
    std::mem::take(slot)
}

fn from_text(text: &str) -> Option<Permit<Access>> {
    serde_json::from_str::<Permit<Access>>(text).ok()
}

fn main() {}
