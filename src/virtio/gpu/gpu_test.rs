use std::sync::Mutex;

use device::bench::{Bench, check_state};
use display::bench::{MemorySurfaces, Recorder, Told};
use display::read_pixels;

use super::*;
use crate::driver::{Driver, Part, RAM};

const OK: u32 = 0x1100;
const B8G8R8X8: u32 = 2;
/// Where the guest draws.
const PAGES: u64 = 0x20_0000;

#[derive(Clone, Default)]
struct Vga(Arc<Mutex<Vec<bool>>>);
impl Fallback for Vga {
    fn set_shown(&self, shown: bool) {
        self.0.lock().unwrap().push(shown);
    }
}

struct Fixture {
    driver: Driver<Gpu>,
    output: Arc<Recorder>,
    vga: Vga,
}

fn fixture() -> Fixture {
    let bench = Bench::new(RAM);
    let (output, vga) = (Arc::new(Recorder::default()), Vga::default());
    let surfaces = Arc::new(MemorySurfaces::default());
    let gpu = Gpu::new(2, &bench.dma(), output.clone(), surfaces, Some(Box::new(vga.clone())));
    let mut driver = Driver::on(bench, gpu);
    driver.set_up(FEATURE_EDID);
    vga.0.lock().unwrap().clear();
    Fixture { driver, output, vga }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

impl Fixture {
    /// Sends a command with `body` after its header; gives the whole answer.
    fn ask(&mut self, command: u32, body: &[u32]) -> Vec<u32> {
        let mut bytes = words(&[command, 0, 0, 0, 0, 0]);
        bytes.extend(words(body));
        let (answer, written) = self.driver.ask(0, &[Part::Out(&bytes), Part::In(0x500)], 1).unwrap();
        answer[..written as usize].chunks_exact(4).map(|word| u32_at(word, 0)).collect()
    }

    fn code(&mut self, command: u32, body: &[u32]) -> u32 {
        self.ask(command, body)[0]
    }

    fn cursor(&mut self, command: u32, body: [u32; 8]) {
        let mut bytes = words(&[command, 0, 0, 0, 0, 0]);
        bytes.extend(words(&body));
        self.driver.ask(1, &[Part::Out(&bytes)], 0).unwrap();
    }

    /// A resource over pages at [`PAGES`].
    fn picture(&mut self, id: u32, format: u32, width: u32, height: u32) {
        assert_eq!(self.code(0x101, &[id, format, width, height]), OK);
        let entry = [PAGES as u32, 0, width * height * 4, 0];
        assert_eq!(self.code(0x106, &[&[id, 1][..], &entry].concat()), OK);
    }

    /// The guest draws pixel `n` of its pages.
    fn draw(&self, n: u32, pixel: u32) {
        self.driver.fill(PAGES + 4 * u64::from(n), &pixel.to_le_bytes());
    }
}

#[test]
fn displays_and_edid() {
    let mut f = fixture();
    assert_eq!(f.driver.config::<16>(0)[8..12], [2, 0, 0, 0]);
    let size = DisplaySize { width: 1920, height: 1080, width_mm: 500, height_mm: 300 };
    f.driver.function().change(|gpu, queues| gpu.set_display_size(1, size, queues));
    assert_eq!(f.driver.isr() & 2, 2);
    assert_eq!(f.driver.config::<4>(0), [1, 0, 0, 0]);
    f.driver.set_config(4, &[1, 0, 0, 0]);
    assert_eq!(f.driver.config::<4>(0), [0; 4]);
    // The same again is no event.
    f.driver.function().change(|gpu, queues| gpu.set_display_size(1, size, queues));
    assert_eq!(f.driver.isr() & 2, 0);
    let info = f.ask(0x100, &[]);
    assert_eq!((info[0], info.len()), (0x1101, 6 + 16 * 6));
    assert_eq!(info[6..18], [0, 0, 1280, 800, 1, 0, 1280, 0, 1920, 1080, 1, 0]);
    assert_eq!(info[18..24], [0; 6]);
    let edid = f.ask(0x10a, &[1, 0]);
    assert_eq!((edid[0], edid[6], edid.len()), (0x1104, 128, 8 + 256));
    assert_eq!(edid[8], 0xffff_ff00);
    assert_eq!(f.code(0x10a, &[2, 0]), 0x1202);
}

#[test]
fn a_picture_reaches_the_output() {
    let mut f = fixture();
    f.picture(7, B8G8R8X8, 64, 32);
    f.draw(0, 0x11_2233);
    f.draw(64 * 2 + 5, 0x44_5566);
    assert_eq!(f.code(0x105, &[0, 0, 64, 32, 0, 0, 7, 0]), OK);
    assert_eq!(f.code(0x103, &[0, 0, 64, 32, 0, 7]), OK);
    assert_eq!(*f.vga.0.lock().unwrap(), [false]);
    let scanout = f.output.scanout().unwrap();
    assert!(scanout.fits());
    let pixels = read_pixels(&scanout);
    assert_eq!((pixels[0], pixels[64 * 2 + 5]), (0x11_2233, 0x44_5566));
    f.output.take();
    // A part: from (4, 3) on, and the offset says where in the pages it is.
    f.draw(64 * 3 + 4, 0xff);
    f.draw(64 * 4 + 5, 0xee);
    f.draw(64 * 5 + 4, 0xdd);
    assert_eq!(f.code(0x105, &[4, 3, 2, 2, (64 * 3 + 4) * 4, 0, 7, 0]), OK);
    assert_eq!(f.code(0x104, &[4, 3, 2, 2, 7, 0]), OK);
    assert_eq!(f.output.take(), [Told::Damage(0, Rect { x: 4, y: 3, width: 2, height: 2 })]);
    let pixels = read_pixels(&scanout);
    assert_eq!((pixels[64 * 3 + 4], pixels[64 * 4 + 5], pixels[64 * 5 + 4]), (0xff, 0xee, 0));
    // The same scanout again is no news; a part of the picture on the other head is.
    assert_eq!(f.code(0x103, &[0, 0, 64, 32, 0, 7]), OK);
    assert!(f.output.take().is_empty());
    assert_eq!(f.code(0x103, &[4, 4, 8, 8, 1, 7]), OK);
    let Some(Told::Scanout(1, Some(part))) = f.output.take().pop() else { panic!("no scanout") };
    assert_eq!((part.offset, part.width, part.stride), (4 * 256 + 16, 8, 256));
    assert_eq!(read_pixels(&part)[1], 0xee);
    assert_eq!(f.code(0x104, &[0, 0, 6, 6, 7, 0]), OK);
    assert_eq!(
        f.output.take_damage(),
        [Rect { x: 0, y: 0, width: 6, height: 6 }, Rect { x: 0, y: 0, width: 2, height: 2 }]
    );
    // Off, and gone.
    assert_eq!(f.code(0x103, &[0, 0, 0, 0, 0, 0]), OK);
    assert_eq!(f.output.take(), [Told::Scanout(0, None)]);
    assert_eq!(f.code(0x102, &[7, 0]), OK);
    assert_eq!(f.output.take(), [Told::Scanout(1, None)]);
    assert_eq!(f.code(0x102, &[7, 0]), 0x1203);
    f.driver.reset();
    assert_eq!(*f.vga.0.lock().unwrap(), [false, true]);
}

#[test]
fn formats_become_ours() {
    let mut f = fixture();
    for (id, format) in (1..).zip([1, 2, 3, 4, 67, 68, 121, 134]) {
        f.picture(id, format, 16, 16);
        f.draw(1, 0x4411_2233);
        assert_eq!(f.code(0x105, &[0, 0, 16, 16, 0, 0, id, 0]), OK);
        assert_eq!(f.code(0x103, &[0, 0, 16, 16, 0, id]), OK);
        assert_eq!(f.output.pixels()[1], colors(format, 0x4411_2233), "format {format}");
    }
}

/// Red, green and blue of a pixel by its format's name, which lists bytes in memory order.
fn colors(format: u32, pixel: u32) -> u32 {
    let [a, b, c, d] = pixel.to_le_bytes().map(u32::from);
    let (red, green, blue) = match format {
        1 | 2 => (c, b, a),
        3 | 4 => (b, c, d),
        67 | 134 => (a, b, c),
        _ => (d, c, b),
    };
    red << 16 | green << 8 | blue
}

#[test]
fn scattered_pages() {
    let mut f = fixture();
    assert_eq!(f.code(0x101, &[1, B8G8R8X8, 4, 4]), OK);
    // 64 bytes in pieces that cut pixels, out of order.
    let pieces = [(0x1000u32, 30u32), (0, 0), (0x100, 3), (0x800, 31)];
    let mut body = vec![1, pieces.len() as u32];
    for (at, length) in pieces {
        body.extend([PAGES as u32 + at, 0, length, 0]);
    }
    assert_eq!(f.code(0x106, &body), OK);
    let bytes: Vec<u8> = (0..64).collect();
    let mut from = 0;
    for (at, length) in pieces {
        f.driver.fill(PAGES + u64::from(at), &bytes[from..from + length as usize]);
        from += length as usize;
    }
    assert_eq!(f.code(0x105, &[0, 0, 4, 4, 0, 0, 1, 0]), OK);
    assert_eq!(f.code(0x103, &[0, 0, 4, 4, 0, 1]), OK);
    let pixels = f.output.pixels();
    let expected: Vec<u32> = bytes.chunks_exact(4).map(|p| u32_at(p, 0) & 0xff_ffff).collect();
    assert_eq!(pixels, expected);
    // A part that ends before the pieces do, as nearly every part of a large picture does.
    f.driver.fill(PAGES + 0x1000, &[0xaa; 30]);
    assert_eq!(f.code(0x105, &[1, 1, 2, 1, 20, 0, 1, 0]), OK);
    let pixels = f.output.pixels();
    assert_eq!(pixels[4..8], [expected[4], 0xaa_aaaa, 0xaa_aaaa, expected[7]]);
    // Beyond the pages: what is there is copied.
    assert_eq!(f.code(0x105, &[0, 0, 4, 4, 60, 0, 1, 0]), OK);
    assert_eq!(f.output.pixels()[0], expected[15]);
    assert_eq!(f.code(0x105, &[0, 0, 2, 2, u32::MAX, u32::MAX, 1, 0]), OK);
    assert_eq!(f.code(0x107, &[1, 0]), OK);
    assert_eq!(f.code(0x107, &[1, 0]), 0x1200);
    assert_eq!(f.code(0x105, &[0, 0, 4, 4, 0, 0, 1, 0]), 0x1200);
}

#[test]
fn pointer() {
    let mut f = fixture();
    f.picture(3, 1, 64, 64);
    f.draw(65, 0x8040_2010);
    assert_eq!(f.code(0x105, &[0, 0, 64, 64, 0, 0, 3, 0]), OK);
    f.output.take();
    f.cursor(0x300, [1, 10, 20, 0, 3, 5, 6, 0]);
    let told = f.output.take();
    let Told::Cursor(1, Some(image)) = &told[0] else { panic!("{told:?}") };
    assert_eq!((image.width, image.hot_x, image.hot_y, image.pixels[65]), (64, 5, 6, 0x8040_2010));
    assert_eq!(told[1], Told::CursorMoved(1, 10, 20));
    f.cursor(0x301, [1, u32::MAX, 0, 0, 0, 0, 0, 0]);
    assert_eq!(f.output.take(), [Told::CursorMoved(1, -1, 0)]);
    f.cursor(0x300, [1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(f.output.take()[0], Told::Cursor(1, None));
    // A hot spot outside, a head that is not there, a resource that is not there.
    f.cursor(0x300, [1, 0, 0, 0, 3, 64, 0, 0]);
    assert_eq!(f.output.take()[0], Told::Cursor(1, None));
    f.cursor(0x300, [9, 0, 0, 0, 3, 0, 0, 0]);
    assert!(f.output.take().is_empty());
    f.cursor(0x300, [0, 0, 0, 0, 99, 0, 0, 0]);
    assert_eq!(f.output.take()[0], Told::Cursor(0, None));
}

#[test]
fn a_fence_comes_back() {
    let mut f = fixture();
    let request = words(&[0x100, 1, 0x1234, 0x5678, 9, 0]);
    let (answer, _) = f.driver.ask(0, &[Part::Out(&request), Part::In(0x500)], 1).unwrap();
    assert_eq!(answer[..24], words(&[0x1101, 1, 0x1234, 0x5678, 9, 0]));
}

#[test]
fn what_a_driver_must_not_do() {
    let mut f = fixture();
    f.picture(1, B8G8R8X8, 64, 64);
    let max = u32::MAX;
    for (command, body, code) in [
        (0x101, vec![0, 2, 8, 8], 0x1203),
        (0x101, vec![1, 2, 8, 8], 0x1203),
        (0x101, vec![2, 5, 8, 8], 0x1205),
        (0x101, vec![2, 2, 0, 8], 0x1205),
        (0x101, vec![2, 2, max, max], 0x1205),
        (0x101, vec![2, 2, 16384, 16384], 0x1201),
        (0x102, vec![9, 0], 0x1203),
        (0x103, vec![0, 0, 64, 64, 2, 1], 0x1202),
        (0x103, vec![0, 0, 64, 64, 0, 9], 0x1203),
        (0x103, vec![0, 0, 65, 64, 0, 1], 0x1205),
        (0x103, vec![0, 0, 0, 64, 0, 1], 0x1205),
        (0x103, vec![max, 1, 2, 1, 0, 1], 0x1205),
        (0x104, vec![0, 0, 64, 65, 1, 0], 0x1205),
        (0x104, vec![1, 1, max, max, 1, 0], 0x1205),
        (0x105, vec![63, 0, 2, 1, 0, 0, 1, 0], 0x1205),
        (0x105, vec![0, 0, 1, 1, 0, 0, 9, 0], 0x1203),
        (0x106, vec![1, 1, 0, 0, 16, 0], 0x1200),
        (0x106, vec![9, 1, 0, 0, 16, 0], 0x1203),
        (0x999, vec![], 0x1200),
        (0x103, vec![], 0x1200),
        (0x108, vec![0, 0], 0x1200),
    ] {
        assert_eq!(f.code(command, &body), code, "{command:#x} {body:?}");
    }
    assert_eq!(f.code(0x101, &[2, 2, 8, 8]), OK);
    for (body, code) in [
        (vec![2, 16385], 0x1200),
        (vec![2, 16384], 0x1205),
        (vec![2, max], 0x1200),
        (vec![2, 1, 0, 0x7000, 16, 0], 0x1200),
        (vec![2, 1, max, max, max, 0], 0x1200),
    ] {
        assert_eq!(f.code(0x106, &body), code, "{body:?}");
    }
    assert_eq!(f.code(0x106, &[2, 0]), OK);
    assert_eq!(f.code(0x105, &[0, 0, 8, 8, 0, 0, 2, 0]), OK);
    // Too short to be anything, and nowhere to answer.
    assert_eq!(f.driver.ask(0, &[Part::Out(b"abc"), Part::In(64)], 1).unwrap().1, 0);
    assert_eq!(f.driver.ask(0, &[Part::Out(&words(&[0x100, 0, 0, 0, 0, 0]))], 0).unwrap().1, 0);
    assert_eq!(f.driver.status() & 64, 0);
}

#[test]
fn memory_is_bounded_and_comes_back() {
    let mut f = fixture();
    // 64 MiB each.
    for round in 0..3 {
        for id in 1..=4 {
            assert_eq!(f.code(0x101, &[id, 2, 4096, 4096]), OK, "round {round}");
        }
        assert_eq!(f.code(0x101, &[5, 2, 1, 1]), 0x1201);
        (1..=4).for_each(|id| assert_eq!(f.code(0x102, &[id, 0]), OK));
    }
    for id in 1..=MAX_RESOURCES as u32 {
        assert_eq!(f.code(0x101, &[id, 2, 1, 1]), OK);
    }
    assert_eq!(f.code(0x101, &[u32::MAX, 2, 1, 1]), 0x1201);
}

struct Kicks(Arc<Mutex<Vec<u16>>>);
impl crate::Kick for Kicks {
    fn kick(&self, index: u16) {
        self.0.lock().unwrap().push(index);
    }
}

#[test]
fn others_get_their_turn_between_large_transfers() {
    let mut f = fixture();
    let kicks = Arc::default();
    f.driver.function().connect_kick(Box::new(Kicks(Arc::clone(&kicks))));
    f.picture(1, B8G8R8X8, 4096, 64);
    assert_eq!(f.code(0x101, &[2, B8G8R8X8, 4096, 4096]), OK);
    assert_eq!(f.code(0x106, &[2, 1, PAGES as u32, 0, 4096, 0]), OK);
    let transfer = |id, height| words(&[0x105, 0, 0, 0, 0, 0, 0, 0, 4096, height, 0, 0, id, 0]);
    let (small, large) = (transfer(1, 64), transfer(2, 4096));
    for request in [&small, &large, &small, &large] {
        f.driver.add(0, &[Part::Out(request), Part::In(24)]);
    }
    let done = |f: &mut Fixture| std::iter::from_fn(|| f.driver.used(0)).count();
    f.driver.ring(0);
    assert_eq!(done(&mut f), 2);
    assert_eq!(std::mem::take(&mut *kicks.lock().unwrap()), [0]);
    f.driver.ring(0);
    assert_eq!(done(&mut f), 2);
    assert!(kicks.lock().unwrap().is_empty(), "nothing was left");
}

#[test]
fn state() {
    let mut f = fixture();
    f.picture(4, B8G8R8X8, 64, 32);
    assert_eq!(f.code(0x103, &[0, 0, 64, 32, 0, 4]), OK);
    let shared = Arc::clone(&f.driver.shared);
    check_state(&mut *shared.lock().unwrap(), |function| {
        function.change(|gpu, queues| {
            let size = DisplaySize { width: 800, height: 600, width_mm: 0, height_mm: 0 };
            gpu.set_display_size(0, size, queues);
            gpu.resources.clear();
            gpu.show(0, None);
        });
    });
    // What the guest had drawn is there again once the machine runs.
    f.draw(9, 0x77);
    f.output.take();
    f.vga.0.lock().unwrap().clear();
    f.driver.ring(0);
    assert_eq!(f.output.pixels()[9], 0x77);
    let good = serde_json::to_value(shared.lock().unwrap().device().save()).unwrap();
    for (pointer, bad) in [
        ("/resources/0/format", 5.into()),
        ("/resources/0/width", 0.into()),
        ("/resources/0/backing/0/0", u64::MAX.into()),
        ("/resources/0/backing", vec![serde_json::json!([0, 1]); 20_000].into()),
        ("/heads/0/scanout/0", 9.into()),
        ("/heads/0/scanout/1/2", 65.into()),
        ("/heads/0/size/width", 0.into()),
        ("/heads", serde_json::json!([])),
    ] {
        let mut saved = good.clone();
        *saved.pointer_mut(pointer).expect(pointer) = bad;
        let taken = serde_json::from_value(saved)
            .is_ok_and(|saved| shared.lock().unwrap().change(|gpu, _| gpu.restore(saved)).is_ok());
        assert!(!taken, "{pointer}");
    }
}

#[test]
fn any_commands_are_answered() {
    let mut f = fixture();
    let mut seed = 7u32;
    let mut random = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        seed >> 16
    };
    const FIELDS: [u32; 12] = [0, 1, 2, 3, 4, 16, 64, 4096, PAGES as u32, 0x7fff_ffff, 0xffff_fff0, u32::MAX];
    for _ in 0..800 {
        let mut field = || FIELDS[random() as usize % FIELDS.len()];
        let body: [u32; 20] = std::array::from_fn(|_| field());
        let code = f.code(0x100 + random() % 12, &body);
        assert!((0x1100..=0x1205).contains(&code), "{code:#x}");
        if random() % 8 == 0 {
            f.cursor(0x300 + random() % 2, std::array::from_fn(|at| body[at]));
        }
        for told in f.output.take() {
            if let Told::Scanout(_, Some(scanout)) = told {
                assert!(scanout.fits());
            }
        }
    }
    assert_eq!(f.driver.status() & 64, 0);
}

#[path = "transfer_test.rs"]
mod transfer;
