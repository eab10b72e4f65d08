//! The parts of a step, and which functions each is known by.

use super::callgrind::Costs;
use std::fmt::Write as _;

/// A part of the pipeline: its name, and parts of the names of the functions that do it and call nothing of another
/// part. With everything below them, they don't overlap unless the name says so.
const PIPELINE: &[(&str, &[&str])] = &[
    ("decision", &["mandate_gate::judge::<impl mandate_gate::Gate>::judge", "Gate>::judge", "gate::Gate::judge"]),
    ("· policy, within it", &["PolicySet::decide", "PolicySet>::decide"]),
    ("envelope", &["Issuer>::envelope", "Issuer::envelope"]),
    ("hop token and proof", &["Issuer>::hop", "Issuer::hop"]),
    ("ledger entries", &["Event::encode", "Event>::encode"]),
    ("payloads sealed", &["SubjectKey::seal", "SubjectKey>::seal"]),
    ("journal and checks before the database", &["CheckedTransition::new", "CheckedTransition>::new"]),
    ("statements of the step", &["CheckedTransition>::write", "CheckedTransition::write"]),
    ("statements of the sequencer", &["sqlite::log::integrate"]),
    ("commits", &["store::sqlite::writer::Thread::execute", "writer::Thread>::execute"]),
];

/// What is executed, whoever asks for it: each function is of the first kind that names it.
const KINDS: &[(&str, &[&str])] = &[
    ("canonical JSON", &["mandate_kernel::canonical", "canonicalizer", "ryu_js"]),
    ("other JSON", &["serde_json", "itoa", "zmij", "serde_core"]),
    ("SQLite", &["sqlite3", "rusqlite", "vdbe", "btree", "pager", "Btree", "Vdbe", "wal", "pcache", "unixWrite"]),
    (
        "signatures",
        &["ed25519", "ED25519", "curve25519", "x25519_ge", "edwards25519", "sha512", "SHA512", "bignum_", "ge_", "fe_"],
    ),
    ("digests", &["sha256", "SHA256"]),
    ("encryption", &["aes", "AES", "gcm", "GCM", "ghash", "GHASH"]),
    ("randomness", &["RAND", "drbg", "DRBG", "entropy", "jitter", "getrandom"]),
    ("aws-lc's frame", &["aws_lc", "EVP_", "OPENSSL_", "CRYPTO_", "CBS_", "CBB_", "evp_"]),
    (
        "allocation",
        &[
            "malloc",
            "free",
            "calloc",
            "realloc",
            "_int_",
            "alloc::raw_vec",
            "mi_",
            "__rust_",
            "__rdl_",
            "unlink_chunk",
            "arena",
        ],
    ),
    ("copies and comparisons", &["memcpy", "memmove", "memset", "memcmp", "memchr"]),
    ("policy", &["cedar"]),
    ("base64", &["base64"]),
    ("hashing of maps", &["sip", "Sip", "indexmap", "hashbrown", "BuildHasher"]),
    ("formatting of text", &["core::fmt", "alloc::fmt"]),
    ("tracing and metrics", &["tracing", "metrics"]),
    ("tokio and threads", &["tokio", "pthread", "futex", "std::sys", "std::sync", "parking_lot"]),
    ("maps and sets", &["btree", "BTree"]),
    ("our own code", &["mandate_"]),
];

/// Both tables, in instructions per step.
pub(super) fn tables(costs: &Costs, steps: u64) -> String {
    let per_step = |instructions: u64| instructions as f64 / steps.max(1) as f64;
    let share = |instructions: u64| instructions as f64 * 100.0 / costs.total.max(1) as f64;
    let mut text = format!("{steps} steps, {:.0} instructions each\n\n", per_step(costs.total));
    let mut line = |name: &str, instructions: u64| {
        // Writing to a text can't fail.
        let _ = writeln!(text, "| {name} | {:.0} | {:.1} % |", per_step(instructions), share(instructions));
    };
    line("part of the pipeline", costs.total);
    for (name, functions) in PIPELINE {
        line(name, costs.whole(|function| functions.iter().any(|known| function.contains(known))));
    }
    line("what is executed", costs.total);
    for (at, (name, _)) in KINDS.iter().enumerate() {
        line(name, costs.own(|function| kind_of(function) == Some(at)));
    }
    line("anything else", costs.own(|function| kind_of(function).is_none()));
    text
}

fn kind_of(function: &str) -> Option<usize> {
    KINDS.iter().position(|(_, known)| known.iter().any(|known| function.contains(known)))
}

/// The functions that cost most by themselves.
pub(super) fn costliest(costs: &Costs, steps: u64, count: usize) -> String {
    let mut functions: Vec<_> = costs.functions.iter().collect();
    functions.sort_by_key(|(_, cost)| std::cmp::Reverse(cost.own));
    let mut text = String::new();
    for (name, cost) in functions.into_iter().take(count) {
        let kind = kind_of(name).and_then(|at| KINDS.get(at)).map_or("?", |(kind, _)| kind);
        let per_step = |instructions: u64| instructions as f64 / steps.max(1) as f64;
        // Writing to a text can't fail.
        let _ = writeln!(text, "{:>9.0} {:>9.0}  [{kind}] {name}", per_step(cost.own), per_step(cost.whole));
    }
    text
}
