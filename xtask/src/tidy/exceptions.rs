//! The list of files that may be long: `path: reason`, one to a line, `#` opens a comment.

use std::collections::BTreeMap;

/// The listed exceptions, and whether each was needed.
pub(super) struct Exceptions {
    needed: BTreeMap<String, bool>,
    malformed: Vec<String>,
}

impl Exceptions {
    pub(super) fn parse(text: &str) -> Self {
        let mut parsed = Self { needed: BTreeMap::new(), malformed: Vec::new() };
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        for line in lines {
            match line.split_once(':').map(|(path, reason)| (path.trim(), reason.trim())) {
                Some((path, reason)) if !path.is_empty() && !reason.is_empty() => {
                    if parsed.needed.insert(path.to_owned(), false).is_some() {
                        parsed.malformed.push(format!("{}: `{path}` is listed twice", super::EXCEPTIONS));
                    }
                }
                _ => parsed.malformed.push(format!("{}: `{line}` isn't `path: reason`", super::EXCEPTIONS)),
            }
        }
        parsed
    }

    /// Whether `path` is listed; it counts as needed from then on.
    pub(super) fn spend(&mut self, path: &str) -> bool {
        self.needed.get_mut(path).map(|needed| *needed = true).is_some()
    }

    /// Malformed lines and exceptions that nothing needed.
    pub(super) fn findings(self) -> Vec<String> {
        let unneeded = self.needed.into_iter().filter(|(_, needed)| !needed);
        let unneeded = unneeded.map(|(path, _)| format!("{}: `{path}` is not needed; remove it", super::EXCEPTIONS));
        self.malformed.into_iter().chain(unneeded).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_lines_and_unneeded_ones_are_named() {
        let mut exceptions = Exceptions::parse("# why\n\na.rs: a table\nb.rs:\nc.rs\na.rs: again\nd.rs: gone\n");
        assert!(exceptions.spend("a.rs"));
        assert!(!exceptions.spend("x.rs"));
        let findings = exceptions.findings();
        let expect = ["`b.rs:` isn't", "`c.rs` isn't", "`a.rs` is listed twice", "`d.rs` is not needed"];
        assert_eq!(findings.len(), expect.len(), "{findings:?}");
        for (finding, part) in findings.iter().zip(expect) {
            assert!(finding.contains(part), "{finding}");
        }
    }
}
