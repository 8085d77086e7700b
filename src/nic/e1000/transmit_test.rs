//! Frames on their way out.

use super::*;

/// Commands of descriptors.
const END: u8 = 0x01;
const SEGMENT: u8 = 0x04;
const REPORT: u8 = 0x08;
const EXTENDED: u8 = 0x20;
const TAG: u8 = 0x40;
const DELAY: u8 = 0x80;

impl Machine {
    /// Writes descriptor `number`.
    fn describe(&self, number: u64, descriptor: [u8; 16]) {
        self.put(SEND_RING + 16 * number, &descriptor);
    }

    fn legacy(&self, number: u64, part: &[u8], command: u8, checksum: (u8, u8), tag: u16) {
        let at = SEND_BUFFERS + 0x1000 * number;
        self.put(at, part);
        let mut descriptor = [0; 16];
        descriptor[..8].copy_from_slice(&at.to_le_bytes());
        descriptor[8..10].copy_from_slice(&(part.len() as u16).to_le_bytes());
        (descriptor[10], descriptor[11], descriptor[13]) = (checksum.1, command, checksum.0);
        descriptor[14..].copy_from_slice(&tag.to_le_bytes());
        self.describe(number, descriptor);
    }

    fn data(&self, number: u64, at: u64, length: u32, command: u8, options: u8, tag: u16) {
        let mut descriptor = [0; 16];
        descriptor[..8].copy_from_slice(&at.to_le_bytes());
        let lower = length | 1 << 20 | u32::from(command | EXTENDED) << 24;
        descriptor[8..12].copy_from_slice(&lower.to_le_bytes());
        descriptor[13] = options;
        descriptor[14..].copy_from_slice(&tag.to_le_bytes());
        self.describe(number, descriptor);
    }

    /// A context of Ethernet, IPv4 or IPv6 without options, and TCP or UDP.
    fn context(&self, number: u64, command: u8, ip_header: u8, checksum_at: u8, headers: u8, segment: u16) {
        let tcp = 14 + ip_header;
        let mut descriptor =
            [14, 24, tcp - 1, 0, tcp, tcp + checksum_at, 0, 0, 0, 0, 0, command | EXTENDED, 0, headers, 0, 0];
        descriptor[14..].copy_from_slice(&segment.to_le_bytes());
        self.describe(number, descriptor);
    }

    fn done(&self, number: u64) -> bool {
        self.bytes(SEND_RING + 16 * number + 12, 1) == [1]
    }
}

/// Ethernet, IPv4 and TCP with a payload; checksums as a driver leaves them to the card, length in the pseudo header or not.
fn tcp4(payload: usize, with_length: bool) -> Vec<u8> {
    let mut frame = frame(OTHER, 54);
    frame[12..14].copy_from_slice(&[8, 0]);
    frame[14..34].copy_from_slice(&[0x45, 0, 0, 0, 0xff, 0xff, 0x40, 0, 64, 6, 0, 0, 10, 0, 2, 15, 10, 0, 2, 2]);
    // Ports, sequence, acknowledgement, length and flags FIN, PSH, ACK.
    frame[34..54].copy_from_slice(&[0x12, 0x34, 0, 80, 0xff, 0xff, 0xff, 0, 0, 0, 0, 9, 0x50, 0x19, 1, 0, 0, 0, 0, 0]);
    frame.extend((0..payload).map(|i| (i * 7) as u8));
    let length = frame.len() - 14;
    if with_length {
        checksum::put(&mut frame, 16, length as u16);
    }
    let pseudo = checksum::folded_with(&frame[26..34], 6 + if with_length { length as u64 - 20 } else { 0 });
    checksum::put(&mut frame, 50, pseudo);
    frame
}

/// Both checksums of an IPv4 frame with TCP are right.
fn is_right(frame: &[u8]) -> bool {
    let length = (frame.len() - 34) as u64;
    usize::from(checksum::get(frame, 16)) == frame.len() - 14
        && checksum::folded(&frame[14..34]) == 0xffff
        && checksum::folded_with(&frame[34..], checksum::folded(&frame[26..34]) as u64 + 6 + length) == 0xffff
}

#[test]
fn frames_go_out() {
    let m = Machine::started();
    let bytes = frame(OTHER, 100);
    m.write(IMS, 0x03);
    m.legacy(0, &bytes, END | REPORT, (0, 0), 0);
    m.write(TDT, 1);
    assert_eq!(m.wire.sent(), std::slice::from_ref(&bytes));
    assert!(m.done(0) && m.level());
    assert_eq!((m.read(ICR), m.read(TDH)), (3, 1));
    // In parts, the last of which comes later; nobody asked to hear of it. Short ones are padded.
    m.legacy(1, &bytes[..10], 0, (0, 0), 0);
    m.legacy(2, &bytes[10..20], 0, (0, 0), 0);
    m.write(TDT, 3);
    assert!(m.wire.sent().is_empty() && !m.done(2));
    let saved = m.card.lock().unwrap().save();
    m.card.lock().unwrap().reset();
    m.card.lock().unwrap().restore(saved).unwrap();
    m.legacy(3, &bytes[20..30], END, (0, 0), 0);
    m.write(TDT, 4);
    assert_eq!(m.wire.sent(), [[&bytes[..30], &[0; 30]].concat()]);
    assert_eq!(m.read(ICR), 2);
    // Counted: 64 and 104 octets.
    assert_eq!((m.read(0x40d8), m.read(0x40dc), m.read(0x40d4), m.read(0x40c8)), (1, 1, 2, 168));
    // Off, they wait.
    m.write(TCTL, 0);
    m.legacy(4, &bytes, END, (0, 0), 0);
    m.write(TDT, 5);
    assert!(m.wire.sent().is_empty());
    m.write(TCTL, 2);
    assert_eq!(m.wire.sent().len(), 1);
    // Without a cable they are sent and lost.
    m.wire.set_link(false);
    m.legacy(5, &bytes, END | REPORT, (0, 0), 0);
    m.write(TDT, 6);
    assert!(m.done(5) && m.wire.sent().is_empty());
}

#[test]
fn checksums_are_put_in() {
    let m = Machine::started();
    let bytes = tcp4(101, true);
    // By a legacy descriptor: of TCP, at 16 of it.
    m.legacy(0, &bytes, END | SEGMENT, (34, 50), 0);
    m.write(TDT, 1);
    let sent = m.wire.sent();
    assert_eq!(checksum::folded_with(&sent[0][34..], checksum::folded(&sent[0][26..34]) as u64 + 6 + 121), 0xffff);
    assert_eq!(sent[0][24..26], [0, 0]);
    // Both by a context.
    m.put(SEND_BUFFERS, &bytes);
    m.context(1, 3, 20, 16, 0, 0);
    m.data(2, SEND_BUFFERS, 60, 0, 3, 0);
    m.data(3, SEND_BUFFERS + 60, bytes.len() as u32 - 60, END | REPORT, 0, 0);
    m.write(TDT, 4);
    let sent = m.wire.sent();
    assert!(is_right(&sent[0]), "{sent:x?}");
    // The context stays, and without the wish for it nothing is put in.
    m.data(4, SEND_BUFFERS, bytes.len() as u32, END, 1, 0);
    m.data(5, SEND_BUFFERS, bytes.len() as u32, END, 0, 0);
    m.write(TDT, 6);
    let sent = m.wire.sent();
    assert_eq!(sent[0][24..26], self::checksum::folded(&bytes[14..34]).to_be_bytes().map(|byte| !byte));
    assert_eq!(sent[0][34..], bytes[34..]);
    assert_eq!(sent[1], bytes);
}

#[test]
fn packets_are_cut() {
    let m = Machine::started();
    let bytes = tcp4(3001, false);
    m.put(SEND_BUFFERS, &bytes);
    m.context(0, SEGMENT | 3, 20, 16, 54, 1460);
    m.data(1, SEND_BUFFERS, 54, SEGMENT, 3, 0);
    m.data(2, SEND_BUFFERS + 54, 3001, SEGMENT | END | REPORT, 0, 0);
    m.write(TDT, 3);
    let sent = m.wire.sent();
    assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), [1514, 1514, 54 + 81]);
    for (number, segment) in sent.iter().enumerate() {
        assert!(is_right(segment), "{number}");
        let sequence = 0xffff_ff00_u32.wrapping_add(1460 * number as u32);
        assert_eq!(segment[38..42], sequence.to_be_bytes());
        assert_eq!(checksum::get(segment, 18), 0xffff_u16.wrapping_add(number as u16));
        // FIN and PSH at the end only.
        assert_eq!(segment[47], if number == 2 { 0x19 } else { 0x10 });
    }
    assert_eq!(
        sent.iter().flat_map(|segment| &segment[54..]).collect::<Vec<_>>(),
        bytes[54..].iter().collect::<Vec<_>>()
    );
    assert_eq!((m.read(0x40f8), m.read(0x40d4)), (1, 3));
    assert!(m.done(2));
}

#[test]
fn packets_of_ipv6_and_udp_are_cut() {
    let m = Machine::started();
    let mut bytes = frame(OTHER, 62);
    bytes[12..14].copy_from_slice(&[0x86, 0xdd]);
    bytes[14..62].fill(0);
    bytes.extend([7; 1000]);
    m.put(SEND_BUFFERS, &bytes);
    m.context(0, SEGMENT, 40, 6, 62, 600);
    m.data(1, SEND_BUFFERS, 1062, SEGMENT | END, 2, 0);
    m.write(TDT, 2);
    let sent = m.wire.sent();
    assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), [662, 462]);
    for segment in &sent {
        let udp = segment.len() - 54;
        assert_eq!((usize::from(checksum::get(segment, 18)), usize::from(checksum::get(segment, 58))), (udp, udp));
        assert_eq!(checksum::folded_with(&segment[54..], udp as u64), 0xffff);
    }
}

#[test]
fn what_cannot_be_cut_is_not_sent() {
    let m = Machine::started();
    m.put(SEND_BUFFERS, &tcp4(3001, false));
    // No segments, no headers, more headers than there are bytes, nothing but headers.
    for (number, (headers, segment, length)) in
        [(54, 0, 3000), (0, 1460, 3000), (255, 1460, 100), (54, 1460, 54)].iter().enumerate()
    {
        let number = 2 * number as u64;
        m.context(number, SEGMENT | 3, 20, 16, *headers, *segment);
        m.data(number + 1, SEND_BUFFERS, *length, SEGMENT | END | REPORT, 3, 0);
        m.write(TDT, number as u32 + 2);
        assert!(m.done(number + 1));
    }
    assert!(m.wire.sent().is_empty());
    assert_eq!(m.read(0x40fc), 4);
    // More segments than any driver wants: one byte each.
    m.context(8, SEGMENT | 3, 20, 16, 54, 1);
    m.data(9, SEND_BUFFERS, 3000, SEGMENT | END | REPORT, 3, 0);
    m.write(TDT, 10);
    assert!(m.done(9) && m.wire.sent().is_empty());
    assert_eq!(m.read(0x40fc), 1);
    // Headers that lie outside of the frame are left alone.
    m.describe(10, [255, 255, 0, 0, 255, 255, 0, 0, 0, 0, 0, SEGMENT | EXTENDED | 3, 0, 20, 0x10, 0]);
    m.data(11, SEND_BUFFERS, 52, SEGMENT | END, 3, 0);
    m.write(TDT, 12);
    assert_eq!(m.wire.sent().len(), 2);
}

#[test]
fn tags_are_put_in() {
    let m = Machine::started();
    let bytes = frame(OTHER, 60);
    m.write(VET, 0x8100);
    m.legacy(0, &bytes, END | TAG, (0, 0), 0x6005);
    m.write(TDT, 1);
    assert_eq!(m.wire.sent(), std::slice::from_ref(&bytes));
    m.write(CTRL, 0x4000_0041);
    m.legacy(1, &bytes, END | TAG, (0, 0), 0x6005);
    m.legacy(2, &bytes, END, (0, 0), 0x6005);
    m.legacy(3, &bytes[..8], END | TAG, (0, 0), 0x6005);
    m.write(TDT, 4);
    let tagged = [&bytes[..12], &[0x81, 0, 0x60, 5], &bytes[12..]].concat();
    assert_eq!(m.wire.sent(), [tagged, bytes.clone(), [&bytes[..8], &[0; 52]].concat()]);
}

#[test]
fn written_back_descriptors_may_wait() {
    let m = Machine::started();
    let bytes = frame(OTHER, 60);
    // 10.24 µs after the last, 30.72 µs after the first.
    m.write(0x3820, 10);
    m.write(0x382c, 30);
    let send = |number: u64, command| {
        m.legacy(number, &bytes, END | REPORT | command, (0, 0), 0);
        m.write(TDT, number as u32 + 1);
        m.read(ICR)
    };
    assert_eq!(send(0, DELAY) & 1, 0);
    m.pass(Duration::from_micros(10));
    assert_eq!(m.read(ICR) & 1, 0);
    m.pass(Duration::from_micros(1));
    assert_eq!(m.read(ICR), 1);
    for number in 1..5 {
        assert_eq!(send(number, DELAY) & 1, u32::from(number == 4), "{number}");
        m.pass(Duration::from_micros(9));
        if number == 3 {
            m.pass(Duration::from_micros(4));
        }
    }
}

#[test]
fn few_descriptors_are_told() {
    let m = Machine::started();
    m.write(0x3828, 1 << 25);
    for number in 0..12 {
        m.legacy(number, &frame(OTHER, 60), END, (0, 0), 0);
    }
    m.write(TDT, 12);
    assert_eq!(m.read(ICR), 0x8002);
    m.write(TDT, 12);
    assert_eq!(m.read(ICR), 0);
}

#[test]
fn a_full_ring_is_sent_in_bursts() {
    let m = Machine::started();
    m.put(SEND_BUFFERS, &tcp4(60_000, false));
    m.write(0x3808, 0x1000);
    for number in 0..127 {
        m.data(2 * number, SEND_BUFFERS, 60_054, SEGMENT | END, 3, 0);
        m.context(2 * number + 1, SEGMENT | 3, 20, 16, 54, 1460);
    }
    m.context(0, SEGMENT | 3, 20, 16, 54, 1460);
    m.write(TDT, 254);
    let mut bursts = 1;
    let mut total = m.wire.sent().len();
    let mut head = m.read(TDH);
    while head != 254 {
        assert_eq!(m.read(ICR) & 2, 0);
        m.pass(Duration::ZERO);
        let (now, sent) = (m.read(TDH), m.wire.sent().len());
        assert!(now > head && sent < 1000, "{now} {sent}");
        (head, total, bursts) = (now, total + sent, bursts + 1);
    }
    assert!(bursts > 4, "{bursts}");
    assert_eq!(total, 126 * 60_000usize.div_ceil(1460));
    assert_eq!(m.read(ICR) & 2, 2);
}

#[test]
fn memory_that_is_not_there() {
    let m = Machine::started();
    // The frame's: sent is nothing, but the descriptor is done.
    m.data(0, RAM as u64 - 10, 60, END | REPORT, 0, 0);
    m.data(1, u64::MAX, 60, END | REPORT, 0, 0);
    // Longer than any frame.
    m.data(2, 0, 0xfffff, END | REPORT, 0, 0);
    m.write(TDT, 3);
    assert!(m.done(0) && m.done(1) && m.done(2));
    assert!(m.wire.sent().is_empty());
    m.legacy(3, &frame(OTHER, 60), END | REPORT, (0, 0), 0);
    m.write(TDT, 4);
    assert_eq!(m.wire.sent().len(), 1);
    // Outside of the ring, or the ring outside of memory: nothing moves.
    for (register, value) in [(TDT, 16), (TDT, 0xffff), (0x3804, 1), (0x3808, 0)] {
        m.write(register, value);
        m.write(TDT, 5);
        assert!(m.wire.sent().is_empty() || register == TDT);
        m.start();
    }
    // Nor while the card may not be a bus master.
    m.legacy(0, &frame(OTHER, 60), END | REPORT, (0, 0), 0);
    m.card.lock().unwrap().core_mut().config_write(4, Size::Word, 3);
    m.write(TDT, 1);
    assert_eq!((m.read(TDH), m.wire.sent().len()), (0, 0));
    m.card.lock().unwrap().core_mut().config_write(4, Size::Word, 7);
    m.write(TDT, 1);
    assert_eq!((m.read(TDH), m.wire.sent().len()), (1, 1));
}

#[test]
fn what_is_sent_may_come_back() {
    let m = Machine::started();
    m.write(RDT, 1);
    m.set_phy(0, 0x4140);
    m.legacy(0, &frame(OWN, 60), END, (0, 0), 0);
    m.legacy(1, &frame(OWN, 61), END, (0, 0), 0);
    m.write(TDT, 2);
    assert!(m.wire.sent().is_empty());
    assert_eq!(m.bytes(RECEIVE_BUFFERS, 60), frame(OWN, 60));
    // For the second there was no buffer, and nothing comes from outside.
    assert_eq!(m.read(ICR) & 0xc0, 0xc0);
    assert_eq!((m.read(0x4010), m.read(0x40a0)), (1, 1));
    assert!(m.wire.inject(&frame(OWN, 60)));
    assert_eq!(m.read(0x4074), 1);
}
