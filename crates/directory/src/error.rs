//! What can be wrong with a resource.

/// Why a resource was refused. Nothing was stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// The manifest has another shape than its kind asks for.
    #[error("{kind} {name}: {why}")]
    Malformed {
        /// Kind.
        kind: String,
        /// Name, if it could be read.
        name: String,
        /// What is wrong and where.
        why: String,
    },
    /// Another `apiVersion`, or a kind nobody knows.
    #[error("{given} is not a kind of resource here; use apiVersion {expected} and one of {kinds}")]
    UnknownKind {
        /// What was given.
        given: String,
        /// What was expected.
        expected: &'static str,
        /// Kinds there are.
        kinds: String,
    },
    /// It does not say what it is.
    #[error("`kind` is missing{hint}; write one of {kinds}")]
    NoKind {
        /// A key that may have been meant, in words.
        hint: String,
        /// Kinds there are.
        kinds: String,
    },
    /// A resource names another one that does not exist.
    #[error("{kind} {name} names {missing_kind} {missing}, which does not exist; apply it first or in the same folder")]
    Dangling {
        /// Kind of the resource.
        kind: String,
        /// Its name.
        name: String,
        /// Kind of what is missing.
        missing_kind: String,
        /// Name of what is missing.
        missing: String,
    },
}
