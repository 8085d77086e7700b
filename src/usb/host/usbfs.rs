//! A USB device of the host through usbfs, on a descriptor that somebody else opened. With [`Buffer`], the only unsafe code of this crate.
//!
//! Linux, `include/uapi/linux/usbdevice_fs.h`, `Documentation/driver-api/usb/usb.rst` and `drivers/usb/core/devio.c`. What matters of the
//! latter: every call but poll takes the device's lock, which some calls hold for seconds ([`Usbfs::set_configuration`],
//! [`Usbfs::set_interface`], [`Usbfs::clear_halt`], [`Usbfs::reset`], claiming and streams, all said to *wait*); the kernel writes to a
//! URB and its buffer only while it is reaped, so both live here until then; and closing the file releases interfaces but leaves
//! them without a driver.
//!
//! Privileges are not dropped (`USBDEVFS_DROP_PRIVILEGES`): who did could neither take interfaces from the drivers that bind to them
//! when the guest changes the configuration, nor give them back.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use api::usb::Speed;
use rustix::fs::{FileType, OFlags, fcntl_getfl, fstat, major};
use rustix::io::Errno;

pub use super::buffer::Buffer;
use super::buffer::Buffers;
use crate::{Endpoint, Setup};

/// The major number of usbfs's files (`USB_DEVICE_MAJOR`).
const MAJOR: u32 = 189;

/// Most packets of one isochronous URB; the kernel takes 128.
pub const PACKETS: usize = 32;

/// What is called, by number.
pub mod request {
    /// `USBDEVFS_CONTROL`.
    pub const CONTROL: u32 = 0xc018_5500;
    /// `USBDEVFS_SETINTERFACE`.
    pub const SET_INTERFACE: u32 = 0x8008_5504;
    /// `USBDEVFS_SETCONFIGURATION`.
    pub const SET_CONFIGURATION: u32 = 0x8004_5505;
    /// `USBDEVFS_SUBMITURB`.
    pub const SUBMIT_URB: u32 = 0x8038_550a;
    /// `USBDEVFS_DISCARDURB`.
    pub const DISCARD_URB: u32 = 0x550b;
    /// `USBDEVFS_REAPURBNDELAY`.
    pub const REAP_URB: u32 = 0x4008_550d;
    /// `USBDEVFS_RELEASEINTERFACE`.
    pub const RELEASE_INTERFACE: u32 = 0x8004_5510;
    /// `USBDEVFS_IOCTL`, here only with [`CONNECT`] in it.
    pub const DRIVER: u32 = 0xc010_5512;
    /// `USBDEVFS_RESET`.
    pub const RESET: u32 = 0x5514;
    /// `USBDEVFS_CLEAR_HALT`.
    pub const CLEAR_HALT: u32 = 0x8004_5515;
    /// `USBDEVFS_CONNECT`, which goes inside of [`DRIVER`].
    pub const CONNECT: u32 = 0x5517;
    /// `USBDEVFS_GET_CAPABILITIES`.
    pub const GET_CAPABILITIES: u32 = 0x8004_551a;
    /// `USBDEVFS_DISCONNECT_CLAIM`.
    pub const DISCONNECT_CLAIM: u32 = 0x8108_551b;
    /// `USBDEVFS_ALLOC_STREAMS`.
    pub const ALLOC_STREAMS: u32 = 0x8008_551c;
    /// `USBDEVFS_FREE_STREAMS`.
    pub const FREE_STREAMS: u32 = 0x8008_551d;
    /// `USBDEVFS_GET_SPEED`.
    pub const GET_SPEED: u32 = 0x551f;

    /// All that a process with such a descriptor calls.
    pub const ALL: [u32; 15] = [
        CONTROL,
        SET_INTERFACE,
        SET_CONFIGURATION,
        SUBMIT_URB,
        DISCARD_URB,
        REAP_URB,
        RELEASE_INTERFACE,
        DRIVER,
        RESET,
        CLEAR_HALT,
        GET_CAPABILITIES,
        DISCONNECT_CLAIM,
        ALLOC_STREAMS,
        FREE_STREAMS,
        GET_SPEED,
    ];
}

/// `USBDEVFS_CAP_BULK_SCATTER_GATHER`: bulk URBs may be long.
const CAP_SCATTER_GATHER: u32 = 0x08;
/// `USBDEVFS_DISCONNECT_CLAIM_EXCEPT_DRIVER`.
const EXCEPT_DRIVER: u32 = 2;
/// `USBDEVFS_URB_ISO_ASAP`.
const ISO_ASAP: u32 = 0x02;

/// Milliseconds for a request that a device answers by itself.
const PATIENCE: u32 = 1000;

/// `struct usbdevfs_iso_packet_desc`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct RawPacket {
    length: u32,
    actual: u32,
    status: i32,
}

/// `struct usbdevfs_urb` with its packets; pointers as numbers.
#[repr(C)]
#[derive(Default)]
struct RawUrb {
    kind: u8,
    endpoint: u8,
    status: i32,
    flags: u32,
    buffer: usize,
    buffer_length: i32,
    actual_length: i32,
    start_frame: i32,
    /// Number of packets, or a stream.
    count: u32,
    error_count: i32,
    signal: u32,
    context: usize,
    packets: [RawPacket; PACKETS],
}

const _: () = assert!(std::mem::offset_of!(RawUrb, packets) == 56 && size_of::<RawPacket>() == 12);

/// `struct usbdevfs_ctrltransfer`.
#[repr(C)]
struct RawControl {
    setup: [u8; 8],
    timeout: u32,
    data: usize,
}

/// `struct usbdevfs_ioctl`.
#[repr(C)]
struct RawDriver {
    interface: i32,
    code: u32,
    data: usize,
}

/// `struct usbdevfs_disconnect_claim`.
#[repr(C)]
struct RawClaim {
    interface: u32,
    flags: u32,
    driver: [u8; 256],
}

/// `struct usbdevfs_streams` with one endpoint.
#[repr(C)]
struct RawStreams {
    streams: u32,
    endpoints: u32,
    endpoint: u8,
}

const _: () = assert!(size_of::<RawControl>() == 24 && size_of::<RawDriver>() == 16 && size_of::<RawClaim>() == 264);

/// What kind of URB, by the kernel's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrbKind {
    /// Packets of these lengths, [`PACKETS`] at most, one after the other in the buffer.
    Isochronous,
    /// Interrupt.
    Interrupt,
    /// A setup packet, then data.
    Control,
    /// Bulk, on this stream, or 0.
    Bulk(u16),
}

/// A URB to submit.
pub struct Urb {
    /// Of which kind.
    pub kind: UrbKind,
    /// `bEndpointAddress`.
    pub endpoint: u8,
    /// Data, or room for it. Its length is the URB's.
    pub buffer: Buffer,
    /// Lengths of isochronous packets, which together are as long as the buffer.
    pub packets: Vec<u32>,
}

/// A URB in flight. May name another one as soon as it was reaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UrbId(usize);

/// What came of a packet or a URB: bytes moved, and the kernel's complaint, if any (`Documentation/driver-api/usb/error-codes.rst`).
pub type Outcome = (usize, Option<Errno>);

/// A URB that is over.
pub struct Reaped {
    /// Which.
    pub id: UrbId,
    /// What came of it; of a control URB without its setup packet.
    pub outcome: Outcome,
    /// Its buffer.
    pub buffer: Buffer,
    /// Where in it each packet is, and what came of it.
    pub packets: Vec<(usize, Outcome)>,
}

/// A URB in flight, and what it points to.
struct InFlight {
    /// One, on the heap, where it stays. The kernel knows it by its address.
    urb: Vec<RawUrb>,
    buffer: Buffer,
}

/// A device of the host. Dropping it cancels what is in flight and releases interfaces, without drivers.
pub struct Usbfs {
    file: OwnedFd,
    in_flight: Mutex<BTreeMap<UrbId, InFlight>>,
    buffers: Buffers,
}

impl AsFd for Usbfs {
    /// To be polled: writable when something can be reaped, hung up when the device is gone.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Usbfs {
    /// Of a usbfs file; `None` when it is something else, or not opened to read and write.
    pub fn new(file: OwnedFd) -> Option<Self> {
        let stat = fstat(&file).ok()?;
        let is_usbfs =
            FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && major(stat.st_rdev) == MAJOR;
        let access = fcntl_getfl(&file).ok()?.intersection(OFlags::RWMODE);
        (is_usbfs && access == OFlags::RDWR).then(|| Self {
            file,
            in_flight: Mutex::default(),
            buffers: Buffers::default(),
        })
    }

    /// Device descriptor and configurations one after the other, at most `limit` bytes of them.
    pub fn descriptors(&self, limit: usize) -> Result<Vec<u8>, Errno> {
        let mut bytes = vec![0; limit];
        let mut length = 0;
        while length < limit {
            match rustix::io::pread(&self.file, &mut bytes[length..], length as u64) {
                Ok(0) => break,
                Ok(count) => length += count,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(length);
        Ok(bytes)
    }

    /// How fast it signals. The kernel's numbers are in `include/uapi/linux/usb/ch9.h`.
    pub fn speed(&self) -> Result<Speed, Errno> {
        Ok(match self.call(request::GET_SPEED, std::ptr::null_mut::<()>())? {
            1 => Speed::Low,
            2 => Speed::Full,
            5 => Speed::Super,
            6 => Speed::SuperPlus,
            // Wireless USB was of high speed, and is no more.
            _ => Speed::High,
        })
    }

    /// A buffer for a URB, of the kernel's own memory where that is to be had.
    pub fn buffer(&self, length: usize) -> Buffer {
        self.buffers.take(&self.file, length)
    }

    /// Gives the kernel back buffers that no URB has: it has too little memory.
    pub fn give_buffers_back(&self) {
        self.buffers.give_back();
    }

    /// May bulk URBs be long? Else the kernel wants memory in one piece for each.
    pub fn scatters(&self) -> bool {
        let mut capabilities = 0_u32;
        self.call(request::GET_CAPABILITIES, &raw mut capabilities).is_ok() && capabilities & CAP_SCATTER_GATHER != 0
    }

    /// `bConfigurationValue` of the configuration that is set, as the device says. Waits.
    pub fn configuration(&self) -> Result<u8, Errno> {
        let mut value = [0_u8];
        let setup = Setup { kind: 0x80, request: 8, value: 0, index: 0, length: 1 };
        let data = value.as_mut_ptr().expose_provenance();
        let mut control = RawControl { setup: setup.bytes(), timeout: PATIENCE, data };
        self.call(request::CONTROL, &raw mut control)?;
        Ok(value[0])
    }

    /// Takes an interface, from the host's driver if it has one. Waits. [`Errno::BUSY`] when a program has it, be it this one.
    pub fn claim(&self, interface: u8) -> Result<(), Errno> {
        let mut claim = RawClaim { interface: interface.into(), flags: EXCEPT_DRIVER, driver: [0; 256] };
        claim.driver[..5].copy_from_slice(b"usbfs");
        self.call(request::DISCONNECT_CLAIM, &raw mut claim).map(drop)
    }

    /// Gives up an interface, which has no driver then. Waits.
    pub fn release(&self, interface: u8) -> Result<(), Errno> {
        let mut interface = u32::from(interface);
        self.call(request::RELEASE_INTERFACE, &raw mut interface).map(drop)
    }

    /// Lets the host find a driver for an interface that has none. Waits.
    pub fn connect(&self, interface: u8) -> Result<(), Errno> {
        let mut driver = RawDriver { interface: interface.into(), code: request::CONNECT, data: 0 };
        self.call(request::DRIVER, &raw mut driver).map(drop)
    }

    /// Sets a configuration. Waits. Refused while interfaces are claimed; the host's drivers bind to those of the new one.
    pub fn set_configuration(&self, value: u8) -> Result<(), Errno> {
        let mut value = u32::from(value);
        self.call(request::SET_CONFIGURATION, &raw mut value).map(drop)
    }

    /// Chooses an alternate setting; URBs of the interface are cancelled. Waits.
    pub fn set_interface(&self, interface: u8, alternate: u8) -> Result<(), Errno> {
        let mut setting = [u32::from(interface), alternate.into()];
        self.call(request::SET_INTERFACE, &raw mut setting).map(drop)
    }

    /// Ends an endpoint's halt, here and in the device. Waits.
    pub fn clear_halt(&self, endpoint: Endpoint) -> Result<(), Errno> {
        let mut address = u32::from(endpoint.address());
        self.call(request::CLEAR_HALT, &raw mut address).map(drop)
    }

    /// Resets the device; configuration and alternate settings are as before. Waits. Interfaces that are claimed would go to the host's
    /// drivers: they are released before. A device that is another one afterwards is gone.
    pub fn reset(&self) -> Result<(), Errno> {
        self.call(request::RESET, std::ptr::null_mut::<()>()).map(drop)
    }

    /// Gives an endpoint so many streams (2 at least), beside stream 0. Waits; URBs of its interface are cancelled.
    pub fn allocate_streams(&self, endpoint: Endpoint, streams: u16) -> Result<(), Errno> {
        let mut wanted = RawStreams { streams: streams.into(), endpoints: 1, endpoint: endpoint.address() };
        self.call(request::ALLOC_STREAMS, &raw mut wanted).map(drop)
    }

    /// Takes its streams away. Waits; URBs of its interface are cancelled.
    pub fn free_streams(&self, endpoint: Endpoint) -> Result<(), Errno> {
        let mut wanted = RawStreams { streams: 0, endpoints: 1, endpoint: endpoint.address() };
        self.call(request::FREE_STREAMS, &raw mut wanted).map(drop)
    }

    /// Sends a URB on its way.
    pub fn submit(&self, urb: Urb) -> Result<UrbId, Errno> {
        let Urb { kind, endpoint, mut buffer, packets } = urb;
        let mut raw = RawUrb { endpoint, ..RawUrb::default() };
        (raw.kind, raw.count, raw.flags) = match kind {
            UrbKind::Isochronous => (0, packets.len() as u32, ISO_ASAP),
            UrbKind::Interrupt => (1, 0, 0),
            UrbKind::Control => (2, 0, 0),
            UrbKind::Bulk(stream) => (3, stream.into(), 0),
        };
        // The kernel adds up the packets and takes that for the buffer's length.
        let all = packets.iter().map(|&length| u64::from(length)).sum::<u64>();
        let fits = kind != UrbKind::Isochronous || all == buffer.len() as u64;
        // Of a control URB it takes what the setup packet says.
        let told = buffer.get(6..8).map_or(0, |length| usize::from(u16::from_le_bytes([length[0], length[1]])));
        let whole = kind != UrbKind::Control || buffer.len() == 8 + told;
        if packets.len() > PACKETS || !fits || !whole {
            return Err(Errno::INVAL);
        }
        for (slot, length) in raw.packets.iter_mut().zip(packets) {
            slot.length = length;
        }
        raw.buffer_length = i32::try_from(buffer.len()).map_err(|_| Errno::INVAL)?;
        raw.buffer = buffer.as_mut_ptr().expose_provenance();
        let mut urb = vec![raw];
        let at = urb.as_mut_ptr();
        let id = UrbId(at.expose_provenance());
        let mut in_flight = self.in_flight();
        self.call(request::SUBMIT_URB, at)?;
        in_flight.insert(id, InFlight { urb, buffer });
        Ok(id)
    }

    /// Cancels a URB, which is to be reaped nevertheless. Waits as long as the host's controller needs for that: some milliseconds.
    pub fn discard(&self, id: UrbId) {
        let in_flight = self.in_flight();
        if in_flight.contains_key(&id) {
            // Refused when it is over already.
            let _ = self.call(request::DISCARD_URB, std::ptr::with_exposed_provenance_mut::<()>(id.0));
        }
    }

    /// The next URB that is over; none is [`Errno::AGAIN`], or [`Errno::NODEV`] when the device is gone, and then none will be.
    pub fn reap(&self) -> Result<Reaped, Errno> {
        let mut in_flight = self.in_flight();
        loop {
            let mut address = 0_usize;
            self.call(request::REAP_URB, &raw mut address)?;
            // One that is not ours was submitted through another copy of the descriptor.
            let Some(InFlight { urb, buffer }) = in_flight.remove(&UrbId(address)) else { continue };
            let Some(urb) = urb.into_iter().next() else { continue };
            let outcome =
                |actual: usize, status: i32| (actual, (status != 0).then(|| Errno::from_raw_os_error(-status)));
            let moved = usize::try_from(urb.actual_length).unwrap_or(0).min(buffer.len());
            let packets = if urb.kind == 0 { &urb.packets[..(urb.count as usize).min(PACKETS)] } else { &[] };
            let packets = packets.iter().scan(0, |behind, packet| {
                let at = *behind;
                *behind += packet.length as usize;
                Some((at, outcome(packet.actual.min(packet.length) as usize, packet.status)))
            });
            let packets = packets.collect();
            return Ok(Reaped { id: UrbId(address), outcome: outcome(moved, urb.status), packets, buffer });
        }
    }

    fn in_flight(&self) -> MutexGuard<'_, BTreeMap<UrbId, InFlight>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One of the calls of [`request`]. `argument` is what that call takes: a pointer to the struct it reads and writes, which may be
    /// larger but not smaller; that of [`request::DISCARD_URB`] is not looked behind.
    #[allow(unsafe_code)] // no crate wraps these calls
    fn call<T>(&self, request: u32, argument: *mut T) -> Result<u32, Errno> {
        loop {
            // SAFETY: all callers are above, and pass what the call takes. What a submitted URB points to is kept in `in_flight`
            // until it is reaped, which is when the kernel writes to it, and that needs this very file: when it is closed, nothing
            // is written any more. Nothing is borrowed from there meanwhile, and it is all plain numbers.
            let answer = unsafe { libc::ioctl(self.file.as_raw_fd(), request.into(), argument) };
            match u32::try_from(answer) {
                Ok(answer) => return Ok(answer),
                Err(_) => match Errno::from_io_error(&std::io::Error::last_os_error()) {
                    Some(Errno::INTR) => {}
                    error => return Err(error.unwrap_or(Errno::IO)),
                },
            }
        }
    }
}
