//! The arguments of `mandate login`.

use clap::Args;

/// `mandate login`.
#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// The tenant; not needed where the server has one.
    #[arg(long, value_name = "TENANT")]
    pub(crate) tenant: Option<String>,
    /// Sign in on another device: shows a code instead of opening a browser here.
    #[arg(long)]
    pub(crate) device: bool,
}
