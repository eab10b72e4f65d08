//! What goes wrong, and at which I/O step.

use crate::{Sabotage, SimEntropy};
use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// What happens at an I/O step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails; nothing was done.
    Fails,
    /// It is done, and fails all the same.
    FailsButPersists,
    /// It fails, and so does every store operation until this many milliseconds have passed.
    Unavailable(u64),
    /// It is done, and the answer takes this many milliseconds.
    Late(u64),
    /// The process ends before it.
    CrashBefore,
    /// The process ends after it, before anybody is told.
    CrashAfter,
}

impl Fault {
    fn draw(rng: &SimEntropy) -> Self {
        match rng.below(7) {
            0 => Self::Fails,
            1 => Self::FailsButPersists,
            2 => Self::Unavailable(rng.below(5_000)),
            3 => Self::Late(rng.below(2_000)),
            4 => Self::CrashBefore,
            _ => Self::CrashAfter,
        }
    }
}

/// A step that failed: before it was done, or after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// Nothing was done.
    Before,
    /// It was done.
    After,
}

/// What an engine asks all the time while it has nothing to do: a plan would spend its faults on it.
const IDLE: &[&str] = &["store.due", "store.next-due", "store.head", "store.pending", "store.run"];

enum Plan {
    Calm,
    Seeded { rng: SimEntropy, per_mille: u64, left: u32 },
    At { index: usize, fault: Fault },
}

struct State {
    plan: Plan,
    trace: Vec<Cow<'static, str>>,
    happened: Vec<(usize, Cow<'static, str>, Fault)>,
    crashed: bool,
    outage_until: Option<Instant>,
    cut: Option<String>,
    sabotage: Option<Sabotage>,
}

/// The faults of a world. Every I/O step passes here, and is counted.
pub struct Faults {
    state: Mutex<State>,
    bell: Notify,
}

impl Default for Faults {
    fn default() -> Self {
        let state = State {
            plan: Plan::Calm,
            trace: Vec::new(),
            happened: Vec::new(),
            crashed: false,
            outage_until: None,
            cut: None,
            sabotage: None,
        };
        Self { state: Mutex::new(state), bell: Notify::new() }
    }
}

/// What is to be done about one step.
enum Verdict {
    Dead,
    Go { yields: u64 },
    Faulty(Fault),
}

impl Faults {
    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn plan(&self, plan: Plan) {
        self.with(|state| {
            state.plan = plan;
            state.outage_until = None;
        });
    }

    /// Nothing goes wrong any more.
    pub fn calm(&self) {
        self.plan(Plan::Calm);
    }

    /// Up to `most` faults, each step at this rate, as the seed says.
    pub fn seeded(&self, seed: u64, per_mille: u64, most: u32) {
        self.plan(Plan::Seeded { rng: SimEntropy::new(seed), per_mille, left: most });
    }

    /// One fault, at the step of this index, counted from the last [`Faults::forget`].
    pub fn at(&self, index: usize, fault: Fault) {
        self.plan(Plan::At { index, fault });
    }

    /// Every step whose name begins with this fails from now on; `None` mends it.
    pub fn cut(&self, prefix: Option<&str>) {
        self.with(|state| state.cut = prefix.map(str::to_owned));
    }

    /// Forgets the steps taken so far: counting begins anew.
    pub fn forget(&self) {
        self.with(|state| {
            state.trace.clear();
            state.happened.clear();
        });
    }

    /// The steps taken so far, in order.
    #[must_use]
    pub fn trace(&self) -> Vec<String> {
        self.with(|state| state.trace.iter().map(|name| name.clone().into_owned()).collect())
    }

    /// What went wrong so far: index, step, fault.
    #[must_use]
    pub fn happened(&self) -> Vec<(usize, String, Fault)> {
        let plain = |(at, name, fault): &(usize, Cow<'static, str>, Fault)| (*at, name.clone().into_owned(), *fault);
        self.with(|state| state.happened.iter().map(plain).collect())
    }

    /// A new process begins.
    pub(crate) fn revive(&self) {
        self.with(|state| {
            state.crashed = false;
            // Time is another in another runtime.
            state.outage_until = None;
        });
    }

    /// Resolves when the process has to end.
    pub(crate) async fn crashed(&self) {
        while !self.with(|state| state.crashed) {
            self.bell.notified().await;
        }
    }

    /// Takes one I/O step.
    ///
    /// # Errors
    /// [`Lost`] when the plan has it fail.
    pub async fn pass<T>(&self, name: impl Into<Cow<'static, str>>, step: impl FnOnce() -> T) -> Result<T, Lost> {
        match self.judge(name.into()) {
            Verdict::Dead => std::future::pending().await,
            Verdict::Go { yields } => {
                for _ in 0..yields {
                    tokio::task::yield_now().await;
                }
                if self.with(|state| state.crashed) {
                    std::future::pending::<()>().await;
                }
                self.answer(step(), yields).await
            }
            Verdict::Faulty(Fault::Late(ms)) => {
                let done = step();
                tokio::time::sleep(Duration::from_millis(ms)).await;
                self.answer(done, 0).await
            }
            Verdict::Faulty(Fault::Fails | Fault::Unavailable(_)) => Err(Lost::Before),
            Verdict::Faulty(Fault::FailsButPersists) => {
                drop(step());
                Err(Lost::After)
            }
            Verdict::Faulty(Fault::CrashBefore) => self.crash().await,
            Verdict::Faulty(Fault::CrashAfter) => {
                drop(step());
                self.crash().await
            }
        }
    }

    /// Gives the answer, unless there is nobody left to get it.
    async fn answer<T>(&self, done: T, yields: u64) -> Result<T, Lost> {
        for _ in 0..yields {
            tokio::task::yield_now().await;
        }
        if self.with(|state| state.crashed) {
            drop(done);
            return std::future::pending().await;
        }
        Ok(done)
    }

    fn judge(&self, name: Cow<'static, str>) -> Verdict {
        self.with(|state| {
            if state.crashed {
                return Verdict::Dead;
            }
            let index = state.trace.len();
            state.trace.push(name.clone());
            let of_store = name.starts_with("store.");
            if state.cut.as_ref().is_some_and(|cut| name.starts_with(cut)) {
                return Verdict::Faulty(Fault::Fails);
            }
            if of_store && state.outage_until.is_some_and(|until| Instant::now() < until) {
                return Verdict::Faulty(Fault::Fails);
            }
            let fault = match &mut state.plan {
                Plan::Calm => return Verdict::Go { yields: 0 },
                Plan::At { index: at, fault } => (*at == index).then_some(*fault),
                Plan::Seeded { rng, per_mille, left } => {
                    let rate = if IDLE.contains(&name.as_ref()) { *per_mille / 20 } else { *per_mille };
                    if *left == 0 || rng.below(1000) >= rate {
                        return Verdict::Go { yields: rng.below(3) };
                    }
                    *left -= 1;
                    Some(Fault::draw(rng))
                }
            };
            let Some(fault) = fault else { return Verdict::Go { yields: 0 } };
            if let (Fault::Unavailable(ms), true) = (fault, of_store) {
                state.outage_until = Some(Instant::now() + Duration::from_millis(ms));
            }
            state.happened.push((index, name, fault));
            Verdict::Faulty(fault)
        })
    }

    /// The process ends now, wherever its tasks are.
    pub fn crash_now(&self) {
        self.with(|state| state.crashed = true);
        self.bell.notify_one();
    }

    /// Breaks something on purpose, from now on.
    pub fn sabotage(&self, what: Sabotage) {
        self.with(|state| state.sabotage = Some(what));
    }

    /// Whether this is broken on purpose.
    #[must_use]
    pub fn sabotaged(&self, what: Sabotage) -> bool {
        self.with(|state| state.sabotage == Some(what))
    }

    async fn crash<T>(&self) -> T {
        self.crash_now();
        std::future::pending().await
    }
}
