//! One plain sentence for a decision.

use crate::{DenyReason, Effect, GateDemand, GateKind, Question, Verdict, compile::Rule};

/// The sentence.
pub(crate) fn summary(question: &Question, verdict: &Verdict, rules: &[&Rule], errors: &[String]) -> String {
    let Question { principal, action, resource, .. } = question;
    let who = printable(&principal.subject());
    let what = format!("{action} on {} {}", resource.kind, printable(&resource.name));
    match verdict {
        Verdict::Allow => format!("{who} may {what}: {}.", permitted(rules)),
        Verdict::NotYet { gates } => format!("{who} may not yet {what}: it waits for {}.", wanted(gates)),
        Verdict::Deny { reason } => format!("{who} may not {what}: {}.", refused(*reason, rules, errors)),
    }
}

/// Names that come from outside can't hide or reorder the rest of a sentence: control characters and
/// those that steer the direction of text are spelt out.
fn printable(text: &str) -> String {
    let steers = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{61c}' | '\u{feff}');
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if c.is_control() || steers(c) {
            out.extend(c.escape_unicode())
        } else {
            out.push(c)
        }
        out
    })
}

fn described(rule: &Rule) -> String {
    let id = &rule.reference.id;
    match rule.reference.annotations.get("description") {
        Some(description) => format!("{id} ({})", printable(description.trim_end_matches('.'))),
        None => id.clone(),
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

fn permitted(rules: &[&Rule]) -> String {
    let side = |effect| rules.iter().filter(move |r| r.reference.effect == effect).map(|r| described(r));
    let permits = format!("permitted by {}", list(side(Effect::Permit)));
    if rules.iter().any(|r| r.reference.effect == Effect::Forbid) {
        format!("{permits}, the gate passed of {}", list(side(Effect::Forbid)))
    } else {
        permits
    }
}

fn wanted(gates: &[GateDemand]) -> String {
    list(gates.iter().map(|gate| match &gate.kind {
        GateKind::StepUp => format!("a fresh proof of presence ({})", gate.policy),
        GateKind::Approval { group } => format!("an approval by {group} ({})", gate.policy),
    }))
}

fn refused(reason: DenyReason, rules: &[&Rule], errors: &[String]) -> String {
    match reason {
        DenyReason::NoPolicy => "there is no policy, and without one nothing is allowed".to_owned(),
        DenyReason::BadQuestion => list(errors.iter().cloned()),
        DenyReason::EvaluationError => {
            let failed = list(rules.iter().map(|r| r.reference.id.clone()));
            format!("{failed} can't be evaluated, and a rule that can't be evaluated counts as a no")
        }
        DenyReason::Forbidden => format!("forbidden by {}", list(rules.iter().map(|r| described(r)))),
        DenyReason::NotPermitted => "no policy permits it".to_owned(),
    }
}
