//! What is stored must be what the ledger records: at the start, and whenever it is read.

use crate::house::{alice, configure, open, run_alone, small_worker, start_as, tenant, world};
use mandate_engine::configuration::{self, Deviation};
use mandate_engine::{Engine, EngineError, StartError};
use mandate_journal::{Change, EpochKey, ResourceWrite, RunState};
use mandate_kernel::Timestamp;
use mandate_testkit::World;
use serde_json::{Value, json};
use std::sync::Arc;

/// Writes a resource and no entry about it: what somebody does who has the database.
async fn edit(engine: &Arc<Engine>, kind: &str, name: &str, spec: Option<Value>) {
    let context = engine.tenant(&tenant()).unwrap();
    let mut change = Change::new(tenant(), Timestamp::from_secs(1), "user:nobody".to_owned());
    change.resources.push(ResourceWrite { kind: kind.to_owned(), name: name.to_owned(), expected: None, spec });
    change.revoke.push(EpochKey::Configuration);
    context.store().change(change).await.unwrap();
}

/// What the next start says.
fn next_start(world: &World) -> Result<(), EngineError> {
    world.process(async |engine| engine.open_tenant(&tenant()).await.map(drop)).done()
}

#[test]
fn an_untouched_configuration_starts_whatever_was_done_to_it_in_order() {
    let world = world(60, &small_worker());
    assert_eq!(run_alone(&world).status.state, RunState::Completed);
    world
        .process(async |engine| {
            let context = open(&engine).await;
            configure(&context, "Policy", "house/a", Some(json!({"file": "a.cedar", "text": ""})), &[]).await;
            configure(&context, "Policy", "house/a", None, &[]).await;
            // Nothing to delete: no version, and none counted.
            configure(&context, "Policy", "house/a", None, &[]).await;
            configure(&context, "Policy", "house/a", Some(json!({"file": "b.cedar", "text": ""})), &[]).await;
            configure(&context, "Policy", "house/b", Some(json!({"file": "b.cedar", "text": ""})), &[]).await;
            configure(&context, "Policy", "house/b", None, &[]).await;
            let found = configuration::compare(context.store()).await.unwrap();
            assert_eq!(found.differences, []);
            assert!(found.compared > 8, "{found:?}");
        })
        .done();
    next_start(&world).unwrap();
}

#[test]
fn a_changed_deleted_or_added_resource_stops_the_next_start() {
    let everyone = json!({"subjects": ["user:mallory"], "role": "tenant-admin", "on": "tenant"});
    for (kind, name, spec, how) in [
        ("RoleBinding", "house/owners", Some(everyone.clone()), "is stored with digest"),
        ("RoleBinding", "house/owners", None, "is gone"),
        ("RoleBinding", "house/backdoor", Some(everyone.clone()), "is not in the ledger"),
        ("Anything", "at all", Some(json!(1)), "is not in the ledger"),
        ("KeyGenesis", "keys", Some(json!({})), "is stored with digest"),
    ] {
        let world = world(61, &small_worker());
        world
            .process(async |engine| {
                open(&engine).await;
                edit(&engine, kind, name, spec.clone()).await;
            })
            .done();
        let refused = next_start(&world).unwrap_err();
        assert!(matches!(refused, EngineError::Unrecorded { .. }), "{kind}: {refused}");
        let told = refused.to_string();
        assert!(told.contains(&format!("{kind} {name} {how}")), "{told}");
    }
}

/// The same content again is another version: somebody wrote, and the ledger does not know of it.
#[test]
fn a_write_that_changes_nothing_is_noticed() {
    let world = world(62, &small_worker());
    world
        .process(async |engine| {
            let context = open(&engine).await;
            let held = context.store().resource("RoleBinding", "house/owners").await.unwrap().unwrap();
            edit(&engine, "RoleBinding", "house/owners", Some(held.spec)).await;
            let found = configuration::compare(context.store()).await.unwrap();
            assert_eq!(found.differences.len(), 1);
            assert_eq!(found.differences[0].how, Deviation::Version { recorded: 1, stored: 2 });
        })
        .done();
}

#[test]
fn a_deleted_resource_that_is_there_again_is_noticed() {
    let world = world(63, &small_worker());
    world
        .process(async |engine| {
            let context = open(&engine).await;
            let held = context.store().resource("RoleBinding", "house/owners").await.unwrap().unwrap();
            configure(&context, "RoleBinding", "house/owners", None, &[]).await;
            edit(&engine, "RoleBinding", "house/owners", Some(held.spec)).await;
            let found = configuration::compare(context.store()).await.unwrap();
            assert_eq!(found.differences[0].how, Deviation::Back);
            // A configuration that is refused at the next start still runs until then, within what it reads.
            let started = start_as(&engine, &alice()).await;
            assert!(started.is_ok() || matches!(started, Err(StartError::NotVisible(..))));
        })
        .done();
}
