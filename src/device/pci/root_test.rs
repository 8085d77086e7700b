use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::bench::{Bench, Placements, check_state};
use crate::pci::{Bar, Doorbell, Identity, PciCore};

struct Probe(PciCore, u64);

impl PciFunction for Probe {
    fn core(&self) -> &PciCore {
        &self.0
    }
    fn core_mut(&mut self) -> &mut PciCore {
        &mut self.0
    }
    fn bar_read(&mut self, bar: u8, offset: u64, _: Size) -> u64 {
        u64::from(bar) << 8 | offset
    }
    fn bar_write(&mut self, _: u8, _: u64, _: Size, value: u64) {
        self.1 = value;
    }
}

struct Fixture {
    bench: Bench,
    root: PciRoot,
    space: Arc<Placements>,
    mmio: Arc<MmioBus>,
    probe: Arc<Mutex<Probe>>,
}

fn probe(bench: &Bench) -> Arc<Mutex<Probe>> {
    let identity =
        Identity { vendor: 0x1234, device: 0x5678, revision: 0, class: 0xff0000, subsystem_vendor: 0, subsystem: 0 };
    let mut core = PciCore::new(identity, bench.dma(), bench.msi());
    let mut bar = Bar::registers(BarKind::Memory64, 0x4000);
    bar.doorbells.push(Doorbell { offset: 0x3000, index: 7 });
    core.add_bar(2, bar);
    core.add_bar(0, Bar::registers(BarKind::Io, 0x20));
    core.add_msix(4, 3);
    core.connect_intx(bench.line.share());
    Arc::new(Mutex::new(Probe(core, 0)))
}

fn fixture() -> Fixture {
    let bench = Bench::new(0x1000);
    let probe = probe(&bench);
    let (ports, mmio) = (Arc::new(PortBus::default()), Arc::new(MmioBus::default()));
    let space = Arc::new(Placements::default());
    let mut root = PciRoot::new(Arc::clone(&ports), Arc::clone(&mmio), space.clone());
    root.plug(Devfn::new(3, 0), probe.clone());
    Fixture { bench, root, space, mmio, probe }
}

impl Fixture {
    fn write(&mut self, register: u64, value: u64) {
        Mmio::write(&mut self.root, 3 << 15 | register, Size::Dword, value);
    }
    fn read(&mut self, register: u64) -> u64 {
        Mmio::read(&mut self.root, 3 << 15 | register, Size::Dword)
    }
}

#[test]
fn both_ways_to_config_space_agree() {
    let mut f = fixture();
    assert_eq!(f.read(0), 0x5678_1234);
    PortIo::write(&mut f.root, 0, Size::Dword, 0x8000_1800);
    assert_eq!(PortIo::read(&mut f.root, 4, Size::Dword), 0x5678_1234);
    assert_eq!(PortIo::read(&mut f.root, 6, Size::Word), 0x5678);
    PortIo::write(&mut f.root, 0, Size::Dword, 0x8001_1800);
    assert_eq!(PortIo::read(&mut f.root, 4, Size::Dword), u32::MAX);
    assert_eq!(Mmio::read(&mut f.root, 4 << 15, Size::Word), 0xffff);
}

#[test]
fn bars_are_sized_and_move() {
    let mut f = fixture();
    f.write(0x18, 0xffff_ffff);
    f.write(0x1c, 0xffff_ffff);
    assert_eq!(f.read(0x18), 0xffff_c004);
    f.write(0x18, 0xe000_0000);
    f.write(0x1c, 0);
    assert_eq!(f.mmio.read(0xe000_0004, Size::Dword), 0xffff_ffff);
    f.write(0x04, 2);
    assert_eq!(f.mmio.read(0xe000_0004, Size::Dword), 0x204);
    assert_eq!(f.space.doorbells.take(), [(Devfn::new(3, 0), 7, Some(0xe000_3000))]);
    assert_eq!(f.root.high_bars().span(), None);
    f.write(0x1c, 1);
    assert_eq!(f.mmio.read(0xe000_0004, Size::Dword), 0xffff_ffff);
    assert_eq!(f.mmio.read(0x1_e000_0004, Size::Dword), 0x204);
    assert_eq!(f.root.high_bars().span(), Some(0x1_e000_0000..0x1_e000_4000));
    f.mmio.write(0x1_e000_0004, Size::Dword, 99);
    assert_eq!(f.probe.lock().unwrap().1, 99);
}

#[test]
fn functions_may_swap_their_places() {
    let mut f = fixture();
    let other = probe(&f.bench);
    f.root.plug(Devfn::new(4, 0), other.clone());
    let write = |f: &mut Fixture, device: u64, register: u64, value| {
        Mmio::write(&mut f.root, device << 15 | register, Size::Dword, value);
    };
    for (device, at) in [(3, 0xe000_0000), (4, 0xe000_4000)] {
        write(&mut f, device, 0x18, at);
        write(&mut f, device, 0x04, 2);
    }
    // The first finds its new place taken and answers nowhere, until the other one leaves it.
    write(&mut f, 3, 0x18, 0xe000_4000);
    f.mmio.write(0xe000_4000, Size::Dword, 1);
    assert_eq!((f.probe.lock().unwrap().1, other.lock().unwrap().1), (0, 1));
    f.space.doorbells.take();
    write(&mut f, 4, 0x18, 0xe000_0000);
    assert_eq!(f.space.doorbells.take().last(), Some(&(Devfn::new(3, 0), 7, Some(0xe000_7000))));
    f.mmio.write(0xe000_4000, Size::Dword, 2);
    f.mmio.write(0xe000_0000, Size::Dword, 3);
    assert_eq!((f.probe.lock().unwrap().1, other.lock().unwrap().1), (2, 3));
    // Nor is a place held for one that went on.
    write(&mut f, 3, 0x18, 0xe000_0000);
    write(&mut f, 3, 0x04, 0);
    write(&mut f, 4, 0x04, 0);
    assert_eq!(f.mmio.read(0xe000_0000, Size::Dword), 0xffff_ffff);
}

#[test]
fn msix_is_sent_or_kept_pending() {
    let mut f = fixture();
    f.write(0x20, 0xd000_0000);
    f.write(0x04, 6);
    f.mmio.write(0xd000_0010, Size::Dword, 0xfee0_0000);
    f.mmio.write(0xd000_0018, Size::Dword, 0x41);
    f.probe.lock().unwrap().0.send_msix(1);
    assert!(f.bench.messages.take().is_empty());
    f.write(0x40, 0x8000_0000);
    f.probe.lock().unwrap().0.send_msix(1);
    assert!(f.bench.messages.take().is_empty());
    assert_eq!(f.mmio.read(0xd000_0800, Size::Qword), 2);
    f.mmio.write(0xd000_001c, Size::Dword, 0);
    assert_eq!(f.bench.messages.take(), [(0xfee0_0000, 0x41)]);
    f.probe.lock().unwrap().0.send_msix(9);
    assert_eq!(f.mmio.read(0xd000_0800, Size::Qword), 0);
}

#[test]
fn intx_follows_the_disable_bit() {
    let f = fixture();
    let mut probe = f.probe.lock().unwrap();
    probe.0.set_interrupt(true);
    probe.0.config_write(4, Size::Word, 1 << 10);
    probe.0.config_write(4, Size::Word, 0);
    probe.0.set_interrupt(false);
    assert_eq!(f.bench.levels.take(), [true, false, true, false]);
    f.bench.clock.advance(Duration::from_secs(1));
}

#[test]
fn state() {
    let mut f = fixture();
    check_state(&mut f.root, |root| PortIo::write(root, 0, Size::Dword, 0x8000_0000));
    let mut probe = f.probe.lock().unwrap();
    probe.0.config_write(4, Size::Word, 7);
    let saved = probe.0.save();
    probe.0.reset();
    assert_ne!(probe.0.save(), saved);
    assert!(probe.0.restore(saved.clone()));
    assert_eq!(probe.0.save(), saved);
}
