//! What must not compile. There is no code here: each file under `tests/ui` is a forgery, and the
//! compiler's answer to it lies beside it as `.stderr`.
//!
//! ```text
//! permit   forge, copy, store or show a permit; spend it twice; a kind or a gate of one's own (I1)
//! secret   print, copy, write or compare a secret; a lease without a permit (I4)
//! tenant   a query without a caller; a handle from nowhere (I5)
//! ```
//!
//! `TRYBUILD=overwrite cargo test -p mandate-compile-fail` writes the answers anew: read the difference.
