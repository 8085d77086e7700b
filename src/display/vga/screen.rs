//! Bringing the picture to the outputs: what changed, into which memory it is drawn, and what the outputs are told.
//!
//! A linear 32 bit mode is shown from video memory itself. Every other picture is drawn into a surface, only the lines whose
//! memory changed, and only pixels that came out differently count as damage.

use std::sync::Arc;

use api::ui::{MAX_SIDE, Rect};
use device::pci::{AddressSpace, SharedMemory};

use super::dispi::Mode;
use super::picture::{Layout, Line, Picture, Scan};
use super::text::{self, Cell, Cursor, Fonts, Row};
use super::vram::{Dirty, Vram};
use crate::surface::{read_line, write_line};
use crate::{Output, PixelFormat, Scanout, Surfaces};

/// Pixels of the largest picture that is drawn rather than shown from video memory.
const MAX_DRAWN: u64 = 1 << 24;
/// Damage is told in at most so many rectangles.
const MAX_RECTS: usize = 16;
/// Changed lines with fewer unchanged lines between them go into one rectangle.
const NEAR: u32 = 8;
/// The head that a VGA has.
const HEAD: u32 = 0;

/// The display side of the adapter. None of it is saved: it all follows from registers and memory.
pub(super) struct Screen {
    output: Arc<dyn Output>,
    surfaces: Arc<dyn Surfaces>,
    surface: Option<Arc<SharedMemory>>,
    /// What the outputs were told last; the outer `None` before anything was.
    told: Option<Option<Scanout>>,
    /// What stands there.
    picture: Option<Picture>,
    fonts: Fonts,
    /// The characters that stand there, row by row.
    cells: Vec<Vec<Cell>>,
}

/// What a look at the adapter gave.
pub(super) struct Look<'a> {
    pub(super) picture: Option<Picture>,
    /// The text cursor where it is not blinked away.
    pub(super) cursor: Option<Cursor>,
    /// Blinking characters are away.
    pub(super) blink: bool,
    pub(super) vram: &'a mut Vram,
}

impl Screen {
    pub(super) fn new(output: Arc<dyn Output>, surfaces: Arc<dyn Surfaces>) -> Self {
        Self { output, surfaces, surface: None, told: None, picture: None, fonts: Fonts::default(), cells: Vec::new() }
    }

    /// Forgets what stands on the screen: the next refresh tells and draws everything.
    pub(super) fn forget(&mut self) {
        self.told = None;
    }

    /// What the outputs show.
    #[cfg(test)]
    pub(super) fn told(&self) -> Option<Scanout> {
        self.told.clone().flatten()
    }

    /// Brings the outputs up to date.
    pub(super) fn refresh(&mut self, look: Look<'_>, space: &dyn AddressSpace) {
        let Look { picture, cursor, blink, vram } = look;
        let Some(picture) = picture else { return self.tell(None) };
        let dirty = vram.take_dirty(space);
        if let Layout::Linear(mode @ Mode { bpp: 32, .. }) = picture.layout {
            let scanout = Scanout {
                memory: Arc::clone(vram.memory()),
                offset: mode.start,
                width: mode.width,
                height: mode.height,
                stride: mode.stride,
                format: PixelFormat::Xrgb8888,
            };
            if scanout.fits() {
                self.show(&mode, scanout, &dirty);
                self.picture = Some(picture);
                return;
            }
        }
        let scanout = self.surface_for(picture.width, picture.height);
        let Some(scanout) = scanout else { return self.tell(None) };
        let fresh = self.told.as_ref() != Some(&Some(scanout.clone()));
        let all = fresh || self.picture.as_ref() != Some(&picture);
        let mut canvas = Canvas { scanout, fresh, old: Vec::new(), damage: Damage::default() };
        match &picture.layout {
            Layout::Blank if all => {
                let black = vec![0; picture.width as usize];
                (0..picture.height).for_each(|y| canvas.put(y, &black));
            }
            Layout::Blank => {}
            Layout::Text(scan, layout) => {
                // Fonts lie between the characters: look at them only when somebody may have written there.
                let new_fonts = (all || dirty.fonts) && self.fonts.load(layout, vram);
                let all = all || new_fonts;
                if all {
                    self.cells.clear();
                }
                let lines = scan.lines(picture.height);
                let rows = text::rows(&lines);
                self.cells.resize(rows.len(), Vec::new());
                for (row, old) in rows.into_iter().zip(&mut self.cells) {
                    let cells = text::cells(scan, layout, vram, row, cursor, blink);
                    if *old != cells {
                        draw_row(&picture, &lines, row, &cells, &self.fonts, &mut canvas);
                        *old = cells;
                    }
                }
            }
            Layout::Planar(scan) | Layout::Interleaved(scan) | Layout::Colors256(scan) => {
                for (y, line) in scan.lines(picture.height).into_iter().enumerate() {
                    if all || line_touched(&dirty, scan, line) {
                        canvas.put(y as u32, &draw_line(&picture, scan, line, vram));
                    }
                }
            }
            Layout::Linear(mode) => {
                for y in 0..picture.height {
                    let (start, bytes) = linear_line(mode, y);
                    if all || dirty.touches(start & (vram.size() - 1), bytes) {
                        canvas.put(y, &draw_linear(&picture, mode, start, bytes, vram));
                    }
                }
            }
        }
        let Canvas { scanout, damage, .. } = canvas;
        self.tell(Some(scanout));
        damage.0.into_iter().for_each(|rect| self.output.damage(HEAD, rect));
        self.picture = Some(picture);
    }

    /// A 32 bit mode, from video memory.
    fn show(&mut self, mode: &Mode, scanout: Scanout, dirty: &Dirty) {
        if self.told.as_ref() != Some(&Some(scanout.clone())) {
            return self.tell(Some(scanout));
        }
        if dirty.is_empty() {
            return;
        }
        let mut damage = Damage::default();
        for y in 0..mode.height {
            let (start, bytes) = linear_line(mode, y);
            if dirty.touches(start, bytes) {
                damage.add(Rect { x: 0, y, width: mode.width, height: 1 });
            }
        }
        damage.0.into_iter().for_each(|rect| self.output.damage(HEAD, rect));
    }

    fn tell(&mut self, scanout: Option<Scanout>) {
        if self.told.as_ref() != Some(&scanout) {
            self.output.scanout(HEAD, scanout.clone());
            self.told = Some(scanout);
        }
    }

    /// A picture of this size in the surface, which grows when it must.
    fn surface_for(&mut self, width: u32, height: u32) -> Option<Scanout> {
        let pixels = u64::from(width) * u64::from(height);
        if width > MAX_SIDE || height > MAX_SIDE || pixels > MAX_DRAWN {
            return None;
        }
        let bytes = pixels * 4;
        if self.surface.as_ref().is_none_or(|surface| surface.size() < bytes) {
            match self.surfaces.allocate(bytes) {
                Ok(surface) => self.surface = Some(surface),
                Err(error) => {
                    tracing::warn!("no memory for a picture of {width}x{height}: {error}");
                    return None;
                }
            }
        }
        let memory = Arc::clone(self.surface.as_ref()?);
        Some(Scanout { memory, offset: 0, width, height, stride: width * 4, format: PixelFormat::Xrgb8888 })
    }
}

/// The surface while it is drawn on.
struct Canvas {
    scanout: Scanout,
    /// Nothing of this picture stands there yet.
    fresh: bool,
    old: Vec<u32>,
    damage: Damage,
}

impl Canvas {
    /// Puts `pixels` on line `y`.
    fn put(&mut self, y: u32, pixels: &[u32]) {
        if self.fresh {
            return write_line(&self.scanout, 0, y, pixels);
        }
        self.old.resize(pixels.len(), 0);
        read_line(&self.scanout, y, &mut self.old);
        let differs = |(old, new): (&u32, &u32)| old != new;
        let Some(first) = self.old.iter().zip(pixels).position(differs) else { return };
        let last = self.old.iter().zip(pixels).rposition(differs).unwrap_or(first);
        write_line(&self.scanout, first as u32, y, &pixels[first..=last]);
        self.damage.add(Rect { x: first as u32, y, width: (last - first + 1) as u32, height: 1 });
    }
}

/// Rectangles that changed, from the top down.
#[derive(Default)]
struct Damage(Vec<Rect>);

impl Damage {
    /// Adds a line below all the others.
    fn add(&mut self, line: Rect) {
        let full = self.0.len() >= MAX_RECTS;
        match self.0.last_mut() {
            Some(last) if full || line.y < last.y + last.height + NEAR => *last = last.union(line),
            _ => self.0.push(line),
        }
    }
}

fn line_touched(dirty: &Dirty, scan: &Scan, line: Line) -> bool {
    let (unit, units, wrap) = (u64::from(line.unit), u64::from(scan.columns) + 1, u64::from(scan.wrap));
    let before = units.min(wrap - unit);
    dirty.touches(unit * 4, before * 4) || before < units && dirty.touches(0, (units - before) * 4)
}

/// Where line `y` of a linear mode starts, and its bytes.
fn linear_line(mode: &Mode, y: u32) -> (u64, u64) {
    let bits = if mode.bpp == 15 { 16 } else { u64::from(mode.bpp) };
    (mode.start + u64::from(y) * u64::from(mode.stride), u64::from(mode.width) * bits / 8)
}

fn draw_row(picture: &Picture, lines: &[Line], row: Row, cells: &[Cell], fonts: &Fonts, canvas: &mut Canvas) {
    let Layout::Text(scan, layout) = &picture.layout else { return };
    let mut dots = Vec::new();
    for (y, line) in lines.iter().enumerate().skip(row.first).take(row.count) {
        dots.clear();
        text::draw(layout, cells, fonts, &picture.inks, line.row, &mut dots);
        canvas.put(y as u32, &window(&dots, scan, line.panning, picture.width));
    }
}

/// The pixels of a line in a planar, interleaved or 256-colour mode.
fn draw_line(picture: &Picture, scan: &Scan, line: Line, vram: &Vram) -> Vec<u32> {
    let mut dots = Vec::with_capacity(8 * scan.columns as usize + 8);
    for column in 0..=scan.columns {
        let unit = vram.unit((line.unit.wrapping_add(column) & (scan.wrap - 1)).into());
        let planes = unit.to_le_bytes();
        match picture.layout {
            Layout::Colors256(_) => {
                for pixel in planes {
                    dots.extend([picture.colors[usize::from(pixel)]; 2]);
                }
            }
            Layout::Interleaved(_) => {
                for (low, high) in [(planes[0], planes[2]), (planes[1], planes[3])] {
                    for shift in [6, 4, 2, 0] {
                        dots.push(picture.inks[usize::from(low >> shift & 3 | (high >> shift & 3) << 2)]);
                    }
                }
            }
            _ => {
                for bit in (0..8).rev() {
                    let pixel = unit >> bit & 0x0101_0101;
                    let value = pixel | pixel >> 7 | pixel >> 14 | pixel >> 21;
                    dots.push(picture.inks[(value & 0x0f) as usize]);
                }
            }
        }
    }
    window(&dots, scan, line.panning, picture.width)
}

/// What of a line of dots the screen shows, in pixels.
fn window(dots: &[u32], scan: &Scan, panning: u32, width: u32) -> Vec<u32> {
    let dots = dots.iter().skip(panning as usize).copied();
    let width = width as usize;
    match scan.half_clock {
        true => dots.flat_map(|dot| [dot; 2]).take(width).collect(),
        false => dots.take(width).collect(),
    }
}

/// The pixels of a line of a linear mode.
fn draw_linear(picture: &Picture, mode: &Mode, start: u64, bytes: u64, vram: &Vram) -> Vec<u32> {
    let mut line = vec![0; bytes as usize];
    vram.copy(start, &mut line);
    // Widens components of `bits` bits so that full stays full.
    let widen = |value: u16, bits: u16| u32::from(value << (8 - bits) | value >> (2 * bits - 8));
    match mode.bpp {
        8 => line.iter().map(|pixel| picture.colors[usize::from(*pixel)]).collect(),
        15 | 16 => {
            let green = if mode.bpp == 15 { 5 } else { 6 };
            let pixel = |pair: &[u8]| {
                let value = u16::from_le_bytes([pair[0], pair[1]]);
                let red = widen(value >> (5 + green) & 0x1f, 5);
                red << 16 | widen(value >> 5 & ((1 << green) - 1), green) << 8 | widen(value & 0x1f, 5)
            };
            line.chunks_exact(2).map(pixel).collect()
        }
        24 => line.chunks_exact(3).map(|p| u32::from_le_bytes([p[0], p[1], p[2], 0])).collect(),
        _ => line.chunks_exact(4).map(|p| u32::from_le_bytes([p[0], p[1], p[2], 0])).collect(),
    }
}
