//! Bounds on everything that comes from outside. One place, so that they can be read at a glance.

/// The limits in force. Sizes in bytes unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// A request body of the API.
    pub request_body: usize,
    /// A reply that a connector accepts.
    pub reply_body: usize,
    /// One value inside a run, as canonical JSON.
    pub value: usize,
    /// Levels of nesting in JSON and YAML.
    pub depth: usize,
    /// Steps of one run.
    pub steps: u32,
    /// Iterations of one loop.
    pub iterations: u32,
    /// Attempts at one step.
    pub attempts: u32,
    /// Characters of a purpose.
    pub purpose_chars: usize,
    /// One ledger entry (C2SP tlog-tiles: a 16-bit length).
    pub ledger_entry: usize,
}

impl Limits {
    /// The limits of this version.
    pub const DEFAULT: Self = Self {
        request_body: 1 << 20,
        reply_body: 4 << 20,
        value: 1 << 20,
        depth: 64,
        steps: 10_000,
        iterations: 10_000,
        attempts: 20,
        purpose_chars: 1_000,
        ledger_entry: 65_535,
    };
}
