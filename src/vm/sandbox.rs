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
use usb::host::usbfs::request;

/// The newest Landlock interface that is asked for; older kernels give what they have.
const LANDLOCK: ABI = ABI::V6;

/// Open descriptors at most.
const DESCRIPTORS: u64 = 1024;

/// KVM's ioctls all have this type.
const KVM_IOCTLS: u64 = 0xae00;

/// How large the blocks of an image are that passes the host's cache by, if it is a block device.
const BLKSSZGET: u64 = 0x1268;

/// What of a USB device of the host moves its data, by whoever wakes the controller.
const USB_DATA: &[u32] = &[request::SUBMIT_URB, request::REAP_URB, request::DISCARD_URB];

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

/// What the sound thread needs besides [`COMMON`]: bells of rings, and telling a console of them.
const SOUND: &[i64] = &[libc::SYS_poll, libc::SYS_ppoll, libc::SYS_recvfrom, libc::SYS_sendmsg, libc::SYS_socketpair];

/// What the thread of a USB device of the host needs besides [`COMMON`], and who gives the device back.
const USB: &[i64] = &[libc::SYS_poll, libc::SYS_ppoll, libc::SYS_pread64];

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
    apply(&filter(&[COMMON, PROCESS], &request::ALL, true)?)
}

/// Confines a process that has nothing to do but to give a USB device back to the host.
pub(crate) fn enter_keeper() -> Result<()> {
    rustix::thread::set_no_new_privs(true).context("privileges cannot be given up")?;
    apply(&refuse(OPENS, libc::EACCES)?)?;
    apply(&filter(&[COMMON, USB], &request::ALL, false)?)
}

/// Confines the calling thread further.
pub(crate) fn confine(kind: Threads) {
    let (calls, usb): (&[&[i64]], &[u32]) = match kind {
        Threads::Cpu | Threads::Timers => (&[COMMON], USB_DATA),
        Threads::Io => (&[COMMON, IO], &[]),
        Threads::Sound => (&[COMMON, SOUND], &[]),
        Threads::Usb => (&[COMMON, USB], &request::ALL),
    };
    // The process's filter stands in any case.
    if let Err(error) = filter(calls, usb, false).and_then(|program| apply(&program)) {
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

/// A filter of `lists`, which lets `usb` requests go to USB devices; that of the whole `process` also lets it start threads and open
/// images.
fn filter(lists: &[&[i64]], usb: &[u32], process: bool) -> Result<BpfProgram> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        lists.iter().flat_map(|list| list.iter()).map(|call| (*call, Vec::new())).collect();
    let no_exec = || masked(2, libc::PROT_EXEC as u64, 0);
    rules.insert(libc::SYS_mmap, vec![no_exec()?]);
    rules.insert(libc::SYS_mprotect, vec![no_exec()?]);
    let mut ioctls = vec![masked(1, 0xff00, KVM_IOCTLS)?];
    for &request in usb {
        ioctls.push(masked(1, 0xffff_ffff, request.into())?);
    }
    if process {
        ioctls.push(masked(1, 0xffff_ffff, BLKSSZGET)?);
        let thread = libc::CLONE_THREAD as u64;
        rules.insert(libc::SYS_clone, vec![masked(0, thread, thread)?]);
    }
    rules.insert(libc::SYS_ioctl, ioctls);
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

#[cfg(test)]
mod tests {
    use std::fs::File;

    use std::sync::{Arc, Mutex, Weak, mpsc};
    use std::time::Duration;

    use api::ui::ToConsole;
    use machine::{Direction, Listener, Sound};
    use rustix::fs::ioctl_blksszget;
    use rustix::io::Errno;
    use sound::{Pcm, Shape};

    use super::*;

    /// What a file that is no block device answers to a thread under this filter.
    fn asks(lists: &'static [&'static [i64]], process: bool) -> Option<Errno> {
        let file = File::open("/dev/null").unwrap();
        let thread = std::thread::spawn(move || {
            rustix::thread::set_no_new_privs(true).unwrap();
            apply(&filter(lists, &[], process).unwrap()).unwrap();
            ioctl_blksszget(&file).err()
        });
        thread.join().unwrap()
    }

    #[test]
    fn threads_beside_the_guest_have_nothing_of_images() {
        assert_eq!(asks(&[COMMON, PROCESS], true), Some(Errno::NOTTY), "only the kernel says no");
        for lists in [&[COMMON][..], &[COMMON, IO], &[COMMON, SOUND]] {
            assert_eq!(asks(lists, false), Some(Errno::PERM));
        }
    }

    #[test]
    fn only_what_usb_needs_goes_to_usb_devices() {
        let asks = |usb: &'static [u32], wanted: u32| {
            let file = File::open("/dev/null").unwrap();
            let thread = std::thread::spawn(move || {
                rustix::thread::set_no_new_privs(true).unwrap();
                apply(&filter(&[COMMON, USB], usb, false).unwrap()).unwrap();
                #[allow(unsafe_code)] // a call that is refused by a file that is no USB device
                // SAFETY: /dev/null has no such calls, and a null pointer is nothing that it could write to.
                let answer = unsafe { libc::ioctl(std::os::fd::AsRawFd::as_raw_fd(&file), wanted.into(), 0) };
                assert_eq!(answer, -1);
                Errno::from_io_error(&std::io::Error::last_os_error())
            });
            thread.join().unwrap()
        };
        for wanted in request::ALL {
            assert_eq!(asks(&request::ALL, wanted), Some(Errno::NOTTY), "only the kernel says no");
            let data = USB_DATA.contains(&wanted);
            assert_eq!(asks(USB_DATA, wanted), Some(if data { Errno::NOTTY } else { Errno::PERM }));
        }
        assert_eq!(asks(&request::ALL, request::CONNECT), Some(Errno::PERM), "that goes inside of another");
    }

    /// A sound card that says when it is asked for sound.
    struct Card(mpsc::Sender<()>);

    impl Pcm for Card {
        fn play(&mut self, _: u32, samples: &mut [i32]) -> usize {
            let _ = self.0.send(());
            samples.len() / 2
        }

        fn record(&mut self, _: u32, samples: &[i32]) -> usize {
            samples.len() / 2
        }
    }

    #[test]
    fn the_sound_thread_can_do_its_work() {
        let confine = || {
            rustix::thread::set_no_new_privs(true).unwrap();
            apply(&filter(&[COMMON, SOUND], &[], false).unwrap()).unwrap();
        };
        let way = Sound::new(&[Direction::Playback], confine).unwrap();
        let (played, plays) = mpsc::channel();
        let card = Arc::new(Mutex::new(Card(played)));
        let weak: Weak<Mutex<dyn Pcm>> = Arc::<Mutex<Card>>::downgrade(&card);
        way.connect(weak);
        way.set_running(true);
        let (told, hears) = mpsc::channel();
        let tell = Box::new(move |message: &ToConsole, fds: &[std::os::fd::BorrowedFd<'_>]| {
            told.send((message.clone(), fds.len())).is_ok()
        });
        way.listen(Listener { console: 1, playback: true, capture: false, tell });
        let jack = way.jack(0).unwrap();
        jack.start(Shape { rate: 48_000, channels: 2 });
        let soon = Duration::from_secs(20);
        // A ring is made and filled; nobody reads it, the bell goes, and the timer takes over.
        let (message, fds) = hears.recv_timeout(soon).unwrap();
        assert!(matches!(message, ToConsole::Playback(_)) && fds == 2);
        for _ in 0..50 {
            plays.recv_timeout(soon).unwrap();
        }
        jack.stop();
        drop(way);
    }
}
