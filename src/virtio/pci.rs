//! A PCI function that is one virtio device and nothing else.

use device::pci::{Bar, BarKind, Identity, PciCore, PciCoreState, PciFunction};
use device::{Device, Dma, Doorbells, IrqLine, Msi, RestoreError, Size, State};
use serde::{Deserialize, Serialize};

use crate::queues::Queues;
use crate::state::TransportState;
use crate::transport::{Kick, Place, REGISTERS, Transport};
use crate::virtio_device::VirtioDevice;

/// Vendor of all virtio devices.
pub const VENDOR: u16 = 0x1af4;
/// Subsystem id of the functions of this machine; Windows drivers ask for it.
pub const SUBSYSTEM: u16 = 0x1100;

const MSIX_BAR: u8 = 1;
const PLACE: Place = Place { bar: 4, offset: 0 };

/// Virtio device `D` as a PCI function: MSI-X in BAR 1, registers in BAR 4, INTA.
///
/// The board gives each doorbell's signal to [`Doorbells::ring`], and after resuming or restoring a machine rings every one
/// once.
pub struct VirtioPci<D> {
    core: PciCore,
    transport: Transport<D>,
}

/// The saved function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VirtioPciState<S> {
    pci: PciCoreState,
    transport: TransportState<S>,
}

/// How the PCI header of a virtio function reads.
pub fn identity(device: &crate::virtio_device::Identity) -> Identity {
    Identity {
        vendor: VENDOR,
        device: 0x1040 + device.device_type as u16,
        revision: 1,
        class: device.class,
        subsystem_vendor: VENDOR,
        subsystem: SUBSYSTEM,
    }
}

impl<D: VirtioDevice> VirtioPci<D> {
    /// The function, not connected to INTx and not able to ring itself yet.
    pub fn new(device: D, dma: Dma, msi: Msi) -> Self {
        let mut transport = Transport::new(device, dma.clone(), PLACE);
        let mut core = PciCore::new(identity(&transport.identity), dma, msi);
        let mut bar = Bar::registers(BarKind::Memory32, REGISTERS);
        bar.doorbells = transport.doorbells();
        core.add_bar(PLACE.bar, bar);
        core.add_msix(MSIX_BAR, transport.vectors());
        transport.install(&mut core);
        Self { core, transport }
    }

    /// Connects INTA.
    pub fn connect_intx(&mut self, line: IrqLine) {
        self.core.connect_intx(line);
    }

    /// See [`Transport::connect_kick`].
    pub fn connect_kick(&mut self, kick: Box<dyn Kick>) {
        self.transport.connect_kick(kick);
    }

    /// The device.
    pub fn device(&self) -> &D {
        self.transport.device()
    }

    /// Has a driver set the device up?
    pub fn is_running(&self) -> bool {
        self.transport.is_running()
    }

    /// See [`Transport::change`].
    pub fn change<R>(&mut self, react: impl FnOnce(&mut D, &mut Queues) -> R) -> R {
        self.transport.change(&mut self.core, react)
    }

    /// See [`Transport::change_more`].
    pub fn change_more<R>(&mut self, react: impl FnOnce(&mut D, &mut Queues) -> R) -> R {
        self.transport.change_more(react)
    }

    /// See [`Transport::settle`].
    pub fn settle(&mut self) {
        self.transport.settle(&mut self.core);
    }
}

impl<D: VirtioDevice> PciFunction for VirtioPci<D> {
    fn core(&self) -> &PciCore {
        &self.core
    }

    fn core_mut(&mut self) -> &mut PciCore {
        &mut self.core
    }

    fn bar_read(&mut self, bar: u8, offset: u64, size: Size) -> u64 {
        match bar {
            _ if bar == PLACE.bar => self.transport.read(&mut self.core, offset, size),
            _ => 0,
        }
    }

    fn bar_write(&mut self, bar: u8, offset: u64, size: Size, value: u64) {
        if bar == PLACE.bar {
            self.transport.write(&mut self.core, offset, size, value);
        }
    }

    fn config_read(&mut self, offset: u16, size: Size) -> u32 {
        self.transport.config_read(&mut self.core, offset, size)
    }

    fn config_write(&mut self, offset: u16, size: Size, value: u32) {
        self.transport.config_write(&mut self.core, offset, size, value);
    }
}

impl<D: VirtioDevice> Doorbells for VirtioPci<D> {
    fn ring(&mut self, index: u16) {
        self.transport.ring(&mut self.core, index);
    }
}

impl<D: VirtioDevice + State> Device for VirtioPci<D> {
    fn reset(&mut self) {
        self.transport.reset(&mut self.core);
        self.core.reset();
    }
}

impl<D: VirtioDevice + State> State for VirtioPci<D> {
    const KIND: &'static str = D::KIND;
    const VERSION: u32 = D::VERSION;
    type Saved = VirtioPciState<D::Saved>;

    fn save(&self) -> Self::Saved {
        let Self { core, transport } = self;
        VirtioPciState { pci: core.save(), transport: transport.save() }
    }

    fn restore(&mut self, saved: Self::Saved) -> Result<(), RestoreError> {
        let VirtioPciState { pci, transport } = saved;
        if !self.core.restore(pci) {
            return Err(Self::impossible("pci"));
        }
        self.transport.restore(self.core.msix_vectors(), transport)
    }
}

#[cfg(test)]
#[path = "pci_test.rs"]
mod tests;
