//! `mandate diff`: what `apply` would change, line by line.

use crate::cli::args::ApplyArgs;
use crate::cli::client::{Call, Client};
use crate::cli::output::{cell, items, shown};
use crate::cli::{CliError, Exit, Session, manifests};
use mandate_flow::yaml;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Beyond this many comparisons the texts are shown one after the other.
const MAX_WORK: usize = 4_000_000;
/// Unchanged lines shown around a change.
const CONTEXT: usize = 2;

pub(in crate::cli) async fn diff(session: &Session<'_>, args: ApplyArgs) -> Result<Exit, CliError> {
    let loaded = manifests::load(&args.file, args.project.as_ref())?;
    let client = session.client()?;
    let mut found = Vec::with_capacity(loaded.len());
    for wanted in &loaded {
        let (kind, name) = (wanted.kind.as_str(), &wanted.name);
        let now = current(client, &format!("/v1/resources/{kind}/{name}")).await?;
        let spec = &wanted.stored;
        let (change, lines) = match now.as_ref().and_then(|now| now.get("spec")) {
            None => ("new", compare("", &yaml::emit(&sorted(spec)))),
            Some(now) if now == spec => ("unchanged", String::new()),
            Some(now) => ("changed", compare(&yaml::emit(&sorted(now)), &yaml::emit(&sorted(spec)))),
        };
        found.push(json!({"kind": kind, "name": name, "change": change, "diff": lines}));
    }
    session.out().value(&json!({"items": found, "next": null}), |value| {
        let part = |item: &Value| {
            let head = format!("{} {}: {}", cell(item, "kind"), cell(item, "name"), cell(item, "change"));
            format!("{head}\n{}", shown(&cell(item, "diff")))
        };
        items(value).iter().map(part).map(|part| part.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
    })?;
    Ok(Exit::Done)
}

/// The resource as it is now; `None` where there is none that the caller may see.
async fn current(client: &Client, path: &str) -> Result<Option<Value>, CliError> {
    match client.json(Call::get(path)).await {
        Ok(found) => Ok(Some(found)),
        Err(CliError::Problem(problem)) if problem.status == 404 => Ok(None),
        Err(error) => Err(error),
    }
}

/// The value with its keys in order, so that a difference in their order is none.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Object(map) => {
            let ordered: BTreeMap<&String, Value> = map.iter().map(|(key, inner)| (key, sorted(inner))).collect();
            Value::Object(ordered.into_iter().map(|(key, inner)| (key.clone(), inner)).collect())
        }
        scalar => scalar.clone(),
    }
}

/// Lines with `-` and `+` before them, and a few unchanged ones around.
fn compare(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let marked = if old.len().saturating_mul(new.len()) > MAX_WORK {
        old.iter().map(|line| ('-', *line)).chain(new.iter().map(|line| ('+', *line))).collect()
    } else {
        common(&old, &new)
    };
    let near = |at: usize| {
        let window = marked.iter().skip(at.saturating_sub(CONTEXT)).take(CONTEXT.min(at) + CONTEXT + 1);
        window.into_iter().any(|(mark, _)| *mark != ' ')
    };
    let mut text = String::new();
    let mut skipped = false;
    for (at, (mark, line)) in marked.iter().enumerate() {
        if near(at) {
            text.push_str(&format!("{mark} {line}\n"));
        } else if !skipped {
            text.push_str("  …\n");
        }
        skipped = !near(at);
    }
    text
}

/// Marks lines by their longest common subsequence.
fn common<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<(char, &'t str)> {
    // lengths[i][j]: the longest common part of old[i..] and new[j..].
    let mut lengths = vec![vec![0u32; new.len() + 1]; old.len() + 1];
    let at = |lengths: &[Vec<u32>], i: usize, j: usize| lengths.get(i).and_then(|row| row.get(j)).copied().unwrap_or(0);
    for (i, a) in old.iter().enumerate().rev() {
        for (j, b) in new.iter().enumerate().rev() {
            let best = if a == b {
                at(&lengths, i + 1, j + 1) + 1
            } else {
                at(&lengths, i + 1, j).max(at(&lengths, i, j + 1))
            };
            if let Some(slot) = lengths.get_mut(i).and_then(|row| row.get_mut(j)) {
                *slot = best;
            }
        }
    }
    let (mut i, mut j, mut marked) = (0, 0, Vec::new());
    loop {
        match (old.get(i), new.get(j)) {
            (Some(a), Some(b)) if a == b => {
                marked.push((' ', *a));
                (i, j) = (i + 1, j + 1);
            }
            (Some(a), b) if b.is_none() || at(&lengths, i + 1, j) >= at(&lengths, i, j + 1) => {
                marked.push(('-', *a));
                i += 1;
            }
            (_, Some(b)) => {
                marked.push(('+', *b));
                j += 1;
            }
            _ => return marked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_marked_and_the_rest_is_left_out() {
        for (old, new, expected) in [
            ("", "a\n", "+ a\n"),
            ("a\n", "", "- a\n"),
            ("a\nb\nc\n", "a\nx\nc\n", "  a\n- b\n+ x\n  c\n"),
            ("1\n2\n3\n4\n5\n6\n", "1\n2\n3\n4\n5\n6\n7\n", "  …\n  5\n  6\n+ 7\n"),
        ] {
            assert_eq!(compare(old, new), expected, "{old:?} {new:?}");
        }
    }
}
