//! The registers of the memory BAR: where they are and what their bits mean (AHCI 1.3.1 §3).

use bitflags::bitflags;

/// Registers of the adapter (§3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HostRegister {
    Capabilities,
    Control,
    InterruptStatus,
    PortsImplemented,
    Version,
    Capabilities2,
    /// Reads as zero.
    Reserved,
}

/// Registers of a port (§3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PortRegister {
    CommandListBase,
    CommandListBaseUpper,
    FisBase,
    FisBaseUpper,
    InterruptStatus,
    InterruptEnable,
    Command,
    TaskFileData,
    Signature,
    SataStatus,
    SataControl,
    SataError,
    SataActive,
    CommandIssue,
    SataNotification,
    /// Reads as zero.
    Reserved,
}

/// Where an aligned 32 bit access goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Register {
    Host(HostRegister),
    Port(usize, PortRegister),
}

const PORTS_AT: u64 = 0x100;
const PORT_SIZE: u64 = 0x80;

impl Register {
    /// The register at a multiple of 4; ports that are not there read as reserved.
    pub(super) fn decode(offset: u64, ports: usize) -> Self {
        use HostRegister as H;
        use PortRegister as P;
        let reserved = Self::Host(H::Reserved);
        if let Some(beyond) = offset.checked_sub(PORTS_AT) {
            let port = (beyond / PORT_SIZE) as usize;
            if port >= ports {
                return reserved;
            }
            let register = match beyond % PORT_SIZE {
                0x00 => P::CommandListBase,
                0x04 => P::CommandListBaseUpper,
                0x08 => P::FisBase,
                0x0c => P::FisBaseUpper,
                0x10 => P::InterruptStatus,
                0x14 => P::InterruptEnable,
                0x18 => P::Command,
                0x20 => P::TaskFileData,
                0x24 => P::Signature,
                0x28 => P::SataStatus,
                0x2c => P::SataControl,
                0x30 => P::SataError,
                0x34 => P::SataActive,
                0x38 => P::CommandIssue,
                0x3c => P::SataNotification,
                _ => P::Reserved,
            };
            return Self::Port(port, register);
        }
        Self::Host(match offset {
            0x00 => H::Capabilities,
            0x04 => H::Control,
            0x08 => H::InterruptStatus,
            0x0c => H::PortsImplemented,
            0x10 => H::Version,
            0x24 => H::Capabilities2,
            _ => H::Reserved,
        })
    }

    /// Do ones do something (set or clear) while zeroes do nothing? Then the bytes that a narrow write leaves out are zeroes,
    /// else they are what stands there.
    pub(super) fn acts_on_ones(self) -> bool {
        use PortRegister as P;
        match self {
            Self::Host(register) => register == HostRegister::InterruptStatus,
            Self::Port(_, register) => matches!(
                register,
                P::InterruptStatus | P::SataError | P::SataActive | P::CommandIssue | P::SataNotification
            ),
        }
    }
}

/// AHCI 1.3.1.
pub(super) const VERSION: u32 = 0x0001_0301;

bitflags! {
    /// GHC, global host control (§3.1.2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Control: u32 {
        /// Reset everything; reads as one until that is done.
        const RESET = 1 << 0;
        /// Interrupts on.
        const INTERRUPT_ENABLE = 1 << 1;
        /// AHCI on; always.
        const AHCI_ENABLE = 1 << 31;
    }

    /// PxIS and PxIE, a port's interrupts (§3.3.5).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Interrupts: u32 {
        /// A register FIS came with its interrupt bit set.
        const REGISTER_FIS = 1 << 0;
        /// A PIO setup FIS.
        const PIO_SETUP_FIS = 1 << 1;
        /// A DMA setup FIS.
        const DMA_SETUP_FIS = 1 << 2;
        /// A set device bits FIS.
        const SET_DEVICE_BITS_FIS = 1 << 3;
        /// A physical region with its interrupt bit set was done.
        const REGION_DONE = 1 << 5;
        /// More data came than there was room for.
        const OVERFLOW = 1 << 24;
        /// The link failed in a way that stops the port.
        const INTERFACE_FATAL = 1 << 27;
        /// Guest memory is not where the guest said.
        const HOST_BUS_FATAL = 1 << 29;
        /// The task file says error.
        const TASK_FILE_ERROR = 1 << 30;
        /// What can be enabled.
        const ENABLEABLE = 0xfdc0_00ff;
    }

    /// PxCMD, a port's command and status (§3.3.7).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Command: u32 {
        /// Process the command list.
        const START = 1 << 0;
        /// Spun up; always.
        const SPIN_UP = 1 << 1;
        /// Powered; always.
        const POWER_ON = 1 << 2;
        /// Clear BSY and DRQ.
        const LIST_OVERRIDE = 1 << 3;
        /// Receive FISes into memory.
        const FIS_RECEIVE = 1 << 4;
        /// FISes are being received.
        const FIS_RUNNING = 1 << 14;
        /// The command list is running.
        const LIST_RUNNING = 1 << 15;
        /// The drive is ATAPI: drives the activity light.
        const ATAPI = 1 << 24;
        /// Drive the light for ATAPI too.
        const LIGHT = 1 << 25;
        /// What the guest may set.
        const WRITABLE = Self::START.bits() | Self::FIS_RECEIVE.bits() | Self::ATAPI.bits() | Self::LIGHT.bits();
    }
}
