//! The children there are, and whose.

use super::{frame, limits::Limits, process::Child};
use mandate_flow::{ExprError, Job};
use mandate_kernel::canonical_json;
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::Semaphore;

/// Children that wait for an owner.
const SPARE: usize = 2;

/// The program that a child is: its path, and the arguments before the limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Where it is.
    pub path: PathBuf,
    /// What makes it serve as a child ([`super::child::serve`]).
    pub arguments: Vec<String>,
}

/// How an evaluation ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The child answered: the values, or the error of the first expression that has none. The same job is
    /// answered alike by any child.
    Answered(frame::Answer),
    /// The child met this limit: `time`, `memory` or `recursion`. On another machine it might not have.
    Limit(&'static str),
    /// The child ended for a reason unknown, or said what nobody understands.
    Broken,
}

/// No child can be had now. This says nothing about the expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no process for expressions can be had: {0}")]
pub struct Unavailable(String);

/// Evaluates wild expressions in children. Cheap to share by an `Arc`; dropping it ends the children.
#[derive(Debug)]
pub struct Sandbox {
    program: Program,
    limits: Limits,
    places: Semaphore,
    children: Mutex<Children>,
}

#[derive(Debug, Default)]
struct Children {
    /// Those that served an owner and wait for more from it; the latest last.
    kept: Vec<(String, Child)>,
    /// Those that served nobody.
    spare: Vec<Child>,
    /// Spares being started.
    starting: usize,
}

impl Sandbox {
    /// Starts no child yet.
    #[must_use]
    pub fn new(program: Program, limits: Limits) -> Arc<Self> {
        Arc::new(Self { program, limits, places: Semaphore::new(limits.concurrent()), children: Mutex::default() })
    }

    /// Starts one child ahead of time, to know that children can be had here.
    ///
    /// # Errors
    /// [`Unavailable`] when none can be started, or it can't be confined.
    pub async fn prepare(&self) -> Result<(), Unavailable> {
        let child = Child::start(&self.program, &self.limits).await.map_err(Unavailable)?;
        self.lock().spare.push(child);
        Ok(())
    }

    /// Evaluates a job of an owner, such as a run. The child that does it has served nobody else and never
    /// will.
    ///
    /// # Errors
    /// [`Unavailable`] when no child can be started: try later.
    pub async fn evaluate(self: &Arc<Self>, owner: &str, job: &Job) -> Result<Outcome, Unavailable> {
        let request = match canonical_json(job) {
            Ok(request) if request.len() <= frame::REQUEST => request,
            Ok(_) => return Ok(Outcome::Answered(Err(ExprError::Limit("value size".to_owned())))),
            Err(error) => return Ok(Outcome::Answered(Err(ExprError::Failed(error.to_string())))),
        };
        let _place = self.places.acquire().await.map_err(|error| Unavailable(error.to_string()))?;
        let mut child = match self.take(owner) {
            Some(child) => child,
            None => Child::start(&self.program, &self.limits).await.map_err(Unavailable)?,
        };
        let outcome = child.ask(&request, job.expressions.len(), &self.limits).await;
        if matches!(outcome, Outcome::Answered(Ok(_))) && child.is_usable(&self.limits) {
            self.keep(owner, child).await;
        } else {
            child.end().await;
        }
        self.refill();
        Ok(outcome)
    }

    /// The owner's child, or one that has served nobody.
    fn take(&self, owner: &str) -> Option<Child> {
        let mut children = self.lock();
        if let Some(at) = children.kept.iter().position(|(whose, _)| whose == owner) {
            let (_, mut child) = children.kept.remove(at);
            if child.is_usable(&self.limits) {
                return Some(child);
            }
        }
        while let Some(mut child) = children.spare.pop() {
            if child.is_usable(&self.limits) {
                return Some(child);
            }
        }
        None
    }

    /// Keeps a child for its owner, and gives up the one that waited longest if there are too many.
    async fn keep(&self, owner: &str, child: Child) {
        let given_up = {
            let mut children = self.lock();
            children.kept.push((owner.to_owned(), child));
            (children.kept.len() > self.limits.concurrent()).then(|| children.kept.remove(0))
        };
        if let Some((_, child)) = given_up {
            child.end().await;
        }
    }

    /// Starts spares, so that the next owner need not wait.
    fn refill(self: &Arc<Self>) {
        loop {
            {
                let mut children = self.lock();
                if children.spare.len() + children.starting >= SPARE {
                    return;
                }
                children.starting += 1;
            }
            let sandbox = Arc::clone(self);
            tokio::spawn(async move {
                let started = Child::start(&sandbox.program, &sandbox.limits).await;
                let mut children = sandbox.lock();
                children.starting -= 1;
                match started {
                    Ok(child) => children.spare.push(child),
                    Err(error) => tracing::warn!(%error, "no spare process for expressions"),
                }
            });
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Children> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
