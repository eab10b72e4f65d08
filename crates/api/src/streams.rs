//! Streams that are open: how many each caller has, and the word that ends them all.

use crate::Problem;
use axum::http::StatusCode;
use mandate_kernel::{Caller, Duration};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Streams one caller may have at one time.
const EACH: usize = 16;
/// Streams of all callers together.
const ALL: usize = 1_024;
/// When it is worth trying again.
const LATER: Duration = Duration::from_secs(5);

/// The open streams of a server. Cheap to clone; all clones are the same.
#[derive(Clone, Default)]
pub struct Streams(Arc<Inner>);

#[derive(Default)]
struct Inner {
    open: Mutex<BTreeMap<String, usize>>,
    closing: watch::Sender<bool>,
}

/// A place that a stream holds while it lives.
pub(crate) struct Place {
    streams: Streams,
    whose: String,
}

impl Streams {
    /// Ends every stream, now and from now on. A server that has been told to end does not wait for
    /// watchers to go.
    pub fn close(&self) {
        self.0.closing.send_replace(true);
    }

    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.0.closing.subscribe()
    }

    /// How many are open.
    pub(crate) fn count(&self) -> usize {
        self.open().values().sum()
    }

    /// Takes a place for a caller's stream.
    ///
    /// # Errors
    /// A problem when they have too many already, or all together have.
    pub(crate) fn enter(&self, caller: &Caller) -> Result<Place, Problem> {
        let whose = format!("{} {}", caller.tenant(), caller.principal.subject());
        let mut open = self.open();
        let (own, all) = (open.get(&whose).copied().unwrap_or(0), open.values().sum::<usize>());
        if own >= EACH || all >= ALL {
            let detail = if own >= EACH {
                format!("you have {own} streams open; close one first")
            } else {
                "this server has as many streams open as it takes; look at the run now and then instead".to_owned()
            };
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-streams", "Too many streams at once")
                .detail(detail)
                .retry_after(LATER));
        }
        open.insert(whose.clone(), own + 1);
        Ok(Place { streams: self.clone(), whose })
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.open();
        match open.get_mut(&self.whose) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                open.remove(&self.whose);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mandate_kernel::Tenant;

    #[test]
    fn each_caller_has_places_of_their_own_and_gives_them_back() {
        let streams = Streams::default();
        let caller = |name: &str| Caller::system(Tenant::new("demo").unwrap(), name);
        let held: Vec<_> = (0..EACH).map(|_| streams.enter(&caller("one")).unwrap()).collect();
        let refused = streams.enter(&caller("one")).map(|_| ()).unwrap_err();
        assert_eq!((refused.status, refused.retry_after), (429, Some(5)));
        let other = streams.enter(&caller("other")).unwrap();
        assert_eq!(streams.count(), EACH + 1);
        drop((held, other));
        assert_eq!(streams.count(), 0);
        streams.enter(&caller("one")).map(|_| ()).unwrap();
    }

    #[test]
    fn there_is_an_end_to_all_callers_together() {
        let streams = Streams::default();
        let caller = |n: usize| Caller::system(Tenant::new("demo").unwrap(), format!("p{}", n / EACH));
        let held: Vec<_> = (0..ALL).map(|n| streams.enter(&caller(n)).unwrap()).collect();
        assert!(streams.enter(&caller(ALL)).is_err());
        drop(held);
        assert!(streams.enter(&caller(ALL)).is_ok());
    }
}
