//! The issuer of one tenant.

use crate::IssueError;
use mandate_kernel::{Clock, Entropy, Signer};
use std::sync::Arc;

/// Mints one tenant's tokens, under one signing key. A rotated key makes another issuer of the same URL.
#[derive(Clone)]
pub struct Issuer {
    pub(crate) url: String,
    pub(crate) trust_domain: String,
    pub(crate) signer: Arc<dyn Signer>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

impl Issuer {
    /// The issuer of the tenant whose tokens say `iss = url`, such as `https://mandate.example/t/demo`.
    ///
    /// # Errors
    /// [`IssueError::Issuer`] for anything but an `http` or `https` URL.
    pub fn new(
        url: impl Into<String>,
        signer: Arc<dyn Signer>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, IssueError> {
        let url = url.into();
        let after = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let plain =
            |text: &&str| !text.is_empty() && !text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic());
        match after.filter(plain) {
            Some(trust_domain) => Ok(Self { trust_domain: trust_domain.to_owned(), url, signer, clock, entropy }),
            None => Err(IssueError::Issuer(url.chars().filter(|c| !c.is_control()).take(80).collect())),
        }
    }

    /// The issuer's URL: `iss`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whom envelopes are for: the issuer's URL without its scheme.
    #[must_use]
    pub fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    /// The key that signs.
    #[must_use]
    pub fn signer(&self) -> &dyn Signer {
        self.signer.as_ref()
    }
}
