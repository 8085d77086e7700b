//! A vCPU: running it, and its whole state.

use std::os::raw::c_int;

use device::Size;
use kvm_bindings::{
    Msrs, kvm_debugregs, kvm_lapic_state, kvm_mp_state, kvm_msr_entry, kvm_regs, kvm_sregs, kvm_vcpu_events, kvm_xcrs,
    kvm_xsave,
};
use kvm_ioctls::{VcpuExit, VcpuFd};
use vmm_sys_util::signal::{SIGRTMIN, register_signal_handler};

use crate::{Error, call};

/// Where a guest's accesses go that KVM does not serve: the board's buses.
pub trait GuestAccess {
    /// `in`.
    fn port_read(&self, port: u16, size: Size) -> u32;
    /// `out`.
    fn port_write(&self, port: u16, size: Size, value: u32);
    /// A load.
    fn memory_read(&self, address: u64, size: Size) -> u64;
    /// A store.
    fn memory_write(&self, address: u64, size: Size, value: u64);
}

/// Why a vCPU came back.
#[derive(Debug, PartialEq, Eq)]
pub enum Exit {
    /// An access was served; run it again.
    Served,
    /// Somebody kicked it.
    Kicked,
    /// Triple fault: a PC resets.
    Shutdown,
    /// KVM cannot go on; the words say why.
    Failed(String),
}

/// One virtual processor. Belongs to the thread that runs it.
pub struct Vcpu {
    fd: VcpuFd,
    index: u32,
    msrs: Vec<u32>,
    power_on: CpuState,
}

/// A processor's whole state.
#[derive(Clone)]
pub struct CpuState {
    regs: kvm_regs,
    sregs: kvm_sregs,
    /// The 4 KiB area of KVM_GET_XSAVE.
    xsave: [u32; 1024],
    xcrs: kvm_xcrs,
    msrs: Vec<kvm_msr_entry>,
    lapic: kvm_lapic_state,
    mp_state: kvm_mp_state,
    events: kvm_vcpu_events,
    debug: kvm_debugregs,
}

/// Time stamp counters go on through a reset, as they do on a PC whose firmware does not care, and stay in step with each other.
const MSR_TSC: u32 = 0x10;
const MSR_TSC_ADJUST: u32 = 0x3b;

impl Vcpu {
    pub(crate) fn new(fd: VcpuFd, index: u32, msrs: Vec<u32>) -> Result<Self, Error> {
        let power_on = read_state(&fd, &msrs)?;
        Ok(Self { fd, index, msrs, power_on })
    }

    /// Its number, and its APIC id.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Back to power-on: vCPU 0 starts at the reset vector, the others wait for it.
    pub fn reset(&mut self) -> Result<(), Error> {
        let power_on = self.power_on.clone();
        self.restore(&power_on)
    }

    /// Its state; with no KVM_RUN in flight.
    pub fn save(&self) -> Result<CpuState, Error> {
        read_state(&self.fd, &self.msrs)
    }

    /// Puts a state in.
    pub fn restore(&mut self, state: &CpuState) -> Result<(), Error> {
        let CpuState { regs, sregs, xsave, xcrs, msrs, lapic, mp_state, events, debug } = state;
        let fd = &self.fd;
        fd.set_mp_state(*mp_state).map_err(call("set a processor's activity"))?;
        fd.set_regs(regs).map_err(call("set registers"))?;
        fd.set_sregs(sregs).map_err(call("set system registers"))?;
        // SAFETY: AMX, whose state would be larger than this struct, is never enabled for this process.
        unsafe { fd.set_xsave(&kvm_xsave { region: *xsave, ..Default::default() }) }
            .map_err(call("set vector registers"))?;
        // Processors without XSAVE have no such register.
        let _ = fd.set_xcrs(xcrs);
        for entry in msrs.iter().filter(|entry| !matches!(entry.index, MSR_TSC | MSR_TSC_ADJUST)) {
            if let Ok(one) = Msrs::from_entries(&[*entry])
                && fd.set_msrs(&one).is_err()
            {
                tracing::debug!("MSR {:#x} cannot be set", entry.index);
            }
        }
        fd.set_lapic(lapic).map_err(call("set the local APIC"))?;
        fd.set_vcpu_events(events).map_err(call("set pending events"))?;
        fd.set_debug_regs(debug).map_err(call("set debug registers"))
    }

    /// Tells a guest that uses kvmclock that it was stopped, so that its watchdogs stay calm. Does nothing for others.
    pub fn excuse_pause(&self) {
        let _ = self.fd.kvmclock_ctrl();
    }

    /// Leaves [`Self::run`] at once when it is entered next, so that KVM finishes an access that it handed out; the state is
    /// whole only then.
    pub fn finish_access(&mut self) {
        self.fd.set_kvm_immediate_exit(1);
        let _ = self.fd.run();
        self.fd.set_kvm_immediate_exit(0);
    }

    /// Runs the guest until something is to be done.
    pub fn run(&mut self, guest: &impl GuestAccess) -> Exit {
        match self.fd.run() {
            Ok(VcpuExit::MmioRead(address, data)) => {
                memory_read(guest, address, data);
                Exit::Served
            }
            Ok(VcpuExit::MmioWrite(address, data)) => {
                memory_write(guest, address, data);
                Exit::Served
            }
            Ok(VcpuExit::IoIn(..) | VcpuExit::IoOut(..)) => {
                self.port_access(guest);
                Exit::Served
            }
            Ok(VcpuExit::Intr | VcpuExit::IrqWindowOpen) => Exit::Kicked,
            // With the LAPIC in the kernel HLT does not come here, except from a processor that nothing can wake.
            Ok(VcpuExit::Hlt) => Exit::Kicked,
            Ok(VcpuExit::Shutdown) => Exit::Shutdown,
            Ok(VcpuExit::InternalError) => Exit::Failed(self.internal_error()),
            Ok(VcpuExit::FailEntry(reason, _)) => {
                Exit::Failed(format!("the processor refused to enter the guest ({reason:#x})"))
            }
            Ok(other) => Exit::Failed(format!("KVM came back with {other:?}")),
            Err(error) if matches!(error.errno(), libc::EINTR | libc::EAGAIN) => Exit::Kicked,
            Err(error) => Exit::Failed(format!("KVM_RUN: {error}")),
        }
    }

    /// Serves `in` and `out`, with their repeats.
    fn port_access(&mut self, guest: &impl GuestAccess) {
        let run = self.fd.get_kvm_run();
        // SAFETY: the exit was KVM_EXIT_IO, so KVM filled this member of the union.
        let io = unsafe { run.__bindgen_anon_1.io };
        let Some(size) = Size::from_bytes(io.size.into()).filter(|size| *size != Size::Qword) else { return };
        let bytes = usize::from(io.size) * io.count as usize;
        let is_in = u32::from(io.direction) == kvm_bindings::KVM_EXIT_IO_IN;
        // SAFETY: KVM puts the data at this offset of the run mapping, `size * count` bytes that stay inside its page.
        let data = unsafe {
            let start = std::ptr::from_mut(run).cast::<u8>().add(io.data_offset as usize);
            std::slice::from_raw_parts_mut(start, bytes)
        };
        for item in data.chunks_exact_mut(io.size.into()) {
            let mut value = [0; 4];
            if is_in {
                value = guest.port_read(io.port, size).to_le_bytes();
                item.copy_from_slice(&value[..item.len()]);
            } else {
                value[..item.len()].copy_from_slice(item);
                guest.port_write(io.port, size, u32::from_le_bytes(value));
            }
        }
    }

    fn internal_error(&mut self) -> String {
        let place = self.fd.get_regs().map(|regs| regs.rip).unwrap_or_default();
        let run = self.fd.get_kvm_run();
        // SAFETY: the exit was KVM_EXIT_INTERNAL_ERROR, so KVM filled this member of the union.
        let suberror = unsafe { run.__bindgen_anon_1.internal.suberror };
        format!("KVM cannot emulate an instruction at {place:#x} (suberror {suberror})")
    }
}

fn read_state(fd: &VcpuFd, msrs: &[u32]) -> Result<CpuState, Error> {
    let mut values = Vec::new();
    for &index in msrs {
        let Ok(mut one) = Msrs::from_entries(&[kvm_msr_entry { index, ..Default::default() }]) else { continue };
        // KVM lists registers that this processor lacks; those read as nothing.
        if matches!(fd.get_msrs(&mut one), Ok(1)) {
            values.extend_from_slice(one.as_slice());
        }
    }
    Ok(CpuState {
        regs: fd.get_regs().map_err(call("read registers"))?,
        sregs: fd.get_sregs().map_err(call("read system registers"))?,
        xsave: fd.get_xsave().map_err(call("read vector registers"))?.region,
        xcrs: fd.get_xcrs().unwrap_or_default(),
        msrs: values,
        lapic: fd.get_lapic().map_err(call("read the local APIC"))?,
        mp_state: fd.get_mp_state().map_err(call("read a processor's activity"))?,
        events: fd.get_vcpu_events().map_err(call("read pending events"))?,
        debug: fd.get_debug_regs().map_err(call("read debug registers"))?,
    })
}

/// KVM hands out up to 8 bytes, of any length when an access straddles pages: odd lengths go byte by byte.
fn memory_read(guest: &impl GuestAccess, address: u64, data: &mut [u8]) {
    match Size::from_bytes(data.len()) {
        Some(size) => {
            let value = guest.memory_read(address, size).to_le_bytes();
            data.copy_from_slice(&value[..data.len()]);
        }
        None => {
            for (at, byte) in (address..).zip(data) {
                *byte = guest.memory_read(at, Size::Byte) as u8;
            }
        }
    }
}

fn memory_write(guest: &impl GuestAccess, address: u64, data: &[u8]) {
    match Size::from_bytes(data.len()) {
        Some(size) => {
            let mut value = [0; 8];
            value[..data.len()].copy_from_slice(data);
            guest.memory_write(address, size, u64::from_le_bytes(value));
        }
        None => {
            for (at, &byte) in (address..).zip(data) {
                guest.memory_write(at, Size::Byte, byte.into());
            }
        }
    }
}

/// The signal that brings a vCPU's thread out of KVM_RUN.
pub fn kick_signal() -> c_int {
    SIGRTMIN()
}

/// Gives the kick a handler that does nothing; once per process, before any vCPU runs. A kick that comes just before KVM_RUN is
/// entered is lost, so whoever kicks repeats it until the thread answers.
pub fn install_kick_handler() -> Result<(), Error> {
    extern "C" fn ignore(_: c_int, _: *mut libc::siginfo_t, _: *mut std::ffi::c_void) {}
    register_signal_handler(kick_signal(), ignore).map_err(call("be interruptible"))
}
