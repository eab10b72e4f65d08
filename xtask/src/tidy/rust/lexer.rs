//! Just enough of Rust's lexical grammar to tell code from comments, strings and character literals.

/// A word, or one character of punctuation or of a string, and the line it stands on, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) line: usize,
}

impl Token {
    pub(super) fn is_word(&self) -> bool {
        self.text.chars().next().is_some_and(in_word)
    }
}

/// The code of `source` as tokens: comments vanish, a literal leaves a `"` on each of its lines.
pub(super) fn tokens(source: &str) -> Vec<Token> {
    let mut lexer = Lexer { rest: source, line: 1, found: Vec::new() };
    while !lexer.rest.is_empty() {
        lexer.step();
    }
    lexer.found
}

fn in_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    found: Vec<Token>,
}

impl Lexer<'_> {
    fn step(&mut self) {
        let word = self.rest.find(|c| !in_word(c)).unwrap_or(self.rest.len());
        if self.rest.starts_with("//") {
            self.skip(self.rest.find('\n').unwrap_or(self.rest.len()));
        } else if self.rest.starts_with("/*") {
            self.skip(comment_length(self.rest));
        } else if let Some(length) = raw_string_length(self.rest) {
            self.literal(length);
        } else if self.rest.starts_with('"') {
            self.literal(string_length(self.rest));
        } else if let Some(length) = character_length(self.rest) {
            self.literal(length);
        } else if word > 0 {
            self.push(word);
        } else if self.rest.starts_with(char::is_whitespace) {
            self.skip(self.rest.find(|c: char| !c.is_whitespace()).unwrap_or(self.rest.len()));
        } else {
            self.push(self.rest.chars().next().map_or(1, char::len_utf8));
        }
    }

    /// Moves on by `length` bytes and returns them; a length that splits a character ends the file.
    fn take(&mut self, length: usize) -> &str {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.rest = rest;
        self.line += taken.matches('\n').count();
        taken
    }

    fn skip(&mut self, length: usize) {
        self.take(length);
    }

    fn push(&mut self, length: usize) {
        let line = self.line;
        let text = self.take(length).to_owned();
        self.found.push(Token { text, line });
    }

    fn literal(&mut self, length: usize) {
        let first = self.line;
        self.take(length);
        self.found.extend((first..=self.line).map(|line| Token { text: "\"".to_owned(), line }));
    }
}

/// The length of a block comment, which may nest.
fn comment_length(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of `r"…"`, `r#"…"#`, `br"…"` or `cr"…"`, if the text starts with one.
fn raw_string_length(text: &str) -> Option<usize> {
    let prefix = ["r", "br", "cr"].into_iter().find(|prefix| {
        let after = text.strip_prefix(prefix).unwrap_or_default();
        after.trim_start_matches('#').starts_with('"')
    })?;
    let after = text.strip_prefix(prefix)?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let opened = prefix.len() + hashes + 1;
    let end = format!("\"{}", "#".repeat(hashes));
    let body = text.get(opened..)?;
    Some(body.find(&end).map_or(text.len(), |at| opened + at + end.len()))
}

/// The length of a string with escapes; the text starts with its quote.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a character literal, if the text starts with one and not with a lifetime.
fn character_length(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('\'')?;
    let first = inside.chars().next()?;
    if first == '\\' {
        // The escaped character may itself be the quote: `'\''`.
        let escape = 1 + inside.chars().nth(1).map_or(0, char::len_utf8);
        let end = inside.get(escape..)?.find('\'')?;
        return Some(1 + escape + end + 1);
    }
    let after = inside.get(first.len_utf8()..)?;
    after.starts_with('\'').then(|| 1 + first.len_utf8() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, expect: &str) {
        let words: Vec<_> = tokens(source).into_iter().map(|token| token.text).collect();
        assert_eq!(words.join(" "), expect, "{source}");
    }

    #[test]
    fn comments_vanish() {
        check("a // b\nc /* d /* e */ f */ g", "a c g");
        check("a /// \" not a string\n b /* open", "a b");
        check("//", "");
    }

    #[test]
    fn literals_leave_a_mark_and_never_run_on() {
        check(r#"a "b \" // c" d"#, r#"a " d"#);
        check(r##"a r#"b " c"# d r"e\" f"##, r#"a " d " f"#);
        check(r##"b"x" br#"y"# c"z" cr"w" r#fn"##, r#"b " " c " " r # fn"#);
        check(r"a '{' b '\'' c '\u{7d}' d b'\\' e 'ß' f", r#"a " b " c " d b " e " f"#);
        check("fn f<'a>(x: &'a str) -> &'static str", "fn f < ' a > ( x : & ' a str ) - > & ' static str");
        check("\"open", "\"");
        check("'", "'");
        check("r#\"open", "\"");
    }

    #[test]
    fn lines_are_counted_through_literals_and_comments() {
        let lines: Vec<_> =
            tokens("a\n/*\n*/ b \"x\n\ny\" c").into_iter().map(|token| (token.text, token.line)).collect();
        let expect = [("a", 1), ("b", 3), ("\"", 3), ("\"", 4), ("\"", 5), ("c", 5)];
        assert_eq!(lines, expect.map(|(text, line)| (text.to_owned(), line)));
    }
}
