//! Objects in canonical order: members sorted by the UTF-16 code units of their names (RFC 8785 §3.2.3).

use std::cmp::Ordering;

/// A member that was written: `"name":value` at `start..end`, its name, quotes included, at `start..name_end`.
#[derive(Debug)]
pub(super) struct Member {
    start: usize,
    name_end: usize,
    end: usize,
    /// The name in UTF-16, where its bytes as written don't sort alike.
    units: Option<Box<[u16]>>,
}

/// What is being written: one buffer, and the members of every object that is open.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub(super) bytes: Vec<u8>,
    /// How many levels are left below the value being written.
    pub(super) depth: usize,
    /// Whether an integer that would be rounded is refused.
    pub(super) exact: bool,
    members: Vec<Member>,
}

/// An object that is open.
#[derive(Debug)]
pub(super) struct Open {
    /// Where its members begin.
    first: usize,
    /// Whether they are in order so far.
    sorted: bool,
}

/// Two members of one name.
#[derive(Debug)]
pub(super) struct Duplicate;

impl Output {
    /// Nothing yet, under these bounds.
    pub(super) fn new(depth: usize, exact: bool) -> Self {
        Self { depth, exact, ..Self::default() }
    }

    pub(super) fn open(&mut self) -> Open {
        self.bytes.push(b'{');
        Open { first: self.members.len(), sorted: true }
    }

    /// The beginning of a member: where its name will stand.
    pub(super) fn begin(&mut self, open: &Open) -> usize {
        if self.members.len() > open.first {
            self.bytes.push(b',');
        }
        self.bytes.len()
    }

    /// The name of a member was written at `start`.
    pub(super) fn named(&mut self, open: &mut Open, start: usize, units: Option<Box<[u16]>>) -> Result<(), Duplicate> {
        let name_end = self.bytes.len();
        self.bytes.push(b':');
        let member = Member { start, name_end, end: 0, units };
        if let Some(before) = self.members.get(open.first..).and_then(<[Member]>::last) {
            match compare(&self.bytes, before, &member) {
                Ordering::Less => {}
                Ordering::Equal => return Err(Duplicate),
                Ordering::Greater => open.sorted = false,
            }
        }
        self.members.push(member);
        Ok(())
    }

    /// The value of the newest member was written.
    pub(super) fn valued(&mut self) {
        let end = self.bytes.len();
        if let Some(member) = self.members.last_mut() {
            member.end = end;
        }
    }

    /// The object is complete: its members are put in order, if they were not written so.
    pub(super) fn close(&mut self, open: &Open) -> Result<(), Duplicate> {
        if !open.sorted {
            self.sort(open.first)?;
        }
        self.members.truncate(open.first);
        self.bytes.push(b'}');
        Ok(())
    }

    fn sort(&mut self, first: usize) -> Result<(), Duplicate> {
        let Self { bytes, members, .. } = self;
        let members = members.get_mut(first..).unwrap_or_default();
        let Some(begin) = members.first().map(|member| member.start) else { return Ok(()) };
        members.sort_unstable_by(|a, b| compare(bytes, a, b));
        let follows = |(a, b): (&Member, &Member)| compare(bytes, a, b) == Ordering::Less;
        if !members.iter().zip(members.iter().skip(1)).all(follows) {
            return Err(Duplicate);
        }
        let written = bytes.split_off(begin);
        for (n, member) in members.iter().enumerate() {
            if n > 0 {
                bytes.push(b',');
            }
            bytes.extend_from_slice(written.get(member.start - begin..member.end - begin).unwrap_or_default());
        }
        Ok(())
    }
}

fn compare(bytes: &[u8], a: &Member, b: &Member) -> Ordering {
    if a.units.is_none() && b.units.is_none() {
        return name(bytes, a).cmp(name(bytes, b));
    }
    units(bytes, a).cmp(units(bytes, b))
}

/// A member's name as it was written, without quotes.
fn name<'a>(bytes: &'a [u8], member: &Member) -> &'a [u8] {
    bytes.get(member.start + 1..member.name_end - 1).unwrap_or_default()
}

fn units<'a>(bytes: &'a [u8], member: &'a Member) -> impl Iterator<Item = u16> + 'a {
    let plain = if member.units.is_some() { &[][..] } else { name(bytes, member) };
    let told = member.units.as_deref().unwrap_or_default();
    plain.iter().map(|byte| u16::from(*byte)).chain(told.iter().copied())
}
