//! A row with a number that can be typed and stepped.

use std::ops::RangeInclusive;

use adw::prelude::*;

/// A row for whole numbers, fit for assistive technology: libadwaita 1.7 hides such a row from it, and gives its spin button no name.
pub(crate) fn new(title: &str, range: RangeInclusive<u64>, step: u64) -> adw::SpinRow {
    let (least, most) = (*range.start() as f64, *range.end() as f64);
    let adjustment = gtk::Adjustment::new(least, least, most, step as f64, 10.0 * step as f64, 0.0);
    let row = adw::SpinRow::builder()
        .title(title)
        .adjustment(&adjustment)
        .accessible_role(gtk::AccessibleRole::ListItem)
        .build();
    row.upcast_ref::<gtk::Widget>().update_property(&[gtk::accessible::Property::Label(title)]);
    row
}
