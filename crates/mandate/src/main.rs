//! The `mandate` command: the development house, the server, the witness, and the client of all three.

mod cli;
mod house;

use clap::Parser;
use cli::args::{Cli, Command};
use cli::{CliError, Exit, Io, Session};
use std::process::ExitCode;
use std::time::Duration;

/// How long tasks may still take after a command is done.
const LAST_WORDS: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let io = Io::of_process();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version are no errors; clap knows which stream each belongs to.
        Err(told) => {
            let exit = if told.use_stderr() { Exit::Usage } else { Exit::Done };
            // A closed stream leaves nobody to tell.
            let _ = told.print();
            return exit.into();
        }
    };
    if let Command::EvaluateExpressions(args) = &cli.command {
        // No runtime, no log, no configuration: it has nothing to give away.
        return mandate_sandbox::child::serve(args.memory, args.processor);
    }
    let exit = run(cli, &io).unwrap_or_else(|error| {
        io.report(&error);
        error.exit()
    });
    exit.into()
}

fn run(cli: Cli, io: &Io) -> Result<Exit, CliError> {
    let mut builder = match cli.command {
        Command::Client(_) => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder.enable_all().build().map_err(|e| CliError::failed(format!("no runtime can be made: {e}")))?;
    let Cli { global, command } = cli;
    let done = runtime.block_on(async {
        match command {
            Command::Dev(args) => ended(house::dev(args).await),
            Command::Serve(args) => ended(house::serve(args).await),
            Command::Witness(args) => ended(house::witness(args).await),
            // It was served before there was a runtime.
            Command::EvaluateExpressions(_) => Ok(Exit::Usage),
            Command::Client(command) => {
                let token = std::env::var("MANDATE_TOKEN").ok();
                cli::execute(&Session::new(global, token, io), command).await
            }
        }
    });
    house::last_traces();
    runtime.shutdown_timeout(LAST_WORDS);
    done
}

/// How a process of the house ended. It may say by a [`CliError`] of its own which exit code fits.
fn ended(result: anyhow::Result<()>) -> Result<Exit, CliError> {
    match result {
        Ok(()) => Ok(Exit::Done),
        Err(error) => Err(CliError::of(error)),
    }
}
