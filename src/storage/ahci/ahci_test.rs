use std::io::ErrorKind;
use std::sync::{Arc, Mutex, Weak};

use device::bench::{Bench, check_state};
use disk::Op;
use vm_memory::{Bytes, GuestAddress};

use super::*;

const LIST: u64 = 0x1000;
const FIS: u64 = 0x2000;
const TABLES: u64 = 0x4000;
const DATA: u64 = 0x4_0000;
const RAM: usize = 0x10_0000;

const IS: u64 = 0x10;
const IE: u64 = 0x14;
const CMD: u64 = 0x18;
const TFD: u64 = 0x20;
const SIG: u64 = 0x24;
const SSTS: u64 = 0x28;
const SCTL: u64 = 0x2c;
const SACT: u64 = 0x34;
const CI: u64 = 0x38;

const DHRS: u64 = 1;
const PSS: u64 = 2;
const SDBS: u64 = 8;
const OFS: u64 = 1 << 24;
const IFS: u64 = 1 << 27;
const HBFS: u64 = 1 << 29;
const TFES: u64 = 1 << 30;

/// A machine with a disk at port 0 and a CD/DVD drive at port 1, and a small driver for them.
struct Machine {
    bench: Bench,
    ahci: Arc<Mutex<Ahci>>,
    disk: DiskQueue,
    disc: DiskQueue,
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i / 512) as u8 ^ (i % 251) as u8).collect()
}

impl Machine {
    fn new() -> Self {
        let bench = Bench::new(RAM);
        let mut ahci = Ahci::new(bench.dma(), bench.msi());
        ahci.core_mut().connect_intx(bench.line.share());
        let disk = DiskQueue::bench(pattern(1 << 20), bench.ram.clone(), false);
        let disc = DiskQueue::bench(pattern(1 << 18), bench.ram.clone(), true);
        ahci.attach(0, Drive::disk(disk.clone(), "SERIAL", "A disk"));
        ahci.attach(1, Drive::cdrom(Some(disc.clone())));
        ahci.core_mut().config_write(4, Size::Word, 6);
        let ahci = Arc::new(Mutex::new(ahci));
        let machine = Self { bench, ahci, disk, disc };
        machine.connect(&machine.disk);
        machine.connect(&machine.disc);
        machine
    }

    /// With both ports running.
    fn started() -> Self {
        let machine = Self::new();
        machine.write(0x04, 0x8000_0002);
        for port in 0..2 {
            machine.start(port);
        }
        machine.bench.levels.take();
        machine
    }

    fn connect(&self, queue: &DiskQueue) {
        let device: Weak<Mutex<Ahci>> = Arc::downgrade(&self.ahci);
        queue.connect(device);
    }

    fn start(&self, port: u64) {
        self.pwrite(port, 0x00, (LIST + port * 0x400) as u32);
        self.pwrite(port, 0x08, (FIS + port * 0x400) as u32);
        self.pwrite(port, IE, u32::MAX);
        self.pwrite(port, CMD, 1 << 4);
        self.pwrite(port, CMD, 1 << 4 | 1);
    }

    fn read(&self, offset: u64) -> u64 {
        self.ahci.lock().unwrap().bar_read(5, offset, Size::Dword)
    }
    fn write(&self, offset: u64, value: u32) {
        self.ahci.lock().unwrap().bar_write(5, offset, Size::Dword, value.into());
    }
    fn pread(&self, port: u64, register: u64) -> u64 {
        self.read(0x100 + port * 0x80 + register)
    }
    fn pwrite(&self, port: u64, register: u64, value: u32) {
        self.write(0x100 + port * 0x80 + register, value);
    }
    fn bytes(&self, at: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.bench.ram.read_slice(&mut bytes, GuestAddress(at)).unwrap();
        bytes
    }
    fn put(&self, at: u64, bytes: &[u8]) {
        self.bench.ram.write_slice(bytes, GuestAddress(at)).unwrap();
    }

    /// Fills a slot.
    fn prepare(&self, port: u64, slot: u64, fis: [u8; 20], regions: &[(u64, u32)]) {
        let table = TABLES + port * 0x2_0000 / 2 + slot * 0x400;
        let mut header = (5 | (regions.len() as u32) << 16).to_le_bytes().to_vec();
        header.extend(0u32.to_le_bytes());
        header.extend(table.to_le_bytes());
        self.put(LIST + port * 0x400 + slot * 32, &header);
        self.put(table, &fis);
        for (i, (at, len)) in regions.iter().enumerate() {
            let mut region = at.to_le_bytes().to_vec();
            region.extend(0u32.to_le_bytes());
            region.extend((len - 1).to_le_bytes());
            self.put(table + 0x80 + 16 * i as u64, &region);
        }
    }

    /// Issues a command and lets the disks do all they have to.
    fn run(&self, port: u64, fis: [u8; 20], regions: &[(u64, u32)]) -> (u64, u64) {
        self.prepare(port, 0, fis, regions);
        self.pwrite(port, CI, 1);
        while self.disk.step() || self.disc.step() {}
        let interrupts = self.pread(port, IS);
        self.pwrite(port, IS, u32::MAX);
        self.write(0x08, u32::MAX);
        (interrupts, self.pread(port, TFD))
    }

    fn packet(&self, packet: &[u8], regions: &[(u64, u32)]) -> (u64, u64) {
        let mut padded = [0; 12];
        padded[..packet.len()].copy_from_slice(packet);
        self.put(TABLES + 0x1_0000 + 0x40, &padded);
        let mut fis = ata(0xa0, 0, 0);
        fis[3] = 1;
        let result = self.run(1, fis, regions);
        if result.1 & 1 != 0 {
            self.restart(1);
        }
        result
    }

    /// The key and code of the drive's sense data.
    fn sense(&self) -> (u8, u8) {
        let (_, tfd) = self.packet(&[0x03, 0, 0, 0, 18], &[(DATA, 18)]);
        assert_eq!(tfd, 0x50);
        let bytes = self.bytes(DATA, 18);
        (bytes[2], bytes[12])
    }

    fn restart(&self, port: u64) {
        self.pwrite(port, CMD, 1 << 4);
        assert_eq!(self.pread(port, CMD) & 1 << 15, 0);
        self.pwrite(port, CMD, 1 << 4 | 1);
    }
}

fn ata(command: u8, lba: u64, count: u16) -> [u8; 20] {
    let [a, b, c, d, e, f, ..] = lba.to_le_bytes();
    let [low, high] = count.to_le_bytes();
    [0x27, 0x80, command, 0, a, b, c, 0x40, d, e, f, 0, low, high, 0, 0, 0, 0, 0, 0]
}

fn queued(command: u8, tag: u8, lba: u64, count: u16) -> [u8; 20] {
    let mut fis = ata(command, lba, u16::from(tag) << 3);
    [fis[3], fis[11]] = count.to_le_bytes();
    fis
}

#[test]
fn what_drivers_look_for() {
    let m = Machine::new();
    assert_eq!(m.read(0x00), 0xe024_1f05);
    assert_eq!(m.read(0x0c), 0x3f);
    assert_eq!(m.read(0x10), 0x1_0301);
    assert_eq!(m.pread(0, SSTS), 0x123);
    assert_eq!(m.pread(2, SSTS), 0);
    assert_eq!((m.pread(0, TFD), m.pread(0, SIG)), (0x7f, 0xffff_ffff));
    m.start(0);
    m.start(1);
    assert_eq!((m.pread(0, TFD), m.pread(0, SIG)), (0x150, 0x101));
    assert_eq!((m.pread(1, TFD), m.pread(1, SIG)), (0x100, 0xeb14_0101));
    assert_eq!(m.bytes(FIS + 0x40, 4), [0x34, 0, 0x50, 1]);
    assert_eq!(m.pread(0, CMD), 0xc017);
    let mut ahci = m.ahci.lock().unwrap();
    ahci.bar_write(4, 0x10, Size::Dword, 0x128);
    assert_eq!(ahci.bar_read(4, 0x14, Size::Dword), 0x123);
    assert_eq!(ahci.bar_read(5, 0x102, Size::Qword), 0);
    assert_eq!(ahci.bar_read(5, 0x0d, Size::Word), 0);
    ahci.bar_write(5, 0x107, Size::Byte, 0xab);
    assert_eq!(ahci.bar_read(5, 0x100, Size::Qword), 0xab00_0000_0000_1000);
    ahci.bar_write(5, 0x106, Size::Dword, u64::MAX);
    assert_eq!(ahci.bar_read(5, 0x104, Size::Dword), 0xab00_0000);
}

#[test]
fn identify_by_pio() {
    let m = Machine::started();
    let (is, tfd) = m.run(0, ata(0xec, 0, 0), &[(DATA, 100), (DATA + 100, 412)]);
    assert_eq!((is, tfd), (DHRS | PSS, 0x50));
    let identity = m.bytes(DATA, 512);
    assert_eq!(&identity[20..26], b"ESIRLA");
    assert_eq!(&identity[200..208], &2048u64.to_le_bytes());
    assert_eq!(identity.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)), 0);
    assert_eq!(m.bytes(LIST + 4, 4), 512u32.to_le_bytes());
    assert_eq!(m.pread(0, CI), 0);
    assert_eq!(m.bench.levels.take(), [true, false]);
    // A drive that is not a disk says so.
    let (is, tfd) = m.run(1, ata(0xec, 0, 0), &[(DATA, 512)]);
    assert_eq!((is, tfd), (DHRS | TFES, 0x451));
    assert_eq!(&m.bytes(FIS + 0x440, 7)[4..], [0x01, 0x14, 0xeb]);
    m.restart(1);
    let (_, tfd) = m.run(1, ata(0xa1, 0, 0), &[(DATA, 512)]);
    assert_eq!(tfd, 0x50);
    assert_eq!(&m.bytes(DATA, 2), &0x85c0u16.to_le_bytes());
}

#[test]
fn reads_and_writes() {
    let m = Machine::started();
    let contents = pattern(1 << 20);
    for (command, lba28) in [(0xc8, true), (0x20, true), (0x25, false), (0x24, false)] {
        let fis = ata(command, 3, 4);
        let (is, tfd) = m.run(0, fis, &[(DATA, 1000), (DATA + 0x8000, 2000)]);
        assert_eq!((is & !PSS, tfd), (DHRS, 0x50), "{command:#x} {lba28}");
        assert_eq!(m.bytes(DATA, 1000), contents[1536..2536]);
        assert_eq!(m.bytes(DATA + 0x8000, 1048), contents[2536..3584]);
        assert_eq!(m.bytes(LIST + 4, 4), 2048u32.to_le_bytes());
    }
    m.put(DATA, &[0xee; 1024]);
    for command in [0xca, 0x35, 0x30, 0x34, 0x3d] {
        let lba = u64::from(command) * 2;
        assert_eq!(m.run(0, ata(command, lba, 2), &[(DATA, 1024)]).1, 0x50);
        assert_eq!(m.disk.contents()[lba as usize * 512..][..1024], [0xee; 1024]);
    }
    assert_eq!(m.disk.flushes(), 1);
    let counted = m.disk.counters();
    assert_eq!((counted.rd_operations, counted.rd_bytes), (4, 4 * 2048));
    assert_eq!((counted.wr_operations, counted.wr_bytes), (5, 5 * 1024));
    for command in [0xe7, 0xea, 0xe0, 0xe6] {
        assert_eq!(m.run(0, ata(command, 0, 0), &[]).1, 0x50);
    }
    assert_eq!(m.disk.flushes(), 5);
    // Cylinder, head, sector: 0, 1, 1.
    let mut fis = ata(0xc8, 1, 1);
    fis[7] = 0x01;
    assert_eq!(m.run(0, fis, &[(DATA, 512)]).1, 0x50);
    assert_eq!(m.bytes(DATA, 512), contents[63 * 512..64 * 512]);
    // Multiple needs to be set first.
    assert_eq!(m.run(0, ata(0xc4, 0, 1), &[(DATA, 512)]).1, 0x451);
    m.restart(0);
    assert_eq!(m.run(0, ata(0xc6, 0, 16), &[]).1, 0x50);
    assert_eq!(m.run(0, ata(0xc4, 0, 1), &[(DATA, 512)]).1, 0x50);
}

#[test]
fn writes_are_durable_without_a_cache() {
    let m = Machine::started();
    let mut fis = ata(0xef, 0, 0);
    fis[3] = 0x82;
    assert_eq!(m.run(0, fis, &[]).1, 0x50);
    assert_eq!(m.disk.flushes(), 1);
    assert_eq!(m.run(0, ata(0x35, 0, 1), &[(DATA, 512)]).1, 0x50);
    assert_eq!(m.disk.flushes(), 2);
    m.run(0, ata(0xec, 0, 0), &[(DATA, 512)]);
    assert_eq!(m.bytes(DATA + 170, 1)[0] & 0x20, 0);
}

#[test]
fn addresses_are_checked_whole() {
    let m = Machine::started();
    for fis in [
        ata(0x25, 2048, 1),
        ata(0x25, 2047, 2),
        ata(0x25, 0, 0),
        ata(0x35, 0xffff_ffff_ffff, 0),
        ata(0x42, 2048, 1),
        ata(0xc8, 0xff_ffff, 1),
    ] {
        let (is, tfd) = m.run(0, fis, &[(DATA, 0x40_0000)]);
        assert_eq!((is, tfd), (DHRS | TFES, 0x1051));
        assert_eq!(m.pread(0, CI), 1);
        m.restart(0);
        assert_eq!(m.pread(0, CI), 0);
    }
    assert!(m.disk.waiting().is_empty());
    assert_eq!(m.run(0, ata(0x27, 0, 0), &[]).1, 0x50);
    assert_eq!(m.bytes(FIS + 0x44, 2), [0xff, 0x07]);
}

#[test]
fn queued_commands_share_the_disk() {
    let m = Machine::started();
    for tag in 0..4 {
        m.prepare(0, tag, queued(0x60, tag as u8, tag * 8, 1), &[(DATA + tag * 0x1000, 512)]);
        m.pwrite(0, SACT, 1 << tag);
        m.pwrite(0, CI, 1 << tag);
        assert_eq!(m.pread(0, CI), 0);
    }
    // What is not queued waits.
    m.prepare(0, 9, ata(0xe7, 0, 0), &[]);
    m.pwrite(0, CI, 1 << 9);
    assert_eq!(m.disk.waiting().len(), 4);
    assert_eq!((m.pread(0, SACT), m.pread(0, CI)), (0xf, 1 << 9));
    assert_eq!(m.pread(0, IS), 0);
    m.disk.step();
    assert_eq!((m.pread(0, SACT), m.pread(0, IS)), (0xe, SDBS));
    assert_eq!(m.bytes(FIS + 0x58, 8), [0xa1, 0x40, 0x50, 0, 1, 0, 0, 0]);
    m.disk.steps(3);
    assert_eq!(m.pread(0, SACT), 0);
    assert!(matches!(m.disk.waiting()[..], [Op::Flush]));
    m.disk.step();
    assert_eq!(m.pread(0, CI), 0);
    for tag in 0..4 {
        assert_eq!(m.bytes(DATA + tag * 0x1000, 512), pattern(1 << 20)[tag as usize * 4096..][..512]);
    }
}

#[test]
fn a_queued_failure_is_logged() {
    let m = Machine::started();
    for tag in [3, 5] {
        m.prepare(0, tag, queued(0x60, tag as u8, 0x123, 1), &[(DATA, 512)]);
    }
    m.pwrite(0, SACT, 0x28);
    m.pwrite(0, CI, 0x28);
    m.disk.fail_next(ErrorKind::Other);
    m.disk.step();
    assert_eq!((m.pread(0, TFD), m.pread(0, SACT)), (0x4051, 0x28));
    assert_eq!(m.pread(0, IS), SDBS | TFES);
    m.pwrite(0, IS, u32::MAX);
    m.pwrite(0, CMD, 1 << 4);
    // The other one is still with the disk: the list is not done before it is.
    assert_eq!(m.pread(0, CMD) & 1 << 15, 1 << 15);
    m.disk.step();
    assert_eq!(m.pread(0, CMD) & 1 << 15, 0);
    assert_eq!(m.pread(0, IS), 0);
    m.pwrite(0, CMD, 1 << 4 | 1);
    assert_eq!(m.run(0, ata(0x2f, 0x10, 1), &[(DATA, 512)]).1, 0x50);
    let log = m.bytes(DATA, 512);
    assert_eq!(&log[..8], [if log[0] == 5 { 5 } else { 3 }, 0, 0x51, 0x40, 0x23, 0x01, 0, 0x40]);
    assert_eq!(m.run(0, ata(0x47, 0x10, 1), &[(DATA, 512)]).1, 0x50);
    assert_eq!(m.bytes(DATA, 1), [0x80]);
    // Beyond the disk, and a tag of another slot.
    for (slot, fis) in [(0, queued(0x61, 0, 4000, 1)), (1, queued(0x60, 2, 0, 1)), (0, queued(0x65, 0, 0, 1))] {
        m.prepare(0, slot, fis, &[(DATA, 512)]);
        m.pwrite(0, SACT, 1 << slot);
        m.pwrite(0, CI, 1 << slot);
        assert_ne!(m.pread(0, IS) & TFES, 0);
        m.pwrite(0, IS, u32::MAX);
        m.restart(0);
    }
    assert!(m.disk.waiting().is_empty());
}

#[test]
fn host_errors_reach_the_guest() {
    let m = Machine::started();
    m.disk.fail_next(ErrorKind::Other);
    assert_eq!(m.run(0, ata(0x25, 0, 1), &[(DATA, 512)]).1, 0x4051);
    m.restart(0);
    m.packet(&[0], &[]);
    m.disc.fail_next(ErrorKind::Other);
    assert_eq!(m.packet(&[0x28, 0, 0, 0, 0, 0, 0, 0, 1], &[(DATA, 2048)]).1, 0x3451);
    assert_eq!(m.sense(), (3, 0x11));
}

#[test]
fn memory_that_is_not_there() {
    let m = Machine::started();
    let beyond = RAM as u64;
    for (regions, wanted) in [
        (vec![(beyond, 512)], HBFS),
        (vec![(beyond - 256, 512)], HBFS),
        (vec![(u64::MAX - 1, 512)], HBFS),
        (vec![(DATA, 510)], OFS | DHRS | TFES),
        (vec![], OFS | DHRS | TFES),
    ] {
        for fis in [ata(0x25, 0, 1), ata(0x35, 0, 1)] {
            assert_eq!(m.run(0, fis, &regions).0, wanted, "{regions:x?}");
            m.restart(0);
        }
        m.prepare(0, 0, queued(0x60, 0, 0, 1), &regions);
        m.pwrite(0, SACT, 1);
        m.pwrite(0, CI, 1);
        m.disk.steps(9);
        assert_ne!(m.pread(0, IS) & (HBFS | TFES), 0);
        m.pwrite(0, IS, u32::MAX);
        m.restart(0);
    }
    // Tables, lists and FIS areas.
    m.prepare(0, 0, ata(0x25, 0, 1), &[(DATA, 512)]);
    m.put(LIST + 8, &u64::MAX.to_le_bytes());
    m.pwrite(0, CI, 1);
    assert_eq!(m.pread(0, IS), HBFS);
    m.pwrite(0, IS, u32::MAX);
    m.restart(0);
    m.pwrite(0, 0x04, u32::MAX);
    m.pwrite(0, CI, 1);
    assert_eq!(m.pread(0, IS), HBFS);
    m.pwrite(0, 0x04, 0);
    m.pwrite(0, IS, u32::MAX);
    m.restart(0);
    m.pwrite(0, 0x0c, u32::MAX);
    assert_ne!(m.run(0, ata(0xe5, 0, 0), &[]).0 & HBFS, 0);
    m.pwrite(0, 0x0c, 0);
    m.restart(0);
    // What is not a register FIS, or has no length.
    let (is, _) = m.run(0, [0x46; 20], &[]);
    assert_eq!(is, IFS);
    m.restart(0);
    m.prepare(0, 0, ata(0xe5, 0, 0), &[]);
    m.put(LIST, &[0, 0]);
    m.pwrite(0, CI, 1);
    assert_eq!(m.pread(0, IS), IFS);
    m.pwrite(0, IS, u32::MAX);
    m.restart(0);
    m.ahci.lock().unwrap().core_mut().config_write(4, Size::Word, 2);
    assert_eq!(m.run(0, ata(0xe5, 0, 0), &[]).0, HBFS);
}

#[test]
fn resets_wait_for_the_disk_and_drop_its_answers() {
    let m = Machine::started();
    m.prepare(0, 0, ata(0x25, 0, 1), &[(DATA, 512)]);
    m.pwrite(0, CI, 1);
    assert_eq!(m.pread(0, TFD) & 0x80, 0x80);
    m.pwrite(0, SCTL, 0x301);
    m.pwrite(0, SCTL, 0x300);
    assert_eq!((m.pread(0, SSTS), m.pread(0, TFD)), (0, 0x7f));
    m.disk.step();
    assert_eq!((m.pread(0, SSTS), m.pread(0, TFD), m.pread(0, SIG)), (0x123, 0x150, 0x101));
    assert_eq!((m.pread(0, IS), m.pread(0, CI)), (0, 0));
    // The adapter.
    m.pwrite(0, CI, 1);
    m.write(0x04, 0x8000_0003);
    assert_eq!(m.read(0x04), 0x8000_0001);
    m.disk.step();
    assert_eq!(m.read(0x04), 0x8000_0000);
    assert_eq!((m.pread(0, 0), m.pread(0, IE), m.pread(0, SSTS)), (LIST, 0, 0x123));
    m.start(0);
    assert_eq!(m.run(0, ata(0x25, 0, 1), &[(DATA, 512)]).1, 0x50);
    // The machine, which drains first.
    m.pwrite(0, CI, 1);
    m.disk.steps(9);
    m.ahci.lock().unwrap().reset();
    assert_eq!(m.pread(0, SSTS), 0x123);
    assert_eq!(m.pread(0, CMD), 6);
}

#[test]
fn software_reset() {
    let m = Machine::started();
    let mut control = ata(0, 0, 0);
    control[1] = 0;
    control[15] = 4;
    m.run(1, control, &[]);
    assert_eq!(m.pread(1, CI), 0);
    m.pwrite(1, CMD, 1 << 4 | 1);
    control[15] = 0;
    let (is, tfd) = m.run(1, control, &[]);
    assert_eq!((is, tfd, m.pread(1, SIG)), (0, 0x100, 0xeb14_0101));
    assert_eq!(m.run(0, ata(0x90, 0, 0), &[]).1, 0x150);
    assert_eq!(m.bytes(FIS + 0x4c, 1), [1]);
}

#[test]
fn trim_discards() {
    let m = Machine::started();
    let mut list = vec![0; 512];
    list[..8].copy_from_slice(&(8 | 8u64 << 48).to_le_bytes());
    list[16..24].copy_from_slice(&(100 | 2u64 << 48).to_le_bytes());
    m.put(DATA, &list);
    let mut fis = ata(0x06, 0, 1);
    fis[3] = 1;
    assert_eq!(m.run(0, fis, &[(DATA, 512)]).1, 0x50);
    let contents = m.disk.contents();
    assert_eq!(contents[8 * 512..16 * 512], [0; 4096]);
    assert_eq!(contents[100 * 512..102 * 512], [0; 1024]);
    assert_eq!(contents[16 * 512..100 * 512], pattern(1 << 20)[16 * 512..100 * 512]);
    list[24..32].copy_from_slice(&(2047 | 2u64 << 48).to_le_bytes());
    m.put(DATA, &list);
    assert_eq!(m.run(0, fis, &[(DATA, 512)]).1, 0x1051);
    m.restart(0);
    fis[12] = 9;
    assert_eq!(m.run(0, fis, &[(DATA, 512 * 9)]).1, 0x451);
}

#[test]
fn small_commands() {
    let m = Machine::started();
    let with = |command, features, lba, count| {
        let mut fis = ata(command, lba, count);
        fis[3] = features;
        fis
    };
    for (fis, wanted) in [
        (with(0xb0, 0xda, 0xc24f00, 0), 0x50),
        (with(0xb0, 0xd0, 0xc24f00, 0), 0x50),
        (with(0xb0, 0xd1, 0xc24f00, 0), 0x50),
        (with(0xb0, 0xd5, 0xc24f06, 1), 0x50),
        (with(0xb0, 0xd5, 0xc24f30, 1), 0x451),
        (with(0xb0, 0xda, 0, 0), 0x451),
        (with(0xb0, 0xd9, 0xc24f00, 0), 0x50),
        (with(0xb0, 0xda, 0xc24f00, 0), 0x451),
        (with(0xb0, 0xd8, 0xc24f00, 0), 0x50),
        (with(0xef, 0x03, 0, 0x45), 0x50),
        (with(0xef, 0x03, 0, 0x47), 0x451),
        (with(0xef, 0xaa, 0, 0), 0x50),
        (with(0xef, 0x99, 0, 0), 0x451),
        (with(0xc6, 0, 0, 3), 0x451),
        (with(0x91, 0, 0, 63), 0x50),
        (with(0x91, 0, 0, 0), 0x451),
        (with(0x2f, 0, 0x00, 1), 0x50),
        (with(0x2f, 0, 0x30, 1), 0x451),
        (with(0x10, 0, 0, 0), 0x50),
        (with(0x00, 0, 0, 0), 0x451),
        (with(0xa0, 0, 0, 0), 0x451),
        (with(0xff, 0, 0, 0), 0x451),
    ] {
        assert_eq!(m.run(0, fis, &[(DATA, 512)]).1, wanted, "{fis:x?}");
        if wanted & 1 == 1 {
            m.restart(0);
        }
    }
    m.run(0, ata(0xe0, 0, 0), &[]);
    m.run(0, ata(0xe5, 0, 0), &[]);
    assert_eq!(m.bytes(FIS + 0x4c, 1), [0]);
    m.run(0, ata(0xe1, 0, 0), &[]);
    m.run(0, ata(0xe5, 0, 0), &[]);
    assert_eq!(m.bytes(FIS + 0x4c, 1), [0xff]);
}

#[test]
fn packets() {
    let m = Machine::started();
    // The first command hears of the reset.
    assert_eq!(m.packet(&[0], &[]), (DHRS | TFES, 0x6451));
    assert_eq!(m.sense(), (6, 0x29));
    assert_eq!(m.packet(&[0], &[]), (DHRS, 0x50));
    assert_eq!(m.bytes(FIS + 0x44c, 1), [3]);
    let (_, tfd) = m.packet(&[0x12, 0, 0, 0, 36], &[(DATA, 36)]);
    assert_eq!((tfd, m.bytes(DATA, 2)), (0x50, vec![5, 0x80]));
    assert_eq!(m.packet(&[0x28, 0, 0, 0, 0, 3, 0, 0, 2], &[(DATA, 4096)]).1, 0x50);
    assert_eq!(m.bytes(DATA, 4096), pattern(1 << 18)[3 * 2048..5 * 2048]);
    assert_eq!(m.bytes(LIST + 0x404, 4), 4096u32.to_le_bytes());
    assert_eq!(m.packet(&[0x28, 0, 0, 0, 0, 127, 0, 0, 2], &[(DATA, 4096)]).1, 0x5451);
    assert_eq!(m.sense(), (5, 0x21));
    // Too little room for blocks: an error; for a reply: as much as fits.
    assert_eq!(m.packet(&[0x28, 0, 0, 0, 0, 0, 0, 0, 2], &[(DATA, 2048)]).0, OFS | DHRS | TFES);
    assert_eq!(m.packet(&[0x12, 0, 0, 0, 36], &[(DATA, 8)]), (OFS | DHRS, 0x50));
    // MODE SELECT takes parameters.
    m.put(DATA, &[0, 0, 0, 0, 0, 0, 0, 0, 1, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(m.packet(&[0x55, 0x10, 0, 0, 0, 0, 0, 0, 20], &[(DATA, 20)]).1, 0x50);
    assert_eq!(m.packet(&[0x55, 0x10, 0, 0, 0, 0, 0, 0, 19], &[(DATA, 20)]).1, 0x5451);
    // By PIO.
    m.put(TABLES + 0x1_0040, &[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(m.run(1, ata(0xa0, 0, 0), &[(DATA, 8)]), (DHRS | PSS, 0x50));
    assert_eq!(m.bytes(DATA, 8), [0, 0, 0, 127, 0, 0, 8, 0]);
}

#[test]
fn media_change_and_notification() {
    let m = Machine::started();
    m.packet(&[0], &[]);
    let mut fis = ata(0xef, 0, 5);
    fis[3] = 0x10;
    assert_eq!(m.run(1, fis, &[]).1, 0x50);
    assert_eq!(m.packet(&[0x1e, 0, 0, 0, 1], &[]).1, 0x50);
    let refused = m.ahci.lock().unwrap().insert_medium(1, None, false);
    assert_eq!(refused.err(), Some(MediumError::Locked(Locked)));
    assert_eq!((m.pread(1, IS), m.pread(1, 0x3c)), (SDBS, 1));
    assert_eq!(m.bytes(FIS + 0x458, 2), [0xa1, 0xc0]);
    m.pwrite(1, 0x3c, 1);
    m.pwrite(1, IS, u32::MAX);
    // The guest sees the wish, lets go, and ejects.
    let poll = [0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8];
    m.packet(&poll, &[(DATA, 8)]);
    assert_eq!(m.bytes(DATA, 8), [0, 6, 4, 0x10, 1, 2, 0, 0]);
    assert_eq!(m.packet(&[0x1b, 0, 0, 0, 2], &[]).1, 0x5451);
    m.packet(&[0x1e], &[]);
    assert_eq!(m.packet(&[0x1b, 0, 0, 0, 2], &[]).1, 0x50);
    assert!(m.ahci.lock().unwrap().cdrom(1).unwrap().is_open());
    assert_eq!(m.packet(&[0x25], &[(DATA, 8)]).1, 0x2451);
    let fresh = DiskQueue::bench(pattern(1 << 16), m.bench.ram.clone(), true);
    m.connect(&fresh);
    let old = m.ahci.lock().unwrap().insert_medium(1, Some(fresh.clone()), false).unwrap();
    assert_eq!(old.unwrap().size(), 1 << 18);
    m.packet(&poll, &[(DATA, 8)]);
    assert_eq!(m.bytes(DATA + 4, 2), [2, 2]);
    assert_eq!(m.packet(&[0x25], &[(DATA, 8)]).1, 0x6451);
    assert_eq!(m.sense(), (6, 0x28));
    m.packet(&[0x25], &[(DATA, 8)]);
    assert_eq!(m.bytes(DATA, 4), [0, 0, 0, 31]);
    assert_eq!(m.ahci.lock().unwrap().insert_medium(0, None, true).err(), Some(MediumError::NoDrive));
}

#[test]
fn messages_are_edges() {
    let m = Machine::started();
    {
        let mut ahci = m.ahci.lock().unwrap();
        ahci.core_mut().config_write(0x44, Size::Dword, 0xfee0_0000);
        ahci.core_mut().config_write(0x4c, Size::Word, 0x51);
        ahci.core_mut().config_write(0x42, Size::Word, 1);
    }
    for tag in 0..2 {
        m.prepare(0, tag, queued(0x60, tag as u8, 0, 1), &[(DATA, 512)]);
    }
    m.pwrite(0, SACT, 3);
    m.pwrite(0, CI, 3);
    m.disk.step();
    assert_eq!(m.bench.messages.take(), [(0xfee0_0000, 0x51)]);
    // The guest's handler: port, then adapter; nothing new.
    m.pwrite(0, IS, u32::MAX);
    m.write(0x08, 1);
    assert!(m.bench.messages.take().is_empty());
    m.disk.step();
    assert_eq!(m.bench.messages.take().len(), 1);
    // Only the adapter: the port still asks.
    m.write(0x08, 1);
    assert_eq!(m.read(0x08), 1);
    assert_eq!(m.bench.messages.take().len(), 1);
    m.pwrite(0, IS, u32::MAX);
    m.write(0x08, 1);
    assert!(m.bench.messages.take().is_empty());
    assert!(m.bench.levels.take().is_empty());
}

#[test]
fn state() {
    let m = Machine::started();
    m.run(0, ata(0xec, 0, 0), &[(DATA, 512)]);
    m.run(0, ata(0x25, 1 << 30, 1), &[(DATA, 512)]);
    m.packet(&[0x1e, 0, 0, 0, 1], &[]);
    let mut ahci = m.ahci.lock().unwrap();
    check_state(&mut *ahci, Device::reset);
    drop(ahci);
    assert_eq!(m.pread(0, CI), 1);
    m.restart(0);
    assert_eq!(m.run(0, ata(0x25, 0, 1), &[(DATA, 512)]).1, 0x50);
}

#[test]
fn foreign_states_are_refused() {
    let m = Machine::started();
    let mut ahci = m.ahci.lock().unwrap();
    let good = serde_json::to_value(ahci.save()).unwrap();
    for (path, value) in [
        ("/ports/0/registers/command_list", 5.into()),
        ("/ports/0/registers/fis_area", 5.into()),
        ("/ports/0/registers/current_slot", 32.into()),
        ("/ports/0/registers/command", u32::MAX.into()),
        ("/ports/0/drive", serde_json::Value::Null),
        ("/ports/0/drive/disk/settings/heads", 0.into()),
        ("/ports/0/drive/disk/settings/transfer_mode", 7.into()),
        ("/ports/1/drive/cdrom/cd/sense/key", 16.into()),
        ("/ports/2/registers/sata_status", 3.into()),
        ("/interrupts", 64.into()),
        ("/index", 3.into()),
        ("/ports", serde_json::json!([])),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(path).unwrap_or_else(|| panic!("{path}")) = value;
        let refused = serde_json::from_value(bad).map(|state| ahci.restore(state).is_err()).unwrap_or(true);
        assert!(refused, "{path}");
    }
    ahci.restore(serde_json::from_value(good).unwrap()).unwrap();
}

#[path = "abuse_test.rs"]
mod abuse;
#[path = "full_test.rs"]
mod full;
