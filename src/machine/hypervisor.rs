//! What the board asks of the hypervisor: interrupt inputs, and what the guest reaches without a device's code. KVM in machines,
//! a recorder in the tests of the board.

use std::sync::Arc;

use device::pci::{AddressSpace, Devfn, SharedMemory};
use device::{IrqLine, Msi, Ram};
use kvm::{Access, Error, GuestSpace, Vm};
use vmm_sys_util::eventfd::EventFd;

/// The hypervisor, as the board sees it. Slots and views are [`GuestSpace`]'s.
pub(crate) trait Hypervisor: AddressSpace {
    /// A line into global interrupt `gsi`.
    fn line(&self, gsi: u32) -> IrqLine;
    /// The way for messages.
    fn msi(&self) -> Msi;
    /// Holds channel 0 of the PIT off its interrupt line, or gives it back.
    fn set_pit_muted(&self, muted: bool) -> Result<(), Error>;
    /// See [`GuestSpace::map_ram`].
    fn map_ram(&self, slot: u32, ram: &Ram, at: u64, size: u64, access: Access) -> Result<(), Error>;
    /// See [`GuestSpace::unmap`].
    fn unmap(&self, slot: u32);
    /// See [`GuestSpace::map_shared`].
    fn map_shared(&self, view: u32, memory: &Arc<SharedMemory>, offset: u64, at: u64, size: u64) -> Result<(), Error>;
    /// See [`GuestSpace::unmap_shared`].
    fn unmap_shared(&self, view: u32, memory: &SharedMemory);
    /// See [`GuestSpace::add_doorbell`].
    fn add_doorbell(&self, function: Devfn, index: u16) -> std::io::Result<EventFd>;
}

/// KVM.
pub(crate) struct InKvm {
    pub(crate) vm: Arc<Vm>,
    pub(crate) space: GuestSpace,
}

impl Hypervisor for InKvm {
    fn line(&self, gsi: u32) -> IrqLine {
        self.vm.line(gsi)
    }

    fn msi(&self) -> Msi {
        self.vm.msi()
    }

    fn set_pit_muted(&self, muted: bool) -> Result<(), Error> {
        self.vm.set_pit_muted(muted)
    }

    fn map_ram(&self, slot: u32, ram: &Ram, at: u64, size: u64, access: Access) -> Result<(), Error> {
        self.space.map_ram(slot, ram, at, size, access)
    }

    fn unmap(&self, slot: u32) {
        self.space.unmap(slot);
    }

    fn map_shared(&self, view: u32, memory: &Arc<SharedMemory>, offset: u64, at: u64, size: u64) -> Result<(), Error> {
        self.space.map_shared(view, memory, offset, at, size)
    }

    fn unmap_shared(&self, view: u32, memory: &SharedMemory) {
        self.space.unmap_shared(view, memory);
    }

    fn add_doorbell(&self, function: Devfn, index: u16) -> std::io::Result<EventFd> {
        self.space.add_doorbell(function, index)
    }
}

impl AddressSpace for InKvm {
    fn place_memory(&self, memory: &Arc<SharedMemory>, at: Option<u64>) -> bool {
        self.space.place_memory(memory, at)
    }

    fn place_doorbell(&self, function: Devfn, index: u16, at: Option<u64>) {
        self.space.place_doorbell(function, index, at);
    }

    fn take_dirty(&self, memory: &SharedMemory) -> Vec<u64> {
        self.space.take_dirty(memory)
    }
}
