//! What can go wrong on the client's side, and how it is told: what, where, and what to do about it.

use super::Exit;
use super::output::shown;
use mandate_ledger::VerifyError;
use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};
use serde::Deserialize;
use std::fmt;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// An argument, a file or the environment is not what it should be. Nothing was sent.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do.
        help: Option<String>,
    },
    /// Places in files that are wrong.
    #[error("{headline}")]
    Findings {
        /// All in all.
        headline: String,
        /// Each of them.
        findings: Vec<Finding>,
    },
    /// The server said no.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// There is no server, or no answer.
    #[error("{url} can't be reached: {why}")]
    Unreachable {
        /// Where.
        url: String,
        /// What happened.
        why: String,
        /// What to do.
        help: String,
    },
    /// A passport, an artefact or a ledger does not hold.
    #[error("verification failed: {what}: {why}")]
    Unverified {
        /// Which file, or whose ledger.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// Something that should not happen.
    #[error("{message}")]
    Failed {
        /// What happened.
        message: String,
    },
}

impl CliError {
    /// Wrong usage.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), help: None }
    }

    /// Wrong usage, and what to do instead.
    pub(crate) fn usage_help(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), help: Some(help.into()) }
    }

    /// Something that should not happen.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::Failed { message: message.into() }
    }

    /// What was verified does not hold.
    pub(crate) fn unverified(what: impl Into<String>, why: &VerifyError) -> Self {
        Self::Unverified { what: what.into(), why: why.to_string() }
    }

    /// A refusal of the gate.
    pub(crate) fn refused(refusal: &mandate_gate::Refusal) -> Self {
        Self::Problem(Box::new(Problem {
            type_: format!("https://mandate.dev/problems/{}", refusal.kind.code()),
            title: "Refused by policy".to_owned(),
            status: 403,
            detail: Some(refusal.kind.to_string()),
            decision: Some(refusal.decision.to_string()),
            errors: Vec::new(),
        }))
    }

    /// What a part of the house said: an error of this kind, or something that should not happen.
    pub(crate) fn of(error: anyhow::Error) -> Self {
        error.downcast::<Self>().unwrap_or_else(|other| Self::failed(format!("{other:#}")))
    }

    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage { .. } | Self::Findings { .. } => Exit::Usage,
            Self::Problem(problem) if problem.code() == Some("ledger-damaged") => Exit::Unverified,
            Self::Problem(problem) => Exit::of_status(problem.status),
            Self::Unreachable { .. } => Exit::Unreachable,
            Self::Unverified { .. } => Exit::Unverified,
            Self::Failed { .. } => Exit::Failed,
        }
    }

    fn advice(&self) -> Option<String> {
        match self {
            Self::Usage { help, .. } => help.clone(),
            Self::Problem(problem) => problem.advice(),
            Self::Unreachable { help, .. } => Some(help.clone()),
            Self::Unverified { .. } => {
                Some("rely on nothing in it; get it again from its source, and make sure that the anchor is that of its operator".to_owned())
            }
            Self::Findings { .. } | Self::Failed { .. } => None,
        }
    }
}

impl Diagnostic for CliError {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        match self {
            Self::Problem(problem) => problem.code().map(|code| Box::new(code) as Box<dyn fmt::Display>),
            _ => None,
        }
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.advice().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        match self {
            Self::Findings { findings, .. } => Some(Box::new(findings.iter().map(|f| f as &dyn Diagnostic))),
            _ => None,
        }
    }
}

/// One wrong place in a file. Its text begins `FILE:LINE:COLUMN:`.
#[derive(Debug)]
pub(crate) struct Finding {
    text: String,
    code: Option<String>,
    help: Option<String>,
    source: NamedSource<String>,
    span: Option<(usize, usize)>,
}

impl Finding {
    /// About a file as a whole, or a place without a position.
    pub(crate) fn about(file: &str, message: &str, help: Option<&str>) -> Self {
        let source = NamedSource::new(file, String::new());
        Self { text: format!("{file}: {message}"), code: None, help: help.map(str::to_owned), source, span: None }
    }

    /// From a diagnostic of the language or of YAML, with the text it is about.
    pub(crate) fn of(found: &mandate_flow::Diagnostic, text: &str) -> Self {
        let place = if found.line > 0 { format!("{}:{}", found.line, found.column) } else { found.pointer.clone() };
        let separator = if place.is_empty() { "" } else { ":" };
        // A span outside the text could not be shown.
        let fits = found.line > 0 && found.span.0.checked_add(found.span.1).is_some_and(|end| end <= text.len());
        Self {
            text: shown(&format!("{}{separator}{place}: {}", found.file, found.message)),
            code: Some(found.code.to_owned()),
            help: found.help.clone(),
            source: NamedSource::new(&found.file, if fits { text.to_owned() } else { String::new() }),
            span: fits.then_some(found.span),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Finding {}

impl Diagnostic for Finding {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.code.as_ref().map(|code| Box::new(code) as Box<dyn fmt::Display>)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.span.map(|_| &self.source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let (offset, len) = self.span?;
        Some(Box::new(std::iter::once(LabeledSpan::new(Some("here".to_owned()), offset, len))))
    }
}

/// An error as the server tells it (RFC 9457).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Problem {
    /// URI of its kind.
    #[serde(rename = "type")]
    pub(crate) type_: String,
    /// A fixed sentence for the kind.
    pub(crate) title: String,
    /// HTTP status.
    pub(crate) status: u16,
    /// What happened this time.
    pub(crate) detail: Option<String>,
    /// The decision behind it.
    pub(crate) decision: Option<String>,
    /// Places in the request.
    pub(crate) errors: Vec<FieldError>,
}

/// A place in a request.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct FieldError {
    /// JSON pointer.
    pub(crate) pointer: String,
    /// What is wrong there.
    pub(crate) message: String,
}

impl Problem {
    /// From an answer; one that is not a problem document is told by its status alone.
    pub(crate) fn of(status: u16, body: &[u8]) -> Self {
        let told: Option<Self> = serde_json::from_slice(body).ok();
        let told = told.filter(|problem| !problem.title.is_empty()).unwrap_or_else(|| Self {
            title: format!("the server answered {status} and nothing more"),
            ..Self::default()
        });
        Self { status, ..told }
    }

    fn code(&self) -> Option<&str> {
        self.type_.rsplit('/').next().filter(|code| !code.is_empty())
    }

    fn advice(&self) -> Option<String> {
        if self.code() == Some("ledger-damaged") {
            return Some("`mandate audit verify --data-dir` on the server's machine says where".to_owned());
        }
        let what = match self.status {
            401 => {
                "sign in: `mandate login`, or pass --as ACCOUNT (with `mandate dev`), or put a fresh access token into MANDATE_TOKEN"
            }
            403 => {
                "ask an owner for the right, or change what is asked for; whoever reads the ledger finds the decision with `mandate audit search`"
            }
            404 => "check the name, and as whom you act; what you may not see looks the same as what is not there",
            409 => "look at it again, then repeat if it still makes sense",
            503 => "try again in a moment; `mandate doctor` says more",
            500 => "the cause is in the server's log",
            _ => return None,
        };
        Some(what.to_owned())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.title))?;
        if let Some(detail) = &self.detail {
            write!(f, ": {}", shown(detail))?;
        }
        for error in &self.errors {
            write!(f, "\n{}: {}", shown(&error.pointer), shown(&error.message))?;
        }
        match &self.decision {
            Some(decision) => write!(f, " (decision {})", shown(decision)),
            None => Ok(()),
        }
    }
}
