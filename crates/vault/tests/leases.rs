//! Leases: for the permit's attempt and credential only, ended idempotently.

#![expect(clippy::unwrap_used, reason = "a provider for tests")]

mod support;

use async_trait::async_trait;
use mandate_journal::{LeaseRecord, LeaseState};
use mandate_kernel::{Clock, Duration, Secret, Timestamp};
use mandate_vault::{CredentialProvider, LeaseEnd, LeaseError, ProviderError};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use support::*;

#[tokio::test]
async fn lends_to_the_admitted_attempt_and_to_no_other() {
    let (vault, store, clock) = vault();
    put(&vault, &store, "finance/costs", 1, "key-one").await;
    put(&vault, &store, "finance/costs", 2, "key-two").await;
    put(&vault, &store, "finance/bank", 1, "bank-key").await;
    let now = clock.now();
    let end = now.plus(Duration::from_secs(30));
    let good = permit("demo", step(1), "finance/costs", 2, true, now).await;
    let record = lease_for(step(1), "finance/costs", 2, end);
    assert_eq!(vault.lease(&good, &record).await.unwrap().expose(), "key-two");

    let id = |record: &LeaseRecord| record.lease.clone();
    let other_step = lease_for(step(2), "finance/costs", 2, end);
    let other_version = lease_for(step(1), "finance/costs", 1, end);
    let other_credential = lease_for(step(1), "finance/bank", 1, end);
    let ended = LeaseRecord { state: LeaseState::Ended, ..record.clone() };
    let past = lease_for(step(1), "finance/costs", 2, now);
    let table = [
        (&other_step, LeaseError::Step(id(&other_step))),
        (&other_version, LeaseError::Credential(id(&other_version))),
        (&other_credential, LeaseError::Credential(id(&other_credential))),
        (&ended, LeaseError::Ended(id(&ended))),
        (&past, LeaseError::Expired(id(&past))),
    ];
    for (record, expected) in table {
        assert_eq!(vault.lease(&good, record).await.err(), Some(expected));
    }
    let foreign = permit("other", step(1), "finance/costs", 2, true, now).await;
    assert_eq!(vault.lease(&foreign, &record).await.err(), Some(LeaseError::Tenant(id(&record))));
    let slotless = permit("demo", step(1), "finance/costs", 2, false, now).await;
    assert_eq!(vault.lease(&slotless, &record).await.err(), Some(LeaseError::NoSlot(id(&record))));

    clock.pass(Duration::from_secs(61));
    let late = lease_for(step(1), "finance/costs", 2, clock.now().plus(Duration::from_secs(30)));
    assert_eq!(vault.lease(&good, &late).await.err(), Some(LeaseError::Expired(id(&late))), "the permit has expired");
}

#[tokio::test]
async fn a_static_credential_says_that_it_can_not_be_revoked() {
    let (vault, _, clock) = vault();
    let record = lease_for(step(1), "finance/costs", 1, clock.now());
    let end = LeaseEnd { residual: None, revoked_at_provider: false };
    // Never issued, ended twice, ended already: all the same.
    assert_eq!(vault.end(&record).await, Ok(end));
    assert_eq!(vault.end(&record).await, Ok(end));
    assert_eq!(vault.end(&LeaseRecord { state: LeaseState::Ended, ..record }).await, Ok(end));
}

/// A provider that keeps count, and may be out of reach or unable to revoke.
#[derive(Default)]
struct Counting {
    live: Mutex<BTreeSet<String>>,
    down: Mutex<bool>,
    fixed: Option<Timestamp>,
}

#[async_trait]
impl CredentialProvider for Counting {
    async fn issue(&self, lease: &LeaseRecord) -> Result<Secret<String>, ProviderError> {
        self.live.lock().unwrap().insert(lease.lease.to_string());
        // Issued, and the answer was lost.
        if *self.down.lock().unwrap() {
            return Err(ProviderError::Unavailable("no answer".to_owned()));
        }
        Ok(Secret::new(format!("made-for-{}", lease.step)))
    }
    async fn revoke(&self, lease: &LeaseRecord) -> Result<(), ProviderError> {
        if *self.down.lock().unwrap() {
            return Err(ProviderError::Unavailable("no answer".to_owned()));
        }
        if self.can_revoke() {
            self.live.lock().unwrap().remove(lease.lease.as_str());
        }
        Ok(())
    }
    fn can_revoke(&self) -> bool {
        self.fixed.is_none()
    }
    fn residual(&self, _: &LeaseRecord) -> Option<Timestamp> {
        self.fixed
    }
}

#[tokio::test]
async fn what_was_issued_without_an_answer_is_revoked_by_the_end() {
    let (vault, _, clock) = vault();
    let provider = Arc::new(Counting::default());
    let vault = vault.with_provider(provider.clone());
    let now = clock.now();
    let permit = permit("demo", step(1), "finance/costs", 1, true, now).await;
    let record = lease_for(step(1), "finance/costs", 1, now.plus(Duration::from_secs(30)));
    *provider.down.lock().unwrap() = true;
    assert!(matches!(vault.lease(&permit, &record).await, Err(LeaseError::Provider(_))));
    assert!(vault.end(&record).await.is_err(), "not known to be revoked is not ended");
    assert_eq!(provider.live.lock().unwrap().len(), 1);
    *provider.down.lock().unwrap() = false;
    let revoked = LeaseEnd { residual: None, revoked_at_provider: true };
    assert_eq!(vault.end(&record).await, Ok(revoked));
    assert_eq!(vault.end(&record).await, Ok(revoked));
    assert!(provider.live.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_provider_that_can_not_revoke_reports_the_residual() {
    let (vault, _, clock) = vault();
    let until = clock.now().plus(Duration::from_secs(900));
    let vault = vault.with_provider(Arc::new(Counting { fixed: Some(until), ..Counting::default() }));
    let record = lease_for(step(1), "finance/costs", 1, clock.now());
    assert_eq!(vault.end(&record).await, Ok(LeaseEnd { residual: Some(until), revoked_at_provider: false }));
}

#[test]
fn leasing_can_be_driven_from_any_thread() {
    fn send<T: Send>(_: T) {}
    let (vault, _, clock) = vault();
    let record = lease_for(step(1), "finance/costs", 1, clock.now());
    send(async move {
        let permit = permit("demo", step(1), "finance/costs", 1, true, Timestamp::EPOCH).await;
        let _ = vault.lease(&permit, &record).await;
    });
}
