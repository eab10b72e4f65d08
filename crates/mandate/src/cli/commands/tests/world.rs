//! A small world of keys, runs and evidence, and the places it can lie in.

use mandate_journal::{Change, Integration, Log as _, Resources as _};
use mandate_kernel::{Caller, Digest, Ed25519Signer, Labels, RunId, Secret, Signer as _, Tenant, Timestamp};
use mandate_ledger::{
    Algorithm, ArtifactBody, BuildInput, Checkpoint, Entry, Event, EventKind, Frontier, MemoryTree, PassportEntry,
    RunLink, TenantAnchor, TrustAnchor, VerifierKey, artifact, assemble, export_files, inclusion_proof, note, passport,
};
use mandate_store::{Store, StoreConfig};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;

const ORIGIN: &str = "mandate.example/demo";
const WITNESS: &str = "witness.example/one";

fn signer(seed: u8) -> Ed25519Signer {
    Ed25519Signer::from_seed(&Secret::new([seed; 32])).unwrap()
}

fn demo() -> Tenant {
    Tenant::new("demo").unwrap()
}

fn run() -> RunId {
    "run_01J9ZK3Y4T6W8Q2N5R7VX0AB00".parse().unwrap()
}

pub(super) struct World {
    log: Ed25519Signer,
    evidence: Ed25519Signer,
    witness: Ed25519Signer,
    anchor: TrustAnchor,
    entries: Vec<Entry>,
    tree: MemoryTree,
    pub(super) artifact: Vec<u8>,
}

impl World {
    /// A world with one run that ended, among `others` entries of other kinds.
    pub(super) fn new(seed: u8, others: u32) -> Self {
        let (log, evidence, token, witness) = (signer(seed), signer(seed + 1), signer(seed + 2), signer(seed + 3));
        let tenant = TenantAnchor {
            origin: ORIGIN.to_owned(),
            log: VerifierKey::new(ORIGIN, Algorithm::Ed25519, log.public()).unwrap(),
            evidence: evidence.public(),
            token: token.public(),
        };
        let witnesses = vec![VerifierKey::new(WITNESS, Algorithm::CosignatureV1, witness.public()).unwrap()];
        let anchor = TrustAnchor::new(witnesses, 1, BTreeMap::from([(demo(), tenant)])).unwrap();
        let body = ArtifactBody {
            format: artifact::FORMAT.to_owned(),
            tenant: demo(),
            run: run(),
            worker: "finance/q".parse().unwrap(),
            worker_version: Digest::of(b"worker"),
            name: "summary".to_owned(),
            media_type: "application/json".to_owned(),
            content: json!({"verdict": "profit"}),
            labels: Labels::default(),
            produced_at: Timestamp::from_secs(1_790_000_000),
            keys: Vec::new(),
        };
        let artifact = artifact::sign(&body, &evidence).unwrap();
        let mut world = Self { log, evidence, witness, anchor, entries: Vec::new(), tree: MemoryTree::new(), artifact };
        for n in 0..others {
            world.push(EventKind::AccessDenied, None, json!({"n": n}));
        }
        let digest = Digest::of(&world.artifact);
        let mut link = None;
        for (kind, details) in [
            (EventKind::RunStarted, json!({"worker": "finance/q", "purpose": "board"})),
            (EventKind::ArtifactSigned, json!({"digest": digest})),
            (EventKind::RunCompleted, json!({})),
        ] {
            let (seq, prev) = link.map_or((0, None), |(seq, leaf)| (seq + 1, Some(leaf)));
            let leaf = world.push(kind, Some(RunLink { run: run(), seq, prev }), details);
            link = Some((seq, leaf));
        }
        world
    }

    fn push(&mut self, kind: EventKind, link: Option<RunLink>, details: Value) -> Digest {
        let time = Timestamp::from_secs(1_790_000_000);
        let event = Event { time, tenant: demo(), kind, actor: "user:finance-lead".to_owned(), run: link, details };
        let entry = event.encode().unwrap();
        let leaf = entry.leaf_hash();
        self.tree.append(leaf);
        self.entries.push(entry);
        leaf
    }

    pub(super) fn checkpoint(&self) -> String {
        let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size: self.tree.size(), root: self.tree.root() };
        let signed = checkpoint.sign(&self.log).unwrap();
        let line = note::cosign(&signed.text, WITNESS, &self.witness, Timestamp::from_secs(1_790_000_100)).unwrap();
        assemble(&signed, &[line], self.anchor.witnesses(), 1).unwrap()
    }

    pub(super) fn passport(&self) -> Vec<u8> {
        let size = self.tree.size();
        let first = self.entries.len() - 3;
        let entries: Vec<PassportEntry> = (first as u64..size)
            .zip(&self.entries[first..])
            .map(|(index, entry)| PassportEntry {
                index,
                entry: entry.clone(),
                proof: inclusion_proof(&self.tree, index, size).unwrap(),
            })
            .collect();
        let (tenant, run, checkpoint) = (demo(), run(), self.checkpoint());
        let input = BuildInput {
            tenant: &tenant,
            run: &run,
            origin: ORIGIN,
            keys: &[],
            checkpoint: &checkpoint,
            entries: &entries,
            signer: &self.evidence,
        };
        passport::build(&input).unwrap()
    }

    pub(super) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let entries = self.entries.iter().cloned().map(Ok::<_, Infallible>);
        let checkpoint = self.checkpoint();
        let files = export_files(entries, &self.tree, &checkpoint).unwrap();
        files.map(|file| file.map(|file| (file.path, file.bytes)).unwrap()).collect()
    }

    pub(super) fn proof(&self, index: u64) -> Value {
        let at = usize::try_from(index).unwrap();
        let proof = inclusion_proof(&self.tree, index, self.tree.size()).unwrap();
        let proof: Vec<String> = proof.iter().map(|hash| mandate_kernel::base64_encode(hash.as_bytes())).collect();
        let entry = mandate_kernel::base64_encode(self.entries[at].bytes());
        json!({"index": index, "entry": entry, "proof": proof, "checkpoint": self.checkpoint()})
    }

    pub(super) fn write_anchor(&self, path: &Path) {
        std::fs::write(path, self.anchor.to_json().unwrap()).unwrap();
    }

    /// Puts the entries that stand alone into a database, as a server would; gives it back open.
    pub(super) async fn fill_store(&self, folder: &Path) -> Store {
        let store = Store::open(StoreConfig::new(folder.join("mandate.db"))).unwrap();
        let handle = store.of(&Caller::system(demo(), "test"));
        let alone = self.entries.len() - 3;
        let mut change = Change::new(demo(), Timestamp::from_secs(1_790_000_000), "user:admin".to_owned());
        change.entries = self.entries[..alone].to_vec();
        handle.change(change).await.unwrap();
        let pending = handle.pending(alone + 1).await.unwrap();
        let mut frontier = Frontier::new();
        let mut nodes = Vec::new();
        for entry in &pending {
            nodes.extend(frontier.append(mandate_ledger::leaf_hash(&entry.bytes)));
        }
        let size = frontier.size();
        let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size, root: frontier.root() };
        let taken = pending.iter().map(|entry| entry.key).collect();
        assert!(handle.integrate(Integration { from_size: 0, taken, nodes, frontier }).await.unwrap());
        let signed = checkpoint.sign(&self.log).unwrap();
        let line = note::cosign(&signed.text, WITNESS, &self.witness, Timestamp::from_secs(1_790_000_100)).unwrap();
        handle.record_signed(size, signed.to_string()).await.unwrap();
        let cosigned = assemble(&signed, &[line], self.anchor.witnesses(), 1).unwrap();
        handle.record_cosigned(size, cosigned).await.unwrap();
        store
    }
}
