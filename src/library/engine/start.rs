//! Starts an engine: opens everything, hands it over, waits for the machine.
//!
//! `dormer-vm --start-fd 0`: its standard input is the socket that [`api::spec::Start`] comes over, its standard output is the
//! machine's lock (which it keeps open and never writes to), its standard error the log. All are ordinary redirections, so no
//! code runs between fork and exec.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{IoSlice, Read, Seek, SeekFrom};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use api::machine::{DiskCache, Drive, DriveBus, DriveKind, Firmware, Network, NetworkModel, RealTimeClock};
use api::spec::{
    DriveSpec, DriveSpecKind, FdIndex, FirmwareSpec, ImageSpec, MachineSpec, NetworkSpec, START_BYTES, START_FDS,
    Start, Started,
};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv,
    sendmsg, socketpair,
};

use super::cable::{self, Cable};
use super::runtime::{self, Sockets};
use super::{Running, installer, program};
use crate::entry::Entry;
use crate::error::{Error, Result, Trying};
use crate::kvm::KvmState;
use crate::lock::Lock;
use crate::{firmware, host, kvm, room};

/// How long a machine may take until it runs.
const START: Duration = Duration::from_secs(60);
/// Most bytes of an answer.
const ANSWER_BYTES: usize = 64 << 10;
/// A log as long as this is put aside before the next start.
const LOG_BYTES: u64 = 1 << 20;

/// How to start a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Stand still until `cont`.
    pub paused: bool,
    /// Write what the firmware's debug port says into `logs/`, without limit.
    pub debug_logs: bool,
}

/// Starts a stopped machine. Blocks until it runs (60 s at most).
pub fn start(entry: &Entry, options: &Options) -> Result<Running> {
    let lock = entry.lock()?;
    start_locked(entry, lock, options)
}

/// [`start`] for those who hold the machine's lock already. The lock goes to the engine.
pub fn start_locked(entry: &Entry, lock: Lock, options: &Options) -> Result<Running> {
    entry.machine.check()?;
    let mut parts = Parts { descriptors: Vec::new(), notes: Vec::new() };
    let mut entry = entry.clone();
    parts.notes.extend(installer::take_out(&mut entry)?);
    let entry = &entry;
    parts.notes.extend(room::memory_note(entry.machine.memory, host::memory_available()));
    let sockets = runtime::make(entry.machine.uuid)?;
    let started = parts.start_message(entry, options, sockets).and_then(|(message, log)| {
        launch(&message, &parts.descriptors, lock, log, &entry.logs().join("engine.log"))
            .map_err(|error| name_image(error, entry, &message.machine.drives))
    });
    match started {
        Ok(()) => {
            entry.starts_now();
            let mut running = Running::attach(entry.machine.uuid)?.of(entry);
            running.notes = parts.notes;
            running.notes.extend(super::usb::attach_at_start(entry));
            Ok(running)
        }
        Err(error) => {
            runtime::forget(entry.machine.uuid);
            Err(error)
        }
    }
}

/// An engine knows drives, not files: a sentence about a drive gets the name of its image.
fn name_image(error: Error, entry: &Entry, drives: &[DriveSpec]) -> Error {
    let Error::Start(why) = error else { return error };
    let images = entry.machine.drives.iter().map(|drive| drive.image.as_ref());
    let named = drives.iter().zip(images).find_map(|(drive, image)| {
        let rest = why.strip_prefix(&format!("drive {}: ", drive.id))?;
        Some(format!("{}: {rest}", entry.image(image?).display()))
    });
    Error::Start(named.unwrap_or(why))
}

/// What an engine gets, as it is gathered.
struct Parts {
    descriptors: Vec<OwnedFd>,
    notes: Vec<String>,
}

impl Parts {
    fn add(&mut self, descriptor: impl Into<OwnedFd>) -> FdIndex {
        self.descriptors.push(descriptor.into());
        FdIndex((self.descriptors.len() - 1) as u32)
    }

    /// Opens everything. Also gives the log, for the engine's standard error until it reads the message.
    fn start_message(&mut self, entry: &Entry, options: &Options, sockets: Sockets) -> Result<(Start, File)> {
        let machine = &entry.machine;
        let kvm = OpenOptions::new().read(true).write(true).open(kvm::NODE).map_err(|error| no_kvm(&error))?;
        let logs = entry.logs();
        std::fs::create_dir_all(&logs).at("make", &logs)?;
        let log = open_log(&logs.join("engine.log"))?;
        let kvm = self.add(kvm);
        let (control, ui) = (self.add(sockets.control), self.add(sockets.ui));
        let log_index = self.add(log.try_clone().trying(|| "share the log".into())?);
        let (firmware, video_rom) = self.firmware(entry)?;
        let drives = self.drives(entry)?;
        let serial = Some(self.add(anew(&logs.join("serial.log"))?));
        let debugcon = match options.debug_logs {
            true => Some(self.add(fresh(&logs.join("firmware.log"))?)),
            false => None,
        };
        let mut networks = Vec::new();
        for (card, network) in machine.networks.iter().enumerate() {
            let id = format!("net{card}");
            let cable = cable::plug(network, machine.uuid, card, &logs.join(format!("{id}.log")))?;
            let (stream, tap) = match cable {
                Cable::Stream(stream) => (Some(self.add(stream)), None),
                Cable::Tap(device) => (None, Some(self.add(device))),
            };
            let words = network.attachment.to_string();
            let rom = self.card_rom(entry, network, &id)?;
            let (model, mac, link) = (network.model, network.mac, network.link);
            networks.push(NetworkSpec { id, model, rom, mac, network: words, stream, tap, link });
        }
        let spec = MachineSpec {
            name: machine.name.clone(),
            uuid: machine.uuid,
            board: machine.board,
            processors: machine.processors,
            memory: machine.memory,
            clock_offset: match machine.clock {
                RealTimeClock::Utc => 0,
                RealTimeClock::Local => local_offset(),
            },
            firmware,
            video_rom,
            drives,
            networks,
            sound: machine.sound.card,
            usb: machine.usb.clone(),
            boot: machine.boot_order(),
            resolution: machine.resolution,
            video_memory: machine.video_memory,
            virtio_input: machine.virtio_input,
            serial,
            debugcon,
        };
        Ok((Start { kvm, control, ui, log: Some(log_index), machine: spec, paused: options.paused }, log))
    }

    fn firmware(&mut self, entry: &Entry) -> Result<(FirmwareSpec, Option<FdIndex>)> {
        let read = |path: &Path| File::open(path).at("read", path);
        match entry.machine.firmware {
            Firmware::Bios => {
                let rom = self.add(read(&firmware::bios()?)?);
                let video = self.add(read(&firmware::video_bios()?)?);
                Ok((FirmwareSpec::Bios { rom }, Some(video)))
            }
            Firmware::Uefi => {
                let path = entry.folder.join(firmware::VARIABLES);
                if !path.exists() {
                    firmware::new_variables(&path)?;
                    self.notes.push("This machine's UEFI variables were missing: it starts with new ones.".into());
                }
                let variables = OpenOptions::new().read(true).write(true).open(&path).at("open", &path)?;
                let size = variables.metadata().at("read", &path)?.len();
                let code = self.add(read(&firmware::uefi(Some(size))?.code)?);
                Ok((FirmwareSpec::Uefi { code, variables: self.add(variables) }, None))
            }
        }
    }

    /// What starts a machine from an e1000. UEFI brings its own for virtio, and nothing else needs one.
    fn card_rom(&mut self, entry: &Entry, network: &Network, id: &str) -> Result<Option<FdIndex>> {
        if network.model != NetworkModel::E1000 {
            return Ok(None);
        }
        match firmware::card_rom() {
            Some(path) => Ok(Some(self.add(File::open(&path).at("read", &path)?))),
            None => {
                if entry.machine.boot.iter().any(|name| name == id) {
                    self.notes.push(format!(
                        "This computer has nothing that starts machines from {id}: install the package “ipxe-qemu”."
                    ));
                }
                Ok(None)
            }
        }
    }

    fn drives(&mut self, entry: &Entry) -> Result<Vec<DriveSpec>> {
        let named = entry.machine.drives.iter().zip(entry.machine.drive_names());
        let spec = |(drive, id): (&Drive, String)| {
            let kind = match (drive.kind, drive.bus) {
                (DriveKind::Cd, _) => DriveSpecKind::AhciCd,
                (DriveKind::Disk, DriveBus::Ahci) => DriveSpecKind::AhciDisk,
                (DriveKind::Disk, DriveBus::Virtio) => DriveSpecKind::VirtioBlk,
                (DriveKind::Disk, DriveBus::Usb) => DriveSpecKind::UsbDisk,
            };
            Ok(DriveSpec { id, kind, image: self.image(entry, drive)?, installer: drive.installer })
        };
        named.map(spec).collect()
    }

    fn image(&mut self, entry: &Entry, drive: &Drive) -> Result<Option<ImageSpec>> {
        let Some(path) = drive.image.as_ref().map(|path| entry.image(path)) else { return Ok(None) };
        if drive.kind == DriveKind::Cd && !path.exists() {
            let path = path.display();
            self.notes.push(format!("The CD image {path} is not there any more: the drive is empty."));
            return Ok(None);
        }
        let read_only = drive.read_only || drive.kind == DriveKind::Cd;
        let file = match drive.cache {
            DiskCache::Direct if drive.kind == DriveKind::Disk => self.open_past_cache(&path, read_only)?,
            DiskCache::Direct | DiskCache::Writeback => open_image(&path, read_only)?,
        };
        Ok(Some(ImageSpec { file: self.add(file), format: drive.format, read_only }))
    }

    /// Opens an image so that it passes the host's cache by, which the engine sees; where that cannot be, as all others.
    fn open_past_cache(&mut self, path: &Path, read_only: bool) -> Result<File> {
        match open_image_with(path, read_only, OFlags::DIRECT) {
            Err(Error::Io { source, .. }) if is_no_direct(&source) => {
                let path = path.display();
                self.notes.push(format!(
                    "The file system of {path} does not let a disk pass the cache by: it goes through it."
                ));
            }
            opened => return opened,
        }
        open_image(path, read_only)
    }
}

/// File systems without O_DIRECT say so when a file is opened.
fn is_no_direct(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::InvalidInput | std::io::ErrorKind::Unsupported)
}

/// Opens an image with the access its drive has, and locks it against other users: writers alone, readers among themselves.
///
/// The lock is on the open file, so it goes to the engine with the descriptor.
pub(crate) fn open_image(path: &Path, read_only: bool) -> Result<File> {
    open_image_with(path, read_only, OFlags::empty())
}

fn open_image_with(path: &Path, read_only: bool, flags: OFlags) -> Result<File> {
    let kind = std::fs::metadata(path).at("open", path)?.file_type();
    if !kind.is_file() && !kind.is_block_device() {
        return Err(Error::Media(crate::media::Error::NotAFile(path.to_owned())));
    }
    let mut options = OpenOptions::new();
    let file = options.read(true).write(!read_only).custom_flags(flags.bits() as i32).open(path).at("open", path)?;
    let locked = if read_only { file.try_lock_shared() } else { file.try_lock() };
    match locked {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::ImageInUse(path.to_owned())),
        Err(TryLockError::Error(error)) => {
            // Some network file systems have no locks.
            tracing::warn!("{} cannot be locked: {error}", path.display());
            Ok(file)
        }
    }
}

/// Why `/dev/kvm` does not open, and what to do.
fn no_kvm(error: &std::io::Error) -> Error {
    Error::Kvm(match kvm::check() {
        // It did not open, whatever is there now.
        KvmState::Ready => KvmState::Failed(format!("cannot open {}: {error}", kvm::NODE)),
        state => state,
    })
}

/// Seconds that this computer's local time is ahead of UTC now.
fn local_offset() -> i64 {
    jiff::tz::TimeZone::system().to_offset(jiff::Timestamp::now()).seconds().into()
}

fn fresh(path: &Path) -> Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).at("open", path)
}

/// A log that begins with this start, for appending; the one of the last start is put aside. The engine bounds its length.
fn anew(path: &Path) -> Result<File> {
    if path.metadata().is_ok_and(|data| data.len() > 0) {
        std::fs::rename(path, path.with_extension("log.1")).at("put aside", path)?;
    }
    OpenOptions::new().append(true).create(true).mode(0o600).open(path).at("open", path)
}

/// The engine's log, for appending; a long one is put aside first.
fn open_log(path: &Path) -> Result<File> {
    if path.metadata().is_ok_and(|data| data.len() > LOG_BYTES) {
        std::fs::rename(path, path.with_extension("log.1")).at("put aside", path)?;
    }
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path).at("open", path)
}

/// Runs `dormer-vm` and brings it up.
fn launch(message: &Start, descriptors: &[OwnedFd], mut lock: Lock, mut log: File, log_path: &Path) -> Result<()> {
    let trying = || "start the machine's engine".to_owned();
    let log_start = log.seek(SeekFrom::End(0)).trying(trying)?;
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).trying(trying)?;
    let mut child = Command::new(program("dormer-vm")?)
        .args(["--start-fd", "0"])
        .stdin(theirs)
        .stdout(lock.share()?)
        .stderr(Stdio::from(log.try_clone().trying(trying)?))
        .current_dir("/")
        .spawn()
        .trying(trying)?;
    lock.name_holder(child.id())?;
    let answer = send(&ours, message, descriptors).and_then(|()| receive(&ours));
    match answer {
        Ok(Some(Started::Running)) => {
            reap(child);
            Ok(())
        }
        other => {
            // It is of no use now, whether it has ended or not.
            let _ = child.kill();
            let _ = child.wait();
            match other? {
                Some(Started::Failed(why)) => Err(Error::Start(why.trim().to_owned())),
                _ => Err(died(&mut log, log_start, log_path)),
            }
        }
    }
}

/// Waits for a child that outlives whoever cares, so that it does not stay as a zombie.
pub(super) fn reap(mut child: Child) {
    // Without a thread the zombie stays until this process ends: no harm worth failing for.
    let _ = std::thread::Builder::new().name("reap".into()).stack_size(64 << 10).spawn(move || child.wait());
}

fn send(socket: &OwnedFd, message: &Start, descriptors: &[OwnedFd]) -> Result<()> {
    let trying = || "hand the machine to its engine".to_owned();
    let text = serde_json::to_vec(message).trying(trying)?;
    if text.len() > START_BYTES || descriptors.len() > START_FDS {
        return Err(Error::Start("this machine has more devices than an engine takes".into()));
    }
    let borrowed: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(START_FDS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&borrowed));
    match sendmsg(socket, &[IoSlice::new(&text)], &mut ancillary, SendFlags::NOSIGNAL) {
        // An engine that has ended is asked for its last words next.
        Ok(_) | Err(rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET) => Ok(()),
        Err(error) => Err(error).trying(trying),
    }
}

/// The engine's answer; `None` when it has ended without one.
fn receive(socket: &OwnedFd) -> Result<Option<Started>> {
    let end = Instant::now() + START;
    let trying = || "hear from the machine's engine".to_owned();
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::Slow(START.as_secs()));
        }
        let limit = rustix::time::Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        let mut wait = [PollFd::new(socket, PollFlags::IN)];
        match poll(&mut wait, Some(&limit)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => break,
            Err(error) => return Err(error).trying(trying),
        }
    }
    let mut bytes = vec![0; ANSWER_BYTES];
    match recv(socket, bytes.as_mut_slice(), RecvFlags::empty()) {
        Ok((0, _)) | Err(rustix::io::Errno::CONNRESET) => Ok(None),
        Ok((count, _)) => Ok(Some(serde_json::from_slice(&bytes[..count]).trying(trying)?)),
        Err(error) => Err(error).trying(trying),
    }
}

/// What an engine wrote before it died.
fn died(log: &mut File, start: u64, path: &Path) -> Error {
    let mut text = Vec::new();
    // What cannot be read says nothing.
    let _ = log.seek(SeekFrom::Start(start)).and_then(|_| log.take(ANSWER_BYTES as u64).read_to_end(&mut text));
    let text = String::from_utf8_lossy(&text);
    let words = text.lines().rev().find(|line| !line.trim().is_empty());
    let log = PathBuf::from(path);
    Error::Died { words: words.map_or_else(|| "it said nothing".into(), |line| line.chars().take(300).collect()), log }
}

#[cfg(test)]
#[path = "start_test.rs"]
mod tests;
