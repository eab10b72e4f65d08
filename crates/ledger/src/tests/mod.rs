//! Tests as an attacker and as a user would make them, on one small world of keys and runs.

mod approvals;
mod entries;
mod exports;
mod forensics;
mod keys;
mod notes;
mod passports;
mod projections;
mod tamper;
mod trees;
mod witnesses;

use crate::checkpoint::{Checkpoint, assemble};
use crate::note::{self, Algorithm, VerifierKey};
use crate::passport::{self, BuildInput, PassportEntry};
use crate::{
    Dsse, Entry, Event, EventKind, KeyStatement, MemoryTree, Role, RunLink, TenantAnchor, TrustAnchor, inclusion_proof,
};
use mandate_kernel::{Ed25519Signer, RunId, Secret, Signer, Tenant, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) const ORIGIN: &str = "mandate.example/demo";
pub(super) const WITNESS: &str = "witness.example/one";

pub(super) fn signer(seed: u8) -> Ed25519Signer {
    Ed25519Signer::from_seed(&Secret::new([seed; 32])).unwrap()
}

pub(super) fn run_id(n: u8) -> RunId {
    format!("run_01J9ZK3Y4T6W8Q2N5R7VX0AB{n:02}").parse().unwrap()
}

pub(super) fn demo() -> Tenant {
    Tenant::new("demo").unwrap()
}

/// A tenant with its keys, its witness and what is in its log so far.
pub(super) struct World {
    pub(super) log: Ed25519Signer,
    pub(super) evidence: Ed25519Signer,
    pub(super) witness: Ed25519Signer,
    pub(super) anchor: TrustAnchor,
    pub(super) entries: Vec<Entry>,
    pub(super) tree: MemoryTree,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with_seeds(1)
    }

    /// Five keys from `first` on: log, evidence, token, witness.
    pub(super) fn with_seeds(first: u8) -> Self {
        let (log, evidence, token, witness) = (signer(first), signer(first + 1), signer(first + 2), signer(first + 3));
        let tenant = TenantAnchor {
            origin: ORIGIN.to_owned(),
            log: VerifierKey::new(ORIGIN, Algorithm::Ed25519, log.public()).unwrap(),
            evidence: evidence.public(),
            token: token.public(),
        };
        let witnesses = vec![VerifierKey::new(WITNESS, Algorithm::CosignatureV1, witness.public()).unwrap()];
        let anchor = TrustAnchor::new(witnesses, 1, BTreeMap::from([(demo(), tenant)])).unwrap();
        Self { log, evidence, witness, anchor, entries: Vec::new(), tree: MemoryTree::new() }
    }

    /// A world with two runs whose entries interleave: 0 has three, 1 has two.
    pub(super) fn with_two_runs() -> Self {
        let mut world = Self::new();
        let start = json!({"worker": "finance/quarterly-summary", "purpose": "close the quarter"});
        world.record(EventKind::RunStarted, Some(0), start.clone());
        world.record(EventKind::RunStarted, Some(1), start);
        world.record(EventKind::StepDecided, Some(0), json!({"status": "allow", "function": "warehouse.revenue"}));
        world.record(EventKind::RunCompleted, Some(1), json!({}));
        world.record(EventKind::RunCompleted, Some(0), json!({}));
        world
    }

    pub(super) fn push(&mut self, event: &Event) -> u64 {
        let entry = event.encode().unwrap();
        self.tree.append(entry.leaf_hash());
        self.entries.push(entry);
        self.tree.size() - 1
    }

    /// Writes an entry, linked into its run if it has one.
    pub(super) fn record(&mut self, kind: EventKind, run: Option<u8>, details: Value) -> u64 {
        let link = run.map(|n| {
            let mine = self.of_run(&run_id(n));
            let last = mine.last().map(|(index, _)| self.entries[usize::try_from(*index).unwrap()].leaf_hash());
            RunLink { run: run_id(n), seq: u32::try_from(mine.len()).unwrap(), prev: last }
        });
        let time = Timestamp::from_millis(1_790_000_000_000 + i64::try_from(self.entries.len()).unwrap());
        self.push(&Event { time, tenant: demo(), kind, actor: "user:finance-lead".to_owned(), run: link, details })
    }

    /// Index and entry of everything a run wrote.
    pub(super) fn of_run(&self, run: &RunId) -> Vec<(u64, Entry)> {
        let indexed = self.entries.iter().zip(0u64..);
        indexed
            .filter(|(entry, _)| {
                let (_, event) = Entry::decode(entry.bytes()).unwrap();
                event.run.is_some_and(|link| link.run == *run)
            })
            .map(|(entry, index)| (index, entry.clone()))
            .collect()
    }

    /// The checkpoint over everything, signed by `log` and cosigned.
    pub(super) fn checkpoint_by(&self, log: &dyn Signer) -> String {
        let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size: self.tree.size(), root: self.tree.root() };
        let signed = checkpoint.sign(log).unwrap();
        let line = note::cosign(&signed.text, WITNESS, &self.witness, Timestamp::from_secs(1_790_000_100)).unwrap();
        assemble(&signed, &[line], self.anchor.witnesses(), 1).unwrap()
    }

    pub(super) fn checkpoint(&self) -> String {
        self.checkpoint_by(&self.log)
    }

    pub(super) fn proven(&self, run: &RunId) -> Vec<PassportEntry> {
        let size = self.tree.size();
        let prove =
            |(index, entry)| PassportEntry { index, entry, proof: inclusion_proof(&self.tree, index, size).unwrap() };
        self.of_run(run).into_iter().map(prove).collect()
    }

    pub(super) fn passport(&self, run: &RunId) -> Vec<u8> {
        self.passport_by(run, &[], &self.checkpoint(), &self.evidence)
    }

    pub(super) fn passport_by(&self, run: &RunId, keys: &[Dsse], checkpoint: &str, signer: &dyn Signer) -> Vec<u8> {
        let entries = self.proven(run);
        let input = BuildInput { tenant: &demo(), run, origin: ORIGIN, keys, checkpoint, entries: &entries, signer };
        passport::build(&input).unwrap()
    }

    /// The statement that `key` follows `old`, signed by `old` and the witness.
    pub(super) fn rotation(&self, role: Role, ordinal: u32, old: &dyn Signer, key: &dyn Signer) -> Dsse {
        successor(role, ordinal, old, key).sign(old).unwrap().with_signature(&self.witness)
    }
}

pub(super) fn successor(role: Role, ordinal: u32, old: &dyn Signer, key: &dyn Signer) -> KeyStatement {
    KeyStatement {
        tenant: demo(),
        role,
        key: key.public(),
        key_name: ORIGIN.to_owned(),
        ordinal,
        predecessor: Some(old.key_id()),
        introduced_at: Timestamp::from_secs(1_790_000_000),
    }
}
