//! The permission table: what each role may do, found by asking the built-in policies.

use crate::{
    ApprovalFacts, Facts, FactsNeeded, PolicyErrors, PolicySet, Question, ROLES, Resource, RunFacts, StepFacts,
};
use mandate_kernel::{
    Action, Attempt, Class, Digest, EffectClass, Environment, FunctionName, IdentityModel, Impact, Labels, NameError,
    Principal, PrincipalKind, StepSeq, Tenant,
};
use serde_json::json;
use std::{collections::BTreeSet, fmt::Write as _};

/// Why the table could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The built-in policies don't compile.
    #[error("the built-in policies don't compile: {0}")]
    Policies(#[from] PolicyErrors),
    /// A name used as an example is not valid.
    #[error(transparent)]
    Name(#[from] NameError),
}

/// Columns beside those of the roles.
const WORKER: &str = "worker";
const STRANGER: &str = "stranger";
const FOREIGN: &str = "foreign-admin";

/// A row for each action, a column for each role held alone, then a Worker without a role, a user of
/// the tenant without a role, and a user of another tenant with all roles. A cell is `allow`, `-`, or
/// `if` when it depends on further facts: whose run it is, whether the step is within its authority.
///
/// # Errors
/// [`TableError`], never with policies that compile.
pub fn role_table() -> Result<String, TableError> {
    let set = PolicySet::compile(&[])?;
    let columns: Vec<&str> = ROLES.iter().copied().chain([WORKER, STRANGER, FOREIGN]).collect();
    let mut table = format!("{:<12}{:<18}", "resource", "action");
    for column in &columns {
        let _ = write!(table, "{column:<18}");
    }
    let mut table = format!("{}\n", table.trim_end());
    for action in Action::ALL {
        let mut row = format!("{:<12}{:<18}", action.resource_kind().as_str(), action.as_str());
        for column in &columns {
            let _ = write!(row, "{:<18}", cell(&set, *action, column)?);
        }
        table.push_str(row.trim_end());
        table.push('\n');
    }
    Ok(table)
}

fn cell(set: &PolicySet, action: Action, column: &str) -> Result<&'static str, NameError> {
    let mut allowed = BTreeSet::new();
    for own_run in [true, false] {
        for within in [true, false] {
            allowed.insert(set.decide(&question(action, column, own_run, within)?).is_allow());
        }
    }
    Ok(match (allowed.contains(&true), allowed.contains(&false)) {
        (true, false) => "allow",
        (true, true) => "if",
        (false, _) => "-",
    })
}

fn question(action: Action, column: &str, own_run: bool, within: bool) -> Result<Question, NameError> {
    let tenant = Tenant::new("home")?;
    let principal = match column {
        WORKER => Principal { kind: PrincipalKind::Worker, tenant: tenant.clone(), name: "project/worker".into() },
        FOREIGN => Principal::user(Tenant::new("abroad")?, "someone"),
        _ => Principal::user(tenant.clone(), "someone"),
    };
    let roles: Vec<&str> = match column {
        WORKER | STRANGER => Vec::new(),
        FOREIGN => ROLES.to_vec(),
        role => vec![role],
    };
    let class = Class { impact: Impact::ActionTaking, ..Class::default() };
    let initiator = if own_run { principal.clone() } else { Principal::user(tenant.clone(), "someone-else") };
    let run = RunFacts { initiator, environment: Environment::new("sandbox")?, purpose: "to see".into(), class };
    let needed = FactsNeeded::by(action);
    let step = if needed == FactsNeeded::Step { Some(Box::new(step(within)?)) } else { None };
    let approval = (needed == FactsNeeded::Approval)
        .then(|| Ok::<_, NameError>(ApprovalFacts { asked: within, function: FunctionName::new("thing")? }))
        .transpose()?;
    Ok(Question {
        principal,
        groups: BTreeSet::new(),
        action,
        resource: Resource {
            kind: action.resource_kind(),
            name: "project/thing".into(),
            project: None,
            tenant,
            class: Class::default(),
            worker: None,
        },
        facts: Facts {
            roles: roles.into_iter().map(str::to_owned).collect(),
            passed_gates: BTreeSet::new(),
            run: (needed != FactsNeeded::Plain).then_some(run),
            step,
            approval,
        },
    })
}

fn step(within: bool) -> Result<StepFacts, NameError> {
    Ok(StepFacts {
        function: FunctionName::new("thing")?,
        effect: EffectClass::Idempotent,
        identity_model: IdentityModel::Delegated,
        worker_digest: Digest::of(b"worker"),
        destination: None,
        credential: None,
        arguments: json!({}),
        labels: Labels::default(),
        scopes: BTreeSet::new(),
        seq: StepSeq(1),
        attempt: Attempt(1),
        function_allowed: within,
        environment_matches: true,
        authority_covers: within,
        grant: false,
    })
}
