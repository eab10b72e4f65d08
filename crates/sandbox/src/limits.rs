//! What one evaluation may use.

use std::time::Duration;

/// Why limits were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LimitsError {
    /// Less than an ordinary expression needs, or longer than anybody waits.
    #[error("an expression may take from 100 to 60000 milliseconds")]
    Time,
    /// Less than an ordinary expression needs, or more than is sensible.
    #[error("an expression may use from 64 to 4096 MiB of memory")]
    Memory,
    /// None, or more than a machine carries.
    #[error("from 1 to 64 expressions may be evaluated at a time")]
    Concurrent,
}

/// What one evaluation may use, and how many there may be at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    time: Duration,
    memory: u64,
    concurrent: usize,
}

impl Limits {
    /// Two seconds, 256 MiB, eight at a time.
    pub const DEFAULT: Self = Self { time: Duration::from_secs(2), memory: 256 << 20, concurrent: 8 };

    /// `time` in milliseconds, `memory` in MiB beyond what the process starts with.
    ///
    /// # Errors
    /// [`LimitsError`] for what is out of bounds.
    pub const fn new(time: u64, memory: u64, concurrent: usize) -> Result<Self, LimitsError> {
        if time < 100 || time > 60_000 {
            return Err(LimitsError::Time);
        }
        if memory < 64 || memory > 4096 {
            return Err(LimitsError::Memory);
        }
        if concurrent < 1 || concurrent > 64 {
            return Err(LimitsError::Concurrent);
        }
        Ok(Self { time: Duration::from_millis(time), memory: memory << 20, concurrent })
    }

    /// Wall-clock time of one evaluation.
    #[must_use]
    pub const fn time(&self) -> Duration {
        self.time
    }

    /// Bytes of address space beyond what the process starts with.
    #[must_use]
    pub const fn memory(&self) -> u64 {
        self.memory
    }

    /// Evaluations at a time.
    #[must_use]
    pub const fn concurrent(&self) -> usize {
        self.concurrent
    }

    /// Wall-clock time of all evaluations of one child, after which it is given up.
    pub(crate) const fn lifetime(&self) -> Duration {
        self.time.saturating_mul(5)
    }

    /// Seconds of processor time after which the kernel ends a child. The parent's clock comes first; this is
    /// for a child whose parent is gone.
    pub(crate) const fn processor(&self) -> u64 {
        self.time.saturating_mul(6).as_secs() + 2
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_bounds_is_refused() {
        assert_eq!(Limits::new(2_000, 256, 8), Ok(Limits::DEFAULT));
        assert_eq!(Limits::new(99, 256, 8), Err(LimitsError::Time));
        assert_eq!(Limits::new(60_001, 256, 8), Err(LimitsError::Time));
        assert_eq!(Limits::new(2_000, 63, 8), Err(LimitsError::Memory));
        assert_eq!(Limits::new(2_000, 4_097, 8), Err(LimitsError::Memory));
        assert_eq!(Limits::new(2_000, 256, 0), Err(LimitsError::Concurrent));
        assert_eq!(Limits::new(2_000, 256, 65), Err(LimitsError::Concurrent));
    }
}
