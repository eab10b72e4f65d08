//! Wild expressions: turned off, or evaluated by children of this very program.

use anyhow::{Context, Result};
use async_trait::async_trait;
use mandate_engine::{Evaluator, EvaluatorError, TameOnly, WildOutcome};
use mandate_flow::Job;
use mandate_kernel::RunId;
use mandate_sandbox::{Limits, Outcome, Program, Sandbox};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The hidden command by which this program is a child.
const COMMAND: &str = "evaluate-expressions";

/// `expressions`: the word `tame-only`, or what one evaluation may use.
#[derive(Debug, Clone, Copy, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema, serde::Serialize))]
#[serde(untagged, expecting = "`tame-only`, or an object of `timeoutMilliseconds`, `memoryMebibytes`, `concurrent`")]
pub(crate) enum ExpressionsConfig {
    /// No wild expressions.
    Off(TameOnlyWord),
    /// Within these limits.
    Limits(LimitsConfig),
}

/// The word that turns wild expressions off.
#[derive(Debug, Clone, Copy, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema, serde::Serialize))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TameOnlyWord {
    TameOnly,
}

/// What one evaluation may use.
#[derive(Debug, Clone, Copy, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema, serde::Serialize))]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(crate) struct LimitsConfig {
    /// Wall-clock time.
    pub timeout_milliseconds: u64,
    /// Memory, beyond what the process starts with.
    pub memory_mebibytes: u64,
    /// How many at a time.
    pub concurrent: usize,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        let limits = Limits::DEFAULT;
        Self {
            timeout_milliseconds: u64::try_from(limits.time().as_millis()).unwrap_or(u64::MAX),
            memory_mebibytes: limits.memory() >> 20,
            concurrent: limits.concurrent(),
        }
    }
}

impl Default for ExpressionsConfig {
    fn default() -> Self {
        Self::Limits(LimitsConfig::default())
    }
}

impl ExpressionsConfig {
    /// The evaluator these settings ask for. One child is started: a machine that can't confine one is told so
    /// now, not by a run.
    pub(crate) async fn evaluator(self) -> Result<Arc<dyn Evaluator>> {
        let Self::Limits(limits) = self else { return Ok(Arc::new(TameOnly)) };
        let limits = Limits::new(limits.timeout_milliseconds, limits.memory_mebibytes, limits.concurrent)
            .context("expressions in the configuration")?;
        let program = Program { path: this_program()?, arguments: vec![COMMAND.to_owned()] };
        let sandbox = Sandbox::new(program, limits);
        let advice =
            "expressions beyond the bounded subset can't be evaluated here; `expressions: tame-only` does without";
        sandbox.prepare().await.context(advice)?;
        Ok(Arc::new(Children(sandbox)))
    }
}

/// This very program, also after its file was replaced by a newer one.
fn this_program() -> Result<PathBuf> {
    let running = Path::new("/proc/self/exe");
    if running.exists() {
        return Ok(running.to_owned());
    }
    std::env::current_exe().context("this program does not know where it is")
}

/// The children as the engine sees them.
struct Children(Arc<Sandbox>);

#[async_trait]
impl Evaluator for Children {
    fn takes_wild(&self) -> bool {
        true
    }

    async fn evaluate(&self, run: &RunId, job: &Job) -> Result<WildOutcome, EvaluatorError> {
        let outcome = self.0.evaluate(run.as_str(), job).await.map_err(|error| EvaluatorError(error.to_string()))?;
        Ok(match outcome {
            Outcome::Answered(answer) => WildOutcome::Evaluated(answer),
            Outcome::Limit(limit) => WildOutcome::Ended(Some(limit.to_owned())),
            Outcome::Broken => WildOutcome::Ended(None),
        })
    }
}
