//! Random interleavings of drivers, take-overs and revocations, against a model in memory.

use super::Backend;
use super::script::{Position, caller, change, tenant};
use mandate_journal::{Change, CommitError, EpochKey, TenantStore};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};

/// What somebody does. Runs and drivers are numbered; a driver acts on what it believes.
#[derive(Debug, Clone)]
enum Act {
    Start {
        run: usize,
    },
    /// Driver `driver` of `run` admits this attempt.
    Admit {
        run: usize,
        driver: usize,
        step: u32,
        attempt: u32,
    },
    /// It records what happened.
    Record {
        run: usize,
        driver: usize,
    },
    /// It reads the run again; with `take`, it takes the run over.
    Look {
        run: usize,
        driver: usize,
        take: bool,
    },
    /// Somebody is revoked.
    Revoke,
    /// A driver learns of revocations.
    Learn {
        driver: usize,
    },
}

const RUNS: usize = 3;
const DRIVERS: usize = 2;

fn act() -> impl Strategy<Value = Act> {
    let (run, driver) = (0..RUNS, 0..DRIVERS);
    prop_oneof![
        2 => run.clone().prop_map(|run| Act::Start { run }),
        6 => (run.clone(), driver.clone(), 1..4u32, 1..3u32)
            .prop_map(|(run, driver, step, attempt)| Act::Admit { run, driver, step, attempt }),
        4 => (run.clone(), driver.clone()).prop_map(|(run, driver)| Act::Record { run, driver }),
        3 => (run, driver.clone(), any::<bool>()).prop_map(|(run, driver, take)| Act::Look { run, driver, take }),
        1 => Just(Act::Revoke),
        2 => driver.prop_map(|driver| Act::Learn { driver }),
    ]
}

/// The truth about one run.
#[derive(Debug, Clone)]
struct Truth {
    at: Position,
    begun: bool,
    admitted: BTreeSet<(u32, u32)>,
}

struct Model {
    runs: Vec<Truth>,
    revocations: u64,
    /// What each driver believes about each run, and about revocations.
    beliefs: Vec<Vec<Position>>,
    known: Vec<u64>,
}

impl Model {
    fn new(name: &str) -> Self {
        let fresh: Vec<_> = (0..RUNS).map(|_| Position::fresh(&tenant(name))).collect();
        let truth = |at: &Position| Truth { at: at.clone(), begun: false, admitted: BTreeSet::new() };
        Self {
            runs: fresh.iter().map(truth).collect(),
            revocations: 0,
            beliefs: vec![fresh; DRIVERS],
            known: vec![0; DRIVERS],
        }
    }

    /// What the store must say to a driver that builds on `belief`.
    fn expected(&self, run: usize, belief: &Position, admits: Option<(u32, u32, u64)>) -> Result<(), CommitError> {
        let truth = &self.runs[run];
        if !truth.begun || truth.at.seq != belief.seq || truth.at.epoch != belief.epoch {
            return Err(CommitError::Fenced { run: belief.run.clone() });
        }
        match admits {
            Some((_, _, seen)) if seen != self.revocations => {
                Err(CommitError::Revoked { tenant: belief.tenant.clone(), now: self.revocations })
            }
            Some((step, attempt, _)) if truth.admitted.contains(&(step, attempt)) => {
                Err(CommitError::AlreadyAdmitted { step: belief.key(step, attempt).to_string() })
            }
            _ => Ok(()),
        }
    }

    async fn drive(&mut self, store: &dyn TenantStore, run: usize, driver: usize, admits: Option<(u32, u32)>) {
        let belief = self.beliefs[driver][run].clone();
        let admits = admits.map(|(step, attempt)| (step, attempt, self.known[driver]));
        // A driver that believes the run has not begun has no chain to go on with.
        let transition = match admits {
            _ if belief.seq == 0 => belief.nothing(),
            Some((step, attempt, seen)) => belief.admit(step, attempt, seen),
            None => belief.step(),
        };
        let admits = admits.filter(|_| transition.admission.is_some());
        let expected = self.expected(run, &belief, admits);
        assert_eq!(store.commit(transition.clone()).await, expected);
        if expected.is_ok() {
            let truth = &mut self.runs[run];
            truth.at = truth.at.after(&transition);
            truth.admitted.extend(admits.map(|(step, attempt, _)| (step, attempt)));
            self.beliefs[driver][run] = truth.at.clone();
        }
    }

    async fn act(&mut self, store: &dyn TenantStore, act: Act) {
        match act {
            Act::Start { run } => {
                let fresh = Position::of(&self.runs[run].at.tenant, self.runs[run].at.run.clone());
                let start = fresh.start();
                let expected =
                    if self.runs[run].begun { Err(CommitError::Fenced { run: fresh.run.clone() }) } else { Ok(()) };
                assert_eq!(store.commit(start.clone()).await, expected);
                if expected.is_ok() {
                    self.runs[run].begun = true;
                    self.runs[run].at = fresh.after(&start);
                }
            }
            Act::Admit { run, driver, step, attempt } => self.drive(store, run, driver, Some((step, attempt))).await,
            Act::Record { run, driver } => self.drive(store, run, driver, None).await,
            Act::Look { run, driver, take } => {
                let truth = &mut self.runs[run];
                if take {
                    let taken = store.take_over(&truth.at.run).await;
                    assert_eq!(taken.is_ok(), truth.begun);
                    truth.at.epoch += u64::from(truth.begun);
                }
                let found = store.run(&truth.at.run).await.unwrap();
                assert_eq!(found.is_some(), truth.begun);
                if let Some(found) = found {
                    let there = (found.journal_seq, found.epoch, found.chain);
                    assert_eq!(there, (truth.at.seq, truth.at.epoch, truth.at.chain));
                    self.beliefs[driver][run] = truth.at.clone();
                }
            }
            Act::Revoke => {
                let name = self.runs[0].at.tenant.to_string();
                let revoke = vec![EpochKey::User("one".to_owned())];
                self.revocations = store.change(Change { revoke, ..change(&name) }).await.unwrap();
            }
            Act::Learn { driver } => {
                let now = store.standing(&[EpochKey::User("one".to_owned())]).await.unwrap();
                assert_eq!((now.revocations, now.epochs), (self.revocations, vec![self.revocations]));
                self.known[driver] = now.revocations;
            }
        }
    }

    /// Nothing more and nothing less than the model says is there.
    async fn compare(&self, store: &dyn TenantStore) {
        let mut entries = 0;
        for truth in &self.runs {
            let journal = store.journal(&truth.at.run).await.unwrap();
            assert_eq!(journal.len() as u64, truth.at.seq);
            let of_run = store.run_entries(&truth.at.run).await.unwrap().len();
            assert_eq!(of_run, truth.at.chain.next as usize);
            entries += of_run;
        }
        assert_eq!(store.pending(usize::MAX).await.unwrap().len(), entries);
    }
}

pub(crate) async fn interleavings_agree_with_the_model(backend: &dyn Backend) {
    static CASE: AtomicU32 = AtomicU32::new(0);
    let config = Config { cases: 24, max_shrink_iters: 200, failure_persistence: None, ..Config::default() };
    let runtime = tokio::runtime::Handle::current();
    let outcome = tokio::task::block_in_place(|| {
        TestRunner::new(config).run(&prop::collection::vec(act(), 1..60), |acts| {
            // Each case has a tenant of its own: a fresh store without a fresh file.
            let name = format!("model-{}", CASE.fetch_add(1, Ordering::SeqCst));
            let store = backend.of(&caller(&name));
            runtime.block_on(async {
                let mut model = Model::new(&name);
                for act in acts {
                    model.act(store.as_ref(), act).await;
                }
                model.compare(store.as_ref()).await;
            });
            Ok::<(), TestCaseError>(())
        })
    });
    outcome.unwrap_or_else(|failed| panic!("{failed}"));
}
