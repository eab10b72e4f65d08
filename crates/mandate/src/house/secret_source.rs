//! Where the configuration file says that a secret is, which is never in that file.

use anyhow::{Context, Result, bail};
use mandate_kernel::Secret;
use serde::Deserialize;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

/// Where a secret comes from: exactly one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub(crate) enum SecretSource {
    /// A file that only this user can read; one line break at its end is not part of it.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// A systemd credential.
    Systemd(String),
}

impl TryFrom<Value> for SecretSource {
    type Error = &'static str;

    /// Never repeats what stands there: it may be the secret itself, put where its place belongs.
    fn try_from(value: Value) -> Result<Self, Self::Error> {
        const FORM: &str = "a secret never stands here itself: give exactly one of `file`, `env` and `systemd`";
        let Value::Object(fields) = value else { return Err(FORM) };
        let mut fields = fields.into_iter();
        let (Some((place, Value::String(name))), None) = (fields.next(), fields.next()) else { return Err(FORM) };
        match place.as_str() {
            "file" => Ok(Self::File(name.into())),
            "env" => Ok(Self::Env(name)),
            "systemd" => Ok(Self::Systemd(name)),
            _ => Err(FORM),
        }
    }
}

impl SecretSource {
    /// Reads it.
    pub(crate) fn read(&self) -> Result<Secret<String>> {
        let path = match self {
            Self::Env(name) => {
                let value = std::env::var(name).with_context(|| format!("the variable {name} holds no text"))?;
                return Ok(Secret::new(value));
            }
            Self::File(path) => path.clone(),
            Self::Systemd(name) if name.contains('/') => bail!("`{name}` is not the name of a credential"),
            Self::Systemd(name) => {
                let folder =
                    std::env::var_os("CREDENTIALS_DIRECTORY").context("systemd gave this process no credentials")?;
                PathBuf::from(folder).join(name)
            }
        };
        let mode = std::fs::metadata(&path).with_context(|| format!("{} can't be read", path.display()))?;
        if matches!(self, Self::File(_)) && mode.permissions().mode() & 0o077 != 0 {
            bail!("{} can be read by others: chmod 600 it, and replace the secret", path.display());
        }
        let mut text = std::fs::read_to_string(&path).with_context(|| format!("{} can't be read", path.display()))?;
        text.truncate(text.trim_end_matches(['\r', '\n']).len());
        if text.is_empty() {
            bail!("{} is empty", path.display());
        }
        Ok(Secret::new(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_secret_in_its_own_place_is_refused_and_not_repeated() {
        let read = |value: Value| serde_json::from_value::<SecretSource>(value);
        assert_eq!(read(json!({"env": "URL"})).unwrap(), SecretSource::Env("URL".to_owned()));
        assert_eq!(read(json!({"file": "/etc/url"})).unwrap(), SecretSource::File("/etc/url".into()));
        let canary = "postgres://app:CANARY@db/x";
        for wrong in [
            json!(canary),
            json!({canary: "x"}),
            json!({"file": {"x": canary}}),
            json!({"file": "x", "env": canary}),
            json!([canary]),
            json!({}),
            Value::Null,
        ] {
            let told = read(wrong).unwrap_err().to_string();
            assert!(told.contains("exactly one of") && !told.contains("CANARY"), "{told}");
        }
    }
}
