//! A witness in this process: the same state machine as `mandate witness`, without the wire.

use async_trait::async_trait;
use mandate_engine::{Witness, WitnessError};
use mandate_kernel::{Clock, Ed25519Signer, Signer, SystemClock};
use mandate_ledger::witness::Cosigner;
use mandate_ledger::{AddCheckpoint, Algorithm, Dsse, VerifierKey, WitnessRefusal, WitnessState};
use std::sync::{Mutex, PoisonError};

const NAME: &str = "bench.invalid/witness";

pub(crate) struct LocalWitness {
    signer: Ed25519Signer,
    key: VerifierKey,
    state: Mutex<(WitnessState, Vec<VerifierKey>)>,
}

impl LocalWitness {
    pub(crate) fn new(signer: Ed25519Signer) -> anyhow::Result<Self> {
        let key = VerifierKey::new(NAME, Algorithm::CosignatureV1, signer.public())?;
        Ok(Self { signer, key, state: Mutex::default() })
    }

    pub(crate) fn trust(&self, log: VerifierKey) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1.push(log);
    }
}

#[async_trait]
impl Witness for LocalWitness {
    fn keys(&self) -> Vec<VerifierKey> {
        vec![self.key.clone()]
    }

    async fn add_checkpoint(&self, request: &str) -> Result<String, WitnessError> {
        let refused = |e: WitnessRefusal| match e {
            WitnessRefusal::Conflict { known_size } => WitnessError::Conflict { known: known_size },
            other => WitnessError::Refused(other.to_string()),
        };
        let request = AddCheckpoint::parse(request).map_err(refused)?;
        let mut held = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let cosigner = Cosigner { name: NAME, signer: &self.signer };
        let (next, line) = held.0.add_checkpoint(&request, &held.1, cosigner, SystemClock.now()).map_err(refused)?;
        held.0 = next;
        Ok(line)
    }

    async fn sign_key(&self, _: &Dsse) -> Result<Dsse, WitnessError> {
        Err(WitnessError::Refused("no rotation in a benchmark".to_owned()))
    }
}
