//! Keyboard and pointer.

use std::time::Duration;

use anyhow::{Result, bail};
use api::control::{Command, KeyValue};
use api::input::Button;
use clap::ValueEnum;
use library::Entry;

use crate::{keyboard, screen};

/// Between combinations of one command.
const BETWEEN: Duration = Duration::from_millis(100);

/// What to press at the pointer's new place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Press {
    /// The left button
    #[value(name = "click")]
    Left,
    /// The right button
    #[value(name = "right-click")]
    Right,
    /// The middle button
    #[value(name = "middle-click")]
    Middle,
    /// The left button twice
    #[value(name = "double-click")]
    Double,
}

/// `type`.
pub(crate) fn type_text(entry: &Entry, text: &str, enter: bool, delay: u64) -> Result<()> {
    let end = if enter { "\n" } else { "" };
    // All of it or nothing.
    let presses: Vec<Vec<KeyValue>> =
        text.chars().chain(end.chars()).map(keyboard::for_character).collect::<Result<_>>()?;
    let mut control = entry.running()?.control()?;
    for keys in presses {
        control.execute(&Command::SendKey { keys, hold_time: Some(delay) })?;
        std::thread::sleep(Duration::from_millis(delay));
    }
    Ok(())
}

/// `key`.
pub(crate) fn keys(entry: &Entry, combinations: &[String]) -> Result<()> {
    let presses: Vec<_> = combinations.iter().map(|text| keyboard::combination(text)).collect::<Result<_>>()?;
    let mut control = entry.running()?.control()?;
    for (number, keys) in presses.into_iter().enumerate() {
        if number > 0 {
            std::thread::sleep(BETWEEN);
        }
        control.execute(&Command::SendKey { keys, hold_time: None })?;
    }
    Ok(())
}

/// A pixel's place on the pointer's scale of 0 to 0x7fff.
fn scale(pixel: u32, pixels: u32) -> u16 {
    let last = u64::from(pixels.max(2) - 1);
    let scaled = (u64::from(pixel) * 0x7fff + last / 2) / last;
    scaled.min(0x7fff) as u16
}

/// `mouse`.
pub(crate) fn mouse(entry: &Entry, x: u32, y: u32, click: Option<Press>) -> Result<()> {
    let mut control = entry.running()?.control()?;
    let (width, height) = screen::size(&mut control)?;
    if x >= width || y >= height {
        bail!("the screen has {width} by {height} pixels: {x}, {y} is not on it");
    }
    let (x, y) = (scale(x, width), scale(y, height));
    let (button, times) = match click {
        None => (None, 1),
        Some(Press::Left) => (Some(Button::Left), 1),
        Some(Press::Double) => (Some(Button::Left), 2),
        Some(Press::Right) => (Some(Button::Right), 1),
        Some(Press::Middle) => (Some(Button::Middle), 1),
    };
    for _ in 0..times {
        control.execute(&Command::Pointer { x, y, click: button })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_scaled_to_the_ends() {
        assert_eq!((scale(0, 1280), scale(1279, 1280), scale(0, 1)), (0, 0x7fff, 0));
        for pixel in 0..1280 {
            let back = u32::from(scale(pixel, 1280)) * 1280 / 0x8000;
            assert!(back.abs_diff(pixel) <= 1, "{pixel} {back}");
        }
    }
}
