//! A disk that a test can fill, and empty again, while the house runs. Debug builds only.

use mandate_store::{PageLimit, StoreConfig};
use std::path::Path;
use std::time::Duration;

/// Names a file that holds the most pages the database may have. It is read again all the time.
const FILE: &str = "MANDATE_TEST_PAGE_LIMIT";

/// Puts a ceiling on the database, if a test asks for one.
pub(super) fn limited(config: StoreConfig) -> StoreConfig {
    let Some(file) = std::env::var_os(FILE) else { return config };
    let limit = PageLimit::new(pages(file.as_ref()).unwrap_or(u32::MAX));
    let watched = limit.clone();
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_millis(20));
            if let Some(pages) = pages(file.as_ref()) {
                watched.set(pages);
            }
        }
    });
    StoreConfig { page_limit: Some(limit), ..config }
}

/// `None` when there is no such file, or a test just writes it.
fn pages(file: &Path) -> Option<u32> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}
