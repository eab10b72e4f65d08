//! The functions that a wild expression may call: jaq's libraries by a closed list, so that a newer jaq
//! brings nothing in by itself.

use jaq_core::{
    data::JustLut,
    load::{
        lex::StrPart,
        parse::{BinaryOp, Def, Pattern, Term},
    },
    native::Fun,
    path,
};
use jaq_json::Val;
use std::{collections::BTreeSet, sync::LazyLock};

/// What jaq's functions work on: values, and nothing of the world.
pub(super) type Data = JustLut<Val>;

/// jaq's native functions that depend on their arguments alone. `range`, `path` and the like are jaq's own
/// spellings; the definitions written in jq stand on them.
const NATIVE: &[&str] = &[
    // core
    "error_empty",
    "path",
    "path_value",
    "range",
    "keys_unsorted",
    "key_values",
    "first",
    "last",
    "limit",
    "skip",
    // values
    "fromjson",
    "tojson",
    "tobytes",
    "length",
    "contains",
    "has",
    "indices",
    "bsearch",
    // text and lists
    "floor",
    "round",
    "ceil",
    "utf8bytelength",
    "explode",
    "implode",
    "ascii_downcase",
    "ascii_upcase",
    "reverse",
    "sort",
    "sort_by",
    "group_by",
    "min_by_or_empty",
    "max_by_or_empty",
    "startswith",
    "endswith",
    "ltrimstr",
    "rtrimstr",
    "trim",
    "ltrim",
    "rtrim",
    "escape_sh",
    "escape_html",
    "unescape_html",
    "encode_uri",
    "decode_uri",
    "encode_base64",
    "decode_base64",
    "matches",
    "split_matches",
    "split_",
    // dates that are given
    "fromdateiso8601",
    "todateiso8601",
    "strftime",
    "gmtime",
    "strptime",
    "mktime",
    // mathematics; in Rust (libm), so alike on every machine
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "cbrt",
    "cos",
    "cosh",
    "erf",
    "erfc",
    "exp",
    "exp10",
    "exp2",
    "expm1",
    "fabs",
    "frexp",
    "ilogb",
    "j0",
    "j1",
    "lgamma",
    "log",
    "log10",
    "log1p",
    "log2",
    "modf",
    "nearbyint",
    "rint",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
    "tgamma",
    "trunc",
    "y0",
    "y1",
    "atan2",
    "copysign",
    "fdim",
    "fmax",
    "fmin",
    "fmod",
    "hypot",
    "jn",
    "ldexp",
    "nextafter",
    "pow",
    "remainder",
    "scalbln",
    "yn",
    "fma",
];

/// Names that other jq's have and that are always refused, each with its reason.
const OUTSIDE: &[(&str, &str)] = &[
    ("env", ENVIRONMENT),
    ("input", INPUTS),
    ("inputs", INPUTS),
    ("input_filename", INPUTS),
    ("input_line_number", INPUTS),
    ("debug", PRINTS),
    ("stderr", PRINTS),
    ("halt", ENDS),
    ("halt_error", ENDS),
    ("now", "it would give another value at each replay; take the time from `$runtime` or `$workflow`"),
    ("localtime", ZONE),
    ("strflocaltime", ZONE),
    ("modulemeta", MODULES),
    ("get_search_list", MODULES),
    ("$ENV", ENVIRONMENT),
    ("$__loc__", "an expression in a document has no file and no line"),
    ("$__prog_args", ENVIRONMENT),
];

const ENVIRONMENT: &str = "no expression reads the environment of the process";
const INPUTS: &str = "an expression has one input, `.`, and reads no other";
const PRINTS: &str = "an expression prints nothing; its result is all it gives";
const ENDS: &str = "an expression can't end the process; use `error` or the task `raise`";
const ZONE: &str = "it depends on the machine's time zone; use `gmtime` or `strftime`";

/// Why modules are refused.
pub(super) const MODULES: &str = "an expression stands alone: there are no modules to load";

/// Why a name is never there for an expression, if it is known why.
pub(super) fn outside(name: &str) -> Option<&'static str> {
    OUTSIDE.iter().find(|(known, _)| *known == name).map(|(_, why)| *why)
}

/// The definitions written in jq, without those that reach outside, each with the names it calls. Read once.
static DEFINITIONS: LazyLock<Vec<(Def<&'static str>, BTreeSet<&'static str>)>> = LazyLock::new(|| {
    let all = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let called = |def: Def<&'static str>| {
        let mut names = BTreeSet::new();
        calls(&def.body, &mut names);
        (def, names)
    };
    all.filter(|def| outside(def.name).is_none()).map(called).collect()
});

/// What an expression needs of the libraries: to compile all of them each time takes longer than most
/// evaluations.
pub(super) struct Needed<'n>(BTreeSet<&'n str>);

impl<'n> Needed<'n> {
    /// By the names that stand in the expression, as functions or otherwise.
    pub(super) fn by(mut names: BTreeSet<&'n str>) -> Self {
        let mut open: Vec<_> = names.iter().copied().collect();
        while let Some(name) = open.pop() {
            for (_, calls) in DEFINITIONS.iter().filter(|(def, _)| def.name == name) {
                open.extend(calls.iter().copied().filter(|call| names.insert(call)));
            }
        }
        Self(names)
    }

    /// The definitions written in jq.
    pub(super) fn definitions(&self) -> impl Iterator<Item = Def<&'static str>> {
        DEFINITIONS.iter().map(|(def, _)| def).filter(|def| self.0.contains(def.name)).cloned()
    }

    /// The native functions.
    pub(super) fn natives(&self) -> impl Iterator<Item = Fun<Data>> {
        natives().filter(|(name, ..)| self.0.contains(name))
    }
}

/// Collects the names that a definition calls, formats included.
fn calls(term: &Term<&'static str>, names: &mut BTreeSet<&'static str>) {
    match term {
        Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Var(_) | Term::Arr(None) => {}
        Term::Str(format, parts) => {
            names.extend(format);
            for part in parts {
                if let StrPart::Term(term) = part {
                    calls(term, names);
                }
            }
        }
        Term::Arr(Some(f)) | Term::Neg(f) | Term::Label(_, f) => calls(f, names),
        Term::Obj(members) => members.iter().for_each(|(key, value)| {
            calls(key, names);
            value.iter().for_each(|value| calls(value, names));
        }),
        Term::BinOp(f, op, g) => {
            calls(f, names);
            if let BinaryOp::Pipe(Some(pattern)) = op {
                in_pattern(pattern, names);
            }
            calls(g, names);
        }
        Term::Fold(_, f, pattern, rest) => {
            calls(f, names);
            in_pattern(pattern, names);
            rest.iter().for_each(|f| calls(f, names));
        }
        Term::TryCatch(f, g) => {
            calls(f, names);
            g.iter().for_each(|g| calls(g, names));
        }
        Term::IfThenElse(branches, other) => {
            for (f, g) in branches {
                calls(f, names);
                calls(g, names);
            }
            other.iter().for_each(|f| calls(f, names));
        }
        Term::Def(definitions, f) => {
            definitions.iter().for_each(|def| calls(&def.body, names));
            calls(f, names);
        }
        Term::Call(name, args) => {
            names.insert(name);
            args.iter().for_each(|f| calls(f, names));
        }
        Term::Path(f, path) => {
            calls(f, names);
            for (part, _) in &path.0 {
                match part {
                    path::Part::Index(f) => calls(f, names),
                    path::Part::Range(from, to) => [from, to].into_iter().flatten().for_each(|f| calls(f, names)),
                }
            }
        }
    }
}

fn in_pattern(pattern: &Pattern<&'static str>, names: &mut BTreeSet<&'static str>) {
    match pattern {
        Pattern::Var(_) => {}
        Pattern::Arr(parts) => parts.iter().for_each(|part| in_pattern(part, names)),
        Pattern::Obj(members) => members.iter().for_each(|(key, part)| {
            calls(key, names);
            in_pattern(part, names);
        }),
    }
}

/// The native functions of the closed list.
fn natives() -> impl Iterator<Item = Fun<Data>> {
    let all = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    all.filter(|(name, ..)| NATIVE.contains(name))
}

/// The numbers of arguments with which a function of that name can be called.
pub(super) fn arities(name: &str) -> Vec<usize> {
    let defined = DEFINITIONS.iter().filter(|(def, _)| def.name == name).map(|(def, _)| def.args.len());
    let native = natives().filter(|(known, ..)| *known == name).map(|(_, args, _)| args.len());
    let mut all: Vec<_> = defined.chain(native).collect();
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each definition compiles with what it is said to need, and no more: so do expressions that call it.
    #[test]
    fn what_a_definition_needs_is_there() {
        for (def, _) in DEFINITIONS.iter() {
            let args: Vec<_> = def.args.iter().map(|_| ".").collect();
            let args = if args.is_empty() { String::new() } else { format!("({})", args.join("; ")) };
            let text = format!("{}{args}", def.name);
            assert!(super::super::wild::program(&text, &[]).is_ok(), "{text}");
        }
    }

    #[test]
    fn every_name_of_the_list_is_one_of_jaqs() {
        let all: Vec<_> = natives().map(|(name, ..)| name).collect();
        for name in NATIVE {
            assert!(all.contains(name), "{name}");
        }
    }

    #[test]
    fn what_jaq_has_beyond_the_list_is_what_reaches_outside() {
        let funs: Vec<_> = jaq_core::funs::<Data>().chain(jaq_std::funs()).chain(jaq_json::funs()).collect();
        let mut beyond: Vec<_> = funs.iter().map(|(name, ..)| *name).filter(|name| !NATIVE.contains(name)).collect();
        beyond.sort_unstable();
        assert_eq!(beyond, ["debug_empty", "env", "halt", "localtime", "now", "stderr_empty", "strflocaltime"]);
    }
}
