//! The store itself answers nothing.

use mandate_journal::{Commit, Log, Resources, Runs};
use mandate_kernel::RunId;
use mandate_store::Store;

async fn look(store: &Store, run: &RunId) {
    let _ = store.run(run).await;
    let _ = store.resources("Worker").await;
    let _ = store.pending(1).await;
}

fn commits(store: &Store) -> &dyn Commit {
    store
}

fn main() {}
