//! The functions that a wild expression may call: jaq's libraries by a closed list, so that a newer jaq
//! brings nothing in by itself.

use jaq_core::{data::JustLut, load::parse::Def, native::Fun};
use jaq_json::Val;
use std::sync::LazyLock;

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

/// The definitions written in jq, read once.
static DEFINITIONS: LazyLock<Vec<Def<&'static str>>> = LazyLock::new(|| {
    let all = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    all.filter(|def| outside(def.name).is_none()).collect()
});

/// The definitions written in jq, without those that reach outside.
pub(super) fn definitions() -> impl Iterator<Item = Def<&'static str>> {
    DEFINITIONS.iter().cloned()
}

/// The native functions of the closed list.
pub(super) fn natives() -> impl Iterator<Item = Fun<Data>> {
    let all = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    all.filter(|(name, ..)| NATIVE.contains(name))
}

/// The numbers of arguments with which a function of that name can be called.
pub(super) fn arities(name: &str) -> Vec<usize> {
    let defined = DEFINITIONS.iter().filter(|def| def.name == name).map(|def| def.args.len());
    let native = natives().filter(|(known, ..)| *known == name).map(|(_, args, _)| args.len());
    let mut all: Vec<_> = defined.chain(native).collect();
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

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
