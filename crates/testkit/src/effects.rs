//! Receivers: what an engine's requests reach.

use crate::{Faults, Lost, Sabotage, SimEntropy, SimStore};
use async_trait::async_trait;
use mandate_directory::{ConnectionSpec, FunctionSpec, Target};
use mandate_engine::EffectSource;
use mandate_gate::{
    AuthorityRoot, Call, Claimed, Credentials, Effect, EffectFailure, PrepareError, Prepared, Reply, Request, Slot,
    Spent,
};
use mandate_identity::Audience;
use mandate_journal::Doubt;
use mandate_kernel::{DecisionId, Digest, EffectClass, FunctionName, StepKey, canonical_json};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// What a receiver does with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// The work, and an answer.
    Answer,
    /// The work, and an answer after this many milliseconds.
    Slow(u64),
    /// Nothing, and says so; later it may work.
    Transient,
    /// Nothing, and says so for good, with this status.
    Definite(u16),
    /// The work; the connection breaks before the answer.
    Break,
    /// Nothing, and no answer either.
    Hang,
    /// The work, and no answer.
    WorkAndHang,
    /// The work twice, as if something in between had sent it again, and an answer. A receiver that can't tell
    /// does it once.
    Twice,
}

impl Act {
    const fn works(self) -> bool {
        matches!(self, Self::Answer | Self::Slow(_) | Self::Break | Self::WorkAndHang | Self::Twice)
    }

    const fn draw(n: u64) -> Self {
        match n {
            0 | 1 => Self::Transient,
            2 => Self::Definite(500),
            6 => Self::Slow(3_000),
            // Longer than anybody waits.
            7 => Self::Slow(7_000),
            8 => Self::Twice,
            3 => Self::Break,
            4 => Self::Hang,
            _ => Self::WorkAndHang,
        }
    }
}

/// A request as a receiver saw it.
#[derive(Debug, Clone)]
pub struct Received {
    /// The receiver.
    pub receiver: String,
    /// Its kind.
    pub class: EffectClass,
    /// The decision the spent permit names.
    pub decision: DecisionId,
    /// The attempt.
    pub step: StepKey,
    /// Digest of the request.
    pub request: Digest,
    /// Whether the journal had this very decision for this very request when it came.
    pub admitted: bool,
    /// Whether the credentials that the function's model demands came with it, and no others.
    pub credentials: bool,
    /// What the receiver did.
    pub act: Act,
}

/// What answers: arguments in, value out.
type Answer = Arc<dyn Fn(&Value) -> Value + Send + Sync>;

#[derive(Default)]
struct Receivers {
    answers: BTreeMap<String, Answer>,
    scripts: BTreeMap<String, VecDeque<Act>>,
    mischief: Option<(SimEntropy, u64, u32)>,
    received: Vec<Received>,
    /// Per idempotency key: the request first accepted, at receivers that honour the key.
    accepted: BTreeMap<String, Digest>,
    /// Per idempotency key: how often the work was done, at receivers that don't.
    done: BTreeMap<String, u32>,
}

/// All receivers of a world. A clone is the same ones. A function with target `local: NAME` reaches
/// the receiver of that name; its effect class says whether that honours idempotency keys.
#[derive(Clone)]
pub struct SimEffects {
    receivers: Arc<Mutex<Receivers>>,
    store: SimStore,
    faults: Arc<Faults>,
}

impl SimEffects {
    /// Receivers beside a store, in which they look up the decisions behind what reaches them.
    #[must_use]
    pub fn new(store: SimStore, faults: Arc<Faults>) -> Self {
        Self { receivers: Arc::default(), store, faults }
    }

    fn with<T>(&self, f: impl FnOnce(&mut Receivers) -> T) -> T {
        f(&mut self.receivers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sets what a receiver answers; by default its arguments.
    pub fn answers(&self, receiver: &str, answer: impl Fn(&Value) -> Value + Send + Sync + 'static) {
        self.with(|r| r.answers.insert(receiver.to_owned(), Arc::new(answer)));
    }

    /// What a receiver does with the next requests; afterwards it answers.
    pub fn script(&self, receiver: &str, acts: impl IntoIterator<Item = Act>) {
        self.with(|r| r.scripts.entry(receiver.to_owned()).or_default().extend(acts));
    }

    /// Every receiver does something else than answer at this rate, at most so many times.
    pub fn mischief(&self, seed: u64, per_mille: u64, most: u32) {
        self.with(|r| r.mischief = Some((SimEntropy::new(seed), per_mille, most)));
    }

    /// The same receivers beside another store, with nothing received yet.
    #[must_use]
    pub(crate) fn beside(&self, store: SimStore, faults: Arc<Faults>) -> Self {
        let answers = self.with(|r| r.answers.clone());
        Self { receivers: Arc::new(Mutex::new(Receivers { answers, ..Receivers::default() })), store, faults }
    }

    /// Receivers answer from now on.
    pub fn calm(&self) {
        self.with(|r| {
            r.mischief = None;
            r.scripts.clear();
        });
    }

    /// Every request so far.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.with(|r| r.received.clone())
    }

    /// The requests that one receiver saw.
    #[must_use]
    pub fn received_by(&self, receiver: &str) -> Vec<Received> {
        self.received().into_iter().filter(|r| r.receiver == receiver).collect()
    }

    /// Distinct reports accepted by receivers that honour idempotency keys.
    #[must_use]
    pub fn accepted(&self) -> BTreeMap<String, Digest> {
        self.with(|r| r.accepted.clone())
    }

    /// How often the work behind an idempotency key was done, at receivers that don't honour it.
    #[must_use]
    pub fn done(&self) -> BTreeMap<String, u32> {
        self.with(|r| r.done.clone())
    }

    fn next_act(&self, receiver: &str) -> Act {
        self.with(|r| {
            if let Some(act) = r.scripts.get_mut(receiver).and_then(VecDeque::pop_front) {
                return act;
            }
            match &mut r.mischief {
                Some((rng, per_mille, left)) if *left > 0 && rng.below(1000) < *per_mille => {
                    *left -= 1;
                    Act::draw(rng.below(9))
                }
                _ => Act::Answer,
            }
        })
    }

    /// The request reaches the receiver, which does its work or not.
    fn receive(&self, received: Received) {
        let key = received.step.idempotency_key();
        let forgets = self.faults.sabotaged(Sabotage::ForgetsKeys);
        self.with(|r| {
            if received.act.works() {
                match received.class {
                    EffectClass::Read => {}
                    EffectClass::Idempotent => {
                        r.accepted.entry(key.clone()).or_insert(received.request);
                        if forgets {
                            *r.done.entry(key).or_default() += 1;
                        }
                    }
                    EffectClass::Once => *r.done.entry(key).or_default() += 1,
                }
            }
            r.received.push(received);
        });
    }

    fn answer(&self, receiver: &str, arguments: &Value) -> Value {
        let answer = self.with(|r| r.answers.get(receiver).cloned());
        answer.map_or_else(|| arguments.clone(), |answer| answer(arguments))
    }
}

impl EffectSource for SimEffects {
    fn effect(
        &self,
        _: &FunctionName,
        function: &FunctionSpec,
        _: Option<&ConnectionSpec>,
    ) -> Result<Arc<dyn Effect>, String> {
        match &function.target {
            Target::Local(local) => Ok(Arc::new(SimEffect {
                world: self.clone(),
                receiver: local.name.clone(),
                credential: local.credential,
                function: function.clone(),
            })),
            // A model that is simulated answers like any receiver.
            Target::Model(_) => Ok(Arc::new(SimEffect {
                world: self.clone(),
                receiver: "model".to_owned(),
                credential: false,
                function: function.clone(),
            })),
            Target::Http(_) | Target::Call(_) | Target::Mail(_) | Target::Review(_) => {
                Err("simulated receivers are local".to_owned())
            }
        }
    }
}

struct SimEffect {
    world: SimEffects,
    receiver: String,
    credential: bool,
    function: FunctionSpec,
}

impl SimEffect {
    /// The answer is lost after the work.
    fn unanswered(&self) -> EffectFailure {
        let detail = "the connection broke before the answer was whole".to_owned();
        match self.function.effect {
            EffectClass::Once if !self.world.faults.sabotaged(Sabotage::CallsDoubtCertain) => {
                EffectFailure::Unknown { why: Doubt::Connection, detail }
            }
            _ => EffectFailure::Transient(detail),
        }
    }
}

#[async_trait]
impl Effect for SimEffect {
    fn prepare(&self, call: &Call) -> Result<Prepared, PrepareError> {
        let arguments = |why: String| PrepareError::Arguments { function: call.function.clone(), why };
        if self.function.target.arguments().is_none() {
            self.function.check_arguments(&call.arguments).map_err(arguments)?;
        }
        let slot = self.credential.then(|| Slot::Header { name: "x-key".to_owned(), prefix: String::new() });
        Ok(Prepared {
            request: Request::Local {
                name: self.receiver.clone(),
                arguments: canonical_json(&call.arguments).map_err(|e| arguments(e.to_string()))?,
            },
            destination: format!("local:{}", self.receiver),
            audience: Audience::new(format!("urn:mandate:local:{}", self.receiver)).ok(),
            slot,
        })
    }

    async fn perform(&self, spent: &Spent, credentials: Credentials) -> Result<Reply, EffectFailure> {
        let (facts, request) = (spent.facts(), spent.prepared().digest());
        let act = self.world.next_act(&self.receiver);
        let delegated = matches!(facts.root, AuthorityRoot::Initiator);
        let received = Received {
            receiver: self.receiver.clone(),
            class: self.function.effect,
            decision: spent.decision().clone(),
            step: facts.step.clone(),
            request,
            admitted: self.world.store.admitted(&facts.initiator.tenant, &facts.step, spent.decision(), &request),
            credentials: credentials.hop.is_some() == delegated
                && credentials.leased.is_some() == spent.prepared().slot.is_some(),
            act,
        };
        match self.world.faults.pass(format!("effect.{}", self.receiver), || self.world.receive(received)).await {
            Err(Lost::Before) => return Err(EffectFailure::Transient("no connection".to_owned())),
            Err(Lost::After) => return Err(self.unanswered()),
            Ok(()) => {}
        }
        match act {
            Act::Answer | Act::Slow(_) | Act::Twice => {
                if let Act::Slow(ms) = act {
                    tokio::time::sleep(std::time::Duration::from_millis(ms)).await;
                }
                let value = self.world.answer(&self.receiver, &facts.arguments);
                let bytes = canonical_json(&value).unwrap_or_default();
                Ok(Reply { value, observed: Digest::of(&bytes), claimed: Claimed::default() })
            }
            Act::Transient => Err(EffectFailure::Transient("busy".to_owned())),
            Act::Definite(status) => Err(EffectFailure::Definite { status, detail: "no".to_owned() }),
            Act::Break => Err(self.unanswered()),
            Act::Hang | Act::WorkAndHang => std::future::pending().await,
        }
    }
}
