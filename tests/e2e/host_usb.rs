//! A USB stick of the host, driven through usbfs as a guest would drive it, but by this test: no guest, no controller.
//!
//! USB Mass Storage Class, Bulk-Only Transport 1.0, and SCSI. The test host's kernel has its driver at the stick before and after.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use device::bench::{self, Random};
use device::{Dma, Ram};
use dormer_tests::gadget::{Microphone, Plugged};
use dormer_tests::host_device::HostDevice as Peripheral;
use dormer_tests::only_in_test_host;
use usb::host::{self, Attendant, HostDevice, OpenError};
use usb::memory::{Memory, Piece};
use usb::{Completion, Direction, Endpoint, Fault, Function, Kind, Setup, Transfer, TransferId};
use vm_memory::{Bytes, GuestAddress};

const SOON: Duration = Duration::from_secs(30);
const BULK_IN: Endpoint = Endpoint { number: 1, direction: Direction::In };
const BULK_OUT: Endpoint = Endpoint { number: 2, direction: Direction::Out };
/// Bytes of guest RAM.
const RAM: usize = 8 << 20;
/// Where data is in it.
const DATA: u64 = 1 << 20;

fn device(name: &str) -> Peripheral {
    Peripheral::called(name).expect("the test host has it")
}

fn stick() -> Peripheral {
    device("HARDDRIVE")
}

fn wait(what: &str, so: impl Fn() -> bool) {
    let end = Instant::now() + SOON;
    while !so() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn open(device: &Peripheral) -> OwnedFd {
    OpenOptions::new().read(true).write(true).open(device.node()).unwrap().into()
}

/// A device in the hands of this test.
struct Hands {
    ram: Ram,
    dma: Dma,
    device: Arc<Mutex<HostDevice>>,
    attendant: Attendant,
    woken: mpsc::Receiver<()>,
    gone: Arc<AtomicBool>,
    thread: JoinHandle<()>,
    next: AtomicU64,
}

impl Hands {
    fn take(file: OwnedFd) -> Self {
        let (device, attendant) = host::open(file).unwrap();
        let (wake, woken) = mpsc::sync_channel(1);
        let gone = Arc::new(AtomicBool::new(false));
        let (serving, told) = (attendant.clone(), gone.clone());
        let thread = std::thread::spawn(move || {
            let wake = || {
                let _ = wake.try_send(());
            };
            serving.serve(wake, || told.store(true, Ordering::SeqCst));
        });
        attendant.set_running(true);
        let ram = bench::ram(RAM);
        let dma = Dma::new(ram.clone(), true);
        let device = Arc::new(Mutex::new(device));
        Self { ram, dma, device, attendant, woken, gone, thread, next: AtomicU64::new(1) }
    }

    /// Lets go, and ends the thread.
    fn let_go(self) -> Attendant {
        let Self { device, thread, attendant, .. } = self;
        drop(device);
        thread.join().unwrap();
        attendant
    }

    fn transfer(&self, endpoint: Endpoint, kind: Kind, at: u64, length: u32) -> Transfer {
        let id = TransferId(self.next.fetch_add(1, Ordering::SeqCst));
        // In two pieces, as guests have them.
        let first = length / 3;
        let pieces =
            [Piece { at, length: first }, Piece { at: at.wrapping_add(u64::from(first)), length: length - first }];
        Transfer { id, endpoint, kind, memory: Memory::new(self.dma.clone(), pieces) }
    }

    /// What came of a transfer that is under way.
    fn await_one(&self, id: TransferId) -> Completion {
        let end = Instant::now() + SOON;
        loop {
            if let Some((done, completion)) = self.device.lock().unwrap().collect() {
                assert_eq!(done, id);
                return completion;
            }
            assert!(self.woken.recv_timeout(end - Instant::now()).is_ok(), "no answer");
        }
    }

    fn run(&self, transfer: Transfer) -> Completion {
        let id = transfer.id;
        let done = self.device.lock().unwrap().submit(transfer);
        done.unwrap_or_else(|| self.await_one(id))
    }

    fn control(&self, kind: u8, request: u8, value: u16, index: u16, length: u16) -> Completion {
        let setup = Setup { kind, request, value, index, length };
        self.run(self.transfer(Endpoint::CONTROL, Kind::Control(setup), 0x1000, length.into()))
    }

    fn bulk(&self, endpoint: Endpoint, at: u64, length: u32) -> Completion {
        self.run(self.transfer(endpoint, Kind::Bulk { stream: 0 }, at, length))
    }

    /// An isochronous packet, each with a place of its own from [`DATA`] on.
    fn packet(&self, endpoint: Endpoint, number: u32, length: u32) -> Transfer {
        self.transfer(endpoint, Kind::Isochronous, DATA + u64::from(number * length), length)
    }

    /// A second of them, one a frame, as drivers do it: some ten milliseconds ahead, several at once. The device has the clock.
    fn second(&self, endpoint: Endpoint, length: u32) {
        const PACKETS: usize = 1000;
        let began = Instant::now();
        let (mut sent, mut done) = (Vec::new(), Vec::new());
        while done.len() < PACKETS {
            while sent.len() < PACKETS && sent.len() - done.len() < 40 {
                let mut device = self.device.lock().unwrap();
                for _ in 0..8 {
                    let packet = self.packet(endpoint, sent.len() as u32, length);
                    sent.push(packet.id);
                    assert_eq!(device.submit(packet), None);
                }
            }
            assert!(self.woken.recv_timeout(SOON).is_ok(), "nothing more after {} packets", done.len());
            while let Some((id, completion)) = self.device.lock().unwrap().collect() {
                assert_eq!(completion, Completion::done(length.into()));
                done.push(id);
            }
        }
        assert_eq!(sent, done);
        let took = began.elapsed();
        assert!(took > Duration::from_millis(900), "it is the device that has the clock: {took:?}");
    }

    fn bytes(&self, at: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.ram.read_slice(&mut bytes, GuestAddress(at)).unwrap();
        bytes
    }

    /// A SCSI command with `length` bytes at [`DATA`], and how many of them were moved.
    fn command(&self, command: &[u8], length: u32, direction: Direction) -> u64 {
        self.command_in(command, length, length, direction)
    }

    /// The same, with room for more.
    fn command_in(&self, command: &[u8], length: u32, room: u32, direction: Direction) -> u64 {
        let mut wrapper = b"USBC".to_vec();
        wrapper.extend(7_u32.to_le_bytes());
        wrapper.extend(length.to_le_bytes());
        wrapper.extend([if direction == Direction::In { 0x80 } else { 0 }, 0, command.len() as u8]);
        wrapper.extend(command);
        wrapper.resize(31, 0);
        self.ram.write_slice(&wrapper, GuestAddress(0x2000)).unwrap();
        assert_eq!(self.bulk(BULK_OUT, 0x2000, 31), Completion::done(31));
        let endpoint = if direction == Direction::In { BULK_IN } else { BULK_OUT };
        let data = if length > 0 { self.bulk(endpoint, DATA, room) } else { Completion::done(0) };
        assert_eq!(data.fault, None);
        assert_eq!(self.bulk(BULK_IN, 0x3000, 13), Completion::done(13));
        let status = self.bytes(0x3000, 13);
        assert_eq!((&status[..4], status[12]), (&b"USBS"[..], 0), "{status:?}");
        data.length
    }

    fn begin(&self) {
        self.device.lock().unwrap().reset();
        assert_eq!(self.control(0x00, 9, 1, 0, 0), Completion::done(0));
        // Whatever it has to say of having been reset.
        for _ in 0..3 {
            let mut wrapper = b"USBC\x01\0\0\0\0\0\0\0\x80\0\x06".to_vec();
            wrapper.resize(31, 0);
            self.ram.write_slice(&wrapper, GuestAddress(0x2000)).unwrap();
            assert_eq!(self.bulk(BULK_OUT, 0x2000, 31).fault, None);
            assert_eq!(self.bulk(BULK_IN, 0x3000, 13), Completion::done(13));
            self.command(&[3, 0, 0, 0, 18, 0], 18, Direction::In);
        }
    }
}

fn pick<T: Copy>(random: &mut Random, from: &[T]) -> T {
    from[random.below(from.len() as u64) as usize]
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// READ(10) and WRITE(10) of 512-byte blocks.
fn rw(operation: u8, block: u32, blocks: u16) -> Vec<u8> {
    let mut command = vec![operation, 0];
    command.extend(block.to_be_bytes());
    command.push(0);
    command.extend(blocks.to_be_bytes());
    command.push(0);
    command
}

#[test]
fn only_usbfs_is_taken() {
    only_in_test_host!("only a test host has a stick");
    let null = OpenOptions::new().read(true).write(true).open("/dev/null").unwrap();
    assert!(matches!(host::open(null.into()), Err(OpenError::NotUsbfs)));
    let stick = stick();
    assert!(matches!(host::open(File::open(stick.node()).unwrap().into()), Err(OpenError::NotUsbfs)));
    assert_eq!(stick.driver().as_deref(), Some("usb-storage"));
}

#[test]
fn the_stick_works_and_comes_back() {
    only_in_test_host!("only a test host has a stick");
    let stick = stick();
    let hands = Hands::take(open(&stick));
    assert_eq!(stick.driver().as_deref(), Some("usbfs"));
    // A second one is told so.
    let refused = host::open(open(&stick));
    assert!(matches!(refused, Err(OpenError::Claimed(0))), "{:?}", refused.err());

    // Descriptors; more is asked for than there is.
    assert_eq!(hands.control(0x80, 6, 0x100, 0, 64), Completion::done(18));
    let device = hands.bytes(0x1000, 18);
    assert_eq!((device[1], &device[8..12]), (1, &[0xf4, 0x46, 1, 0][..]));
    // What is not there.
    assert_eq!(hands.control(0x80, 6, 0x3100, 0, 64), Completion::failed(Fault::Stall));
    hands.begin();

    // INQUIRY into more room than it fills: a short packet.
    assert_eq!(hands.command_in(&[0x12, 0, 0, 0, 36, 0], 36, 2 << 20, Direction::In), 36);
    assert_eq!(&hands.bytes(DATA + 8, 4), b"QEMU");

    // There and back, in transfers larger than one URB.
    let data = pattern(3 << 20);
    hands.ram.write_slice(&data, GuestAddress(DATA)).unwrap();
    assert_eq!(hands.command(&rw(0x2a, 64, 6144), 3 << 20, Direction::Out), 3 << 20);
    hands.ram.write_slice(&vec![0; 3 << 20], GuestAddress(DATA)).unwrap();
    assert_eq!(hands.command(&rw(0x28, 64, 6144), 3 << 20, Direction::In), 3 << 20);
    assert!(hands.bytes(DATA, 3 << 20) == data, "what was read is not what was written");
    // By memory of the kernel's.
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    assert!(maps.contains(stick.node().to_str().unwrap()), "usbfs gives no memory: {maps}");

    // Nothing comes, until it is cancelled; then all is as before.
    let waits = hands.transfer(BULK_IN, Kind::Bulk { stream: 0 }, DATA, 512);
    let id = waits.id;
    assert_eq!(hands.device.lock().unwrap().submit(waits), None);
    std::thread::sleep(Duration::from_millis(200));
    hands.device.lock().unwrap().cancel(id);
    assert_eq!(hands.control(0x02, 1, 0, 0x81, 0), Completion::done(0));
    assert_eq!(hands.command(&rw(0x28, 64, 2), 1024, Direction::In), 1024);

    // A reset by the guest, at a bad moment.
    let waits = hands.transfer(BULK_IN, Kind::Bulk { stream: 0 }, DATA, 512);
    assert_eq!(hands.device.lock().unwrap().submit(waits), None);
    hands.begin();
    assert_eq!(hands.command(&rw(0x28, 64, 2), 1024, Direction::In), 1024);
    assert!(hands.bytes(DATA, 1024) == data[..1024]);

    // Endpoints and requests that make no sense.
    let nowhere = Endpoint { number: 9, direction: Direction::In };
    assert_eq!(hands.bulk(nowhere, DATA, 512), Completion::failed(Fault::Transaction));
    assert_eq!(hands.control(0x01, 11, 7, 0, 0), Completion::failed(Fault::Stall));
    assert_eq!(hands.control(0x00, 9, 77, 0, 0), Completion::failed(Fault::Stall));

    // The host has it back, with what was written on it.
    hands.let_go().give_back().unwrap();
    assert_eq!(stick.driver().as_deref(), Some("usb-storage"));
    let disk = stick.disk(SOON);
    let mut file = File::open(&disk).unwrap();
    file.seek(SeekFrom::Start(64 * 512)).unwrap();
    let mut read = vec![0; data.len()];
    file.read_exact(&mut read).unwrap();
    assert!(read == data, "the host reads something else");
}

/// A second of sound, a packet a frame, as fast as it is played.
#[test]
fn loudspeakers_take_what_they_play() {
    only_in_test_host!("only a test host has a stick");
    let speakers = device("USB Audio");
    assert_eq!(speakers.driver().as_deref(), Some("snd-usb-audio"));
    let hands = Hands::take(open(&speakers));
    hands.device.lock().unwrap().reset();
    assert_eq!(hands.control(0x00, 9, 1, 0, 0), Completion::done(0));
    let out = Endpoint { number: 1, direction: Direction::Out };
    const PACKET: u32 = 192;
    let packet = |at: u32| hands.packet(out, at, PACKET);
    // Not before the interface is set so.
    assert_eq!(hands.run(packet(0)), Completion::failed(Fault::Transaction));
    assert_eq!(hands.control(0x01, 11, 1, 1, 0), Completion::done(0));
    hands.ram.write_slice(&pattern(1000 * PACKET as usize), GuestAddress(DATA)).unwrap();

    hands.second(out, PACKET);
    // What is under way when it stops is forgotten.
    for at in 0..20 {
        assert_eq!(hands.device.lock().unwrap().submit(packet(at)), None);
    }
    assert_eq!(hands.control(0x01, 11, 0, 1, 0), Completion::done(0));
    hands.let_go().give_back().unwrap();
    assert_eq!(speakers.driver().as_deref(), Some("snd-usb-audio"));
}

/// A second of a microphone, packet by packet.
#[test]
fn a_microphone_is_heard() {
    only_in_test_host!("only a test host has a stick");
    let _plugged = Plugged::plug(Microphone::default());
    let microphone = Peripheral::appears(Microphone::NAME, SOON);
    let hands = Hands::take(open(&microphone));
    hands.device.lock().unwrap().reset();
    assert_eq!(hands.control(0x00, 9, 1, 0, 0), Completion::done(0));
    let (interface, setting) = Microphone::SETTING;
    assert_eq!(hands.control(0x01, 11, setting.into(), interface.into(), 0), Completion::done(0));
    let heard = Endpoint::of_address(Microphone::ENDPOINT);
    hands.second(heard, Microphone::PACKET);
    Microphone::assert_recorded(&hands.bytes(DATA, 1000 * Microphone::PACKET as usize));
    hands.let_go().give_back().unwrap();
}

/// Whatever a guest asks for, in whatever order, the device works when it is reset, and the host has it back.
#[test]
fn noise_does_no_harm() {
    only_in_test_host!("only a test host has a stick");
    let stick = stick();
    let hands = Hands::take(open(&stick));
    let mut random = Random::new(5);
    let mut under_way = Vec::new();
    for _ in 0..2000 {
        let endpoint = Endpoint::of_address(pick(&mut random, &[0x81, 0x02, 0x81, 0x02, 0, 0x83, 0x8f]));
        // Some of it, or all, is no RAM.
        let at = pick(&mut random, &[DATA, DATA + 1, RAM as u64 - 5, u64::MAX - 100]);
        let length = pick(&mut random, &[0, 1, 13, 31, 512, 1023, 70_000, 3 << 20]);
        let kind = match random.below(8) {
            0..=4 if endpoint != Endpoint::CONTROL => Kind::Bulk { stream: pick(&mut random, &[0, 0, 0, 1, 77]) },
            5 => Kind::Interrupt,
            6 => Kind::Isochronous,
            _ => Kind::Control(Setup {
                kind: pick(&mut random, &[0, 1, 2, 0x80, 0x81, 0x82, 0x21, 0xa1, 0xff]),
                request: pick(&mut random, &[0, 1, 3, 5, 6, 8, 9, 11, 0x30, 0xfe, 0xff]),
                value: pick(&mut random, &[0, 1, 2, 0x100, 0x200, 0x301, 0xffff]),
                index: pick(&mut random, &[0, 1, 0x81, 2, 0xffff]),
                length: pick(&mut random, &[0, 1, 18, 64, 0xffff]),
            }),
        };
        let mut device = hands.device.lock().unwrap();
        match random.below(16) {
            0 => device.reset(),
            1 => device.endpoint_reset(endpoint, pick(&mut random, &[0, 2, 16, u16::MAX])),
            2..=5 => {
                let known = under_way.len() as u64;
                if known > 0 {
                    device.cancel(under_way.swap_remove(random.below(known) as usize));
                }
            }
            6..=7 => {
                drop(device);
                let _ = hands.woken.recv_timeout(Duration::from_millis(2));
                let mut device = hands.device.lock().unwrap();
                while device.collect().is_some() {}
            }
            _ => {
                let endpoint = if matches!(kind, Kind::Control(_)) { Endpoint::CONTROL } else { endpoint };
                let transfer = hands.transfer(endpoint, kind, at, length);
                let id = transfer.id;
                if device.submit(transfer).is_none() {
                    under_way.push(id);
                }
            }
        }
    }
    hands.begin();
    assert_eq!(hands.command_in(&[0x12, 0, 0, 0, 36, 0], 36, 512, Direction::In), 36);
    hands.let_go().give_back().unwrap();
    assert_eq!(stick.driver().as_deref(), Some("usb-storage"));
}

#[test]
fn an_engine_that_is_killed_leaves_no_device_behind() {
    only_in_test_host!("only a test host has a stick");
    let stick = stick();
    let file = open(&stick);
    let copy = file.try_clone().unwrap();
    let (ours, theirs) = std::io::pipe().unwrap();
    let keeper = std::thread::spawn(move || host::keep(copy, ours));
    let hands = Hands::take(file);
    hands.begin();
    let waits = hands.transfer(BULK_IN, Kind::Bulk { stream: 0 }, DATA, 512);
    assert_eq!(hands.device.lock().unwrap().submit(waits), None);
    // As when a process ends: its descriptors are closed, and nothing else.
    drop(hands.let_go());
    assert_eq!(stick.driver().as_deref(), Some("usbfs"));
    drop(theirs);
    keeper.join().unwrap().unwrap();
    assert_eq!(stick.driver().as_deref(), Some("usb-storage"));
}

#[test]
fn what_is_pulled_out_answers_everything() {
    only_in_test_host!("only a test host has a stick");
    let stick = stick();
    let hands = Hands::take(open(&stick));
    hands.begin();
    let waits = hands.transfer(BULK_IN, Kind::Bulk { stream: 0 }, DATA, 512);
    let id = waits.id;
    assert_eq!(hands.device.lock().unwrap().submit(waits), None);
    fs::write(stick.folder().join("remove"), "1").unwrap();
    // What the kernel says of it is the host controller's matter.
    assert!(hands.await_one(id).fault.is_some());
    wait("that it is gone", || hands.gone.load(Ordering::SeqCst));
    assert_eq!(hands.control(0x80, 6, 0x100, 0, 18), Completion::failed(Fault::Transaction));
    assert!(hands.let_go().give_back().is_err());
}
