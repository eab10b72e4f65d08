//! `mandate completions`: a completion script for a shell.

use crate::cli::args::{Cli, CompletionsArgs};
use crate::cli::{CliError, Exit, Session};
use clap::CommandFactory as _;

pub(in crate::cli) fn completions(session: &Session<'_>, args: &CompletionsArgs) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "mandate", &mut script);
    session.out().bytes(&script)?;
    Ok(Exit::Done)
}
