//! DSDT: the devices that a system cannot find by itself, and what belongs to the PCI root.
//!
//! Revision 1: integers of 32 bits, as ACPI 1.0 and Windows XP know them. Windows hides devices whose `_STA` lacks the bit "show".

use acpi_tables::Aml;
use acpi_tables::aml::{
    AddressSpace, AddressSpaceCacheable, And, Arg, CreateDWordField, Device, EISAName, Else, Equal, IO, If, Local,
    Memory32Fixed, Method, Name, NotEqual, ONE, Or, Package, Path, ResourceTemplate, Return, Scope, Store, Uuid, ZERO,
};

use super::aml::{Bytes, IsaIrq, Processor, made, terms};
use super::tables::{HPET, PM_BLOCK, XAPIC_IDS};
use super::{interrupts, windows};
use crate::firmware::FirmwareFacts;

/// The LPC bridge.
const BRIDGE: &str = "\\_SB_.PCI0.ISA_";

/// The root complex registers, where firmware places them.
const RCBA: u32 = 0xfed1_c000;

/// There, on, working, and not to be shown.
const HIDDEN: u8 = 0x0b;

pub(super) fn table(facts: &FirmwareFacts) -> Vec<u8> {
    let mut root = Vec::from(interrupts::model());
    let mut system = vec![pci_root(facts)];
    system.extend(interrupts::links(BRIDGE));
    system.push(board(facts));
    if facts.hpet {
        system.push(hpet());
    }
    system.extend((0..facts.processors).map(processor));
    root.push(made(&Scope::new("\\_SB_".into(), terms(&system))));
    // Soft off is the only sleep.
    root.push(made(&Name::new("\\_S5_".into(), &Package::new(vec![&ZERO, &ZERO, &ZERO, &ZERO]))));

    let body: Vec<u8> = root.into_iter().flat_map(Bytes::into_vec).collect();
    super::table(b"DSDT", 1, &body)
}

fn hid(id: &str) -> Bytes {
    made(&Name::new("_HID".into(), &EISAName::new(id)))
}

fn uid(id: u32) -> Bytes {
    made(&Name::new("_UID".into(), &id))
}

fn status(bits: u8) -> Bytes {
    made(&Name::new("_STA".into(), &bits))
}

fn resources(children: Vec<&dyn Aml>) -> Bytes {
    made(&Name::new("_CRS".into(), &ResourceTemplate::new(children)))
}

fn device(name: &str, children: &[Bytes]) -> Bytes {
    made(&Device::new(name.into(), terms(children)))
}

fn ports(first: u16, count: u8) -> IO {
    IO::new(first, first, 1, count)
}

/// The host bridge, a PCI Express root that also is a PCI root.
fn pci_root(facts: &FirmwareFacts) -> Bytes {
    let mut children = vec![
        hid("PNP0A08"),
        made(&Name::new("_CID".into(), &EISAName::new("PNP0A03"))),
        uid(0),
        capabilities(),
        pci_windows(facts),
    ];
    children.extend(interrupts::routes());
    children.push(bridge());
    children.push(pm_ports());
    children.push(fw_cfg());
    device("PCI0", &children)
}

/// `_OSC` (§6.2.11, PCI Firmware Specification 3.3, §4.5): the system may have hot-plug, power management events, error reporting and
/// the PCI Express capability, and nothing newer.
fn capabilities() -> Bytes {
    const HOST_BRIDGE: &str = "33db4d5b-1ff7-401c-9657-7441c03dd766";
    const GRANTED: u8 = 0x1f;
    const UNKNOWN_UUID: u8 = 1 << 2;
    const UNKNOWN_REVISION: u8 = 1 << 3;
    const MASKED: u8 = 1 << 4;

    let (status, control, granted) = (Path::new("CDW1"), Path::new("CDW3"), Local(0));
    let flag = |bit: u8| made(&Or::new(&status, &status, &bit));
    let ours = [
        made(&CreateDWordField::new(&control, &Arg(3), &8u8)),
        made(&And::new(&granted, &control, &GRANTED)),
        made(&If::new(&NotEqual::new(&Arg(1), &ONE), vec![&flag(UNKNOWN_REVISION)])),
        made(&If::new(&NotEqual::new(&control, &granted), vec![&flag(MASKED)])),
        made(&Store::new(&control, &granted)),
    ];
    made(&Method::new(
        "_OSC".into(),
        4,
        false,
        vec![
            &CreateDWordField::new(&status, &Arg(3), &ZERO),
            &If::new(&Equal::new(&Arg(0), &Uuid::new(HOST_BRIDGE)), terms(&ours)),
            &Else::new(vec![&flag(UNKNOWN_UUID)]),
            &Return::new(&Arg(3)),
        ],
    ))
}

/// Buses, ports and memory that the root hands down.
fn pci_windows(facts: &FirmwareFacts) -> Bytes {
    let memory = |cacheable, range: std::ops::Range<u64>| {
        // Below 4 GiB.
        made(&AddressSpace::<u32>::new_memory(cacheable, true, range.start as u32, (range.end - 1) as u32, None))
    };
    let mut children = vec![
        made(&AddressSpace::<u16>::new_bus_number(0, 255)),
        // CONFIG_ADDRESS and CONFIG_DATA are the root's own.
        made(&ports(0xcf8, 8)),
        made(&AddressSpace::<u16>::new_io(0, 0xcf7, None)),
        made(&AddressSpace::<u16>::new_io(0xd00, 0xffff, None)),
        memory(AddressSpaceCacheable::Cacheable, 0xa_0000..0xc_0000),
    ];
    children.extend(windows::low(facts).into_iter().map(|range| memory(AddressSpaceCacheable::NotCacheable, range)));
    let high = windows::high(facts);
    let kind = AddressSpaceCacheable::Cacheable;
    children.push(made(&AddressSpace::<u64>::new_memory(kind, true, high.start, high.end - 1, None)));
    resources(terms(&children))
}

/// The LPC bridge and the ISA devices behind it.
fn bridge() -> Bytes {
    let mut children = vec![made(&Name::new("_ADR".into(), &0x001f_0000u32))];
    children.extend(interrupts::registers());
    children.push(device("RTC_", &[hid("PNP0B00"), resources(vec![&ports(0x70, 2), &IsaIrq(8)])]));
    let keyboard = resources(vec![&ports(0x60, 1), &ports(0x64, 1), &IsaIrq(1)]);
    children.push(device("KBD_", &[hid("PNP0303"), keyboard]));
    children.push(device("MOU_", &[hid("PNP0F13"), resources(vec![&IsaIrq(12)])]));
    let serial = resources(vec![&IO::new(0x3f8, 0x3f8, 8, 8), &IsaIrq(4)]);
    children.push(device("COM1", &[hid("PNP0501"), uid(1), serial]));
    device("ISA_", &children)
}

/// The PM block, taken from the root's ports.
fn pm_ports() -> Bytes {
    device(
        "PMIO",
        &[hid("PNP0C02"), uid(1), status(HIDDEN), resources(vec![&ports(PM_BLOCK, chipset::PM_PORTS as u8)])],
    )
}

/// fw_cfg, for Linux's driver of it.
fn fw_cfg() -> Bytes {
    let id = made(&Name::new("_HID".into(), &"QEMU0002"));
    device("FWCF", &[id, status(HIDDEN), resources(vec![&ports(chipset::FW_CFG_PORT, chipset::FW_CFG_PORTS as u8)])])
}

/// Memory that the mainboard keeps: ECAM and root complex registers.
fn board(facts: &FirmwareFacts) -> Bytes {
    let mut children = vec![made(&Memory32Fixed::new(true, RCBA, chipset::RCBA_SIZE as u32))];
    if let Some(ecam) = windows::ecam(facts) {
        children.insert(0, made(&Memory32Fixed::new(true, ecam.start as u32, windows::ECAM_SIZE as u32)));
    }
    device("MBRD", &[hid("PNP0C02"), uid(0), status(HIDDEN), resources(terms(&children))])
}

fn hpet() -> Bytes {
    let registers = Memory32Fixed::new(false, HPET, chipset::HPET_SIZE as u32);
    device("HPET", &[hid("PNP0103"), uid(0), resources(vec![&registers])])
}

/// A processor: the object that XP knows while its number fits there.
fn processor(index: u32) -> Bytes {
    let name = Path::new(&format!("C{:03X}", index & 0xfff));
    if index < XAPIC_IDS {
        made(&Processor { name, id: index as u8 })
    } else {
        let id = made(&Name::new("_HID".into(), &"ACPI0007"));
        made(&Device::new(name, terms(&[id, uid(index)])))
    }
}
