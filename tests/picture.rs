//! Pictures of a screen, and what can be read on them.
//!
//! Consoles in graphics modes draw letters into cells of one size. A text is found on them without knowing the font: where cells
//! repeat exactly as the text's characters do, there the text is. That is exact, and quick enough for an emulated processor. What
//! is drawn with proportional or smoothed letters is read by tesseract.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Cells that consoles use: VGA and Linux, VGA with nine columns, UEFI.
const CELLS: [Cell; 3] = [Cell { width: 8, height: 16 }, Cell { width: 9, height: 16 }, Cell { width: 8, height: 19 }];
/// So many characters of a text must repeat earlier ones (or be blank), or too much looks like it.
const REPEATS: usize = 5;

#[derive(Clone, Copy, Debug)]
struct Cell {
    width: usize,
    height: usize,
}

/// A picture in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Pixels from left to right.
    pub width: usize,
    /// Pixels from top to bottom.
    pub height: usize,
    /// 0xRRGGBB, rows from the top.
    pixels: Vec<u32>,
    /// How many pixels differ from their left neighbour, summed over everything left of and above a corner.
    edges: Vec<u32>,
}

impl Picture {
    /// A picture of these pixels.
    pub fn new(width: usize, height: usize, pixels: Vec<u32>) -> Self {
        assert_eq!(pixels.len(), width * height);
        let mut edges = vec![0; (width + 1) * (height + 1)];
        for y in 0..height {
            let mut row = 0;
            for x in 0..width {
                row += u32::from(x > 0 && pixels[y * width + x] != pixels[y * width + x - 1]);
                edges[(y + 1) * (width + 1) + x + 1] = edges[y * (width + 1) + x + 1] + row;
            }
        }
        Self { width, height, pixels, edges }
    }

    /// Reads a PNG of 8 bits for each of red, green, blue (and transparency, which is left out).
    pub fn open(path: &Path) -> Result<Self> {
        let mut reader = png::Decoder::new(BufReader::new(File::open(path)?)).read_info()?;
        let mut bytes = vec![0; reader.output_buffer_size().context("a picture too large")?];
        let info = reader.next_frame(&mut bytes)?;
        let step = match (info.color_type, info.bit_depth) {
            (png::ColorType::Rgb, png::BitDepth::Eight) => 3,
            (png::ColorType::Rgba, png::BitDepth::Eight) => 4,
            other => anyhow::bail!("a picture of {other:?}"),
        };
        let pixels = bytes[..info.buffer_size()].chunks_exact(step);
        let pixels = pixels.map(|p| u32::from(p[0]) << 16 | u32::from(p[1]) << 8 | u32::from(p[2])).collect();
        Ok(Self::new(info.width as usize, info.height as usize, pixels))
    }

    /// The pixel there, as 0xRRGGBB.
    pub fn at(&self, x: usize, y: usize) -> u32 {
        self.pixels[y * self.width + x]
    }

    /// How many pixels differ from another picture of the same size; all of them when the sizes differ.
    pub fn difference(&self, other: &Self) -> usize {
        if (self.width, self.height) != (other.width, other.height) {
            return self.pixels.len();
        }
        self.pixels.iter().zip(&other.pixels).filter(|(a, b)| a != b).count()
    }

    /// How many colours it has, counted to `limit`.
    pub fn colours(&self, limit: usize) -> usize {
        let mut seen = std::collections::HashSet::new();
        let _ = self.pixels.iter().find(|&&pixel| seen.insert(pixel) && seen.len() >= limit);
        seen.len()
    }

    /// Does this text stand on it in cells? Lines of the text stand below each other.
    ///
    /// # Panics
    /// The text has too few repetitions to be known by them: take a longer one.
    pub fn shows(&self, text: &str) -> bool {
        let lines = text.lines().enumerate();
        let places: Vec<(usize, usize, char)> =
            lines.flat_map(|(row, line)| line.chars().enumerate().map(move |(column, c)| (column, row, c))).collect();
        let pattern: Vec<Place> = places
            .iter()
            .enumerate()
            .map(|(number, &(column, row, c))| {
                let earlier = places[..number].iter().position(|other| other.2 == c);
                let glyph = match (c, earlier) {
                    (' ', _) => Glyph::Blank,
                    (_, Some(earlier)) => Glyph::As(earlier),
                    _ => Glyph::New,
                };
                Place { column, row, glyph }
            })
            .collect();
        let repeats = pattern.iter().filter(|place| !matches!(place.glyph, Glyph::New)).count();
        assert!(repeats >= REPEATS, "too few repetitions to be found on a picture: {text}");
        CELLS.iter().any(|&cell| self.has_pattern(cell, &pattern))
    }

    fn has_pattern(&self, cell: Cell, pattern: &[Place]) -> bool {
        let width = pattern.iter().map(|place| (place.column + 1) * cell.width).max().unwrap_or(0);
        let height = pattern.iter().map(|place| (place.row + 1) * cell.height).max().unwrap_or(0);
        if width > self.width || height > self.height {
            return false;
        }
        (0..=self.height - height).any(|y| {
            (0..=self.width - width).any(|x| {
                let corner = |place: &Place| (x + place.column * cell.width, y + place.row * cell.height);
                // Which cells are blank is quickly known and rules out nearly all.
                pattern.iter().all(|place| {
                    let (x, y) = corner(place);
                    self.is_blank(x, y, cell) == matches!(place.glyph, Glyph::Blank)
                }) && {
                    let shapes: Vec<_> = pattern.iter().map(|place| self.shape(corner(place), cell)).collect();
                    pattern.iter().enumerate().all(|(number, place)| match place.glyph {
                        Glyph::Blank => true,
                        Glyph::As(earlier) => shapes[number] == shapes[earlier],
                        Glyph::New => !shapes[..number].contains(&shapes[number]),
                    })
                }
            })
        })
    }

    /// Has this cell no edge from left to right?
    fn is_blank(&self, x: usize, y: usize, cell: Cell) -> bool {
        let at = |x: usize, y: usize| self.edges[y * (self.width + 1) + x];
        let (right, below) = (x + cell.width, y + cell.height);
        // The first column's edges are to the cell on the left.
        let x = x + 1;
        at(right, below) + at(x, y) == at(right, y) + at(x, below)
    }

    /// Which pixels of a cell differ from its most common colour, row by row.
    fn shape(&self, (x, y): (usize, usize), cell: Cell) -> Vec<u16> {
        let row = |line: usize| &self.pixels[(y + line) * self.width + x..][..cell.width];
        let mut counts: Vec<(u32, usize)> = Vec::new();
        for &pixel in (0..cell.height).flat_map(row) {
            match counts.iter_mut().find(|(colour, _)| *colour == pixel) {
                Some((_, count)) => *count += 1,
                None => counts.push((pixel, 1)),
            }
        }
        let ground = counts.iter().max_by_key(|(_, count)| *count).map_or(0, |(colour, _)| *colour);
        let bits = |line| row(line).iter().fold(0, |bits, &pixel| bits << 1 | u16::from(pixel != ground));
        (0..cell.height).map(bits).collect()
    }
}

/// A character's place in a text, and what is known about its shape.
#[derive(Clone, Copy, Debug)]
struct Place {
    column: usize,
    row: usize,
    glyph: Glyph,
}

#[derive(Clone, Copy, Debug)]
enum Glyph {
    Blank,
    New,
    As(usize),
}

/// What tesseract reads on a picture. Slow on an emulated processor: for smoothed letters only.
pub fn read(path: &Path) -> Result<String> {
    let large = path.with_extension("ocr.png");
    let scaled = Command::new("convert")
        .arg(path)
        .args(["-alpha", "off", "-colorspace", "gray", "-resize", "200%"])
        .arg(&large)
        .status()
        .context("cannot run convert (package imagemagick)")?;
    ensure!(scaled.success(), "convert failed on {}", path.display());
    let text = Command::new("tesseract")
        .arg(&large)
        .args(["-", "--psm", "11"])
        .env("OMP_THREAD_LIMIT", "1")
        .output()
        .context("cannot run tesseract (package tesseract-ocr)")?;
    let _ = std::fs::remove_file(&large);
    ensure!(text.status.success(), "tesseract failed: {}", String::from_utf8_lossy(&text.stderr));
    Ok(String::from_utf8_lossy(&text.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture with a text in letters made up from their codes, in cells of 8 by 16, somewhere.
    fn drawn(text: &str, x: usize, y: usize) -> Picture {
        let (width, height) = (640, 100);
        let mut pixels = vec![0x0000_aa; width * height];
        for (place, c) in text.chars().enumerate().filter(|(_, c)| *c != ' ') {
            for line in 0..8 {
                for column in 0..7 {
                    let on = (c as usize).wrapping_mul(0x9e37_79b9).rotate_left(line as u32 * 5) >> column & 1 == 1;
                    // Every other letter in another colour: a highlight is no other letter.
                    let colour = if place % 2 == 0 { 0xff_ffff } else { 0xff_ff00 };
                    if on {
                        pixels[(y + line + 3) * width + x + place * 8 + column] = colour;
                    }
                }
            }
        }
        Picture::new(width, height, pixels)
    }

    #[test]
    fn a_text_is_found_wherever_it_stands() {
        let picture = drawn("Choose the language to be used", 13, 41);
        assert!(picture.shows("Choose the language"));
        assert!(picture.shows("the language to be used"));
        assert!(!picture.shows("Choose the languages to"));
        assert!(!picture.shows("Select your location now"));
        assert!(!drawn("", 0, 0).shows("Choose the language"));
    }

    #[test]
    #[should_panic(expected = "too few repetitions")]
    fn a_text_without_repetitions_is_refused() {
        drawn("login:", 0, 0).shows("login:");
    }

    #[test]
    fn pictures_are_compared_and_counted() {
        let (one, other) = (drawn("aaaa", 0, 0), drawn("", 0, 0));
        assert_eq!(one.difference(&one), 0);
        assert!(one.difference(&other) > 10);
        assert_eq!((one.colours(10), other.colours(10), one.colours(2)), (3, 1, 2));
    }
}
