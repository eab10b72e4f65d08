//! Steps that wait for people: who may answer, what the answer is bound to, and what becomes of the run.

use crate::house::{KEY, call, events, open, pause, person, policy, record, settled, start, tenant, worker, world};
use mandate_engine::{Answer, AnswerError, ApprovalView, Denied, Engine, TenantContext};
use mandate_journal::{ApprovalQuery, ApprovalState, Change, RunRecord, RunState, WaitingFor};
use mandate_kernel::{Caller, Digest, GroupName, Principal, ResourceName, RunId, Secret, Tenant};
use mandate_ledger::{Entry, EventKind};
use mandate_testkit::{Act, Ended, Fault, World};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

const GATE: &str = r#"@id("house.gate") @description("The bosses look at it first.") @gate("approval:bosses")
    forbid (principal, action == Action::"function.call", resource == Function::"house/sim.write");"#;
const TWO_GATES: &str = r#"@id("house.gate") @description("The bosses look at it first.") @gate("approval:bosses")
    forbid (principal, action == Action::"function.call", resource == Function::"house/sim.write");
    @id("house.second") @description("And the lawyers.") @gate("approval:lawyers")
    forbid (principal, action == Action::"function.call", resource == Function::"house/sim.write");"#;

fn in_group(name: &str, group: &str) -> Caller {
    Caller { groups: BTreeSet::from([GroupName::new(group).unwrap()]), ..person(name) }
}

fn boss() -> Caller {
    in_group("bert", "bosses")
}

fn write_alone() -> Value {
    let mut worker = worker(&json!([call("act", "sim.write", &json!({"n": 1, "size": "s"}))]));
    worker["authoritySeconds"] = json!(3_600);
    worker
}

/// A run that waits at the gates of a policy.
async fn waiting(engine: &Arc<Engine>, context: &Arc<TenantContext>, text: &str) -> RunId {
    policy(context, text).await;
    let run = start(engine).await;
    let waits = settled(engine, context, &run).await;
    assert_eq!((waits.status.state, waits.status.waiting_for), (RunState::Waiting, Some(WaitingFor::Approval)));
    run
}

async fn pending(engine: &Engine, context: &TenantContext, who: &Caller) -> Vec<ApprovalView> {
    let query = ApprovalQuery { limit: 10, state: Some(ApprovalState::Pending), ..ApprovalQuery::default() };
    engine.approvals(context, who, query).await.unwrap().items
}

async fn of_group(engine: &Engine, context: &TenantContext, group: &str) -> ApprovalView {
    let all = pending(engine, context, &in_group("somebody", group)).await;
    let group = GroupName::new(group).unwrap();
    all.into_iter().find(|view| view.record.groups.contains(&group)).unwrap()
}

fn yes(view: &ApprovalView) -> Answer {
    Answer { approve: true, digest: view.record.binding, comment: Some("fine".to_owned()), form: None }
}

async fn say(
    engine: &Arc<Engine>,
    context: &Arc<TenantContext>,
    who: &Caller,
    view: &ApprovalView,
    answer: Answer,
) -> Result<ApprovalView, AnswerError> {
    engine.answer(context, who, &view.record.approval, answer).await
}

async fn kinds(context: &TenantContext, run: &RunId) -> Vec<EventKind> {
    events(context, run).await.into_iter().map(|event| event.kind).collect()
}

fn code(record: &RunRecord) -> &str {
    record.status.problem.as_ref().map_or("", |problem| problem.type_.rsplit('/').next().unwrap())
}

/// Entries of the whole ledger of one kind.
async fn refusals(context: &TenantContext, kind: EventKind) -> Vec<Value> {
    pause(2_000).await;
    let size = context.store().head().await.unwrap().frontier.size();
    let entries = context.store().entries(0, size).await.unwrap();
    let decoded = entries.iter().map(|bytes| Entry::decode(bytes).unwrap().1);
    decoded.filter(|event| event.kind == kind).map(|event| event.details).collect()
}

#[test]
fn whoever_was_asked_says_yes_and_the_very_request_is_sent_once() {
    let world = world(60, &write_alone());
    world
        .process(async |engine| {
            let context = open(&engine).await;
            let run = waiting(&engine, &context, GATE).await;
            let asked = of_group(&engine, &context, "bosses").await;
            assert_eq!(asked.shown["arguments"], json!({"n": 1, "size": "s"}));
            assert_eq!(asked.shown["requested_by"], "user:alice");
            assert!(asked.shown["canonical"].as_str().unwrap().contains(r#"{"n":1,"size":"s"}"#));
            assert_eq!(pending(&engine, &context, &boss()).await[0].may, Ok(()));
            assert!(world.effects.received().is_empty());
            let said = say(&engine, &context, &boss(), &asked, yes(&asked)).await.unwrap();
            assert_eq!(
                (said.record.state, said.record.decided_by.as_deref()),
                (ApprovalState::Approved, Some("user:bert"))
            );
            assert_eq!(said.said.unwrap()["comment"], "fine");
            let ended = settled(&engine, &context, &run).await;
            assert_eq!(ended.status.state, RunState::Completed, "{:?}", ended.status.problem);
            let told = kinds(&context, &run).await;
            let position = |kind| told.iter().position(|k| *k == kind).unwrap();
            assert!(position(EventKind::ApprovalRequested) < position(EventKind::ApprovalGiven));
            assert_eq!(told.iter().filter(|kind| **kind == EventKind::StepDecided).count(), 2);
        })
        .done();
    assert_eq!(world.effects.received_by("write").len(), 1);
}

#[test]
fn nobody_else_may_answer_and_every_try_is_recorded() {
    let world = world(61, &write_alone());
    world
        .process(async |engine| {
            let context = open(&engine).await;
            let run = waiting(&engine, &context, GATE).await;
            let asked = of_group(&engine, &context, "bosses").await;
            // The one who started it, be they a boss or not; somebody who may look; somebody who may not.
            for who in [person("alice"), in_group("alice", "bosses"), person("carol"), in_group("carol", "clerks")] {
                let denied = say(&engine, &context, &who, &asked, yes(&asked)).await.unwrap_err();
                assert!(matches!(&denied, AnswerError::Denied(Denied::Refused(_))), "{denied}");
                let shown = engine.approval(&context, &who, &asked.record.approval).await.unwrap();
                assert!(shown.may.is_err());
            }
            let stranger = say(&engine, &context, &person("dora"), &asked, yes(&asked)).await.unwrap_err();
            assert!(stranger.to_string().contains("there is no"), "{stranger}");
            assert!(pending(&engine, &context, &person("dora")).await.is_empty());
            let foreign =
                Caller { principal: Principal::user(Tenant::new("other").unwrap(), "bert"), groups: boss().groups };
            let answer = say(&engine, &context, &foreign, &asked, yes(&asked)).await;
            assert!(matches!(answer, Err(AnswerError::Denied(_))), "{answer:?}");
            assert_eq!(refusals(&context, EventKind::AccessDenied).await.len(), 6);
            assert_eq!(record(&context, &run).await.status.state, RunState::Waiting);
        })
        .done();
    assert!(world.effects.received().is_empty());
}

#[test]
fn a_wrong_digest_a_second_answer_and_a_late_one_are_refused_and_recorded() {
    let world = world(62, &write_alone());
    world
        .process(async |engine| {
            let context = open(&engine).await;
            let run = waiting(&engine, &context, GATE).await;
            let asked = of_group(&engine, &context, "bosses").await;
            let other = Answer { digest: Digest::of(b"another request"), ..yes(&asked) };
            assert!(matches!(say(&engine, &context, &boss(), &asked, other).await, Err(AnswerError::Mismatch)));
            let form = Answer { form: Some(json!({"x": 1})), ..yes(&asked) };
            assert!(matches!(say(&engine, &context, &boss(), &asked, form).await, Err(AnswerError::Form(_))));
            assert!(world.effects.received().is_empty());
            say(&engine, &context, &boss(), &asked, yes(&asked)).await.unwrap();
            let again = say(&engine, &context, &boss(), &asked, yes(&asked)).await;
            assert!(matches!(again, Err(AnswerError::Settled(ApprovalState::Approved))));
            assert_eq!(settled(&engine, &context, &run).await.status.state, RunState::Completed);

            let second = start(&engine).await;
            settled(&engine, &context, &second).await;
            let asked = of_group(&engine, &context, "bosses").await;
            pause(3_700_000).await;
            let ended = settled(&engine, &context, &second).await;
            assert_eq!((ended.status.state, code(&ended)), (RunState::Refused, "approval-expired"));
            let late = say(&engine, &context, &boss(), &asked, yes(&asked)).await;
            assert!(matches!(late, Err(AnswerError::Settled(ApprovalState::Expired))), "{late:?}");
            let reasons: Vec<Value> = refusals(&context, EventKind::ApprovalRefused)
                .await
                .into_iter()
                .map(|mut d| d["reason"].take())
                .collect();
            assert_eq!(reasons, ["digest-mismatch", "form-mismatch", "already-decided", "already-decided"]);
        })
        .done();
    assert_eq!(world.effects.received_by("write").len(), 1);
}

#[test]
fn a_no_ends_the_run_and_so_does_a_stop() {
    let world = world(63, &write_alone());
    world
        .process(async |engine| {
            let context = open(&engine).await;
            let run = waiting(&engine, &context, GATE).await;
            let asked = of_group(&engine, &context, "bosses").await;
            let no = Answer { approve: false, ..yes(&asked) };
            say(&engine, &context, &boss(), &asked, no).await.unwrap();
            let ended = settled(&engine, &context, &run).await;
            assert_eq!((ended.status.state, code(&ended)), (RunState::Refused, "approval-denied"));
            assert!(ended.status.problem.unwrap().detail.unwrap().contains("user:bert"));

            let second = start(&engine).await;
            let waits = settled(&engine, &context, &second).await;
            let asked = of_group(&engine, &context, "bosses").await;
            let permit = crate::house::permit(&engine, &context, mandate_kernel::Action::RunKill, &waits).await;
            engine.kill(&context, &permit, &waits).await.unwrap();
            let answer = say(&engine, &context, &boss(), &asked, yes(&asked)).await;
            assert!(matches!(answer, Err(AnswerError::Settled(ApprovalState::Withdrawn))), "{answer:?}");
            assert!(pending(&engine, &context, &boss()).await.is_empty());
        })
        .done();
    assert!(world.effects.received().is_empty());
}

#[test]
fn two_gates_need_two_people_and_what_changed_in_between_needs_both_again() {
    let world = world(64, &write_alone());
    world
        .process(async |engine| {
            let context = open(&engine).await;
            let run = waiting(&engine, &context, TWO_GATES).await;
            let both = Caller {
                groups: ["bosses", "lawyers"].map(|group| GroupName::new(group).unwrap()).into(),
                ..person("bert")
            };
            let (first, second) =
                (of_group(&engine, &context, "bosses").await, of_group(&engine, &context, "lawyers").await);
            say(&engine, &context, &both, &first, yes(&first)).await.unwrap();
            assert_eq!(record(&context, &run).await.status.waiting_for, Some(WaitingFor::Approval));
            let alone = say(&engine, &context, &both, &second, yes(&second)).await;
            assert!(matches!(alone, Err(AnswerError::SecondWord(_))));
            // A new value for the credential: what was approved would go out under another secret.
            let time = record(&context, &run).await.status.since;
            let value = Secret::new(b"a new key".to_vec());
            let mut change = Change::new(tenant(), time, "user:olga".to_owned());
            change.secrets.push(context.vault().seal_secret(&ResourceName::new(KEY).unwrap(), 2, value).await.unwrap());
            change.revoke.push(mandate_journal::EpochKey::Configuration);
            context.store().change(change).await.unwrap();
            say(&engine, &context, &in_group("lara", "lawyers"), &second, yes(&second)).await.unwrap();
            let waits = settled(&engine, &context, &run).await;
            assert_eq!(waits.status.waiting_for, Some(WaitingFor::Approval));
            assert!(world.effects.received().is_empty());
            let (again, also) =
                (of_group(&engine, &context, "bosses").await, of_group(&engine, &context, "lawyers").await);
            assert_ne!(again.record.binding, first.record.binding);
            say(&engine, &context, &boss(), &again, yes(&again)).await.unwrap();
            say(&engine, &context, &in_group("lara", "lawyers"), &also, yes(&also)).await.unwrap();
            assert_eq!(settled(&engine, &context, &run).await.status.state, RunState::Completed);
        })
        .done();
    assert_eq!(world.effects.received_by("write").len(), 1);
}

#[test]
fn an_attempt_that_certainly_failed_is_covered_by_the_same_yes() {
    let world = world(65, &write_alone());
    world.effects.script("write", [Act::Transient, Act::Answer]);
    world
        .process(async |engine| {
            let context = open(&engine).await;
            let run = waiting(&engine, &context, GATE).await;
            let asked = of_group(&engine, &context, "bosses").await;
            say(&engine, &context, &boss(), &asked, yes(&asked)).await.unwrap();
            assert_eq!(settled(&engine, &context, &run).await.status.state, RunState::Completed);
        })
        .done();
    assert_eq!(world.effects.received_by("write").len(), 2);
}

/// Waits at the gate in one life, is answered in the next: crashing there at any I/O step loses nothing.
#[test]
fn a_crash_at_any_step_of_an_answer_loses_nothing() {
    let mut crashes = 0;
    for (step, fault) in (0..40).flat_map(|step| [(step, Fault::CrashBefore), (step, Fault::CrashAfter)]) {
        let world = world(66, &write_alone());
        let run = world
            .process(async |engine| {
                let context = open(&engine).await;
                waiting(&engine, &context, GATE).await
            })
            .done();
        world.faults.forget();
        world.faults.at(step, fault);
        let answered = async |engine: Arc<Engine>| answer_and_settle(&engine, &run).await;
        let ended = match world.process(answered) {
            Ended::Done(ended) => ended,
            Ended::Crashed => {
                crashes += 1;
                world.process(answered).done()
            }
        };
        assert_eq!(ended.status.state, RunState::Completed, "{step} {fault:?}: {:?}", ended.status.problem);
        assert_eq!(distinct(&world), 1, "{step} {fault:?}");
    }
    assert!(crashes > 30, "only {crashes} crashes");
}

async fn answer_and_settle(engine: &Arc<Engine>, run: &RunId) -> RunRecord {
    let context = open(engine).await;
    if let Some(asked) = pending(engine, &context, &boss()).await.first() {
        say(engine, &context, &boss(), asked, yes(asked)).await.unwrap();
    }
    settled(engine, &context, run).await
}

/// Requests under keys of their own: a receiver that honours the key does each once.
fn distinct(world: &World) -> usize {
    let steps: BTreeSet<_> = world.effects.received_by("write").into_iter().map(|r| (r.step.seq, r.request)).collect();
    steps.len()
}
