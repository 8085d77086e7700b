//! The fixed tables: FADT, FACS, MADT, HPET, MCFG and WAET.

use acpi_tables::Aml;
use acpi_tables::facs::FACS;
use acpi_tables::mcfg::MCFG;

use super::{OEM, OEM_TABLE, table};
use crate::firmware::loader::Pointer;

/// First port of the PM block, where SeaBIOS and OVMF place it.
pub(super) const PM_BLOCK: u16 = 0x600;
const PM1_EVENT: u16 = PM_BLOCK;
const PM1_CONTROL: u16 = PM_BLOCK + 0x04;
const PM_TIMER: u16 = PM_BLOCK + 0x08;
const GPE0: u16 = PM_BLOCK + 0x20;

/// The interrupt line of ACPI events.
const SCI: u16 = 9;
const RESET_PORT: u16 = 0xcf9;
const RESET_VALUE: u8 = 0x0f;
/// CMOS index of the century.
const CENTURY: u8 = 0x32;

pub(super) const HPET: u32 = 0xfed0_0000;
const LOCAL_APIC: u32 = 0xfee0_0000;
const IO_APIC: u32 = 0xfec0_0000;
/// xAPIC ids end here.
pub(super) const XAPIC_IDS: u32 = 255;

/// Where the FADT points to FACS and DSDT.
pub(super) const FADT_POINTERS: [(usize, Pointer); 3] =
    [(36, Pointer::Dword), (40, Pointer::Dword), (140, Pointer::Qword)];

/// Generic address structure of `bits` of ports.
fn ports(at: u16, bits: u8) -> [u8; 12] {
    let [low, high] = at.to_le_bytes();
    [u8::from(bits != 0), bits, 0, 0, low, high, 0, 0, 0, 0, 0, 0]
}

pub(super) fn facs() -> Vec<u8> {
    let mut bytes = Vec::new();
    FACS::new().to_aml_bytes(&mut bytes);
    bytes
}

/// Fixed ACPI description table (§5.2.9), as of ACPI 2.0: what Windows XP reads. Always in ACPI mode, so without an SMI command;
/// the power button is fixed hardware, there is no sleep button.
pub(super) fn fadt(facs: usize, dsdt: usize) -> Vec<u8> {
    // WBINVD works, C1 works, no sleep button, there is a reset register, the platform's timers are to be preferred to TSC.
    const FLAGS: u32 = 1 << 0 | 1 << 2 | 1 << 5 | 1 << 10 | 1 << 15;
    // ISA devices, a keyboard controller.
    const BOOT_FLAGS: u16 = 1 << 0 | 1 << 1;
    /// C2 and C3 take too long to exist.
    const NO_C_STATE: u16 = 0xfff;
    const DESKTOP: u8 = 1;

    let mut body = Vec::new();
    body.extend((facs as u32).to_le_bytes());
    body.extend((dsdt as u32).to_le_bytes());
    body.extend([1, DESKTOP]);
    body.extend(SCI.to_le_bytes());
    // SMI command port and its values.
    body.extend([0; 8]);
    for block in [PM1_EVENT, 0, PM1_CONTROL, 0, 0, PM_TIMER, GPE0, 0] {
        body.extend(u32::from(block).to_le_bytes());
    }
    // Bytes of PM1 event, PM1 control, PM2, timer, GPE0, GPE1; GPE1's first event, _CST.
    body.extend([4, 2, 0, 4, 16, 0, 0, 0]);
    body.extend(NO_C_STATE.to_le_bytes());
    body.extend(NO_C_STATE.to_le_bytes());
    // Cache flushing, duty cycle, RTC alarm's day and month.
    body.extend([0; 8]);
    body.push(CENTURY);
    body.extend(BOOT_FLAGS.to_le_bytes());
    body.push(0);
    body.extend(FLAGS.to_le_bytes());
    body.extend(ports(RESET_PORT, 8));
    body.extend([RESET_VALUE, 0, 0, 0]);
    // The FACS has one pointer only: two that differ in width confuse.
    body.extend(0u64.to_le_bytes());
    body.extend((dsdt as u64).to_le_bytes());
    let none = ports(0, 0);
    for block in [ports(PM1_EVENT, 32), none, ports(PM1_CONTROL, 16), none, none, ports(PM_TIMER, 32)] {
        body.extend(block);
    }
    body.extend(ports(GPE0, 128));
    body.extend(none);
    table(b"FACP", 3, &body)
}

/// Multiple APIC description table (§5.2.12): APICs, and how ISA lines come to the I/O APIC.
pub(super) fn madt(processors: u32) -> Vec<u8> {
    // There are PICs as well.
    const DUAL_PIC: u32 = 1;
    const ENABLED: [u8; 4] = [1, 0, 0, 0];
    // Active high; level.
    const LEVEL_HIGH: u8 = 0x0d;

    let mut body = Vec::new();
    body.extend(LOCAL_APIC.to_le_bytes());
    body.extend(DUAL_PIC.to_le_bytes());
    for id in 0..processors {
        if id < XAPIC_IDS {
            body.extend([0, 8, id as u8, id as u8]);
            body.extend(ENABLED);
        } else {
            body.extend([9, 16, 0, 0]);
            body.extend(id.to_le_bytes());
            body.extend(ENABLED);
            body.extend(id.to_le_bytes());
        }
    }
    body.extend([1, 12, 0, 0]);
    body.extend(IO_APIC.to_le_bytes());
    body.extend(0u32.to_le_bytes());
    // The timer comes on pin 2; ACPI's and PCI's lines are levels.
    for (line, pin, flags) in
        [(0, 2, 0), (5, 5, LEVEL_HIGH), (9, 9, LEVEL_HIGH), (10, 10, LEVEL_HIGH), (11, 11, LEVEL_HIGH)]
    {
        body.extend([2, 10, 0, line, pin, 0, 0, 0, flags, 0]);
    }
    // NMI is LINT1 of every LAPIC.
    body.extend([4, 6, 0xff, 0, 0, 1]);
    if processors > XAPIC_IDS {
        body.extend([10, 12, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0]);
    }
    table(b"APIC", 3, &body)
}

/// IA-PC HPET Specification 1.0a, §3.2.4.
pub(super) fn hpet() -> Vec<u8> {
    // The low half of its capabilities: Intel, legacy replacement, 64 bits, three comparators, revision 1.
    const ID: u32 = 0x8086_a201;
    let mut body = ID.to_le_bytes().to_vec();
    body.extend([0; 4]);
    body.extend(u64::from(HPET).to_le_bytes());
    body.extend([0; 4]);
    table(b"HPET", 1, &body)
}

/// PCI Firmware Specification 3.3, §4.1.2.
pub(super) fn mcfg(ecam: u64) -> Vec<u8> {
    let mut table = MCFG::new(OEM, OEM_TABLE, 1);
    table.add_ecam(ecam, 0, 0, 255);
    let mut bytes = Vec::new();
    table.to_aml_bytes(&mut bytes);
    bytes
}

/// Windows ACPI Emulated Devices Table: the PM timer is right at the first reading.
pub(super) fn waet() -> Vec<u8> {
    const PM_TIMER_GOOD: u32 = 1 << 1;
    table(b"WAET", 1, &PM_TIMER_GOOD.to_le_bytes())
}
