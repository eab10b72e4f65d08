//! The passport of a run: one file that proves, offline and against a pinned anchor, what the run
//! did, who had it done, and that nothing of it was left out.
//!
//! It is the canonical JSON of a DSSE envelope by the tenant's evidence key. Inside: the key history,
//! a cosigned checkpoint, and for each ledger entry of the run an in-toto statement whose predicate
//! *is* the entry, in a DSSE envelope, with the entry's place in the tree and the proof of it.

use crate::anchor::TrustAnchor;
use crate::chain::RunChain;
use crate::checkpoint::{Checkpoint, CosignedCheckpoint};
use crate::dsse::Dsse;
use crate::entry::{Entry, Event};
use crate::error::{BuildError, Place, VerifyError};
use crate::keys::{KeyRing, Role};
use crate::kind::EventKind;
use crate::proof::verify_inclusion;
use crate::statement::{self, Statement};
use mandate_kernel::{
    Digest, DigestError, PublicKey, RunId, Signer, Tenant, Timestamp, base64_decode, base64_encode, canonical_json,
    parse_canonical,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The DSSE payload type of a passport.
pub const PAYLOAD_TYPE: &str = "application/vnd.mandate.passport+json";
/// The `format` of a passport.
pub const FORMAT: &str = "https://mandate.dev/passport/v1";
/// The in-toto predicate type of a ledger entry.
pub const PREDICATE_TYPE: &str = "https://mandate.dev/ledger-entry/v1";

/// What a passport is made of.
pub struct BuildInput<'a> {
    /// Whose run.
    pub tenant: &'a Tenant,
    /// The run.
    pub run: &'a RunId,
    /// Name of the tenant's log.
    pub origin: &'a str,
    /// Key statements since the anchor, all roles, oldest first.
    pub keys: &'a [Dsse],
    /// The cosigned checkpoint's text.
    pub checkpoint: &'a str,
    /// The run's entries in order, from its first to its terminal one.
    pub entries: &'a [PassportEntry],
    /// The tenant's evidence key.
    pub signer: &'a dyn Signer,
}

/// An entry with its place in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassportEntry {
    /// Index of its leaf.
    pub index: u64,
    /// The entry.
    pub entry: Entry,
    /// Proof of its inclusion in the tree of the checkpoint.
    pub proof: Vec<Digest>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    format: String,
    tenant: Tenant,
    run: RunId,
    origin: String,
    keys: Vec<Dsse>,
    checkpoint: String,
    statements: Vec<Proven>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Proven {
    index: u64,
    proof: Vec<ProofHash>,
    dsse: Dsse,
}

/// A proof's hash as C2SP writes it: base64 of 32 bytes.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct ProofHash(Digest);

impl TryFrom<String> for ProofHash {
    type Error = DigestError;
    fn try_from(text: String) -> Result<Self, DigestError> {
        let bytes = base64_decode(&text)?.try_into().map_err(|_| DigestError::Base64)?;
        Ok(Self(Digest::from_bytes(bytes)))
    }
}
impl From<ProofHash> for String {
    fn from(hash: ProofHash) -> Self {
        base64_encode(hash.0.as_bytes())
    }
}

/// What a verified passport says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PassportReport {
    /// Whose run.
    pub tenant: Tenant,
    /// The run.
    pub run: RunId,
    /// The Worker: `details.worker` of the first entry.
    pub worker: Option<String>,
    /// Why it was run: `details.purpose` of the first entry.
    pub purpose: Option<String>,
    /// How it ended: `completed`, `refused`, `faulted` or `cancelled`.
    pub state: String,
    /// Who started it.
    pub started_by: String,
    /// When.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// Number of entries.
    pub entries: u64,
    /// Number of decisions by the gate.
    pub decisions: u64,
    /// Number of steps that succeeded.
    pub steps: u64,
    /// Digests of the artefact files it signed: `details.digest` of those entries.
    pub artifacts: Vec<String>,
    /// Name of the log.
    pub origin: String,
    /// Number of entries the checkpoint stands for.
    pub checkpoint_size: u64,
    /// Witnesses that cosigned it.
    pub witnesses: Vec<String>,
    /// When the latest of them did, in seconds since the epoch.
    pub cosigned_at: u64,
}

/// An entry of a verified passport.
#[derive(Debug, Clone, PartialEq)]
pub struct ProvenEvent {
    /// Index of its leaf.
    pub index: u64,
    /// Its leaf hash.
    pub leaf: Digest,
    /// What happened.
    pub event: Event,
}

/// A passport whose every signature, proof and link held. Only [`open`] makes one, so that whatever is
/// derived from it ([`crate::projection`]) was verified first.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedPassport {
    report: PassportReport,
    digest: Digest,
    events: Vec<ProvenEvent>,
}

impl VerifiedPassport {
    /// What it says, in short.
    #[must_use]
    pub const fn report(&self) -> &PassportReport {
        &self.report
    }

    /// Digest of the file.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// All entries of the run, from its first to its last.
    #[must_use]
    pub fn events(&self) -> &[ProvenEvent] {
        &self.events
    }
}

/// Makes a passport.
///
/// # Errors
/// [`BuildError::NotAWholeRun`] when the entries are not a whole run, from beginning to end.
pub fn build(input: &BuildInput<'_>) -> Result<Vec<u8>, BuildError> {
    let broken = |reason: String| BuildError::NotAWholeRun { run: input.run.clone(), reason };
    let mut chain = RunChain::new();
    let mut statements = Vec::with_capacity(input.entries.len());
    for PassportEntry { index, entry, proof } in input.entries {
        let (_, event) = Entry::decode(entry.bytes())?;
        chain.follow(&event, entry.leaf_hash()).map_err(|e| broken(e.to_string()))?;
        let predicate: Value = parse_canonical(entry.bytes())?;
        let name = subject_name(input.run, &event);
        let said = Statement::about(name, &entry.leaf_hash(), PREDICATE_TYPE, predicate);
        let dsse = Dsse::sign(statement::PAYLOAD_TYPE, canonical_json(&said)?, input.signer);
        statements.push(Proven { index: *index, proof: proof.iter().copied().map(ProofHash).collect(), dsse });
    }
    if chain.end().is_none() {
        return Err(broken("it has not ended".to_owned()));
    }
    let body = Body {
        format: FORMAT.to_owned(),
        tenant: input.tenant.clone(),
        run: input.run.clone(),
        origin: input.origin.to_owned(),
        keys: input.keys.to_vec(),
        checkpoint: input.checkpoint.to_owned(),
        statements,
    };
    Ok(Dsse::sign(PAYLOAD_TYPE, canonical_json(&body)?, input.signer).to_bytes()?)
}

/// Name of an entry as a subject: `RUN/SEQ`.
fn subject_name(run: &RunId, event: &Event) -> String {
    format!("{run}/{}", event.run.as_ref().map_or(0, |link| link.seq))
}

/// Verifies a passport against a pinned anchor: nothing in it is believed before a chain of signatures
/// leads from the anchor to it.
///
/// # Errors
/// [`VerifyError`] at the first thing that is wrong.
pub fn verify(bytes: &[u8], anchor: &TrustAnchor) -> Result<PassportReport, VerifyError> {
    Ok(open(bytes, anchor)?.report)
}

/// Verifies a passport as [`verify`] does, and gives its entries too.
///
/// # Errors
/// [`VerifyError`] at the first thing that is wrong.
pub fn open(bytes: &[u8], anchor: &TrustAnchor) -> Result<VerifiedPassport, VerifyError> {
    let at = || Place::Passport;
    let envelope = Dsse::parse(bytes).map_err(|source| VerifyError::Envelope { at: at(), source })?;
    let body: Body =
        parse_canonical(envelope.unverified_payload()).map_err(|source| VerifyError::Content { at: at(), source })?;
    let ring = KeyRing::from_anchor(anchor, &body.tenant)?.extend(&body.keys)?;
    let evidence = ring.keys(Role::Evidence);
    envelope.verify(PAYLOAD_TYPE, evidence).map_err(|source| VerifyError::Envelope { at: at(), source })?;
    if body.format != FORMAT {
        return Err(VerifyError::Field { at: at(), field: "format" });
    }
    if body.origin != ring.origin() {
        return Err(VerifyError::Field { at: at(), field: "origin" });
    }
    let cosigned =
        CosignedCheckpoint::verify(&body.checkpoint, &ring.log_keys()?, anchor.witnesses(), anchor.quorum())?;
    if cosigned.checkpoint().origin != ring.origin() {
        return Err(VerifyError::Field { at: at(), field: "checkpoint origin" });
    }
    let events = verify_statements(&body, evidence, cosigned.checkpoint())?;
    let report = report(body, &events, &cosigned)?;
    Ok(VerifiedPassport { report, digest: Digest::of(bytes), events })
}

fn verify_statements(
    body: &Body,
    evidence: &[PublicKey],
    checkpoint: &Checkpoint,
) -> Result<Vec<ProvenEvent>, VerifyError> {
    let mut chain = RunChain::new();
    let mut events: Vec<ProvenEvent> = Vec::with_capacity(body.statements.len());
    let mut next_index = 0;
    for (n, proven) in body.statements.iter().enumerate() {
        let at = || Place::Statement(n);
        let (entry, event) = entry_of(&proven.dsse, evidence, &body.run, n)?;
        if event.tenant != body.tenant {
            return Err(VerifyError::ForeignTenant { at: at(), found: event.tenant });
        }
        if event.run.as_ref().is_none_or(|link| link.run != body.run) {
            return Err(VerifyError::ForeignRun { at: at() });
        }
        let leaf = entry.leaf_hash();
        chain.follow(&event, leaf).map_err(|source| VerifyError::Chain { at: at(), source })?;
        if proven.index < next_index {
            return Err(VerifyError::Field { at: at(), field: "index" });
        }
        next_index = proven.index.saturating_add(1);
        let proof: Vec<Digest> = proven.proof.iter().map(|hash| hash.0).collect();
        verify_inclusion(&leaf, proven.index, checkpoint.size, &proof, &checkpoint.root)
            .map_err(|source| VerifyError::Inclusion { at: at(), source })?;
        events.push(ProvenEvent { index: proven.index, leaf, event });
    }
    if chain.end().is_some() { Ok(events) } else { Err(VerifyError::Unfinished) }
}

/// The entry a signed statement is about, made again from the predicate.
fn entry_of(envelope: &Dsse, evidence: &[PublicKey], run: &RunId, n: usize) -> Result<(Entry, Event), VerifyError> {
    let at = || Place::Statement(n);
    let content = |source| VerifyError::Content { at: at(), source };
    let payload = envelope
        .verify(statement::PAYLOAD_TYPE, evidence)
        .map_err(|source| VerifyError::Envelope { at: at(), source })?;
    let said: Statement = parse_canonical(payload).map_err(content)?;
    let bytes = canonical_json(&said.predicate).map_err(content)?;
    let (entry, event) = Entry::decode(&bytes).map_err(|source| VerifyError::Entry { at: at(), source })?;
    // Type, subject and digest all follow from the entry; so they are compared as a whole.
    let expected =
        Statement::about(subject_name(run, &event), &entry.leaf_hash(), PREDICATE_TYPE, said.predicate.clone());
    if said == expected { Ok((entry, event)) } else { Err(VerifyError::Field { at: at(), field: "subject" }) }
}

fn report(body: Body, proven: &[ProvenEvent], cosigned: &CosignedCheckpoint) -> Result<PassportReport, VerifyError> {
    let events: Vec<&Event> = proven.iter().map(|proven| &proven.event).collect();
    let (Some(first), Some(last)) = (events.first(), events.last()) else { return Err(VerifyError::Unfinished) };
    let text = |event: &Event, name: &str| event.details.get(name).and_then(Value::as_str).map(str::to_owned);
    let count = |kind: EventKind| events.iter().filter(|event| event.kind == kind).count() as u64;
    let signed = events.iter().filter(|event| event.kind == EventKind::ArtifactSigned);
    Ok(PassportReport {
        tenant: body.tenant,
        run: body.run,
        worker: text(first, "worker"),
        purpose: text(first, "purpose"),
        state: last.kind.end_state().unwrap_or_default().to_owned(),
        started_by: first.actor.clone(),
        started_at: first.time,
        ended_at: last.time,
        entries: events.len() as u64,
        decisions: count(EventKind::StepDecided),
        steps: count(EventKind::StepSucceeded),
        artifacts: signed.filter_map(|event| text(event, "digest")).collect(),
        origin: body.origin,
        checkpoint_size: cosigned.checkpoint().size,
        witnesses: cosigned.cosignatures().iter().map(|c| c.witness.clone()).collect(),
        cosigned_at: cosigned.cosignatures().iter().map(|c| c.time).max().unwrap_or(0),
    })
}
