//! Throttling and lock-out: how often an address may try to sign in, how often somebody may start a run,
//! and how long an address whose tokens keep being wrong has to wait.
//!
//! Everything is in memory and bounded. A restart forgets it, which costs an attacker nothing that
//! waiting would not give them too.

use crate::Problem;
use axum::extract::ConnectInfo;
use axum::http::StatusCode;
use axum::http::request::Parts;
use mandate_kernel::{Caller, Duration, Timestamp};
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many keys a table holds at most.
const MOST: usize = 16_384;
/// How long failures are remembered.
const WINDOW: Duration = Duration::from_secs(300);
/// The first lock-out; each that follows is twice as long.
const FIRST_LOCK: Duration = Duration::from_secs(5);
/// The longest lock-out.
const LONGEST_LOCK: Duration = Duration::from_secs(15 * 60);

/// How often something may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// In the long run.
    pub per_minute: u32,
    /// At once.
    pub burst: u32,
}

/// What is throttled, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThrottleConfig {
    /// Requests to the sign-in endpoints, for each address.
    pub sign_in: Rate,
    /// Starts of runs by one person; `None` for no limit.
    pub starts_by_person: Option<Rate>,
    /// Starts of runs in one tenant; `None` for no limit.
    pub starts_in_tenant: Option<Rate>,
    /// So many wrong tokens from one address within five minutes lock it out.
    pub wrong_tokens: u32,
    /// Whether the address is the last one in `X-Forwarded-For`: true behind a proxy of ours that
    /// writes it, and nowhere else.
    pub trusted_proxy: bool,
}

impl Default for ThrottleConfig {
    fn default() -> Self {
        Self {
            sign_in: Rate { per_minute: 240, burst: 120 },
            starts_by_person: Some(Rate { per_minute: 600, burst: 100 }),
            starts_in_tenant: Some(Rate { per_minute: 6_000, burst: 1_000 }),
            wrong_tokens: 20,
            trusted_proxy: false,
        }
    }
}

impl ThrottleConfig {
    /// For one machine and its tests: limits are there, and far away.
    #[must_use]
    pub const fn generous() -> Self {
        Self {
            sign_in: Rate { per_minute: 6_000, burst: 3_000 },
            starts_by_person: None,
            starts_in_tenant: None,
            wrong_tokens: 2_000,
            trusted_proxy: false,
        }
    }
}

/// The throttles of a server.
pub(crate) struct Throttle {
    sign_in: Buckets<IpAddr>,
    by_person: Option<Buckets<String>>,
    in_tenant: Option<Buckets<String>>,
    locks: Locks,
    trusted_proxy: bool,
}

impl Throttle {
    pub(crate) fn new(config: &ThrottleConfig) -> Self {
        Self {
            sign_in: Buckets::new(config.sign_in),
            by_person: config.starts_by_person.map(Buckets::new),
            in_tenant: config.starts_in_tenant.map(Buckets::new),
            locks: Locks { allowed: config.wrong_tokens, table: Mutex::default() },
            trusted_proxy: config.trusted_proxy,
        }
    }

    /// Where a request comes from. One IPv6 network of 64 bits is one address: they are handed out so.
    pub(crate) fn address(&self, parts: &Parts) -> IpAddr {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
        let told = || {
            let lines = parts.headers.get_all("x-forwarded-for").iter().next_back()?;
            lines.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
        };
        let address = if self.trusted_proxy { told().or(peer) } else { peer };
        match address.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)).to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) & !u128::from(u64::MAX))),
            v4 => v4,
        }
    }

    /// Lets a request to a sign-in endpoint through, or not.
    pub(crate) fn sign_in(&self, parts: &Parts, now: Timestamp) -> Result<(), Problem> {
        let address = self.address(parts);
        self.not_locked(address, now)?;
        self.sign_in.take(&address, now).map_err(|wait| {
            tracing::warn!(%address, "sign-in throttled");
            too_many("sign-in-throttled", "Too many sign-ins from this address", wait)
        })
    }

    /// Lets a start of a run through, or not.
    pub(crate) fn start(&self, caller: &Caller, now: Timestamp) -> Result<(), Problem> {
        let (tenant, person) = (caller.tenant().to_string(), caller.principal.to_string());
        let full = |of: &Option<Buckets<String>>, key: &String| match of.as_ref().map(|buckets| buckets.take(key, now))
        {
            Some(Err(wait)) => Some(wait),
            Some(Ok(())) | None => None,
        };
        let (wait, whose) = if let Some(wait) = full(&self.by_person, &person) {
            (wait, "you")
        } else if let Some(wait) = full(&self.in_tenant, &tenant) {
            (wait, "this tenant")
        } else {
            return Ok(());
        };
        tracing::warn!(%tenant, actor = %caller.principal.subject(), "start throttled");
        Err(too_many("start-throttled", "Too many starts", wait)
            .detail(format!("{whose} started too many runs at once")))
    }

    /// Whether requests with a credential from this address are looked at.
    pub(crate) fn not_locked(&self, address: IpAddr, now: Timestamp) -> Result<(), Problem> {
        match self.locks.left(address, now) {
            None => Ok(()),
            Some(wait) => Err(too_many("locked-out", "Too many wrong tokens from this address", wait)),
        }
    }

    /// A token from this address was wrong.
    pub(crate) fn wrong_token(&self, address: IpAddr, now: Timestamp) {
        if let Some(length) = self.locks.failed(address, now) {
            tracing::warn!(%address, seconds = length.as_secs(), "address locked out: too many wrong tokens");
        }
    }
}

fn too_many(code: &str, title: &str, wait: Duration) -> Problem {
    Problem::new(StatusCode::TOO_MANY_REQUESTS, code, title).retry_after(wait)
}

fn locked<T>(table: &Mutex<T>) -> MutexGuard<'_, T> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Token buckets in the form of GCRA: for each key one number, when its bucket is full again.
struct Buckets<K> {
    /// Microseconds that one request costs.
    cost: i64,
    /// Microseconds that a full bucket is worth.
    depth: i64,
    full_at: Mutex<HashMap<K, i64>>,
}

impl<K: Clone + Eq + Hash> Buckets<K> {
    fn new(rate: Rate) -> Self {
        let cost = 60_000_000 / i64::from(rate.per_minute.max(1));
        Self { cost, depth: cost.saturating_mul(i64::from(rate.burst.max(1))), full_at: Mutex::default() }
    }

    /// Takes one; or says how long until there is one again.
    fn take(&self, key: &K, now: Timestamp) -> Result<(), Duration> {
        let now = now.as_millis().saturating_mul(1_000);
        let mut table = locked(&self.full_at);
        let then = table.get(key).copied().unwrap_or(now).max(now).saturating_add(self.cost);
        let over = then.saturating_sub(now).saturating_sub(self.depth);
        if over > 0 {
            return Err(Duration::from_millis(u64::try_from(over / 1_000).unwrap_or_default() + 1));
        }
        if table.len() >= MOST && !table.contains_key(key) {
            make_room(&mut table, |full_at| *full_at);
        }
        table.insert(key.clone(), then);
        Ok(())
    }
}

/// Forgets the half that matters least, so that this is rare however fast new keys come.
fn make_room<K: Clone + Eq + Hash, V>(table: &mut HashMap<K, V>, weight: impl Fn(&V) -> i64) {
    let mut weights: Vec<i64> = table.values().map(&weight).collect();
    let middle = weights.len() / 2;
    let median = *weights.select_nth_unstable(middle).1;
    table.retain(|_, value| weight(value) > median);
}

/// What is known of an address whose tokens were wrong.
#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    since: Timestamp,
    /// How many times it was locked out.
    strikes: u32,
    until: Timestamp,
}

struct Locks {
    allowed: u32,
    table: Mutex<HashMap<IpAddr, Failures>>,
}

impl Locks {
    fn left(&self, address: IpAddr, now: Timestamp) -> Option<Duration> {
        let found = locked(&self.table).get(&address).copied()?;
        (now < found.until).then(|| found.until.since(now))
    }

    /// Counts a failure; the length of the lock-out, if it was one too many.
    fn failed(&self, address: IpAddr, now: Timestamp) -> Option<Duration> {
        let mut table = locked(&self.table);
        if table.len() >= MOST && !table.contains_key(&address) {
            make_room(&mut table, |failures| failures.until.max(failures.since).as_millis());
        }
        let new = Failures { count: 0, since: now, strikes: 0, until: Timestamp::EPOCH };
        let held = table.entry(address).or_insert(new);
        // Whoever has behaved for as long as the longest lock-out begins anew.
        if now.since(held.until.max(held.since)) > LONGEST_LOCK {
            *held = new;
        } else if now.since(held.since) > WINDOW {
            (held.count, held.since) = (0, now);
        }
        held.count = held.count.saturating_add(1);
        if held.count <= self.allowed {
            return None;
        }
        let length = FIRST_LOCK.as_millis().saturating_mul(1 << held.strikes.min(16)).min(LONGEST_LOCK.as_millis());
        let length = Duration::from_millis(length);
        *held = Failures { count: 0, since: now, strikes: held.strikes.saturating_add(1), until: now.plus(length) };
        Some(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;
    use std::net::Ipv4Addr;

    const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(1_800_000_000 + seconds)
    }

    #[test]
    fn a_bucket_gives_its_burst_then_its_rate() {
        let buckets = Buckets::new(Rate { per_minute: 60, burst: 3 });
        for _ in 0..3 {
            assert_eq!(buckets.take(&"a", at(0)), Ok(()));
        }
        let wait = buckets.take(&"a", at(0)).unwrap_err();
        assert!((900..=1_001).contains(&wait.as_millis()), "{wait:?}");
        assert_eq!(buckets.take(&"b", at(0)), Ok(()));
        assert_eq!(buckets.take(&"a", at(1)), Ok(()));
        assert!(buckets.take(&"a", at(1)).is_err());
        // Being refused costs nothing.
        assert_eq!(buckets.take(&"a", at(2)), Ok(()));
        for _ in 0..3 {
            assert_eq!(buckets.take(&"a", at(1_000)), Ok(()));
        }
        assert!(buckets.take(&"a", at(1_000)).is_err());
        // A clock that goes back gives nothing away and breaks nothing.
        assert!(buckets.take(&"a", at(0)).is_err());
    }

    #[test]
    fn tables_are_bounded_and_keep_who_matters() {
        let buckets = Buckets::new(Rate { per_minute: 60, burst: 10 });
        for _ in 0..10 {
            buckets.take(&u32::MAX, at(0)).unwrap();
        }
        for key in 0..u32::try_from(3 * MOST).unwrap() {
            buckets.take(&key, at(0)).unwrap();
        }
        assert!(locked(&buckets.full_at).len() <= MOST);
        assert!(buckets.take(&u32::MAX, at(0)).is_err(), "the busiest was forgotten");
        let locks = Locks { allowed: 0, table: Mutex::default() };
        for n in 0..u32::try_from(2 * MOST).unwrap() {
            locks.failed(IpAddr::V4(Ipv4Addr::from(n)), at(0));
        }
        assert!(locked(&locks.table).len() <= MOST);
    }

    #[test]
    fn lock_outs_grow_end_and_are_forgotten() {
        let locks = Locks { allowed: 2, table: Mutex::default() };
        let who = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let mut now = at(0);
        let mut lengths = Vec::new();
        for _ in 0..12 {
            assert_eq!((locks.failed(who, now), locks.failed(who, now)), (None, None));
            let length = locks.failed(who, now).unwrap();
            assert_eq!(locks.left(who, now), Some(length));
            now = now.plus(length);
            assert_eq!(locks.left(who, now), None);
            lengths.push(length.as_secs());
        }
        assert_eq!(lengths[..9], [5, 10, 20, 40, 80, 160, 320, 640, 900]);
        assert_eq!(lengths[11], 900);
        now = now.plus(Duration::from_secs(901));
        assert_eq!((locks.failed(who, now), locks.failed(who, now)), (None, None));
        assert_eq!(locks.failed(who, now), Some(Duration::from_secs(5)));
        // Failures that are far apart are no attack.
        let locks = Locks { allowed: 2, table: Mutex::default() };
        for n in 0..10 {
            assert_eq!(locks.failed(who, at(n * 200)), None);
        }
    }

    #[test]
    fn an_address_is_the_peers_unless_a_proxy_is_trusted() {
        let parts = |peer: &str, forwarded: Option<&str>| {
            let mut request = Request::builder();
            if let Some(forwarded) = forwarded {
                request = request.header("x-forwarded-for", forwarded);
            }
            let mut parts = request.body(()).unwrap().into_parts().0;
            parts.extensions.insert(ConnectInfo::<SocketAddr>(peer.parse().unwrap()));
            parts
        };
        let open = Throttle::new(&ThrottleConfig::default());
        let behind = Throttle::new(&ThrottleConfig { trusted_proxy: true, ..ThrottleConfig::default() });
        let told = parts("10.0.0.1:1", Some("6.6.6.6, 192.0.2.7"));
        assert_eq!(open.address(&told).to_string(), "10.0.0.1");
        assert_eq!(behind.address(&told).to_string(), "192.0.2.7");
        assert_eq!(behind.address(&parts("10.0.0.1:1", Some("nonsense"))).to_string(), "10.0.0.1");
        assert_eq!(open.address(&parts("[2001:db8:1:2:3:4:5:6]:1", None)).to_string(), "2001:db8:1:2::");
        assert_eq!(open.address(&parts("[::ffff:10.0.0.1]:1", None)).to_string(), "10.0.0.1");
    }
}
