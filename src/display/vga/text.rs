//! Text modes: cells, fonts, the cursor, and the characters as Unicode.

use super::picture::{Line, Scan, Text};
use super::registers::{Registers, crtc};
use super::vram::Vram;

/// Bytes of one font: 256 characters of 32 lines.
const FONT_BYTES: usize = 256 * 32;

/// The text cursor, as it stands now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    unit: u32,
    first: u8,
    last: u8,
}

impl Cursor {
    /// The cursor that the registers describe; `None` when it is off.
    pub(super) fn of(registers: &Registers) -> Option<Self> {
        let (start, end) = (registers.crtc[crtc::CURSOR_START], registers.crtc[crtc::CURSOR_END]);
        let (first, last) = (start & 0x1f, end & 0x1f);
        let on = start & 0x20 == 0 && first <= last;
        on.then(|| Self { unit: registers.cursor_address(), first, last })
    }
}

/// One character as it is drawn: everything that its dots follow from, besides font and palette.
///
/// Bits 0–7 character, 8–15 attribute, 16 the cursor is on it, 17 it is blinked away, 18–22 and 23–27 the cursor's lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell(u32);

const CURSOR: u32 = 1 << 16;
const HIDDEN: u32 = 1 << 17;

impl Cell {
    fn character(self) -> u8 {
        self.0 as u8
    }

    fn attribute(self) -> u8 {
        (self.0 >> 8) as u8
    }

    fn has_cursor(self, row: u32) -> bool {
        let (first, last) = (self.0 >> 18 & 0x1f, self.0 >> 23 & 0x1f);
        self.0 & CURSOR != 0 && (first..=last).contains(&row)
    }
}

/// Scan lines that show the same row of characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// Its first unit.
    pub(super) unit: u32,
    /// Its first scan line.
    pub(super) first: usize,
    /// Scan lines.
    pub(super) count: usize,
}

/// The rows of characters that `lines` show.
pub(super) fn rows(lines: &[Line]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (y, line) in lines.iter().enumerate() {
        match rows.last_mut() {
            Some(row) if row.unit == line.unit && (line.row != 0 || lines[y - 1].row == 0) => row.count += 1,
            _ => rows.push(Row { unit: line.unit, first: y, count: 1 }),
        }
    }
    rows
}

/// The cells of a row, and one more for panning.
pub(super) fn cells(scan: &Scan, text: &Text, vram: &Vram, row: Row, cursor: Option<Cursor>, blink: bool) -> Vec<Cell> {
    (0..=scan.columns)
        .map(|column| {
            let unit = row.unit.wrapping_add(column) & (scan.wrap - 1);
            let mut cell = vram.unit(unit.into()) & 0xffff;
            if let Some(cursor) = cursor.filter(|cursor| cursor.unit == unit) {
                cell |= CURSOR | u32::from(cursor.first) << 18 | u32::from(cursor.last) << 23;
            }
            if text.blinks && blink && cell & 0x8000 != 0 {
                cell |= HIDDEN;
            }
            Cell(cell)
        })
        .collect()
}

/// The characters of a row, without spaces at the end.
pub(super) fn characters(scan: &Scan, vram: &Vram, row: Row) -> String {
    let unit = |column: u32| vram.unit((row.unit.wrapping_add(column) & (scan.wrap - 1)).into());
    let line: String = (0..scan.columns).map(|column| code_page_437(unit(column) as u8)).collect();
    line.trim_end().to_owned()
}

/// The two fonts in use.
pub(super) struct Fonts(Vec<u8>);

impl Default for Fonts {
    fn default() -> Self {
        Self(vec![0; 2 * FONT_BYTES])
    }
}

impl Fonts {
    /// Reads them from plane 2; true when they changed.
    pub(super) fn load(&mut self, text: &Text, vram: &Vram) -> bool {
        let mut units = vec![0; 4 * FONT_BYTES];
        let mut changed = false;
        for (font, &unit) in self.0.chunks_exact_mut(FONT_BYTES).zip(&text.fonts) {
            vram.copy(u64::from(unit) * 4, &mut units);
            for (byte, unit) in font.iter_mut().zip(units.chunks_exact(4)) {
                changed |= std::mem::replace(byte, unit[2]) != unit[2];
            }
        }
        changed
    }

    fn dots(&self, cell: Cell, row: u32) -> u8 {
        let font = usize::from(cell.attribute() >> 3 & 1);
        self.0[font * FONT_BYTES + usize::from(cell.character()) * 32 + (row & 31) as usize]
    }
}

/// Draws line `row` of `cells`: a pixel for each dot.
pub(super) fn draw(text: &Text, cells: &[Cell], fonts: &Fonts, inks: &[u32; 16], row: u32, into: &mut Vec<u32>) {
    for &cell in cells {
        let attribute = cell.attribute();
        let ink = inks[usize::from(attribute & 0x0f)];
        let paper = inks[usize::from(if text.blinks { attribute >> 4 & 7 } else { attribute >> 4 })];
        // Monochrome attributes of background 0 and foreground 1 are underlined.
        let underlined = text.underline == Some(row) && attribute & 0x77 == 0x01;
        let dots = match cell.0 & HIDDEN {
            _ if cell.has_cursor(row) || underlined => 0xff,
            0 => fonts.dots(cell, row),
            _ => 0,
        };
        into.extend((0..8).map(|dot| if dots >> (7 - dot) & 1 != 0 { ink } else { paper }));
        if text.cell_width == 9 {
            let drawn = text.line_graphics && (0xc0..=0xdf).contains(&cell.character());
            let ninth = if drawn { dots & 1 != 0 } else { cell.has_cursor(row) || underlined };
            into.push(if ninth { ink } else { paper });
        }
    }
}

/// The character that the ROM's font draws for `byte`.
fn code_page_437(byte: u8) -> char {
    const LOW: &[char; 32] = &[
        ' ', '☺', '☻', '♥', '♦', '♣', '♠', '•', '◘', '○', '◙', '♂', '♀', '♪', '♫', '☼', '►', '◄', '↕', '‼', '¶', '§',
        '▬', '↨', '↑', '↓', '→', '←', '∟', '↔', '▲', '▼',
    ];
    const HIGH: &[char; 129] = &[
        '⌂', 'Ç', 'ü', 'é', 'â', 'ä', 'à', 'å', 'ç', 'ê', 'ë', 'è', 'ï', 'î', 'ì', 'Ä', 'Å', 'É', 'æ', 'Æ', 'ô', 'ö',
        'ò', 'û', 'ù', 'ÿ', 'Ö', 'Ü', '¢', '£', '¥', '₧', 'ƒ', 'á', 'í', 'ó', 'ú', 'ñ', 'Ñ', 'ª', 'º', '¿', '⌐', '¬',
        '½', '¼', '¡', '«', '»', '░', '▒', '▓', '│', '┤', '╡', '╢', '╖', '╕', '╣', '║', '╗', '╝', '╜', '╛', '┐', '└',
        '┴', '┬', '├', '─', '┼', '╞', '╟', '╚', '╔', '╩', '╦', '╠', '═', '╬', '╧', '╨', '╤', '╥', '╙', '╘', '╒', '╓',
        '╫', '╪', '┘', '┌', '█', '▄', '▌', '▐', '▀', 'α', 'ß', 'Γ', 'π', 'Σ', 'σ', 'µ', 'τ', 'Φ', 'Θ', 'Ω', 'δ', '∞',
        'φ', 'ε', '∩', '≡', '±', '≥', '≤', '⌠', '⌡', '÷', '≈', '°', '∙', '·', '√', 'ⁿ', '²', '■', '\u{a0}',
    ];
    match byte {
        0x00..=0x1f => LOW[usize::from(byte)],
        0x20..=0x7e => char::from(byte),
        0x7f..=0xff => HIGH[usize::from(byte - 0x7f)],
    }
}

#[cfg(test)]
mod tests {
    use super::code_page_437;

    #[test]
    fn characters_stand_where_the_code_page_has_them() {
        for (byte, character) in [
            (0x41, 'A'),
            (0x01, '☺'),
            (0x7f, '⌂'),
            (0x80, 'Ç'),
            (0xb0, '░'),
            (0xc4, '─'),
            (0xda, '┌'),
            (0xdb, '█'),
            (0xe1, 'ß'),
            (0xf8, '°'),
            (0xfe, '■'),
        ] {
            assert_eq!(code_page_437(byte), character, "{byte:#x}");
        }
    }
}
