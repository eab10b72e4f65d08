//! The configuration file of `mandate serve`.

#[cfg(test)]
mod reference;
mod sessions;

use super::database::Database;
use super::expressions::ExpressionsConfig;
use super::node::NodeSettings;
use super::oidc::{BrowserClient, Keys, Trust};
use super::secret_source::SecretSource;
use super::shares::SharesConfig;
use super::switches::AllowConfig;
use anyhow::{Context, Result, bail};
use mandate_api::{DoorConfig, Rate, ThrottleConfig};
use mandate_directory::SessionLifetimes;
use mandate_identity::Audience;
use mandate_kernel::{Duration, SystemEntropy, Tenant};
use mandate_store::PostgresConfig;
use mandate_vault::RootKey;
use serde::Deserialize;
use sessions::SessionsConfig;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// All of it. Unknown keys are refused.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ServeConfig {
    /// Address to listen on. One that others can reach needs `tls`, or a proxy that is trusted.
    pub listen: SocketAddr,
    /// TLS, ended here.
    #[serde(default)]
    pub tls: Option<TlsConfig>,
    /// Whether a proxy of ours stands before this server, ends TLS, and writes `X-Forwarded-For`.
    #[serde(default)]
    pub trusted_proxy: bool,
    /// The URL by which callers reach it; tokens are issued below it.
    pub public_url: String,
    /// Where the trust anchor is, and the database if it is a file.
    pub data_dir: PathBuf,
    /// The database.
    #[serde(default)]
    pub store: StoreSettings,
    /// Name of the logs: a host name or path without scheme, which never changes.
    pub log_name: String,
    /// Where the root key comes from.
    pub root_key: RootKeySource,
    /// The witness.
    pub witness: WitnessConfig,
    /// The tenants served.
    pub tenants: Vec<TenantConfig>,
    /// How long browser sessions live.
    #[serde(default)]
    pub sessions: SessionsConfig,
    /// What is throttled.
    #[serde(default)]
    pub throttle: ThrottleSettings,
    /// How it behaves among other nodes, and how it ends.
    #[serde(default)]
    pub node: NodeSettings,
    /// What wild expressions may use, or that there are none.
    #[serde(default)]
    pub expressions: ExpressionsConfig,
    /// What is off otherwise.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub allow: AllowConfig,
    /// How work is shared out between tenants and Workers.
    #[serde(default)]
    pub shares: SharesConfig,
}

/// The database: exactly one.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) enum StoreSettings {
    /// A file in the data folder.
    Sqlite(SqliteSettings),
    /// A database of a PostgreSQL server.
    Postgres(PostgresSettings),
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self::Sqlite(SqliteSettings {})
    }
}

/// There is nothing to set.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct SqliteSettings {}

/// A database of a PostgreSQL server. Its URLs hold passwords, and never stand here themselves.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct PostgresSettings {
    /// Where the URL of the role that works comes from.
    #[cfg_attr(test, schemars(with = "reference::SecretPlace"))]
    pub url: SecretSource,
    /// Where that of the role that owns the tables comes from; left out, the schema has to be up to date.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Option<reference::SecretPlace>"))]
    pub owner_url: Option<SecretSource>,
    /// How many connections this node holds at most.
    #[serde(default = "connections")]
    pub connections: u32,
}

impl PostgresSettings {
    fn read(&self) -> Result<PostgresConfig> {
        let url = self.url.read().context("store.postgres.url")?;
        let owner_url = self.owner_url.as_ref().map(SecretSource::read).transpose();
        let config = PostgresConfig::new(url, owner_url.context("store.postgres.ownerUrl")?);
        Ok(PostgresConfig { connections: self.connections, ..config })
    }
}

/// Certificate and key, PEM files.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct TlsConfig {
    /// The server's certificate, then those between it and the root.
    pub certificate: PathBuf,
    /// Its key; only this user may read it.
    pub key: PathBuf,
}

/// What is throttled. Each `…PerMinute` in the long run, each `…Burst` at once.
#[derive(Debug, Clone, Copy, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema, serde::Serialize))]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(crate) struct ThrottleSettings {
    /// Requests to the sign-in endpoints, for each address.
    pub sign_in_per_minute: u32,
    /// Of these at once.
    pub sign_in_burst: u32,
    /// Starts of runs by one person; 0 for no limit.
    pub starts_by_person_per_minute: u32,
    /// Of these at once.
    pub starts_by_person_burst: u32,
    /// Starts of runs in one tenant; 0 for no limit.
    pub starts_in_tenant_per_minute: u32,
    /// Of these at once.
    pub starts_in_tenant_burst: u32,
    /// So many wrong tokens from one address within five minutes lock it out.
    pub wrong_tokens: u32,
}

impl Default for ThrottleSettings {
    fn default() -> Self {
        let limits = ThrottleConfig::default();
        let rate = |rate: Option<Rate>| rate.map_or((0, 0), |rate| (rate.per_minute, rate.burst));
        let (person, tenant) = (rate(limits.starts_by_person), rate(limits.starts_in_tenant));
        Self {
            sign_in_per_minute: limits.sign_in.per_minute,
            sign_in_burst: limits.sign_in.burst,
            starts_by_person_per_minute: person.0,
            starts_by_person_burst: person.1,
            starts_in_tenant_per_minute: tenant.0,
            starts_in_tenant_burst: tenant.1,
            wrong_tokens: limits.wrong_tokens,
        }
    }
}

/// Where the root key comes from: exactly one.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) enum RootKeySource {
    /// A file of 32 bytes that only this user can read; made at the first start.
    File(PathBuf),
    /// An environment variable with the base64 of 32 bytes.
    Env(String),
    /// A systemd credential.
    Systemd(String),
}

/// A witness.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct WitnessConfig {
    /// Its URL.
    pub url: String,
    /// Its verifier key, as it prints it when it starts.
    pub vkey: String,
}

/// A tenant and whom it trusts.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct TenantConfig {
    /// Its name.
    #[cfg_attr(test, schemars(with = "String"))]
    pub name: Tenant,
    /// Its OpenID provider.
    pub provider: TenantProvider,
    /// Subjects (`user:NAME`) that administer a tenant nobody has a role in yet.
    #[serde(default)]
    pub first_administrators: Vec<String>,
}

/// An OpenID provider.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct TenantProvider {
    /// Its issuer, byte by byte.
    pub issuer: String,
    /// The audience its tokens for this API name.
    pub audience: String,
    /// What people know it as; its host when left out.
    #[serde(default)]
    pub name: Option<String>,
    /// A file with its JSON Web Key Set; when left out they are found by its metadata.
    #[serde(default)]
    pub jwks_file: Option<PathBuf>,
    /// Its client for browsers; without one nobody signs in by a browser.
    #[serde(default)]
    pub client_id: Option<String>,
    /// That client's secret, if it is not a public one. Never the secret itself.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Option<reference::SecretPlace>"))]
    pub client_secret: Option<SecretSource>,
    /// Its public client for `mandate login`.
    #[serde(default)]
    pub command_line_client_id: Option<String>,
    /// What is asked for at sign-in.
    #[serde(default = "scopes")]
    pub scopes: Vec<String>,
    /// The claim with the groups.
    #[serde(default = "groups")]
    pub groups_claim: String,
    /// Token types accepted.
    #[serde(default = "types")]
    pub types: Vec<String>,
}

fn scopes() -> Vec<String> {
    vec!["openid".to_owned(), "profile".to_owned()]
}

const fn connections() -> u32 {
    16
}

fn groups() -> String {
    "groups".to_owned()
}

fn types() -> Vec<String> {
    vec!["at+jwt".to_owned()]
}

impl ServeConfig {
    /// Reads a configuration file.
    pub(crate) fn read_file(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("{} can't be read", path.display()))?;
        Self::parse(path, &text)
    }

    /// Reads the text of a configuration file at `path`.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self> {
        let parsed = mandate_flow::yaml::parse(&path.display().to_string(), text)?;
        let config: Self =
            serde_json::from_value(parsed.into_value()).with_context(|| format!("{}", path.display()))?;
        config.check().with_context(|| format!("{}", path.display()))?;
        Ok(config)
    }

    /// Whether other nodes may use the same database.
    pub(crate) const fn is_shared(&self) -> bool {
        matches!(self.store, StoreSettings::Postgres(_))
    }

    fn check(&self) -> Result<()> {
        self.node.check()?;
        if !self.listen.ip().is_loopback() && self.tls.is_none() && !self.trusted_proxy {
            bail!("listen on a loopback address, or give `tls`, or set `trustedProxy: true` for a proxy that ends TLS");
        }
        let url = reqwest::Url::parse(&self.public_url).context("publicUrl is not a URL")?;
        let plain_at_home = url.scheme() == "http" && super::oidc::is_here(&url) && self.tls.is_none();
        if url.scheme() != "https" && !plain_at_home {
            bail!("publicUrl begins with https://: tokens and sessions travel by it");
        }
        if url.path() != "/" || url.query().is_some() {
            bail!("publicUrl is a host without a path");
        }
        if self.sessions.idle_seconds == 0 || self.sessions.absolute_seconds < self.sessions.idle_seconds {
            bail!("sessions: idleSeconds is at least 1, absoluteSeconds at least idleSeconds");
        }
        Ok(())
    }

    /// How people come in.
    pub(crate) fn door(&self) -> DoorConfig {
        let ThrottleSettings { sign_in_per_minute, sign_in_burst, wrong_tokens, .. } = self.throttle;
        let rate = |per_minute, burst| (per_minute > 0).then_some(Rate { per_minute, burst });
        DoorConfig {
            public_url: self.public_url.clone(),
            lifetimes: SessionLifetimes {
                absolute: Duration::from_secs(self.sessions.absolute_seconds),
                idle: Duration::from_secs(self.sessions.idle_seconds),
            },
            throttle: ThrottleConfig {
                sign_in: Rate { per_minute: sign_in_per_minute, burst: sign_in_burst },
                starts_by_person: rate(self.throttle.starts_by_person_per_minute, self.throttle.starts_by_person_burst),
                starts_in_tenant: rate(self.throttle.starts_in_tenant_per_minute, self.throttle.starts_in_tenant_burst),
                wrong_tokens,
                trusted_proxy: self.trusted_proxy,
            },
        }
    }

    /// Opens the node's database.
    pub(crate) async fn database(&self) -> Result<Database> {
        match &self.store {
            StoreSettings::Sqlite(SqliteSettings {}) => Database::in_folder(&self.data_dir),
            StoreSettings::Postgres(settings) => Database::on_server(settings.read()?).await,
        }
    }

    /// Opens the node's database for reading only. Its schema has to be up to date.
    pub(crate) async fn database_to_read(&self) -> Result<Database> {
        match &self.store {
            StoreSettings::Sqlite(SqliteSettings {}) => Database::in_folder_to_read(&self.data_dir),
            StoreSettings::Postgres(settings) => {
                let config = PostgresConfig { owner_url: None, read_only: true, ..settings.read()? };
                Database::on_server(config).await
            }
        }
    }

    /// The root key, for a database that is new or is not.
    pub(crate) fn root_key(&self, is_new: bool) -> Result<RootKey> {
        Ok(match &self.root_key {
            // A database without its root key is lost, not new: no key is made beside one.
            RootKeySource::File(path) if !is_new => RootKey::from_file(path, None)?,
            RootKeySource::File(path) => RootKey::from_file(path, Some(&SystemEntropy))?,
            RootKeySource::Env(name) => RootKey::from_env(name)?,
            RootKeySource::Systemd(name) => RootKey::from_systemd(name)?,
        })
    }
}

impl TenantConfig {
    /// Whom the tenant trusts.
    pub(crate) fn trust(&self) -> Result<Trust> {
        let from = &self.provider;
        let keys = match &from.jwks_file {
            None => Keys::Discovered,
            Some(path) => {
                let text =
                    std::fs::read_to_string(path).with_context(|| format!("{} can't be read", path.display()))?;
                Keys::Given(text)
            }
        };
        if !from.scopes.iter().any(|scope| scope == "openid") {
            bail!("tenant {}: provider.scopes holds openid", self.name);
        }
        let browser = match (&from.client_id, &from.client_secret) {
            (Some(id), secret) => {
                let secret = secret.as_ref().map(SecretSource::read).transpose().context("provider.clientSecret")?;
                Some(BrowserClient { id: id.clone(), secret })
            }
            (None, Some(_)) => bail!("tenant {}: provider.clientSecret is that of provider.clientId", self.name),
            (None, None) => None,
        };
        let host = reqwest::Url::parse(&from.issuer).ok().and_then(|url| url.host_str().map(str::to_owned));
        Ok(Trust {
            tenant: self.name.clone(),
            name: from.name.clone().or(host).unwrap_or_else(|| from.issuer.clone()),
            issuer: from.issuer.clone(),
            audience: Audience::new(from.audience.clone())?,
            keys,
            groups_claim: from.groups_claim.clone(),
            types: from.types.clone(),
            leeway: Duration::from_secs(30),
            browser,
            command_line: from.command_line_client_id.clone(),
            scopes: from.scopes.clone(),
        })
    }
}
