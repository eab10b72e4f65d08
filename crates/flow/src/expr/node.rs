//! The syntax tree of a tame expression. What can't be written here can't be evaluated.

use serde_json::Value;

/// A stream-valued expression over one input.
#[derive(Debug)]
pub(super) enum Node {
    /// `.`
    Identity,
    /// A constant.
    Literal(Value),
    /// `"a \(f) b"`
    Text(Vec<TextPart>),
    /// `[f]`
    Array(Box<Node>),
    /// `{k: v, …}`
    Object(Vec<(Node, Node)>),
    /// `-f`
    Negate(Box<Node>),
    /// `f | g`
    Pipe(Box<Node>, Box<Node>),
    /// `f as $x | g`
    Bind(Box<Node>, String, Box<Node>),
    /// `f, g`
    Comma(Box<Node>, Box<Node>),
    /// `f // g`
    Alternative(Box<Node>, Box<Node>),
    /// `f or g`
    Or(Box<Node>, Box<Node>),
    /// `f and g`
    And(Box<Node>, Box<Node>),
    /// `f + g` and so on.
    Math(Math, Box<Node>, Box<Node>),
    /// `f < g` and so on.
    Compare(Compare, Box<Node>, Box<Node>),
    /// `f?`
    Optional(Box<Node>),
    /// `if c then t elif … else e end`; without `else` the input itself.
    If(Vec<(Node, Node)>, Option<Box<Node>>),
    /// `$x`, without the `$`.
    Variable(String),
    /// `f.a[1]?[]`; the parts see the input of the whole, not of `f`.
    Path(Box<Node>, Vec<(Part, bool)>),
    /// A function of the closed list.
    Call(Builtin, Vec<Node>),
}

impl Node {
    /// Whether evaluating it is no more than copying what it names: constants, and members by their names.
    pub(super) fn is_quick(&self) -> bool {
        match self {
            Self::Identity | Self::Literal(_) | Self::Variable(_) => true,
            Self::Array(f) | Self::Optional(f) => f.is_quick(),
            Self::Object(members) => members.iter().all(|(name, value)| name.is_quick() && value.is_quick()),
            Self::Path(f, parts) => {
                f.is_quick() && parts.iter().all(|(part, _)| matches!(part, Part::Index(Self::Literal(_))))
            }
            _ => false,
        }
    }

    /// Whether it can look at its input, `.`. When in doubt it can: every function of the closed list
    /// counts as looking.
    pub(super) fn reads_input(&self) -> bool {
        let any = |pairs: &[(Self, Self)]| pairs.iter().any(|(a, b)| a.reads_input() || b.reads_input());
        match self {
            Self::Literal(_) | Self::Variable(_) => false,
            Self::Identity | Self::Call(..) => true,
            Self::Text(parts) => parts.iter().any(|part| match part {
                TextPart::Plain(_) => false,
                TextPart::Hole(node) => node.reads_input(),
            }),
            Self::Array(f) | Self::Negate(f) | Self::Optional(f) => f.reads_input(),
            Self::Object(members) => any(members),
            // What follows the pipe sees what comes out of it, and nothing else.
            Self::Pipe(f, _) => f.reads_input(),
            Self::Bind(f, _, g)
            | Self::Comma(f, g)
            | Self::Alternative(f, g)
            | Self::Or(f, g)
            | Self::And(f, g)
            | Self::Math(_, f, g)
            | Self::Compare(_, f, g) => f.reads_input() || g.reads_input(),
            // Without `else` the input itself passes.
            Self::If(branches, other) => any(branches) || other.as_ref().is_none_or(|node| node.reads_input()),
            Self::Path(f, parts) => {
                f.reads_input()
                    || parts.iter().any(|(part, _)| match part {
                        Part::Each => false,
                        Part::Index(node) => node.reads_input(),
                        Part::Slice(from, to) => [from, to].into_iter().flatten().any(Self::reads_input),
                    })
            }
        }
    }
}

/// A piece of an interpolated string.
#[derive(Debug)]
pub(super) enum TextPart {
    /// As it stands.
    Plain(String),
    /// `\(f)`
    Hole(Node),
}

/// One step of a path; the flag beside it says that failure gives nothing (`?`).
#[derive(Debug)]
pub(super) enum Part {
    /// `.a`, `.[f]`
    Index(Node),
    /// `.[]`
    Each,
    /// `.[f:g]`
    Slice(Option<Node>, Option<Node>),
}

/// Arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Math {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
}

/// Comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compare {
    Lt,
    Le,
    Gt,
    Ge,
    Eq,
    Ne,
}

macro_rules! builtins {
    ($($variant:ident = $name:literal / $arity:literal),+ $(,)?) => {
        /// The closed list of functions, each with its arity.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Builtin { $($variant),+ }

        impl Builtin {
            /// The function of that name and arity.
            pub(super) fn find(name: &str, arity: usize) -> Option<Self> {
                match (name, arity) { $(($name, $arity) => Some(Self::$variant),)+ _ => None }
            }
        }

        /// `name/arity` of every function an expression may call.
        pub(super) const FUNCTIONS: &[(&str, usize)] = &[$(($name, $arity)),+];
    };
}

builtins!(
    Abs = "abs" / 0,
    Add = "add" / 0,
    AddOf = "add" / 1,
    All = "all" / 0,
    AllOf = "all" / 1,
    AllIn = "all" / 2,
    Any = "any" / 0,
    AnyOf = "any" / 1,
    AnyIn = "any" / 2,
    Ceil = "ceil" / 0,
    Contains = "contains" / 1,
    Downcase = "ascii_downcase" / 0,
    Empty = "empty" / 0,
    EndsWith = "endswith" / 1,
    Error = "error" / 0,
    ErrorOf = "error" / 1,
    First = "first" / 0,
    FirstOf = "first" / 1,
    Flatten = "flatten" / 0,
    Floor = "floor" / 0,
    FromEntries = "from_entries" / 0,
    GroupBy = "group_by" / 1,
    Has = "has" / 1,
    Join = "join" / 1,
    Keys = "keys" / 0,
    Last = "last" / 0,
    LastOf = "last" / 1,
    Length = "length" / 0,
    Limit = "limit" / 2,
    Map = "map" / 1,
    MapValues = "map_values" / 1,
    Max = "max" / 0,
    MaxBy = "max_by" / 1,
    Min = "min" / 0,
    MinBy = "min_by" / 1,
    Not = "not" / 0,
    Range = "range" / 1,
    RangeFrom = "range" / 2,
    RangeBy = "range" / 3,
    Reverse = "reverse" / 0,
    Round = "round" / 0,
    Select = "select" / 1,
    Sort = "sort" / 0,
    SortBy = "sort_by" / 1,
    Split = "split" / 1,
    StartsWith = "startswith" / 1,
    ToEntries = "to_entries" / 0,
    ToNumber = "tonumber" / 0,
    ToString = "tostring" / 0,
    Type = "type" / 0,
    Unique = "unique" / 0,
    UniqueBy = "unique_by" / 1,
    Upcase = "ascii_upcase" / 0,
    Values = "values" / 0,
    WithEntries = "with_entries" / 1,
);

impl Node {
    /// The constant texts inside.
    pub(super) fn texts<'n>(&'n self, found: &mut Vec<&'n str>) {
        match self {
            Self::Literal(Value::String(text)) => found.push(text),
            Self::Identity | Self::Literal(_) | Self::Variable(_) => {}
            Self::Text(parts) => parts.iter().for_each(|part| match part {
                TextPart::Plain(text) => found.push(text),
                TextPart::Hole(node) => node.texts(found),
            }),
            Self::Array(inner) | Self::Negate(inner) | Self::Optional(inner) => inner.texts(found),
            Self::Object(entries) => entries.iter().for_each(|(key, value)| {
                key.texts(found);
                value.texts(found);
            }),
            Self::Pipe(l, r)
            | Self::Bind(l, _, r)
            | Self::Comma(l, r)
            | Self::Alternative(l, r)
            | Self::Or(l, r)
            | Self::And(l, r)
            | Self::Math(_, l, r)
            | Self::Compare(_, l, r) => {
                l.texts(found);
                r.texts(found);
            }
            Self::If(branches, otherwise) => {
                for (condition, then) in branches {
                    condition.texts(found);
                    then.texts(found);
                }
                if let Some(node) = otherwise {
                    node.texts(found);
                }
            }
            Self::Path(head, parts) => {
                head.texts(found);
                for (part, _) in parts {
                    if let Part::Index(node) = part {
                        node.texts(found);
                    }
                }
            }
            Self::Call(_, args) => args.iter().for_each(|arg| arg.texts(found)),
        }
    }
}
