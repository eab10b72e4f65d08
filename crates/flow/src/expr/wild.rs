//! Wild expressions: jq beyond the tame subset. They are checked here, completely, and never evaluated in
//! this process by anything but tests: nothing bounds their time and memory from within. The process that
//! evaluates them is given a [`super::Job`].

use super::{
    library::{self, Data},
    parse::{MAX_OPERATORS, Refusal, Scope, exact, short},
};
use jaq_core::{
    Compiler, Filter, compile, load,
    load::{
        Arena, File, Lexer, Loader,
        lex::{StrPart, Tok, Token},
        parse::Def,
        span,
    },
};
use std::collections::BTreeSet;

/// A checked expression.
#[derive(Debug)]
pub(super) struct Wild {
    pub(super) text: String,
    /// The constant texts and names inside, for the check on literal credentials.
    pub(super) texts: Vec<String>,
}

/// Makes the program of an expression, with these variables (each with its `$`) from outside.
pub(super) fn program<'s>(text: &'s str, variables: &[&'s str]) -> Result<Filter<Data>, Vec<Refusal>> {
    let arena = Arena::default();
    let mut names = BTreeSet::new();
    if let Ok(tokens) = Lexer::new(text).lex() {
        words(&tokens, &mut names);
    }
    let needed = library::Needed::by(names);
    let definitions = needed.definitions().map(|def: Def<&'static str>| -> Def<&'s str> { def });
    let modules =
        Loader::new(definitions).load(&arena, File { code: text, path: () }).map_err(|errors| unread(text, errors))?;
    Compiler::default()
        .with_funs(needed.natives())
        .with_global_vars(variables.iter().copied())
        .compile(modules)
        .map_err(|errors| undefined(text, variables, errors))
}

/// Every word and format in the text: no function is called by another spelling.
fn words<'s>(tokens: &[Token<&'s str>], names: &mut BTreeSet<&'s str>) {
    for Token(text, kind) in tokens {
        match kind {
            Tok::Word | Tok::Fmt => {
                names.insert(text);
            }
            Tok::Var | Tok::Num | Tok::Sym => {}
            Tok::Str(parts) => parts.iter().for_each(|part| {
                if let StrPart::Term(token) = part {
                    words(std::slice::from_ref(token), names);
                }
            }),
            Tok::Block(inner) => words(inner, names),
        }
    }
}

/// Checks an expression. Its length and brackets are within bounds already. Returns it and the variables
/// it may take from outside.
pub(super) fn check(text: &str, scope: &Scope) -> Result<(Wild, BTreeSet<String>), Vec<Refusal>> {
    let tokens = Lexer::new(text)
        .lex()
        .map_err(|_| vec![refusal("expr.syntax", text, text, "this is not a jq expression".to_owned(), None)])?;
    let mut scan = Scan { text, names: BTreeSet::new(), texts: Vec::new(), operators: 0, refused: Vec::new() };
    scan.modules(&tokens);
    scan.all(&tokens);
    if scan.operators > MAX_OPERATORS {
        let message = format!("the expression has more than {MAX_OPERATORS} operators; compute it in several tasks");
        scan.refused.push(refusal("expr.limit", text, text, message, None));
    }
    if !scan.refused.is_empty() {
        return Err(scan.refused);
    }
    let variables: Vec<String> = scope.iter().map(|name| format!("${name}")).collect();
    program(text, &variables.iter().map(String::as_str).collect::<Vec<_>>())?;
    // A name may be bound inside as well: then the variable from outside is counted without need, and a
    // label may be joined without need. It is never missed.
    let used = scan.names.into_iter().filter(|name| scope.contains(*name)).map(str::to_owned).collect();
    Ok((Wild { text: text.to_owned(), texts: scan.texts }, used))
}

fn refusal(code: &'static str, text: &str, at: &str, message: String, help: Option<&str>) -> Refusal {
    let range = span(text, at);
    Refusal { code, offset: range.start, len: range.len(), message, help: help.map(str::to_owned) }
}

/// What the tokens alone tell.
struct Scan<'s> {
    text: &'s str,
    names: BTreeSet<&'s str>,
    texts: Vec<String>,
    operators: usize,
    refused: Vec<Refusal>,
}

impl<'s> Scan<'s> {
    /// What would load a file stands at the very beginning. (An `import` of data is never asked for by the
    /// loader: it would be a variable that nobody gives.)
    fn modules(&mut self, tokens: &[Token<&'s str>]) {
        if let Some(Token(word @ ("module" | "import" | "include"), Tok::Word)) = tokens.first() {
            let help = Some("write a `def` in the expression");
            self.refused.push(refusal("expr.outside", self.text, word, library::MODULES.to_owned(), help));
        }
    }

    fn all(&mut self, tokens: &[Token<&'s str>]) {
        for Token(text, kind) in tokens {
            match kind {
                Tok::Var if *text == "$secrets" => self.refused.push(refusal(
                    "flow.secrets",
                    self.text,
                    text,
                    "`$secrets` can't be read: no expression ever sees a secret".to_owned(),
                    Some("bind a credential to the function; it is added where the request leaves"),
                )),
                Tok::Var => {
                    self.names.insert(text.trim_start_matches('$'));
                }
                Tok::Num if exact(text).is_none() => self.refused.push(refusal(
                    "expr.number",
                    self.text,
                    text,
                    format!("the number {text} can't be kept exactly"),
                    Some("write it as text"),
                )),
                Tok::Num | Tok::Fmt => {}
                Tok::Word => {
                    self.operators += usize::from(is_keyword(text));
                    self.texts.push((*text).to_owned());
                }
                Tok::Sym => {
                    self.operators += usize::from(!matches!(*text, ")" | "]" | "}" | ":" | "."));
                    self.texts.push(text.trim_start_matches('.').to_owned());
                }
                Tok::Str(parts) => self.string(parts),
                Tok::Block(inner) => self.all(inner),
            }
        }
    }

    fn string(&mut self, parts: &[StrPart<&'s str, Token<&'s str>>]) {
        let mut plain = String::new();
        for part in parts {
            match part {
                StrPart::Str(text) => plain.push_str(text),
                StrPart::Char(c) => plain.push(*c),
                StrPart::Term(token) => {
                    self.texts.push(std::mem::take(&mut plain));
                    self.all(std::slice::from_ref(token));
                }
            }
        }
        self.texts.push(plain);
    }
}

/// Words at which the parser recurses.
fn is_keyword(word: &str) -> bool {
    matches!(word, "def" | "reduce" | "foreach" | "try" | "catch" | "label" | "if" | "elif" | "as" | "and" | "or")
}

fn unread(text: &str, errors: load::Errors<&str, ()>) -> Vec<Refusal> {
    let syntax = |at: &str, message: String| refusal("expr.syntax", text, at, message, None);
    let mut refused = Vec::new();
    for (_, error) in errors {
        match error {
            load::Error::Io(places) => {
                refused.extend(
                    places.iter().map(|(at, _)| refusal("expr.outside", text, at, library::MODULES.to_owned(), None)),
                );
            }
            load::Error::Lex(places) => {
                refused.extend(places.iter().map(|(_, at)| syntax(at, "this is not a jq expression".to_owned())));
            }
            load::Error::Parse(places) => refused.extend(places.iter().map(|(expected, found)| {
                let at = *found;
                let what = if at.is_empty() {
                    "the expression ends too early".to_owned()
                } else {
                    format!("`{}` does not belong here", short(at))
                };
                syntax(at, format!("{what}: expected {}", expected.as_str()))
            })),
        }
    }
    refused
}

fn undefined(text: &str, variables: &[&str], errors: compile::Errors<&str, ()>) -> Vec<Refusal> {
    use compile::Undefined;
    let places = errors.into_iter().flat_map(|(_, places)| places);
    let refuse = |(name, what): (&str, Undefined)| {
        let shown = short(name);
        if let Some(why) = library::outside(name) {
            return refusal("expr.outside", text, name, format!("`{shown}` is not for expressions: {why}"), None);
        }
        match what {
            Undefined::Var => {
                let help = format!("here there are {}", variables.join(", "));
                refusal("expr.variable", text, name, format!("`{shown}` is not defined here"), Some(&help))
            }
            Undefined::Label => {
                refusal("expr.label", text, name, format!("there is no label `{shown}` around this `break`"), None)
            }
            Undefined::Mod => refusal("expr.outside", text, name, library::MODULES.to_owned(), None),
            Undefined::Filter(given) => {
                let arities: Vec<_> = library::arities(name).iter().map(ToString::to_string).collect();
                if arities.is_empty() {
                    let help = Some("see the jq manual; a function of your own is made by `def`");
                    return refusal("expr.function", text, name, format!("there is no function `{shown}`"), help);
                }
                let message = format!("`{shown}` takes {} arguments, not {given}", arities.join(" or "));
                refusal("expr.arguments", text, name, message, None)
            }
            _ => refusal("expr.function", text, name, format!("`{shown}` is not defined"), None),
        }
    };
    places.map(refuse).collect()
}
