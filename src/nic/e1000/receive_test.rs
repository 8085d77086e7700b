//! Frames on their way in.

use super::*;

impl Machine {
    /// Length, status, errors and tag of a receive descriptor.
    fn described(&self, number: u64) -> (u16, u8, u8, u16) {
        let bytes = self.bytes(RECEIVE_RING + 16 * number + 8, 8);
        let word = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        (word(0), bytes[4], bytes[5], word(6))
    }
}

#[test]
fn frames_come_in() {
    let m = Machine::started();
    m.write(RDT, 15);
    m.write(IMS, 0x80);
    assert!(m.wire.inject(&frame(OWN, 100)));
    assert!(m.level());
    assert_eq!(m.read(ICR), 0x80);
    assert_eq!(m.described(0), (100, 0x07, 0, 0));
    assert_eq!(m.bytes(RECEIVE_BUFFERS, 100), frame(OWN, 100));
    // Short ones are padded, those for others do not come in.
    m.put(RECEIVE_BUFFERS + 0x1000, &[0xee; 100]);
    assert!(m.wire.inject(&frame(OTHER, 100)));
    assert!(m.wire.inject(&frame([0xff; 6], 20)));
    assert_eq!(m.described(1), (60, 0x07, 0, 0));
    assert_eq!(m.bytes(RECEIVE_BUFFERS + 0x1000, 61), [&frame([0xff; 6], 20)[..], &[0; 40], &[0xee]].concat());
    // Counted: 64 and 104 octets, a broadcast.
    assert_eq!((m.read(0x405c), m.read(0x4060), m.read(0x4074), m.read(0x4078)), (1, 1, 2, 1));
    assert_eq!((m.read(0x4088), m.read(0x408c), m.read(0x4088)), (168, 0, 0));
    // With room for a check sequence.
    m.write(RCTL, 0x0000_8002);
    assert!(m.wire.inject(&frame(OWN, 60)));
    assert_eq!(m.described(2).0, 64);
    // Nothing while the receiver is off.
    m.write(RCTL, 0x0000_8000);
    assert!(m.wire.inject(&frame(OWN, 60)));
    assert_eq!(m.described(3).1, 0);
}

#[test]
fn frames_are_spread_over_buffers() {
    let m = Machine::started();
    m.write(RDT, 15);
    // 256 bytes each, with check sequence.
    m.write(RCTL, 0x0003_8002);
    // One has no address.
    m.put(RECEIVE_RING + 16, &[0; 8]);
    let bytes = frame(OWN, 510);
    assert!(m.wire.inject(&bytes));
    assert_eq!([0, 1, 2, 3].map(|number| m.described(number).0), [256, 0, 256, 2]);
    assert_eq!([0, 1, 2, 3].map(|number| m.described(number).1), [0x05, 0x05, 0x05, 0x07]);
    assert_eq!(m.bytes(RECEIVE_BUFFERS, 256), bytes[..256]);
    assert_eq!(m.bytes(RECEIVE_BUFFERS + 0x2000, 256), [&bytes[256..], &[0; 2]].concat());
    assert_eq!(m.read(0x2810), 4);
    // Sizes of buffers, by all there are.
    for (control, size) in
        [(0, 2048), (1, 1024), (2, 512), (3, 256), (0x201, 16384), (0x202, 8192), (0x203, 4096), (0x200, 2048)]
    {
        m.start();
        m.write(RDT, 15);
        m.write(RCTL, 0x0400_8022 | control << 16);
        m.write(0x0100, m.read(0x0100));
        assert!(m.wire.inject(&frame(OWN, 3000)));
        assert_eq!(usize::from(m.described(0).0), size.min(3000), "{control:#x}");
        assert_eq!(m.read(0x2810) as usize, 3000usize.div_ceil(size));
    }
}

#[test]
fn a_frame_waits_for_buffers() {
    let m = Machine::started();
    m.write(RCTL, 0x0402_8002);
    m.write(RDT, 1);
    // Of 512 bytes it takes two.
    assert!(!m.wire.inject(&frame(OWN, 1000)));
    assert!(m.wire.is_held());
    assert_eq!((m.read(0x2810), m.read(ICR)), (0, 0));
    m.write(RDT, 2);
    assert!(!m.wire.is_held());
    assert!(m.wire.inject(&frame(OWN, 1000)));
    assert_eq!((m.described(0).0, m.described(1).0), (512, 488));
    // One that the ring can never hold is lost.
    m.write(0x2808, 0x80);
    m.write(0x2810, 0);
    m.write(RDT, 7);
    m.write(RCTL, 0x0400_8022 | 3 << 16);
    assert!(m.wire.inject(&frame(OWN, 3000)));
    assert_eq!(m.read(ICR) & 0x40, 0x40);
    assert_eq!((m.read(0x4010), m.read(0x2810)), (1, 0));
    // So is one for a ring of buffers without addresses.
    m.put(RECEIVE_RING, &[0; 128]);
    assert!(m.wire.inject(&frame(OWN, 60)));
    assert_eq!(m.read(0x4010), 1);
    // A driver that starts over lets what waited go.
    m.start();
    assert!(!m.wire.inject(&frame(OWN, 60)));
    m.write(CTRL, 1 << 26);
    assert!(!m.wire.is_held());
    assert!(m.wire.inject(&frame(OWN, 60)));
}

#[test]
fn few_buffers_are_told() {
    let m = Machine::started();
    m.write(RDT, 10);
    // At half of 16.
    let causes = [0x80, 0x90].map(|_| {
        m.wire.inject(&frame(OWN, 60));
        m.read(ICR)
    });
    assert_eq!(causes, [0x80, 0x90]);
    m.write(RCTL, 0x0400_8202);
    m.wire.inject(&frame(OWN, 60));
    assert_eq!(m.read(ICR), 0x80);
}

#[test]
fn received_frames_may_wait() {
    let m = Machine::started();
    m.write(RDT, 15);
    m.write(0x2820, 10);
    m.write(0x282c, 15);
    m.write(0x2c00, 64);
    m.wire.inject(&frame(OWN, 100));
    assert_eq!(m.read(ICR), 0);
    m.pass(Duration::from_micros(9));
    m.wire.inject(&frame(OWN, 100));
    m.pass(Duration::from_micros(6));
    assert_eq!(m.read(ICR), 0);
    m.pass(Duration::from_micros(1));
    assert_eq!(m.read(ICR), 0x80);
    // The driver wants to hear now; and small ones are told in any case.
    m.wire.inject(&frame(OWN, 60));
    assert_eq!(m.read(ICR), 0x1_0000);
    m.write(0x2820, 0x8000_000a);
    assert_eq!(m.read(ICR), 0x80);
    assert_eq!(m.read(0x2820), 10);
}

#[test]
fn tags_are_taken_out_and_filtered() {
    let m = Machine::started();
    m.write(RDT, 15);
    m.write(VET, 0x8100);
    let bytes = frame(OWN, 100);
    let tagged = [&bytes[..12], &[0x81, 0, 0x60, 5], &bytes[12..]].concat();
    m.wire.inject(&tagged);
    assert_eq!((m.described(0), m.bytes(RECEIVE_BUFFERS, 104)), ((104, 0x07, 0, 0), tagged.clone()));
    m.write(CTRL, 0x4000_0041);
    m.wire.inject(&tagged);
    assert_eq!((m.described(1), m.bytes(RECEIVE_BUFFERS + 0x1000, 100)), ((100, 0x0f, 0, 0x6005), bytes));
    m.write(RCTL, 0x0404_8002);
    m.wire.inject(&tagged);
    assert_eq!(m.described(2).1, 0);
    m.write(0x5600, 1 << 5);
    m.wire.inject(&tagged);
    assert_eq!(m.described(2).1, 0x0f);
}

#[test]
fn addresses_are_filtered() {
    let m = Machine::started();
    m.write(RDT, 15);
    let group = [0x33, 0x33, 0, 0, 0x12, 0xab];
    m.wire.inject(&frame(group, 60));
    assert_eq!(m.described(0).1, 0);
    m.write(0x5200 + 4 * (0xab1 / 32), 1 << (0xab1 % 32));
    m.wire.inject(&frame(group, 60));
    assert_eq!(m.described(0).1, 0x87);
    m.write(RCTL, 0x0400_8012);
    m.wire.inject(&frame(group, 60));
    assert_eq!(m.described(1).1, 0x07);
    m.write(RCTL, 0x0400_800a);
    m.wire.inject(&frame(OTHER, 60));
    assert_eq!(m.described(2).1, 0x07);
    // Long ones come in when that is wanted.
    m.wire.inject(&frame(OWN, 1519));
    assert_eq!((m.described(3).1, m.read(0x40ac)), (0, 1));
    m.write(RCTL, 0x0400_802a);
    m.wire.inject(&frame(OWN, 1519));
    m.wire.inject(&frame(OWN, 16381));
    assert_eq!((m.described(3).1, m.described(4).1, m.read(0x40ac)), (0x07, 0, 1));
}

#[test]
fn checksums_are_looked_at() {
    let m = Machine::started();
    m.write(RDT, 15);
    let mut udp = frame(OWN, 60);
    udp[12..14].copy_from_slice(&[8, 0]);
    udp[14..34].copy_from_slice(&[0x45, 0, 0, 36, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 2, 2, 10, 0, 2, 15]);
    udp[34..42].copy_from_slice(&[0, 67, 0, 68, 0, 16, 0, 0]);
    let header = !checksum::folded(&udp[14..34]);
    checksum::put(&mut udp, 24, header);
    let mut number = 0;
    let mut said = |bytes: &[u8]| {
        m.wire.inject(bytes);
        m.write(RDT, (number + 16) as u32 % 16);
        number += 1;
        let (_, status, errors, _) = m.described(number - 1);
        (status, errors)
    };
    // Without a checksum of UDP's only that of IP is looked at.
    assert_eq!(said(&udp), (0x43, 0));
    let body = !checksum::folded_with(&udp[34..50], checksum::folded(&udp[26..34]) as u64 + 17 + 16);
    checksum::put(&mut udp, 40, body);
    assert_eq!(said(&udp), (0x63, 0));
    udp[45] ^= 1;
    assert_eq!(said(&udp), (0x63, 0x20));
    udp[22] ^= 1;
    assert_eq!(said(&udp), (0x63, 0x60));
    // A fragment, a length beyond the frame, another protocol, headers that are too short.
    udp[20] = 0x20;
    assert_eq!(said(&udp).0, 0x43);
    udp[20] = 0;
    udp[17] = 200;
    assert_eq!(said(&udp).0, 0x07);
    udp[17] = 36;
    udp[14] = 0x44;
    assert_eq!(said(&udp).0, 0x07);
    udp[14] = 0x4f;
    assert_eq!(said(&udp).0, 0x07);
    // Nobody wants to know.
    m.write(0x5000, 0);
    udp[14] = 0x45;
    assert_eq!(said(&udp).0, 0x07);
}

#[test]
fn buffers_that_are_not_there() {
    let m = Machine::started();
    m.write(RDT, 15);
    m.put(RECEIVE_RING, &(RAM as u64 - 10).to_le_bytes());
    m.put(RECEIVE_RING + 16, &u64::MAX.to_le_bytes());
    assert!(m.wire.inject(&frame(OWN, 60)));
    assert!(m.wire.inject(&frame(OWN, 60)));
    assert_eq!((m.described(0).1, m.described(1).1), (0x07, 0x07));
    // The ring itself.
    m.write(0x2804, 1);
    assert!(m.wire.inject(&frame(OWN, 60)));
    assert_eq!((m.read(0x4010), m.read(0x2810)), (1, 2));
    m.card.lock().unwrap().core_mut().config_write(4, Size::Word, 3);
    assert!(m.wire.inject(&frame(OWN, 60)));
}

#[test]
fn a_ring_of_nothing_holds_nobody_up() {
    const AT: u64 = 0x8_0000;
    let m = Machine::started();
    m.write(0x2800, AT as u32);
    m.write(0x2808, 256 * 16);
    m.put(AT + 16 * 200, &RECEIVE_BUFFERS.to_le_bytes());
    m.write(RDT, 255);
    assert!(m.wire.inject(&frame(OWN, 100)), "it is lost, and keeps no other one waiting");
    assert_eq!((m.read(0x2810), m.read(0x4010)), (0, 1));
    // A few are passed over.
    m.put(AT + 16 * 50, &RECEIVE_BUFFERS.to_le_bytes());
    assert!(m.wire.inject(&frame(OWN, 100)));
    assert_eq!((m.read(0x2810), m.bytes(RECEIVE_BUFFERS, 100)), (51, frame(OWN, 100)));
}
