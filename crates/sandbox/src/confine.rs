//! How a child gives up what it does not need, for good.

use rustix::process::{Resource, Rlimit, setpriority_process, setrlimit};
use std::io;

/// Address space to assume where the system does not tell.
const UNKNOWN: u64 = 1 << 30;
/// How far behind everything else its use of the processor comes.
const NICENESS: i32 = 10;

/// Confines this process: `memory` bytes of address space beyond what it has, `processor` seconds in all, no
/// new files, no bytes into files, no core dumps, no new processes; on Linux no system calls but those that
/// reading a request, computing and answering take. A file that whoever started the parent left open stays
/// open (closing it would take unsafe code) and can't be used: the filter lets only the three pipes be read and
/// written.
///
/// # Errors
/// When the system refuses: then nothing may be evaluated here.
pub(crate) fn confine(memory: u64, processor: u64) -> io::Result<()> {
    setpriority_process(None, NICENESS)?;
    let address_space = occupied().unwrap_or(UNKNOWN).saturating_add(memory);
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, 0)?;
    limit(Resource::Nproc, 0)?;
    // Those that are open stay so; the next would be number 3.
    limit(Resource::Nofile, 3)?;
    limit(Resource::Cpu, processor)?;
    limit(Resource::As, address_space)?;
    #[cfg(target_os = "linux")]
    linux::filter()?;
    Ok(())
}

fn limit(resource: Resource, most: u64) -> io::Result<()> {
    Ok(setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?)
}

/// Bytes of address space that this process has now.
fn occupied() -> Option<u64> {
    let pages: u64 = std::fs::read_to_string("/proc/self/statm").ok()?.split(' ').next()?.parse().ok()?;
    pages.checked_mul(u64::try_from(rustix::param::page_size()).ok()?)
}

#[cfg(target_os = "linux")]
mod linux {
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    };
    use std::{collections::BTreeMap, io};

    /// Calls that compute, wait for oneself, or end. All of them concern this process alone.
    const HARMLESS: &[i64] = &[
        libc::SYS_brk,
        libc::SYS_clock_getres,
        libc::SYS_clock_gettime,
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_futex,
        libc::SYS_getpid,
        libc::SYS_getrandom,
        libc::SYS_gettid,
        libc::SYS_madvise,
        libc::SYS_mremap,
        libc::SYS_munmap,
        libc::SYS_restart_syscall,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sched_yield,
        libc::SYS_sigaltstack,
    ];
    /// No mapping becomes code.
    const PROT_EXEC: u64 = libc::PROT_EXEC as u64;
    const ANONYMOUS: u64 = libc::MAP_ANONYMOUS as u64;

    /// Lets this process, with all its threads, do nothing but what is listed. Anything else is answered with
    /// `EPERM`: a call that a later C library makes without need does not end an evaluation.
    pub(super) fn filter() -> io::Result<()> {
        let other = |error: seccompiler::BackendError| io::Error::other(error.to_string());
        let is = |argument, value| {
            SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value).map_err(other)
        };
        let masked = |argument, mask, value| {
            let operator = SeccompCmpOp::MaskedEq(mask);
            SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value).map_err(other)
        };
        let rule = |conditions| SeccompRule::new(conditions).map_err(other);
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> = HARMLESS.iter().map(|call| (*call, Vec::new())).collect();
        rules.insert(libc::SYS_read, vec![rule(vec![is(0, 0)?])?]);
        rules.insert(libc::SYS_write, vec![rule(vec![is(0, 1)?])?, rule(vec![is(0, 2)?])?]);
        rules.insert(libc::SYS_writev, vec![rule(vec![is(0, 2)?])?]);
        rules.insert(libc::SYS_mmap, vec![rule(vec![masked(2, PROT_EXEC, 0)?, masked(3, ANONYMOUS, ANONYMOUS)?])?]);
        rules.insert(libc::SYS_mprotect, vec![rule(vec![masked(2, PROT_EXEC, 0)?])?]);
        // To abort itself, and to signal nobody else.
        let own = u64::from(std::process::id());
        rules.insert(libc::SYS_tgkill, vec![rule(vec![is(0, own)?])?]);
        let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
        let architecture = std::env::consts::ARCH.try_into().map_err(other)?;
        let filter = SeccompFilter::new(rules, refused, SeccompAction::Allow, architecture).map_err(other)?;
        let program: BpfProgram = filter.try_into().map_err(other)?;
        // Also sets `no_new_privs`.
        seccompiler::apply_filter_all_threads(&program).map_err(|error| io::Error::other(error.to_string()))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::{fs, net, process::Command, thread};

    /// What a confined process tries, each with whether it worked.
    fn attempts(parent: Option<rustix::process::Pid>) -> Vec<(&'static str, bool)> {
        vec![
            ("read a file", fs::read("/etc/hostname").is_ok()),
            ("write a file", fs::write("/tmp/mandate-probe", "x").is_ok()),
            ("list a folder", fs::read_dir("/").is_ok()),
            (
                "connect",
                net::TcpStream::connect("127.0.0.1:1").is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused),
            ),
            ("listen", net::UdpSocket::bind("127.0.0.1:0").is_ok()),
            ("start a process", Command::new("/bin/true").spawn().is_ok()),
            ("start a thread", thread::Builder::new().spawn(|| ()).is_ok()),
            ("signal its parent", parent.is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())),
            ("raise a limit", limit(Resource::Cpu, 1_000_000).is_ok()),
            ("use a file that is open", rustix::io::dup(io::stdin()).is_ok()),
        ]
    }

    /// The process that [`a_confined_process_can_do_nothing`] starts.
    #[test]
    #[ignore = "confines the whole test process"]
    fn probe() {
        let parent = rustix::process::getppid();
        assert!(
            attempts(parent).iter().filter(|(_, worked)| *worked).count() >= 6,
            "a probe that can't fail proves nothing"
        );
        confine(64 << 20, 60).unwrap();
        let worked: Vec<_> = attempts(parent).into_iter().filter(|(_, worked)| *worked).collect();
        let hoards = std::panic::catch_unwind(|| Vec::<u8>::new().try_reserve(128 << 20).is_ok());
        std::process::exit(if worked.is_empty() && hoards.is_ok_and(|hoards| !hoards) { 42 } else { 1 });
    }

    #[test]
    fn a_confined_process_can_do_nothing() {
        let program = std::env::current_exe().unwrap();
        let args = ["--exact", "--ignored", "--nocapture", "confine::tests::probe"];
        let out = Command::new(program).args(args).output().unwrap();
        assert_eq!(out.status.code(), Some(42), "{out:?}");
    }
}
