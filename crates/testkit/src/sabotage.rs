//! Things broken on purpose: a simulation that does not find them would not find a real fault either.

/// Something that does not keep to its contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// The disk says that something is durable before it is: a crash takes the last commit with it.
    AcknowledgesEarly,
    /// A commit is not compared with the tenant's revocations.
    IgnoresRevocations,
    /// The end of a lease is acknowledged and not kept.
    LosesLeaseEnds,
    /// Timers are acknowledged and not kept.
    LosesTimers,
    /// An event that came for a run is acknowledged and not kept.
    LosesEvents,
    /// The sequencer's rounds lose their last entry, on the disk and in the tree.
    LosesEntries,
    /// Labels of journaled values lose their sources, and everything is authoritative.
    StripsLabels,
    /// Receivers that promise to honour idempotency keys do the work each time.
    ForgetsKeys,
    /// A lost answer of a receiver that can't tell is said to be certainly nothing.
    CallsDoubtCertain,
}

impl Sabotage {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::AcknowledgesEarly,
        Self::IgnoresRevocations,
        Self::LosesLeaseEnds,
        Self::LosesTimers,
        Self::LosesEvents,
        Self::LosesEntries,
        Self::StripsLabels,
        Self::ForgetsKeys,
        Self::CallsDoubtCertain,
    ];
}
