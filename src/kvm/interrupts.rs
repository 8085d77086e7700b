//! Interrupts into KVM: lines by `KVM_IRQ_LINE`, messages by `KVM_SIGNAL_MSI`.
//!
//! A message is one system call from the thread that has the news, the same as writing an irqfd would be, and needs no route
//! per vector that has to follow the guest's MSI-X table.

use std::sync::Arc;

use device::{LineSink, MsiSink};
use kvm_bindings::{
    KVM_IRQ_ROUTING_IRQCHIP, KVM_IRQCHIP_IOAPIC, KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE, KvmIrqRouting,
    kvm_irq_routing_entry, kvm_msi,
};
use kvm_ioctls::VmFd;

use crate::Error;

/// Global system interrupts of the board: the I/O APIC's pins.
pub const GSI_COUNT: u32 = 24;

pub(crate) struct Line {
    pub(crate) vm: Arc<VmFd>,
    pub(crate) gsi: u32,
}

impl LineSink for Line {
    fn set_level(&self, high: bool) {
        if let Err(error) = self.vm.set_irq_line(self.gsi, high) {
            tracing::error!("interrupt line {}: {error}", self.gsi);
        }
    }
}

pub(crate) struct Messages {
    pub(crate) vm: Arc<VmFd>,
}

impl MsiSink for Messages {
    fn deliver(&self, address: u64, data: u32) {
        let msi =
            kvm_msi { address_lo: address as u32, address_hi: (address >> 32) as u32, data, ..Default::default() };
        // A guest may aim a message at a processor that is not there: then nobody hears it.
        if let Err(error) = self.vm.signal_msi(msi) {
            tracing::debug!("message {data:#x} to {address:#x}: {error}");
        }
    }
}

/// Routing of a PC with both PIC and I/O APIC: ISA lines reach both at the same pin, but the timer's line 0 comes to the I/O
/// APIC on pin 2, where the cascade of the PICs would be.
pub(crate) fn board_routing() -> Result<KvmIrqRouting, Error> {
    let entry = |gsi, irqchip, pin| {
        let mut entry = kvm_irq_routing_entry { gsi, type_: KVM_IRQ_ROUTING_IRQCHIP, ..Default::default() };
        entry.u.irqchip.irqchip = irqchip;
        entry.u.irqchip.pin = pin;
        entry
    };
    let mut entries = Vec::new();
    for gsi in 0..GSI_COUNT {
        match gsi {
            2 => continue,
            0..8 => entries.push(entry(gsi, KVM_IRQCHIP_PIC_MASTER, gsi)),
            8..16 => entries.push(entry(gsi, KVM_IRQCHIP_PIC_SLAVE, gsi - 8)),
            _ => {}
        }
        entries.push(entry(gsi, KVM_IRQCHIP_IOAPIC, if gsi == 0 { 2 } else { gsi }));
    }
    KvmIrqRouting::from_entries(&entries).map_err(|_| Error::Missing("room for interrupt routes"))
}
