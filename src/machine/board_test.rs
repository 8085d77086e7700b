//! The whole board under a guest that means harm, and under saved states that do: every device with its real wiring, threads and
//! doorbells; KVM alone is played.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use api::machine::{ImageFormat, MacAddress, NetworkModel, SoundCard, Usb, UsbController};
use api::spec::DriveSpecKind;
use device::bench::Random;
use device::pci::{AddressSpace, SharedMemory};
use device::{LineSink, MsiSink, Size};
use kvm::Access;
use vm_memory::{Bytes, GuestAddress};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::*;
use crate::assembly::Parts;
use crate::doorbells::BellThread;
use crate::drives::Drives;
use crate::memory;
use crate::setup::{Drive, Firmware, Image, Network, Setup};
use crate::wishes::Wishes;

const RAM: u64 = 32 << 20;
const ECAM: u64 = 0xb000_0000;
const PM: u64 = 0x600;
const RCBA: u64 = 0xfed1_c000;
/// Where BARs go.
const BARS: u64 = 0xc000_0000;
const BAR_PORTS: u64 = 0xc000;
/// No access takes longer, however busy the host is.
const LONGEST: Duration = Duration::from_secs(20);

/// KVM as far as the board sees it: slots that must not overlap, and interrupts that nobody takes.
#[derive(Default)]
struct Played {
    /// Start and end by slot, as KVM knows them; views of shared memory come behind RAM's.
    slots: Mutex<BTreeMap<u64, (u64, u64)>>,
}

struct Nobody;
impl LineSink for Nobody {
    fn set_level(&self, _: bool) {}
}
impl MsiSink for Nobody {
    fn deliver(&self, _: u64, _: u32) {}
}

fn slot_of(memory: &SharedMemory, view: u32) -> u64 {
    64 + u64::from(memory.id()) * 8 + u64::from(view)
}

impl Played {
    fn map(&self, slot: u64, at: u64, size: u64) -> Result<(), kvm::Error> {
        let mut slots = lock(&self.slots);
        slots.remove(&slot);
        let range = (at, at + size);
        if slots.values().any(|other| other.0 < range.1 && range.0 < other.1) {
            return Err(kvm::Error::Missing("room"));
        }
        slots.insert(slot, range);
        Ok(())
    }
}

impl Hypervisor for Played {
    fn line(&self, _: u32) -> IrqLine {
        IrqLine::new(Box::new(Nobody))
    }
    fn msi(&self) -> Msi {
        Msi::new(Arc::new(Nobody))
    }
    fn set_pit_muted(&self, _: bool) -> Result<(), kvm::Error> {
        Ok(())
    }
    fn map_ram(&self, slot: u32, _: &Ram, at: u64, size: u64, _: Access) -> Result<(), kvm::Error> {
        self.map(slot.into(), at, size)
    }
    fn unmap(&self, slot: u32) {
        lock(&self.slots).remove(&slot.into());
    }
    fn map_shared(
        &self,
        view: u32,
        memory: &Arc<SharedMemory>,
        offset: u64,
        at: u64,
        size: u64,
    ) -> Result<(), kvm::Error> {
        assert!(offset + size <= memory.size());
        self.map(slot_of(memory, view), at, size)
    }
    fn unmap_shared(&self, view: u32, memory: &SharedMemory) {
        lock(&self.slots).remove(&slot_of(memory, view));
    }
    fn add_doorbell(&self, _: Devfn, _: u16) -> std::io::Result<EventFd> {
        EventFd::new(EFD_NONBLOCK)
    }
}

impl AddressSpace for Played {
    fn place_memory(&self, memory: &Arc<SharedMemory>, at: Option<u64>) -> bool {
        match at {
            Some(at) => self.map_shared(0, memory, 0, at, memory.size()).is_ok(),
            None => {
                self.unmap_shared(0, memory);
                true
            }
        }
    }
    fn place_doorbell(&self, _: Devfn, _: u16, _: Option<u64>) {}
    fn take_dirty(&self, memory: &SharedMemory) -> Vec<u64> {
        vec![u64::MAX; memory.size().div_ceil(4096 * 64) as usize]
    }
}

/// What runs in the machine.
struct Guest {
    buses: Arc<Buses>,
    ram: Ram,
    random: Random,
    /// BARs of memory that were assigned.
    places: Vec<u64>,
}

struct Machine {
    board: Board,
    parts: Parts,
    bells: BellThread,
    guest: Guest,
    _cables: [UnixStream; 2],
}

impl Guest {
    fn new(board: &Board, seed: u64) -> Self {
        let (buses, ram) = (Arc::clone(&board.buses), board.ram.clone());
        Self { buses, ram, random: Random::new(seed), places: Vec::new() }
    }

    fn config(&self, devfn: u64, register: u64, size: Size) -> u64 {
        self.buses.mmio.read(ECAM | devfn << 12 | register, size)
    }

    fn set_config(&self, devfn: u64, register: u64, size: Size, value: u64) {
        self.buses.mmio.write(ECAM | devfn << 12 | register, size, value);
    }

    /// What firmware does: everything gets its place and is switched on.
    fn set_up(&mut self) {
        let ports = &self.buses.ports;
        // PCIEXBAR, by the way that is always there.
        for (register, value) in [(0x8000_0064_u32, 0), (0x8000_0060, ECAM as u32 | 1)] {
            ports.write(0xcf8, Size::Dword, register);
            ports.write(0xcfc, Size::Dword, value);
        }
        self.set_config(0xf8, 0x40, Size::Dword, PM | 1);
        self.set_config(0xf8, 0x44, Size::Byte, 0x80);
        self.set_config(0xf8, 0xf0, Size::Dword, RCBA | 1);
        let (mut memory, mut port) = (BARS, BAR_PORTS);
        self.places.clear();
        for devfn in 0..256 {
            if self.config(devfn, 0, Size::Word) == 0xffff {
                continue;
            }
            self.set_config(devfn, 4, Size::Word, 0);
            for register in [0x10, 0x14, 0x18, 0x1c, 0x20, 0x24, 0x30] {
                self.set_config(devfn, register, Size::Dword, 0xffff_ffff);
                let mask = self.config(devfn, register, Size::Dword);
                let next = match mask {
                    0 => continue,
                    _ if register != 0x30 && mask & 1 != 0 => &mut port,
                    _ => &mut memory,
                };
                let size = (!(mask & !0xf) & 0xffff_ffff) + 1;
                let at = next.next_multiple_of(size);
                *next = at + size;
                self.set_config(devfn, register, Size::Dword, at | u64::from(register == 0x30));
                if at >= BARS {
                    self.places.push(at);
                }
            }
            self.set_config(devfn, 4, Size::Word, 7);
        }
        // Another processor may have moved the configuration space away meanwhile.
        self.places.push(BARS);
    }

    /// Sets up a virtio function's queues over noise, and rings.
    fn start_driver(&mut self) {
        let random = &mut self.random;
        let registers = random.pick(&self.places) + random.pick(&[0, 0, 0x1000]);
        let mmio = &self.buses.mmio;
        for status in [0, 1, 3] {
            mmio.write(registers + 0x14, Size::Byte, status);
        }
        mmio.write(registers + 0x08, Size::Dword, 1);
        mmio.write(registers + 0x0c, Size::Dword, 1);
        mmio.write(registers + 0x14, Size::Byte, 11);
        for queue in 0..4 {
            mmio.write(registers + 0x16, Size::Word, queue);
            let size = 1 << random.below(5);
            mmio.write(registers + 0x18, Size::Word, size);
            let at = 0x10_0000 + random.below(64) * 0x1000;
            for (register, address) in [(0x20, at), (0x28, at + 0x400), (0x30, at + 0x800)] {
                mmio.write(registers + register, Size::Qword, address);
            }
            mmio.write(registers + 0x1c, Size::Word, 1);
            for descriptor in 0..size {
                let buffer = 0x20_0000 + random.below(0x10_0000);
                let length = if random.once_in(8) { random.value() } else { random.below(0x400) } & 0xffff_ffff;
                let flags = random.pick(&[0, 0, 2, 2, 1, 3, 4, 7]);
                let link = flags << 32 | random.below(size) << 48;
                let bytes = [buffer, length | link].map(u64::to_le_bytes).concat();
                let noise: Vec<u8> = (0..32).map(|_| (random.value() & 0xff) as u8).collect();
                self.ram.write_slice(&bytes, GuestAddress(at + 16 * descriptor)).unwrap();
                self.ram.write_slice(&noise, GuestAddress(buffer)).unwrap();
            }
            let first = random.below(size);
            let mut heads: Vec<_> = (0..size).map(|head| ((first + head) % size) as u16).collect();
            if random.once_in(8) {
                heads[0] = random.value() as u16;
            }
            let heads: Vec<u8> = heads.into_iter().flat_map(u16::to_le_bytes).collect();
            let offered = if random.once_in(8) { random.value() as u16 } else { size as u16 };
            self.ram.write_obj(offered, GuestAddress(at + 0x402)).unwrap();
            self.ram.write_slice(&heads, GuestAddress(at + 0x404)).unwrap();
        }
        mmio.write(registers + 0x14, Size::Byte, 15);
        for queue in 0..4 {
            mmio.write(registers + 0x3000 + 4 * queue, Size::Word, queue);
        }
    }

    /// Commands in the lists of the AHCI's first two ports.
    fn start_ahci(&mut self) {
        let random = &mut self.random;
        let registers = random.pick(&self.places);
        let mmio = &self.buses.mmio;
        for port in 0..2 {
            let at = 0x18_0000 + port * 0x1_0000;
            let register = |offset: u64| registers + 0x100 + port * 0x80 + offset;
            for slot in 0..8 {
                let table = at + 0x1000 + slot * 0x400;
                let header = [5 | random.below(4) << 16, table].map(u64::to_le_bytes).concat();
                let command = random.pick(&[0x25, 0x35, 0x60, 0x61, 0xa0, 0x06, 0xec, 0xa1, 0xea, 0xef, 0x2f]);
                let mut fis = vec![0x27, 0x80, command, random.value() as u8];
                fis.extend((0..60).map(|_| random.below(3) as u8));
                // A packet, and regions.
                fis.push(random.pick(&[0x28, 0xa8, 0x12, 0x43, 0x46, 0x4a, 0x55, 0x5a, 0xbe]));
                fis.extend((0..63).map(|_| random.below(3) as u8));
                for _ in 0..3 {
                    let region = [(0x20_0000 + random.below(0x10_0000)) & !1, random.below(0x8000) << 32];
                    fis.extend(region.map(u64::to_le_bytes).concat());
                }
                self.ram.write_slice(&header, GuestAddress(at + slot * 32)).unwrap();
                self.ram.write_slice(&fis, GuestAddress(table)).unwrap();
            }
            for (offset, value) in [(0x00, at), (0x08, at + 0x800), (0x14, u64::MAX), (0x18, 0x10), (0x18, 0x11)] {
                mmio.write(register(offset), Size::Dword, value & 0xffff_ffff);
            }
            mmio.write(register(0x34), Size::Dword, random.value() & 0xff);
            mmio.write(register(0x38), Size::Dword, random.value() & 0xff);
        }
    }

    /// Rings of an e1000 over noise, and both directions on.
    fn start_e1000(&mut self) {
        let random = &mut self.random;
        let registers = random.pick(&self.places);
        let mmio = &self.buses.mmio;
        for (ring, at) in [(0x3800, 0x1c_0000), (0x2800, 0x1c_1000)] {
            for number in 0..16 {
                let buffer = 0x20_0000 + random.below(0x10_0000);
                let length = if random.once_in(8) { random.below(0x10_0000) } else { random.below(0x600) };
                // Of all kinds, most of them the end of a packet.
                let command = random.pick(&[0x01, 0x09, 0x21, 0x25, 0x2d, 0x20, 0x24, 0x40, 0xe9]);
                let kind = random.below(2) << 20;
                let rest = random.value() << 32;
                let bytes = [buffer, length | kind | command << 24 | rest].map(u64::to_le_bytes).concat();
                self.ram.write_slice(&bytes, GuestAddress(at + 16 * number)).unwrap();
            }
            for (register, value) in [(0x00, at), (0x04, 0), (0x08, 0x100), (0x10, 0)] {
                mmio.write(registers + ring + register, Size::Dword, value);
            }
        }
        mmio.write(registers + 0xd0, Size::Dword, random.value() & 0xffff_ffff);
        mmio.write(registers + 0x100, Size::Dword, random.value() & 0xffff_ffff | 2);
        mmio.write(registers + 0x2818, Size::Dword, random.below(16));
        mmio.write(registers + 0x400, Size::Dword, 2);
        if random.once_in(4) {
            // What is sent comes back.
            mmio.write(registers + 0x20, Size::Dword, 1 << 26 | 1 << 21 | 0x4140);
        }
        mmio.write(registers + 0x3818, Size::Dword, random.below(16));
    }

    /// An HDA controller's streams with noise for descriptors, and a codec's converters that listen to them.
    fn start_hda(&mut self) {
        let random = &mut self.random;
        let registers = random.pick(&self.places);
        let mmio = &self.buses.mmio;
        let list = 0x1d_0000;
        for entry in 0..8 {
            let bytes = [0x20_0000 + random.below(0x10_0000), random.near(14) | random.below(4) << 32];
            self.ram.write_slice(&bytes.map(u64::to_le_bytes).concat(), GuestAddress(list + 16 * entry)).unwrap();
        }
        mmio.write(registers + 0x08, Size::Dword, 1);
        // The immediate command: both converters take stream 3.
        for verb in [0x0027_0630, 0x0047_0630] {
            mmio.write(registers + 0x60, Size::Dword, verb);
            mmio.write(registers + 0x68, Size::Byte, 1);
        }
        for stream in [0x80, 0x100] {
            let stream = registers + stream;
            mmio.write(stream, Size::Dword, 3 << 20);
            mmio.write(stream + 0x08, Size::Dword, random.near(16));
            mmio.write(stream + 0x0c, Size::Word, random.below(8));
            mmio.write(stream + 0x12, Size::Word, random.pick(&[0x11, 0x4031, 0x1f, 0x10, 0x42]));
            mmio.write(stream + 0x18, Size::Dword, list);
            mmio.write(stream + 0x1c, Size::Dword, 0);
            mmio.write(stream, Size::Byte, 0x1e);
        }
    }

    /// One access, anywhere where something is.
    fn access(&mut self) {
        let random = &mut self.random;
        let (ports, mmio) = (&self.buses.ports, &self.buses.mmio);
        let (size, value, writes) = (random.size(), random.value(), !random.once_in(3));
        if random.once_in(2) {
            const PORTS: [u64; 16] = [
                0x60, 0x64, 0x70, 0x80, 0x92, 0x1ce, 0x3b0, 0x3c0, 0x3d0, 0x3f8, 0x402, 0x510, 0xcf8, 0xcfc, PM,
                BAR_PORTS,
            ];
            let port = (random.pick(&PORTS) + random.near(6)) as u16;
            let size = if size == Size::Qword { Size::Dword } else { size };
            match writes {
                true => ports.write(port, size, size.cut(value) as u32),
                false => drop(ports.read(port, size)),
            }
            return;
        }
        const FIXED: [u64; 7] = [HPET, RCBA, 0xa_0000, 0xb_8000, 0xc_0000, 0xffff_0000 - (64 << 10), ECAM];
        let base = if random.once_in(2) { random.pick(&FIXED) } else { random.pick(&self.places) };
        let at = match base {
            // Everything there is on bus 0, mostly the header.
            ECAM => {
                ECAM | random.pick(&[0, 8, 0x10, 0x30, 0x38, 0x40, 0x80, 0x88, 0xf8, 0xfa, 0xff]) << 12
                    | random.below(0x110)
            }
            base => base + random.near(18),
        };
        match writes {
            true => mmio.write(at, size, size.cut(value)),
            false => drop(mmio.read(at, size)),
        }
    }
}

fn disk(bytes: usize) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&vec![0x5a; bytes]).unwrap();
    file.rewind().unwrap();
    file
}

fn drive(id: &str, kind: DriveSpecKind, read_only: bool) -> Drive {
    let image = Image { file: disk(1 << 20), format: ImageFormat::Raw, read_only };
    Drive { id: id.into(), kind, image: Some(image), installer: false }
}

fn card(id: &str, model: NetworkModel, cable: Option<net::Cable>) -> Network {
    let rom = (model == NetworkModel::E1000).then(|| vec![0x55; 100 << 10]);
    let mac = MacAddress([2, 0, 0, 0, 0, id.len() as u8]);
    Network { id: id.into(), model, rom, mac, network: "nat".into(), cable, link: true }
}

impl Machine {
    fn new(uefi: bool, seed: u64) -> Self {
        let (cable, stream) = UnixStream::pair().unwrap();
        let (other_cable, other) = UnixStream::pair().unwrap();
        let firmware = match uefi {
            false => Firmware::Bios(vec![0xf4; 128 << 10]),
            true => Firmware::Uefi { code: vec![0xf4; 64 << 10], variables: disk(64 << 10) },
        };
        let setup = Setup {
            name: "noise".into(),
            uuid: uuid::Uuid::nil(),
            processors: 2,
            memory: RAM,
            clock_offset: 0,
            firmware,
            video_rom: Some(vec![0x55; 40 << 10]),
            drives: vec![
                drive("disk", DriveSpecKind::AhciDisk, false),
                drive("cd", DriveSpecKind::AhciCd, true),
                drive("fast", DriveSpecKind::VirtioBlk, false),
                drive("fixed", DriveSpecKind::VirtioBlk, true),
                drive("stick", DriveSpecKind::UsbDisk, false),
            ],
            networks: vec![
                card("net", NetworkModel::Virtio, Some(stream.into())),
                card("other", NetworkModel::E1000, Some(other.into())),
            ],
            sound: if uefi { SoundCard::Virtio } else { SoundCard::Hda },
            boot: vec!["net".into()],
            resolution: "1920x1080".parse().unwrap(),
            video_memory: 16 << 20,
            usb: Usb {
                controller: UsbController::Xhci,
                keyboard: true,
                tablet: true,
                mouse: true,
                hub: uefi,
                rules: Vec::new(),
            },
            virtio_input: true,
            serial: None,
            debugcon: None,
        };
        let layout = RamLayout::of(RAM);
        let ram = memory::make_ram(layout).unwrap();
        let mut board = Board::new(Arc::new(Played::default()), ram, layout);
        memory::map_ram(&*board.hypervisor, &board.ram, layout).unwrap();
        let parts = board.assemble(setup, &Wishes::default(), |_| (), |_| (), |_| ()).unwrap();
        let bells = std::mem::take(&mut board.bells).start(|| ()).unwrap();
        let guest = Guest::new(&board, seed);
        let mut machine = Self { board, parts, bells, guest, _cables: [cable, other_cable] };
        machine.go_on();
        machine.guest.set_up();
        machine
    }

    fn stand(&self) {
        self.bells.set_running(false);
        self.parts.networks.set_running(false);
        self.parts.front.sound().expect("a card").set_running(false);
        self.parts.drives.drain().expect("disks answer");
    }

    fn go_on(&self) {
        self.parts.networks.set_running(true);
        self.parts.front.sound().expect("a card").set_running(true);
        self.bells.set_running(true);
        self.bells.ring_all();
        self.parts.drives.go_on();
    }

    fn reset(&self) {
        for device in &self.board.devices {
            lock(device).reset();
        }
        lock(&self.board.root).place_all();
    }

    /// So many steps of noise.
    fn make_noise(&mut self, steps: usize) {
        for step in 0..steps {
            let started = Instant::now();
            match step % 256 {
                0 => self.guest.set_up(),
                1..4 => self.guest.start_driver(),
                4 | 5 => self.guest.start_ahci(),
                6 => {
                    self.board.clock.advance(Duration::from_nanos(self.guest.random.value() >> 24));
                    self.board.timers.run_due();
                }
                7 => drop(self.parts.front.screenshot()),
                8 => {
                    let input = self.parts.front.input();
                    input.key(self.guest.random.below(0x300) as u16, self.guest.random.once_in(2));
                    input.pointer(|pointer| pointer.moved_to(7, 9));
                    input.pointer(|pointer| pointer.moved(-300, 9));
                    self.parts.front.set_display_size(
                        self.guest.random.value() as u32,
                        600,
                        0,
                        self.guest.random.value() as u32,
                    );
                }
                10 | 11 => self.guest.start_e1000(),
                12 | 13 => self.guest.start_hda(),
                9 => drop(self.parts.front.serial_write(b"noise", Duration::ZERO)),
                _ => self.guest.access(),
            }
            assert!(started.elapsed() < LONGEST, "step {step} took {:?}", started.elapsed());
        }
    }

    /// Whatever a guest did, what is saved then can be restored, and is what was saved.
    fn save_and_restore(&self) {
        self.stand();
        for device in &self.board.devices {
            let mut device = lock(device);
            let saved = device.save_section().unwrap();
            if let Err(error) = device.restore_section(saved.clone()) {
                panic!("{error}: {saved:?}");
            }
            assert_eq!(device.save_section().unwrap(), saved);
        }
        lock(&self.board.root).place_all();
        self.go_on();
    }

    /// Nobody panicked, and after a reset everything is as it was at first.
    fn check(&mut self, first: &States) {
        self.stand();
        for device in &self.board.devices {
            assert!(!device.is_poisoned(), "{} panicked", lock(device).kind());
        }
        self.reset();
        let now = self.states();
        let differ: Vec<_> = first.iter().filter(|(at, value)| now.get(*at) != Some(*value)).collect();
        assert_eq!((differ, now.len()), (Vec::new(), first.len()));
        self.go_on();
    }

    /// The saved states that a reset brings back, value by value.
    fn states(&self) -> States {
        let mut states = States::new();
        for (number, device) in self.board.devices.iter().enumerate() {
            let section = lock(device).save_section().unwrap();
            flatten(&format!("{number} {}", section.kind), &section.data, &mut states);
        }
        states
    }
}

/// Values by where they are.
type States = BTreeMap<String, serde_json::Value>;

/// What a reset leaves: what has a battery, counts time or changes, is the desk's and not the guest's, or moves on its own.
const STAYS: [&str; 6] = ["rtc/", "/halves_seen", "/generation", "/size/", "/link_up", "/tray_open"];

fn flatten(at: &str, value: &serde_json::Value, into: &mut States) {
    use serde_json::Value;
    match value {
        _ if STAYS.iter().any(|stays| at.contains(stays)) => {}
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                flatten(&format!("{at}/{index}"), item, into);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                flatten(&format!("{at}/{name}"), field, into);
            }
        }
        _ => drop(into.insert(at.to_owned(), value.clone())),
    }
}

#[test]
fn noise_is_survived() {
    for (uefi, seed) in [(false, 1), (true, 2)] {
        let mut machine = Machine::new(uefi, seed);
        machine.stand();
        machine.reset();
        let first = machine.states();
        machine.go_on();
        for _ in 0..8 {
            machine.make_noise(4_000);
            machine.save_and_restore();
            machine.make_noise(1_000);
            machine.check(&first);
        }
    }
}

#[test]
fn hostile_states_are_survived() {
    for (uefi, seed) in [(false, 3), (true, 4)] {
        let mut machine = Machine::new(uefi, seed);
        machine.stand();
        machine.reset();
        let first = machine.states();
        machine.go_on();
        let mut taken = 0;
        for _ in 0..40 {
            machine.make_noise(300);
            machine.stand();
            for device in &machine.board.devices {
                let mut device = lock(device);
                for _ in 0..8 {
                    let mut section = device.save_section().unwrap();
                    for _ in 0..=machine.guest.random.below(3) {
                        machine.guest.random.twist(&mut section.data);
                    }
                    match device.restore_section(section) {
                        Ok(()) => taken += 1,
                        Err(_) => device.reset(),
                    }
                }
            }
            lock(&machine.board.root).place_all();
            machine.go_on();
            machine.make_noise(300);
            machine.check(&first);
        }
        assert!(taken > 1_000, "{taken} states were taken");
    }
}

/// vCPUs, the board's threads and the person's all at once: nobody waits for somebody who waits for them.
#[test]
fn nobody_stops_anybody() {
    let mut machine = Machine::new(false, 5);
    for round in 0..4 {
        let vcpus: Vec<_> = (0..3)
            .map(|index| {
                let mut guest = Guest::new(&machine.board, 100 + 10 * round + index);
                std::thread::spawn(move || {
                    for step in 0..4_000 {
                        match step % 128 {
                            0 => guest.set_up(),
                            1 | 2 => guest.start_driver(),
                            3 => guest.start_ahci(),
                            4 => guest.start_e1000(),
                            _ => guest.access(),
                        }
                    }
                })
            })
            .collect();
        let started = Instant::now();
        while !vcpus.iter().all(|vcpu| vcpu.is_finished()) {
            machine.make_noise(16);
            assert!(started.elapsed() < LONGEST * 3, "somebody stands");
        }
        for vcpu in vcpus {
            vcpu.join().unwrap();
        }
        machine.stand();
        assert!(machine.board.devices.iter().all(|device| !device.is_poisoned()));
        machine.reset();
        machine.go_on();
    }
}

/// What went through a drive and a card is told, whatever medium is in.
#[test]
fn counters_outlive_media() {
    let mut machine = Machine::new(false, 1);
    let before = machine.parts.drives.stats();
    let names = before.iter().map(|drive| drive.device.as_str()).collect::<Vec<_>>();
    assert_eq!(names, ["disk", "cd", "fast", "fixed", "stick"]);
    let read = |drives: &Drives| {
        let queue = drives.queue("cd").expect("a medium");
        let buffer = disk::Buffer::new(vec![0; 2048]);
        queue.submit(disk::Op::ReadBuffer { at: 0, to: buffer }, u64::MAX);
        drives.drain().expect("disks answer");
    };
    let cd = |drives: &Drives| drives.stats()[1].stats;
    read(&machine.parts.drives);
    assert_eq!(cd(&machine.parts.drives).rd_bytes, before[1].stats.rd_bytes + 2048);
    let image = Image { file: disk(1 << 20), format: ImageFormat::Raw, read_only: true };
    machine.parts.drives.change("cd", Some(image)).unwrap();
    read(&machine.parts.drives);
    machine.parts.drives.change("cd", None).unwrap();
    let after = cd(&machine.parts.drives);
    assert_eq!(after.rd_bytes, before[1].stats.rd_bytes + 4096);
    assert_eq!(after.rd_operations, before[1].stats.rd_operations + 2);
    let [card, _] = machine.parts.networks.status().try_into().unwrap();
    assert_eq!((card.device.as_str(), card.sent_bytes, card.received_bytes), ("net", 0, 0));
}
