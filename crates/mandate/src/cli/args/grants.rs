//! The commands about grants of credentials.

use super::GrantArgs;
use clap::Subcommand;

/// `mandate grants …`.
#[derive(Debug, Subcommand)]
pub(crate) enum GrantsCommand {
    /// List grants of credentials you may see, and which of them have lapsed.
    List,
    /// Let a Worker, as it is now, use a credential through a function, as it is now.
    Give {
        #[command(flatten)]
        grant: GrantArgs,
        /// When it ends: a date, or a time such as 2026-12-31T17:00:00Z.
        #[arg(long, value_name = "TIME")]
        not_after: Option<String>,
    },
    /// Take it back, at once.
    Revoke {
        #[command(flatten)]
        grant: GrantArgs,
    },
}
