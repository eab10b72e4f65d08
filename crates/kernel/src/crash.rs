//! Named points around every I/O step, so that a test can end the process at each of them. Release
//! builds compile them to nothing.

/// Marks an I/O step. In debug builds, when `MANDATE_CRASH_AT` is `N`, the N-th mark passed by this
/// process aborts it at once, as a power cut would; when it is `NAME#N`, the N-th mark of that name
/// does, which stays the same step however tasks interleave. With `MANDATE_CRASH_LOG=FILE` each mark
/// appends a line `N name` to FILE, so that a test can list the points first.
#[inline]
pub fn point(name: &'static str) {
    #[cfg(debug_assertions)]
    armed::pass(name);
    #[cfg(not(debug_assertions))]
    let _ = name;
}

#[cfg(debug_assertions)]
mod armed {
    use std::collections::BTreeMap;
    use std::io::Write;
    use std::sync::{LazyLock, Mutex, PoisonError};

    /// Where this process ends.
    enum At {
        Mark(u64),
        Named(String, u64),
    }

    impl At {
        fn parse(text: &str) -> Option<Self> {
            match text.split_once('#') {
                Some((name, n)) => Some(Self::Named(name.to_owned(), n.parse().ok()?)),
                None => Some(Self::Mark(text.parse().ok()?)),
            }
        }
    }

    struct Passed {
        all: u64,
        of: BTreeMap<&'static str, u64>,
    }

    static PASSED: Mutex<Passed> = Mutex::new(Passed { all: 0, of: BTreeMap::new() });
    static AT: LazyLock<Option<At>> = LazyLock::new(|| At::parse(&std::env::var("MANDATE_CRASH_AT").ok()?));
    static LOG: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("MANDATE_CRASH_LOG").ok());

    pub(super) fn pass(name: &'static str) {
        if AT.is_none() && LOG.is_none() {
            return;
        }
        // Held to the end, so that the log has the order of the numbers and ends with the fatal one.
        let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
        passed.all += 1;
        let of_name = passed.of.entry(name).or_default();
        *of_name += 1;
        let of_name = *of_name;
        let here = match &*AT {
            Some(At::Mark(n)) => *n == passed.all,
            Some(At::Named(wanted, n)) => wanted == name && *n == of_name,
            None => false,
        };
        if let Some(path) = &*LOG
            && let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(path)
        {
            // A lost line only makes the table test shorter than it says, which it checks.
            let _ = writeln!(file, "{} {name}", passed.all);
        }
        if here {
            std::process::abort();
        }
    }
}
