//! The ledger against a store that was set back.

use crate::house::{open, pause, settled, small_worker, start, tenant, world};
use mandate_engine::{Engine, EngineError};
use mandate_testkit::World;
use std::sync::Arc;

/// A world whose ledger has grown and been cosigned after the backup was taken.
fn grown() -> (World, mandate_testkit::SimStore) {
    let world = world(60, &small_worker());
    world
        .process(async |engine| {
            open(&engine).await;
            pause(3_000).await;
        })
        .done();
    let backup = world.store.backup();
    run_in(&world);
    (world, backup)
}

fn run_in(world: &World) {
    world
        .process(async |engine| {
            let context = open(&engine).await;
            let run = start(&engine).await;
            settled(&engine, &context, &run).await;
            pause(3_000).await;
        })
        .done();
}

async fn reopened(engine: Arc<Engine>) -> Result<(), EngineError> {
    let context = engine.open_tenant(&tenant()).await?;
    engine.keep_ledger(&context).await
}

#[test]
fn a_store_set_back_is_not_opened() {
    let (world, backup) = grown();
    world.store.restore(&backup);
    let opened = world.process(reopened).done();
    assert!(matches!(opened, Err(EngineError::RolledBack { .. })), "{opened:?}");
}

#[test]
fn a_store_that_went_another_way_is_not_opened() {
    let (world, backup) = grown();
    // Somebody runs the backup beside the original, with a witness that is out of reach, and comes back.
    let fork = crate::house::world(60, &small_worker());
    fork.clock.advance(mandate_kernel::Duration::from_secs(60));
    fork.store.restore(&backup);
    for _ in 0..2 {
        run_in(&fork);
    }
    world.store.restore(&fork.store);
    let opened = world.process(reopened).done();
    assert!(matches!(opened, Err(EngineError::RolledBack { .. })), "{opened:?}");
}

#[test]
fn a_witness_out_of_reach_keeps_nobody_from_working() {
    let (world, _) = grown();
    world.faults.cut(Some("witness."));
    for _ in 0..3 {
        run_in(&world);
    }
    world.faults.cut(None);
    run_in(&world);
    let (entries, waiting, _, cosigned) = world.store.peek_ledger(&tenant());
    assert_eq!(waiting, 0);
    assert!(cosigned.unwrap().contains(&format!("\n{}\n", entries.len())));
}
