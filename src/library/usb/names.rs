//! What this computer's list of USB ids (`usb.ids`, of hwdata) calls vendors and products. It is read when first wanted.

use std::path::Path;

/// Where distributions have it.
const PLACES: [&str; 3] = ["/usr/share/hwdata/usb.ids", "/usr/share/misc/usb.ids", "/var/lib/usbutils/usb.ids"];
/// Most bytes of it; it has 700 KiB.
const BYTES: u64 = 8 << 20;

/// The list.
#[derive(Debug, Default)]
pub(super) struct Names(Option<String>);

impl Names {
    /// The names of vendor and product, as far as they are known.
    pub(super) fn of(&mut self, vendor: u16, product: u16) -> (Option<String>, Option<String>) {
        let text = self.0.get_or_insert_with(|| {
            PLACES.iter().find_map(|place| super::read(Path::new(place), BYTES)).unwrap_or_default()
        });
        names(text, vendor, product)
    }
}

/// A vendor's line is `0781  SanDisk Corp.`; its products follow, each behind a tab.
fn names(text: &str, vendor: u16, product: u16) -> (Option<String>, Option<String>) {
    let (vendor, product) = (format!("{vendor:04x}  "), format!("\t{product:04x}  "));
    let mut lines = text.lines().skip_while(|line| !line.starts_with(&vendor));
    let Some(first) = lines.next() else { return (None, None) };
    let name =
        |line: &str, prefix: &str| Some(super::clean(line.strip_prefix(prefix)?)).filter(|name| !name.is_empty());
    let mut products = lines.take_while(|line| line.starts_with('\t') || line.starts_with('#'));
    (name(first, &vendor), products.find_map(|line| name(line, &product)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found() {
        let text = "# comment\n0780  Sagem\n\t5581  Not this\n0781  SanDisk Corp.\n\t0001  SDDR\n\t5581  Ultra\n\t\t01  x\n0782  Trac\n\t5583  No\nC 00  (Defined)\n";
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(names(text, 0x781, 0x5581), (some("SanDisk Corp."), some("Ultra")));
        assert_eq!(names(text, 0x781, 0x5583), (some("SanDisk Corp."), None));
        assert_eq!(names(text, 0x783, 1), (None, None));
        assert_eq!(names("", 0, 0), (None, None));
    }
}
