//! A witness in this process.

use crate::{Faults, SimClock, SimEntropy};
use async_trait::async_trait;
use mandate_engine::{Witness, WitnessError};
use mandate_kernel::{Clock, Ed25519Signer, Signer};
use mandate_ledger::{
    AddCheckpoint, Algorithm, Cosigner, Dsse, KeyRing, TrustAnchor, VerifierKey, WitnessRefusal, WitnessState,
};
use std::sync::{Arc, Mutex, PoisonError};

/// The name in its signature lines.
const NAME: &str = "sim.example/witness";

/// What it remembers.
#[derive(Clone, Default)]
struct Memory {
    anchor: Option<TrustAnchor>,
    state: WitnessState,
    statements: Vec<Dsse>,
}

/// It keeps the rules of a real one, remembers past crashes, and can be out of reach.
pub struct SimWitness {
    signer: Arc<Ed25519Signer>,
    key: VerifierKey,
    memory: Mutex<Memory>,
    faults: Arc<Faults>,
    clock: Arc<SimClock>,
}

fn said(refusal: &WitnessRefusal) -> WitnessError {
    match refusal {
        WitnessRefusal::Conflict { known_size } => WitnessError::Conflict { known: *known_size },
        WitnessRefusal::UnknownOrigin(_) => WitnessError::UnknownLog(refusal.to_string()),
        other => WitnessError::Refused(other.to_string()),
    }
}

fn refused(error: impl std::fmt::Display) -> WitnessError {
    WitnessError::Refused(error.to_string())
}

impl SimWitness {
    /// A witness with a key from this source. It trusts no log yet.
    ///
    /// # Panics
    /// When the key can't be made.
    #[must_use]
    pub fn new(entropy: &SimEntropy, faults: Arc<Faults>, clock: Arc<SimClock>) -> Self {
        let (signer, _) = Ed25519Signer::generate(entropy).unwrap();
        let key = VerifierKey::new(NAME, Algorithm::CosignatureV1, signer.public()).unwrap();
        Self { signer: Arc::new(signer), key, memory: Mutex::default(), faults, clock }
    }

    /// The same witness, with all it has seen, in another world.
    #[must_use]
    pub(crate) fn again(&self, faults: Arc<Faults>, clock: Arc<SimClock>) -> Self {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Self { signer: Arc::clone(&self.signer), key: self.key.clone(), memory: Mutex::new(memory), faults, clock }
    }

    /// Trusts the logs that an anchor names.
    pub fn trust(&self, anchor: TrustAnchor) {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).anchor = Some(anchor);
    }

    /// Its verifier key.
    #[must_use]
    pub const fn key(&self) -> &VerifierKey {
        &self.key
    }

    fn cosign(&self, request: &str) -> Result<String, WitnessError> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let request = AddCheckpoint::parse(request).map_err(|e| said(&e))?;
        let mut keys = Vec::new();
        for ring in rings(&memory)? {
            keys.extend(ring.log_keys().map_err(refused)?);
        }
        let cosigner = Cosigner { name: NAME, signer: self.signer.as_ref() };
        let judged = memory.state.add_checkpoint(&request, &keys, cosigner, self.clock.now());
        let (next, line) = judged.map_err(|e| said(&e))?;
        memory.state = next;
        Ok(line)
    }

    fn endorse(&self, statement: &Dsse) -> Result<Dsse, WitnessError> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let mut refusal = refused("no log is known");
        for ring in rings(&memory)? {
            match memory.state.endorse_key(statement, &ring, self.signer.as_ref()) {
                Ok((next, signed)) => {
                    memory.state = next;
                    memory.statements.push(signed.clone());
                    return Ok(signed);
                }
                Err(error) => refusal = said(&error),
            }
        }
        Err(refusal)
    }
}

/// The keys of every log it trusts, first ones and those it vouched for since.
fn rings(memory: &Memory) -> Result<Vec<KeyRing>, WitnessError> {
    let Some(anchor) = &memory.anchor else {
        return Err(WitnessError::UnknownLog("it knows none".to_owned()));
    };
    let mut rings = Vec::new();
    for tenant in anchor.tenants().keys() {
        let mut ring = KeyRing::from_anchor(anchor, tenant).map_err(refused)?;
        for statement in &memory.statements {
            // A statement of another tenant does not fit this ring, and need not.
            drop(ring.add(statement));
        }
        rings.push(ring);
    }
    Ok(rings)
}

#[async_trait]
impl Witness for SimWitness {
    fn keys(&self) -> Vec<VerifierKey> {
        vec![self.key.clone()]
    }

    async fn add_checkpoint(&self, request: &str) -> Result<String, WitnessError> {
        let done = self.faults.pass("witness.add-checkpoint", || self.cosign(request)).await;
        done.unwrap_or_else(|_| Err(WitnessError::Unreachable("simulated".to_owned())))
    }

    async fn sign_key(&self, statement: &Dsse) -> Result<Dsse, WitnessError> {
        let done = self.faults.pass("witness.sign-key", || self.endorse(statement)).await;
        done.unwrap_or_else(|_| Err(WitnessError::Unreachable("simulated".to_owned())))
    }
}
