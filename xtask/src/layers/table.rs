//! The edge table itself. Read top-down: each crate may use only what stands above it.

use super::Layer;

/// Dependencies that cost much to build or that reach outside: a crate has one only where its line below says so.
///
/// `tokio` and `axum` are here to keep the pure crates pure; `clap` to keep command lines out of libraries.
pub(super) const HEAVY: &[&str] = &[
    "aws-lc-rs",
    "axum",
    "cedar-policy",
    "clap",
    "genai",
    "jaq-core",
    "jaq-json",
    "jaq-std",
    "jsonwebtoken",
    "lettre",
    "reqwest",
    "rusqlite",
    "tokio",
];

/// Every crate of the workspace, the independent ones first.
pub(super) const LAYERS: &[Layer] = &[
    Layer { name: "mandate-kernel", uses: &[], heavy: &["aws-lc-rs"], dev_heavy: &[] },
    Layer { name: "mandate-ledger", uses: &["mandate-kernel"], heavy: &[], dev_heavy: &[] },
    Layer { name: "mandate-journal", uses: &["mandate-kernel", "mandate-ledger"], heavy: &[], dev_heavy: &[] },
    Layer { name: "mandate-policy", uses: &["mandate-kernel"], heavy: &["cedar-policy"], dev_heavy: &[] },
    Layer { name: "mandate-identity", uses: &["mandate-kernel"], heavy: &["jsonwebtoken"], dev_heavy: &["aws-lc-rs"] },
    Layer {
        name: "mandate-gate",
        uses: &["mandate-kernel", "mandate-ledger", "mandate-journal", "mandate-policy", "mandate-identity"],
        heavy: &["tokio"],
        dev_heavy: &[],
    },
    Layer { name: "mandate-verifier", uses: &["mandate-kernel", "mandate-identity"], heavy: &[], dev_heavy: &[] },
    Layer {
        name: "mandate-issuer",
        uses: &["mandate-kernel", "mandate-identity", "mandate-gate"],
        heavy: &["jsonwebtoken"],
        dev_heavy: &["tokio"],
    },
    Layer {
        name: "mandate-vault",
        uses: &["mandate-kernel", "mandate-journal", "mandate-gate"],
        heavy: &["aws-lc-rs", "tokio"],
        dev_heavy: &[],
    },
    Layer {
        name: "mandate-flow",
        uses: &["mandate-kernel"],
        heavy: &["jaq-core", "jaq-json", "jaq-std"],
        dev_heavy: &[],
    },
    Layer { name: "mandate-directory", uses: &["mandate-kernel", "mandate-identity"], heavy: &[], dev_heavy: &[] },
    Layer {
        name: "mandate-store",
        uses: &["mandate-kernel", "mandate-ledger", "mandate-journal", "mandate-vault", "mandate-directory"],
        heavy: &["rusqlite", "tokio"],
        dev_heavy: &[],
    },
    Layer {
        name: "mandate-effects",
        uses: &[
            "mandate-kernel",
            "mandate-journal",
            "mandate-identity",
            "mandate-gate",
            "mandate-flow",
            "mandate-directory",
        ],
        heavy: &["genai", "lettre", "reqwest", "tokio"],
        dev_heavy: &["axum"],
    },
    Layer {
        name: "mandate-engine",
        uses: &[
            "mandate-kernel",
            "mandate-ledger",
            "mandate-journal",
            "mandate-policy",
            "mandate-identity",
            "mandate-gate",
            "mandate-issuer",
            "mandate-vault",
            "mandate-flow",
            "mandate-directory",
        ],
        heavy: &["tokio"],
        dev_heavy: &[],
    },
    Layer {
        name: "mandate-api",
        uses: &[
            "mandate-kernel",
            "mandate-ledger",
            "mandate-journal",
            "mandate-policy",
            "mandate-identity",
            "mandate-gate",
            "mandate-issuer",
            "mandate-vault",
            "mandate-flow",
            "mandate-directory",
            "mandate-store",
            "mandate-engine",
        ],
        heavy: &["axum", "tokio"],
        dev_heavy: &[],
    },
    Layer {
        name: "mandate-devkit",
        uses: &["mandate-kernel", "mandate-identity", "mandate-verifier"],
        heavy: &["axum", "reqwest", "rusqlite", "tokio"],
        dev_heavy: &[],
    },
    Layer {
        name: "mandate",
        uses: &[
            "mandate-kernel",
            "mandate-ledger",
            "mandate-journal",
            "mandate-policy",
            "mandate-identity",
            "mandate-gate",
            "mandate-issuer",
            "mandate-vault",
            "mandate-flow",
            "mandate-directory",
            "mandate-store",
            "mandate-effects",
            "mandate-engine",
            "mandate-api",
            "mandate-devkit",
        ],
        heavy: &["axum", "clap", "reqwest", "tokio"],
        // A test locks the house's database from outside.
        dev_heavy: &["rusqlite"],
    },
    Layer {
        name: "mandate-testkit",
        uses: &[
            "mandate-kernel",
            "mandate-ledger",
            "mandate-journal",
            "mandate-identity",
            "mandate-gate",
            "mandate-vault",
            "mandate-directory",
            "mandate-engine",
        ],
        heavy: &["tokio"],
        dev_heavy: &[],
    },
    // Forgeries the compiler refuses; they are tests, which may use any crate above.
    Layer { name: "mandate-compile-fail", uses: &[], heavy: &[], dev_heavy: &[] },
    Layer { name: "xtask", uses: &[], heavy: &["clap"], dev_heavy: &[] },
];
