//! What happens in a seed, and when.

use crate::simulation::program::{self, EVENTS, Made};
use mandate_ledger::Role;
use mandate_testkit::SimEntropy;

/// Something that happens while runs go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Happening {
    /// A person starts a run, again and again until there is an answer.
    Start(usize),
    /// A person stops it.
    Kill(usize),
    /// A policy forbids a function to everyone.
    Forbid(&'static str),
    /// The policy of the beginning is in force again.
    Allow,
    /// The person who started the runs is revoked.
    RevokeUser,
    /// A function is revoked.
    RevokeFunction,
    /// The Worker is revoked.
    RevokeWorker,
    /// The grant of the credential is taken back, or given again.
    DropGrant,
    GiveGrant,
    /// The starter's entitlement is narrowed.
    Narrow,
    /// The credential has a new value.
    RotateSecret,
    /// A signing key of the tenant has a successor.
    RotateKey(Role),
    /// The Worker has a new version.
    Revise,
    /// An event comes from outside, of this number and type.
    Deliver(u64, &'static str),
    /// Somebody sets the clock, by so many milliseconds.
    Forward(u64),
    Back(u64),
    /// The process ends between two I/O steps.
    Crash,
    /// The process ends in order, and another begins.
    Restart,
}

impl Happening {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Start(_) => "a start",
            Self::Kill(_) => "a stop",
            Self::Forbid(_) => "a policy that forbids",
            Self::Allow => "a policy that allows again",
            Self::RevokeUser => "a revoked user",
            Self::RevokeFunction => "a revoked function",
            Self::RevokeWorker => "a revoked Worker",
            Self::DropGrant => "a grant taken back",
            Self::GiveGrant => "a grant given again",
            Self::Narrow => "a narrowed entitlement",
            Self::RotateSecret => "a new value of a credential",
            Self::RotateKey(_) => "a new signing key",
            Self::Revise => "a new Worker version",
            Self::Deliver(..) => "an event from outside",
            Self::Forward(_) => "the clock set forward",
            Self::Back(_) => "the clock set back",
            Self::Crash => "a crash between steps",
            Self::Restart => "a restart in order",
        }
    }

    /// Every word.
    pub(crate) const WORDS: [&str; 18] = [
        "a start",
        "a stop",
        "a policy that forbids",
        "a policy that allows again",
        "a revoked user",
        "a revoked function",
        "a revoked Worker",
        "a grant taken back",
        "a grant given again",
        "a narrowed entitlement",
        "a new value of a credential",
        "a new signing key",
        "a new Worker version",
        "an event from outside",
        "the clock set forward",
        "the clock set back",
        "a crash between steps",
        "a restart in order",
    ];

    fn draw(rng: &SimEntropy, runs: u64) -> Self {
        match rng.below(40) {
            0 | 1 => Self::Kill(rng.below(runs) as usize),
            2 => Self::Forbid(["sim.read", "sim.once", "sim.write", "sim.taint"][rng.below(4) as usize]),
            3 => Self::Allow,
            4 => Self::RevokeUser,
            5 => Self::RevokeFunction,
            6 => Self::RevokeWorker,
            7 => Self::DropGrant,
            8 => Self::GiveGrant,
            9 => Self::Narrow,
            10 | 11 => Self::RotateSecret,
            12 => Self::RotateKey([Role::Log, Role::Evidence, Role::Token][rng.below(3) as usize]),
            13 => Self::Revise,
            14..=22 => Self::Deliver(rng.below(4), EVENTS[rng.below(2) as usize]),
            23 | 24 => Self::Forward(1 + rng.below(if rng.below(4) == 0 { 7_200_000 } else { 90_000 })),
            25 | 26 => Self::Back(1 + rng.below(if rng.below(4) == 0 { 900_000 } else { 20_000 })),
            27..=33 => Self::Crash,
            _ => Self::Restart,
        }
    }
}

/// A seed's plan.
pub(crate) struct Plan {
    pub(crate) made: Made,
    /// In the order of time; milliseconds since the beginning.
    pub(crate) happenings: Vec<(u64, Happening)>,
    /// Faults of I/O steps, and receivers that misbehave: rate per mille and how many at most.
    pub(crate) faults: (u64, u32),
    pub(crate) mischief: (u64, u32),
}

pub(crate) fn plan(seed: u64) -> Plan {
    let made = program::make(seed);
    let rng = SimEntropy::new(seed ^ 0x71a9);
    let runs = 1 + rng.below(3);
    let mut happenings = vec![(0, Happening::Start(0))];
    happenings.extend((1..runs).map(|run| (rng.below(20_000), Happening::Start(run as usize))));
    // Some seeds are about faults alone.
    let count = if rng.below(4) == 0 { 0 } else { rng.below(7) };
    happenings.extend((0..count).map(|_| (rng.below(60_000), Happening::draw(&rng, runs))));
    happenings.sort_by_key(|(at, _)| *at);
    let faults = if rng.below(5) == 0 { (0, 0) } else { (10 + rng.below(50), 1 + rng.below(7) as u32) };
    let mischief = if rng.below(4) == 0 { (0, 0) } else { (200, 1 + rng.below(6) as u32) };
    Plan { made, happenings, faults, mischief }
}
