//! What is under way at the development provider: codes, device codes, refresh tokens. All of it is in
//! memory, bounded, short-lived, and taken out when it is used.

use crate::Account;
use mandate_kernel::{Duration, Timestamp};
use std::collections::HashMap;

/// How long a code may be exchanged.
const CODE_LIFETIME: Duration = Duration::from_secs(60);
/// How long a device code may be approved.
pub(super) const DEVICE_LIFETIME: Duration = Duration::from_secs(600);
/// How long a refresh token may be used.
const REFRESH_LIFETIME: Duration = Duration::from_secs(8 * 3600);
/// How often a device may ask.
pub(super) const DEVICE_INTERVAL: Duration = Duration::from_secs(1);
/// How many of each kind there are at most; the oldest make room.
const MOST: usize = 1_000;

/// What an account has given a client.
#[derive(Clone)]
pub(super) struct Given {
    pub(super) client: &'static str,
    pub(super) account: &'static Account,
    pub(super) scope: String,
    /// The `nonce` of the request, which the ID token repeats.
    pub(super) nonce: Option<String>,
    /// When the account was chosen.
    pub(super) at: Timestamp,
}

/// An authorization code.
pub(super) struct Code {
    pub(super) given: Given,
    pub(super) redirect_uri: String,
    /// The S256 challenge (RFC 7636 §4.2).
    pub(super) challenge: String,
}

/// How far a device's request has come.
pub(super) enum Device {
    Asked,
    Approved(Given),
    Denied,
}

/// A request by a device (RFC 8628).
pub(super) struct DeviceRequest {
    pub(super) tenant: String,
    pub(super) client: &'static str,
    pub(super) scope: String,
    /// What the person types, without the hyphen.
    pub(super) user_code: String,
    pub(super) state: Device,
    /// When it asked last.
    pub(super) asked: Option<Timestamp>,
}

/// What a device is told.
pub(super) enum Polled {
    Given(Given),
    Pending,
    TooSoon,
    Denied,
    Unknown,
}

/// Everything under way.
#[derive(Default)]
pub(super) struct Desk {
    codes: Shelf<Code>,
    devices: Shelf<DeviceRequest>,
    refresh: Shelf<Given>,
}

impl Desk {
    pub(super) fn put_code(&mut self, code: String, held: Code, now: Timestamp) {
        self.codes.put(code, held, now, CODE_LIFETIME);
    }

    /// The code, gone from here on: whoever comes second gets nothing (RFC 6749 §4.1.2).
    pub(super) fn take_code(&mut self, code: &str, now: Timestamp) -> Option<Code> {
        self.codes.take(code, now)
    }

    pub(super) fn put_refresh(&mut self, token: String, given: Given, now: Timestamp) {
        self.refresh.put(token, given, now, REFRESH_LIFETIME);
    }

    /// The refresh token, which is used once: a new one takes its place.
    pub(super) fn take_refresh(&mut self, token: &str, now: Timestamp) -> Option<Given> {
        self.refresh.take(token, now)
    }

    pub(super) fn put_device(&mut self, code: String, request: DeviceRequest, now: Timestamp) {
        self.devices.put(code, request, now, DEVICE_LIFETIME);
    }

    /// The request that shows this user code and waits for an answer.
    pub(super) fn device(&mut self, tenant: &str, user_code: &str, now: Timestamp) -> Option<&mut DeviceRequest> {
        let waits = |request: &&mut DeviceRequest| {
            request.tenant == tenant && request.user_code == user_code && matches!(request.state, Device::Asked)
        };
        self.devices.values(now).find(waits)
    }

    /// A device asks how its request has fared.
    pub(super) fn poll(&mut self, tenant: &str, client: &str, code: &str, now: Timestamp) -> Polled {
        let Some(request) = self.devices.get(code, now).filter(|r| r.tenant == tenant && r.client == client) else {
            return Polled::Unknown;
        };
        let too_soon = request.asked.is_some_and(|asked| now < asked.plus(DEVICE_INTERVAL));
        request.asked = Some(now);
        match (&request.state, too_soon) {
            (_, true) => Polled::TooSoon,
            (Device::Asked, false) => Polled::Pending,
            (Device::Denied, false) => {
                self.devices.take(code, now);
                Polled::Denied
            }
            (Device::Approved(given), false) => {
                let given = given.clone();
                self.devices.take(code, now);
                Polled::Given(given)
            }
        }
    }
}

/// Things with an end, by their secret.
struct Shelf<T>(HashMap<String, (Timestamp, T)>);

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> Shelf<T> {
    fn put(&mut self, key: String, value: T, now: Timestamp, lifetime: Duration) {
        self.0.retain(|_, (ends, _)| now < *ends);
        if self.0.len() >= MOST
            && let Some(oldest) = self.0.iter().min_by_key(|(_, (ends, _))| *ends).map(|(key, _)| key.clone())
        {
            self.0.remove(&oldest);
        }
        self.0.insert(key, (now.plus(lifetime), value));
    }

    fn take(&mut self, key: &str, now: Timestamp) -> Option<T> {
        self.0.remove(key).filter(|(ends, _)| now < *ends).map(|(_, value)| value)
    }

    fn get(&mut self, key: &str, now: Timestamp) -> Option<&mut T> {
        self.0.get_mut(key).filter(|(ends, _)| now < *ends).map(|(_, value)| value)
    }

    fn values(&mut self, now: Timestamp) -> impl Iterator<Item = &mut T> {
        self.0.values_mut().filter(move |(ends, _)| now < *ends).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_end_are_taken_once_and_make_room() {
        let mut shelf = Shelf::default();
        let at = Timestamp::from_secs;
        shelf.put("a".to_owned(), 1, at(0), Duration::from_secs(60));
        assert_eq!(shelf.take("a", at(59)), Some(1));
        assert_eq!(shelf.take("a", at(59)), None);
        shelf.put("a".to_owned(), 1, at(0), Duration::from_secs(60));
        assert_eq!(shelf.take("a", at(60)), None);
        for n in 0..=MOST {
            shelf.put(n.to_string(), 1, at(i64::try_from(n).unwrap()), Duration::from_secs(100_000));
        }
        assert_eq!(shelf.0.len(), MOST);
        assert!(shelf.get("0", at(0)).is_none() && shelf.get("1", at(0)).is_some());
    }
}
