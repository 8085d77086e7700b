use std::io;
use std::path::PathBuf;

use api::machine::MacAddress;

use super::*;

/// In English the app says what terminals say.
#[test]
fn the_words_are_the_librarys() {
    let path = || PathBuf::from("/some/where");
    let name = || "One".to_owned();
    let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
    let problems = [
        Problem::Name(name()),
        Problem::Processors(99),
        Problem::Memory(3),
        Problem::Drives,
        Problem::CdBus,
        Problem::NoImage(1),
        Problem::Networks,
        Problem::Mac(name()),
        Problem::SameMac(MacAddress([2; 6])),
        Problem::Forward(name()),
        Problem::SameForward(22),
        Problem::Attachment(name()),
        Problem::NetworkName(name()),
        Problem::InterfaceName(name()),
        Problem::ForwardsNeedNat(2),
        Problem::NoForward(22),
        Problem::Resolution(name()),
        Problem::VideoMemory(3),
        Problem::ScreenNeeds { screen: "2560x1600".parse().unwrap(), needs: 16 },
        Problem::Volume(101),
        Problem::SoundDevice(name()),
        Problem::UsbRule(name()),
        Problem::UsbRules,
        Problem::SameUsbRule(name()),
        Problem::NoUsbRule(name()),
        Problem::Notes(5000),
        Problem::NoBootDevice(name()),
        Problem::SameBootDevice(name()),
        Problem::Group(name()),
        Problem::NoSetting(name()),
        Problem::NeedsOff(name()),
        Problem::Format(9),
    ];
    let media = [
        media::Error::NotFound(path()),
        media::Error::Folder(path()),
        media::Error::NotAFile(path()),
        media::Error::Empty(path()),
        media::Error::Unreadable { path: path(), source: denied() },
        media::Error::Unknown(path()),
        media::Error::Packed { path: path(), packer: "xz" },
        media::Error::Foreign { path: path(), format: "VDI" },
        media::Error::Floppy(path()),
        media::Error::Qcow2 { path: path(), why: "it is odd" },
        media::Error::CannotBoot(path()),
        media::Error::Processor { path: path(), processor: "ARM".into() },
        media::Error::Truncated(path()),
    ];
    let (stick, port) = (|| "Stick".to_owned(), || "1-2".to_owned());
    let usb = [
        library::usb::Error::List(name()),
        library::usb::Error::NotFound(name()),
        library::usb::Error::NotADevice(name()),
        library::usb::Error::Taken { name: stick(), id: port(), machine: name() },
        library::usb::Error::NotAttached { machine: name(), what: port() },
        library::usb::Error::Gone { name: stick(), id: port() },
        library::usb::Error::Permission { name: stick(), id: port(), line: "SUBSYSTEM".into() },
        library::usb::Error::Sandboxed(stick()),
        library::usb::Error::Open { name: stick(), id: port(), source: denied() },
        library::usb::Error::Missed { name: stick(), id: port(), why: Use::Keyboard },
    ];
    let uses = [
        Use::Hub,
        Use::Mounted(path()),
        Use::Swap,
        Use::Volume(name()),
        Use::OnlyKeyboard,
        Use::OnlyMouse,
        Use::Program,
        Use::Mouse,
        Use::Network { interface: name(), route: true },
        Use::Network { interface: name(), route: false },
    ];
    let in_use = |why| library::usb::Error::InUse { name: stick(), id: port(), why };
    let usb = usb.into_iter().chain(uses.map(in_use)).map(Error::from);
    let others = [
        Error::Firmware(firmware::Error::NoUefi),
        Error::Firmware(firmware::Error::NoMatch(7)),
        Error::Firmware(firmware::Error::NoBios),
        Error::Control(control::Error::Connect(denied())),
        Error::Control(control::Error::Closed),
        Error::Control(control::Error::Timeout(5)),
        Error::Control(control::Error::Refused(name())),
        Error::Control(control::Error::Nonsense(name())),
        Error::Control(control::Error::Io(denied())),
        Error::Kvm(KvmState::NoPermission),
        Error::Kvm(KvmState::Busy),
        Error::NoHome,
        Error::NotFound(name()),
        Error::NameTaken(name()),
        Error::Running(name()),
        Error::NotRunning(name()),
        Error::Outside(path()),
        Error::NotAFolder(path()),
        Error::IntoItself(path()),
        Error::IntoLibrary(path()),
        Error::Changing(name()),
        Error::NotMovable(path()),
        Error::BadCopy(path()),
        Error::Cancelled,
        Error::NoDrive { machine: name(), drive: "cd7".into() },
        Error::NotACdDrive(name()),
        Error::NotACd(path()),
        Error::NotADisk(path()),
        Error::ImageInUse(path()),
        Error::NoRoom { path: path(), free: 1, needed: 2 },
        Error::Memory { wanted: 2, there: 1 },
        Error::NetworkDown,
        Error::Slow(20),
        Error::Runtime(path()),
        Error::Sandboxed,
        Error::Elsewhere { file: path(), machines: path() },
    ];
    let problems = problems.into_iter().map(Error::from);
    for error in problems.chain(media.into_iter().map(Error::from)).chain(usb).chain(others) {
        assert_eq!(reason(&error), sentence(&error.to_string()));
    }
    // A program's name stays small.
    let missing = Error::NoProgram("dormer-vm");
    assert_eq!(reason(&missing), format!("{missing}."));
}

#[test]
fn of_concerns_too() {
    let concerns = [
        Concern::Full { folder: PathBuf::from("/some/where"), free: 20 },
        Concern::Cramped { needs: 20480, free: 1536 },
        Concern::Outgrows { size: 25600, free: 22800 },
        Concern::Memory { wanted: 4096, there: 2000 },
        Concern::MemoryTaken { wanted: 4096, free: 512 },
        Concern::Processors { wanted: 8, there: 2 },
    ];
    for said in concerns {
        assert_eq!(concern(&said), said.to_string());
    }
}

#[test]
fn of_kvm_too() {
    let states = [
        KvmState::Ready,
        KvmState::NoExtension,
        KvmState::NoModule(Vendor::Intel),
        KvmState::NoPermission,
        KvmState::Busy,
        KvmState::NotNested,
        KvmState::Flatpak,
        KvmState::Failed("it is tired".into()),
    ];
    for state in states {
        assert_eq!(kvm(&state), state.sentence());
        let advice = kvm_advice(&state).map(|(text, command)| match command {
            Some(command) => format!("{text}\n{command}"),
            None => text,
        });
        assert_eq!(advice.as_deref(), state.advice());
    }
}
