//! The steps of scenarios, as the kit's guide words them, and a few of our own.
//!
//! Before the run:
//!
//!     Given a workflow with definition:                       the document, below
//!     And given the workflow input is:                        the input, below; `{}` where there is none
//!     When the workflow is executed
//!
//! How it ended; a text below is YAML:
//!
//!     the workflow should complete | fault | be cancelled
//!     the workflow should complete with output:               exactly this
//!     the workflow should fault with error:                   an error with at least these members
//!     the workflow output should have properties 'A', 'B.C'
//!     the workflow output should have a 'A.B' property with value:
//!     the workflow output should have a 'A' property containing N items
//!
//! Which tasks ran (`GET /v1/runs/{run}/tasks`), in the order in which they began; of a task that began more than
//! once the first counts:
//!
//!     TASK should run first | last
//!     TASK should run before | after OTHER
//!     TASK should complete | fault | be cancelled
//!
//! Ours:
//!
//!     the workflow should be rejected                         it is refused when it is applied
//!     the workflow should be rejected because of 'TEXT'       and the answer says that

use super::scenario::yaml;
use gherkin::Scenario;
use serde_json::Value;

/// How a run ended.
pub(crate) struct Ended {
    /// The run as the interface shows it.
    pub(crate) view: Value,
    /// Its output, if it completed.
    pub(crate) output: Option<Value>,
    /// Its tasks in the order in which they began: `{name, state}`.
    pub(crate) tasks: Vec<Value>,
}

/// A scenario, read.
pub(crate) struct Script {
    pub(crate) document: String,
    pub(crate) input: Option<String>,
    pub(crate) claims: Vec<Claim>,
}

/// What a scenario says of the end.
pub(crate) enum Claim {
    Rejected(Option<String>),
    Completes,
    Cancelled,
    Faults,
    CompletesWith(Value),
    FaultsWith(Value),
    Has(Vec<String>),
    Holds(String, Value),
    Counts(String, usize),
    First(String),
    Last(String),
    After(String, String),
    Before(String, String),
    Task(String, &'static str),
}

/// Reads every step; one that nobody knows is an error, not a pass.
pub(crate) fn read(scenario: &Scenario) -> Result<Script, String> {
    let (mut document, mut input, mut claims, mut executed) = (None, None, Vec::new(), false);
    for step in &scenario.steps {
        let text = step.value.trim();
        let doc = || step.docstring.as_deref().map(unmarked).ok_or_else(|| format!("`{text}` has no text below it"));
        match text.strip_prefix("given ").unwrap_or(text) {
            "a workflow with definition:" => document = Some(doc()?),
            "the workflow input is:" => input = Some(doc()?),
            "the workflow is executed" => executed = true,
            claim => claims.push(claim_of(claim, || yaml(&doc()?))?),
        }
    }
    match (document, executed) {
        (Some(document), true) if !claims.is_empty() => Ok(Script { document, input, claims }),
        _ => Err("a scenario defines a workflow, executes it, and claims something".to_owned()),
    }
}

/// The text without the media type that may stand on its first line.
fn unmarked(text: &str) -> String {
    let text = text.trim_start_matches('\n');
    text.strip_prefix("yaml\n").unwrap_or(text).to_owned()
}

fn claim_of(text: &str, doc: impl Fn() -> Result<Value, String>) -> Result<Claim, String> {
    let quoted = |text: &str| text.split('\'').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let first = |text: &str| quoted(text).into_iter().next().ok_or_else(|| format!("`{text}` quotes nothing"));
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.as_slice() {
        ["the", "workflow", "should", "complete"] => Ok(Claim::Completes),
        ["the", "workflow", "should", "be", "cancelled"] => Ok(Claim::Cancelled),
        ["the", "workflow", "should", "fault"] => Ok(Claim::Faults),
        ["the", "workflow", "should", "be", "rejected"] => Ok(Claim::Rejected(None)),
        ["the", "workflow", "should", "be", "rejected", "because", "of", ..] => Ok(Claim::Rejected(Some(first(text)?))),
        ["the", "workflow", "should", "complete", "with", "output:"] => doc().map(Claim::CompletesWith),
        ["the", "workflow", "should", "fault", "with", "error:"] => doc().map(Claim::FaultsWith),
        ["the", "workflow", "output", "should", "have", "properties", ..] => Ok(Claim::Has(quoted(text))),
        ["the", "workflow", "output", "should", "have", "a", .., "with", "value:"] => {
            Ok(Claim::Holds(first(text)?, doc()?))
        }
        ["the", "workflow", "output", "should", "have", "a", .., "containing", count, "items"] => {
            Ok(Claim::Counts(first(text)?, count.parse().map_err(|_| format!("`{count}` is no number"))?))
        }
        [task, "should", "run", "first"] => Ok(Claim::First((*task).to_owned())),
        [task, "should", "run", "last"] => Ok(Claim::Last((*task).to_owned())),
        [task, "should", "run", "after", other] => Ok(Claim::After((*task).to_owned(), (*other).to_owned())),
        [task, "should", "run", "before", other] => Ok(Claim::Before((*task).to_owned(), (*other).to_owned())),
        [task, "should", "complete"] => Ok(Claim::Task((*task).to_owned(), "completed")),
        [task, "should", "fault"] => Ok(Claim::Task((*task).to_owned(), "faulted")),
        [task, "should", "be", "cancelled"] => Ok(Claim::Task((*task).to_owned(), "cancelled")),
        _ => Err(format!("nobody knows the step `{text}`")),
    }
}

impl Claim {
    pub(crate) fn check(&self, ended: &Ended) -> Result<(), String> {
        let state = |wanted: &str| must(ended.view["state"] == wanted, || format!("not {wanted}: {}", ended.view));
        match self {
            Self::Rejected(_) => Err(format!("it was not rejected: {}", ended.view)),
            Self::Completes => state("completed"),
            Self::Cancelled => state("cancelled"),
            Self::Faults => state("faulted"),
            Self::CompletesWith(output) => {
                state("completed")?;
                must(ended.output.as_ref() == Some(output), || {
                    format!("its output is {:?}, not {output}", ended.output)
                })
            }
            Self::FaultsWith(error) => {
                state("faulted")?;
                let found = &ended.view["problem"];
                let wanted = error.as_object().into_iter().flatten();
                let off = wanted.filter(|(key, value)| found.get(key.as_str()) != Some(*value)).count();
                must(off == 0, || format!("its error is {found}, not {error}"))
            }
            Self::Has(paths) => paths.iter().try_for_each(|path| ended.at(path).map(drop)),
            Self::Holds(path, value) => {
                let found = ended.at(path)?;
                must(found == value, || format!("`{path}` is {found}, not {value}"))
            }
            Self::Counts(path, count) => {
                let found = ended.at(path)?;
                must(found.as_array().is_some_and(|items| items.len() == *count), || format!("`{path}` is {found}"))
            }
            Self::First(task) => must(ended.place(task)? == 0, || format!("{task} is not first: {:?}", ended.tasks)),
            Self::Last(task) => {
                must(ended.place(task)? + 1 == ended.tasks.len(), || format!("{task} is not last: {:?}", ended.tasks))
            }
            Self::After(task, other) => must(ended.place(task)? > ended.place(other)?, || {
                format!("{task} is not after {other}: {:?}", ended.tasks)
            }),
            Self::Before(task, other) => must(ended.place(task)? < ended.place(other)?, || {
                format!("{task} is not before {other}: {:?}", ended.tasks)
            }),
            Self::Task(task, wanted) => {
                let found = &ended.tasks[ended.place(task)?]["state"];
                must(found == *wanted, || format!("{task} is {found}, not {wanted}"))
            }
        }
    }
}

impl Script {
    /// What the scenario says of a rejection: nothing, or whether this answer is the one it means.
    pub(crate) fn rejected(&self, answer: &str) -> Option<Result<(), String>> {
        self.claims.iter().find_map(|claim| match claim {
            Claim::Rejected(None) => Some(Ok(())),
            Claim::Rejected(Some(why)) => {
                Some(must(answer.contains(why.as_str()), || format!("nothing of `{why}` in: {answer}")))
            }
            _ => None,
        })
    }
}

impl Ended {
    /// A value of the output by names with dots between.
    fn at(&self, path: &str) -> Result<&Value, String> {
        let output = self.output.as_ref().ok_or_else(|| format!("no output: {}", self.view))?;
        let found = path.split('.').try_fold(output, |value, name| value.get(name));
        found.ok_or_else(|| format!("the output has no `{path}`: {output}"))
    }

    /// Where a task stands in the order of the run.
    fn place(&self, task: &str) -> Result<usize, String> {
        let found = self.tasks.iter().position(|ran| ran["name"] == task);
        found.ok_or_else(|| format!("{task} did not run: {:?}", self.tasks))
    }
}

fn must(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}
