//! Why something cannot be done, in the person's language: what the library's and the machine's refusals say.
//!
//! Their own texts are English, for terminals and logs. The app says the same of those that a person meets, by what they are; what comes
//! from the system or an engine stays in its words. Every kind is named here, so that a new one does not compile until somebody decided.

use std::path::Path;

use api::machine::{Problem, limits};
use library::kvm::{KvmState, Vendor};
use library::usb::Use;
use library::{Concern, Error, control, firmware, media};

use crate::i18n::{gettext, gettext_f, ngettext_f};
use crate::words::{memory, sentence};

/// What a refusal of the library says.
pub(crate) fn reason(error: &Error) -> String {
    match error {
        Error::Problem(error) => problem(error),
        Error::Firmware(error) => of_firmware(error),
        Error::Media(error) => medium(error),
        Error::Control(error) => of_control(error),
        Error::Usb(error) => usb(error),
        Error::Kvm(state) => kvm_told(state),
        Error::NoHome => gettext("Cannot tell where to keep machines: neither XDG_DATA_HOME nor HOME is set."),
        Error::NameTaken(name) => {
            gettext_f("There is a machine “{name}” already: choose another name.", &[("name", name)])
        }
        Error::Running(name) => gettext_f("“{name}” is running: turn it off first.", &[("name", name)]),
        Error::NotRunning(name) => gettext_f("“{name}” is not running: start it first.", &[("name", name)]),
        Error::NotAFolder(path) => of_path(path, |names| gettext_f("{path} is not a folder.", names)),
        Error::IntoItself(path) => {
            of_path(path, |names| gettext_f("{path} is in a machine's own folder: choose another place.", names))
        }
        Error::IntoLibrary(path) => {
            of_path(path, |names| gettext_f("{path} is in Dormer's own folder: choose another place.", names))
        }
        Error::Changing(name) => {
            gettext_f("“{name}” is being moved or changed just now: try again when that has ended.", &[("name", name)])
        }
        Error::NotMovable(path) => {
            of_path(path, |names| gettext_f("{path} cannot be copied, so the machine stays where it is.", names))
        }
        Error::BadCopy(path) => of_path(path, |names| {
            gettext_f(
                "{path} is not what was written to it, so the machine stays where it is: is that disk in order?",
                names,
            )
        }),
        Error::Cancelled => gettext("Stopped: the machine stays where it is."),
        Error::NoDrive { machine, drive } => {
            gettext_f("“{machine}” has no drive “{drive}”.", &[("machine", machine), ("drive", drive)])
        }
        Error::NotACdDrive(drive) => gettext_f("“{drive}” is not a CD drive.", &[("drive", drive)]),
        Error::NotACd(path) => {
            of_path(path, |names| gettext_f("{path} is a disk image: a CD drive takes ISO images.", names))
        }
        Error::NotADisk(path) => {
            of_path(path, |names| gettext_f("{path} is a CD image: put it into a CD drive.", names))
        }
        Error::ImageInUse(path) => {
            of_path(path, |names| gettext_f("{path} is in use by another machine or program.", names))
        }
        Error::NoRoom { path, free, needed } => gettext_f(
            "{path} has {free} MiB free, and {needed} MiB are needed.",
            &[("path", &path.display().to_string()), ("free", &free.to_string()), ("needed", &needed.to_string())],
        ),
        Error::Memory { wanted, there } => gettext_f(
            "This computer has {there} MiB of memory: a machine cannot have {wanted} MiB.",
            &[("there", &there.to_string()), ("wanted", &wanted.to_string())],
        ),
        Error::NetworkDown => gettext("The machine's network has ended: it comes back when the machine starts again."),
        Error::NoProgram(program) => {
            gettext_f("{program} is not installed: it belongs beside this program.", &[("program", program)])
        }
        Error::Slow(seconds) => seconds_long(*seconds, |count| {
            ngettext_f(
                "The machine's engine did not start within {count} second.",
                "The machine's engine did not start within {count} seconds.",
                count,
                &[],
            )
        }),
        Error::Runtime(path) => of_path(path, |names| {
            gettext_f("{path} belongs to somebody else: set XDG_RUNTIME_DIR to a folder of your own.", names)
        }),
        Error::Sandboxed => {
            gettext("Flatpak keeps Dormer from making launchers: start the machine from Dormer's window.")
        }
        Error::Elsewhere { file, machines } => gettext_f(
            "{file} is not in this computer's library: to use that machine, move its folder into {machines}.",
            &[("file", &file.display().to_string()), ("machines", &machines.display().to_string())],
        ),
        // The system's, the engine's or a helper's words are in them; or a person of the app meets none of them.
        Error::Io { .. }
        | Error::NotFound(_)
        | Error::Broken { .. }
        | Error::Outside(_)
        | Error::Grow { .. }
        | Error::Cable(_)
        | Error::Network(_)
        | Error::Start(_)
        | Error::Died { .. }
        | Error::Size(_) => sentence(&error.to_string()),
    }
}

/// What is wrong with a configuration.
pub(crate) fn problem(problem: &Problem) -> String {
    let number = |number: u64| number.to_string();
    match problem {
        Problem::Name(name) => gettext_f(
            "“{name}” cannot be a machine's name: use 1 to 80 characters, none of them “/” or a control character, not starting with “.”.",
            &[("name", name)],
        ),
        Problem::Processors(count) => gettext_f(
            "A machine can have 1 to {most} processors, not {count}.",
            &[("most", &number(limits::PROCESSORS.into())), ("count", &number((*count).into()))],
        ),
        Problem::Memory(size) => gettext_f(
            "A machine can have {least} MiB to {most} MiB of memory, not {size} MiB.",
            &[("least", &number(limits::MEMORY_MIN)), ("most", &number(limits::MEMORY_MAX)), ("size", &number(*size))],
        ),
        Problem::Drives => gettext_f(
            "A machine can have {ahci} AHCI, {virtio} virtio and {usb} USB drives.",
            &[
                ("ahci", &limits::AHCI_DRIVES.to_string()),
                ("virtio", &limits::VIRTIO_DRIVES.to_string()),
                ("usb", &limits::USB_DRIVES.to_string()),
            ],
        ),
        Problem::NoUsb => {
            gettext("A USB disk needs a USB controller: give the machine one, or connect the disk otherwise.")
        }
        Problem::CdBus => gettext("A CD drive can only be connected to AHCI."),
        Problem::Networks => {
            gettext_f("A machine can have {most} network cards.", &[("most", &limits::NETWORKS.to_string())])
        }
        Problem::Mac(address) => gettext_f(
            "“{address}” is not an Ethernet address for a card: write six pairs of hexadecimal digits, as in 52:54:00:12:34:56.",
            &[("address", address)],
        ),
        Problem::SameMac(address) => {
            gettext_f("Two network cards cannot both have the address {address}.", &[("address", &address.to_string())])
        }
        Problem::Forward(forward) => gettext_f(
            "“{forward}” is not a forward: write a port of this computer and one of the guest, as in 2222:22 or udp:5353:53.",
            &[("forward", forward)],
        ),
        Problem::SameForward(port) => {
            gettext_f("Port {port} of this computer cannot lead to two places.", &[("port", &port.to_string())])
        }
        Problem::NetworkName(name) => gettext_f(
            "“{name}” cannot be a network's name: use 1 to 32 letters from a to z, digits, “-” and “_”.",
            &[("name", name)],
        ),
        Problem::InterfaceName(name) => gettext_f(
            "“{name}” cannot be the name of a network device: “ip link” shows those there are.",
            &[("name", name)],
        ),
        Problem::ForwardsNeedNat(card) => gettext_f(
            "Ports of this computer lead into {card}, which they can only while it is on the network “nat”: take them away first.",
            &[("card", &format!("net{card}"))],
        ),
        Problem::Resolution(size) => {
            gettext_f("“{size}” is not the size of a screen: write width and height as in 1280x800.", &[("size", size)])
        }
        Problem::VideoMemory(size) => gettext_f(
            "A machine can have 16, 32, 64, 128 or 256 MiB of video memory, not {size} MiB.",
            &[("size", &size.to_string())],
        ),
        Problem::ScreenNeeds { screen, needs } => gettext_f(
            "A screen of {screen} needs {needs} MiB of video memory: give the machine more, or choose a smaller screen.",
            &[("screen", &screen.to_string()), ("needs", &needs.to_string())],
        ),
        Problem::Volume(percent) => {
            gettext_f("Volume is 0 to 100 percent, not {percent}.", &[("percent", &percent.to_string())])
        }
        Problem::SoundDevice(name) => gettext_f(
            "“{name}” cannot be the name of a device for sound: use up to 256 bytes, none of them a control character.",
            &[("name", name)],
        ),
        Problem::UsbRule(text) => gettext_f(
            "“{text}” is not a rule for USB devices: write vendor:product and always, start or ask, as in 0781:5581=always, 0781:5581:SERIAL=start or 046d:c52b@1-2.3=ask.",
            &[("text", text)],
        ),
        Problem::UsbRules => {
            gettext_f("A machine can have {most} rules for USB devices.", &[("most", &limits::USB_RULES.to_string())])
        }
        Problem::SameUsbRule(device) => {
            gettext_f("There are two rules for the USB device {device}: keep one of them.", &[("device", device)])
        }
        Problem::Notes(bytes) => gettext_f(
            "Notes can have {most} bytes, and no control characters; these have {bytes} bytes.",
            &[("most", &limits::NOTES.to_string()), ("bytes", &bytes.to_string())],
        ),
        Problem::Group(name) => {
            gettext_f("“{name}” cannot be a group's name: it should be a short text in one line.", &[("name", name)])
        }
        Problem::Format(format) => gettext_f(
            "This machine was made by a newer Dormer (format {format}): update Dormer to use it.",
            &[("format", &format.to_string())],
        ),
        // Only terminals and files can say what these refuse.
        Problem::NoImage(_)
        | Problem::Attachment(_)
        | Problem::NoForward(_)
        | Problem::NoUsbRule(_)
        | Problem::NoBootDevice(_)
        | Problem::SameBootDevice(_)
        | Problem::NoSetting(_)
        | Problem::Value { .. }
        | Problem::NeedsOff(_) => sentence(&problem.to_string()),
    }
}

/// Why a medium cannot be used.
pub(crate) fn medium(error: &media::Error) -> String {
    use media::Error;
    match error {
        Error::NotFound(path) => of_path(path, |names| gettext_f("There is no file {path}.", names)),
        Error::Folder(path) => {
            of_path(path, |names| gettext_f("{path} is a folder: choose an ISO or disk image in it.", names))
        }
        Error::NotAFile(path) => of_path(path, |names| gettext_f("{path} is not a file.", names)),
        Error::Empty(path) => of_path(path, |names| gettext_f("{path} is empty: was it downloaded completely?", names)),
        Error::Unreadable { path, source } => gettext_f(
            "Cannot read {path}: {why}.",
            &[("path", &path.display().to_string()), ("why", &source.to_string())],
        ),
        Error::Unknown(path) => {
            of_path(path, |names| gettext_f("{path} is neither an ISO nor a disk image that Dormer knows.", names))
        }
        Error::Packed { path, packer } => gettext_f(
            "{path} is packed with {packer}: unpack it first.",
            &[("path", &path.display().to_string()), ("packer", packer)],
        ),
        Error::Foreign { path, format } => gettext_f(
            "{path} is a {format} disk image: convert it to qcow2 first, for example with qemu-img convert.",
            &[("path", &path.display().to_string()), ("format", format)],
        ),
        Error::Floppy(path) => of_path(path, |names| {
            gettext_f(
                "{path} is a floppy image, and Dormer has no floppy drive yet: use an ISO or a hard disk image.",
                names,
            )
        }),
        Error::CannotBoot(path) => of_path(path, |names| {
            gettext_f(
                "Nothing starts from {path}: it is not an installer or live system, or the download is incomplete.",
                names,
            )
        }),
        Error::Processor { path, processor } => gettext_f(
            "{path} is for {processor} processors, and this computer runs x86 machines.",
            &[("path", &path.display().to_string()), ("processor", processor)],
        ),
        Error::Truncated(path) => of_path(path, |names| gettext_f("{path} is incomplete: download it again.", names)),
        // What is wrong with it is for those who make such images.
        Error::Qcow2 { .. } => sentence(&error.to_string()),
    }
}

/// What a person should know before a machine is made.
pub(crate) fn concern(concern: &Concern) -> String {
    match concern {
        Concern::Full { folder, free } => gettext_f(
            "There is no room for a machine: {folder} has {free} free.",
            &[("folder", &folder.display().to_string()), ("free", &memory(*free))],
        ),
        Concern::Cramped { needs, free } => gettext_f(
            "Its system asks for {needs} of disk and only {free} are free: the installation may not come to its end.",
            &[("needs", &memory(*needs)), ("free", &memory(*free))],
        ),
        Concern::Outgrows { size, free } => gettext_f(
            "Only {free} are free: the disk takes room as it fills, up to {size}, and the machine stops when there is none left.",
            &[("free", &memory(*free)), ("size", &memory(*size))],
        ),
        Concern::Memory { wanted, there } => gettext_f(
            "This computer has {there} of memory: a machine cannot have {wanted}.",
            &[("there", &memory(*there)), ("wanted", &memory(*wanted))],
        ),
        Concern::MemoryTaken { wanted, free } => gettext_f(
            "Only {free} of memory are free now, and the machine has {wanted}: this computer may become slow.",
            &[("free", &memory(*free)), ("wanted", &memory(*wanted))],
        ),
        Concern::Processors { wanted, there } => gettext_f(
            "The machine has {wanted} processors and this computer {there}: it runs slower than with {there}.",
            &[("wanted", &wanted.to_string()), ("there", &there.to_string())],
        ),
    }
}

/// Why there is no firmware.
fn of_firmware(error: &firmware::Error) -> String {
    use firmware::Error;
    match error {
        Error::NoUefi => gettext(
            "This computer has no UEFI firmware for machines: install the package “ovmf” (Debian, Ubuntu) or “edk2-ovmf”.",
        ),
        Error::NoMatch(bytes) => gettext_f(
            "No UEFI firmware here fits this machine's variables ({bytes} bytes): install the one it was made with (package “ovmf” or “edk2-ovmf”).",
            &[("bytes", &bytes.to_string())],
        ),
        Error::NoBios => gettext("This computer has no BIOS for machines: install the package “seabios”."),
    }
}

/// Why a machine does not get a USB device.
fn usb(error: &library::usb::Error) -> String {
    use library::usb::Error;
    match error {
        Error::List(why) => gettext_f("This computer's USB devices cannot be listed: {why}.", &[("why", why)]),
        Error::InUse { name, id, why } => gettext_f(
            "“{name}” ({port}) stays with this computer. {why}.",
            &[("name", name), ("port", id), ("why", &usb_use(why))],
        ),
        Error::Taken { name, id, machine } => gettext_f(
            "“{name}” ({port}) is connected to “{machine}” already.",
            &[("name", name), ("port", id), ("machine", machine)],
        ),
        Error::Gone { name, id } => {
            gettext_f("“{name}” ({port}) is not plugged in any more.", &[("name", name), ("port", id)])
        }
        Error::Permission { name, id, line } => {
            let words = gettext_f(
                "You may not use “{name}” ({port}). As root, put this line into /etc/udev/rules.d/70-dormer-usb.rules, then plug the device in again:",
                &[("name", name), ("port", id)],
            );
            format!("{words}\n{line}")
        }
        Error::Sandboxed(name) => gettext_f(
            "Flatpak keeps Dormer from USB devices: use “{name}” from a Dormer that is installed without it.",
            &[("name", name)],
        ),
        Error::Open { name, id, source } => gettext_f(
            "“{name}” ({port}) cannot be opened: {why}.",
            &[("name", name), ("port", id), ("why", &source.to_string())],
        ),
        // Only terminals ask so; the app asks before.
        Error::NotFound(_)
        | Error::NotADevice(_)
        | Error::Ambiguous { .. }
        | Error::Missed { .. }
        | Error::NotAttached { .. } => sentence(&error.to_string()),
    }
}

/// What a USB device is used for, and what to do; without the full stop.
pub(crate) fn usb_use(why: &Use) -> String {
    match why {
        Use::Hub => gettext("It is a hub: choose what is plugged into it"),
        Use::Mounted(place) => {
            gettext_f("Its files are in use at {place}: eject it first", &[("place", &place.display().to_string())])
        }
        Use::Swap => gettext("This computer swaps memory to it: switch that off first"),
        Use::Volume(name) => {
            gettext_f("It is part of the volume “{name}”, which is open: close that first", &[("name", name)])
        }
        Use::OnlyKeyboard => gettext("It is this computer's only keyboard"),
        Use::OnlyMouse => gettext("It is this computer's only mouse"),
        Use::Program => gettext("Another program uses it: end that first"),
        Use::Keyboard => gettext("It is a keyboard of this computer"),
        Use::Mouse => gettext("It is a mouse of this computer"),
        Use::Network { interface, route: true } => {
            gettext_f("This computer is online through it ({interface})", &[("interface", interface)])
        }
        Use::Network { interface, route: false } => {
            gettext_f("It is a network card of this computer ({interface})", &[("interface", interface)])
        }
    }
}

/// Why an engine does not do it.
fn of_control(error: &control::Error) -> String {
    use control::Error;
    match error {
        Error::Connect(why) => gettext_f("The machine's engine does not answer: {why}.", &[("why", &why.to_string())]),
        Error::Closed => gettext("The machine's engine has ended."),
        Error::Timeout(seconds) => seconds_long(*seconds, |count| {
            ngettext_f(
                "The machine's engine did not answer within {count} second.",
                "The machine's engine did not answer within {count} seconds.",
                count,
                &[],
            )
        }),
        Error::Io(why) => {
            gettext_f("The connection to the machine's engine failed: {why}.", &[("why", &why.to_string())])
        }
        Error::Refused(_) | Error::Nonsense(_) => sentence(&error.to_string()),
    }
}

/// Can this computer run machines?
pub(crate) fn kvm(state: &KvmState) -> String {
    match state {
        KvmState::Ready => gettext("This computer can run machines."),
        KvmState::NoExtension => gettext(
            "This computer's processor does not offer virtualisation: it is switched off in the firmware (BIOS), or the processor has none.",
        ),
        KvmState::NoModule(_) => gettext("The processor can run machines, but the kernel's KVM module is not loaded."),
        KvmState::NoPermission => gettext("You may not use /dev/kvm."),
        KvmState::Busy => {
            gettext("Another hypervisor (VirtualBox, VMware or similar) is using the processor's virtualisation.")
        }
        KvmState::NotNested => {
            gettext("This computer is a virtual machine itself, and its host does not pass virtualisation on to it.")
        }
        KvmState::Flatpak => gettext("Flatpak does not let Dormer use /dev/kvm."),
        KvmState::Failed(why) => gettext_f("KVM does not work: {why}.", &[("why", why)]),
    }
}

/// What the person can do about it, and a command for it where there is one.
pub(crate) fn kvm_advice(state: &KvmState) -> Option<(String, Option<&'static str>)> {
    let text = match state {
        KvmState::Ready => return None,
        KvmState::NoExtension => gettext(
            "Restart into the firmware's setup (Del, F2 or F10 while starting) and switch on “Intel VT-x”, “AMD-V” or “SVM mode”.",
        ),
        KvmState::NoModule(Vendor::Intel | Vendor::Amd) => gettext("Load it:"),
        KvmState::NoPermission => gettext("Join the group that may, then log out and in again:"),
        KvmState::Busy => gettext("Turn its machines off, or unload its kernel module, then try again."),
        KvmState::NotNested => gettext("Switch on nested virtualisation for this machine in the host's settings."),
        KvmState::Flatpak => gettext("Allow it:"),
        KvmState::Failed(_) => gettext("The kernel's log may say more:"),
    };
    let command = state.advice().and_then(|advice| advice.split_once('\n')).map(|(_, command)| command);
    Some((text, command))
}

/// What is the matter with KVM, and what to do about it.
fn kvm_told(state: &KvmState) -> String {
    match kvm_advice(state) {
        None => kvm(state),
        Some((text, None)) => format!("{} {text}", kvm(state)),
        Some((text, Some(command))) => format!("{} {text}\n{command}", kvm(state)),
    }
}

fn of_path(path: &Path, say: impl Fn(&[(&str, &str)]) -> String) -> String {
    say(&[("path", &path.display().to_string())])
}

fn seconds_long(seconds: u64, say: impl Fn(usize) -> String) -> String {
    say(usize::try_from(seconds).unwrap_or(usize::MAX))
}

#[cfg(test)]
#[path = "reasons_test.rs"]
mod tests;
