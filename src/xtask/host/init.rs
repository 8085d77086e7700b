//! The test host's first process (`xtask host-init`): finishes what the initramfs began, runs the command, sends its
//! output and status out, and powers off.
//!
//! It is process 1, so it also reaps orphans. It powers off when the command has ended or when nobody listens on the
//! other side any more; every other end is the timeout outside.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    os::unix::{
        fs::{PermissionsExt, symlink},
        process::{CommandExt, ExitStatusExt},
    },
    path::{Path, PathBuf},
    process::{Command, ExitCode, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    mount::{MountFlags, mount, mount_bind_recursive},
    process::{Resource, Rlimit, WaitOptions, getpid, setrlimit, wait},
    system::{RebootCommand, reboot, sethostname},
};

use super::wire::{Frame, PORT_NAME, Request, Stream};

/// How long output may still come from pipes that background processes of the ended command hold open.
const DRAIN: Duration = Duration::from_millis(500);

/// Runs as process 1 of the test host; does not come back from there.
pub(crate) fn main() -> ExitCode {
    if getpid().as_raw_nonzero().get() != 1 {
        eprintln!("error: host-init is the test host's first process and of no use elsewhere");
        return ExitCode::FAILURE;
    }
    if let Err(error) = session() {
        // The console is the kernel log, which the outside shows when no status arrives.
        eprintln!("test host: {error:#}");
    }
    rustix::fs::sync();
    let _ = reboot(RebootCommand::PowerOff);
    ExitCode::FAILURE
}

fn session() -> Result<()> {
    let mut port = open_port()?;
    let request = Request::read(File::open("/run/xtask/request.json")?)?;
    prepare(&request)?;

    Frame::Started.write(&mut port)?;
    let status = match spawn(&request) {
        Ok(running) => running.relay(&mut port)?,
        Err(error) => {
            Frame::Output(Stream::Err, format!("test host: {error:#}\n").into_bytes()).write(&mut port)?;
            // What shells return for a command that is not there.
            127
        }
    };
    rustix::fs::sync();
    Frame::Exit(status).write(&mut port)?;
    // Writes to the port are only queued; powering off must wait until the other side has them and hangs up.
    wait_for_hang_up(&port, Duration::from_secs(10));
    Ok(())
}

/// Finds our port by its name; ports appear a moment after their driver.
fn open_port() -> Result<File> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        for entry in fs::read_dir("/sys/class/virtio-ports").into_iter().flatten().flatten() {
            let name = fs::read_to_string(entry.path().join("name")).unwrap_or_default();
            if name.trim() == PORT_NAME {
                let device = Path::new("/dev").join(entry.file_name());
                return OpenOptions::new().read(true).write(true).open(device).context("cannot open the port");
            }
        }
        ensure!(Instant::now() < deadline, "no virtio port called {PORT_NAME}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// File systems, limits, loopback and network.
fn prepare(request: &Request) -> Result<()> {
    let none = MountFlags::empty();
    // A checkout below /tmp stays in sight when a fresh /tmp is laid over it.
    let kept = below_temporary(Path::new(&request.directory));
    let aside = Path::new("/mnt");
    if let Some(kept) = &kept {
        fs::create_dir_all(aside)?;
        mount_bind_recursive(kept, aside).with_context(|| format!("cannot keep {}", kept.display()))?;
    }
    for (kind, at, options) in [
        ("devpts", "/dev/pts", c"mode=600,ptmxmode=000"),
        ("tmpfs", "/dev/shm", c"mode=1777"),
        ("tmpfs", "/tmp", c"mode=1777"),
        ("tmpfs", "/var/tmp", c"mode=1777"),
    ] {
        fs::create_dir_all(at)?;
        mount(kind, at, kind, none, options).with_context(|| format!("cannot mount {at}"))?;
    }
    if let Some(kept) = &kept {
        fs::create_dir_all(kept)?;
        mount_bind_recursive(aside, kept).with_context(|| format!("cannot keep {}", kept.display()))?;
    }
    // Links that udev makes elsewhere.
    for (link, to) in [("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")] {
        symlink(to, Path::new("/dev").join(link))?;
    }
    for (tag, at) in &request.writable {
        fs::create_dir_all(at)?;
        // No caching but for mmap: what is written is outside at once, for whoever watches there.
        mount(tag.as_str(), at.as_str(), "9p", none, c"trans=virtio,version=9p2000.L,msize=512000,cache=mmap")
            .with_context(|| format!("cannot mount {at} for writing"))?;
    }
    let runtime = Path::new("/tmp/xdg");
    fs::create_dir(runtime)?;
    fs::set_permissions(runtime, fs::Permissions::from_mode(0o700))?;

    let limit = Rlimit { current: Some(65_536), maximum: Some(1_048_576) };
    setrlimit(Resource::Nofile, limit)?;
    let unlimited = Rlimit { current: None, maximum: None };
    setrlimit(Resource::Memlock, unlimited)?;
    sethostname(b"test-host")?;

    for step in [
        "ip link set lo up",
        "ip link set eth0 up",
        "ip addr add 10.0.2.15/24 dev eth0",
        "ip route add default via 10.0.2.2",
    ] {
        // A test host without network still runs most commands, so this is said and no more.
        let done = Command::new("/bin/busybox").args(step.split(' ')).status();
        if !done.is_ok_and(|status| status.success()) {
            eprintln!("test host: '{step}' failed");
        }
    }
    // Often a link into a /run that is not here.
    let _ = fs::remove_file("/etc/resolv.conf");
    fs::write("/etc/resolv.conf", "nameserver 10.0.2.3\n")?;

    for module in &request.modules {
        let done = Command::new("/sbin/modprobe").arg(module).status();
        ensure!(done.is_ok_and(|status| status.success()), "cannot load kernel module {module}");
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while scsi_disks() < request.disks {
        ensure!(Instant::now() < deadline, "the USB sticks did not appear");
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The folder in /tmp or /var/tmp that `directory` is in, if it is in one.
fn below_temporary(directory: &Path) -> Option<PathBuf> {
    ["/tmp", "/var/tmp"].iter().find_map(|base| {
        let first = directory.strip_prefix(base).ok()?.components().next()?;
        Some(Path::new(base).join(first))
    })
}

fn scsi_disks() -> usize {
    let disks = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    disks.filter(|disk| disk.file_name().as_encoded_bytes().starts_with(b"sd")).count()
}

/// The command while it runs.
struct Running {
    pid: i32,
    output: mpsc::Receiver<Event>,
}

enum Event {
    Output(Stream, Vec<u8>),
    /// One of the two outputs was closed by everybody.
    Closed,
    Ended(i32),
}

fn spawn(request: &Request) -> Result<Running> {
    let (program, arguments) = request.command.split_first().context("no command")?;
    let directory = PathBuf::from(&request.directory);
    ensure!(directory.is_dir(), "{} is not there (/tmp is empty in here)", directory.display());
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .envs(request.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut child = command.spawn().with_context(|| format!("cannot run {program}"))?;
    // A bounded queue: a command that prints faster than the port takes must wait.
    let (sender, output) = mpsc::sync_channel(16);
    if let Some(pipe) = child.stdout.take() {
        forward(pipe, Stream::Out, sender.clone());
    }
    if let Some(pipe) = child.stderr.take() {
        forward(pipe, Stream::Err, sender.clone());
    }
    let pid = i32::try_from(child.id())?;
    // Process 1 waits for everybody: the command, and orphans that were left to it.
    thread::spawn(move || {
        loop {
            match wait(WaitOptions::empty()) {
                Ok(Some((who, status))) if who.as_raw_nonzero().get() == pid => {
                    let status = ExitStatus::from_raw(status.as_raw());
                    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
                    let _ = sender.send(Event::Ended(code));
                    return;
                }
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
        }
    });
    Ok(Running { pid, output })
}

fn forward(mut pipe: impl Read + Send + 'static, stream: Stream, to: mpsc::SyncSender<Event>) {
    thread::spawn(move || {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            if to.send(Event::Output(stream, buffer[..count].to_vec())).is_err() {
                return;
            }
        }
        let _ = to.send(Event::Closed);
    });
}

impl Running {
    /// Sends output until the command has ended and its outputs are dry. Returns its status.
    fn relay(self, port: &mut File) -> Result<i32> {
        let mut status = None;
        let mut open = 2;
        let mut deadline: Option<Instant> = None;
        while status.is_none() || open > 0 {
            let patience = match deadline {
                None => Duration::from_secs(1),
                Some(deadline) => deadline.saturating_duration_since(Instant::now()),
            };
            match self.output.recv_timeout(patience) {
                Ok(Event::Output(stream, bytes)) => Frame::Output(stream, bytes).write(port)?,
                Ok(Event::Closed) => open -= 1,
                Ok(Event::Ended(code)) => {
                    status = Some(code);
                    deadline = Some(Instant::now() + DRAIN);
                }
                Err(_) if status.is_some() => break,
                Err(_) => ensure!(!hung_up(port), "nobody listens to command {} any more", self.pid),
            }
        }
        port.flush()?;
        status.context("the command was lost")
    }
}

fn hung_up(port: &File) -> bool {
    let mut wanted = [PollFd::new(port, PollFlags::empty())];
    poll(&mut wanted, Some(&Timespec::default())).is_ok() && wanted[0].revents().contains(PollFlags::HUP)
}

fn wait_for_hang_up(port: &File, patience: Duration) {
    let deadline = Instant::now() + patience;
    while !hung_up(port) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(20));
    }
}
