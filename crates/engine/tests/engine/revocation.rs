//! Authority that changes while a run goes on is seen by its next step.

use crate::house::{
    KEY, call, configure, forbid, open, pause, policy, record, run_alone, settled, start, tenant, the_grant, worker,
    world,
};
use mandate_engine::TenantContext;
use mandate_journal::{EpochKey, RunRecord, RunState};
use mandate_testkit::{Act, Fault, World};
use serde_json::{Value, json};

/// A read that takes a while, then a write.
fn read_then_write() -> Value {
    worker(&json!([
        call("first", "sim.read", &json!({"n": 1})),
        call("second", "sim.write", &json!({"n": 1, "size": "s"})),
    ]))
}

/// Runs it, and has something changed while its first step is on the wire; that one is answered late.
fn changed_meanwhile(world: &World, change: impl AsyncFn(&TenantContext)) -> RunRecord {
    world.effects.script("read", [Act::Slow(1_000)]);
    world
        .process(async |engine| {
            let context = open(&engine).await;
            let run = start(&engine).await;
            while world.effects.received().is_empty() {
                pause(10).await;
            }
            change(&context).await;
            settled(&engine, &context, &run).await
        })
        .done()
}

fn code(record: &RunRecord) -> &str {
    record.status.problem.as_ref().map_or("", |problem| problem.type_.rsplit('/').next().unwrap())
}

#[test]
fn a_new_policy_is_seen_by_the_next_step() {
    let world = world(20, &read_then_write());
    let ended = changed_meanwhile(&world, async |context| forbid(context, "sim.write").await);
    assert_eq!((ended.status.state, code(&ended)), (RunState::Refused, "policy-denied"));
    assert!(world.effects.received_by("write").is_empty());
}

#[test]
fn a_withdrawn_policy_is_seen_by_the_next_step() {
    let world = world(21, &read_then_write());
    world
        .process(async |engine| {
            let context = engine.open_tenant(&tenant()).await.unwrap();
            forbid(&context, "sim.write").await;
        })
        .done();
    let ended = changed_meanwhile(&world, async |context| {
        policy(context, r#"@id("house.other") @description("Nothing.") forbid (principal, action == Action::"run.kill", resource) when { context.environment == "nowhere" };"#).await;
    });
    assert_eq!(ended.status.state, RunState::Completed, "{:?}", ended.status.problem);
}

#[test]
fn a_revoked_grant_refuses_the_next_step() {
    let world = world(22, &read_then_write());
    let ended = changed_meanwhile(&world, async |context| {
        configure(context, "Grant", &the_grant(), None, &[EpochKey::Grant(the_grant())]).await;
    });
    assert_eq!((ended.status.state, code(&ended)), (RunState::Refused, "authority-revoked"));
    assert!(world.effects.received_by("write").is_empty());
    // Nobody who revokes it needs to raise its epoch for that: it is simply gone.
    let world = crate::house::world(22, &read_then_write());
    let ended = changed_meanwhile(&world, async |context| configure(context, "Grant", &the_grant(), None, &[]).await);
    assert_eq!((ended.status.state, code(&ended)), (RunState::Refused, "grant-missing"));
    let detail = ended.status.problem.unwrap().detail.unwrap();
    assert!(detail.contains(KEY) && detail.contains("its owner can give one"), "{detail}");
}

#[test]
fn an_edited_function_makes_the_grant_stale_for_new_runs_and_names_the_owner() {
    let world = world(23, &read_then_write());
    let ended = world
        .process(async |engine| {
            let context = open(&engine).await;
            let mut function = context.store().resource("Function", "house/sim.write").await.unwrap().unwrap().spec;
            function["description"] = json!("edited");
            configure(&context, "Function", "house/sim.write", Some(function), &[]).await;
            let run = start(&engine).await;
            settled(&engine, &context, &run).await
        })
        .done();
    assert_eq!((ended.status.state, code(&ended)), (RunState::Refused, "grant-stale"));
    let detail = ended.status.problem.unwrap().detail.unwrap();
    assert!(detail.contains("user:olga can give it again"), "{detail}");
}

#[test]
fn a_narrowed_destination_refuses_the_next_step() {
    let world = world(24, &read_then_write());
    let ended = changed_meanwhile(&world, async |context| {
        let spec =
            json!({"owner": "user:olga", "environment": "sandbox", "destinations": ["https://elsewhere.example"]});
        configure(context, "Credential", KEY, Some(spec), &[]).await;
    });
    assert_eq!((ended.status.state, code(&ended)), (RunState::Refused, "destination-not-allowed"));
    assert!(ended.status.problem.unwrap().detail.unwrap().contains("local:write"));
}

#[test]
fn an_initiator_who_is_revoked_can_do_nothing_more() {
    for key in [EpochKey::Tenant, EpochKey::User("user:alice".to_owned()), EpochKey::Worker("house/worker".to_owned())]
    {
        let world = world(25, &read_then_write());
        let ended = changed_meanwhile(&world, async |context| {
            configure(context, "Note", "house/note", Some(json!({})), std::slice::from_ref(&key)).await;
        });
        assert_eq!((ended.status.state, code(&ended)), (RunState::Refused, "authority-revoked"), "{key:?}");
    }
}

#[test]
fn a_change_while_a_second_attempt_is_decided_leaves_no_timer_behind() {
    // The last read before the second attempt is judged is late; meanwhile something changes.
    let live = |late: Option<usize>| {
        let world = world(26, &worker(&json!([call("a", "sim.read", &json!({"n": 1}))])));
        world.effects.script("read", [Act::Transient, Act::Answer]);
        if let Some(index) = late {
            world.faults.at(index, Fault::Late(500));
        }
        let ended = world
            .process(async |engine| {
                let context = open(&engine).await;
                let run = start(&engine).await;
                pause(500).await;
                configure(&context, "Note", "house/note", Some(json!({})), &[]).await;
                pause(2_000).await;
                record(&context, &run).await
            })
            .done();
        (world, ended)
    };
    let last_read = live(None).0.faults.trace().iter().rposition(|step| step == "store.open-leases").unwrap();
    let (world, ended) = live(Some(last_read));
    assert_eq!(world.faults.happened().len(), 1);
    assert_eq!(ended.status.state, RunState::Completed);
    // Decided three times: once in vain, since the change came before it was durable.
    let admissions = world.faults.trace().into_iter().filter(|step| step == "store.commit-admission").count();
    assert_eq!((admissions, world.effects.received().len()), (3, 2));
    // Taken up once, for the second attempt, and never again.
    assert_eq!(world.faults.trace().into_iter().filter(|step| step == "store.take-over").count(), 1);
    assert_eq!(world.store.peek_loose_ends(&tenant(), &ended.run), (Vec::new(), Vec::new()));
}

#[test]
fn a_change_during_a_start_is_seen_by_it() {
    // At each step of a start, the answer is late and the write is forbidden meanwhile.
    let steps = {
        let world = world(27, &read_then_write());
        run_alone(&world);
        world.faults.trace()
    };
    let opened = steps.iter().position(|step| step == "store.unfinished").unwrap();
    let admitted = steps.iter().position(|step| step == "store.commit-admission").unwrap();
    let asides = ["store.head", "store.pending", "store.due", "store.next-due"];
    for index in (opened + 1..admitted).filter(|index| !asides.contains(&steps[*index].as_str())) {
        let world = world(27, &read_then_write());
        world.faults.at(index, Fault::Late(100));
        let ended = world
            .process(async |engine| {
                let context = open(&engine).await;
                let (run, ()) = tokio::join!(start(&engine), async {
                    pause(50).await;
                    forbid(&context, "sim.read").await;
                });
                settled(&engine, &context, &run).await
            })
            .done();
        assert_eq!(ended.status.state, RunState::Refused, "late at {index}, {}", steps[index]);
        assert_eq!(world.effects.received().len(), 0, "late at {index}, {}", steps[index]);
    }
}
