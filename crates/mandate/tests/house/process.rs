//! Processes of the binary under test, and the ports they listen on.

use serde_json::{Value, json};
use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_mandate");
/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Ports below those that the system gives to outgoing connections, which could otherwise take the
/// port of a house while it is down. (Linux begins at 32768, others higher.)
const PORTS: std::ops::Range<u32> = 11_000..32_000;

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The exit code; -1 when a signal ended it.
    pub(crate) code: i32,
    /// What it printed.
    pub(crate) stdout: String,
    /// What it said on stderr.
    pub(crate) stderr: String,
}

impl Ran {
    /// Its output as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("no JSON ({e}): {self:?}"))
    }

    /// Itself, if it ended with this code.
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }
}

/// The binary, without anything of our own environment that it would heed.
pub(crate) fn mandate() -> Command {
    let mut command = Command::new(BINARY);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MANDATE_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Ran {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (stdout, stderr) = (drained(child.stdout.take().unwrap()), drained(child.stderr.take().unwrap()));
    let code = exit_code(&mut child);
    let ran = Ran { code: code.unwrap_or(-1), stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() };
    assert!(code.is_some(), "{command:?} did not end in time: {ran:?}");
    ran
}

fn drained(mut pipe: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// `None` when it had to be killed because it took too long.
fn exit_code(child: &mut Child) -> Option<i32> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status.code().unwrap_or(-1));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

/// A port of the loopback address that nobody listens on, and that no other test takes.
pub(crate) fn unused_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let width = PORTS.end - PORTS.start;
    let first = std::process::id().wrapping_mul(911);
    for _ in 0..width {
        let step = NEXT.fetch_add(1, Ordering::SeqCst);
        let port = u16::try_from(PORTS.start + first.wrapping_add(step) % width).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("every port is taken")
}

/// Has the sample systems of a new house listen on such ports too.
pub(crate) fn ports_for(data_dir: &Path) {
    let file = data_dir.join("devkit/ports.json");
    if file.exists() {
        return;
    }
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let ports = json!({
        "provider": unused_port(), "warehouse": unused_port(), "ledgerbook": unused_port(), "reports": unused_port(),
        "model": unused_port(), "smtp": unused_port(), "mail": unused_port(),
    });
    std::fs::write(file, ports.to_string()).unwrap();
}

/// Processes whose command line names this folder: a house, and its witness.
pub(crate) fn processes_of(folder: &Path) -> Vec<(u32, String)> {
    let folder = folder.to_string_lossy().into_owned();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        // Gone meanwhile, or not ours to read: then it is none of ours.
        let Ok(bytes) = std::fs::read(entry.path().join("cmdline")) else { continue };
        let line = String::from_utf8_lossy(&bytes).replace('\0', " ");
        if line.contains(BINARY) && line.contains(&folder) {
            found.push((pid, line));
        }
    }
    found
}

/// Panics when a process of this folder does not end by itself: a house is gone at once, and its witness
/// once it notices.
pub(crate) fn none_left_of(folder: &Path) {
    let begun = Instant::now();
    loop {
        let left = processes_of(folder);
        if left.is_empty() {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "processes that outlived their house: {left:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
