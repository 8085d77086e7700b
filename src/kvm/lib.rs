//! The only user of kvm-ioctls: the virtual machine, its vCPUs, memory slots and interrupt controllers.
//!
//! Follows Linux's `Documentation/virt/kvm/api.rst`. KVM runs the LAPICs, I/O APIC, PICs, PIT and kvmclock; everything else
//! on the board is ours. The rest of the engine meets KVM as the handles of crate `device`: [`Vm::line`] makes an
//! [`device::IrqLine`], [`Vm::msi`] an [`device::Msi`], [`GuestSpace`] is the [`device::pci::AddressSpace`].
//!
//! `unsafe` is allowed in this crate, for two reasons only: memory slots name host memory by address (kept alive here as long as
//! the slot stands), and a vCPU's run page is a union that KVM fills.
#![allow(unsafe_code)]

mod cpuid;
mod interrupts;
mod memory;
mod vcpu;
mod vm;

pub use interrupts::GSI_COUNT;
pub use memory::{Access, GuestSpace, SHARED_VIEWS};
pub use vcpu::{CpuState, Exit, GuestAccess, Vcpu, install_kick_handler, kick_signal};
pub use vm::{ChipState, Vm};

/// What KVM did not do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `/dev/kvm` answers something else than version 12.
    #[error("this is not a KVM that Dormer knows (API version {0}, 12 is wanted)")]
    ApiVersion(i32),
    /// The kernel lacks a part.
    #[error("the kernel's KVM lacks {0}: Linux 5.4 or newer is needed")]
    Missing(&'static str),
    /// No machine could be made: the processor's virtualization is held by somebody else.
    #[error("another hypervisor (VirtualBox, VMware) is using the processor's virtualization: stop its machines first")]
    Busy,
    /// Any other failed call.
    #[error("KVM failed to {what}")]
    Call {
        /// What was asked of it.
        what: &'static str,
        /// The kernel's answer.
        source: std::io::Error,
    },
}

/// Names a failed ioctl.
fn call(what: &'static str) -> impl FnOnce(vmm_sys_util::errno::Error) -> Error {
    move |error| Error::Call { what, source: error.into() }
}
