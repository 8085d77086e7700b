//! The card as drivers see it.

use std::sync::{Mutex, Weak};
use std::time::Duration;

use ::net::bench::{Wire, wire};
use device::bench::{Bench, check_state};
use vm_memory::{Bytes, GuestAddress};

use super::phy::NEGOTIATION;
use super::*;
use device::pci::PciFunction;
use device::{Size, State};

#[path = "abuse_test.rs"]
mod abuse;
#[path = "receive_test.rs"]
mod receive;
#[path = "transmit_test.rs"]
mod transmit;

pub(super) const RAM: usize = 1 << 20;
pub(super) const OWN: [u8; 6] = [0x52, 0x54, 0, 1, 2, 3];
pub(super) const OTHER: [u8; 6] = [0x52, 0x54, 0, 9, 9, 9];
/// Rings of 16 descriptors.
pub(super) const SEND_RING: u64 = 0x1000;
pub(super) const RECEIVE_RING: u64 = 0x2000;
pub(super) const RING: u64 = 16;
/// Buffers of 4 KiB, one for each descriptor.
pub(super) const SEND_BUFFERS: u64 = 0x1_0000;
pub(super) const RECEIVE_BUFFERS: u64 = 0x2_0000;

pub(super) const CTRL: u64 = 0x0000;
pub(super) const STATUS: u64 = 0x0008;
pub(super) const MDIC: u64 = 0x0020;
pub(super) const VET: u64 = 0x0038;
pub(super) const ICR: u64 = 0x00c0;
pub(super) const ITR: u64 = 0x00c4;
pub(super) const ICS: u64 = 0x00c8;
pub(super) const IMS: u64 = 0x00d0;
pub(super) const IMC: u64 = 0x00d8;
pub(super) const RCTL: u64 = 0x0100;
pub(super) const TCTL: u64 = 0x0400;
pub(super) const RDT: u64 = 0x2818;
pub(super) const TDH: u64 = 0x3810;
pub(super) const TDT: u64 = 0x3818;

/// A card on the bench, with a driver.
pub(super) struct Machine {
    pub(super) bench: Bench,
    pub(super) wire: Wire,
    pub(super) card: Arc<Mutex<E1000>>,
}

impl Machine {
    pub(super) fn new() -> Self {
        let bench = Bench::new(RAM);
        let (port, wire) = wire();
        let port = Arc::new(port);
        let card = Arc::new_cyclic(|weak: &Weak<Mutex<E1000>>| {
            let timers = Timers::new(&|which| {
                let timer = bench.timers.timer(which);
                timer.connect(weak.clone());
                timer
            });
            let port = Arc::clone(&port);
            Mutex::new(E1000::new(port, OWN, None, bench.dma(), bench.msi(), bench.clock.clone(), timers))
        });
        card.lock().unwrap().connect_intx(bench.line.share());
        let sink: Weak<Mutex<dyn FrameSink>> = Arc::<Mutex<E1000>>::downgrade(&card);
        port.connect(sink);
        card.lock().unwrap().core_mut().config_write(4, Size::Word, 7);
        Self { bench, wire, card }
    }

    /// With rings, and both directions on.
    pub(super) fn started() -> Self {
        let m = Self::new();
        m.start();
        m
    }

    pub(super) fn start(&self) {
        for (ring, at) in [(0x3800, SEND_RING), (0x2800, RECEIVE_RING)] {
            self.write(ring, at as u32);
            self.write(ring + 4, 0);
            self.write(ring + 8, RING as u32 * 16);
            self.write(ring + 0x10, 0);
            self.write(ring + 0x18, 0);
        }
        for number in 0..RING {
            self.put(
                RECEIVE_RING + 16 * number,
                &[RECEIVE_BUFFERS + 0x1000 * number, 0].map(u64::to_le_bytes).concat(),
            );
        }
        // Pad short frames; broadcasts come in, check sequences are stripped.
        self.write(TCTL, 0x0a);
        self.write(RCTL, 0x0400_8002);
    }

    pub(super) fn read(&self, register: u64) -> u32 {
        self.card.lock().unwrap().bar_read(MEMORY_BAR, register, Size::Dword) as u32
    }

    pub(super) fn write(&self, register: u64, value: u32) {
        self.card.lock().unwrap().bar_write(MEMORY_BAR, register, Size::Dword, value.into());
    }

    pub(super) fn put(&self, at: u64, bytes: &[u8]) {
        self.bench.ram.write_slice(bytes, GuestAddress(at)).unwrap();
    }

    pub(super) fn bytes(&self, at: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.bench.ram.read_slice(&mut bytes, GuestAddress(at)).unwrap();
        bytes
    }

    pub(super) fn pass(&self, time: Duration) {
        self.bench.clock.advance(time);
        self.bench.timers.run_due();
    }

    /// Reads a register of the PHY.
    pub(super) fn phy(&self, register: u32) -> u16 {
        self.write(MDIC, 2 << 26 | 1 << 21 | register << 16);
        let answer = self.read(MDIC);
        assert_eq!(answer >> 28, 1, "{answer:#x}");
        answer as u16
    }

    pub(super) fn set_phy(&self, register: u32, value: u16) {
        self.write(MDIC, 1 << 26 | 1 << 21 | register << 16 | u32::from(value));
        assert_eq!(self.read(MDIC) >> 28, 1);
    }

    pub(super) fn level(&self) -> bool {
        self.bench.levels.take().last().copied().unwrap_or_else(|| self.bench.line.is_high())
    }
}

pub(super) fn frame(to: [u8; 6], length: usize) -> Vec<u8> {
    let mut frame: Vec<u8> = (0..length).map(|i| i as u8).collect();
    frame[..6].copy_from_slice(&to);
    frame[12..14].copy_from_slice(&[0x08, 0x06]);
    frame
}

#[test]
fn is_what_drivers_look_for() {
    let m = Machine::new();
    let config = |at, size| m.card.lock().unwrap().config_read(at, size);
    assert_eq!(config(0, Size::Dword), 0x100e_8086);
    assert_eq!(config(8, Size::Dword), 0x0200_0003);
    assert_eq!(config(0x3d, Size::Byte), 1);
    m.card.lock().unwrap().config_write(0x10, Size::Dword, u32::MAX);
    m.card.lock().unwrap().config_write(0x18, Size::Dword, u32::MAX);
    assert_eq!((config(0x10, Size::Dword), config(0x18, Size::Dword)), (0xfffe_0000, 0xffff_ffc1));
    // 1000 Mb/s, full duplex, up.
    assert_eq!(m.read(STATUS), 0x283);
    assert_eq!((m.read(0x5400), m.read(0x5404)), (0x0100_5452, 0x8000_0302));
    m.write(0x14, 0x0201);
    assert_eq!(m.read(0x14), 0x0302_0210);
    assert_eq!((m.phy(2), m.phy(3)), (0x0141, 0x0c20));
    // Nobody is at another address, nor answers what is neither read nor written.
    for request in [2 << 26 | 2 << 21, 1 << 21, 3 << 26 | 1 << 21] {
        m.write(MDIC, request);
        assert_eq!(m.read(MDIC) >> 28, 5);
    }
}

/// The patterns that Linux's driver tests the card with (`ethtool -t`).
#[test]
fn registers_hold_what_is_written() {
    let m = Machine::new();
    for (register, mask) in [
        (0x0028, 0xffff_ffff),
        (0x002c, 0xffff),
        (0x0030, 0xffff),
        (0x0038, 0xffff),
        (0x2820, 0xffff),
        (0x2804, 0xffff_ffff),
        (0x2808, 0x000f_ff80),
        (0x2810, 0xffff),
        (0x2818, 0xffff),
        (0x2168, 0xfff8),
        (0x0170, 0xffff),
        (0x0410, 0x3fff_ffff),
        (0x3804, 0xffff_ffff),
        (0x3808, 0x000f_ff80),
        (0x0100, 0x06df_b3fe),
        (0x2800, 0xffff_fff0),
        (0x0178, 0xc000_ffff),
        (0x3800, 0xffff_fff0),
        (0x3820, 0xffff),
        (0x540c, 0x8003_ffff),
        (0x5200, 0xffff_ffff),
        (0x53fc, 0xffff_ffff),
        (0x57fc, 0xffff_ffff),
    ] {
        for pattern in [0x5a5a_5a5a, 0xa5a5_a5a5, 0, 0xffff_ffff_u32] {
            m.write(register, pattern);
            assert_eq!(m.read(register), pattern & mask, "{register:#x}");
        }
    }
    let status = m.read(STATUS);
    m.write(STATUS, !status);
    assert_eq!(m.read(STATUS), status);
    // Narrow reads see their part, narrow writes do nothing, wide ones are two.
    let mut card = m.card.lock().unwrap();
    card.bar_write(0, 0x5208, Size::Qword, 0x1122_3344_5566_7788);
    assert_eq!(card.bar_read(0, 0x520a, Size::Word) & 0xffff, 0x5566);
    assert_eq!(card.bar_read(0, 0x520a, Size::Dword) & 0xffff_ffff, 0x3344_5566);
    card.bar_write(0, 0x5208, Size::Byte, 0);
    assert_eq!(card.bar_read(0, 0x5208, Size::Qword), 0x1122_3344_5566_7788);
    // The same by ports.
    card.bar_write(2, 0, Size::Dword, 0x520c);
    assert_eq!(card.bar_read(2, 4, Size::Dword), 0x1122_3344);
    card.bar_write(2, 4, Size::Dword, 7);
    assert_eq!((card.bar_read(0, 0x520c, Size::Dword), card.bar_read(2, 0, Size::Dword)), (7, 0x520c));
    card.bar_write(2, 0, Size::Dword, u64::MAX);
    card.bar_write(2, 4, Size::Dword, 1);
    assert_eq!(card.bar_read(2, 4, Size::Dword), 0);
}

#[test]
fn interrupts_are_masked_and_cleared() {
    let m = Machine::new();
    m.write(ICS, 0x0000_0004);
    assert!(!m.level());
    m.write(IMS, 0x84);
    assert!(m.level());
    assert_eq!((m.read(IMS), m.read(ICS)), (0x84, 4));
    m.write(IMC, 0x04);
    assert!(!m.level());
    m.write(IMS, 0x04);
    assert!(m.level());
    assert_eq!(m.read(ICR), 4);
    assert!(!m.level());
    assert_eq!(m.read(ICR), 0);
    m.write(ICS, 0x81);
    m.write(ICR, 0x80);
    assert_eq!(m.read(ICR), 1);
    m.write(MDIC, 1 << 29 | 2 << 26 | 1 << 21);
    assert_eq!(m.read(ICR), 1 << 9);
}

#[test]
fn interrupts_keep_their_distance() {
    let m = Machine::new();
    m.pass(Duration::from_secs(1));
    // 256 µs.
    m.write(ITR, 1000);
    m.write(IMS, 4);
    m.write(ICS, 4);
    assert!(m.level());
    m.read(ICR);
    assert!(!m.level());
    m.write(ICS, 4);
    m.pass(Duration::from_micros(255));
    assert!(!m.level());
    m.pass(Duration::from_micros(1));
    assert!(m.level());
    m.read(ICR);
    // One that nobody asks for any more does not come.
    m.write(ICS, 4);
    m.write(IMC, 4);
    m.pass(Duration::from_secs(1));
    assert!(!m.level());
}

#[test]
fn the_link_comes_and_goes() {
    let m = Machine::started();
    m.write(IMS, 4);
    m.wire.set_link(false);
    assert!(m.level());
    assert_eq!((m.read(ICR), m.read(STATUS) & 2), (4, 0));
    assert_eq!((m.phy(1) & 0x24, m.phy(17) & 0x0c00), (0, 0));
    m.wire.set_link(true);
    // The two ends settle first.
    assert_eq!((m.read(ICR), m.read(STATUS) & 2), (0, 0));
    assert!(m.wire.inject(&frame(OWN, 60)));
    m.pass(NEGOTIATION);
    assert!(m.level());
    assert_eq!((m.read(ICR), m.read(STATUS) & 2), (4, 2));
    // That it was gone is read once.
    assert_eq!([0, 0].map(|_| m.phy(1) & 0x24), [0x20, 0x24]);
    // The driver starts over, for 100 Mb/s.
    m.set_phy(9, 0);
    m.set_phy(0, 0x1340);
    assert_eq!((m.read(ICR), m.read(STATUS) & 2, m.phy(5)), (4, 0, 0));
    m.pass(NEGOTIATION);
    assert_eq!((m.read(ICR), m.read(STATUS), m.phy(5)), (4, 0x143, 0x41e1));
    // It takes the PHY's power away, resets it.
    m.set_phy(0, 0x1940);
    assert_eq!((m.read(ICR), m.read(STATUS) & 2), (4, 0));
    m.write(CTRL, 0x8000_0041);
    assert_eq!((m.read(CTRL), m.phy(9)), (0x8000_0041, 0x0e00));
    m.pass(NEGOTIATION);
    assert_eq!((m.read(ICR), m.read(STATUS)), (4, 0x283));
    // Forced by the driver.
    m.write(CTRL, 0x0000_1940);
    assert_eq!(m.read(STATUS), 0x242);
}

#[test]
fn a_driver_resets_the_card() {
    let m = Machine::started();
    m.write(IMS, 0x04);
    m.write(ICS, 0x04);
    m.write(0x1000, 0x20);
    m.write(0x0028, 7);
    m.write(0x5400, 9);
    m.set_phy(9, 0);
    m.write(CTRL, 0x0400_0000);
    assert!(!m.level());
    assert_eq!((m.read(IMS), m.read(ICR), m.read(RCTL), m.read(TCTL)), (0, 0, 0, 0));
    assert_eq!((m.read(0x2808), m.read(0x0028), m.read(0x5400)), (0, 0, 0x0100_5452));
    assert_eq!((m.read(CTRL) & 1 << 26, m.read(0x1000), m.phy(9)), (0, 0x0010_0020, 0));
    assert_eq!(m.read(STATUS) & 2, 2);
}

#[test]
fn state() {
    let m = Machine::started();
    m.write(0x2820, 10);
    m.write(0x3820, 10);
    m.wire.inject(&frame(OWN, 100));
    let mut card = m.card.lock().unwrap();
    check_state(&mut *card, |card| card.reset());
    let saved = card.save();
    check_state(&mut *card, |card| card.write_dword(ITR, 5));
    check_state(&mut *card, |card| card.change_phy(|phy, now| phy.set_cable(false, now)));
    check_state(&mut *card, |card| card.write_dword(0x10, 0x47));
    // What cannot be is refused.
    let impossible: [(&str, serde_json::Value); 6] = [
        ("/kept", [0; 3].into()),
        ("/address", u32::MAX.into()),
        ("/receiver/ring/bytes", 0x81.into()),
        ("/transmitter/packet/bytes", vec![0; 70_000].into()),
        ("/statistics", [0; 63].into()),
        ("/control", u32::MAX.into()),
    ];
    let taken = impossible.map(|(place, value)| {
        let mut state = serde_json::to_value(&saved).unwrap();
        *state.pointer_mut(place).unwrap() = value;
        card.restore(serde_json::from_value(state).unwrap()).is_ok()
    });
    assert_eq!(taken, [false, false, false, false, false, true]);
}

/// What waits when a machine is saved still comes afterwards, and a cable that is gone is missed.
#[test]
fn waiting_goes_on_after_a_restore() {
    let m = Machine::started();
    // 10.24 µs.
    m.write(0x2820, 10);
    m.write(IMS, 0x84);
    m.write(RDT, 15);
    m.wire.inject(&frame(OWN, 100));
    assert!(!m.level());
    let saved = m.card.lock().unwrap().save();
    m.card.lock().unwrap().reset();
    m.card.lock().unwrap().restore(saved.clone()).unwrap();
    m.pass(Duration::from_micros(11));
    assert!(m.level());
    assert_eq!(m.read(ICR), 0x80);
    m.card.lock().unwrap().reset();
    m.wire.set_link(false);
    m.card.lock().unwrap().restore(saved).unwrap();
    assert!(m.level());
    assert_eq!((m.read(ICR), m.read(STATUS) & 2), (4, 0));
}
