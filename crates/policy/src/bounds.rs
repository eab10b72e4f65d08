//! Bounds on policy texts, before any parser sees them: what reads them and what evaluates them
//! recurses with their nesting, and must not run out of stack.

use crate::{PolicyError, PolicySource};

/// Most bytes of a file.
const MAX_TEXT: usize = 64 * 1024;
/// Deepest nesting of brackets.
const MAX_DEPTH: usize = 24;
/// Most operators and keywords that nest, between two semicolons.
const MAX_OPERATORS: usize = 120;

/// Checks one file.
///
/// # Errors
/// The first bound it breaks, at its place.
pub(crate) fn check(source: &PolicySource) -> Result<(), PolicyError> {
    if source.text.len() > MAX_TEXT {
        return Err(PolicyError::at(source, 0, format!("a policy file has at most {MAX_TEXT} bytes: split it")));
    }
    let (mut depth, mut operators) = (0usize, 0usize);
    let mut rest = source.text.char_indices().peekable();
    let mut word = false;
    while let Some((at, c)) = rest.next() {
        match c {
            '"' => {
                while let Some((_, inner)) = rest.next() {
                    match inner {
                        '\\' => drop(rest.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            '/' if rest.peek().is_some_and(|(_, next)| *next == '/') => {
                while rest.peek().is_some_and(|(_, next)| *next != '\n') {
                    rest.next();
                }
            }
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ';' => operators = 0,
            '!' | '-' | '+' | '*' | '&' | '|' | '<' | '>' | '=' | '.' => operators += 1,
            // A keyword that nests (`if`, `like`, `has`, `in`, `is`) stands where a word begins.
            _ if !word && (c == 'i' || c == 'l' || c == 'h') => operators += 1,
            _ => {}
        }
        word = c.is_alphanumeric() || c == '_';
        if depth > MAX_DEPTH {
            return Err(PolicyError::at(
                source,
                at,
                format!("brackets nest deeper than {MAX_DEPTH}: write it flatter"),
            ));
        }
        if operators > MAX_OPERATORS * 4 {
            return Err(PolicyError::at(
                source,
                at,
                format!("one policy has more than {} operators: split it", MAX_OPERATORS * 4),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::{PolicySet, PolicySource};

    fn refused(condition: &str, words: &str) {
        let text = format!("@id(\"x.y\") permit (principal, action, resource) when {{ {condition} }};");
        let error = PolicySet::compile(&[PolicySource::new("x.cedar", text)]).err().unwrap().to_string();
        assert!(error.contains(words), "{error}");
    }

    #[test]
    fn what_would_exhaust_the_stack_is_refused_before_it_is_parsed() {
        refused(&format!("{}true{}", "(".repeat(200), ")".repeat(200)), "nest deeper");
        refused(&format!("{}1{} == [1]", "[".repeat(512), "]".repeat(512)), "nest deeper");
        refused(&format!("{}true", "true && ".repeat(4000)), "operators");
        refused(&format!("{}true{}", "if true then ".repeat(2000), " else false".repeat(2000)), "operators");
        refused(&format!("{}true", "!".repeat(4000)), "operators");
        refused(&format!("\"{}\" == \"\"", "a".repeat(70_000)), "at most");
    }

    #[test]
    fn the_longest_policy_within_the_bounds_is_decided_on_a_small_stack() {
        let text = format!(
            "@id(\"x.y\") permit (principal, action, resource) when {{ {}true }};",
            "true && ".repeat(super::MAX_OPERATORS * 2 - 20)
        );
        let small = std::thread::Builder::new().stack_size(2 << 20);
        let compiled = small.spawn(move || PolicySet::compile(&[PolicySource::new("x.cedar", text)]).is_ok());
        assert!(compiled.unwrap().join().unwrap());
    }
}
