//! A witness: what it signs, and everything it must not.

use super::*;
use crate::checkpoint::CosignedCheckpoint;
use crate::{
    AddCheckpoint, Cosigner, KeyRing, NoteSignature, SignedNote, WitnessRefusal, WitnessState, consistency_proof,
};

const NOW: Timestamp = Timestamp::from_secs(1_790_000_200);

fn request(world: &World, old_size: u64) -> AddCheckpoint {
    let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size: world.tree.size(), root: world.tree.root() };
    let proof = consistency_proof(&world.tree, old_size, world.tree.size()).unwrap();
    AddCheckpoint { old_size, proof, checkpoint: checkpoint.sign(&world.log).unwrap() }
}

fn ask(state: &WitnessState, world: &World, request: &AddCheckpoint) -> Result<(WitnessState, String), WitnessRefusal> {
    let keys = [world.anchor.tenant(&demo()).unwrap().log.clone()];
    state.add_checkpoint(request, &keys, Cosigner { name: WITNESS, signer: &world.witness }, NOW)
}

#[test]
fn cosigns_a_tree_that_grows() {
    let mut world = World::with_two_runs();
    let first = request(&world, 0);
    assert_eq!(AddCheckpoint::parse(&first.to_string()).unwrap(), first);
    let (state, line) = ask(&WitnessState::new(), &world, &first).unwrap();
    let lines = NoteSignature::parse_lines(&line).unwrap();
    let text = assemble(&first.checkpoint, &lines, world.anchor.witnesses(), 1).unwrap();
    let log = [world.anchor.tenant(&demo()).unwrap().log.clone()];
    assert!(CosignedCheckpoint::verify(&text, &log, world.anchor.witnesses(), 1).is_ok());

    world.record(EventKind::AccessDenied, None, json!({}));
    let second = request(&world, 5);
    assert!(!second.proof.is_empty());
    assert_eq!(AddCheckpoint::parse(&second.to_string()).unwrap(), second);
    let (state, _) = ask(&state, &world, &second).unwrap();
    assert_eq!(state.tip(ORIGIN).size, 6);
    // The same tree again is a fresh cosignature, not progress.
    let (same, _) = ask(&state, &world, &request(&world, 6)).unwrap();
    assert_eq!(same, state);
    let kept = serde_json::to_string(&state).unwrap();
    assert_eq!(serde_json::from_str::<WitnessState>(&kept).unwrap(), state);
}

#[test]
fn refuses_everything_else() {
    let mut world = World::with_two_runs();
    let (state, _) = ask(&WitnessState::new(), &world, &request(&world, 0)).unwrap();
    let status = |state: &WitnessState, world: &World, request: &AddCheckpoint| {
        ask(state, world, request).unwrap_err().http_status()
    };
    assert!(matches!(ask(&state, &world, &request(&world, 0)), Err(WitnessRefusal::Conflict { known_size: 5 })));

    // Another history of the same size, and one that is longer.
    let mut fork = World::new();
    for _ in 0..5 {
        fork.record(EventKind::AccessDenied, None, json!({}));
    }
    assert!(matches!(ask(&state, &world, &request(&fork, 5)), Err(WitnessRefusal::Fork { known_size: 5 })));
    fork.record(EventKind::AccessDenied, None, json!({}));
    assert_eq!(status(&state, &world, &request(&fork, 5)), 422);

    world.record(EventKind::AccessDenied, None, json!({}));
    let good = request(&world, 5);
    let mut short = good.clone();
    short.proof.pop();
    assert_eq!(status(&state, &world, &short), 422);
    let mut ahead = good.clone();
    ahead.old_size = 7;
    assert_eq!(status(&state, &world, &ahead), 400);
    let mut forged = good.clone();
    forged.checkpoint.signatures = vec![note::sign(&good.checkpoint.text, ORIGIN, &signer(99)).unwrap()];
    assert_eq!(status(&state, &world, &forged), 403);
    let elsewhere = Checkpoint { origin: "elsewhere.example".to_owned(), size: 6, root: world.tree.root() };
    let unknown = AddCheckpoint { checkpoint: elsewhere.sign(&world.log).unwrap(), ..good.clone() };
    assert_eq!(status(&state, &world, &unknown), 404);
    let text = "not a checkpoint\n".to_owned();
    let line = note::sign(&text, ORIGIN, &world.log).unwrap();
    let nonsense = AddCheckpoint { checkpoint: SignedNote { text, signatures: vec![line] }, ..good };
    assert_eq!(status(&state, &world, &nonsense), 400);
}

#[test]
fn refuses_malformed_bodies() {
    let mut world = World::with_two_runs();
    world.record(EventKind::AccessDenied, None, json!({}));
    let good = request(&world, 5).to_string();
    assert!(AddCheckpoint::parse(&good).is_ok());
    for bad in [
        String::new(),
        good.replace("old 5", "old 05"),
        good.replace("old 5", "old -1"),
        good.replace("old 5", "Old 5"),
        good.replacen("=\n", "\n", 1),
        good.replacen('\n', "\n\n", 1),
        good.trim_end().to_owned(),
        format!(
            "old 5\n{}\n{}",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n".repeat(64),
            request(&world, 5).checkpoint
        ),
    ] {
        assert!(matches!(AddCheckpoint::parse(&bad), Err(WitnessRefusal::Malformed(_))), "{bad}");
    }
}

#[test]
fn endorses_one_successor_per_key() {
    let world = World::new();
    let ring = KeyRing::from_anchor(&world.anchor, &demo()).unwrap();
    let (new, rival) = (signer(40), signer(41));
    let offer = |key: &dyn Signer| successor(Role::Evidence, 1, &world.evidence, key).sign(&world.evidence).unwrap();
    let (state, endorsed) = WitnessState::new().endorse_key(&offer(&new), &ring, &world.witness).unwrap();
    assert!(ring.clone().extend(&[endorsed]).is_ok());
    assert!(state.endorse_key(&offer(&new), &ring, &world.witness).is_ok());
    let fork = state.endorse_key(&offer(&rival), &ring, &world.witness);
    assert!(matches!(fork, Err(WitnessRefusal::KeyFork(_))));
    let by_a_stranger = successor(Role::Evidence, 1, &world.evidence, &rival).sign(&rival).unwrap();
    assert!(WitnessState::new().endorse_key(&by_a_stranger, &ring, &world.witness).is_err());
}
