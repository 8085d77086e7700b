//! Parts of pictures out of scattered pages, against the same done byte by byte.

use device::bench::Random;

use super::*;

/// The resource that is looked at.
const ID: u32 = 1;
/// Where its pages are: behind all buffers that the test's requests take.
const SCATTERED: u64 = 0x38_0000;

/// Pages of the guest, in pieces of its memory that lie apart and out of order.
fn scatter(f: &mut Fixture, random: &mut Random, bytes: usize) -> Vec<u8> {
    let (mut body, mut pages) = (vec![ID, 0], Vec::new());
    while pages.len() < bytes && body[1] < 40 {
        let length = if random.once_in(6) { 0 } else { 1 + random.near(8) };
        let at = SCATTERED + u64::from(body[1] * 7 % 41) * 0x1000 + random.below(0xf00);
        let piece: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
        f.driver.fill(at, &piece);
        body.extend([at as u32, 0, length as u32, 0]);
        body[1] += 1;
        pages.extend(piece);
    }
    assert_eq!(f.code(0x106, &body), OK);
    pages
}

#[test]
fn parts_come_from_where_they_are() {
    let mut f = fixture();
    let mut random = Random::new(7);
    for _ in 0..150 {
        let (width, height) = (1 + random.below(24) as u32, 1 + random.below(12) as u32);
        let format = random.pick(&[1, 2, 3, 4, 67, 68, 121, 134]);
        assert_eq!(f.code(0x101, &[ID, format, width, height]), OK);
        let pages = scatter(&mut f, &mut random, (width * height * 4) as usize);
        let mut expected = vec![0; (width * height) as usize];
        for _ in 0..4 {
            let (x, y) = (random.below(width.into()) as u32, random.below(height.into()) as u32);
            let (w, h) = (random.below((width - x + 1).into()) as u32, random.below((height - y + 1).into()) as u32);
            let offset = if random.once_in(3) { random.value() } else { u64::from((y * width + x) * 4) };
            assert_eq!(f.code(0x105, &[x, y, w, h, offset as u32, (offset >> 32) as u32, ID, 0]), OK);
            let whole = Rect { x: 0, y: 0, width, height };
            let pixels = read_pixels(&f.driver.function().device().resources[&ID].scanout(whole));
            let end = offset.checked_add(u64::from((h.saturating_sub(1) * width + w) * 4));
            let all_there = end.is_some_and(|end| end <= pages.len() as u64);
            for (line, column) in (0..height).flat_map(|line| (0..width).map(move |column| (line, column))) {
                let at = (line * width + column) as usize;
                if !((x..x + w).contains(&column) && (y..y + h).contains(&line)) {
                    assert_eq!(pixels[at], expected[at], "{width}x{height}: {x},{y} {w}x{h} is not where {at} is");
                } else if all_there {
                    let from = offset as usize + (((line - y) * width + column - x) * 4) as usize;
                    let pixel = colors(format, u32_at(&pages, from));
                    assert_eq!(pixels[at], pixel, "{width}x{height}: {x},{y} {w}x{h} from {offset}, at {at}");
                }
            }
            expected = pixels;
        }
        assert_eq!(f.code(0x102, &[ID, 0]), OK);
    }
}
