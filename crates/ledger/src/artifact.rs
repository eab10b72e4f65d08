//! A signed artefact: what a run produced, with where it came from and how it may be used.
//!
//! It is the canonical JSON of a DSSE envelope by the tenant's evidence key. The run's passport holds
//! the digest of the file in an `artifact-signed` entry, which ties the two together. The signature alone
//! says who produced it; when is proven only by that entry, because a key that was rotated out, and later
//! stolen, could still sign with an earlier date.

use crate::anchor::TrustAnchor;
use crate::dsse::Dsse;
use crate::entry::check_value;
use crate::error::{BuildError, Place, VerifyError};
use crate::keys::{KeyRing, Role};
use mandate_kernel::{
    Digest, Labels, Limits, ResourceName, RunId, Signer, Tenant, Timestamp, canonical_json, parse_canonical,
};
use serde::{Deserialize, Serialize};

/// The DSSE payload type of an artefact.
pub const PAYLOAD_TYPE: &str = "application/vnd.mandate.artifact+json";
/// The `format` of an artefact.
pub const FORMAT: &str = "https://mandate.dev/artifact/v1";

/// What is signed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArtifactBody {
    /// Always [`FORMAT`].
    pub format: String,
    /// Whose run.
    pub tenant: Tenant,
    /// The run that produced it.
    pub run: RunId,
    /// The Worker.
    pub worker: ResourceName,
    /// Its version: digest of its canonical JSON.
    pub worker_version: Digest,
    /// Name of the artefact.
    pub name: String,
    /// Type of `content`.
    pub media_type: String,
    /// What was produced.
    pub content: serde_json::Value,
    /// Its labels.
    pub labels: Labels,
    /// When it was produced.
    pub produced_at: Timestamp,
    /// Key statements since the anchor, all roles, oldest first.
    pub keys: Vec<Dsse>,
}

/// What a verified artefact says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ArtifactReport {
    /// Digest of the file, as the passport's `artifact-signed` entry has it.
    pub digest: Digest,
    /// Whose run.
    pub tenant: Tenant,
    /// The run that produced it.
    pub run: RunId,
    /// The Worker.
    pub worker: ResourceName,
    /// Its version.
    pub worker_version: Digest,
    /// Name of the artefact.
    pub name: String,
    /// Type of `content`.
    pub media_type: String,
    /// What was produced.
    pub content: serde_json::Value,
    /// Its labels.
    pub labels: Labels,
    /// When it was produced.
    pub produced_at: Timestamp,
}

/// Signs an artefact with the tenant's evidence key; gives the file.
///
/// # Errors
/// [`BuildError`] when the content is too deep or holds integers that canonical JSON would round.
pub fn sign(body: &ArtifactBody, signer: &dyn Signer) -> Result<Vec<u8>, BuildError> {
    check_value(&body.content, Limits::DEFAULT.depth)?;
    let payload = canonical_json(body)?;
    parse_canonical::<ArtifactBody>(&payload)?;
    Ok(Dsse::sign(PAYLOAD_TYPE, payload, signer).to_bytes()?)
}

/// Verifies an artefact against a pinned anchor.
///
/// # Errors
/// [`VerifyError`] at the first thing that is wrong.
pub fn verify(bytes: &[u8], anchor: &TrustAnchor) -> Result<ArtifactReport, VerifyError> {
    let at = || Place::Artifact;
    let envelope = Dsse::parse(bytes).map_err(|source| VerifyError::Envelope { at: at(), source })?;
    let body: ArtifactBody =
        parse_canonical(envelope.unverified_payload()).map_err(|source| VerifyError::Content { at: at(), source })?;
    let ring = KeyRing::from_anchor(anchor, &body.tenant)?.extend(&body.keys)?;
    envelope
        .verify(PAYLOAD_TYPE, ring.keys(Role::Evidence))
        .map_err(|source| VerifyError::Envelope { at: at(), source })?;
    if body.format != FORMAT {
        return Err(VerifyError::Field { at: at(), field: "format" });
    }
    Ok(ArtifactReport {
        digest: Digest::of(bytes),
        tenant: body.tenant,
        run: body.run,
        worker: body.worker,
        worker_version: body.worker_version,
        name: body.name,
        media_type: body.media_type,
        content: body.content,
        labels: body.labels,
        produced_at: body.produced_at,
    })
}
