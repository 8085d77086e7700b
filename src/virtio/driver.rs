//! A driver for tests: sets a function up through its registers, builds split rings in RAM, rings, and looks at what came
//! back. It can be told to misbehave.

use std::cell::Cell;
use std::sync::{Arc, Mutex, MutexGuard};

use device::bench::{Bench, Random};
use device::pci::PciFunction;
use device::{Dma, Size};
use vm_memory::{Bytes, GuestAddress};

use crate::transport::{COMMON, DEVICE, ISR, NOTIFY};
use crate::virtio_device::VERSION_1;
use crate::{VirtioDevice, VirtioPci};

const BAR: u8 = 4;
const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;

/// Queue `n` stands at `RINGS + n * RING`: descriptors, available at 0x2000, used at 0x3000 in it.
const RINGS: u64 = 0x1_0000;
const RING: u64 = 0x5000;
/// Buffers are taken from here on.
const BUFFERS: u64 = 0x10_0000;
/// RAM of the bench.
pub(crate) const RAM: usize = 0x40_0000;

/// One descriptor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Descriptor {
    pub(crate) address: u64,
    pub(crate) length: u32,
    pub(crate) flags: u16,
    pub(crate) next: u16,
}

/// A part of a request.
#[derive(Clone, Debug)]
pub(crate) enum Part<'a> {
    /// Bytes for the device.
    Out(&'a [u8]),
    /// Room for the device to write.
    In(u32),
}

/// A request that was made.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) head: u16,
    /// Address and length of each part.
    pub(crate) parts: Vec<(u64, u32)>,
}

/// The driver, with its machine.
pub(crate) struct Driver<D> {
    pub(crate) bench: Bench,
    /// Behind its mutex, as on a board.
    pub(crate) shared: Arc<Mutex<VirtioPci<D>>>,
    next_descriptor: Vec<u16>,
    used: Vec<u16>,
    next_buffer: Cell<u64>,
}

impl<D: VirtioDevice> Driver<D> {
    /// The function, for as long as the guard lives.
    pub(crate) fn function(&self) -> MutexGuard<'_, VirtioPci<D>> {
        self.shared.lock().unwrap()
    }

    /// A machine with the device in it; the driver did nothing yet, but the function may master the bus.
    pub(crate) fn new(device: D) -> Self {
        Self::on(Bench::new(RAM), device)
    }

    /// The same on a bench of [`RAM`] bytes that the device's back end knows.
    pub(crate) fn on(bench: Bench, device: D) -> Self {
        let dma: Dma = bench.dma();
        let mut function = VirtioPci::new(device, dma, bench.msi());
        function.connect_intx(bench.line.share());
        function.config_write(4, Size::Word, 6);
        let queues = function.core().msix_vectors() - 1;
        Self {
            bench,
            shared: Arc::new(Mutex::new(function)),
            next_descriptor: vec![0; queues.into()],
            used: vec![0; queues.into()],
            next_buffer: Cell::new(BUFFERS),
        }
    }

    /// The same, with a driver that took `features` (and VERSION_1) and is ready.
    pub(crate) fn ready(device: D, features: u64) -> Self {
        let mut driver = Self::new(device);
        driver.set_up(features);
        driver
    }

    /// Goes through §3.1.1.
    pub(crate) fn set_up(&mut self, features: u64) {
        self.reset();
        self.set_status(1);
        self.set_status(3);
        self.negotiate(features | VERSION_1);
        self.set_status(0xb);
        assert_eq!(self.status(), 0xb, "features are taken");
        for queue in 0..self.used.len() as u16 {
            self.set_up_queue(queue);
        }
        self.set_status(0xf);
    }

    pub(crate) fn reset(&mut self) {
        self.set_status(0);
        self.used.fill(0);
        self.next_descriptor.fill(0);
        let queues = self.used.len() as u64;
        self.bench.ram.write_slice(&vec![0; (RING * queues) as usize], GuestAddress(RINGS)).unwrap();
    }

    pub(crate) fn negotiate(&mut self, features: u64) {
        self.write(0x08, Size::Dword, 0);
        self.write(0x0c, Size::Dword, features & 0xffff_ffff);
        self.write(0x08, Size::Dword, 1);
        self.write(0x0c, Size::Dword, features >> 32);
    }

    pub(crate) fn offered(&mut self) -> u64 {
        self.write(0, Size::Dword, 0);
        let low = self.read(4, Size::Dword);
        self.write(0, Size::Dword, 1);
        low | self.read(4, Size::Dword) << 32
    }

    pub(crate) fn set_up_queue(&mut self, queue: u16) {
        self.write(0x16, Size::Word, queue.into());
        let base = Self::base(queue);
        for (register, address) in [(0x20, base), (0x28, base + 0x2000), (0x30, base + 0x3000)] {
            self.write(register, Size::Dword, address);
            self.write(register + 4, Size::Dword, 0);
        }
        self.write(0x1c, Size::Word, 1);
        assert_eq!(self.read(0x1c, Size::Word), 1, "queue {queue} is enabled");
    }

    pub(crate) fn read(&mut self, at: u64, size: Size) -> u64 {
        self.function().bar_read(BAR, COMMON + at, size)
    }

    pub(crate) fn write(&mut self, at: u64, size: Size, value: u64) {
        self.function().bar_write(BAR, COMMON + at, size, value);
    }

    pub(crate) fn status(&mut self) -> u8 {
        self.read(0x14, Size::Byte) as u8
    }

    pub(crate) fn set_status(&mut self, status: u8) {
        self.write(0x14, Size::Byte, status.into());
    }

    pub(crate) fn isr(&mut self) -> u8 {
        self.function().bar_read(BAR, ISR, Size::Byte) as u8
    }

    pub(crate) fn config<const N: usize>(&mut self, at: u64) -> [u8; N] {
        std::array::from_fn(|i| self.function().bar_read(BAR, DEVICE + at + i as u64, Size::Byte) as u8)
    }

    pub(crate) fn set_config(&mut self, at: u64, bytes: &[u8]) {
        for (i, byte) in bytes.iter().enumerate() {
            self.function().bar_write(BAR, DEVICE + at + i as u64, Size::Byte, (*byte).into());
        }
    }

    pub(crate) fn ring(&mut self, queue: u16) {
        self.function().bar_write(BAR, NOTIFY + 4 * u64::from(queue), Size::Word, queue.into());
    }

    fn base(queue: u16) -> u64 {
        RINGS + RING * u64::from(queue)
    }

    /// Memory of the driver's, never given twice.
    pub(crate) fn buffer(&self, length: u32) -> u64 {
        let at = self.next_buffer.get();
        self.next_buffer.set(at + u64::from(length).next_multiple_of(16));
        assert!(self.next_buffer.get() < RAM as u64);
        at
    }

    pub(crate) fn fill(&self, at: u64, bytes: &[u8]) {
        self.bench.ram.write_slice(bytes, GuestAddress(at)).unwrap();
    }

    pub(crate) fn bytes(&self, at: u64, length: u32) -> Vec<u8> {
        let mut bytes = vec![0; length as usize];
        self.bench.ram.read_slice(&mut bytes, GuestAddress(at)).unwrap();
        bytes
    }

    /// Writes a descriptor as it is.
    pub(crate) fn describe(&self, queue: u16, index: u16, descriptor: Descriptor) {
        self.fill(Self::base(queue) + 16 * u64::from(index), &raw(descriptor));
    }

    /// Puts a head into the available ring.
    pub(crate) fn make_available(&self, queue: u16, head: u16) {
        let ring = Self::base(queue) + 0x2000;
        let index: u16 = self.bench.ram.read_obj(GuestAddress(ring + 2)).unwrap();
        self.bench.ram.write_obj(head, GuestAddress(ring + 4 + 2 * u64::from(index % self.size(queue)))).unwrap();
        self.set_available_index(queue, index.wrapping_add(1));
    }

    pub(crate) fn set_available_index(&self, queue: u16, index: u16) {
        self.bench.ram.write_obj(index, GuestAddress(Self::base(queue) + 0x2002)).unwrap();
    }

    pub(crate) fn set_available_flags(&self, queue: u16, flags: u16) {
        self.bench.ram.write_obj(flags, GuestAddress(Self::base(queue) + 0x2000)).unwrap();
    }

    fn size(&self, queue: u16) -> u16 {
        self.function().device().identity().queue_sizes[usize::from(queue)]
    }

    fn place_parts(&self, parts: &[Part<'_>]) -> Vec<(u64, u32, u16)> {
        let place = |part: &Part<'_>| match *part {
            Part::Out(bytes) => {
                let at = self.buffer(bytes.len() as u32);
                self.fill(at, bytes);
                (at, bytes.len() as u32, 0)
            }
            Part::In(length) => (self.buffer(length), length, WRITE),
        };
        parts.iter().map(place).collect()
    }

    /// Makes a request available, without ringing.
    pub(crate) fn add(&mut self, queue: u16, parts: &[Part<'_>]) -> Request {
        let parts = self.place_parts(parts);
        let size = self.size(queue);
        let first = self.next_descriptor[usize::from(queue)];
        let at = |i: usize| (first + i as u16) % size;
        for (i, &(address, length, flags)) in parts.iter().enumerate() {
            let flags = if i + 1 < parts.len() { flags | NEXT } else { flags };
            self.describe(queue, at(i), Descriptor { address, length, flags, next: at(i + 1) });
        }
        self.next_descriptor[usize::from(queue)] = at(parts.len());
        self.make_available(queue, first);
        Request { head: first, parts: parts.into_iter().map(|(address, length, _)| (address, length)).collect() }
    }

    /// The same through an indirect table.
    pub(crate) fn add_indirect(&mut self, queue: u16, parts: &[Part<'_>]) -> Request {
        let parts = self.place_parts(parts);
        let table = self.buffer(16 * parts.len() as u32);
        for (i, &(address, length, flags)) in parts.iter().enumerate() {
            let flags = if i + 1 < parts.len() { flags | NEXT } else { flags };
            let descriptor = Descriptor { address, length, flags, next: i as u16 + 1 };
            self.fill(table + 16 * i as u64, &raw(descriptor));
        }
        let head = self.next_descriptor[usize::from(queue)];
        self.next_descriptor[usize::from(queue)] = (head + 1) % self.size(queue);
        let length = 16 * parts.len() as u32;
        self.describe(queue, head, Descriptor { address: table, length, flags: INDIRECT, next: 0 });
        self.make_available(queue, head);
        Request { head, parts: parts.into_iter().map(|(address, length, _)| (address, length)).collect() }
    }

    /// Makes a request and rings; gives what part `of` of it holds if it came back, with the written length.
    pub(crate) fn ask(&mut self, queue: u16, parts: &[Part<'_>], of: usize) -> Option<(Vec<u8>, u32)> {
        let request = self.add(queue, parts);
        self.ring(queue);
        let (head, written) = self.used(queue)?;
        assert_eq!(head, request.head);
        Some((self.part(&request, of), written))
    }

    /// What part `of` of a request holds now.
    pub(crate) fn part(&self, request: &Request, of: usize) -> Vec<u8> {
        let (at, length) = request.parts[of];
        self.bytes(at, length)
    }

    /// Accesses of any width anywhere, rings full of noise, and well-formed requests with mad contents, with `outside` called
    /// among them; asserts only that nothing panics and that a reset always helps.
    pub(crate) fn make_noise(&mut self, features: u64, mut outside: impl FnMut(&mut Self, u64)) {
        let mut numbers = Random::new(1);
        let mut random = move || numbers.next();
        let queues = self.used.len() as u64;
        for round in 0..2_000 {
            let size = [Size::Byte, Size::Word, Size::Dword, Size::Qword][random() as usize % 4];
            let offset = (random() % 4) * 0x1000 + random() % 0x90;
            self.function().bar_write(BAR, offset, size, random() >> (random() % 64));
            self.function().bar_read(BAR, offset + random() % 8, size);
            self.function().config_write((random() % 256) as u16 & !3 | 4, size, random() as u32 | 6);
            if round % 10 != 0 {
                continue;
            }
            self.function().config_write(4, Size::Word, 6);
            self.next_buffer.set(BUFFERS);
            self.set_up(features);
            for _ in 0..20 {
                let queue = (random() % queues) as u16;
                // Small numbers are what headers are made of.
                let mut bytes = vec![0; (random() % 40) as usize];
                bytes.iter_mut().for_each(|byte| *byte = (random() >> (random() % 64)) as u8);
                let (out, room) = (Part::Out(&bytes), Part::In((random() % 1100) as u32));
                let parts = match random() % 4 {
                    0 => vec![out],
                    1 => vec![room],
                    2 => vec![out, room, Part::In(1)],
                    _ => vec![out, Part::Out(&[0; 512]), room],
                };
                self.add(queue, &parts);
                self.ring(queue);
                outside(self, random());
            }
            let noise: Vec<u8> = (0..64).map(|_| (random() >> (random() % 56)) as u8 & 0x13).collect();
            self.fill(RINGS + (random() % (5 * queues)) * 0x1000, &noise);
            self.ring((random() % queues) as u16);
            outside(self, random());
        }
        self.function().config_write(4, Size::Word, 6);
        self.set_up(features);
        assert_eq!(self.status(), 0xf);
    }

    /// The next request that came back: its head and the written length.
    pub(crate) fn used(&mut self, queue: u16) -> Option<(u16, u32)> {
        let ring = Self::base(queue) + 0x3000;
        let index: u16 = self.bench.ram.read_obj(GuestAddress(ring + 2)).unwrap();
        let seen = self.used[usize::from(queue)];
        if index == seen {
            return None;
        }
        self.used[usize::from(queue)] = seen.wrapping_add(1);
        let element: u64 =
            self.bench.ram.read_obj(GuestAddress(ring + 4 + 8 * u64::from(seen % self.size(queue)))).unwrap();
        Some((element as u16, (element >> 32) as u32))
    }
}

fn raw(Descriptor { address, length, flags, next }: Descriptor) -> [u8; 16] {
    let value = u128::from(address) | u128::from(length) << 64 | u128::from(flags) << 96 | u128::from(next) << 112;
    value.to_le_bytes()
}
