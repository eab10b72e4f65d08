//! A Worker version with everything it is pinned to, ready to run.

use crate::header::FunctionPin;
use crate::review::{AUDIENCE, Asking};
use crate::{EngineError, Ports};
use mandate_directory::{
    ConnectionSpec, CredentialSpec, Endpoint, FunctionSpec, GrantSpec, Target, WorkerSpec, grant_name,
};
use mandate_flow::Program;
use mandate_gate::Effect;
use mandate_identity::Audience;
use mandate_journal::{ResourceRecord, TenantStore};
use mandate_kernel::{Class, Digest, Environment, FunctionName, ResourceName, canonical_json};
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One function of a pinned Worker.
#[derive(Clone)]
pub(crate) struct PinnedFunction {
    pub spec: Arc<FunctionSpec>,
    pub pin: FunctionPin,
    pub effect: Arc<dyn Effect>,
    /// Where it is, for functions over a connection.
    connection: Option<Arc<ConnectionSpec>>,
    /// What its slot is bound to, and the owner's grant. Read when the run begins and again after each
    /// change of the tenant's configuration: these are not pinned, their owners may change them at
    /// any time.
    pub credential: Option<BoundCredential>,
}

impl PinnedFunction {
    /// Where it is in an environment, for functions over a connection.
    pub(crate) fn endpoint(&self, environment: &Environment) -> Option<&Endpoint> {
        self.connection.as_ref()?.environments.get(environment)
    }
}

/// A credential bound to a function's slot.
#[derive(Clone)]
pub(crate) struct BoundCredential {
    pub name: ResourceName,
    pub spec: CredentialSpec,
    pub version: u32,
    pub grant: Option<(String, GrantSpec)>,
}

/// A Worker version and its functions.
#[derive(Clone)]
pub(crate) struct Pinned {
    pub worker: ResourceName,
    pub version: Digest,
    pub spec: Arc<WorkerSpec>,
    pub program: Arc<Program>,
    pub functions: BTreeMap<FunctionName, PinnedFunction>,
}

/// Which versions to take.
pub(crate) enum Versions<'a> {
    /// The current ones: a run begins.
    Current,
    /// These: a run goes on.
    Pinned(&'a BTreeMap<FunctionName, FunctionPin>),
}

impl Pinned {
    /// Loads a Worker version with its functions.
    pub(crate) async fn load(
        ports: &Ports,
        store: &dyn TenantStore,
        record: &ResourceRecord,
        versions: Versions<'_>,
    ) -> Result<Self, EngineError> {
        let spec: WorkerSpec = read(record)?;
        let worker = ResourceName::new(record.name.clone()).map_err(|e| EngineError::Inconsistent(e.to_string()))?;
        let program = Program::from_json(spec.document.clone())
            .map_err(|e| EngineError::Inconsistent(format!("Worker {worker} does not compile: {e}")))?;
        let mut functions = BTreeMap::new();
        for name in &spec.functions {
            let resource = name.in_project(&worker.project());
            let pin = match &versions {
                Versions::Current => None,
                Versions::Pinned(pins) => Some(pins.get(name).ok_or_else(|| {
                    EngineError::Inconsistent(format!("function {name} is not among the run's pinned versions"))
                })?),
            };
            let function = load_function(ports, store, name, &resource, pin).await?;
            functions.insert(name.clone(), function);
        }
        let mut pinned =
            Self { worker, version: record.digest, spec: Arc::new(spec), program: Arc::new(program), functions };
        pinned.refresh_credentials(store).await?;
        Ok(pinned)
    }

    /// Reads bound credentials and their grants again.
    pub(crate) async fn refresh_credentials(&mut self, store: &dyn TenantStore) -> Result<(), EngineError> {
        let spec = Arc::clone(&self.spec);
        for (function, name) in &spec.bindings {
            let Some(entry) = self.functions.get_mut(function) else { continue };
            entry.credential = load_credential(store, &self.worker, function, name).await?;
        }
        Ok(())
    }

    /// The class of a run: the maximum of what the Worker declares and what its functions imply.
    pub(crate) fn class(&self) -> Class {
        self.functions.values().fold(self.spec.class.clone(), |class, f| class.max(&f.spec.class))
    }

    /// A function whose system nobody connected in this environment.
    pub(crate) fn unconnected(&self, environment: &Environment) -> Option<&FunctionName> {
        let is_missing = |function: &PinnedFunction| {
            function.connection.as_ref().is_some_and(|connection| !connection.environments.contains_key(environment))
        };
        self.functions.iter().find(|(_, function)| is_missing(function)).map(|(name, _)| name)
    }

    /// The receivers its functions address in an environment: no run needs authority at others.
    pub(crate) fn audiences(&self, environment: &Environment) -> BTreeSet<Audience> {
        let of = |function: &PinnedFunction| match &function.spec.target {
            Target::Local(local) => Audience::new(format!("urn:mandate:local:{}", local.name)).ok(),
            Target::Review(_) => Audience::new(AUDIENCE).ok(),
            Target::Http(_) | Target::Call(_) | Target::Model(_) | Target::Mail(_) => {
                function.connection.as_ref()?.environments.get(environment)?.audience.clone()
            }
        };
        self.functions.values().filter_map(of).collect()
    }

    pub(crate) fn pins(&self) -> BTreeMap<FunctionName, FunctionPin> {
        self.functions.iter().map(|(name, f)| (name.clone(), f.pin.clone())).collect()
    }
}

async fn load_function(
    ports: &Ports,
    store: &dyn TenantStore,
    name: &FunctionName,
    resource: &ResourceName,
    pin: Option<&FunctionPin>,
) -> Result<PinnedFunction, EngineError> {
    let record = by_pin(store, "Function", resource, pin.map(|p| &p.function)).await?;
    let spec: FunctionSpec = read(&record)?;
    let connection = match spec.target.connection() {
        None => None,
        Some(connection) => {
            let connection = ResourceName::new(format!("{}/{connection}", resource.project()))
                .map_err(|e| EngineError::Inconsistent(e.to_string()))?;
            Some(by_pin(store, "Connection", &connection, pin.and_then(|p| p.connection.as_ref())).await?)
        }
    };
    let connection_spec: Option<ConnectionSpec> = connection.as_ref().map(read).transpose()?;
    let effect = match &spec.target {
        Target::Review(_) => Arc::new(Asking),
        _ => ports
            .effects
            .effect(name, &spec, connection_spec.as_ref())
            .map_err(|why| EngineError::Inconsistent(format!("function {resource}: {why}")))?,
    };
    let pin = FunctionPin { function: record.digest, connection: connection.map(|c| c.digest) };
    Ok(PinnedFunction {
        spec: Arc::new(spec),
        pin,
        effect,
        connection: connection_spec.map(Arc::new),
        credential: None,
    })
}

async fn load_credential(
    store: &dyn TenantStore,
    worker: &ResourceName,
    function: &FunctionName,
    name: &ResourceName,
) -> Result<Option<BoundCredential>, EngineError> {
    // A binding to a credential that is gone is an unbound slot: the gate refuses, and says so.
    let Some(record) = store.resource("Credential", name.as_str()).await? else { return Ok(None) };
    let version = store.secret("credential", name.as_str(), None).await?.map_or(0, |secret| secret.version);
    let grant_name = grant_name(name, worker, function);
    let grant = store.resource("Grant", &grant_name).await?.map(|r| read(&r)).transpose()?;
    Ok(Some(BoundCredential {
        name: name.clone(),
        spec: read(&record)?,
        version,
        grant: grant.map(|g| (grant_name, g)),
    }))
}

async fn by_pin(
    store: &dyn TenantStore,
    kind: &str,
    name: &ResourceName,
    digest: Option<&Digest>,
) -> Result<ResourceRecord, EngineError> {
    let found = match digest {
        None => store.resource(kind, name.as_str()).await?,
        Some(digest) => store.resource_by_digest(kind, name.as_str(), digest).await?,
    };
    found.ok_or_else(|| EngineError::Absent(format!("{kind} {name}")))
}

/// What a record holds, if that is what its digest was recorded for.
pub(crate) fn read<T: DeserializeOwned>(record: &ResourceRecord) -> Result<T, EngineError> {
    if Digest::of(&canonical_json(&record.spec)?) != record.digest {
        let why = format!("{} {} does not fit its digest: somebody changed the database", record.kind, record.name);
        return Err(EngineError::Inconsistent(why));
    }
    serde_json::from_value(record.spec.clone())
        .map_err(|e| EngineError::Inconsistent(format!("{} {} can't be read: {e}", record.kind, record.name)))
}

/// Current Workers as they were last loaded, each with the revocation sequence it was loaded at. Every
/// change of configuration raises that sequence, so what is found at the present one is current.
#[derive(Default)]
pub(crate) struct CurrentWorkers(Mutex<BTreeMap<ResourceName, (u64, Pinned)>>);

/// Workers kept; beyond that the cache begins anew.
const MAX_KEPT: usize = 256;

impl CurrentWorkers {
    /// The current version of a Worker; `None` when there is none of that name.
    pub(crate) async fn find(
        &self,
        ports: &Ports,
        store: &dyn TenantStore,
        name: &ResourceName,
    ) -> Result<Option<Pinned>, EngineError> {
        let now = store.standing(&[]).await?.revocations;
        let kept = self.kept().get(name).filter(|(at, _)| *at == now).map(|(_, pinned)| pinned.clone());
        if kept.is_some() {
            return Ok(kept);
        }
        let Some(record) = store.resource("Worker", name.as_str()).await? else { return Ok(None) };
        let pinned = Pinned::load(ports, store, &record, Versions::Current).await?;
        let mut all = self.kept();
        if all.len() >= MAX_KEPT {
            all.clear();
        }
        all.insert(name.clone(), (now, pinned.clone()));
        Ok(Some(pinned))
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<ResourceName, (u64, Pinned)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
