//! What the app asks of the library. Everything here blocks: it runs in commands, never on the main thread.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use api::control::{Command, Event, NetworkStatus, RunState};
use api::machine::{Attachment, DriveKind, ImageFormat, Machine, Sound, UsbAction};
use api::settings::{Key, SoundKey};
use api::ui::MAX_SIDE;
use api::usb::UsbGone;
use console::Console;
use gtk::{gdk, glib};
use library::control::Client;
use library::logs::Source;
use library::media::MediumKind;
use library::media::osinfo::Database;
use library::usb::Device;
use library::{Broken, Discarded, Entry, Library, Loss, NewDisk, NewMachine, Progress, Result, Room, State};
use uuid::Uuid;

/// What a person asks of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Start it.
    Start,
    /// Stand still.
    Pause,
    /// Go on.
    Resume,
    /// The reset button.
    Reset,
    /// The power button.
    PowerButton,
    /// As if power failed.
    PowerOff,
    /// Put this image into this CD drive.
    InsertCd(String, PathBuf),
    /// Take out what is in it.
    EjectCd(String),
    /// Give it this name.
    Rename(String),
    /// Put it among those of this group; of none, where it is empty.
    SetGroup(String),
    /// Put it among the desktop's apps.
    CreateLauncher,
}

/// A machine and what it does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Summary {
    /// Its folder and configuration.
    pub(crate) entry: Box<Entry>,
    /// What it does now.
    pub(crate) state: State,
    /// When it last started.
    pub(crate) last_start: Option<SystemTime>,
}

impl Summary {
    /// What a machine does now. Asks its engine, if it has one.
    pub(crate) fn of(mut entry: Entry) -> Self {
        let state = entry.state();
        if let State::Live(..) = state {
            // An engine that does not answer is shown as it is known.
            let _ = library::engine::note_installer_out(&mut entry);
        }
        Self { state, last_start: entry.last_start(), entry: Box::new(entry) }
    }

    /// Its identity.
    pub(crate) fn uuid(&self) -> Uuid {
        self.entry.machine.uuid
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.entry.machine.name
    }

    /// Its group.
    pub(crate) fn group(&self) -> Option<&str> {
        self.entry.machine.group.as_deref()
    }

    /// Does an engine run it?
    pub(crate) fn is_live(&self) -> bool {
        self.state != State::Stopped
    }

    /// Does it stand still because somebody asked for it?
    pub(crate) fn is_paused(&self) -> bool {
        matches!(self.state, State::Live(RunState::Paused | RunState::Prelaunch | RunState::IoError, _))
    }
}

/// All machines of this person.
#[derive(Debug, Default)]
pub(crate) struct Machines {
    /// By name.
    pub(crate) all: Vec<Summary>,
    /// Those whose file cannot be used.
    pub(crate) broken: Vec<Broken>,
}

/// What happens to a running machine by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Happening {
    /// It was paused, goes on, or was reset.
    Changed,
    /// It is turning off.
    ShutDown {
        /// Did the guest want it?
        guest: bool,
    },
    /// A disk failed.
    DiskFailed {
        /// This computer has no room for what the guest writes.
        full: bool,
        /// What happened, in the engine's words.
        why: String,
    },
    /// Its network helper is gone.
    NetworkDown,
    /// What goes through one of its network cards is captured no more, and why.
    CaptureFailed(String),
    /// There is a system on its disk, and the installer's CD was taken out.
    InstallerOut,
    /// It has a USB device of this computer no more.
    UsbGone {
        /// What people call it, if that is known.
        name: Option<String>,
        /// It was pulled out.
        unplugged: bool,
    },
    /// Its engine is gone.
    Gone,
}

/// How long the watcher of a machine waits for one event; then it waits again.
const WATCH: Duration = Duration::from_secs(3600);
/// Least time between two things that happen, so that an engine cannot fill the app with them.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a picture of a screen may take.
const PICTURE: Duration = Duration::from_secs(2);
/// Most bytes of one.
const PICTURE_BYTES: u64 = 64 << 20;
/// Most pixels of one.
const PICTURE_PIXELS: u64 = 64 << 20;
/// How long an engine may take to end.
const END: Duration = Duration::from_secs(20);

/// All machines and what they do.
pub(crate) fn list() -> Result<Machines> {
    let listing = Library::open()?.list()?;
    let all = listing.machines.into_iter().map(Summary::of).collect();
    Ok(Machines { all, broken: listing.broken })
}

/// Folders whose contents change when machines come, go, start and end.
pub(crate) fn folders() -> Vec<PathBuf> {
    let machines = Library::open().map(|library| library.machines());
    let sockets = library::engine::sockets();
    [machines.ok(), sockets.ok()].into_iter().flatten().collect()
}

/// Systems' names by their ids. Takes a second.
pub(crate) fn system_names() -> HashMap<String, String> {
    Database::load().known().into_iter().map(|system| (system.id, system.name)).collect()
}

/// A machine as it is now.
pub(crate) fn find(uuid: Uuid) -> Result<Entry> {
    Library::open()?.find(&uuid.to_string())
}

/// The machine of this `machine.toml`.
pub(crate) fn find_file(file: &Path) -> Result<Uuid> {
    Ok(Library::open()?.find_file(file)?.machine.uuid)
}

/// Is this a machine's file, by its name?
pub(crate) fn is_machine_file(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "machine.toml")
}

/// What this computer has for machines.
pub(crate) fn room() -> Result<Room> {
    Ok(Library::open()?.room())
}

/// Makes a machine.
pub(crate) fn create(new: &NewMachine) -> Result<Uuid> {
    Ok(Library::open()?.create(new)?.machine.uuid)
}

/// What a person changes of a machine's hardware.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// A setting, to this value.
    Set(Key, String),
    /// An empty disk more, of so many bytes.
    AddDisk(u64),
    /// A disk more, with what this image has.
    UseDisk(PathBuf),
    /// An empty CD drive more.
    AddCd,
    /// This image in this CD drive.
    InsertCd(String, PathBuf),
    /// This CD drive empty.
    EjectCd(String),
    /// Without this drive.
    RemoveDrive(String),
    /// This disk larger, in bytes.
    Grow(String, u64),
    /// A network card more.
    AddCard,
    /// Without this network card.
    RemoveCard(String),
    /// What goes through this network card of a running machine in a file.
    Capture(String, PathBuf),
    /// And no more.
    EndCapture(String),
}

/// Changes a machine.
pub(crate) fn change(uuid: Uuid, change: &Change) -> Result<Entry> {
    let (library, mut entry) = (Library::open()?, find(uuid)?);
    let first = entry.machine.drives.iter().find(|drive| drive.kind == DriveKind::Disk);
    let bus = first.map(|drive| drive.bus).unwrap_or_default();
    match change {
        Change::Set(key, value) => library.change(&entry, |machine| machine.set(*key, value)),
        Change::AddDisk(size) => {
            library.add_disk(&entry, &NewDisk::Create { size: *size, format: ImageFormat::Qcow2 }, bus)
        }
        Change::UseDisk(path) => {
            let medium = library::media::inspect(path)?;
            if medium.kind != MediumKind::Disk {
                return Err(library::Error::NotADisk(medium.path));
            }
            library.add_disk(&entry, &NewDisk::Use { path: medium.path, format: medium.format }, bus)
        }
        Change::AddCd => library.add_cd(&entry),
        Change::InsertCd(drive, path) => {
            library::engine::insert(&mut entry, drive, &library::media::inspect(path)?)?;
            Ok(entry)
        }
        Change::EjectCd(drive) => {
            library::engine::eject(&mut entry, drive)?;
            Ok(entry)
        }
        Change::RemoveDrive(name) => library.remove_drive(&entry, name),
        Change::Grow(name, size) => {
            library.grow_disk(&entry, name, *size)?;
            Ok(entry)
        }
        Change::AddCard => library.add_card(&entry, Attachment::Nat),
        Change::RemoveCard(name) => library.remove_card(&entry, name),
        Change::Capture(card, path) => library::engine::begin_capture(&entry, card, path).map(|()| entry),
        Change::EndCapture(card) => library::engine::end_capture(&entry, card).map(|()| entry),
    }
}

/// Gives settings of a machine's sound these values, all or none, and says what it is then.
pub(crate) fn set_sound(uuid: Uuid, values: &[(SoundKey, String)]) -> Result<Sound> {
    let set = |machine: &mut Machine| values.iter().try_for_each(|(key, value)| machine.set(Key::Sound(*key), value));
    Ok(Library::open()?.change(&find(uuid)?, set)?.machine.sound)
}

/// USB devices that are plugged in; none where nobody says.
pub(crate) fn usb_devices() -> Vec<Device> {
    library::usb::list().unwrap_or_else(|error| {
        tracing::warn!("{error}");
        Vec::new()
    })
}

/// The USB device at this port, as it is now.
pub(crate) fn usb_device(port: &str) -> Result<Device> {
    Ok(library::usb::find(&library::usb::list()?, port)?.clone())
}

/// Gives a running machine a USB device, one that this computer will miss only if its owner says so.
pub(crate) fn connect_usb(uuid: Uuid, port: &str, all_the_same: bool) -> Result<()> {
    library::engine::attach_usb(&find(uuid)?, &usb_device(port)?, all_the_same)?;
    Ok(())
}

/// Takes it back.
pub(crate) fn disconnect_usb(uuid: Uuid, port: &str) -> Result<()> {
    library::engine::detach_usb(&find(uuid)?, port)?;
    Ok(())
}

/// The machine gets a device always from now on, or not by itself.
pub(crate) fn always_usb(uuid: Uuid, device: &Device, always: bool) -> Result<()> {
    let change = |machine: &mut Machine| {
        let rules = &mut machine.usb.rules;
        rules.retain(|rule| !device.fits(rule));
        if always {
            rules.insert(0, device.new_rule(UsbAction::Always));
        }
        Ok(())
    };
    Library::open()?.change(&find(uuid)?, change)?;
    Ok(())
}

/// How large a machine's disks are and could be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DiskSizes {
    /// Of each drive, bytes that the system in it sees; and bytes that there is room for in all.
    pub(crate) drives: Vec<(Option<u64>, Option<u64>)>,
    /// Bytes that there is room for in a new one.
    pub(crate) new: Option<u64>,
}

/// Looks how large a machine's disks are.
pub(crate) fn disk_sizes(entry: &Entry) -> DiskSizes {
    let drives = entry.machine.drives.iter().map(|drive| (entry.disk_size(drive), entry.disk_fits(drive))).collect();
    DiskSizes { drives, new: entry.new_disk_fits() }
}

/// What a running machine's network cards are connected to, and what went through; nothing of one that is off or busy.
pub(crate) fn networks(uuid: Uuid) -> Vec<NetworkStatus> {
    let ask = || Ok::<_, library::Error>(find(uuid)?.running()?.control_within(PICTURE)?.networks()?);
    ask().unwrap_or_default()
}

/// What deleting a machine does to its images.
pub(crate) fn loss(uuid: Uuid) -> Result<Loss> {
    Ok(find(uuid)?.loss())
}

/// Takes a machine out of sight, until it is restored or deleted for good.
pub(crate) fn discard(uuid: Uuid) -> Result<Discarded> {
    let library = Library::open()?;
    library.discard(&library.find(&uuid.to_string())?)
}

/// A log as it is now.
#[derive(Clone, Debug)]
pub(crate) struct LogText {
    /// Whose words it has.
    pub(crate) source: Source,
    /// Its end; or why it cannot be read.
    pub(crate) text: String,
}

/// The ends of a machine's logs. What a running machine's serial port sent is one of them.
pub(crate) fn logs(uuid: Uuid) -> Result<Vec<LogText>> {
    let texts = find(uuid)?.log_ends().into_iter();
    Ok(texts.map(|(source, text)| LogText { source, text }).collect())
}

/// A report about a machine.
pub(crate) fn report(uuid: Uuid) -> Result<String> {
    Ok(library::report(&find(uuid)?))
}

/// Moves a machine's folder into another, and says where it is then.
pub(crate) fn move_to(
    uuid: Uuid,
    place: &Path,
    report: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<PathBuf> {
    let moved = Library::open()?.move_to(&find(uuid)?, place, report)?;
    Ok(moved.folder.canonicalize().unwrap_or(moved.folder))
}

/// Removes what crashes left behind.
pub(crate) fn sweep() -> Result<()> {
    Library::open()?.sweep();
    Ok(())
}

/// Does what a person asks. What comes back are sentences that they should know.
pub(crate) fn carry_out(uuid: Uuid, order: &Order) -> Result<Vec<String>> {
    let mut entry = find(uuid)?;
    let command = |command| entry.running()?.control()?.execute(&command).map(drop).map_err(library::Error::from);
    match order {
        Order::Start => return Ok(library::engine::start(&entry, &Default::default())?.notes),
        Order::CreateLauncher => drop(Library::open()?.create_launcher(&entry)?),
        Order::Rename(name) => drop(Library::open()?.rename(&entry, name)?),
        Order::SetGroup(group) => {
            drop(Library::open()?.change(&entry, |machine| machine.set(Key::Group, group))?);
        }
        Order::Pause => command(Command::Stop {})?,
        Order::Resume => command(Command::Cont {})?,
        Order::Reset => command(Command::SystemReset {})?,
        Order::PowerButton => command(Command::SystemPowerdown {})?,
        Order::PowerOff => power_off(&entry)?,
        Order::InsertCd(drive, path) => library::engine::insert(&mut entry, drive, &library::media::inspect(path)?)?,
        Order::EjectCd(drive) => library::engine::eject(&mut entry, drive)?,
    }
    Ok(Vec::new())
}

/// Ends the engine; without mercy when it does not answer.
fn power_off(entry: &Entry) -> Result<()> {
    let running = entry.running()?;
    let asked = running.control().and_then(|mut control| Ok(control.execute(&Command::Quit {})?));
    match asked {
        // It may be gone before it answers.
        Ok(_) | Err(library::Error::Control(library::control::Error::Closed)) => {}
        Err(_) => running.kill()?,
    }
    if !running.wait_end(END)? {
        running.kill()?;
    }
    Ok(())
}

/// The first CD drive, as control commands name it.
pub(crate) const FIRST_CD: &str = "cd0";

/// Connects to a running machine's screen.
pub(crate) fn open_console(uuid: Uuid) -> Result<Console> {
    Ok(Console::over(find(uuid)?.running()?.ui()?))
}

/// A picture of a running machine's screen; none when it shows nothing or takes too long.
pub(crate) fn picture(uuid: Uuid) -> Option<gdk::Texture> {
    let mut control: Client = find(uuid).ok()?.running().ok()?.control_within(PICTURE).ok()?;
    let mut file = File::from(memory().ok()?);
    control.execute_with(&Command::Screendump { format: None }, &[file.as_fd()]).ok()?;
    file.rewind().ok()?;
    let mut png = Vec::new();
    file.take(PICTURE_BYTES).read_to_end(&mut png).ok()?;
    is_drawable(&png).then(|| gdk::Texture::from_bytes(&glib::Bytes::from_owned(png)).ok())?
}

/// Is this a PNG that takes no more memory than a screen may? (PNG specification, 11.2.1: the first chunk has width and height.)
fn is_drawable(png: &[u8]) -> bool {
    let Some((b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", sides)) =
        png.split_first_chunk::<16>().map(|(start, rest)| (start.as_slice(), rest))
    else {
        return false;
    };
    let side = |at: usize| sides.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes);
    let (width, height) = (side(0), side(4));
    (1..=MAX_SIDE).contains(&width)
        && (1..=MAX_SIDE).contains(&height)
        && u64::from(width) * u64::from(height) <= PICTURE_PIXELS
}

fn memory() -> rustix::io::Result<std::os::fd::OwnedFd> {
    rustix::fs::memfd_create("picture", rustix::fs::MemfdFlags::CLOEXEC)
}

/// Had this drive an installer's CD in it until now? (A person who takes it out has said so in the machine's file.)
fn is_installers(uuid: Uuid, drive: &str) -> bool {
    let Ok(Entry { machine, .. }) = find(uuid) else { return false };
    let index = machine.drive_names().iter().position(|name| name == drive);
    index.is_some_and(|index| machine.drives[index].installer)
}

/// Tells what happens to a running machine until its engine is gone or nobody listens (`tell` answers false).
pub(crate) fn watch(uuid: Uuid, tell: impl Fn(Happening) -> bool) {
    let connected = find(uuid).and_then(|entry| entry.running()).and_then(|running| Ok((running.control()?, running)));
    let Ok((mut client, running)) = connected else {
        tell(Happening::Gone);
        return;
    };
    loop {
        let happening = match client.next_event(WATCH) {
            Ok(None) => continue,
            Ok(Some(event)) => match event {
                Event::Stop {} | Event::Resume {} | Event::Reset { .. } => Happening::Changed,
                Event::DeviceTrayMoved { tray_open: true, id, .. } if is_installers(uuid, &id) => {
                    Happening::InstallerOut
                }
                Event::DeviceTrayMoved { .. } | Event::Powerdown {} => continue,
                Event::Shutdown { guest, .. } => Happening::ShutDown { guest },
                Event::BlockIoError { reason, nospace, .. } => Happening::DiskFailed { full: nospace, why: reason },
                Event::NetworkDown { .. } => Happening::NetworkDown,
                Event::CaptureFailed { reason, .. } => Happening::CaptureFailed(reason),
                Event::UsbDetached { id, reason } => Happening::UsbGone {
                    name: library::engine::usb_gone(&running, &id),
                    unplugged: reason == UsbGone::Unplugged,
                },
            },
            Err(_) => Happening::Gone,
        };
        let listens = tell(happening.clone());
        if happening == Happening::Gone {
            // Its USB devices are this computer's again.
            if let Err(error) = running.wait_end(END) {
                tracing::warn!("what the machine leaves stays: {error}");
            }
            return;
        }
        if !listens {
            return;
        }
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::is_drawable;

    fn png(width: u32, height: u32) -> Vec<u8> {
        let start = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".as_slice();
        [start, &width.to_be_bytes(), &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat()
    }

    #[test]
    fn pictures_are_no_larger_than_screens() {
        assert!(is_drawable(&png(1024, 768)) && is_drawable(&png(16384, 4096)));
        for (width, height) in [(0, 10), (10, 0), (16384, 16384), (1 << 31, 1), (1, u32::MAX)] {
            assert!(!is_drawable(&png(width, height)), "{width} × {height}");
        }
        assert!(!is_drawable(b"GIF89a") && !is_drawable(&png(1, 1)[..20]) && !is_drawable(b""));
    }
}
