//! How PCI interrupt pins reach the interrupt controllers: link devices for the PICs, fixed pins of the I/O APIC.
//!
//! Follows ACPI 6.5, §6.2.13 (_PRT) and §5.8.1 (_PIC), and the ICH9's PIRQ route registers (datasheet 316972, §13.1.15). The system says
//! by `_PIC` which controllers it uses.

use acpi_tables::aml::{
    And, Arg, CreateDWordField, Device, EISAName, Else, Equal, Field, FieldAccessType, FieldEntry, FieldLockRule,
    FieldUpdateRule, If, Method, MethodCall, Name, OpRegion, OpRegionSpace, Or, Package, PackageBuilder, Path,
    ResourceTemplate, Return, Store, ZERO,
};

use super::aml::{Bytes, SharedLevel, made, terms};

/// PIRQs, by their letters.
const PIRQS: [char; 8] = ['A', 'B', 'C', 'D', 'E', 'F', 'G', 'H'];
/// The I/O APIC's pin of PIRQ A; the others follow.
const FIRST_PIN: u8 = 16;
/// ISA lines that links may choose.
const LINES: [u32; 3] = [5, 10, 11];
/// Route register: not routed.
const ROUTE_OFF: u8 = 0x80;
/// From this slot on, pins are wired as the chipset's own.
const CHIPSET_SLOT: u8 = 25;
const SLOTS: u8 = 32;

/// The PIRQ, A being 0, of pin `pin` (INTA is 0) of a slot.
fn pirq(slot: u8, pin: u8) -> u8 {
    if slot < CHIPSET_SLOT { 4 + (slot + pin) % 4 } else { pin }
}

/// `_PIC` and the variable that it sets; for the root.
pub(super) fn model() -> [Bytes; 2] {
    [
        made(&Name::new("PICF".into(), &ZERO)),
        made(&Method::new("_PIC".into(), 1, false, vec![&Store::new(&Path::new("PICF"), &Arg(0))])),
    ]
}

/// The route registers as fields; for the LPC bridge.
pub(super) fn registers() -> [Bytes; 2] {
    let named = |letter: char| FieldEntry::Named([b'P', b'R', b'Q', letter as u8], 8);
    let (low, high) = PIRQS.split_at(4);
    let mut fields: Vec<_> = low.iter().copied().map(named).collect();
    fields.push(FieldEntry::Reserved(4 * 8));
    fields.extend(high.iter().copied().map(named));
    let field =
        Field::new("PIRQ".into(), FieldAccessType::Byte, FieldLockRule::NoLock, FieldUpdateRule::Preserve, fields);
    [made(&OpRegion::new("PIRQ".into(), OpRegionSpace::PCIConfig, &0x60u8, &0x0cu8)), made(&field)]
}

/// `_PRT` and what it chooses from; for the PCI root.
pub(super) fn routes() -> [Bytes; 3] {
    let links = PIRQS.map(|letter| made(&Path::new(&format!("LNK{letter}"))));
    let table = |target: &dyn Fn(u8) -> (Bytes, Bytes)| {
        let mut table = PackageBuilder::new();
        for (slot, pin) in (0..SLOTS).flat_map(|slot| (0..4).map(move |pin| (slot, pin))) {
            let (source, index) = target(pirq(slot, pin));
            let address = u32::from(slot) << 16 | 0xffff;
            table.add_element(&Package::new(vec![&address, &pin, &source, &index]));
        }
        table
    };
    let by_links = table(&|pirq| (made(&links[usize::from(pirq)]), made(&ZERO)));
    let by_pins = table(&|pirq| (made(&ZERO), made(&(FIRST_PIN + pirq))));
    let (pic, apic) = (Path::new("PRTP"), Path::new("PRTA"));
    [
        made(&Name::new("PRTP".into(), &by_links)),
        made(&Name::new("PRTA".into(), &by_pins)),
        made(&Method::new(
            "_PRT".into(),
            0,
            false,
            vec![
                &If::new(&Equal::new(&Path::new("PICF"), &ZERO), vec![&Return::new(&pic)]),
                &Else::new(vec![&Return::new(&apic)]),
            ],
        )),
    ]
}

/// The link devices and what they share; for `\_SB`. `bridge` is the path of the LPC bridge.
pub(super) fn links(bridge: &str) -> Vec<Bytes> {
    let mut all = vec![status(), current()];
    all.extend((0..).zip(PIRQS).map(|(uid, letter)| link(uid, letter, &format!("{bridge}.PRQ{letter}"))));
    all
}

/// `IQST(register)`: a link's status.
fn status() -> Bytes {
    const THERE: u8 = 0x09;
    const THERE_AND_ON: u8 = 0x0b;
    let off = And::new(&ZERO, &Arg(0), &ROUTE_OFF);
    made(&Method::new(
        "IQST".into(),
        1,
        false,
        vec![&If::new(&off, vec![&Return::new(&THERE)]), &Return::new(&THERE_AND_ON)],
    ))
}

/// `IQCR(register)`: the line that a link is on, as a resource.
fn current() -> Bytes {
    let template = ResourceTemplate::new(vec![&SharedLevel(&[0])]);
    let (buffer, number) = (Path::new("PRR0"), Path::new("PRRI"));
    made(&Method::new(
        "IQCR".into(),
        1,
        true,
        vec![
            &Name::new("PRR0".into(), &template),
            &CreateDWordField::new(&number, &buffer, &NUMBER_AT),
            &And::new(&number, &Arg(0), &0x0fu8),
            &Return::new(&buffer),
        ],
    ))
}

/// Where an extended interrupt descriptor has its first number.
const NUMBER_AT: u8 = 5;

fn link(uid: u8, letter: char, register: &str) -> Bytes {
    let register = Path::new(register);
    let number = Path::new("PRRI");
    let terms_of = [
        made(&Name::new("_HID".into(), &EISAName::new("PNP0C0F"))),
        made(&Name::new("_UID".into(), &uid)),
        made(&Name::new("_PRS".into(), &ResourceTemplate::new(vec![&SharedLevel(&LINES)]))),
        made(&Method::new(
            "_STA".into(),
            0,
            false,
            vec![&Return::new(&MethodCall::new("IQST".into(), vec![&register]))],
        )),
        made(&Method::new("_DIS".into(), 0, false, vec![&Or::new(&register, &register, &ROUTE_OFF)])),
        made(&Method::new(
            "_CRS".into(),
            0,
            false,
            vec![&Return::new(&MethodCall::new("IQCR".into(), vec![&register]))],
        )),
        made(&Method::new(
            "_SRS".into(),
            1,
            false,
            vec![&CreateDWordField::new(&number, &Arg(0), &NUMBER_AT), &Store::new(&register, &number)],
        )),
    ];
    made(&Device::new(Path::new(&format!("LNK{letter}")), terms(&terms_of)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_turn_with_slots() {
        assert_eq!([pirq(0, 0), pirq(1, 0), pirq(2, 3), pirq(24, 1)], [4, 5, 5, 5]);
        assert_eq!([pirq(25, 0), pirq(31, 0), pirq(31, 3)], [0, 0, 3]);
    }
}
