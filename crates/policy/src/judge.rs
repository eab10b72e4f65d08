//! From what the policies said to a verdict. Pure, and the order of its questions is the point.

use crate::{DenyReason, Effect, GateDemand, Verdict, compile::Rule};
use std::collections::BTreeSet;

/// What evaluation found.
#[derive(Default)]
pub(crate) struct Findings<'a> {
    /// The policies that apply.
    pub(crate) applied: Vec<&'a Rule>,
    /// The policies that failed.
    pub(crate) failed: Vec<&'a Rule>,
    /// How they failed, in words.
    pub(crate) errors: Vec<String>,
}

/// A verdict, the policies it rests on sorted by id, and what went wrong.
pub(crate) type Judgement<'a> = (Verdict, Vec<&'a Rule>, Vec<String>);

/// Weighs the findings. A failed policy counts as a no even when its gate was passed or others permit:
/// it may have been the rule that matters. A passed gate sets its forbids aside, and nothing else.
pub(crate) fn judge<'a>(findings: Findings<'a>, passed: &BTreeSet<String>) -> Judgement<'a> {
    let Findings { mut applied, mut failed, mut errors } = findings;
    applied.sort_by(|a, b| a.reference.id.cmp(&b.reference.id));
    failed.sort_by(|a, b| a.reference.id.cmp(&b.reference.id));
    errors.sort();
    let deny = |reason, rules| (Verdict::Deny { reason }, rules);
    let is_forbid = |rule: &&Rule| rule.reference.effect == Effect::Forbid;
    let absolute: Vec<&Rule> = applied.iter().copied().filter(|r| is_forbid(r) && r.gate.is_none()).collect();
    let (verdict, rules) = if !errors.is_empty() {
        deny(DenyReason::EvaluationError, failed)
    } else if !absolute.is_empty() {
        deny(DenyReason::Forbidden, absolute)
    } else if applied.iter().all(is_forbid) {
        deny(DenyReason::NotPermitted, Vec::new())
    } else {
        let gates = demands(&applied, passed);
        let verdict = if gates.is_empty() { Verdict::Allow } else { Verdict::NotYet { gates } };
        (verdict, applied)
    };
    (verdict, rules, errors)
}

/// The gates not passed yet, sorted.
fn demands(applied: &[&Rule], passed: &BTreeSet<String>) -> Vec<GateDemand> {
    let mut gates: Vec<GateDemand> = applied
        .iter()
        .filter_map(|rule| {
            let (kind, text) = rule.gate.as_ref()?;
            (!passed.contains(text)).then(|| GateDemand { kind: kind.clone(), policy: rule.reference.id.clone() })
        })
        .collect();
    gates.sort();
    gates
}
