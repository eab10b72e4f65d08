//! Happenings, done to a live engine.

use crate::house::{KEY, WORKER, alice, applied, give_grant, journal, request, tenant, the_grant};
use crate::simulation::base::{GATE, OUTSIDE};
use crate::simulation::life::Life;
use crate::simulation::memory::Promise;
use crate::simulation::plan::Happening;
use crate::simulation::program;
use mandate_engine::{Engine, StartError, StartRequest, Target, TenantContext};
use mandate_flow::Labelled;
use mandate_journal::{Change, CommitError, EpochKey, EventBody, ResourceWrite};
use mandate_kernel::{Action, Clock as _, Digest, Duration, Integrity, Labels, ResourceName, Secret, Source};
use mandate_ledger::Role;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A CloudEvent from outside.
pub(crate) fn event(id: &str, kind: &str) -> Labelled {
    let source = Source { origin: "outside".to_owned(), digest: Digest::of(b"outside") };
    let data = json!({"mark": OUTSIDE});
    Labelled {
        value: json!({"specversion": "1.0", "id": id, "source": "/outside", "type": kind, "data": data}),
        labels: Labels { integrity: Integrity::Untrusted, sources: [source].into(), ..Labels::default() },
    }
}

impl Life<'_> {
    /// Does it once. `true` when there is nothing more to be done about it.
    pub(crate) async fn happen(
        &self,
        engine: &Arc<Engine>,
        context: &Arc<TenantContext>,
        what: Happening,
        number: usize,
    ) -> bool {
        match what {
            Happening::Start(run) => self.start(engine, run).await,
            Happening::Kill(run) => self.kill(engine, context, run).await,
            Happening::Deliver(id, kind) => self.deliver(engine, context, &format!("e{id}"), kind).await,
            Happening::Forward(ms) => {
                self.world.clock.advance(Duration::from_millis(ms));
                true
            }
            Happening::Back(ms) => {
                let now = self.world.clock.now().as_millis();
                self.world.clock.set(mandate_kernel::Timestamp::from_millis(now.saturating_sub_unsigned(ms)));
                true
            }
            Happening::RotateKey(role) => self.rotate_key(engine, context, role).await,
            Happening::RotateSecret => self.rotate_secret(context, number).await,
            Happening::GiveGrant => {
                give_grant(context).await;
                true
            }
            Happening::RevokeUser => self.revoke(context, EpochKey::User("user:alice".to_owned())).await,
            Happening::RevokeFunction => self.revoke(context, EpochKey::Function("house/sim.read".to_owned())).await,
            Happening::RevokeWorker => self.revoke(context, EpochKey::Worker(WORKER.to_owned())).await,
            Happening::Forbid(_) | Happening::Allow | Happening::DropGrant | Happening::Narrow | Happening::Revise => {
                self.configure(context, what).await
            }
            // These end the process, and are seen to by whoever runs it.
            Happening::Crash | Happening::Restart => true,
        }
    }

    async fn start(&self, engine: &Arc<Engine>, run: usize) -> bool {
        let request = StartRequest { start_key: Some(format!("run {run}")), ..request() };
        let started = match engine.start(&alice(), request).await {
            Ok(started) => started.run,
            Err(StartError::Duplicate(run)) => run,
            Err(_) => return false,
        };
        let mut memory = self.memory.borrow_mut();
        memory.runs.insert(run, started.clone());
        memory.promises.push(Promise::Started(started));
        true
    }

    async fn kill(&self, engine: &Arc<Engine>, context: &Arc<TenantContext>, run: usize) -> bool {
        let Some(run) = self.memory.borrow().runs.get(&run).cloned() else { return true };
        let Ok(Some(record)) = context.store().run(&run).await else { return false };
        let Ok(permit) = engine.authorize(context, &alice(), Action::RunKill, &Target::Run(&record)).await else {
            return false;
        };
        let Ok((killed, record)) = engine.kill(context, &permit, &record).await else { return false };
        let seen = self.world.effects.received().iter().filter(|received| received.step.run == run).count();
        let mut memory = self.memory.borrow_mut();
        if !record.status.state.is_terminal() {
            memory.wrong.push(format!("a stop of {run} was acknowledged, and it is {:?}", record.status.state));
        }
        if !killed.already_ended {
            memory.promises.push(Promise::Stopped(run, seen));
        }
        true
    }

    pub(crate) async fn deliver(
        &self,
        engine: &Arc<Engine>,
        context: &Arc<TenantContext>,
        id: &str,
        kind: &str,
    ) -> bool {
        let Ok(delivered) = engine.deliver(context, &event(id, kind)).await else { return false };
        let runs = delivered.taken + delivered.known;
        let mut memory = self.memory.borrow_mut();
        for word in (runs > 0)
            .then_some("an event that a run has")
            .iter()
            .chain((delivered.known > 0).then_some(&"an event that a run had before"))
        {
            memory.meet(*word);
        }
        memory.promises.push(Promise::Delivered { id: id.to_owned(), runs });
        true
    }

    async fn rotate_key(&self, engine: &Arc<Engine>, context: &Arc<TenantContext>, role: Role) -> bool {
        let Some(run) = self.memory.borrow().runs.values().next().cloned() else { return true };
        let Ok(Some(record)) = context.store().run(&run).await else { return false };
        let Ok(permit) = engine.authorize(context, &alice(), Action::RunView, &Target::Run(&record)).await else {
            return false;
        };
        // One that failed may be there all the same; nobody insists.
        let _ = engine.rotate_key(context, &permit, role).await;
        true
    }

    async fn rotate_secret(&self, context: &Arc<TenantContext>, number: usize) -> bool {
        let version = u32::try_from(number).unwrap() + 2;
        let value = Secret::new(format!("key {version}").into_bytes());
        let Ok(sealed) = context.vault().seal_secret(&ResourceName::new(KEY).unwrap(), version, value).await else {
            return false;
        };
        let mut change = Change::new(tenant(), self.world.clock.now(), "user:olga".to_owned());
        change.secrets.push(sealed);
        change.revoke.push(EpochKey::Configuration);
        match context.store().change(change).await {
            Ok(_) | Err(CommitError::VersionConflict { .. }) => true,
            Err(_) => false,
        }
    }

    /// Everything that runs now was decided before; nothing of it may be decided after.
    async fn revoke(&self, context: &Arc<TenantContext>, key: EpochKey) -> bool {
        let mut change = Change::new(tenant(), self.world.clock.now(), "user:admin".to_owned());
        change.revoke.push(key);
        if context.store().change(change).await.is_err() {
            return false;
        }
        let runs: BTreeSet<_> = self.world.store.peek_runs(&tenant()).into_iter().collect();
        let decisions = |run| {
            journal(self.world, run).into_iter().filter_map(|event| match event.body {
                EventBody::Admitted { decision, .. } => Some(decision),
                _ => None,
            })
        };
        let decided = runs.iter().flat_map(decisions).collect();
        self.memory.borrow_mut().promises.push(Promise::Revoked { runs, decided });
        true
    }

    async fn configure(&self, context: &Arc<TenantContext>, what: Happening) -> bool {
        let policy = |text: String| Some(json!({"file": "house.cedar", "text": text}));
        let (kind, name, spec): (&str, String, Option<Value>) = match what {
            Happening::Forbid(function) => {
                let no = format!(
                    r#"@id("house.no") @description("Not now.") forbid (principal, action == Action::"function.call", resource == Function::"house/{function}");"#
                );
                ("Policy", "house/policy".to_owned(), policy(format!("{GATE}\n{no}")))
            }
            Happening::Allow => ("Policy", "house/policy".to_owned(), policy(GATE.to_owned())),
            Happening::DropGrant => ("Grant", the_grant(), None),
            Happening::Narrow => {
                let entitled = json!({
                    "subjects": ["user:alice"], "environments": ["sandbox"], "scopes": ["sim.use"],
                    "audiences": ["urn:mandate:local:read"], "functions": {"sim.read": {}},
                });
                ("Entitlement", "house/alice".to_owned(), Some(entitled))
            }
            _ => ("Worker", WORKER.to_owned(), Some(program::make(self.seed ^ 0x2e51).worker)),
        };
        let mut change = Change::new(tenant(), self.world.clock.now(), "user:admin".to_owned());
        change.entries.push(applied(kind, &name, spec.as_ref(), change.at));
        if spec.is_none() {
            change.revoke.push(EpochKey::Grant(name.clone()));
        }
        change.resources.push(ResourceWrite { kind: kind.to_owned(), name, expected: None, spec });
        change.revoke.push(EpochKey::Configuration);
        context.store().change(change).await.is_ok()
    }
}
