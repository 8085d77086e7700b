//! What a guest's processor says of itself: the host's, with the guest's topology.
//!
//! Follows Intel's SDM volume 2, CPUID, and AMD's APM volume 3, appendix E. One package; every vCPU a core with one thread.

use kvm_bindings::{CpuId, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, KVM_MAX_CPUID_ENTRIES, kvm_cpuid_entry2};
use kvm_ioctls::{Cap, Kvm};

use crate::{Error, call};

const HTT: u32 = 1 << 28;
const TSC_DEADLINE: u32 = 1 << 24;
const X2APIC: u32 = 1 << 21;
const HYPERVISOR: u32 = 1 << 31;

/// How many bits a guest-physical address has.
pub(crate) fn address_bits(kvm: &Kvm) -> Result<u32, Error> {
    let host = kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES).map_err(call("describe the processor"))?;
    let leaf = host.as_slice().iter().find(|entry| entry.function == 0x8000_0008);
    Ok(leaf.map_or(36, |entry| entry.eax & 0xff).clamp(36, 52))
}

/// The leaves of vCPU `index` of `count`.
pub(crate) fn for_vcpu(kvm: &Kvm, index: u32, count: u32) -> Result<CpuId, Error> {
    let host = kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES).map_err(call("describe the processor"))?;
    let deadline = kvm.check_extension(Cap::TscDeadlineTimer);
    let mut entries: Vec<_> = host.as_slice().iter().copied().filter(|entry| !is_topology(entry.function)).collect();
    for entry in &mut entries {
        adapt(entry, index, count, deadline);
    }
    let highest = entries.iter().find(|entry| entry.function == 0).map_or(0, |entry| entry.eax);
    if highest >= 0xb {
        entries.extend(topology(0xb, index, count));
    }
    CpuId::from_entries(&entries).map_err(|_| Error::Missing("room for the processor's description"))
}

/// Leaves that are made anew: extended topology of either vendor.
fn is_topology(function: u32) -> bool {
    matches!(function, 0xb | 0x1f | 0x8000_0026)
}

fn adapt(entry: &mut kvm_cpuid_entry2, index: u32, count: u32, deadline: bool) {
    let cores = count.min(0xff);
    match entry.function {
        1 => {
            entry.ebx = entry.ebx & 0xffff | cores << 16 | (index & 0xff) << 24;
            entry.ecx |= X2APIC | HYPERVISOR | if deadline { TSC_DEADLINE } else { 0 };
            entry.edx = if count > 1 { entry.edx | HTT } else { entry.edx & !HTT };
        }
        // Deterministic caches (Intel 4, AMD 8000001D): each core has its own, the last level is shared by all.
        4 | 0x8000_001d if entry.eax & 0x1f != 0 => {
            let level = entry.eax >> 5 & 7;
            let sharing = if level >= 3 { count.next_power_of_two() - 1 } else { 0 };
            let cores = if entry.function == 4 { (count.next_power_of_two() - 1).min(0x3f) << 26 } else { 0 };
            entry.eax = entry.eax & 0x3fff | (sharing & 0xfff) << 14 | cores;
        }
        0x8000_0008 => {
            let width = count.next_power_of_two().trailing_zeros();
            entry.ecx = entry.ecx & !0xf0ff | (count - 1).min(0xff) | (width & 0xf) << 12;
        }
        // Legacy multi-core flag, next to HTT.
        0x8000_0001 => entry.ecx = if count > 1 { entry.ecx | 2 } else { entry.ecx & !2 },
        0x8000_001e => {
            entry.eax = index;
            entry.ebx = entry.ebx & !0xffff | index & 0xff;
            entry.ecx = 0;
        }
        _ => {}
    }
}

/// Extended topology: one thread a core, `count` cores in the package.
fn topology(function: u32, index: u32, count: u32) -> [kvm_cpuid_entry2; 3] {
    let width = count.next_power_of_two().trailing_zeros();
    let level = |number: u32, kind: u32, shift: u32, logical: u32| kvm_cpuid_entry2 {
        function,
        index: number,
        flags: KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
        eax: shift,
        ebx: logical,
        ecx: kind << 8 | number,
        edx: index,
        ..Default::default()
    };
    [level(0, 1, 0, 1), level(1, 2, width, count), level(2, 0, 0, 0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topology_of_four() {
        let [thread, core, end] = topology(0xb, 3, 4);
        assert_eq!((thread.eax, thread.ebx, thread.ecx, thread.edx), (0, 1, 0x100, 3));
        assert_eq!((core.eax, core.ebx, core.ecx), (2, 4, 0x201));
        assert_eq!(end.ecx, 2);
    }

    #[test]
    fn a_single_processor_has_no_siblings() {
        let mut leaf = kvm_cpuid_entry2 { function: 1, edx: HTT, ..Default::default() };
        adapt(&mut leaf, 0, 1, true);
        assert_eq!(leaf.edx & HTT, 0);
        assert_eq!(leaf.ebx >> 16, 1);
        assert_ne!(leaf.ecx & TSC_DEADLINE, 0);
    }
}
