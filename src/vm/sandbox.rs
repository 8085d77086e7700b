//! What this process may still do once it knows its machine: nothing that opens, connects or starts anything.
//!
//! Three layers, all of which work unprivileged and inside Flatpak: no_new_privs with resource limits; a Landlock ruleset without a
//! single rule (no path, no TCP, no abstract sockets, no signals to others); and seccomp allow-lists, one for the process and a
//! narrower one on top for each kind of thread that touches guests most. Everything that is needed has come as a descriptor
//! before.
//!
//! A call outside the list fails with EPERM, so that an overlooked one costs a feature and not somebody's data. With
//! `DORMER_SECCOMP=kill`, as in all tests, it ends the process.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetStatus, Scope};
use machine::Threads;
use rustix::process::{Resource, Rlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

/// The newest Landlock interface that is asked for; older kernels give what they have.
const LANDLOCK: ABI = ABI::V6;

/// Open descriptors at most.
const DESCRIPTORS: u64 = 1024;

/// KVM's ioctls all have this type.
const KVM_IOCTLS: u64 = 0xae00;

/// How large the blocks of an image are that passes the host's cache by, if it is a block device.
const BLKSSZGET: u64 = 0x1268;

/// clone3 has its flags in memory, where a filter cannot look: glibc takes clone when it is not there.
const NOT_THERE: &[i64] = &[libc::SYS_clone3];

/// glibc looks for the number of processors when it makes memory arenas, and does without: never a reason to end the process.
const OPENS: &[i64] = &[libc::SYS_open, libc::SYS_openat, libc::SYS_openat2];

/// What every kind of thread needs: memory, locks, clocks, signals, its end, and KVM.
const COMMON: &[i64] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getrandom,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_membarrier,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_tgkill,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // Pictures that a video device draws itself live in memfds made by the thread that changes the mode.
    libc::SYS_memfd_create,
    libc::SYS_ftruncate,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
];

/// What the process as a whole needs besides.
const PROCESS: &[i64] = &[
    // Images, logs, variables.
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_preadv2,
    libc::SYS_pwritev2,
    libc::SYS_readv,
    libc::SYS_lseek,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_fallocate,
    libc::SYS_fstatfs,
    // How an image's file system wants to be written to.
    libc::SYS_fstatfs,
    // Sockets that exist.
    libc::SYS_accept4,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    libc::SYS_shutdown,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_socketpair,
    libc::SYS_pipe2,
    // Waiting.
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_dup,
    libc::SYS_dup3,
    // Threads, and their own narrower filters.
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_seccomp,
    libc::SYS_prctl,
    libc::SYS_uname,
    libc::SYS_getrusage,
];

/// What the I/O thread needs besides [`COMMON`].
const IO: &[i64] = &[libc::SYS_epoll_wait, libc::SYS_epoll_pwait, libc::SYS_sendmsg];

/// Confines the process; called once, with all descriptors at hand and before another thread exists.
pub(crate) fn enter() -> Result<()> {
    rustix::thread::set_no_new_privs(true).context("privileges cannot be given up")?;
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(Resource::Core, none).context("core dumps cannot be turned off")?;
    let descriptors = Rlimit { current: Some(DESCRIPTORS), maximum: Some(DESCRIPTORS) };
    // A smaller limit that is already there is kept.
    let _ = rustix::process::setrlimit(Resource::Nofile, descriptors);
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
    apply(&refuse(NOT_THERE, libc::ENOSYS)?)?;
    apply(&refuse(OPENS, libc::EACCES)?)?;
    apply(&filter(&[COMMON, PROCESS], true)?)
}

/// Confines the calling thread further.
pub(crate) fn confine(kind: Threads) {
    let calls: &[&[i64]] = match kind {
        Threads::Cpu | Threads::Timers => &[COMMON],
        Threads::Io => &[COMMON, IO],
    };
    // The process's filter stands in any case.
    if let Err(error) = filter(calls, false).and_then(|program| apply(&program)) {
        tracing::warn!("a thread cannot be confined further: {error:#}");
    }
}

fn mismatch() -> SeccompAction {
    match std::env::var("DORMER_SECCOMP").as_deref() {
        Ok("kill") => SeccompAction::KillProcess,
        Ok("trap") => SeccompAction::Trap,
        _ => SeccompAction::Errno(libc::EPERM as u32),
    }
}

fn filter(lists: &[&[i64]], threads: bool) -> Result<BpfProgram> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        lists.iter().flat_map(|list| list.iter()).map(|call| (*call, Vec::new())).collect();
    let no_exec = || masked(2, libc::PROT_EXEC as u64, 0);
    rules.insert(libc::SYS_mmap, vec![no_exec()?]);
    rules.insert(libc::SYS_mprotect, vec![no_exec()?]);
    rules.insert(libc::SYS_ioctl, vec![masked(1, 0xff00, KVM_IOCTLS)?, masked(1, 0xffff_ffff, BLKSSZGET)?]);
    if threads {
        let thread = libc::CLONE_THREAD as u64;
        rules.insert(libc::SYS_clone, vec![masked(0, thread, thread)?]);
    }
    // Answered by the filters below this one.
    rules.extend(NOT_THERE.iter().chain(OPENS).map(|call| (*call, Vec::new())));
    program(rules, mismatch(), SeccompAction::Allow)
}

/// A filter that answers `calls` with `error` and leaves everything else to the filters above it.
fn refuse(calls: &[i64], error: i32) -> Result<BpfProgram> {
    let rules = calls.iter().map(|call| (*call, Vec::new())).collect();
    program(rules, SeccompAction::Allow, SeccompAction::Errno(error as u32))
}

/// Argument `index` has exactly the bits `value` of those in `mask`.
fn masked(index: u8, mask: u64, value: u64) -> Result<SeccompRule> {
    let condition = SeccompCondition::new(index, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(mask), value)?;
    Ok(SeccompRule::new(vec![condition])?)
}

fn program(rules: BTreeMap<i64, Vec<SeccompRule>>, other: SeccompAction, listed: SeccompAction) -> Result<BpfProgram> {
    Ok(SeccompFilter::new(rules, other, listed, TargetArch::x86_64)?.try_into()?)
}

fn apply(program: &BpfProgram) -> Result<()> {
    seccompiler::apply_filter(program).context("system calls cannot be given up")
}
