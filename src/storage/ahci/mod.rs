//! A serial ATA host bus adapter: the AHCI function of an ICH9 (8086:2922) with six ports.
//!
//! Follows the Serial ATA AHCI 1.3.1 specification and Intel's I/O Controller Hub 9 data sheet, chapter 15. Registers are in
//! BAR 5, and by an index and a data register in BAR 4. Every command is fetched, checked and bounded once, when it starts;
//! disks answer through [`Completions`]. Not there: port multipliers, staggered spin-up, link power management, command
//! completion coalescing, enclosure management.

mod fis;
mod issue;
mod port;
mod prdt;
mod registers;

use std::io;

use device::pci::{Bar, BarKind, Identity, PciCore, PciCoreState, PciFunction};
use device::{Device, Dma, Msi, RestoreError, Size, State};
use disk::{Completions, DiskQueue};
use serde::{Deserialize, Serialize};

use crate::drive::Drive;
use crate::mmc::{Cdrom, Locked};
use port::{Port, PortState, SLOTS};
use registers::{Control, HostRegister, Register, VERSION};

/// Ports of the adapter.
pub const PORTS: usize = 6;

const MEMORY_BAR: u8 = 5;
const MEMORY_SIZE: u64 = 0x1000;
const PORT_BAR: u8 = 4;
const PORT_SIZE: u64 = 0x20;
/// Where in BAR 4 the index and data registers are.
const INDEX_AT: u64 = 0x10;
const DATA_AT: u64 = 0x14;

/// 64 bit addresses, queuing, notification register, 3 Gb/s, AHCI only, slots, ports.
const CAPABILITIES: u32 =
    1 << 31 | 1 << 30 | 1 << 29 | 2 << 20 | 1 << 18 | (SLOTS as u32 - 1) << 8 | (PORTS as u32 - 1);

/// A medium that cannot be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MediumError {
    /// The port has no CD/DVD drive.
    #[error("there is no CD/DVD drive at this port")]
    NoDrive,
    /// The guest has locked the tray; it was asked to let go.
    #[error(transparent)]
    Locked(#[from] Locked),
}

/// The adapter.
pub struct Ahci {
    core: PciCore,
    control: Control,
    interrupts: u32,
    /// The register that BAR 4's data register shows.
    index: u32,
    ports: [Port; PORTS],
    /// Is the interrupt asserted?
    asserted: bool,
}

/// The adapter's saved state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AhciState {
    core: PciCoreState,
    interrupt_enable: bool,
    interrupts: u32,
    index: u32,
    ports: Vec<SavedPort>,
}

/// A port in a saved state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SavedPort(PortState);

impl Ahci {
    /// An adapter without drives. The board connects INTA.
    pub fn new(dma: Dma, msi: Msi) -> Self {
        let mut core = PciCore::new(
            Identity {
                vendor: 0x8086,
                device: 0x2922,
                revision: 2,
                class: 0x01_06_01,
                subsystem_vendor: 0x1af4,
                subsystem: 0x1100,
            },
            dma,
            msi,
        );
        core.add_bar(PORT_BAR, Bar::registers(BarKind::Io, PORT_SIZE));
        core.add_bar(MEMORY_BAR, Bar::registers(BarKind::Memory32, MEMORY_SIZE));
        core.add_msi();
        core.build(|config| {
            // Serial ATA capability 1.0: index and data registers in BAR 4 (encoded 8), by dwords.
            config.add_capability(0x12, &[0x10, 0, (INDEX_AT as u8 / 4) << 4 | 8, 0, 0, 0]);
            // Address map: AHCI mode.
            config.set(0x90, &[0x40]);
        });
        Self {
            core,
            control: Control::AHCI_ENABLE,
            interrupts: 0,
            index: 0,
            ports: std::array::from_fn(|index| Port::new(index as u8)),
            asserted: false,
        }
    }

    /// Puts a drive at a port (0 to 5), before the machine runs. The board connects the drive's queue to this device.
    pub fn attach(&mut self, port: usize, drive: Drive) {
        if let Some(port) = self.ports.get_mut(port) {
            port.attach(drive);
        }
    }

    /// The CD/DVD drive at a port.
    pub fn cdrom(&self, port: usize) -> Option<&Cdrom> {
        match self.ports.get(port)?.drive.as_ref()? {
            Drive::Cdrom(drive) => Some(drive.cd()),
            Drive::Disk(_) => None,
        }
    }

    /// The CD/DVD drive at a port, to change; media are changed by [`Self::insert_medium`].
    pub fn cdrom_mut(&mut self, port: usize) -> Option<&mut Cdrom> {
        match self.ports.get_mut(port)?.drive.as_mut()? {
            Drive::Cdrom(drive) => Some(drive.cd_mut()),
            Drive::Disk(_) => None,
        }
    }

    /// Changes the medium of the CD/DVD drive at a port, or takes it out, and tells the guest; gives the old one, for the
    /// caller to close. The new one's queue must be connected to this device. A tray that the guest has locked stays closed
    /// unless `force`.
    pub fn insert_medium(
        &mut self,
        port: usize,
        medium: Option<DiskQueue>,
        force: bool,
    ) -> Result<Option<DiskQueue>, MediumError> {
        let result = self.cdrom_mut(port).ok_or(MediumError::NoDrive)?.insert(medium, force);
        self.ports[port].notify(self.core.dma());
        self.update();
        Ok(result?)
    }

    /// Starts what the guest issued and nobody fetched yet: after a machine was restored.
    pub fn go_on(&mut self) {
        for port in &mut self.ports {
            port.kick(self.core.dma());
        }
        self.update();
    }

    fn read_dword(&self, offset: u64) -> u32 {
        match Register::decode(offset, PORTS) {
            Register::Port(port, register) => self.ports[port].read(register),
            Register::Host(register) => match register {
                HostRegister::Capabilities => CAPABILITIES,
                HostRegister::Control => {
                    let mut control = self.control;
                    control.set(Control::RESET, control.contains(Control::RESET) && self.is_draining());
                    control.bits()
                }
                HostRegister::InterruptStatus => self.interrupts,
                HostRegister::PortsImplemented => (1 << PORTS) - 1,
                HostRegister::Version => VERSION,
                HostRegister::Capabilities2 | HostRegister::Reserved => 0,
            },
        }
    }

    fn write_dword(&mut self, offset: u64, value: u32) {
        let mut acknowledged = false;
        match Register::decode(offset, PORTS) {
            Register::Port(port, register) => self.ports[port].write(register, value, self.core.dma()),
            Register::Host(HostRegister::Control) => self.write_control(value),
            Register::Host(HostRegister::InterruptStatus) => {
                self.interrupts &= !value;
                acknowledged = true;
            }
            Register::Host(_) => {}
        }
        if acknowledged {
            self.acknowledged();
        } else {
            self.update();
        }
    }

    fn write_control(&mut self, value: u32) {
        let value = Control::from_bits_retain(value);
        if !value.contains(Control::RESET) {
            self.control = Control::AHCI_ENABLE | value & Control::INTERRUPT_ENABLE;
            return;
        }
        self.control = Control::AHCI_ENABLE | Control::RESET;
        self.interrupts = 0;
        for port in &mut self.ports {
            port.adapter_reset(self.core.dma());
        }
    }

    fn is_draining(&self) -> bool {
        self.ports.iter().any(Port::is_draining)
    }

    /// Brings the interrupt up to date with the ports. A message is sent for every event that the guest has not seen.
    fn update(&mut self) {
        let before = self.interrupts;
        let mut event = false;
        for (i, port) in self.ports.iter_mut().enumerate() {
            event |= !port.take_raised().is_empty();
            self.interrupts |= u32::from(port.is_asking()) << i;
        }
        self.assert(event || self.interrupts & !before != 0);
    }

    /// The guest has cleared bits of the interrupt status: what still asks, asks again.
    fn acknowledged(&mut self) {
        for (i, port) in self.ports.iter().enumerate() {
            self.interrupts |= u32::from(port.is_asking()) << i;
        }
        self.assert(true);
    }

    fn assert(&mut self, event: bool) {
        let wanted = self.interrupts != 0 && self.control.contains(Control::INTERRUPT_ENABLE);
        let was = std::mem::replace(&mut self.asserted, wanted);
        if wanted && was {
            if event {
                self.core.send_msi();
            }
        } else {
            self.core.set_interrupt(wanted);
        }
    }
}

impl PciFunction for Ahci {
    fn core(&self) -> &PciCore {
        &self.core
    }

    fn core_mut(&mut self) -> &mut PciCore {
        &mut self.core
    }

    fn bar_read(&mut self, bar: u8, offset: u64, size: Size) -> u64 {
        match (bar, offset) {
            (MEMORY_BAR, _) => size.of_dwords(offset, |at| self.read_dword(at)),
            (PORT_BAR, INDEX_AT) => self.index.into(),
            (PORT_BAR, DATA_AT) => self.read_dword(self.index.into()).into(),
            _ => 0,
        }
    }

    fn bar_write(&mut self, bar: u8, offset: u64, size: Size, value: u64) {
        match (bar, offset) {
            (MEMORY_BAR, _) if size == Size::Qword && offset.is_multiple_of(4) => {
                self.write_dword(offset, value as u32);
                self.write_dword(offset + 4, (value >> 32) as u32);
            }
            // What crosses a register does not reach any.
            (MEMORY_BAR, _) if offset % 4 + size.bytes() <= 4 => {
                let aligned = offset & !3;
                let shift = 8 * (offset % 4);
                let mask = (size.ones() << shift) as u32;
                let keeps = !Register::decode(aligned, PORTS).acts_on_ones();
                let kept = if keeps && mask != u32::MAX { self.read_dword(aligned) & !mask } else { 0 };
                self.write_dword(aligned, kept | (value << shift) as u32 & mask);
            }
            (PORT_BAR, INDEX_AT) => self.index = value as u32 & (MEMORY_SIZE as u32 - 4),
            (PORT_BAR, DATA_AT) => self.write_dword(self.index.into(), value as u32),
            _ => {}
        }
    }
}

impl Completions for Ahci {
    fn completed(&mut self, tag: u64, result: io::Result<()>) {
        let Some(port) = self.ports.get_mut(Port::of_tag(tag)) else { return };
        port.completed(tag, result, self.core.dma());
        self.update();
    }
}

impl Device for Ahci {
    fn reset(&mut self) {
        self.control = Control::AHCI_ENABLE;
        (self.interrupts, self.index) = (0, 0);
        self.asserted = false;
        self.core.reset();
        for port in &mut self.ports {
            port.power_on();
        }
    }
}

impl State for Ahci {
    const KIND: &'static str = "ahci";
    type Saved = AhciState;

    fn save(&self) -> AhciState {
        let Self { core, control, interrupts, index, ports, asserted: _ } = self;
        AhciState {
            core: core.save(),
            interrupt_enable: control.contains(Control::INTERRUPT_ENABLE),
            interrupts: *interrupts,
            index: *index,
            ports: ports.iter().map(|port| SavedPort(port.save())).collect(),
        }
    }

    fn restore(&mut self, saved: AhciState) -> Result<(), RestoreError> {
        let AhciState { core, interrupt_enable, interrupts, index, ports } = saved;
        if ports.len() != PORTS {
            return Err(Self::impossible("number of ports"));
        }
        if interrupts >> PORTS != 0 || index & !(MEMORY_SIZE as u32 - 4) != 0 {
            return Err(Self::impossible("register"));
        }
        if !self.core.restore(core) {
            return Err(Self::impossible("PCI state"));
        }
        for (own, SavedPort(saved)) in self.ports.iter_mut().zip(ports) {
            if !own.restore(saved)? {
                return Err(Self::impossible("port"));
            }
        }
        self.control = Control::AHCI_ENABLE;
        self.control.set(Control::INTERRUPT_ENABLE, interrupt_enable);
        (self.interrupts, self.index) = (interrupts, index);
        self.asserted = self.interrupts != 0 && interrupt_enable;
        self.core.set_interrupt(self.asserted);
        Ok(())
    }
}

#[cfg(test)]
#[path = "ahci_test.rs"]
mod tests;
