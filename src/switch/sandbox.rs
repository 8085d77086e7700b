//! What this process gives up once it has met the other ports: everything but moving bytes between sockets that it has.
//!
//! Unprivileged and inside Flatpak alike: no_new_privs with resource limits; a Landlock ruleset without a single rule; a seccomp
//! allow-list. A call outside the list fails with EPERM; with `DORMER_SECCOMP=kill`, as in all tests, it ends the process.

use anyhow::Context;
use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetStatus, Scope};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::set_no_new_privs;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use crate::join::PORTS;

/// The newest Landlock interface that is asked for; older kernels give what they have.
const LANDLOCK: ABI = ABI::V6;
/// Descriptors: a socket for each port, and a few more.
const FILES: u64 = PORTS as u64 + 32;
/// Bytes of heap: room for what may wait for all ports and half as much again, twice (a queue that grows is copied), and what has
/// come from them.
const DATA: u64 = PORTS as u64 * (3 << 20) + (64 << 20);

/// Moving frames, memory for them, time, and the end.
const CALLS: &[i64] = &[
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    libc::SYS_accept4,
    libc::SYS_close,
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_getrandom,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_fcntl,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_tgkill,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Confines the process; called once, with all that it needs at hand.
pub(crate) fn enter() -> anyhow::Result<()> {
    bound().context("resources cannot be bounded")?;
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK))?
        .handle_access(AccessNet::from_all(LANDLOCK))?
        .scope(Scope::from_all(LANDLOCK))?
        .create()?
        .restrict_self()
        .context("the file system cannot be given up")?;
    if status.ruleset != RulesetStatus::FullyEnforced {
        tracing::info!("Landlock gives less than all on this kernel: seccomp covers the rest");
    }
    seccompiler::apply_filter(&filter()?).context("system calls cannot be given up")
}

/// Bounds memory and descriptors, and leaves no core dump: it would hold the machines' traffic.
fn bound() -> rustix::io::Result<()> {
    let most = |resource, wanted: u64| {
        let allowed = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        let bound = Some(wanted.min(allowed));
        setrlimit(resource, Rlimit { current: bound, maximum: bound })
    };
    most(Resource::Nofile, FILES)?;
    most(Resource::Data, DATA)?;
    most(Resource::Core, 0)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    set_no_new_privs(true)
}

fn filter() -> anyhow::Result<BpfProgram> {
    let mismatch = match std::env::var("DORMER_SECCOMP").as_deref() {
        Ok("kill") => SeccompAction::KillProcess,
        _ => SeccompAction::Errno(libc::EPERM as u32),
    };
    let mut rules: std::collections::BTreeMap<i64, Vec<SeccompRule>> =
        CALLS.iter().map(|call| (*call, Vec::new())).collect();
    // Memory, but none with code in it.
    let code = libc::PROT_EXEC as u64;
    let no_code = || SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(code), 0);
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        rules.insert(call, vec![SeccompRule::new(vec![no_code()?])?]);
    }
    Ok(SeccompFilter::new(rules, mismatch, SeccompAction::Allow, TargetArch::x86_64)?.try_into()?)
}
