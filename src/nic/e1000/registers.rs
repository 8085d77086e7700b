//! The registers of the memory BAR: where they are and what their bits mean (manual §13).

use bitflags::bitflags;

use super::statistics::Statistic;

/// Entries of the table of exact addresses.
pub(super) const ADDRESSES: usize = 16;
/// Words of the multicast table and of the VLAN table.
pub(super) const TABLE_WORDS: usize = 128;

/// The registers of one descriptor ring (§13.4.25 and §13.4.33 on).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RingRegister {
    BaseLow,
    BaseHigh,
    Length,
    Head,
    Tail,
}

/// Where an aligned 32 bit access goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Register {
    /// CTRL.
    Control,
    /// STATUS.
    Status,
    /// EECD: the EEPROM's four wires.
    EepromControl,
    /// EERD: a word of the EEPROM at a time.
    EepromRead,
    /// MDIC: the PHY's registers.
    MdiControl,
    /// VET.
    VlanEtherType,
    /// ICR.
    InterruptCause,
    /// ITR.
    InterruptThrottle,
    /// ICS.
    InterruptCauseSet,
    /// IMS.
    InterruptMaskSet,
    /// IMC.
    InterruptMaskClear,
    /// RCTL.
    ReceiveControl,
    /// RDBAL to RDT.
    ReceiveRing(RingRegister),
    /// RDTR.
    ReceiveDelay,
    /// RADV.
    ReceiveAbsoluteDelay,
    /// RSRPD.
    ReceiveSmallPacket,
    /// RXCSUM.
    ReceiveChecksum,
    /// TCTL.
    TransmitControl,
    /// TDBAL to TDT.
    TransmitRing(RingRegister),
    /// TIDV.
    TransmitDelay,
    /// TADV.
    TransmitAbsoluteDelay,
    /// TXDCTL.
    TransmitDescriptorControl,
    /// MTA.
    MulticastTable(usize),
    /// RAL.
    AddressLow(usize),
    /// RAH.
    AddressHigh(usize),
    /// VFTA.
    VlanTable(usize),
    /// One of the counters.
    Statistic(Statistic),
    /// Holds what was written and does nothing: flow control, LEDs, timing of the wire, wake-up, management. By its number in [`KEPT`].
    Kept(usize),
    /// Reads as zero.
    Reserved,
}

/// A register that only holds what is written to it.
pub(super) struct Kept {
    at: u64,
    /// What can be written.
    pub(super) writable: u32,
    /// After a reset.
    pub(super) initial: u32,
}

const fn kept(at: u64, writable: u32, initial: u32) -> Kept {
    Kept { at, writable, initial }
}

/// The registers that only hold what is written to them.
pub(super) const KEPT: [Kept; 19] = [
    // CTRL_EXT, without the wish to read the EEPROM again, which is done at once.
    kept(0x0018, 0x0fff_dfff, 0),
    // FCAL, FCAH, FCT: what pause frames look like.
    kept(0x0028, 0xffff_ffff, 0),
    kept(0x002c, 0xffff, 0),
    kept(0x0030, 0xffff, 0),
    // FCTTV.
    kept(0x0170, 0xffff, 0),
    // TXCW.
    kept(0x0178, 0xc000_ffff, 0),
    // TIPG.
    kept(0x0410, 0x3fff_ffff, 0x0060_2008),
    // AIT.
    kept(0x0458, 0xffff, 0),
    // LEDCTL: link, activity, and two that are off.
    kept(0x0e00, 0xcfcf_cfcf, 0x0706_8302),
    // PBA: 48 KiB of packet memory to receive, 16 to send.
    kept(PACKET_BUFFERS_AT, 0x0000_ffff, 0x0010_0030),
    // FCRTL, FCRTH.
    kept(0x2160, 0x8000_fff8, 0),
    kept(0x2168, 0xfff8, 0),
    // RXDCTL, of which descriptors written back one by one are the default.
    kept(0x2828, 0x013f_3f3f, 0x0101_0000),
    // TXDMAC.
    kept(0x3000, 0x1, 0x1),
    // TSPMT.
    kept(0x3830, 0xffff_ffff, 0x0100_0400),
    // WUC, WUFC, IPAV.
    kept(0x5800, 0x0000_000f, 0),
    kept(0x5808, 0x000f_80ff, 0),
    kept(0x5838, 0x0001_000f, 0),
    // MANC.
    kept(0x5820, 0x1fff_ff03, 0),
];

/// PBA, the only one that a reset by the driver leaves alone (§13.4.1, RST).
const PACKET_BUFFERS_AT: u64 = 0x1000;

impl Kept {
    /// Does a reset by the driver leave it alone?
    pub(super) fn outlives_reset(&self) -> bool {
        self.at == PACKET_BUFFERS_AT
    }
}

impl Register {
    /// The register at a multiple of 4.
    pub(super) fn decode(offset: u64) -> Self {
        use RingRegister as R;
        let index = |from: u64, step: u64| ((offset - from) / step) as usize;
        match offset {
            0x0000 => Self::Control,
            // The same register once more.
            0x0004 => Self::Control,
            0x0008 => Self::Status,
            0x0010 => Self::EepromControl,
            0x0014 => Self::EepromRead,
            0x0020 => Self::MdiControl,
            0x0038 => Self::VlanEtherType,
            0x00c0 => Self::InterruptCause,
            0x00c4 => Self::InterruptThrottle,
            0x00c8 => Self::InterruptCauseSet,
            0x00d0 => Self::InterruptMaskSet,
            0x00d8 => Self::InterruptMaskClear,
            0x0100 => Self::ReceiveControl,
            0x0400 => Self::TransmitControl,
            0x2800 => Self::ReceiveRing(R::BaseLow),
            0x2804 => Self::ReceiveRing(R::BaseHigh),
            0x2808 => Self::ReceiveRing(R::Length),
            0x2810 => Self::ReceiveRing(R::Head),
            0x2818 => Self::ReceiveRing(R::Tail),
            0x2820 => Self::ReceiveDelay,
            0x282c => Self::ReceiveAbsoluteDelay,
            0x2c00 => Self::ReceiveSmallPacket,
            0x3800 => Self::TransmitRing(R::BaseLow),
            0x3804 => Self::TransmitRing(R::BaseHigh),
            0x3808 => Self::TransmitRing(R::Length),
            0x3810 => Self::TransmitRing(R::Head),
            0x3818 => Self::TransmitRing(R::Tail),
            0x3820 => Self::TransmitDelay,
            0x3828 => Self::TransmitDescriptorControl,
            0x382c => Self::TransmitAbsoluteDelay,
            0x4000..0x4100 => Self::Statistic(Statistic::numbered(index(0x4000, 4))),
            0x5000 => Self::ReceiveChecksum,
            0x5200..0x5400 => Self::MulticastTable(index(0x5200, 4)),
            0x5400..0x5480 if offset & 4 == 0 => Self::AddressLow(index(0x5400, 8)),
            0x5400..0x5480 => Self::AddressHigh(index(0x5400, 8)),
            0x5600..0x5800 => Self::VlanTable(index(0x5600, 4)),
            _ => match KEPT.iter().position(|kept| kept.at == offset) {
                Some(number) => Self::Kept(number),
                None => Self::Reserved,
            },
        }
    }
}

bitflags! {
    /// CTRL (§13.4.1).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Control: u32 {
        const FULL_DUPLEX = 1 << 0;
        const AUTO_SPEED = 1 << 5;
        const SET_LINK_UP = 1 << 6;
        /// 10, 100 or 1000 Mb/s, where speed is forced.
        const SPEED = 3 << 8;
        const FORCE_SPEED = 1 << 11;
        const FORCE_DUPLEX = 1 << 12;
        /// Reset everything but the PHY; clears itself.
        const RESET = 1 << 26;
        /// Take VLAN tags out of frames and put them in.
        const VLAN_MODE = 1 << 30;
        const PHY_RESET = 1 << 31;
    }

    /// RCTL (§13.4.22).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct ReceiveControl: u32 {
        const ENABLE = 1 << 1;
        const STORE_BAD = 1 << 2;
        const UNICAST_PROMISCUOUS = 1 << 3;
        const MULTICAST_PROMISCUOUS = 1 << 4;
        const LONG_PACKETS = 1 << 5;
        /// 1: what is sent comes back.
        const LOOPBACK = 3 << 6;
        /// When few buffers are left: at half, a quarter, an eighth of the ring.
        const FEW_BUFFERS = 3 << 8;
        /// Which bits of an address the multicast table is looked up by.
        const MULTICAST_OFFSET = 3 << 12;
        const BROADCAST = 1 << 15;
        const BUFFER_SIZE = 3 << 16;
        const VLAN_FILTER = 1 << 18;
        /// The tag's format bit must be what `FORMAT_IS` says.
        const FORMAT_FILTER = 1 << 19;
        const FORMAT_IS = 1 << 20;
        /// Buffers are 16 times as large.
        const LARGE_BUFFERS = 1 << 25;
        const STRIP_CHECK_SEQUENCE = 1 << 26;
        const WRITABLE = 0x06df_b3fe;
    }

    /// TCTL (§13.4.33).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct TransmitControl: u32 {
        const ENABLE = 1 << 1;
        const PAD_SHORT = 1 << 3;
        const WRITABLE = 0x07ff_fffa;
    }

    /// ICR, ICS, IMS and IMC: what an interrupt can be for (§13.4.17).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(super) struct Causes: u32 {
        /// Descriptors were written back.
        const SENT = 1 << 0;
        const TRANSMIT_QUEUE_EMPTY = 1 << 1;
        const LINK_CHANGED = 1 << 2;
        /// Few receive buffers are left.
        const FEW_BUFFERS = 1 << 4;
        /// A frame was lost for want of buffers.
        const OVERRUN = 1 << 6;
        const RECEIVED = 1 << 7;
        /// The PHY's register was read or written.
        const MDI_DONE = 1 << 9;
        /// Few descriptors are left to send.
        const FEW_TO_SEND = 1 << 15;
        const SMALL_PACKET = 1 << 16;
        const ALL = 0x0001_f6df;
    }
}
