//! What is wrong with a document, where, and what to do about it.

use std::fmt;

/// One finding at one place in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnostic {
    /// A stable code, such as `flow.unknown-key`.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The file as it was named by the caller.
    pub file: String,
    /// Line from 1; 0 when the document was not read from a text.
    pub line: usize,
    /// Column in characters from 1; 0 when the document was not read from a text.
    pub column: usize,
    /// JSON pointer (RFC 6901) into the document.
    pub pointer: String,
    /// Byte offset and byte length in the text.
    pub span: (usize, usize),
}

/// The code of everything that the language has and this version does not run yet.
pub const UNSUPPORTED: &str = "flow.unsupported";

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        } else if !self.pointer.is_empty() {
            write!(f, "{}:", self.pointer)?;
        }
        write!(f, " {}", self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// One or more findings, in the order of the text. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    found: Vec<Diagnostic>,
    more: usize,
}

impl Diagnostics {
    /// Sorts findings by place; `None` when there are none.
    #[must_use]
    pub fn collect(mut found: Vec<Diagnostic>) -> Option<Self> {
        found.sort_by(|a, b| (a.line, a.column, a.code).cmp(&(b.line, b.column, b.code)));
        found.dedup();
        if found.is_empty() { None } else { Some(Self { found, more: 0 }) }
    }

    /// Says that there are more findings than are kept.
    #[must_use]
    pub(crate) const fn and_more(mut self, more: usize) -> Self {
        self.more = more;
        self
    }

    /// How many more there are than [`Diagnostics::as_slice`] gives.
    #[must_use]
    pub const fn more(&self) -> usize {
        self.more
    }

    /// The findings.
    #[must_use]
    pub fn as_slice(&self) -> &[Diagnostic] {
        &self.found
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(one: Diagnostic) -> Self {
        Self { found: vec![one], more: 0 }
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, diagnostic) in self.found.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            fmt::Display::fmt(diagnostic, f)?;
        }
        if self.more > 0 {
            write!(f, "\nand {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}
