use device::bench::{Bench, check_state};
use display::bench::{MemorySurfaces, Recorder};
use vm_memory::{Bytes, GuestAddress};

use super::*;

fn function(bench: &Bench) -> (VirtioVga, Arc<Recorder>) {
    let output = Arc::new(Recorder::default());
    let surfaces = Arc::new(MemorySurfaces::default());
    let vram = surfaces.allocate(16 << 20).unwrap();
    let rom = surfaces.allocate(0x10000).unwrap();
    let vga = Vga::new(vram, bench.clock.clone(), output.clone(), surfaces.clone());
    let vga = Arc::new(Mutex::new(vga));
    let mut function = VirtioVga::new(vga, output.clone(), surfaces, Some(rom), bench.dma(), bench.msi());
    function.connect_intx(bench.line.share());
    function.config_write(4, Size::Word, 7);
    (function, output)
}

const VIRTIO: u64 = 0x1000;

/// Sets up the control queue at 0x1000, 0x2000 and 0x3000 and makes the driver ready.
fn set_up(f: &mut VirtioVga) {
    let mut write = |at, size, value| f.bar_write(2, VIRTIO + at, size, value);
    for status in [0, 1, 3] {
        write(0x14, Size::Byte, status);
    }
    write(0x08, Size::Dword, 1);
    write(0x0c, Size::Dword, 1);
    write(0x14, Size::Byte, 0xb);
    write(0x16, Size::Word, 0);
    for (register, address) in [(0x20, 0x1000), (0x28, 0x2000), (0x30, 0x3000)] {
        write(register, Size::Dword, address);
    }
    write(0x1c, Size::Word, 1);
    write(0x14, Size::Byte, 0xf);
}

/// Sends command number `n` since [`set_up`].
fn send(bench: &Bench, f: &mut VirtioVga, n: u16, words: &[u32]) {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let at = |address| GuestAddress(address);
    bench.ram.write_slice(&bytes, at(0x5000)).unwrap();
    let descriptor = |address: u64, length: u32, flags: u16, next: u16| {
        u128::from(address) | u128::from(length) << 64 | u128::from(flags) << 96 | u128::from(next) << 112
    };
    bench.ram.write_obj(descriptor(0x5000, bytes.len() as u32, 1, 1), at(0x1000)).unwrap();
    bench.ram.write_obj(descriptor(0x6000, 24, 2, 0), at(0x1010)).unwrap();
    bench.ram.write_obj(n + 1, at(0x2002)).unwrap();
    f.ring(0);
    assert_eq!(bench.ram.read_obj::<u16>(at(0x3002)).unwrap(), n + 1);
    assert_eq!(bench.ram.read_obj::<u32>(at(0x6000)).unwrap(), 0x1100);
}

#[test]
fn looks_as_drivers_expect() {
    let bench = Bench::new(0x1_0000);
    let (mut f, _) = function(&bench);
    assert_eq!(f.config_read(0, Size::Dword), 0x1050_1af4);
    assert_eq!(f.config_read(8, Size::Dword) >> 8, 0x03_0000);
    f.config_write(4, Size::Word, 0);
    let mut sizes = Vec::new();
    for register in [0x10, 0x18, 0x20, 0x30] {
        f.config_write(register, Size::Dword, u32::MAX);
        sizes.push(f.config_read(register, Size::Dword));
    }
    assert_eq!(sizes, [0xff00_0008, 0xffff_8000, 0xffff_f000, 0xffff_0001]);
    assert_eq!(f.bar_read(2, 0, Size::Dword), 0xffff_ff00);
    assert_eq!(f.bar_read(2, 0x500, Size::Word), 0xb0c5);
    f.bar_write(2, 0x508, Size::Word, 0x41);
    assert_eq!(f.bar_read(2, 0x508, Size::Word), 0x41);
    // Two queues.
    assert_eq!(f.bar_read(2, VIRTIO + 0x12, Size::Word), 2);
    assert_eq!(f.bar_read(2, 0x5000, Size::Dword), 0xffff_ffff);
}

#[test]
fn the_driver_takes_the_output_and_a_reset_gives_it_back() {
    let bench = Bench::new(0x1_0000);
    let (mut f, output) = function(&bench);
    set_up(&mut f);
    send(&bench, &mut f, 0, &[0x101, 0, 0, 0, 0, 0, 1, 2, 64, 64]);
    assert!(lock(f.vga()).is_shown());
    send(&bench, &mut f, 1, &[0x103, 0, 0, 0, 0, 0, 0, 0, 64, 64, 0, 1]);
    assert!(!lock(f.vga()).is_shown() && f.is_driven());
    assert_eq!(output.scanout().map(|scanout| scanout.width), Some(64));
    // Switched off by the driver: the VGA stays away.
    send(&bench, &mut f, 2, &[0x103, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert!(!lock(f.vga()).is_shown());
    check_state(&mut f, |f| f.bar_write(2, VIRTIO + 0x14, Size::Byte, 0));
    assert!(!lock(f.vga()).is_shown());
    f.bar_write(2, VIRTIO + 0x14, Size::Byte, 0);
    assert!(lock(f.vga()).is_shown() && !f.is_driven());
}

#[test]
fn the_size_is_told_both_ways() {
    let bench = Bench::new(0x1_0000);
    let (mut f, _) = function(&bench);
    set_up(&mut f);
    f.set_display_size(DisplaySize { width: 1000, height: 700, width_mm: 300, height_mm: 200 });
    assert_eq!(f.bar_read(2, VIRTIO + 0x2000, Size::Dword), 1);
    assert_eq!(f.bar_read(2, 56, Size::Byte), 1000 & 0xff);
    f.reset();
    assert_eq!(f.bar_read(2, VIRTIO + 0x2000, Size::Dword), 0);
}
