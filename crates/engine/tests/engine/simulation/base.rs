//! The world that every seed begins from: one tenant, its functions, people and policies.

use crate::house::{configure, function, give_grant, policy, small_worker, tenant};
use mandate_testkit::World;
use serde_json::{Value, json};

/// What a value holds that came from the receiver nobody trusts.
pub(crate) const TAINT: &str = "taint!";
/// What a value holds that came with an event from outside.
pub(crate) const OUTSIDE: &str = "outside!";

/// What stands in force unless something happens.
pub(crate) const GATE: &str = r#"@id("house.gate") @description("The bosses look at it first.") @gate("approval:bosses")
    forbid (principal, action == Action::"function.call", resource == Function::"house/sim.gated");"#;

thread_local! {
    static BASE: World = base();
}

fn base() -> World {
    let world = crate::house::world(0, &small_worker());
    world.effects.answers("taint", |arguments| json!({"mark": TAINT, "n": arguments["n"]}));
    world.effects.answers("gated", |_| json!({"done": true}));
    world
        .process(async |engine| {
            let context = engine.open_tenant(&tenant()).await.unwrap();
            let mut taint = function("read", "taint", &[("n", "number")]);
            taint["returns"] = json!({"confidentiality": "restricted", "integrity": "untrusted"});
            configure(&context, "Function", "house/sim.taint", Some(taint), &[]).await;
            let gated = function("once", "gated", &[("n", "number")]);
            configure(&context, "Function", "house/sim.gated", Some(gated), &[]).await;
            let review = json!({
                "effect": "read", "model": "workflow-bound", "returns": {"integrity": "derived"},
                "target": {"review": {"groups": ["bosses"], "expires": "PT30M"}},
            });
            configure(&context, "Function", "house/approval", Some(review), &[]).await;
            let entitled = json!({
                "subjects": ["user:alice"], "environments": ["sandbox"], "scopes": ["sim.use"],
                "audiences": ["urn:mandate:local:taint", "urn:mandate:local:gated", "urn:mandate:review"],
                "functions": {"sim.taint": {}, "sim.gated": {}, "approval": {}},
            });
            configure(&context, "Entitlement", "house/more", Some(entitled), &[]).await;
            policy(&context, GATE).await;
        })
        .done();
    world
}

/// A world of its own for a seed, in which this Worker may be run.
pub(crate) fn world(seed: u64, worker: &Value) -> World {
    let world = BASE.with(|base| base.fork(seed));
    world
        .process(async |engine| {
            let context = engine.open_tenant(&tenant()).await.unwrap();
            configure(&context, "Worker", crate::house::WORKER, Some(worker.clone()), &[]).await;
            give_grant(&context).await;
        })
        .done();
    world.faults.forget();
    world
}
