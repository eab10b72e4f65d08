//! What a Rust file must be: opened by a `//!` line, short, with short functions and without the banned words.

mod lexer;

use lexer::{Token, tokens};

const LONGEST_FILE: usize = 400;
const LONGEST_FUNCTION: usize = 70;

/// Findings no exception can excuse: the missing header and the banned words.
pub(super) fn findings(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    if !text.starts_with("//!") && !is_compile_fixture(path) {
        findings.push(format!("{path}:1: open the file with a `//!` line that says what it is for"));
    }
    if is_compile_fixture(path) {
        return findings;
    }
    let tokens = tokens(text);
    for (at, token) in tokens.iter().enumerate() {
        let next = tokens.get(at + 1).map(|next| next.text.as_str());
        let banned = match token.text.as_str() {
            "utils" => "`utils` says nothing; name the thing",
            "unsafe" => "`unsafe` is forbidden in this workspace",
            "todo" if next == Some("!") => "finish it or leave it out: no `todo!`",
            _ => continue,
        };
        findings.push(format!("{path}:{}: {banned}", token.line));
    }
    findings
}

/// Findings that `tidy-exceptions.txt` may excuse: a file or a function that is too long; tests are not measured.
pub(super) fn size_findings(path: &str, text: &str) -> Vec<String> {
    if is_test_file(path) {
        return Vec::new();
    }
    let (tokens, test_lines) = without_tests(&tokens(text));
    let mut findings = Vec::new();
    let lines = text.lines().count().saturating_sub(test_lines);
    if lines > LONGEST_FILE {
        findings.push(format!("{path}: {lines} lines without its tests, more than {LONGEST_FILE}; split it"));
    }
    for function in functions(&tokens) {
        if function.lines > LONGEST_FUNCTION {
            findings.push(format!(
                "{path}:{}: `{}` has {} lines, more than {LONGEST_FUNCTION}; split it",
                function.line, function.name, function.lines
            ));
        }
    }
    findings
}

/// Files that trybuild compiles to see them fail: they are written to be wrong.
fn is_compile_fixture(path: &str) -> bool {
    path.contains("tests/ui/")
}

fn is_test_file(path: &str) -> bool {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let in_tests = folder.split('/').any(|part| matches!(part, "tests" | "benches"));
    in_tests || name == "tests.rs" || name.ends_with("_tests.rs")
}

struct Function<'a> {
    name: &'a str,
    line: usize,
    /// Lines of the body that hold code, as clippy's `too_many_lines` counts them.
    lines: usize,
}

fn functions(tokens: &[Token]) -> Vec<Function<'_>> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let Some(name) = tokens.get(at + 1).filter(|name| token.text == "fn" && name.is_word()) else { continue };
        let Some((open, close)) = block_after(tokens, at) else { continue };
        let body = tokens.get(open + 1..close).unwrap_or_default();
        let edges = [tokens.get(open), tokens.get(close)].map(|edge| edge.map_or(0, |edge| edge.line));
        let mut lines: Vec<_> = body.iter().map(|token| token.line).filter(|line| !edges.contains(line)).collect();
        lines.dedup();
        found.push(Function { name: &name.text, line: token.line, lines: lines.len() });
    }
    found
}

/// The braces of the item that starts at `from`, as indices; none when it ends with a semicolon.
fn block_after(tokens: &[Token], from: usize) -> Option<(usize, usize)> {
    let mut depth = 0_usize;
    let mut open = None;
    for (at, token) in tokens.iter().enumerate().skip(from) {
        match (token.text.as_str(), open) {
            ("(" | "[", None) => depth += 1,
            (")" | "]", None) => depth = depth.saturating_sub(1),
            (";", None) if depth == 0 => return None,
            ("{", None) if depth == 0 => (open, depth) = (Some(at), 1),
            ("{", Some(_)) => depth += 1,
            ("}", Some(start)) => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some((start, at));
                }
            }
            _ => {}
        }
    }
    None
}

/// The tokens outside items marked `#[cfg(test)]` or `#[cfg(all(test, …))]`, and how many lines those items take.
fn without_tests(all: &[Token]) -> (Vec<Token>, usize) {
    const MARKS: [&[&str]; 2] =
        [&["#", "[", "cfg", "(", "test", ")"], &["#", "[", "cfg", "(", "all", "(", "test", ","]];
    let mut kept = Vec::new();
    let mut test_lines = 0;
    let mut at = 0;
    while let Some(token) = all.get(at) {
        let rest = all.get(at..).unwrap_or_default();
        let marked = MARKS.iter().any(|mark| {
            rest.len() >= mark.len() && rest.iter().zip(*mark).all(|(token, expected)| token.text == *expected)
        });
        match block_after(all, at).filter(|_| marked) {
            Some((_, close)) => {
                test_lines += all.get(close).map_or(0, |end| end.line + 1 - token.line);
                at = close + 1;
            }
            None => {
                kept.push(token.clone());
                at += 1;
            }
        }
    }
    (kept, test_lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str, expect: &[&str]) {
        let mut all = findings(path, text);
        all.extend(size_findings(path, text));
        assert_eq!(all.len(), expect.len(), "{path}: {all:?}");
        for (finding, part) in all.iter().zip(expect) {
            assert!(finding.contains(part), "{finding}");
        }
    }

    #[test]
    fn the_header_comes_first() {
        check("src/a.rs", "//! What it is for.\nfn f() {}\n", &[]);
        check("src/a.rs", "fn f() {}\n", &["src/a.rs:1: open the file"]);
        check("src/a.rs", "\n//! Late.\n", &["src/a.rs:1: open the file"]);
        check("src/a.rs", "// Not a docstring.\n", &["open the file"]);
        check("src/a.rs", "", &["open the file"]);
        check("crates/gate/tests/ui/forge.rs", "fn main() {}\n", &[]);
    }

    #[test]
    fn banned_words_count_in_code_only() {
        check("src/a.rs", "//! No unsafe, no utils, no todo!() here.\nconst A: &str = \"unsafe utils todo!\";\n", &[]);
        check("src/a.rs", "//! a\n#![forbid(unsafe_code)]\nfn todo() { let r#fn = 'u'; }\n", &[]);
        check("src/a.rs", "//! a\nmod utils;\n", &["src/a.rs:2: `utils`"]);
        check("src/a.rs", "//! a\n\nfn f() { unsafe { g() } }\n", &["src/a.rs:3: `unsafe`"]);
        check("src/a.rs", "//! a\nfn f() { todo!() }\n", &["src/a.rs:2: finish it"]);
    }

    /// A function whose body has `lines` lines of code.
    fn function(name: &str, lines: usize) -> String {
        format!("fn {name}(a: [u8; 4]) -> [u8; 4]\nwhere\n    u8: Copy,\n{{\n{}}}\n", "    g(\"}\");\n".repeat(lines))
    }

    #[test]
    fn functions_are_measured_by_their_code() {
        check("src/a.rs", &format!("//! a\n{}", function("f", 70)), &[]);
        check("src/a.rs", &format!("//! a\n{}", function("f", 71)), &["src/a.rs:2: `f` has 71 lines"]);
        let commented = function("f", 70).replacen("{\n", "{\n\n    // A comment and a blank line don't count.\n", 1);
        check("src/a.rs", &format!("//! a\n{commented}"), &[]);
        check("src/a.rs", "//! a\ntrait T {\n    fn declared(&self) -> u8;\n    type F: Fn(fn(u8));\n}\n", &[]);
    }

    #[test]
    fn tests_are_not_measured() {
        let body = format!("//! a\n#[cfg(test)]\n#[allow(x)]\nmod tests {{\n{}}}\n", function("f", 500));
        check("src/a.rs", &body, &[]);
        check("src/a.rs", &body.replace("(test)", "(all(test, unix))"), &[]);
        check("src/a.rs", &body.replace("(test)", "(unix)"), &["lines without its tests", "`f` has 500 lines"]);
        check("crates/a/tests/all.rs", &body.replace("(test)", "(unix)"), &[]);
        check("src/a/tests.rs", &body.replace("(test)", "(unix)"), &[]);
        check("src/a.rs", "//! a\n#[cfg(test)]\nmod tests;\nfn f() {}\n", &[]);
    }

    #[test]
    fn files_are_measured_without_their_tests() {
        let file =
            |lines: usize| format!("//! a\n{}#[cfg(test)]\nmod t {{\n\n\n}}\n", "const A: u8 = 1;\n".repeat(lines));
        check("src/a.rs", &file(399), &[]);
        check("src/a.rs", &file(400), &["src/a.rs: 401 lines"]);
    }
}
