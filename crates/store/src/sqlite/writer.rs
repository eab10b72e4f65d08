//! The writer thread: group commit.
//!
//! It takes the first job and all that wait behind it, opens one transaction, runs each job in a
//! savepoint so that one that is refused leaves nothing and harms nobody, commits once, and only then
//! answers. If the transaction as a whole fails, every job of it is told so and none of it is visible.

use super::fault::{Halt, sql_error};
use super::{StoreConfig, codec, open};
use mandate_journal::StoreError;
use mandate_kernel::crash;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

/// Jobs that may wait before their senders do.
const QUEUE: usize = 1024;

/// What becomes of a job's savepoint.
enum Verdict {
    /// It stands.
    Keep,
    /// It is rolled back alone.
    Undo,
    /// The transaction can't go on.
    Abandon(StoreError),
}

/// A piece of work waiting for its transaction.
trait Job: Send {
    /// Does it, inside a savepoint.
    fn run(&mut self, conn: &Connection) -> Verdict;
    /// Answers, once the fate of the transaction is known.
    fn answer(self: Box<Self>, fate: Result<(), StoreError>);
    /// Whether what it removed must leave the write-ahead log too.
    fn scrubs(&self) -> bool;
}

enum Message {
    Job(Box<dyn Job>),
    Close(oneshot::Sender<()>),
}

/// What a job is, apart from its work.
#[derive(Debug, Clone, Copy)]
pub(super) struct Task {
    /// The crash point it begins with.
    pub(super) point: &'static str,
    /// See [`Job::scrubs`].
    pub(super) scrubs: bool,
}

struct Pending<T, E, F> {
    task: Task,
    work: Option<F>,
    done: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> Job for Pending<T, E, F>
where
    T: Send,
    E: From<StoreError> + Send,
    F: FnOnce(&Connection) -> Result<T, Halt<E>> + Send,
{
    fn run(&mut self, conn: &Connection) -> Verdict {
        crash::point(self.task.point);
        let (done, verdict) = match self.work.take().map(|work| work(conn)) {
            Some(Ok(value)) => (Ok(value), Verdict::Keep),
            Some(Err(Halt::Told(refusal))) => (Err(refusal), Verdict::Undo),
            Some(Err(Halt::Sql(error))) => match sql_error(&error) {
                // SQLite may have rolled everything back by itself: nothing of the batch is certain.
                told @ StoreError::Unavailable(_) => return Verdict::Abandon(told),
                told => (Err(told.into()), Verdict::Undo),
            },
            None => return Verdict::Undo,
        };
        self.done = Some(done);
        verdict
    }

    fn answer(self: Box<Self>, fate: Result<(), StoreError>) {
        let done = match fate {
            Ok(()) => self.done.unwrap_or_else(|| Err(StoreError::Closed.into())),
            Err(error) => Err(error.into()),
        };
        // Whoever asked may have gone; what was committed stays.
        let _ = self.reply.send(done);
    }

    fn scrubs(&self) -> bool {
        self.task.scrubs && matches!(self.done, Some(Ok(_)))
    }
}

/// The sending side.
#[derive(Debug)]
pub(super) struct Writer {
    inbox: mpsc::Sender<Message>,
}

impl Writer {
    /// Starts the thread. It ends when the last sender is gone, or on [`Writer::close`].
    pub(super) fn start(conn: Connection, config: StoreConfig) -> Result<Self, StoreError> {
        let (inbox, jobs) = mpsc::channel(QUEUE);
        let thread = Thread { conn, config, pages: None, unscrubbed: false };
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || thread.drive(jobs))
            .map_err(|e| StoreError::Unavailable(format!("the writer thread can't start: {e}")))?;
        Ok(Self { inbox })
    }

    /// Has the work done in the next transaction; waits while the queue is full. Returns once its
    /// effect is on disk, or is certain not to be.
    pub(super) async fn write<T, E, F>(&self, task: Task, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Halt<E>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Pending { task, work: Some(work), done: None, reply });
        self.inbox.send(Message::Job(job)).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Finishes what waits, then closes the database. Later jobs are told that the store is closed.
    pub(super) async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        if self.inbox.send(Message::Close(reply)).await.is_ok() {
            // An error means the thread is gone, which is what was asked for.
            let _ = closed.await;
        }
    }
}

struct Thread {
    conn: Connection,
    config: StoreConfig,
    /// The ceiling last set on the connection.
    pages: Option<u32>,
    /// Whether the write-ahead log still holds something shredded.
    unscrubbed: bool,
}

impl Thread {
    fn drive(mut self, mut inbox: mpsc::Receiver<Message>) {
        let mut closers = Vec::new();
        while let Some(first) = inbox.blocking_recv() {
            let mut batch = Vec::new();
            let mut next = Some(first);
            while let Some(message) = next {
                match message {
                    Message::Job(job) => batch.push(job),
                    Message::Close(reply) => {
                        inbox.close();
                        closers.push(reply);
                    }
                }
                next = if batch.len() < self.config.batch { inbox.try_recv().ok() } else { None };
            }
            self.commit(batch);
        }
        drop(self.conn);
        for reply in closers {
            let _ = reply.send(());
        }
    }

    fn commit(&mut self, mut batch: Vec<Box<dyn Job>>) {
        let fate = self.transact(&mut batch);
        match &fate {
            Ok(()) => self.scrub(batch.iter().any(|job| job.scrubs())),
            Err(error) => {
                tracing::warn!(%error, jobs = batch.len(), "a group of commits failed; nothing of it was written")
            }
        }
        crash::point("store.before-reply");
        for job in batch {
            job.answer(fate.clone());
        }
    }

    fn transact(&mut self, batch: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
        self.keep_to_page_limit()?;
        crash::point("store.before-begin");
        self.execute("BEGIN IMMEDIATE")?;
        let done = self.run_each(batch).and_then(|()| {
            crash::point("store.before-commit");
            self.execute("COMMIT")
        });
        if done.is_ok() {
            crash::point("store.after-commit");
        } else if !self.conn.is_autocommit()
            && let Err(error) = self.execute("ROLLBACK")
        {
            tracing::error!(%error, "a failed transaction could not be rolled back");
        }
        done
    }

    fn run_each(&self, batch: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
        for job in batch {
            self.execute("SAVEPOINT job")?;
            match job.run(&self.conn) {
                Verdict::Keep => self.execute("RELEASE job")?,
                Verdict::Undo => {
                    self.execute("ROLLBACK TO job")?;
                    self.execute("RELEASE job")?;
                }
                Verdict::Abandon(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What is shredded must not live on in the write-ahead log. A reader may be in the way; then the
    /// next transaction tries again.
    fn scrub(&mut self, shredded: bool) {
        if !(shredded || self.unscrubbed) {
            return;
        }
        crash::point("store.before-scrub");
        self.unscrubbed = !matches!(open::scrub(&self.conn), Ok(true));
        if self.unscrubbed {
            tracing::warn!("the write-ahead log still holds shredded ciphertext; trying again at the next commit");
        }
    }

    fn keep_to_page_limit(&mut self) -> Result<(), StoreError> {
        let wanted = self.config.page_limit.as_ref().map(super::PageLimit::get);
        if let Some(pages) = wanted
            && wanted != self.pages
        {
            open::limit_pages(&self.conn, pages)?;
            self.pages = wanted;
        }
        Ok(())
    }

    fn execute(&self, sql: &str) -> Result<(), StoreError> {
        codec::run(&self.conn, sql, []).map(drop).map_err(|e| sql_error(&e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    const TASK: Task = Task { point: "store.test", scrubs: false };

    /// A database whose COMMIT fails when a child was put in without its parent.
    fn database(folder: &tempfile::TempDir) -> (Connection, StoreConfig) {
        let config = StoreConfig::new(folder.path().join("test.db"));
        let conn = Connection::open(&config.path).unwrap();
        conn.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON; CREATE TABLE parent (id INTEGER PRIMARY KEY);
             CREATE TABLE child (id INTEGER PRIMARY KEY, of INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED);",
        )
        .unwrap();
        (conn, config)
    }

    fn put(sql: &'static str) -> impl FnOnce(&Connection) -> Result<(), Halt<StoreError>> + Send {
        move |conn| Ok(conn.execute_batch(sql)?)
    }

    /// Has the jobs done in one transaction: they gather while the one before is held up.
    async fn together(writer: &Arc<Writer>, jobs: &[&'static str]) -> Vec<Result<(), StoreError>> {
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (started, running) = oneshot::channel();
        let holding = Arc::clone(writer);
        let held = tokio::spawn(async move {
            let hold = move |_: &Connection| {
                started.send(()).unwrap();
                wait.recv().unwrap();
                Ok::<(), Halt<StoreError>>(())
            };
            holding.write(TASK, hold).await
        });
        running.await.unwrap();
        let waiting: Vec<_> = jobs
            .iter()
            .map(|sql| {
                let (writer, work) = (Arc::clone(writer), put(sql));
                tokio::spawn(async move { writer.write(TASK, work).await })
            })
            .collect();
        // All are in the queue once only the room of the rest is left.
        while writer.inbox.capacity() > QUEUE - jobs.len() {
            tokio::task::yield_now().await;
        }
        go.send(()).unwrap();
        held.await.unwrap().unwrap();
        let mut answers = Vec::new();
        for job in waiting {
            answers.push(job.await.unwrap());
        }
        answers
    }

    fn count(config: &StoreConfig, table: &str) -> i64 {
        let conn = Connection::open(&config.path).unwrap();
        conn.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    }

    #[tokio::test]
    async fn a_commit_that_fails_acknowledges_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let (conn, config) = database(&folder);
        let writer = Arc::new(Writer::start(conn, config.clone()).unwrap());
        let good = "INSERT INTO parent VALUES (1)";
        let orphan = "INSERT INTO child VALUES (1, 7)";
        let answers = together(&writer, &[good, orphan]).await;
        assert!(answers.iter().all(Result::is_err), "{answers:?}");
        assert_eq!((count(&config, "parent"), count(&config, "child")), (0, 0));
        writer.write(TASK, put(good)).await.unwrap();
        assert_eq!(count(&config, "parent"), 1);
    }

    #[tokio::test]
    async fn a_job_that_fails_is_undone_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (conn, config) = database(&folder);
        let writer = Arc::new(Writer::start(conn, config.clone()).unwrap());
        let half = "INSERT INTO parent VALUES (2); INSERT INTO parent VALUES (1)";
        let answers =
            together(&writer, &["INSERT INTO parent VALUES (1)", half, "INSERT INTO parent VALUES (3)"]).await;
        assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
        assert_eq!(count(&config, "parent"), 2);
        writer.close().await;
        assert_eq!(writer.write(TASK, put("SELECT 1")).await, Err(StoreError::Closed));
    }
}
