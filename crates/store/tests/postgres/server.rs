//! A PostgreSQL server of the tests' own: from the machine's programs, in a folder of its own, on a socket of
//! its own, as an unprivileged user. It ends with the process that started it, however that ends.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const ROOT: &str = "mandate_root";
const OWNER: &str = "mandate_owner";
const APP: &str = "mandate_app";
/// The passwords of the roles; nothing may ever repeat them.
pub(crate) const PASSWORD: &str = "CANARY-PASSWORD-5d41";

/// Holds the server up until the pipe to it closes, which it does when its process is gone. Then the server is
/// stopped, and its folder removed unless somebody said to keep it.
const KEEPER: &str = r#"
"$1/postgres" -D "$2/data" -c unix_socket_directories="$2" -c listen_addresses= -c max_connections=200 \
    -c shared_buffers=32MB -c autovacuum_naptime=5 -c log_min_messages=fatal >>"$2/log" 2>&1 &
server=$!
read -r word
kill -QUIT "$server" 2>/dev/null
wait "$server"
[ "$word" = keep ] || rm -rf "$2"
"#;

/// A running server.
pub(crate) struct Server {
    programs: PathBuf,
    folder: PathBuf,
    user: Option<(u32, u32)>,
    keeper: Child,
    databases: AtomicU32,
}

/// A database of a server: empty, owned by the owner's role.
#[derive(Clone)]
pub(crate) struct Database {
    /// Its name.
    pub(crate) name: String,
    /// For the role that works.
    pub(crate) url: String,
    /// For the role that owns the tables.
    pub(crate) owner_url: String,
    /// For the server's superuser.
    pub(crate) root_url: String,
}

impl Server {
    /// The one server of this test binary.
    pub(crate) fn shared() -> &'static Self {
        static SERVER: LazyLock<Server> = LazyLock::new(Server::start);
        &SERVER
    }

    /// A server of one's own.
    pub(crate) fn start() -> Self {
        let programs = programs();
        let folder = private_folder();
        let user = unprivileged(&folder);
        std::fs::write(folder.join("password"), PASSWORD).unwrap();
        if let Some((uid, gid)) = user {
            chown(&folder, Some(uid), Some(gid)).unwrap();
            chown(folder.join("password"), Some(uid), Some(gid)).unwrap();
        }
        let mut initdb = as_user(&programs.join("initdb"), user, &folder);
        let pwfile = format!("--pwfile={}", folder.join("password").display());
        // Only making the cluster goes unsynced; the server itself runs with fsync on.
        initdb.args([
            "-U",
            ROOT,
            "-A",
            "scram-sha-256",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C",
            "-D",
            "data",
            &pwfile,
        ]);
        told(initdb.output(), "initdb");
        let keeper = keep(&programs, &folder, user);
        let server = Self { programs, folder, user, keeper, databases: AtomicU32::new(0) };
        server.wait_until_ready();
        for role in [OWNER, APP] {
            server.psql("postgres", &format!("CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'"));
        }
        server
    }

    /// A new database.
    pub(crate) fn database(&self) -> Database {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::SeqCst));
        self.psql("postgres", &format!("CREATE DATABASE {name} OWNER {OWNER}"));
        let url = |role| format!("postgres://{role}:{PASSWORD}@localhost/{name}?host={}", self.folder.display());
        Database { url: url(APP), owner_url: url(OWNER), root_url: url(ROOT), name }
    }

    /// Says something as the superuser; gives the answer's lines.
    pub(crate) fn psql(&self, database: &str, sql: &str) -> Vec<String> {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.env("PGPASSWORD", PASSWORD).args(["-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1"]);
        let output = psql.arg("-h").arg(&self.folder).args(["-U", ROOT, "-d", database, "-c", sql]).output();
        told(output, sql).lines().map(str::to_owned).collect()
    }

    /// Ends all processes of the server at once, as a power cut would, and leaves its files.
    pub(crate) fn kill(&mut self) {
        let pid = std::fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap();
        let pid = pid.lines().next().unwrap().to_owned();
        let children = Command::new("ps").args(["-o", "pid=", "--ppid", &pid]).output().unwrap();
        let children = String::from_utf8(children.stdout).unwrap();
        let killed = Command::new("kill").arg("-9").arg(&pid).args(children.split_whitespace()).status().unwrap();
        assert!(killed.success());
        self.keeper.stdin.take().unwrap().write_all(b"keep\n").unwrap();
        self.keeper.wait().unwrap();
    }

    /// Starts the server again on the files it left.
    pub(crate) fn restart(&mut self) {
        self.keeper = keep(&self.programs, &self.folder, self.user);
        self.wait_until_ready();
    }

    fn wait_until_ready(&self) {
        let began = Instant::now();
        loop {
            let mut ready = Command::new(self.programs.join("pg_isready"));
            if ready.arg("-q").arg("-h").arg(&self.folder).status().unwrap().success() {
                return;
            }
            let log = || std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(began.elapsed() < Duration::from_secs(60), "PostgreSQL did not start: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Server {
    /// A server of one's own ends with its test; the shared one is dropped by nobody, and ends with the process.
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        drop(self.keeper.wait());
    }
}

/// The folder with the newest PostgreSQL of the machine.
fn programs() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    for versions in ["/usr/lib/postgresql", "/usr/local/lib/postgresql", "/opt/homebrew/opt"] {
        let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir(versions)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                Some((name.trim_start_matches("postgresql@").parse().ok()?, entry.path().join("bin")))
            })
            .collect();
        found.sort();
        folders.extend(found.into_iter().rev().map(|(_, folder)| folder));
    }
    let all = |folder: &PathBuf| {
        ["initdb", "postgres", "psql", "pg_isready"].iter().all(|program| folder.join(program).is_file())
    };
    folders.into_iter().find(all).expect(
        "these tests start a PostgreSQL of their own and found none: install PostgreSQL 13 or newer with its server \
         (Debian and Ubuntu: apt-get install postgresql)",
    )
}

fn private_folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let n = NEXT.fetch_add(1, Ordering::SeqCst);
        let folder = std::env::temp_dir().join(format!("mandate-pg-{}-{n}", std::process::id()));
        match std::fs::DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => return folder,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => panic!("{}: {error}", folder.display()),
        }
    }
}

/// Whom to be instead of root, whom PostgreSQL refuses; `None` when this is not root.
fn unprivileged(folder: &Path) -> Option<(u32, u32)> {
    if std::fs::metadata(folder).unwrap().uid() != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let ids = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut parts = line.split(':').skip(2).map(|id| id.parse().ok());
        Some((parts.next()??, parts.next()??))
    };
    Some(ids("postgres").or_else(|| ids("nobody")).expect("there is no user to run PostgreSQL as: root may not"))
}

fn as_user(program: &Path, user: Option<(u32, u32)>, folder: &Path) -> Command {
    let mut command = Command::new(program);
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command.current_dir(folder).env("HOME", folder).env("LC_ALL", "C");
    command
}

fn keep(programs: &Path, folder: &Path, user: Option<(u32, u32)>) -> Child {
    let mut keeper = as_user(Path::new("/bin/sh"), user, folder);
    keeper.args(["-c", KEEPER, "keeper"]).arg(programs).arg(folder);
    // A group of its own: what a terminal sends to the tests is not for the server.
    keeper.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn told(output: std::io::Result<Output>, what: &str) -> String {
    let output = output.unwrap();
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
