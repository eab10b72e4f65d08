//! What the development house has to be told.

use mandate_identity::Audience;
use mandate_kernel::{Clock, Entropy};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// What the development house has to be told.
#[derive(Clone)]
pub struct DevkitConfig {
    /// The data folder of `mandate dev`; the house keeps its things in `devkit/` below it.
    pub data_dir: PathBuf,
    /// The issuer of the platform's hop tokens for tenant `demo`, byte by byte.
    pub hop_issuer: String,
    /// Where the platform publishes the keys of that issuer. Read at the first call that needs them.
    pub jwks_url: String,
    /// The platform's API, as the provider's access tokens name it.
    pub api_audience: Audience,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives random bytes.
    pub entropy: Arc<dyn Entropy>,
    /// Faults of the receiver of reports, for tests.
    pub report_faults: ReportFaults,
    /// Faults of the mail sink, for tests.
    pub mail_faults: MailFaults,
    /// Faults of the scripted model, for tests: the first questions are answered so, one after the other.
    pub model_faults: Vec<ModelFault>,
}

/// Faults that the mail sink has on purpose. They can be set here only, never over SMTP.
#[derive(Debug, Clone, Copy, Default)]
pub struct MailFaults {
    /// How long it waits before it keeps a message.
    pub delay: Duration,
    /// So many mails are kept, and the connection is closed instead of an answer.
    pub after_message: u32,
}

/// An answer that the scripted model gives on purpose. It can be had by configuration only, never by
/// what a prompt says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelFault {
    /// Asks for a tool.
    ToolCall,
    /// Never ends.
    Endless,
    /// Is prose.
    NotJson,
    /// Is an object of another form.
    WrongSchema,
    /// Ends at the limit of tokens.
    Length,
    /// Is right, after this long.
    Slow(Duration),
    /// Is 503.
    Unavailable,
}

/// Faults that the receiver of reports has on purpose. They can be set here only, never over HTTP.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReportFaults {
    /// How long it waits before it looks at a request.
    pub delay: Duration,
    /// So many requests fail with 503 before anything is kept.
    pub before_commit: u32,
    /// So many requests are kept, but answered with 504.
    pub after_commit: u32,
}
