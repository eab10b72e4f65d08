//! The configuration file of `mandate serve`.

use crate::cli::args::ServeArgs;
use anyhow::{Context, Result, bail};
use mandate_kernel::{SystemEntropy, Tenant};
use mandate_vault::RootKey;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;

/// All of it. Unknown keys are refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ServeConfig {
    /// Address to listen on; a loopback address until TLS is terminated here.
    pub listen: SocketAddr,
    /// The URL by which callers reach it; tokens are issued below it.
    pub public_url: String,
    /// Where the database and the trust anchor are.
    pub data_dir: PathBuf,
    /// Name of the logs: a host name or path without scheme, which never changes.
    pub log_name: String,
    /// Where the root key comes from.
    pub root_key: RootKeySource,
    /// The witness.
    pub witness: WitnessConfig,
    /// The tenants served.
    pub tenants: Vec<TenantConfig>,
}

/// Where the root key comes from: exactly one.
#[derive(Debug, Deserialize)]
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
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct WitnessConfig {
    /// Its URL.
    pub url: String,
    /// Its verifier key, as it prints it when it starts.
    pub vkey: String,
}

/// A tenant and whom it trusts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct TenantConfig {
    /// Its name.
    pub name: Tenant,
    /// Its OpenID provider.
    pub provider: TenantProvider,
    /// Subjects (`user:NAME`) that administer a tenant nobody has a role in yet.
    #[serde(default)]
    pub first_administrators: Vec<String>,
}

/// An OpenID provider.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct TenantProvider {
    /// Its issuer, byte by byte.
    pub issuer: String,
    /// The audience its tokens for this API name.
    pub audience: String,
    /// A file with its JSON Web Key Set.
    pub jwks_file: PathBuf,
    /// The claim with the groups.
    #[serde(default = "groups")]
    pub groups_claim: String,
    /// Token types accepted.
    #[serde(default = "types")]
    pub types: Vec<String>,
}

fn groups() -> String {
    "groups".to_owned()
}

fn types() -> Vec<String> {
    vec!["at+jwt".to_owned()]
}

impl ServeConfig {
    pub(crate) fn read(args: &ServeArgs) -> Result<Self> {
        let path = &args.config;
        let text = std::fs::read_to_string(path).with_context(|| format!("{} can't be read", path.display()))?;
        let parsed = mandate_flow::yaml::parse(&path.display().to_string(), &text)?;
        let config: Self =
            serde_json::from_value(parsed.into_value()).with_context(|| format!("{}", path.display()))?;
        if !config.listen.ip().is_loopback() {
            bail!(
                "{}: listen on a loopback address and put a proxy with TLS before it; this release does not end TLS itself",
                path.display()
            );
        }
        Ok(config)
    }

    pub(crate) fn root_key(&self) -> Result<RootKey> {
        Ok(match &self.root_key {
            // A database without its root key is lost, not new: no key is made beside one.
            RootKeySource::File(path) if self.data_dir.join("mandate.db").exists() => RootKey::from_file(path, None)?,
            RootKeySource::File(path) => RootKey::from_file(path, Some(&SystemEntropy))?,
            RootKeySource::Env(name) => RootKey::from_env(name)?,
            RootKeySource::Systemd(name) => RootKey::from_systemd(name)?,
        })
    }
}
