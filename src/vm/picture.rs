//! Screenshots as files.

use std::fs::File;
use std::io::{BufWriter, Write};

use anyhow::{Result, bail};
use machine::Screenshot;

/// Writes `shot` to `file` in `format`: `png` or `ppm`.
pub(crate) fn write(shot: &Screenshot, format: &str, file: File) -> Result<()> {
    let rgb: Vec<u8> =
        shot.pixels.iter().flat_map(|pixel| [(pixel >> 16) as u8, (pixel >> 8) as u8, *pixel as u8]).collect();
    let mut out = BufWriter::new(file);
    match format {
        "png" => {
            let mut encoder = png::Encoder::new(&mut out, shot.width, shot.height);
            encoder.set_color(png::ColorType::Rgb);
            encoder.set_depth(png::BitDepth::Eight);
            encoder.write_header()?.write_image_data(&rgb)?;
        }
        "ppm" => {
            write!(out, "P6\n{} {}\n255\n", shot.width, shot.height)?;
            out.write_all(&rgb)?;
        }
        other => bail!("screenshots are written as png or ppm, not {other}"),
    }
    out.flush()?;
    Ok(())
}
