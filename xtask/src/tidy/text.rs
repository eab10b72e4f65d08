//! What no tracked file may say: paths of one machine, talk of the workplace, hosts of a package mirror.

/// Folders of one machine. Written in two parts each, so that this file passes its own check.
const MACHINE_FOLDERS: [&str; 4] =
    [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];

/// Words about how the text came to be; the repository speaks of the product only. Compared in lower case.
const WORKPLACE_TALK: [&str; 10] = [
    concat!("as an ", "ai "),
    concat!("chat", "gpt"),
    concat!("clau", "de"),
    concat!("coding ", "agent"),
    concat!("tmp/", "brief"),
    concat!("brief", ".md"),
    concat!("shared/", "design"),
    concat!("design", ".md"),
    concat!("mission", ".md"),
    concat!("issues ", "show"),
];

/// Settings that point a package client at another registry. Compared in lower case.
const REGISTRY_SETTINGS: [&str; 7] = [
    concat!("replace-", "with"),
    concat!("sparse", "+http"),
    concat!("index-", "url"),
    concat!("go", "proxy"),
    concat!("npm_config_", "registry"),
    concat!("npm.", "pkg."),
    concat!("registry=", "http"),
];

/// Lock files, how a line of theirs names a source, and the one source allowed.
const LOCKED_SOURCES: [(&str, &str, &str); 2] = [
    ("Cargo.lock", "source = \"", "registry+https://github.com/rust-lang/crates.io-index\""),
    ("package-lock.json", "\"resolved\": \"", "https://registry.npmjs.org/"),
];

/// A file or folder called `utils`, or a Rust file named after what it must not hold.
pub(super) fn name_findings(path: &str) -> Vec<String> {
    let rust = path.ends_with(".rs");
    let words = path.split(|c: char| !c.is_alphanumeric());
    let banned = words.filter(|word| *word == "utils" || (rust && matches!(*word, "unsafe" | "todo")));
    banned.map(|word| format!("{path}: `{word}` in a file's name; name the thing")).collect()
}

/// Findings over the text of any file, line by line.
pub(super) fn findings(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let said = MACHINE_FOLDERS.iter().find(|folder| names_folder(line, folder)).map(|_| "a path of one machine");
        let lower = line.to_lowercase();
        let said =
            said.or_else(|| says(&lower, &WORKPLACE_TALK).then_some("talk of the workplace, not of the product"));
        let said = said.or_else(|| says(&lower, &REGISTRY_SETTINGS).then_some("a package registry's address"));
        let said = said.or_else(|| foreign_source(path, line).then_some("a source other than the public registry"));
        findings.extend(said.map(|said| format!("{path}:{number}: {said}")));
    }
    findings
}

fn says(line: &str, phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| line.contains(phrase))
}

/// Whether `folder` stands in the line as the start of an absolute path, not inside a relative path or an address.
fn names_folder(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '}' | '*' | '~'))
    })
}

fn foreign_source(path: &str, line: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    LOCKED_SOURCES.iter().any(|(file, opens, allowed)| {
        name == *file && line.trim_start().strip_prefix(opens).is_some_and(|source| !source.starts_with(allowed))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, line: &str, expect: &str) {
        let findings = findings(path, &format!("fine\n{line}\n"));
        match findings.as_slice() {
            [] => assert_eq!(expect, "", "nothing found in {line}"),
            [one] => {
                assert!(!expect.is_empty() && one.contains(expect) && one.starts_with(&format!("{path}:2:")), "{one}")
            }
            many => panic!("{many:?}"),
        }
    }

    #[test]
    fn machine_paths_are_found_and_addresses_are_not() {
        check("a.md", concat!("see /wo", "rk/main"), "a path of one machine");
        check("a.sh", concat!("cd \"/ro", "ot/x\""), "a path of one machine");
        check("a.rs", concat!("file:///ho", "me/me/x"), "a path of one machine");
        check("a.md", concat!("https://example.com/wo", "rk/x"), "");
        check("a.md", concat!("docs/wo", "rk/x and ./ro", "ot/y and ../ho", "me/z"), "");
        check("a.md", "/workers/finance and /rooted/x", "");
    }

    #[test]
    fn workplace_talk_is_found_whatever_its_case() {
        check("a.md", concat!("As An ", "AI model"), "talk of the workplace");
        check("a.rs", concat!("// see mission", ".md"), "talk of the workplace");
        check("a.md", "an agent's session ends", "");
    }

    #[test]
    fn only_the_public_registries_are_named() {
        check("a.toml", concat!("replace-", "with = \"mirror\""), "a package registry");
        check("Cargo.lock", "source = \"registry+https://github.com/rust-lang/crates.io-index\"", "");
        check("Cargo.lock", "source = \"registry+https://mirror.example/index\"", "other than the public registry");
        check("Cargo.lock", "source = \"git+https://example.com/x\"", "other than the public registry");
        check("console/package-lock.json", "  \"resolved\": \"https://registry.npmjs.org/a/-/a-1.tgz\",", "");
        check("console/package-lock.json", "  \"resolved\": \"https://mirror.example/a-1.tgz\",", "other than");
        check("other.lock", "source = \"anything\"", "");
    }

    #[test]
    fn names_say_something() {
        let found = |path| name_findings(path).len();
        assert_eq!(found(concat!("src/uti", "ls.rs")), 1);
        assert_eq!(found(concat!("src/string_uti", "ls/mod.rs")), 1);
        assert_eq!(found("src/todo.rs"), 1);
        assert_eq!(found("fixtures/todo.yaml"), 0);
        assert_eq!(found("src/utility.rs"), 0);
    }
}
