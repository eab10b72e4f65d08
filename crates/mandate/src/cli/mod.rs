//! The client: commands, how they reach a server, and how they tell what they found.

pub(crate) mod args;
mod client;
mod commands;
mod error;
mod exit;
mod files;
pub(crate) mod manifests;
mod output;
mod provider;
mod signed_in;
mod time;

pub(crate) use error::CliError;
pub(crate) use exit::Exit;
pub(crate) use output::Io;

use args::{ClientCommand, Global};
use client::{Client, Credential};
use mandate_kernel::Secret;
use output::Output;
use signed_in::Keeper;
use std::sync::OnceLock;

/// One command under way: where results go, and the server, once it is needed.
pub(crate) struct Session<'a> {
    global: Global,
    token: Option<String>,
    io: &'a Io,
    client: OnceLock<Client>,
}

impl<'a> Session<'a> {
    /// A session. An access token comes from the environment, never from an argument.
    pub(crate) fn new(global: Global, token: Option<String>, io: &'a Io) -> Self {
        Self { global, token, io, client: OnceLock::new() }
    }

    fn out(&self) -> Output<'_> {
        Output::new(self.io, self.global.output)
    }

    /// The server's client; commands that work offline never ask for it.
    fn client(&self) -> Result<&Client, CliError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = Client::new(&self.global.url, self.credential()?)?;
        Ok(self.client.get_or_init(|| client))
    }

    /// The server's URL, as it was given.
    fn url(&self) -> &str {
        &self.global.url
    }

    /// Whether a person looks at stderr.
    fn err_is_terminal(&self) -> bool {
        self.io.err_is_terminal()
    }

    /// The access token for a server that need not run: from the environment, or whoever signed in to it here.
    async fn token_for(&self, url: &str) -> Result<Secret<String>, CliError> {
        if let Some(token) = self.token.as_deref().map(str::trim).filter(|token| !token.is_empty()) {
            return Ok(Secret::new(token.to_owned()));
        }
        let keeper = Keeper::new(Client::new(url, Credential::None)?.url());
        match keeper {
            Some(keeper) if keeper.load()?.is_some() => Ok(Secret::new(keeper.token(None).await?)),
            _ => Err(CliError::usage_help(
                format!("nobody is signed in to {url}"),
                "give an access token of your identity provider in MANDATE_TOKEN",
            )),
        }
    }

    /// As whom: an account, a token, or whoever signed in here.
    fn credential(&self) -> Result<Credential, CliError> {
        let given = |text: &Option<String>| text.as_deref().map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned);
        match (given(&self.global.account), given(&self.token)) {
            (Some(account), _) => Ok(Credential::Account(account)),
            (None, Some(token)) => Ok(Credential::Token(Secret::new(token))),
            (None, None) => {
                let keeper = Keeper::new(Client::new(&self.global.url, Credential::None)?.url());
                Ok(match keeper {
                    Some(keeper) if keeper.load()?.is_some() => Credential::SignedIn(keeper),
                    _ => Credential::None,
                })
            }
        }
    }
}

/// Executes a client command.
///
/// # Errors
/// [`CliError`]; its exit code is the command's.
pub(crate) async fn execute(session: &Session<'_>, command: ClientCommand) -> Result<Exit, CliError> {
    match command {
        ClientCommand::Init(args) => commands::init::init(session, *args).await,
        ClientCommand::Backup(args) => commands::backup::backup(session, args).await,
        ClientCommand::Restore(args) => commands::backup::restore(session, args).await,
        ClientCommand::Release(args) => commands::backup::release(session, args).await,
        ClientCommand::Login(args) => commands::login::login(session, args).await,
        ClientCommand::Logout => commands::login::logout(session),
        ClientCommand::Apply(args) => commands::apply::apply(session, args).await,
        ClientCommand::Diff(args) => commands::diff::diff(session, args).await,
        ClientCommand::Get(args) => commands::resources::get(session, args).await,
        ClientCommand::Describe(args) => commands::resources::describe(session, args).await,
        ClientCommand::Run(args) => commands::run::run(session, args).await,
        ClientCommand::Runs(command) => commands::runs::runs(session, command).await,
        ClientCommand::Approvals(command) => commands::approvals::approvals(session, command).await,
        ClientCommand::Passport(command) => commands::passport::passport(session, command).await,
        ClientCommand::Artifact(command) => commands::artifact::artifact(session, command).await,
        ClientCommand::Audit(command) => commands::audit::audit(session, command).await,
        ClientCommand::Grants(command) => commands::grants::grants(session, command).await,
        ClientCommand::Schedules(command) => commands::schedules::schedules(session, command).await,
        ClientCommand::Secrets(command) => commands::secrets::secrets(session, command).await,
        ClientCommand::Keys(command) => commands::keys::keys(session, command).await,
        ClientCommand::Doctor(args) => commands::doctor::doctor(session, args).await,
        ClientCommand::Completions(args) => commands::completions::completions(session, &args),
    }
}
