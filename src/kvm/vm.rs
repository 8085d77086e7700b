//! The virtual machine: creation, and the state of KVM's own chips.

use std::fs::File;
use std::os::fd::{FromRawFd, IntoRawFd};
use std::sync::Arc;

use device::{IrqLine, Msi};
use kvm_bindings::{
    KVM_IRQCHIP_IOAPIC, KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE, KVM_PIT_SPEAKER_DUMMY, kvm_clock_data,
    kvm_irqchip, kvm_pit_config, kvm_pit_state2,
};
use kvm_ioctls::{Cap, Kvm, VmFd};

use crate::interrupts::{Line, Messages, board_routing};
use crate::vcpu::Vcpu;
use crate::{Error, call, cpuid};

/// Three pages that Intel's real mode needs, below the firmware's 4 MiB and above the LAPICs.
const TSS: usize = 0xfeff_d000;
/// One more, just before them.
const IDENTITY_MAP: u64 = 0xfeff_c000;

/// What must be there.
const NEEDED: [(Cap, &str); 9] = [
    (Cap::Irqchip, "interrupt controllers in the kernel"),
    (Cap::Pit2, "the interval timer in the kernel"),
    (Cap::UserMemory, "memory slots"),
    (Cap::ReadonlyMem, "read-only memory slots"),
    (Cap::Irqfd, "irqfd"),
    (Cap::Ioeventfd, "ioeventfd"),
    (Cap::SignalMsi, "message signalled interrupts"),
    (Cap::ImmediateExit, "immediate exits"),
    (Cap::ExtCpuid, "processor identification"),
];

/// A virtual machine in KVM.
pub struct Vm {
    pub(crate) fd: Arc<VmFd>,
    kvm: Kvm,
    processors: u32,
}

/// State of the chips that KVM runs, all together.
#[derive(Clone)]
pub struct ChipState {
    irqchips: [kvm_irqchip; 3],
    pit: kvm_pit_state2,
}

impl Vm {
    /// Makes a machine with interrupt controllers, PIT and the board's routing. `kvm` is `/dev/kvm`, open for reading and
    /// writing; `processors` vCPUs are announced to guests.
    pub fn new(kvm: File, processors: u32) -> Result<Self, Error> {
        // SAFETY: the descriptor is owned and given away; that it is KVM's is what the next call asks it.
        let kvm = unsafe { Kvm::from_raw_fd(kvm.into_raw_fd()) };
        match kvm.get_api_version() {
            12 => {}
            other => return Err(Error::ApiVersion(other)),
        }
        if let Some((_, name)) = NEEDED.iter().find(|(cap, _)| !kvm.check_extension(*cap)) {
            return Err(Error::Missing(name));
        }
        let fd = kvm.create_vm().map_err(|error| match error.errno() {
            // What kvm-intel and kvm-amd give when virtualization is already on.
            libc::EBUSY => Error::Busy,
            _ => call("make a machine")(error),
        })?;
        fd.set_identity_map_address(IDENTITY_MAP).map_err(call("place the identity map"))?;
        fd.set_tss_address(TSS).map_err(call("place the task state"))?;
        fd.create_irq_chip().map_err(call("make interrupt controllers"))?;
        let pit = kvm_pit_config { flags: KVM_PIT_SPEAKER_DUMMY, ..Default::default() };
        fd.create_pit2(pit).map_err(call("make the interval timer"))?;
        fd.set_gsi_routing(&board_routing()?).map_err(call("route interrupts"))?;
        Ok(Self { fd: Arc::new(fd), kvm, processors })
    }

    /// A line into global interrupt `gsi`: 0–15 are the ISA lines (PIC and I/O APIC, 0 being I/O APIC pin 2), 16–23 I/O
    /// APIC pins.
    pub fn line(&self, gsi: u32) -> IrqLine {
        IrqLine::new(Box::new(Line { vm: Arc::clone(&self.fd), gsi }))
    }

    /// The way for messages to the LAPICs.
    pub fn msi(&self) -> Msi {
        Msi::new(Arc::new(Messages { vm: Arc::clone(&self.fd) }))
    }

    /// vCPU number `index`; 0 is the one that starts.
    pub fn vcpu(&self, index: u32) -> Result<Vcpu, Error> {
        let fd = self.fd.create_vcpu(index.into()).map_err(call("make a processor"))?;
        let cpuid = cpuid::for_vcpu(&self.kvm, index, self.processors)?;
        fd.set_cpuid2(&cpuid).map_err(call("describe a processor"))?;
        let msrs = self.kvm.get_msr_index_list().map_err(call("list registers"))?;
        Vcpu::new(fd, index, msrs.as_slice().to_vec())
    }

    /// How many bits a guest-physical address has.
    pub fn address_bits(&self) -> Result<u32, Error> {
        cpuid::address_bits(&self.kvm)
    }

    /// State of interrupt controllers and PIT.
    pub fn save_chips(&self) -> Result<ChipState, Error> {
        let chip = |id| {
            let mut chip = kvm_irqchip { chip_id: id, ..Default::default() };
            self.fd.get_irqchip(&mut chip).map_err(call("read interrupt controllers")).map(|()| chip)
        };
        Ok(ChipState {
            irqchips: [chip(KVM_IRQCHIP_PIC_MASTER)?, chip(KVM_IRQCHIP_PIC_SLAVE)?, chip(KVM_IRQCHIP_IOAPIC)?],
            pit: self.fd.get_pit2().map_err(call("read the interval timer"))?,
        })
    }

    /// Puts such a state in.
    pub fn restore_chips(&self, state: &ChipState) -> Result<(), Error> {
        for chip in &state.irqchips {
            self.fd.set_irqchip(chip).map_err(call("set interrupt controllers"))?;
        }
        self.fd.set_pit2(&state.pit).map_err(call("set the interval timer"))
    }

    /// Holds channel 0 of the PIT off its interrupt line (the HPET has taken it over), or gives it back.
    pub fn set_pit_muted(&self, muted: bool) -> Result<(), Error> {
        let mut pit = self.fd.get_pit2().map_err(call("read the interval timer"))?;
        let flag = kvm_bindings::KVM_PIT_FLAGS_HPET_LEGACY;
        pit.flags = if muted { pit.flags | flag } else { pit.flags & !flag };
        self.fd.set_pit2(&pit).map_err(call("set the interval timer"))
    }

    /// kvmclock's time in nanoseconds.
    pub fn clock(&self) -> Result<u64, Error> {
        Ok(self.fd.get_clock().map_err(call("read the clock"))?.clock)
    }

    /// Sets kvmclock, so that a paused machine does not see the time it missed.
    pub fn set_clock(&self, nanoseconds: u64) -> Result<(), Error> {
        let clock = kvm_clock_data { clock: nanoseconds, ..Default::default() };
        self.fd.set_clock(&clock).map_err(call("set the clock"))
    }
}
