//! What can be known to be wrong before anything runs: names that lead nowhere, functions a document
//! calls but the manifest does not list, slots without a credential, policies that don't compile.

use super::Actor;
use super::apply::Planned;
use crate::Problem;
use mandate_directory::{ConnectionSpec, FunctionSpec, Kind, PolicySpec, Protocol, Spec, Target, WorkerSpec};
use mandate_engine::{Engine, Target as EngineTarget, TenantContext};
use mandate_flow::{DescribedCall, Need, Program};
use mandate_kernel::{Action, FunctionName, IdentityModel, ResourceName};
use mandate_policy::{PolicySet, PolicySource};
use serde::de::DeserializeOwned;

/// Checks every manifest against the others and what is stored.
pub(super) async fn all(
    engine: &Engine,
    context: &TenantContext,
    by: Actor<'_>,
    planned: &[Planned],
) -> Result<(), Problem> {
    let house = House { engine, context, by, planned };
    let mut problem = Problem::invalid("invalid-manifest", "some manifests are not valid; nothing was applied");
    for plan in planned {
        let found = match &plan.spec {
            Spec::Worker(worker) => house.worker(plan, worker).await?,
            Spec::Function(function) => house.function(&plan.manifest.metadata.name, function).await?,
            Spec::Credential(credential) => match credential.check() {
                Ok(()) => Vec::new(),
                Err((pointer, why)) => vec![("invalid-manifest", format!("/spec{pointer}"), why)],
            },
            Spec::Connection(connection) => match connection.check() {
                Ok(()) => Vec::new(),
                Err((pointer, why)) => vec![("invalid-connection", format!("/spec{pointer}"), why)],
            },
            _ => Vec::new(),
        };
        for (code, pointer, message) in found {
            problem.type_ = format!("https://mandate.dev/problems/{code}");
            problem = problem.error(format!("/manifests/{}{pointer}", plan.at), message);
        }
    }
    if problem.errors.is_empty() {
        return house.policies().await;
    }
    Err(problem)
}

/// The shortest authority a run can do anything with, in seconds.
const MIN_AUTHORITY: u64 = 60;
/// The longest: 30 days.
const MAX_AUTHORITY: u64 = 30 * 24 * 3600;

/// A finding: problem code, JSON pointer within the manifest, message.
pub(super) type Finding = (&'static str, String, String);

pub(super) struct House<'a> {
    engine: &'a Engine,
    by: Actor<'a>,
    context: &'a TenantContext,
    planned: &'a [Planned],
}

impl House<'_> {
    /// A resource as it will be: from this request, or from the store.
    pub(super) async fn find<T: DeserializeOwned>(
        &self,
        kind: Kind,
        name: &ResourceName,
    ) -> Result<Option<T>, Problem> {
        let here = self.planned.iter().find(|p| p.manifest.kind == kind && p.manifest.metadata.name == *name);
        let content = match here {
            Some(plan) => Some(plan.content.clone()),
            None => self.context.store().resource(kind.as_str(), name.as_str()).await?.map(|r| r.spec),
        };
        Ok(content.and_then(|content| serde_json::from_value(content).ok()))
    }

    /// Whether whoever applies may know of a credential. To others it does not exist.
    pub(super) async fn sees(&self, credential: &ResourceName) -> Result<bool, Problem> {
        match self.by {
            Actor::Bootstrap => Ok(true),
            Actor::Caller(caller) => {
                let target = EngineTarget::Credential(credential);
                Ok(self.engine.may(self.context, caller, Action::CredentialView, &target).await?)
            }
        }
    }

    async fn worker(&self, plan: &Planned, worker: &WorkerSpec) -> Result<Vec<Finding>, Problem> {
        let name = &plan.manifest.metadata.name;
        // Who edits a Worker may keep what is bound already, also without seeing the credential.
        let before = plan.held.as_ref().and_then(|held| serde_json::from_value::<WorkerSpec>(held.spec.clone()).ok());
        let bound = before.map(|before| before.bindings).unwrap_or_default();
        let mut found = Vec::new();
        if !worker.environments.contains(&worker.default_environment) {
            let message =
                format!("the default environment {} is not among its environments", worker.default_environment);
            found.push(("invalid-worker", "/spec/defaultEnvironment".to_owned(), message));
        }
        if !(MIN_AUTHORITY..=MAX_AUTHORITY).contains(&worker.authority_seconds) {
            let message = format!("a run's authority lasts {MIN_AUTHORITY} to {MAX_AUTHORITY} seconds");
            found.push(("invalid-worker", "/spec/authoritySeconds".to_owned(), message));
        }
        match compiled(worker.document.clone()).await {
            Ok(program) => {
                for function in program.functions().difference(&worker.functions) {
                    if self.stands_for(name, worker, function).await? {
                        continue;
                    }
                    let message = format!("the document calls {function}, which spec.functions does not list");
                    found.push(("function-not-listed", "/spec/functions".to_owned(), message));
                }
                if let Some(wild) = program.wild()
                    && !self.engine.ports().evaluator.takes_wild()
                {
                    for place in wild.as_slice() {
                        let message = format!(
                            "{}, which is turned off here (`expressions: tame-only`); compute it in several tasks",
                            place.message
                        );
                        found.push(("wild-expression", format!("/spec/document{}", place.pointer), message));
                    }
                }
                found.extend(not_run(self.engine, &program));
                found.extend(self.authenticated(name, worker, &program).await?);
                found.extend(self.described(name, worker, &program).await?);
            }
            Err(diagnostics) => {
                for diagnostic in diagnostics.as_slice() {
                    found.push((
                        "invalid-worker",
                        format!("/spec/document{}", diagnostic.pointer),
                        diagnostic.message.clone(),
                    ));
                }
            }
        }
        for function in &worker.functions {
            found.extend(self.called(name, worker, function).await?);
        }
        for (function, credential) in &worker.bindings {
            let exists = self.find::<serde_json::Value>(Kind::Credential, credential).await?.is_some()
                && (bound.get(function) == Some(credential) || self.sees(credential).await?);
            if !exists {
                let message = format!("{function} is bound to credential {credential}, which does not exist");
                found.push(("unknown-credential", format!("/spec/bindings/{function}"), message));
            }
        }
        for (secret, credential) in &worker.secrets {
            // It goes nowhere but through a binding, whose credential was looked at above.
            if !worker.bindings.values().any(|bound| bound == credential) {
                let message = format!("the secret {secret} is credential {credential}, which no function is bound to");
                found.push(("slot-unbound", format!("/spec/secrets/{secret}"), message));
            }
        }
        Ok(found)
    }

    /// Whether one of the Worker's functions stands for a protocol that the document calls by its name.
    async fn stands_for(
        &self,
        worker: &ResourceName,
        spec: &WorkerSpec,
        called: &FunctionName,
    ) -> Result<bool, Problem> {
        for function in &spec.functions {
            let resource = function.in_project(&worker.project());
            let declared = self.find::<FunctionSpec>(Kind::Function, &resource).await?;
            if let Some(Target::Call(call)) = declared.map(|declared| declared.target)
                && call.protocol.as_str() == called.as_str()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Every `call: openapi` names an operation that one of the Worker's functions describes.
    async fn described(
        &self,
        worker: &ResourceName,
        spec: &WorkerSpec,
        program: &Program,
    ) -> Result<Vec<Finding>, Problem> {
        let mut targets = Vec::new();
        for function in program.described_calls().first().into_iter().flat_map(|_| &spec.functions) {
            let declared = self.find::<FunctionSpec>(Kind::Function, &function.in_project(&worker.project())).await?;
            if let Some(Target::Call(call)) = declared.map(|declared| declared.target) {
                targets.push(call);
            }
        }
        let wrong = |call: &DescribedCall| {
            let described: Vec<_> = targets
                .iter()
                .filter_map(|t| {
                    Some((t, t.document.as_ref().filter(|d| t.protocol == Protocol::Openapi && d.uri == call.uri)?))
                })
                .collect();
            let why = match described.first() {
                None => "no function of this Worker has this description; register one with `target.call`".to_owned(),
                Some((_, description)) => match description.operation(&call.operation) {
                    Err(why) => why,
                    Ok(found) if described.iter().any(|(target, _)| target.methods.contains(&found.method)) => {
                        return None;
                    }
                    Ok(found) => format!("no function with this description may use {}", found.method.as_str()),
                },
            };
            Some(("invalid-worker", format!("/spec/document{}", call.pointer), why))
        };
        Ok(program.described_calls().iter().filter_map(wrong).collect())
    }

    /// A function the Worker may call: it exists, and its slot is bound.
    async fn called(
        &self,
        worker: &ResourceName,
        spec: &WorkerSpec,
        function: &FunctionName,
    ) -> Result<Vec<Finding>, Problem> {
        let resource = function.in_project(&worker.project());
        let Some(declared) = self.find::<FunctionSpec>(Kind::Function, &resource).await? else {
            let message = format!("function {resource} does not exist; apply it first or in the same request");
            return Ok(vec![("unknown-function", "/spec/functions".to_owned(), message)]);
        };
        let Some(connection) = declared.target.connection() else { return Ok(Vec::new()) };
        let Ok(connection) = ResourceName::new(format!("{}/{connection}", worker.project())) else {
            return Ok(Vec::new());
        };
        let slot = self.find::<ConnectionSpec>(Kind::Connection, &connection).await?.and_then(|c| c.slot);
        if slot.is_some() && !spec.bindings.contains_key(function) {
            let message = format!("{function} needs a credential for the slot of connection {connection}; bind one");
            return Ok(vec![("slot-unbound", "/spec/bindings".to_owned(), message)]);
        }
        Ok(Vec::new())
    }

    async fn function(&self, name: &ResourceName, function: &FunctionSpec) -> Result<Vec<Finding>, Problem> {
        let Some(called) = function.target.connection() else { return Ok(Vec::new()) };
        let pointer = || format!("/spec/target/{}/connection", function.target.as_str());
        let Ok(connection) = ResourceName::new(format!("{}/{called}", name.project())) else {
            return Ok(vec![("unknown-connection", pointer(), format!("`{called}` is not a connection's name"))]);
        };
        let Some(held) = self.find::<ConnectionSpec>(Kind::Connection, &connection).await? else {
            return Ok(vec![("unknown-connection", pointer(), format!("connection {connection} does not exist"))]);
        };
        let mut found = Vec::new();
        if let Err((pointer, why)) = self.pinned(function).await {
            found.push(("invalid-manifest", format!("/spec{pointer}"), why));
        }
        if held.is_mail() != matches!(function.target, Target::Mail(_)) {
            let message =
                format!("connection {connection} does not speak what a {} target needs", function.target.as_str());
            found.push(("connection-kind", pointer(), message));
        }
        match function.model {
            IdentityModel::ServiceAccount if held.slot.is_none() => found.push((
                "slot-missing",
                "/spec/model".to_owned(),
                format!(
                    "a service-account function uses a credential, but connection {connection} has no slot for one"
                ),
            )),
            IdentityModel::ServiceAccount => {}
            IdentityModel::UserPassthrough if !self.engine.allows(Need::CallerSuppliedCredentials) => {
                let switch = Need::CallerSuppliedCredentials.switch();
                let message =
                    format!("identity model {} needs `{switch}`, which the operator has not turned on", function.model);
                found.push(("switched-off", "/spec/model".to_owned(), message));
            }
            IdentityModel::UserPassthrough if held.slot.is_some() => {
                let message =
                    format!("the caller supplies the credential, and connection {connection} has a slot for another");
                found.push(("connection-kind", pointer(), message));
            }
            IdentityModel::Delegated | IdentityModel::WorkflowBound | IdentityModel::UserPassthrough => {
                for (environment, _) in held.environments.iter().filter(|(_, endpoint)| endpoint.audience.is_none()) {
                    let message = format!(
                        "a {} function needs an audience, and connection {connection} names none in {environment}",
                        function.model
                    );
                    found.push(("no-audience", "/spec/model".to_owned(), message));
                }
            }
            IdentityModel::StepUp => found.push((
                "model-not-supported",
                "/spec/model".to_owned(),
                format!(
                    "identity model {} is not supported yet; use delegated, workflow-bound or service-account",
                    function.model
                ),
            )),
        }
        Ok(found)
    }

    /// Whether what the function pins can be read. A long document takes its time, so beside the runtime's threads.
    async fn pinned(&self, function: &FunctionSpec) -> Result<(), (String, String)> {
        let (effects, function) = (std::sync::Arc::clone(&self.engine.ports().effects), function.clone());
        let checked = tokio::task::spawn_blocking(move || effects.check(&function)).await;
        checked.unwrap_or_else(|_| Err(("/target".to_owned(), "what it pins can't be read".to_owned())))
    }

    /// The tenant's policies as they will be: they compile together, and leave whoever applies them able
    /// to mend them.
    async fn policies(&self) -> Result<(), Problem> {
        let mut changed = self.planned.iter().filter(|plan| plan.manifest.kind == Kind::Policy);
        let Some(first) = changed.next() else { return Ok(()) };
        let mut problem = Problem::invalid("invalid-policy", "a policy does not compile; nothing was applied");
        let mut sources = Vec::new();
        let replaced = |name: &str| {
            self.planned.iter().any(|p| p.manifest.kind == Kind::Policy && p.manifest.metadata.name.as_str() == name)
        };
        for record in self.context.store().resources(Kind::Policy.as_str()).await? {
            if !replaced(&record.name)
                && let Ok(spec) = serde_json::from_value::<PolicySpec>(record.spec)
            {
                sources.push(PolicySource::new(spec.source_name(&record.name), spec.text));
            }
        }
        let mut files = Vec::new();
        for plan in self.planned {
            if let Spec::Policy(policy) = &plan.spec {
                let name = policy.source_name(plan.manifest.metadata.name.as_str());
                files.push((name.clone(), plan.at));
                sources.push(PolicySource::new(name, policy.text.clone()));
            }
        }
        let set = match PolicySet::compile(&sources) {
            Ok(set) => set,
            Err(errors) => {
                for error in errors.0 {
                    let at = files.iter().find(|(file, _)| *file == error.file).map_or(0, |(_, at)| *at);
                    let message = format!("{}:{}:{}: {}", error.file, error.line, error.column, error.message);
                    problem = problem.error(format!("/manifests/{at}/spec/text"), message);
                }
                return Err(problem);
            }
        };
        let name = &first.manifest.metadata.name;
        match self.by {
            Actor::Caller(caller) if !self.engine.may_still_edit_policies(self.context, caller, &set, name).await? => {
                let detail = "with these policies you could not change policies any more: they forbid it, or fail to evaluate; nothing was applied";
                Err(Problem::invalid("would-lock-out", detail)
                    .error(format!("/manifests/{}/spec/text", first.at), "it would lock you out"))
            }
            _ => Ok(()),
        }
    }
}

/// What a document has and no run would do: said here, not when it runs.
fn not_run(engine: &Engine, program: &Program) -> Vec<Finding> {
    let switches = program.needs().iter().filter(|need| !engine.allows(**need)).map(|need| {
        let switch = need.switch();
        let message = format!(
            "the document needs `{switch}`, which the operator has not turned on (`allow: [{switch}]` in the server's configuration, `--allow {switch}` of `mandate dev`)"
        );
        ("switched-off", "/spec/document".to_owned(), message)
    });
    let later = program.not_performed().into_iter().map(|(pointer, what)| {
        ("invalid-worker", format!("/spec/document{pointer}"), format!("{what} is not performed by this version yet"))
    });
    switches.chain(later).collect()
}

/// Compiles a document beside the runtime's own threads: a large one takes its time.
async fn compiled(document: serde_json::Value) -> Result<Program, mandate_flow::Diagnostics> {
    match tokio::task::spawn_blocking(move || Program::from_json(document)).await {
        Ok(result) => result,
        // The compiler itself failed on it: nothing that can be run.
        Err(_) => Program::from_json(serde_json::Value::Null),
    }
}
