//! What other nodes say by `NOTIFY`: that there is something to look at. It carries nothing, may be lost with its
//! connection, and nobody relies on it.

use sqlx::PgPool;
use sqlx::postgres::PgListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// The channel, as `0003_nodes.sql` names it.
const CHANNEL: &str = "mandate_nodes";
/// Between two tries to listen, when the connection was lost.
const AGAIN: Duration = Duration::from_secs(1);

/// Rings when something came. It listens once somebody waits for it.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rang: Arc<Notify>,
    listening: AtomicBool,
}

impl Bell {
    /// Waits until it rings. What came since the last time counts.
    pub(super) async fn rung(&self, pool: &PgPool) {
        if !self.listening.swap(true, Ordering::SeqCst) {
            tokio::spawn(listen(pool.clone(), Arc::clone(&self.rang)));
        }
        self.rang.notified().await;
    }
}

/// Listens until the pool is closed.
async fn listen(pool: PgPool, rang: Arc<Notify>) {
    while !pool.is_closed() {
        let heard: Result<(), sqlx::Error> = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.listen(CHANNEL).await?;
            loop {
                // `None`: the connection was lost and made anew; something may have been said meanwhile.
                let _ = listener.try_recv().await?;
                rang.notify_one();
            }
        }
        .await;
        if let Err(error) = heard {
            tracing::debug!(%error, "other nodes can't be heard now; they are looked for every second");
        }
        tokio::time::sleep(AGAIN).await;
    }
}
