//! From text to a tame syntax tree. The grammar is jq's, read by jaq's parser; everything outside
//! the closed list is refused here, with its place.
//!
//! The parser recurses, so text that could make it recurse deeply is refused before it runs.

use super::node::{Builtin, Compare, FUNCTIONS, Math, Node, Part, TextPart};
use super::value::EXACT;
use jaq_core::load::{
    Lexer, Parser,
    lex::{StrPart, Tok, Token},
    parse::{BinaryOp, Pattern, Term},
    span,
};
use jaq_core::{ops, path};
use serde_json::Value;
use std::collections::BTreeSet;

/// Bytes of one expression.
const MAX_BYTES: usize = 8 << 10;
/// Opening brackets of one expression; the lexer recurses at each.
const MAX_OPENERS: usize = 100;
/// Operators and keywords of one expression; the parser recurses at some.
const MAX_OPERATORS: usize = 200;
/// Nodes of one syntax tree; bounds the evaluator's recursion.
const MAX_NODES: usize = 1_000;

/// Words of the grammar that no tame expression holds.
const KEYWORDS: [&str; 10] =
    ["def", "reduce", "foreach", "try", "catch", "label", "break", "import", "include", "module"];

/// Why an expression was refused, at a place in its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Diagnostic code.
    pub(crate) code: &'static str,
    /// Byte offset in the expression.
    pub(crate) offset: usize,
    /// Byte length in the expression.
    pub(crate) len: usize,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do.
    pub(crate) help: Option<String>,
}

/// The variables an expression may name at its place in the document, without `$`.
pub(crate) type Scope = BTreeSet<String>;

/// Reads an expression. Returns its tree and the variables it takes from outside.
pub(super) fn parse(text: &str, scope: &Scope) -> Result<(Node, BTreeSet<String>), Vec<Refusal>> {
    let mut reader = Reader { text, scope, bound: Vec::new(), used: BTreeSet::new(), nodes: 0, refused: Vec::new() };
    reader.bounds();
    if !reader.refused.is_empty() {
        return Err(reader.refused);
    }
    let tokens = Lexer::new(text).lex().map_err(|errors| {
        errors
            .iter()
            .map(|(_, at)| reader.refusal("expr.syntax", at, "this is not a jq expression".to_owned()))
            .collect::<Vec<_>>()
    })?;
    let mut operators = 0;
    reader.tokens(&tokens, &mut operators);
    if operators > MAX_OPERATORS {
        let message = format!("the expression has more than {MAX_OPERATORS} operators; compute it in several tasks");
        reader.refuse("expr.limit", text, message, None);
    }
    if !reader.refused.is_empty() {
        return Err(reader.refused);
    }
    let term = Parser::new(&tokens).parse(Parser::term).map_err(|errors| {
        errors
            .iter()
            .map(|(expected, found)| {
                let at = Token::opt_as_str(*found, text);
                let what = if at.is_empty() {
                    "the expression ends too early".to_owned()
                } else {
                    format!("`{}` does not belong here", short(at))
                };
                reader.refusal("expr.syntax", at, format!("{what}: expected {}", expected.as_str()))
            })
            .collect::<Vec<_>>()
    })?;
    let node = reader.term(&term);
    if reader.refused.is_empty() { Ok((node, reader.used)) } else { Err(reader.refused) }
}

struct Reader<'s> {
    text: &'s str,
    scope: &'s Scope,
    bound: Vec<String>,
    used: BTreeSet<String>,
    nodes: usize,
    refused: Vec<Refusal>,
}

impl<'s> Reader<'s> {
    fn refusal(&self, code: &'static str, at: &str, message: String) -> Refusal {
        let range = span(self.text, at);
        Refusal { code, offset: range.start, len: range.len(), message, help: None }
    }

    fn refuse(&mut self, code: &'static str, at: &str, message: String, help: Option<&str>) {
        let mut refusal = self.refusal(code, at, message);
        refusal.help = help.map(str::to_owned);
        self.refused.push(refusal);
    }

    fn construct(&mut self, at: &str, name: &str) {
        self.refuse(
            "expr.construct",
            at,
            format!("{name} is not supported yet in an expression"),
            Some("expressions are a bounded subset of jq: paths, literals, comparison, arithmetic, select, map and the like"),
        );
    }

    fn bounds(&mut self) {
        let openers = self.text.bytes().filter(|b| matches!(b, b'(' | b'[' | b'{')).count();
        if self.text.len() > MAX_BYTES {
            let message = format!("the expression is longer than {MAX_BYTES} bytes; compute it in several tasks");
            self.refuse("expr.limit", self.text, message, None);
        }
        if openers > MAX_OPENERS {
            let message = format!("the expression has more than {MAX_OPENERS} brackets; compute it in several tasks");
            self.refuse("expr.limit", self.text, message, None);
        }
    }

    /// Refuses what the token alone gives away, with its exact place. Recursion is bounded by
    /// `MAX_OPENERS`.
    fn tokens(&mut self, tokens: &[Token<&'s str>], operators: &mut usize) {
        for Token(text, kind) in tokens {
            match kind {
                Tok::Word if KEYWORDS.contains(text) => self.construct(text, &format!("`{text}`")),
                Tok::Word if matches!(*text, "if" | "elif" | "as" | "and" | "or") => *operators += 1,
                Tok::Word | Tok::Var | Tok::Num => {}
                Tok::Fmt => self.construct(text, &format!("the format `{text}`")),
                Tok::Sym if *text == ".." => self.construct(text, "recursive descent `..`"),
                Tok::Sym if matches!(*text, "=" | "|=" | "+=" | "-=" | "*=" | "/=" | "%=" | "//=") => {
                    self.construct(text, &format!("assignment `{text}`"));
                }
                Tok::Sym if text.starts_with('.') || matches!(*text, ")" | "]" | "}" | ":") => {}
                Tok::Sym => *operators += 1,
                Tok::Str(parts) => {
                    for part in parts {
                        if let StrPart::Term(token) = part {
                            self.tokens(std::slice::from_ref(token), operators);
                        }
                    }
                }
                Tok::Block(inner) => self.tokens(inner, operators),
            }
        }
    }

    fn boxed(&mut self, term: &Term<&'s str>) -> Box<Node> {
        Box::new(self.term(term))
    }

    fn term(&mut self, term: &Term<&'s str>) -> Node {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            if self.nodes == MAX_NODES + 1 {
                let message = format!("the expression has more than {MAX_NODES} parts; compute it in several tasks");
                self.refuse("expr.limit", self.text, message, None);
            }
            return Node::Identity;
        }
        match term {
            Term::Id => Node::Identity,
            Term::Num(digits) => self.number(digits),
            Term::Str(None, parts) => self.string(parts),
            Term::Arr(None) => Node::Literal(Value::Array(Vec::new())),
            Term::Arr(Some(items)) => Node::Array(self.boxed(items)),
            Term::Obj(entries) if entries.is_empty() => Node::Literal(Value::Object(serde_json::Map::new())),
            Term::Obj(entries) => Node::Object(entries.iter().map(|(k, v)| self.entry(k, v.as_ref())).collect()),
            Term::Neg(inner) => Node::Negate(self.boxed(inner)),
            Term::BinOp(left, op, right) => self.binary(left, op, right),
            Term::TryCatch(inner, None) => Node::Optional(self.boxed(inner)),
            Term::IfThenElse(branches, otherwise) => Node::If(
                branches.iter().map(|(c, t)| (self.term(c), self.term(t))).collect(),
                otherwise.as_ref().map(|e| self.boxed(e)),
            ),
            Term::Call(name, args) => self.call(name, args),
            Term::Var(name) => self.variable(name),
            Term::Path(head, path) => {
                let head = self.boxed(head);
                Node::Path(
                    head,
                    path.0.iter().map(|(part, opt)| (self.part(part), matches!(opt, path::Opt::Optional))).collect(),
                )
            }
            Term::Recurse => self.elsewhere("recursive descent `..`"),
            Term::Str(Some(_), _) => self.elsewhere("a string format"),
            Term::Label(..) | Term::Break(_) => self.elsewhere("`label`"),
            Term::Fold(..) => self.elsewhere("`reduce`"),
            Term::TryCatch(_, Some(_)) => self.elsewhere("`try`"),
            Term::Def(..) => self.elsewhere("`def`"),
        }
    }

    /// A construct that the tokens should already have given away.
    fn elsewhere(&mut self, name: &str) -> Node {
        self.construct(self.text, name);
        Node::Identity
    }

    fn number(&mut self, digits: &'s str) -> Node {
        let number = match digits.parse::<i64>() {
            Ok(n) if n <= EXACT => Some(n.into()),
            Ok(_) => None,
            Err(_) if digits.bytes().all(|b| b.is_ascii_digit()) => None,
            Err(_) => digits.parse::<f64>().ok().and_then(serde_json::Number::from_f64),
        };
        number.map_or_else(
            || {
                self.refuse(
                    "expr.number",
                    digits,
                    format!("the number {digits} can't be kept exactly"),
                    Some("write it as text"),
                );
                Node::Identity
            },
            |n| Node::Literal(Value::Number(n)),
        )
    }

    fn string(&mut self, parts: &[StrPart<&'s str, Term<&'s str>>]) -> Node {
        let mut out: Vec<TextPart> = Vec::new();
        for part in parts {
            let mut plain = |text: &str| match out.last_mut() {
                Some(TextPart::Plain(last)) => last.push_str(text),
                _ => out.push(TextPart::Plain(text.to_owned())),
            };
            match part {
                StrPart::Str(text) => plain(text),
                StrPart::Char(c) => plain(c.encode_utf8(&mut [0; 4])),
                StrPart::Term(term) => out.push(TextPart::Hole(self.term(term))),
            }
        }
        match out.as_mut_slice() {
            [] => Node::Literal(Value::String(String::new())),
            [TextPart::Plain(text)] => Node::Literal(Value::String(std::mem::take(text))),
            _ => Node::Text(out),
        }
    }

    /// `{a: f}`, `{(f): g}`, and the short forms `{a}` for `{a: .a}` and `{$x}` for `{x: $x}`.
    fn entry(&mut self, key: &Term<&'s str>, value: Option<&Term<&'s str>>) -> (Node, Node) {
        match (key, value) {
            (Term::Var(name), None) => {
                let plain = name.strip_prefix('$').unwrap_or(name).to_owned();
                (Node::Literal(Value::String(plain)), self.variable(name))
            }
            (key, Some(value)) => (self.term(key), self.term(value)),
            (key, None) => {
                let part = Part::Index(self.term(key));
                (self.term(key), Node::Path(Box::new(Node::Identity), vec![(part, false)]))
            }
        }
    }

    fn binary(&mut self, left: &Term<&'s str>, op: &BinaryOp<&'s str>, right: &Term<&'s str>) -> Node {
        if let BinaryOp::Pipe(Some(pattern)) = op {
            let source = self.boxed(left);
            let Pattern::Var(name) = pattern else { return self.elsewhere("destructuring after `as`") };
            let name = name.strip_prefix('$').unwrap_or(name).to_owned();
            self.bound.push(name.clone());
            let body = self.boxed(right);
            self.bound.pop();
            return Node::Bind(source, name, body);
        }
        let (l, r) = (self.boxed(left), self.boxed(right));
        match op {
            BinaryOp::Pipe(_) => Node::Pipe(l, r),
            BinaryOp::Comma => Node::Comma(l, r),
            BinaryOp::Alt => Node::Alternative(l, r),
            BinaryOp::Or => Node::Or(l, r),
            BinaryOp::And => Node::And(l, r),
            BinaryOp::Math(math) => Node::Math(arithmetic(*math), l, r),
            BinaryOp::Cmp(cmp) => Node::Compare(comparison(*cmp), l, r),
            BinaryOp::Assign | BinaryOp::Update | BinaryOp::UpdateMath(_) | BinaryOp::UpdateAlt => {
                self.elsewhere("assignment")
            }
        }
    }

    fn call(&mut self, name: &'s str, args: &[Term<&'s str>]) -> Node {
        match (name, args) {
            ("true", []) => return Node::Literal(Value::Bool(true)),
            ("false", []) => return Node::Literal(Value::Bool(false)),
            ("null", []) => return Node::Literal(Value::Null),
            _ => {}
        }
        let Some(builtin) = Builtin::find(name, args.len()) else {
            let arities: Vec<_> = FUNCTIONS.iter().filter(|(n, _)| *n == name).map(|(_, a)| a.to_string()).collect();
            if arities.is_empty() {
                self.construct(name, &format!("the function `{name}`"));
            } else {
                let message = format!("`{name}` takes {} arguments, not {}", arities.join(" or "), args.len());
                self.refuse("expr.arguments", name, message, None);
            }
            return Node::Identity;
        };
        Node::Call(builtin, args.iter().map(|arg| self.term(arg)).collect())
    }

    fn variable(&mut self, full: &'s str) -> Node {
        let name = full.strip_prefix('$').unwrap_or(full);
        if self.bound.iter().any(|bound| bound == name) {
            return Node::Variable(name.to_owned());
        }
        match name {
            "secrets" => self.refuse(
                "flow.secrets",
                full,
                "`$secrets` can't be read: no expression ever sees a secret".to_owned(),
                Some("bind a credential to the function; it is added where the request leaves"),
            ),
            "ENV" | "__loc__" | "__prog_args" => self.construct(full, &format!("`{full}`")),
            _ if self.scope.contains(name) => {
                self.used.insert(name.to_owned());
            }
            _ => {
                let known: Vec<_> = self.scope.iter().map(|n| format!("${n}")).collect();
                let help = format!("here there are {}", known.join(", "));
                self.refuse("expr.variable", full, format!("`{full}` is not defined here"), Some(&help));
            }
        }
        Node::Variable(name.to_owned())
    }

    fn part(&mut self, part: &path::Part<Term<&'s str>>) -> Part {
        match part {
            path::Part::Index(key) => Part::Index(self.term(key)),
            path::Part::Range(None, None) => Part::Each,
            path::Part::Range(from, to) => {
                Part::Slice(from.as_ref().map(|f| self.term(f)), to.as_ref().map(|t| self.term(t)))
            }
        }
    }
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

const fn arithmetic(op: ops::Math) -> Math {
    match op {
        ops::Math::Add => Math::Add,
        ops::Math::Sub => Math::Sub,
        ops::Math::Mul => Math::Mul,
        ops::Math::Div => Math::Div,
        ops::Math::Rem => Math::Rem,
    }
}

const fn comparison(op: ops::Cmp) -> Compare {
    match op {
        ops::Cmp::Lt => Compare::Lt,
        ops::Cmp::Le => Compare::Le,
        ops::Cmp::Gt => Compare::Gt,
        ops::Cmp::Ge => Compare::Ge,
        ops::Cmp::Eq => Compare::Eq,
        ops::Cmp::Ne => Compare::Ne,
    }
}
