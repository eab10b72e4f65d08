//! The ledger without its I/O: entries, Merkle tree, checkpoints, proofs, passports, artefacts and
//! the verifier.
//!
//! What is written flows one way: [`Event`] → [`Entry`] (canonical bytes) → leaf → [`Frontier`] →
//! [`Checkpoint`] → log signature and witness cosignatures → export, passport. What is verified flows
//! back the same way and ends at a [`TrustAnchor`] that the verifier holds beforehand.
//!
//! **Invariant:** nothing here reads a clock, a file or a network, and no verification takes a key
//! from the thing it verifies, except through a chain of signatures that begins in the anchor.

pub mod anchor;
pub mod artifact;
pub mod chain;
pub mod checkpoint;
pub mod dsse;
pub mod entry;
pub mod error;
pub mod export;
pub mod forensics;
pub mod keys;
pub mod kind;
pub mod note;
mod ocsf;
pub mod passport;
pub mod projection;
pub mod proof;
pub mod statement;
#[cfg(test)]
mod tests;
pub mod tiles;
pub mod tree;
pub mod verify;
pub mod witness;

pub use anchor::{AnchorError, TenantAnchor, TrustAnchor};
pub use artifact::{ArtifactBody, ArtifactReport};
pub use chain::{ChainError, RunChain};
pub use checkpoint::{Checkpoint, Cosignature, CosignedCheckpoint, assemble};
pub use dsse::{Dsse, DsseError, DsseSignature};
pub use entry::{Details, Entry, EntryError, Event, RunLink};
pub use error::{BuildError, Place, VerifyError};
pub use export::{ExportError, ExportFile, export_files, verify_export};
pub use forensics::{Cause, Finding, findings};
pub use keys::{KeyRing, KeyRingError, KeyStatement, Role};
pub use kind::{EventKind, RunScope};
pub use note::{Algorithm, NoteError, NoteSignature, SignedNote, VerifierKey};
pub use ocsf::Ocsf;
pub use passport::{BuildInput, PassportEntry, PassportReport, ProvenEvent, VerifiedPassport};
pub use proof::{
    ProofError, TlogProof, TreeError, consistency_proof, inclusion_proof, root_at, verify_consistency, verify_inclusion,
};
pub use statement::{Statement, Subject};
pub use tiles::{TileError, TilePath};
pub use tree::{Frontier, FrontierError, MemoryTree, Node, Nodes, empty_root, leaf_hash, node_hash};
pub use verify::{LogReport, verify_log};
pub use witness::{AddCheckpoint, Cosigner, WitnessRefusal, WitnessState};
