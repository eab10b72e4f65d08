//! What a run leaves behind: envelopes that form a chain, a passport that verifies.

use crate::house::{anchor, events, open, settled, small_worker, start, world};
use mandate_kernel::{Digest, Duration};
use mandate_ledger::{EventKind, artifact, passport};
use serde_json::Value;

fn digest(value: &Value) -> Digest {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn envelopes_form_a_chain_from_the_start() {
    let world = world(50, &small_worker());
    world
        .process(async |engine| {
            let context = open(&engine).await;
            let run = start(&engine).await;
            settled(&engine, &context, &run).await;
            let (mut latest, mut steps) = (None, 0);
            for event in events(&context, &run).await {
                let envelope = &event.details["envelope"];
                match event.kind {
                    EventKind::RunStarted => {
                        assert_eq!(envelope["predecessors"], serde_json::json!([]));
                        latest = Some(digest(&envelope["digest"]));
                    }
                    EventKind::StepDecided => {
                        let predecessors: Vec<Digest> =
                            serde_json::from_value(envelope["predecessors"].clone()).unwrap();
                        assert_eq!(predecessors, [latest.unwrap()], "step {}", event.details["step"]);
                        latest = Some(digest(&envelope["digest"]));
                        steps += 1;
                    }
                    _ => {}
                }
            }
            assert_eq!(steps, 5);
        })
        .done();
}

#[test]
fn envelopes_form_a_chain_across_a_restart() {
    let world = world(51, &small_worker());
    let run = world
        .process(async |engine| {
            open(&engine).await;
            let run = start(&engine).await;
            while world.effects.received_by("once").is_empty() {
                crate::house::pause(5).await;
            }
            run
        })
        .done();
    world
        .process(async |engine| {
            let context = open(&engine).await;
            settled(&engine, &context, &run).await;
            let mut latest: Option<Digest> = None;
            for event in events(&context, &run).await {
                let envelope = &event.details["envelope"];
                if event.kind == EventKind::StepDecided {
                    let predecessors: Vec<Digest> = serde_json::from_value(envelope["predecessors"].clone()).unwrap();
                    assert_eq!(predecessors, [latest.unwrap()]);
                }
                if !envelope.is_null() {
                    latest = Some(digest(&envelope["digest"]));
                }
            }
        })
        .done();
}

#[test]
fn a_passport_verifies_against_the_anchor_alone() {
    let world = world(52, &small_worker());
    world
        .process(async |engine| {
            let context = open(&engine).await;
            let run = start(&engine).await;
            let ended = settled(&engine, &context, &run).await;
            let file = engine.passport(&context, &ended, Duration::from_secs(30)).await.unwrap();
            let anchor = anchor(&world, &context).await;
            let report = passport::verify(&file, &anchor).unwrap();
            assert_eq!(report.run, run);
            let file = engine.artifact(&context, &ended).await.unwrap();
            let report = artifact::verify(&file, &anchor).unwrap();
            assert_eq!((report.run, report.content["size"].as_str()), (run, Some("large")));
        })
        .done();
}
