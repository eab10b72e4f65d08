//! Named points around every I/O step, so that a test can end the process at each of them. Release
//! builds compile them to nothing.

/// Marks an I/O step. In debug builds, when `MANDATE_CRASH_AT` is `N`, the N-th mark passed by this
/// process aborts it at once, as a power cut would; with `MANDATE_CRASH_LOG=FILE` each mark appends a
/// line `N name` to FILE, so that a test can list the points first.
#[inline]
pub fn point(name: &'static str) {
    #[cfg(debug_assertions)]
    armed::pass(name);
    #[cfg(not(debug_assertions))]
    let _ = name;
}

#[cfg(debug_assertions)]
mod armed {
    use std::io::Write;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static PASSED: AtomicU64 = AtomicU64::new(0);
    static AT: OnceLock<Option<u64>> = OnceLock::new();
    static LOG: OnceLock<Option<String>> = OnceLock::new();

    pub(super) fn pass(name: &str) {
        let at = AT.get_or_init(|| std::env::var("MANDATE_CRASH_AT").ok()?.parse().ok());
        let log = LOG.get_or_init(|| std::env::var("MANDATE_CRASH_LOG").ok());
        if at.is_none() && log.is_none() {
            return;
        }
        let passed = PASSED.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(path) = log
            && let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(path)
        {
            // A lost line only makes the table test shorter than it says, which it checks.
            let _ = writeln!(file, "{passed} {name}");
        }
        if *at == Some(passed) {
            std::process::abort();
        }
    }
}
