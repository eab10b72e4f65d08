//! Cursors: where a listing goes on, as a text that means nothing to its holder.
//!
//! A cursor is good for one list of one tenant under the same filters. That is checked, so that one which
//! was cut, altered or taken from elsewhere is an error and not a page that looks right. It is no secret
//! and gives no right: every item is judged when the page is made.

use crate::Problem;
use mandate_kernel::{Digest, Tenant, base64url_decode, base64url_encode};

/// The format of cursors; another one is refused.
const VERSION: u8 = 1;
/// Bytes of the check.
const CHECK: usize = 12;
/// The longest cursor that is looked at.
const LONGEST: usize = 1_024;

/// What a list is: cursors of one are good for it alone.
pub(crate) struct Listing<'a> {
    /// Whose.
    pub tenant: &'a Tenant,
    /// Its name.
    pub list: &'static str,
    /// What it was asked for, apart from the size of its pages.
    pub filters: String,
}

impl Listing<'_> {
    /// The cursor that goes on after `position`.
    pub(crate) fn after(&self, position: &str) -> String {
        base64url_encode(&[&[VERSION], self.check(position).as_slice(), position.as_bytes()].concat())
    }

    /// The position in a cursor that this list gave.
    ///
    /// # Errors
    /// A problem when it is none of this list.
    pub(crate) fn position(&self, cursor: Option<&str>) -> Result<Option<String>, Problem> {
        cursor.map(|cursor| self.read(cursor).ok_or_else(foreign)).transpose()
    }

    /// As [`Self::position`], for positions with a form of their own.
    pub(crate) fn parsed<T: std::str::FromStr>(&self, cursor: Option<&str>) -> Result<Option<T>, Problem> {
        let position = self.position(cursor)?;
        position.map(|position| position.parse().map_err(|_| foreign())).transpose()
    }

    fn read(&self, cursor: &str) -> Option<String> {
        let bytes = Some(cursor).filter(|cursor| cursor.len() <= LONGEST)?;
        let bytes = base64url_decode(bytes).ok()?;
        let (version, rest) = bytes.split_first()?;
        let (check, position) = rest.split_at_checked(CHECK)?;
        let position = std::str::from_utf8(position).ok()?;
        let holds = *version == VERSION && self.check(position).as_slice() == check;
        holds.then(|| position.to_owned())
    }

    fn check(&self, position: &str) -> [u8; CHECK] {
        let parts: [&[u8]; 8] = [
            b"mandate cursor\0",
            self.tenant.as_str().as_bytes(),
            b"\0",
            self.list.as_bytes(),
            b"\0",
            self.filters.as_bytes(),
            b"\0",
            position.as_bytes(),
        ];
        let digest = Digest::of_parts(&parts);
        std::array::from_fn(|at| digest.as_bytes().get(at).copied().unwrap_or_default())
    }
}

fn foreign() -> Problem {
    Problem::invalid("invalid-cursor", "this cursor is not one that this list gave for the same question; begin anew")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_where_it_was_given_and_nowhere_else() {
        let (demo, other) = (Tenant::new("demo").unwrap(), Tenant::new("other").unwrap());
        let list = |tenant, list, filters: &str| Listing { tenant, list, filters: filters.to_owned() };
        let here = list(&demo, "runs", "worker=a");
        let cursor = here.after("run_1");
        assert_eq!(here.position(Some(&cursor)).unwrap().as_deref(), Some("run_1"));
        assert_eq!(here.position(None).unwrap(), None);
        for elsewhere in
            [list(&other, "runs", "worker=a"), list(&demo, "approvals", "worker=a"), list(&demo, "runs", "")]
        {
            assert_eq!(elsewhere.position(Some(&cursor)).unwrap_err().status, 422);
        }
        assert!(here.parsed::<u64>(Some(&cursor)).is_err());
    }

    #[test]
    fn an_altered_cursor_is_none() {
        let demo = Tenant::new("demo").unwrap();
        let here = Listing { tenant: &demo, list: "runs", filters: String::new() };
        let cursor = here.after("run_1");
        let whole = base64url_decode(&cursor).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            assert!(here.position(Some(&base64url_encode(&bytes))).is_err(), "{at}");
            assert!(here.position(Some(&base64url_encode(&whole[..at]))).is_err(), "{at}");
        }
        for bad in ["", "run_1", "5", "!!", &format!("{cursor}A"), &"A".repeat(LONGEST + 1)] {
            assert!(here.position(Some(bad)).is_err(), "{bad}");
        }
    }
}
