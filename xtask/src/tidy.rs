//! The tree's manners: headers, sizes, words, paths and links of every file git knows or would add.

mod exceptions;
mod markdown;
mod rust;
mod text;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

use exceptions::Exceptions;

/// Where over-long files are listed with a reason.
const EXCEPTIONS: &str = "xtask/tidy-exceptions.txt";

/// Every finding over the tree at `root`, in the order of the paths.
pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let paths = tracked(root)?;
    let mut files = Vec::new();
    for path in &paths {
        let bytes = std::fs::read(root.join(path)).with_context(|| format!("cannot read {path}"))?;
        // A file that isn't text has no lines to check; its name still counts.
        files.push((path.as_str(), String::from_utf8(bytes).unwrap_or_default()));
    }
    Ok(findings(&files, &paths))
}

/// The pure part of [`check`]: `files` holds each path and its text, `paths` all paths.
fn findings(files: &[(&str, String)], paths: &BTreeSet<String>) -> Vec<String> {
    let listed = files.iter().find(|(path, _)| *path == EXCEPTIONS).map_or("", |(_, text)| text.as_str());
    let mut exceptions = Exceptions::parse(listed);
    let mut findings = Vec::new();
    for (path, text) in files {
        findings.extend(text::name_findings(path));
        findings.extend(text::findings(path, text));
        match Path::new(path).extension().and_then(|extension| extension.to_str()) {
            Some("rs") => {
                findings.extend(rust::findings(path, text));
                let sizes = rust::size_findings(path, text);
                if !sizes.is_empty() && !exceptions.spend(path) {
                    findings.extend(sizes);
                }
            }
            Some("md") => findings.extend(markdown::findings(path, text, paths, files)),
            _ => {}
        }
    }
    findings.extend(exceptions.findings());
    findings
}

/// What git tracks, and what it would add: a new file is checked before its first commit.
fn tracked(root: &Path) -> anyhow::Result<BTreeSet<String>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("cannot start git, which names the files to check")?;
    ensure!(output.status.success(), "git ls-files failed:\n{}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).context("a file's name isn't UTF-8; rename it")?;
    let present = |name: &&str| root.join(name).is_file();
    Ok(names.split('\0').filter(|name| !name.is_empty()).filter(present).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_tree(tree: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<_> = tree.iter().map(|(path, text)| (*path, (*text).to_owned())).collect();
        findings(&files, &tree.iter().map(|(path, _)| (*path).to_owned()).collect())
    }

    #[test]
    fn a_clean_tree_has_no_findings() {
        let tree = [("src/lib.rs", "//! A crate.\n"), ("docs/a.md", "[the crate](../src/lib.rs)\n")];
        assert_eq!(check_tree(&tree), Vec::<String>::new());
    }

    #[test]
    fn a_long_file_needs_a_listed_reason_that_is_still_needed() {
        let long = format!("//! Long.\n{}", "fn f() {}\n".repeat(400));
        assert!(check_tree(&[("src/a.rs", &long)])[0].contains("src/a.rs: 401 lines"));
        let listed = [("src/a.rs", long.as_str()), (EXCEPTIONS, "src/a.rs: a table, one line for each code\n")];
        assert_eq!(check_tree(&listed), Vec::<String>::new());
        let unused = check_tree(&[("src/a.rs", "//! Short.\n"), (EXCEPTIONS, "src/a.rs: a table\n")]);
        assert!(matches!(unused.as_slice(), [one] if one.contains("src/a.rs") && one.contains("not needed")));
    }
}
