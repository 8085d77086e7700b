//! Tap devices of the host: one that is there and the person's, or one on a bridge that QEMU's bridge helper makes.
//!
//! Linux, Documentation/networking/tuntap.rst, §3. Devices are made without `IFF_VNET_HDR`: a frame for each read and write. Only root
//! can make devices or connect them to bridges, so what is missing is told with the command that makes it.

use std::ffi::c_void;
use std::fs::OpenOptions;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use api::machine::InterfaceName;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::ioctl::{self, Opcode};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::cable;
use crate::error::{Error, Result, Trying};

/// Where the kernel shows interfaces.
const INTERFACES: &str = "/sys/class/net";
const DEVICE: &str = "/dev/net/tun";
/// Where distributions install QEMU's bridge helper.
const BRIDGE_HELPERS: [&str; 3] =
    ["/usr/lib/qemu/qemu-bridge-helper", "/usr/libexec/qemu-bridge-helper", "/usr/libexec/qemu/qemu-bridge-helper"];

/// `_IOW('T', 202, int)`.
const TUNSETIFF: Opcode = 0x4004_54ca;
const IFF_TAP: u16 = 0x0002;
const IFF_NO_PI: u16 = 0x1000;

/// `struct ifreq` with `ifr_flags` (netdevice(7)).
#[repr(C)]
struct InterfaceRequest {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

/// TUNSETIFF, which writes the device's name back.
struct SetInterface(InterfaceRequest);

// SAFETY: the kernel reads and writes one `struct ifreq`, which this is, and answers no pointer.
#[allow(unsafe_code)]
unsafe impl ioctl::Ioctl for SetInterface {
    type Output = ();

    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        TUNSETIFF
    }

    fn as_ptr(&mut self) -> *mut c_void {
        (&raw mut self.0).cast()
    }

    unsafe fn output_from_ptr(_: ioctl::IoctlOutput, _: *mut c_void) -> rustix::io::Result<()> {
        Ok(())
    }
}

/// Opens a tap device that is there.
pub(super) fn open(name: &InterfaceName) -> Result<OwnedFd> {
    let make = format!("“sudo ip tuntap add dev {name} mode tap user $USER && sudo ip link set {name} up”");
    let place = Path::new(INTERFACES).join(name.as_str());
    // Who may make devices would make one by opening it, and it would be gone with the machine.
    if !place.exists() {
        return Err(Error::Cable(format!("there is no network device “{name}”: {make} makes one")));
    }
    if !is_tap(&place) {
        return Err(Error::Cable(format!("“{name}” is not a tap device: choose another name, and {make} makes one")));
    }
    let device = Path::new(DEVICE);
    let tap: OwnedFd = OpenOptions::new().read(true).write(true).open(device).at("open", device)?.into();
    let mut request = InterfaceRequest { name: [0; 16], flags: IFF_TAP | IFF_NO_PI, rest: [0; 22] };
    // It fits, with a zero behind it: 15 bytes at most.
    request.name[..name.as_str().len()].copy_from_slice(name.as_str().as_bytes());
    // SAFETY: as the type says.
    #[allow(unsafe_code)]
    let set = unsafe { ioctl::ioctl(&tap, SetInterface(request)) };
    match set {
        Ok(()) => nonblocking(tap),
        Err(Errno::PERM | Errno::ACCESS) => {
            let remove = format!("“sudo ip tuntap del dev {name} mode tap”");
            Err(Error::Cable(format!(
                "the tap device “{name}” is not yours: {remove} removes it, and {make} makes another"
            )))
        }
        Err(Errno::BUSY) => {
            Err(Error::Cable(format!("the tap device “{name}” is in use by another machine or program")))
        }
        Err(error) => Err(error).trying(|| format!("use the tap device “{name}”")),
    }
}

/// Does it carry frames? The kernel shows flags of tun and tap devices alone.
fn is_tap(interface: &Path) -> bool {
    let flags = std::fs::read_to_string(interface.join("tun_flags")).ok();
    let flags = flags.and_then(|text| u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok());
    flags.is_some_and(|flags| flags & u32::from(IFF_TAP) != 0)
}

fn nonblocking(tap: OwnedFd) -> Result<OwnedFd> {
    fcntl_getfl(&tap)
        .and_then(|flags| fcntl_setfl(&tap, flags | OFlags::NONBLOCK))
        .trying(|| "use the tap device".into())?;
    Ok(tap)
}

/// A new tap device on a bridge.
pub(super) fn on_bridge(name: &InterfaceName, log: &Path) -> Result<OwnedFd> {
    if !Path::new(INTERFACES).join(name.as_str()).join("bridge").exists() {
        let make = format!("“sudo ip link add {name} type bridge && sudo ip link set {name} up”");
        return Err(Error::Cable(format!("there is no bridge “{name}”: {make} makes an empty one")));
    }
    let named = std::env::var_os("DORMER_BRIDGE_HELPER").map(PathBuf::from);
    let mut helpers = named.into_iter().chain(BRIDGE_HELPERS.map(PathBuf::from));
    let Some(helper) = helpers.find(|path| path.is_file()) else {
        return Err(Error::Cable(
            "connecting to a bridge needs QEMU’s bridge helper, which is not installed: \
             it is in the package qemu-system-common of Debian and Ubuntu, qemu-common of Fedora"
                .into(),
        ));
    };
    ask(&helper, name, log).and_then(nonblocking)
}

/// Has the helper make the device.
fn ask(helper: &Path, name: &InterfaceName, log: &Path) -> Result<OwnedFd> {
    let trying = || format!("connect to the bridge “{name}”");
    let (ours, theirs) = UnixStream::pair().trying(trying)?;
    ours.set_read_timeout(Some(cable::READY)).trying(trying)?;
    let mut log = cable::open_log(log)?;
    let mut child = Command::new(helper)
        .args(["--fd=0", &format!("--br={name}")])
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::from(log.try_clone().trying(trying)?))
        .current_dir("/")
        .spawn()
        .trying(trying)?;
    let device = receive(&ours);
    if device.is_none() {
        // It may have ended already.
        let _ = child.kill();
    }
    let _ = child.wait();
    device.ok_or_else(|| {
        let words = cable::last_words(&mut log, "qemu-bridge-helper");
        let (helper, allow) = (helper.display(), format!("“echo allow {name} | sudo tee -a /etc/qemu/bridge.conf”"));
        Error::Cable(format!(
            "QEMU’s bridge helper does not connect to “{name}” ({words}): {allow} allows that bridge, \
             “sudo chmod u+s {helper}” allows the helper to work"
        ))
    })
}

/// The descriptor that the helper sends with one byte.
fn receive(socket: &UnixStream) -> Option<OwnedFd> {
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut ancillary, RecvFlags::CMSG_CLOEXEC).ok()?;
    ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut rights) => rights.next(),
        _ => None,
    })
}

#[cfg(test)]
#[path = "tap_test.rs"]
mod tests;
