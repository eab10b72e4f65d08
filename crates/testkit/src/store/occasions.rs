//! Events at the door, and where schedules stand.

use super::SimTenant;
use super::state::State;
use async_trait::async_trait;
use mandate_journal::{
    ARRIVAL, ArrivalChange, ArrivalRecord, Change, CommitError, Occasions, SCHEDULE, ScheduleRecord, StoreError,
};
use mandate_kernel::{Digest, ResourceName};

pub(super) fn write(state: &mut State, change: &Change) -> Result<(), CommitError> {
    let conflict = |kind: &str, name: String, expected: u64, actual: u64| {
        Err(CommitError::VersionConflict { kind: kind.to_owned(), name, expected, actual })
    };
    for arrival in &change.arrivals {
        match arrival {
            ArrivalChange::Take(new) if state.arrivals.iter().any(|(held, _)| held.key == new.key) => {
                return conflict(ARRIVAL, new.key.to_string(), 0, 1);
            }
            ArrivalChange::Take(new) => state.arrivals.push((new.clone(), false)),
            ArrivalChange::Done(key) => {
                for (_, done) in state.arrivals.iter_mut().filter(|(held, _)| held.key == *key) {
                    *done = true;
                }
            }
            ArrivalChange::Forget(until) => state.arrivals.retain(|(held, done)| !done || held.keep_until >= *until),
        }
    }
    for write in &change.schedules {
        let actual = state.schedules.get(&write.worker).map_or(0, |record| record.version);
        if actual != write.expected {
            return conflict(SCHEDULE, write.worker.to_string(), write.expected, actual);
        }
        let record = ScheduleRecord { version: actual + 1, state: write.state.clone() };
        state.schedules.insert(write.worker.clone(), record);
    }
    Ok(())
}

#[async_trait]
impl Occasions for SimTenant {
    async fn known(&self, keys: &[Digest]) -> Result<Vec<bool>, StoreError> {
        let is_known = |state: &State, key: &Digest| state.arrivals.iter().any(|(held, _)| held.key == *key);
        self.read("known", |state| keys.iter().map(|key| is_known(state, key)).collect()).await
    }

    async fn arrivals(&self, limit: usize) -> Result<Vec<ArrivalRecord>, StoreError> {
        self.read("arrivals", |state| {
            let waiting = state.arrivals.iter().filter(|(_, done)| !done);
            waiting.map(|(held, _)| held.clone()).take(limit).collect()
        })
        .await
    }

    async fn arrivals_waiting(&self) -> Result<u64, StoreError> {
        self.read("arrivals-waiting", |state| state.arrivals.iter().filter(|(_, done)| !done).count() as u64).await
    }

    async fn schedule(&self, worker: &ResourceName) -> Result<Option<ScheduleRecord>, StoreError> {
        self.read("schedule", |state| state.schedules.get(worker).cloned()).await
    }
}
