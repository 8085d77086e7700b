//! A meter: how loud it is, seen.

use std::cell::Cell;

use gtk::prelude::*;

/// What is left of a level after each look: a meter falls slowly enough to be read.
const FALL: f64 = 0.75;

/// Room beside the trough of a scale, in which it takes its slider.
pub(super) const TROUGH: i32 = 12;

/// The meter.
pub(super) struct Level {
    bar: gtk::LevelBar,
    shown: Cell<f64>,
}

impl Level {
    /// One that is empty, with this name for screen readers, and with the ends of a scale's trough.
    pub(super) fn new(name: &str) -> Self {
        let bar = gtk::LevelBar::builder().hexpand(true).margin_start(TROUGH).margin_end(TROUGH).build();
        // Loud is neither better nor worse.
        for offset in [gtk::LEVEL_BAR_OFFSET_LOW, gtk::LEVEL_BAR_OFFSET_HIGH, gtk::LEVEL_BAR_OFFSET_FULL] {
            bar.remove_offset_value(Some(offset));
        }
        bar.update_property(&[gtk::accessible::Property::Label(name)]);
        Self { bar, shown: Cell::default() }
    }

    pub(super) fn widget(&self) -> &gtk::LevelBar {
        &self.bar
    }

    /// Shows the loudest sample since the last look, 0 to 1.
    pub(super) fn show(&self, peak: f32) {
        let shown = fallen(self.shown.get(), peak);
        if self.shown.replace(shown) != shown {
            self.bar.set_value(shown);
        }
    }

    /// Nobody looks.
    pub(super) fn clear(&self) {
        self.shown.set(0.0);
        self.bar.set_value(0.0);
    }
}

/// What follows a level when this is heard. The cube root, as volumes are cubes: equal steps sound equal.
fn fallen(before: f64, peak: f32) -> f64 {
    let heard = f64::from(peak.clamp(0.0, 1.0)).cbrt();
    let fallen = heard.max(before * FALL);
    if fallen < 0.01 { 0.0 } else { fallen }
}

#[cfg(test)]
mod tests {
    use super::fallen;

    #[test]
    fn meters_rise_at_once_and_fall_slowly() {
        assert_eq!(fallen(0.0, 0.125), 0.5);
        assert_eq!(fallen(1.0, 0.125), 0.75);
        assert_eq!(fallen(0.3, 5.0), 1.0);
        assert_eq!(fallen(0.01, 0.0), 0.0);
        assert_eq!(fallen(0.0, f32::NAN), 0.0);
    }
}
