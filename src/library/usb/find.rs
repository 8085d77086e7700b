//! Finding the device that a person means: by its port (`1-2.3`), or by its numbers (`0781:5581`, `0781:5581:SERIAL`).

use api::usb::{UsbStatus, is_port, parse_number};

use super::{Device, Error};

/// What a person calls a device.
enum Called<'a> {
    Port(&'a str),
    Numbers(u16, u16, Option<&'a str>),
}

fn parse(text: &str) -> Result<Called<'_>, Error> {
    let numbers = || {
        let mut parts = text.splitn(3, ':');
        let (vendor, product) = (parse_number(parts.next()?)?, parse_number(parts.next()?)?);
        Some(Called::Numbers(vendor, product, parts.next()))
    };
    match is_port(text) {
        true => Ok(Called::Port(text)),
        false => numbers().ok_or_else(|| Error::NotADevice(text.chars().take(80).collect())),
    }
}

/// What can be called so.
pub(crate) trait Named {
    /// Port, vendor, product, serial number and name.
    fn words(&self) -> (&str, u16, u16, Option<&str>, String);
}

impl Named for &Device {
    fn words(&self) -> (&str, u16, u16, Option<&str>, String) {
        (&self.id, self.vendor, self.product, self.serial.as_deref(), self.name())
    }
}

impl Named for UsbStatus {
    fn words(&self) -> (&str, u16, u16, Option<&str>, String) {
        (&self.id, self.vendor, self.product, None, self.name.clone())
    }
}

/// The one among `devices` that is called so.
pub fn find<'a>(devices: &'a [Device], text: &str) -> Result<&'a Device, Error> {
    find_among(devices, text)
}

/// [`find`] among devices of any kind.
pub(crate) fn find_among<T: Named>(devices: impl IntoIterator<Item = T>, text: &str) -> Result<T, Error> {
    let called = parse(text)?;
    let is = |device: &T| {
        let (id, vendor, product, serial, _) = device.words();
        match called {
            Called::Port(port) => id == port,
            Called::Numbers(v, p, s) => (vendor, product) == (v, p) && s.is_none_or(|s| serial == Some(s)),
        }
    };
    let mut found: Vec<_> = devices.into_iter().filter(is).collect();
    match (found.pop(), found.is_empty()) {
        (None, _) => Err(Error::NotFound(text.to_owned())),
        (Some(device), true) => Ok(device),
        (Some(last), false) => {
            let named = |device: &T| {
                let (id, .., name) = device.words();
                format!("{id} ({name})")
            };
            Err(Error::Ambiguous { what: text.to_owned(), devices: found.iter().chain([&last]).map(named).collect() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usb::a_device;

    #[test]
    fn one_device_is_meant() {
        let twin = Device { serial: None, ..a_device("1-3") };
        let other = Device { product: 0x5583, ..a_device("2-1.4") };
        let devices = [a_device("1-2"), twin, other];
        let found = |text: &str| find(&devices, text).map(|device| device.id.as_str());
        assert_eq!(found("1-3").unwrap(), "1-3");
        assert_eq!(found("0781:5583").unwrap(), "2-1.4");
        assert_eq!(found("0781:5581:4C53").unwrap(), "1-2");
        let several = found("0781:5581").unwrap_err().to_string();
        assert!(several.contains("1-2 (SanDisk Ultra), 1-3 (SanDisk Ultra)"), "{several}");
        for text in ["1-4", "0781:5584", "0781:5581:no"] {
            assert!(matches!(found(text), Err(Error::NotFound(_))), "{text}");
        }
        for text in ["", "usb1", "1", "1-2:1.0", "781:5581", "../1-2", "0781:", "stick"] {
            assert!(matches!(found(text), Err(Error::NotADevice(_))), "{text}");
        }
    }
}
