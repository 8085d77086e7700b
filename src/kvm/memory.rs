//! Memory slots and doorbells: what the guest reaches without a device's code.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use device::Ram;
use device::pci::{AddressSpace, Devfn, SharedMemory};
use kvm_bindings::{KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY, kvm_userspace_memory_region};
use kvm_ioctls::{IoEventAddress, NoDatamatch, VmFd};
use vm_memory::{GuestAddress, GuestMemoryBackend};
use vmm_sys_util::eventfd::EventFd;

use crate::{Error, Vm, call};

/// Slots from here on belong to [`SharedMemory`], by its id; those below to RAM.
const SHARED_SLOTS: u32 = 64;
/// Views that one memory can have at the same time.
pub const SHARED_VIEWS: u32 = 8;

/// What the guest may do in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read and write.
    ReadWrite,
    /// Read; writes exit to the MMIO bus.
    ReadOnly,
}

/// What a slot keeps alive, by holding it.
enum Backing {
    Ram(#[expect(dead_code, reason = "held, not used")] Ram),
    Shared(#[expect(dead_code, reason = "held, not used")] Arc<SharedMemory>),
}

struct Slot {
    region: kvm_userspace_memory_region,
    _backing: Backing,
}

struct Bell {
    event: EventFd,
    at: Option<u64>,
}

/// The guest's physical address space, as far as KVM serves it.
pub struct GuestSpace {
    vm: Arc<VmFd>,
    slots: Mutex<BTreeMap<u32, Slot>>,
    bells: Mutex<BTreeMap<(Devfn, u16), Bell>>,
}

impl GuestSpace {
    /// The space of `vm`, empty.
    pub fn new(vm: &Vm) -> Self {
        Self { vm: Arc::clone(&vm.fd), slots: Mutex::default(), bells: Mutex::default() }
    }

    /// Shows `size` bytes of RAM at its own address `at`, as slot `slot` (below 64), in place of what the slot showed.
    pub fn map_ram(&self, slot: u32, ram: &Ram, at: u64, size: u64, access: Access) -> Result<(), Error> {
        let host = ram
            .get_slice(GuestAddress(at), size as usize)
            .map_err(|error| Error::Call { what: "find RAM", source: std::io::Error::other(error) })?
            .ptr_guard_mut()
            .as_ptr() as u64;
        let flags = if access == Access::ReadOnly { KVM_MEM_READONLY } else { 0 };
        self.set(slot, at, size, host, flags, Backing::Ram(ram.clone()))
    }

    /// Shows `size` bytes from `offset` of `memory` at `at`, as a slot of its own. `alias` (below [`SHARED_VIEWS`])
    /// tells several views of one memory apart.
    pub fn map_shared(
        &self,
        alias: u32,
        memory: &Arc<SharedMemory>,
        offset: u64,
        at: u64,
        size: u64,
    ) -> Result<(), Error> {
        let inside = offset.checked_add(size).is_some_and(|end| end <= memory.size());
        if !inside {
            return Err(Error::Call { what: "map memory", source: std::io::ErrorKind::InvalidInput.into() });
        }
        let host = memory.region().as_ptr() as u64 + offset;
        // Writable shared memory is video memory: its dirty pages are what a screen redraws.
        let flags = if memory.is_writable() { KVM_MEM_LOG_DIRTY_PAGES } else { KVM_MEM_READONLY };
        self.set(shared_slot(memory, alias), at, size, host, flags, Backing::Shared(Arc::clone(memory)))
    }

    /// Takes RAM slot `slot` away.
    pub fn unmap(&self, slot: u32) {
        let mut slots = lock(&self.slots);
        if let Some(old) = slots.remove(&slot) {
            let gone = kvm_userspace_memory_region { memory_size: 0, ..old.region };
            // SAFETY: size 0 removes the slot; no memory is named.
            if let Err(error) = unsafe { self.vm.set_user_memory_region(gone) } {
                tracing::error!("memory slot {slot} stays: {error}");
            }
        }
    }

    /// Takes a view of `memory` away.
    pub fn unmap_shared(&self, alias: u32, memory: &SharedMemory) {
        self.unmap(shared_slot(memory, alias));
    }

    fn set(&self, slot: u32, at: u64, size: u64, host: u64, flags: u32, backing: Backing) -> Result<(), Error> {
        self.unmap(slot);
        let region =
            kvm_userspace_memory_region { slot, flags, guest_phys_addr: at, memory_size: size, userspace_addr: host };
        let mut slots = lock(&self.slots);
        // SAFETY: the host range is inside a mapping that `backing` holds, and the slot is removed before that is dropped.
        unsafe { self.vm.set_user_memory_region(region) }.map_err(call("map memory"))?;
        slots.insert(slot, Slot { region, _backing: backing });
        Ok(())
    }

    /// Declares a doorbell and gives the event that it signals.
    pub fn add_doorbell(&self, function: Devfn, index: u16) -> std::io::Result<EventFd> {
        let event = EventFd::new(vmm_sys_util::eventfd::EFD_NONBLOCK)?;
        let ours = event.try_clone()?;
        lock(&self.bells).insert((function, index), Bell { event, at: None });
        Ok(ours)
    }
}

fn shared_slot(memory: &SharedMemory, alias: u32) -> u32 {
    SHARED_SLOTS + memory.id() * SHARED_VIEWS + alias
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AddressSpace for GuestSpace {
    fn place_memory(&self, memory: &Arc<SharedMemory>, at: Option<u64>) -> bool {
        let Some(at) = at else {
            self.unmap_shared(0, memory);
            return true;
        };
        // KVM refuses what would lie over RAM or another BAR.
        let placed = self.map_shared(0, memory, 0, at, memory.size());
        if let Err(error) = &placed {
            tracing::debug!("memory {} at {at:#x}: {error}", memory.id());
        }
        placed.is_ok()
    }

    fn place_doorbell(&self, function: Devfn, index: u16, at: Option<u64>) {
        let mut bells = lock(&self.bells);
        let Some(bell) = bells.get_mut(&(function, index)) else { return };
        if let Some(old) = bell.at.take()
            && let Err(error) = self.vm.unregister_ioevent(&bell.event, &IoEventAddress::Mmio(old), NoDatamatch)
        {
            tracing::error!("doorbell {index} of {function} stays at {old:#x}: {error}");
        }
        if let Some(at) = at {
            match self.vm.register_ioevent(&bell.event, &IoEventAddress::Mmio(at), NoDatamatch) {
                Ok(()) => bell.at = Some(at),
                // Then the write exits and the device hears of it on the vCPU's thread.
                Err(error) => tracing::debug!("doorbell {index} of {function} at {at:#x}: {error}"),
            }
        }
    }

    fn take_dirty(&self, memory: &SharedMemory) -> Vec<u64> {
        let slot = shared_slot(memory, 0);
        let placed = lock(&self.slots).contains_key(&slot);
        match placed.then(|| self.vm.get_dirty_log(slot, memory.size() as usize)) {
            Some(Ok(bitmap)) => bitmap,
            _ => vec![u64::MAX; memory.size().div_ceil(4096 * 64) as usize],
        }
    }
}

impl Drop for GuestSpace {
    fn drop(&mut self) {
        let slots: Vec<u32> = lock(&self.slots).keys().copied().collect();
        for slot in slots {
            self.unmap(slot);
        }
    }
}
