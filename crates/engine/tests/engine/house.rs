//! One tenant with a Worker, its functions and its people.

use mandate_directory::{GrantSpec, grant_name};
use mandate_engine::{Engine, StartError, StartRequest, Started, Target, TenantContext};
use mandate_gate::{Access, Permit};
use mandate_journal::{Change, EpochKey, JournalEvent, ResourceWrite, RunRecord};
use mandate_kernel::{
    Action, Caller, Digest, Duration, FunctionName, Principal, ResourceName, RunId, Secret, Tenant, Timestamp,
    canonical_json,
};
use mandate_ledger::{Entry, Event, EventKind, TrustAnchor};
use mandate_testkit::World;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(crate) const WORKER: &str = "house/worker";
pub(crate) const KEY: &str = "house/key";

pub(crate) fn tenant() -> Tenant {
    Tenant::new("demo").unwrap()
}

pub(crate) fn person(name: &str) -> Caller {
    Caller::new(Principal::user(tenant(), name), BTreeSet::new())
}

/// Who runs and owns the Worker.
pub(crate) fn alice() -> Caller {
    person("alice")
}

pub(crate) fn function(effect: &str, receiver: &str, arguments: &[(&str, &str)]) -> Value {
    let arguments: BTreeMap<_, _> = arguments.iter().map(|(name, of)| (*name, json!({"type": of}))).collect();
    let service = receiver == "write";
    json!({
        "effect": effect,
        "model": if service { "service-account" } else { "delegated" },
        "legacy": service,
        "scopes": if service { json!([]) } else { json!(["sim.use"]) },
        "class": {"impact": if effect == "read" { "read-only" } else { "action-taking" }},
        "arguments": arguments,
        "returns": {"confidentiality": "internal", "integrity": "authoritative"},
        "retry": {"attempts": 3, "firstDelayMs": 250, "maxDelayMs": 30_000},
        "timeoutMs": 5_000,
        "target": {"local": {"name": receiver, "credential": service}},
    })
}

fn document(tasks: &Value) -> Value {
    json!({
        "document": {"dsl": "1.0.3", "namespace": "house", "name": "worker", "version": "1.0.0"},
        "do": tasks,
    })
}

/// A Worker of these tasks.
pub(crate) fn worker(tasks: &Value) -> Value {
    json!({
        "document": document(tasks),
        "class": {"impact": "action-taking", "data": ["internal"]},
        "environments": ["sandbox"],
        "defaultEnvironment": "sandbox",
        "functions": ["sim.read", "sim.once", "sim.write"],
        "bindings": {"sim.write": KEY},
        "artifact": {"name": "result", "mediaType": "application/json"},
    })
}

pub(crate) fn call(name: &str, function: &str, with: &Value) -> Value {
    json!({name: {"call": function, "with": with, "output": {"as": format!("${{ $input + {{ {name}: . }} }}")}}})
}

/// A read, a loop of reads, a once that may fail inside a `try`, a pause, a choice, and a write.
pub(crate) fn small_worker() -> Value {
    let act = json!({"act": {
        "call": "sim.once", "with": {"n": "${ .sum }"}, "output": {"as": "${ $input + { acted: .done } }"},
    }});
    worker(&json!([
        {"look": {"call": "sim.read", "with": {"n": "${ .n }"}, "output": {"as": "${ $input + { rows: .rows, sum: 0 } }"}}},
        {"each": {"for": {"each": "row", "in": "${ .rows }"}, "do": [
            {"again": {"call": "sim.read", "with": {"n": "${ $row }"}, "output": {"as": "${ $input + { sum: ($input.sum + .n) } }"}}},
        ]}},
        {"attempt": {"try": [act], "catch": {
            "errors": {"with": {"type": "https://open-workflow-specification.org/spec/1.0.0/errors/communication"}},
            "do": [{"note": {"set": "${ . + { acted: false } }"}}],
        }}},
        {"pause": {"wait": {"seconds": 30}}},
        {"choose": {"switch": [{"many": {"when": "${ .sum > 2 }", "then": "large"}}, {"few": {"then": "little"}}]}},
        {"large": {"set": "${ . + { size: \"large\" } }", "then": "publish"}},
        {"little": {"set": "${ . + { size: \"little\" } }", "then": "publish"}},
        {"publish": {
            "call": "sim.write", "with": {"n": "${ .sum }", "size": "${ .size }"},
            "output": {"as": "${ $input + { published: .ok } }"},
        }},
    ]))
}

/// Two effects side by side, a competition that cuts one off, and a pause beside a write, under a timeout.
pub(crate) fn forked_worker() -> Value {
    let fork = |compete: bool, branches: Value| json!({"fork": {"compete": compete, "branches": branches}});
    let read = |n: Value| json!({"call": "sim.read", "with": {"n": n}});
    let once = json!({"call": "sim.once", "with": {"n": 2}});
    let write = json!({"call": "sim.write", "with": {"n": 1, "size": "s"}});
    let mut last = fork(false, json!([{"pause": {"wait": {"seconds": 7}}}, {"publish": write}]));
    last["timeout"] = json!({"after": {"minutes": 20}});
    worker(&json!([
        {"both": fork(false, json!([
            {"act": {"try": [{"once": once}], "catch": {"do": [{"note": {"set": {"acted": false}}}]}}},
            {"look": {"do": [{"first": read(json!(1))}, {"second": read(json!("${ .n }"))}]}},
        ]))},
        {"race": fork(true, json!([
            {"quick": read(json!(3))},
            {"slow": {"do": [{"wait": {"wait": {"seconds": 4}}}, {"act": once}]}},
        ]))},
        {"last": last},
        {"end": {"set": {"published": "${ .[1].ok }"}}},
    ]))
}

/// A world in which the tenant is set up, and nothing has run yet.
pub(crate) fn world(seed: u64, worker: &Value) -> World {
    let world = World::new(seed);
    world.effects.answers("read", |arguments| json!({"rows": [1, 2], "n": arguments["n"]}));
    world.effects.answers("once", |_| json!({"done": true}));
    world.effects.answers("write", |_| json!({"ok": true}));
    let anchor = world.process(async |engine| {
        let context = engine.open_tenant(&tenant()).await.unwrap();
        set_up(&context, worker).await;
        give_grant(&context).await;
        anchor(&world, &context).await
    });
    world.witness.trust(anchor.done());
    world.faults.forget();
    world
}

pub(crate) async fn anchor(world: &World, context: &TenantContext) -> TrustAnchor {
    let tenants = BTreeMap::from([(tenant(), context.anchor().await.unwrap())]);
    TrustAnchor::new(vec![world.witness.key().clone()], 1, tenants).unwrap()
}

async fn set_up(context: &TenantContext, worker: &Value) {
    let role = |who: &str, role: &str, on: Value| json!({"subjects": [format!("user:{who}")], "role": role, "on": on});
    let project = json!({"project": "house"});
    let write = [("n", "number"), ("size", "string")];
    for (kind, name, spec) in [
        ("Function", "house/sim.read", function("read", "read", &[("n", "number")])),
        ("Function", "house/sim.once", function("once", "once", &[("n", "number")])),
        ("Function", "house/sim.write", function("idempotent", "write", &write)),
        ("Worker", WORKER, worker.clone()),
        ("RoleBinding", "house/owners", role("alice", "owner", project.clone())),
        ("RoleBinding", "house/viewers", role("carol", "viewer", project)),
        (
            "Entitlement",
            "house/alice",
            json!({
                "subjects": ["user:alice"], "environments": ["sandbox"], "scopes": ["sim.use"],
                "audiences": ["urn:mandate:local:read", "urn:mandate:local:once"], "functions": {"sim.read": {}, "sim.once": {}},
            }),
        ),
        (
            "Credential",
            KEY,
            json!({
                "owner": "user:olga", "environment": "sandbox", "destinations": ["local:write"],
            }),
        ),
    ] {
        configure(context, kind, name, Some(spec), &[]).await;
    }
    let value = Secret::new(b"the key to it all".to_vec());
    let mut change = Change::new(tenant(), now(context).await, "user:olga".to_owned());
    change.secrets.push(context.vault().seal_secret(&ResourceName::new(KEY).unwrap(), 1, value).await.unwrap());
    context.store().change(change).await.unwrap();
}

/// Time, as the newest resource knows it: what is written here has no other need of a clock.
async fn now(context: &TenantContext) -> mandate_kernel::Timestamp {
    context.store().resource("KeyGenesis", "keys").await.unwrap().unwrap().written_at
}

/// The entry that goes with a written resource.
pub(crate) fn applied(kind: &str, name: &str, spec: Option<&Value>, time: Timestamp) -> Entry {
    let digest = spec.map(|spec| Digest::of(&canonical_json(spec).unwrap()));
    let details = json!({"kind": kind, "resource": name, "digest": digest});
    let actor = "user:admin".to_owned();
    Event { time, tenant: tenant(), kind: EventKind::ResourceApplied, actor, run: None, details }.encode().unwrap()
}

/// An administrator changes the configuration; each such change makes decisions in the making be made again.
pub(crate) async fn configure(
    context: &TenantContext,
    kind: &str,
    name: &str,
    spec: Option<Value>,
    revoke: &[EpochKey],
) {
    let mut change = Change::new(tenant(), now(context).await, "user:admin".to_owned());
    change.entries.push(applied(kind, name, spec.as_ref(), change.at));
    change.resources.push(ResourceWrite { kind: kind.to_owned(), name: name.to_owned(), expected: None, spec });
    change.revoke.push(EpochKey::Configuration);
    change.revoke.extend(revoke.iter().cloned());
    context.store().change(change).await.unwrap();
}

pub(crate) async fn policy(context: &TenantContext, text: &str) {
    configure(context, "Policy", "house/policy", Some(json!({"file": "house.cedar", "text": text})), &[]).await;
}

/// Forbids a function to everyone.
pub(crate) async fn forbid(context: &TenantContext, function: &str) {
    let text = format!(
        r#"@id("house.no") @description("Not now.") forbid (principal, action == Action::"function.call", resource == Function::"house/{function}");"#
    );
    policy(context, &text).await;
}

pub(crate) fn the_grant() -> String {
    let function = FunctionName::new("sim.write").unwrap();
    grant_name(&ResourceName::new(KEY).unwrap(), &ResourceName::new(WORKER).unwrap(), &function)
}

pub(crate) async fn give_grant(context: &TenantContext) {
    let digest = async |kind: &str, name: &str| -> Digest {
        context.store().resource(kind, name).await.unwrap().unwrap().digest
    };
    let grant = GrantSpec {
        credential: ResourceName::new(KEY).unwrap(),
        worker: ResourceName::new(WORKER).unwrap(),
        worker_version: digest("Worker", WORKER).await,
        function: FunctionName::new("sim.write").unwrap(),
        function_version: digest("Function", "house/sim.write").await,
        environment: "sandbox".parse().unwrap(),
        given_by: "user:olga".to_owned(),
        given_at: now(context).await,
        not_after: None,
    };
    configure(context, "Grant", &the_grant(), Some(serde_json::to_value(grant).unwrap()), &[]).await;
}

/// A process begins: the tenant is opened, and what was left is taken up.
pub(crate) async fn open(engine: &Arc<Engine>) -> Arc<TenantContext> {
    let context = engine.open_tenant(&tenant()).await.unwrap();
    engine.keep_ledger(&context).await.unwrap();
    engine.recover().await.unwrap();
    context
}

pub(crate) fn request() -> StartRequest {
    StartRequest {
        worker: ResourceName::new(WORKER).unwrap(),
        environment: None,
        purpose: "to test".to_owned(),
        input: json!({"n": 1}),
        start_key: None,
    }
}

pub(crate) async fn start_as(engine: &Arc<Engine>, caller: &Caller) -> Result<Started, StartError> {
    engine.start(caller, request()).await
}

/// Starts a run as its owner.
pub(crate) async fn start(engine: &Arc<Engine>) -> RunId {
    start_as(engine, &alice()).await.unwrap().run
}

/// The run once it has ended or waits for something other than a time.
pub(crate) async fn settled(engine: &Arc<Engine>, context: &TenantContext, run: &RunId) -> RunRecord {
    for _ in 0..3_600 {
        let record = engine.settled(context, run, Duration::from_secs(1)).await.unwrap();
        let waits = record.status.waiting_for;
        if record.status.state.is_terminal() || (waits.is_some() && waits != Some(mandate_journal::WaitingFor::Timer)) {
            return record;
        }
        pause(1_000).await;
    }
    panic!("{run} does not settle");
}

pub(crate) async fn pause(ms: u64) {
    tokio::time::sleep(std::time::Duration::from_millis(ms)).await;
}

/// Starts a run and sees it settle, in a process of its own.
pub(crate) fn run_alone(world: &World) -> RunRecord {
    let settled = async |engine: Arc<Engine>| {
        let context = open(&engine).await;
        let run = start(&engine).await;
        settled(&engine, &context, &run).await
    };
    world.process(settled).done()
}

pub(crate) async fn permit(
    engine: &Engine,
    context: &TenantContext,
    action: Action,
    record: &RunRecord,
) -> Permit<Access> {
    engine.authorize(context, &alice(), action, &Target::Run(record)).await.unwrap()
}

pub(crate) async fn record(context: &TenantContext, run: &RunId) -> RunRecord {
    context.store().run(run).await.unwrap().unwrap()
}

pub(crate) fn journal(world: &World, run: &RunId) -> Vec<JournalEvent> {
    world.store.peek_journal(&tenant(), run)
}

/// The ledger's events in order; those of a run alone, or all.
pub(crate) async fn events(context: &TenantContext, run: &RunId) -> Vec<Event> {
    let entries = context.store().run_entries(run).await.unwrap();
    entries.iter().map(|(_, bytes)| Entry::decode(bytes).unwrap().1).collect()
}
