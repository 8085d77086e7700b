//! The registers of the memory BAR: where they are, and what their bits mean (xHCI 1.2 §5.3 to §5.6, §7.2).

use bitflags::bitflags;

/// Slots for devices.
pub(super) const SLOTS: u8 = 64;
/// Event rings.
pub(super) const INTERRUPTERS: usize = 8;
/// Ports of USB 2, which are the first, and of USB 3.
pub(super) const USB2_PORTS: u8 = 8;
pub(super) const USB3_PORTS: u8 = 8;
/// All of them.
pub(super) const PORTS: u8 = USB2_PORTS + USB3_PORTS;
/// Segments of an event ring, as a power of two.
const MOST_SEGMENTS: u32 = 4;
/// Segments of an event ring.
pub(super) const SEGMENTS: u16 = 1 << MOST_SEGMENTS;
/// MaxPSASize: stream arrays have up to 2^(n+1) entries.
pub(super) const STREAM_ARRAY: u8 = 7;

/// Where what is.
const OPERATIONAL: u64 = 0x40;
const PORT_SETS: u64 = OPERATIONAL + 0x400;
const PORT_SET: u64 = 0x10;
const RUNTIME: u64 = 0x1000;
const INTERRUPTER_SETS: u64 = RUNTIME + 0x20;
const INTERRUPTER_SET: u64 = 0x20;
const DOORBELLS: u64 = 0x2000;
/// The MSI-X table.
pub(super) const MSIX: u64 = 0x3000;
/// All of the BAR.
pub(super) const BAR_SIZE: u64 = 0x4000;
/// The extended capabilities, between the other capabilities and the operational registers.
const EXTENDED: u64 = 0x20;

/// What reads always the same, from 0 on.
const CAPABILITIES: [u32; (OPERATIONAL / 4) as usize] = [
    // Version 1.1.
    0x0110_0000 | OPERATIONAL as u32,
    SLOTS as u32 | (INTERRUPTERS as u32) << 8 | (PORTS as u32) << 24,
    // Isochronous TDs are wanted seven frames ahead. No scratchpad.
    MOST_SEGMENTS << 4 | 0xf,
    0,
    // 64 bit addresses, no secondary streams, all Event Data TRBs are parsed.
    1 | 1 << 7 | 1 << 8 | (STREAM_ARRAY as u32) << 12 | ((EXTENDED / 4) as u32) << 16,
    DOORBELLS as u32,
    RUNTIME as u32,
    0,
    // Supported protocol: USB 2.0, its ports, default speeds.
    0x0200_0000 | 4 << 8 | 2,
    u32::from_le_bytes(*b"USB "),
    1 | (USB2_PORTS as u32) << 8,
    0,
    // USB 3.1.
    0x0310_0000 | 2,
    u32::from_le_bytes(*b"USB "),
    (1 + USB2_PORTS as u32) | (USB3_PORTS as u32) << 8,
    0,
];

/// Which half of a register of 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    Low,
    High,
}

impl Half {
    /// The half of `value`.
    pub(super) fn of(self, value: u64) -> u32 {
        match self {
            Self::Low => value as u32,
            Self::High => (value >> 32) as u32,
        }
    }

    /// `value` with this half anew.
    pub(super) fn put(self, value: u64, half: u32) -> u64 {
        match self {
            Self::Low => value & !0xffff_ffff | u64::from(half),
            Self::High => value & 0xffff_ffff | u64::from(half) << 32,
        }
    }
}

/// Registers of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PortRegister {
    /// PORTSC.
    Status,
    /// PORTPMSC.
    Power,
    /// PORTLI.
    Link,
    /// PORTHLPMC.
    HardwarePower,
}

/// Registers of an interrupter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InterrupterRegister {
    /// IMAN.
    Management,
    /// IMOD.
    Moderation,
    /// ERSTSZ.
    Segments,
    /// ERSTBA.
    Table(Half),
    /// ERDP.
    Dequeue(Half),
}

/// A register of 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Register {
    /// Reads as this and cannot be written.
    Fixed(u32),
    /// USBCMD.
    Command,
    /// USBSTS.
    Status,
    /// DNCTRL.
    Notification,
    /// CRCR.
    CommandRing(Half),
    /// DCBAAP.
    Contexts(Half),
    /// CONFIG.
    Configure,
    /// A port's, 0 being the first.
    Port(usize, PortRegister),
    /// MFINDEX.
    FrameIndex,
    /// An interrupter's.
    Interrupter(usize, InterrupterRegister),
    /// A doorbell: 0 is the command ring's, then the slots' follow.
    Doorbell(u8),
}

impl Register {
    /// The register at an offset, a multiple of four. What is reserved reads as zero.
    pub(super) fn decode(offset: u64) -> Self {
        match offset {
            0..OPERATIONAL => Self::Fixed(CAPABILITIES[(offset / 4) as usize]),
            OPERATIONAL..PORT_SETS => match offset - OPERATIONAL {
                0x00 => Self::Command,
                0x04 => Self::Status,
                // Pages of 4 KiB.
                0x08 => Self::Fixed(1),
                0x14 => Self::Notification,
                0x18 => Self::CommandRing(Half::Low),
                0x1c => Self::CommandRing(Half::High),
                0x30 => Self::Contexts(Half::Low),
                0x34 => Self::Contexts(Half::High),
                0x38 => Self::Configure,
                _ => Self::Fixed(0),
            },
            PORT_SETS..RUNTIME => {
                let port = (offset - PORT_SETS) / PORT_SET;
                if port >= u64::from(PORTS) {
                    return Self::Fixed(0);
                }
                let register = match offset % PORT_SET {
                    0x0 => PortRegister::Status,
                    0x4 => PortRegister::Power,
                    0x8 => PortRegister::Link,
                    _ => PortRegister::HardwarePower,
                };
                Self::Port(port as usize, register)
            }
            RUNTIME => Self::FrameIndex,
            INTERRUPTER_SETS..DOORBELLS => {
                let number = ((offset - INTERRUPTER_SETS) / INTERRUPTER_SET) as usize;
                if number >= INTERRUPTERS {
                    return Self::Fixed(0);
                }
                let register = match offset % INTERRUPTER_SET {
                    0x00 => InterrupterRegister::Management,
                    0x04 => InterrupterRegister::Moderation,
                    0x08 => InterrupterRegister::Segments,
                    0x10 => InterrupterRegister::Table(Half::Low),
                    0x14 => InterrupterRegister::Table(Half::High),
                    0x18 => InterrupterRegister::Dequeue(Half::Low),
                    0x1c => InterrupterRegister::Dequeue(Half::High),
                    _ => return Self::Fixed(0),
                };
                Self::Interrupter(number, register)
            }
            DOORBELLS..MSIX => match (offset - DOORBELLS) / 4 {
                bell if bell <= u64::from(SLOTS) => Self::Doorbell(bell as u8),
                _ => Self::Fixed(0),
            },
            _ => Self::Fixed(0),
        }
    }
}

bitflags! {
    /// USBCMD (§5.4.1).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Command: u32 {
        const RUN = 1 << 0;
        const RESET = 1 << 1;
        const INTERRUPTS = 1 << 2;
        const SYSTEM_ERRORS = 1 << 3;
        const SAVE = 1 << 8;
        const RESTORE = 1 << 9;
        const WRAP_EVENTS = 1 << 10;
        /// What is kept as it is written.
        const KEPT = 1 << 0 | 1 << 2 | 1 << 3 | 1 << 10 | 1 << 11;
    }

    /// USBSTS (§5.4.2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Status: u32 {
        const HALTED = 1 << 0;
        const SYSTEM_ERROR = 1 << 2;
        const EVENT = 1 << 3;
        const PORT_CHANGE = 1 << 4;
        const RESTORE_ERROR = 1 << 10;
        /// What is cleared by writing ones.
        const CLEARS = 1 << 2 | 1 << 3 | 1 << 4 | 1 << 10;
    }

    /// PORTSC (§5.4.8), without the fields of several bits.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct PortStatus: u32 {
        const CONNECTED = 1 << 0;
        const ENABLED = 1 << 1;
        const RESET = 1 << 4;
        const POWER = 1 << 9;
        const LINK_WRITE = 1 << 16;
        const CONNECT_CHANGE = 1 << 17;
        const ENABLE_CHANGE = 1 << 18;
        const WARM_RESET_CHANGE = 1 << 19;
        const OVERCURRENT_CHANGE = 1 << 20;
        const RESET_CHANGE = 1 << 21;
        const LINK_CHANGE = 1 << 22;
        const CONFIG_CHANGE = 1 << 23;
        const CHANGES = 0x7f << 17;
        const WAKES = 7 << 25;
        const WARM_RESET = 1 << 31;
    }
}
