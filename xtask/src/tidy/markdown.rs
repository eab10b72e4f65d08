//! Relative links of Markdown files lead to a file of the tree, and their anchors to a heading of it.

use std::collections::BTreeSet;

/// Every link of the file at `path` that leads nowhere.
pub(super) fn findings(path: &str, text: &str, paths: &BTreeSet<String>, files: &[(&str, String)]) -> Vec<String> {
    let broken = |target: &str| why_broken(path, target, paths, files);
    let links = links(text).into_iter();
    links.filter_map(|(line, target)| broken(&target).map(|why| format!("{path}:{line}: `{target}` {why}"))).collect()
}

fn why_broken(path: &str, target: &str, paths: &BTreeSet<String>, files: &[(&str, String)]) -> Option<&'static str> {
    if target.starts_with("//") || has_scheme(target) {
        return None;
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let file = file.replace("%20", " ");
    let Some(resolved) = (if file.is_empty() { Some(path.to_owned()) } else { resolve(path, &file) }) else {
        return Some("leaves the repository");
    };
    let folder = format!("{resolved}/");
    if !resolved.is_empty() && !paths.contains(&resolved) && !paths.iter().any(|path| path.starts_with(&folder)) {
        return Some("leads to no file of the tree");
    }
    let heads_somewhere = |text: &str| anchors(text).contains(&anchor.to_lowercase());
    let page = files.iter().find(|(path, _)| *path == resolved && resolved.ends_with(".md"));
    page.filter(|(_, text)| !anchor.is_empty() && !heads_somewhere(text)).map(|_| "leads to no heading of that page")
}

/// `https:`, `mailto:` and their like; a colon after a slash belongs to a file's name.
fn has_scheme(target: &str) -> bool {
    let scheme = target.split_once(':').map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '.' | '-')))
}

/// The path from the root that `target` means in the file at `path`; none when it climbs above the root.
fn resolve(path: &str, target: &str) -> Option<String> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let base = if target.starts_with('/') { "" } else { folder };
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(target.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Each link's line and target: inline links, images and reference definitions, outside of code.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        let mut rest = line.as_str();
        while let Some((_, after)) = rest.split_once("](") {
            found.extend(destination(after).map(|target| (number, target)));
            rest = after;
        }
        let definition = line.trim_start().strip_prefix('[').and_then(|line| line.split_once("]:"));
        found.extend(definition.and_then(|(_, after)| destination(after)).map(|target| (number, target)));
    }
    found
}

/// The target at the start of `text`: in angle brackets, or up to a space or the closing parenthesis.
fn destination(text: &str) -> Option<String> {
    let text = text.trim_start();
    let target = match text.strip_prefix('<') {
        Some(bracketed) => bracketed.split('>').next(),
        None => text.split([' ', '\t', ')']).next(),
    };
    target.filter(|target| !target.is_empty()).map(str::to_owned)
}

/// Numbered lines outside fenced blocks, without their inline code.
fn prose(text: &str) -> Vec<(usize, String)> {
    let mut fence: Option<&str> = None;
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let mark = ["```", "~~~"].into_iter().find(|mark| line.trim_start().starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            (None, None) => lines.push((number, line.split('`').step_by(2).collect::<Vec<_>>().join("``"))),
            _ => {}
        }
    }
    lines
}

/// The anchors a page offers: its headings as code hosts write them, numbered where they repeat.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let mut fenced = false;
    for line in text.lines() {
        fenced ^= line.trim_start().starts_with("```");
        let title = line.trim_start_matches('#');
        if fenced || title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let lower = title.trim().to_lowercase();
        let kept = lower.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let numbered = (1..).map(|number| format!("{anchor}-{number}"));
        if let Some(free) = std::iter::once(anchor.clone()).chain(numbered).find(|name| !anchors.contains(name)) {
            anchors.insert(free);
        }
    }
    anchors
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks one line of `docs/page.md` in a small tree.
    fn check(line: &str, expect: &str) {
        let page = format!("# Two words, `code`\n## Twice\n## Twice\n\n{line}\n");
        let files = [("docs/page.md", page), ("README.md", "# Mandate\n".to_owned()), ("docs/a b.txt", String::new())];
        let paths = files.iter().map(|(path, _)| (*path).to_owned()).collect();
        let found = findings("docs/page.md", &files[0].1, &paths, &files);
        match found.as_slice() {
            [] => assert_eq!(expect, "", "nothing found in {line}"),
            [one] => {
                assert!(!expect.is_empty() && one.starts_with("docs/page.md:5: ") && one.contains(expect), "{one}")
            }
            many => panic!("{many:?}"),
        }
    }

    #[test]
    fn links_that_lead_somewhere_pass() {
        for line in [
            "[a](../README.md) and ![b](<a b.txt>) and [c](a%20b.txt \"title\")",
            "[root](/README.md), [folder](../docs), [folder](.), [top](..)",
            "[here](#two-words-code) [there](../README.md#mandate) [second](#twice-1)",
            "[web](https://example.com/x.md) [mail](mailto:x) [host](//example.com)",
            "`[code](nowhere.md)` and `a[0](x)`",
            "[ref]: ../README.md",
        ] {
            check(line, "");
        }
        let fenced = "```\n[a](nowhere.md)\n```\n";
        assert_eq!(links(fenced), []);
    }

    #[test]
    fn links_that_lead_nowhere_are_named() {
        check("[a](nowhere.md)", "`nowhere.md` leads to no file");
        check("[a](README.md)", "`README.md` leads to no file");
        check("[a](../README.md) [b](gone.md)", "`gone.md`");
        check("[a](../../shared/x.md)", "leaves the repository");
        check("[a](#nothing)", "leads to no heading");
        check("[a](../README.md#nothing)", "leads to no heading");
        check("[ref]: gone.md", "`gone.md` leads to no file");
    }
}
