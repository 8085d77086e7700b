//! A device's file of usbfs, `/dev/bus/usb/BBB/DDD` (kernel documentation, `driver-api/usb/usb.rst`), which this person must be let use.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::{Device, Error};

/// Where udev looks for rules; `uaccess` needs a name that comes before systemd's `73-seat-late.rules`.
pub(super) const RULES: &str = "/etc/udev/rules.d/70-dormer-usb.rules";

/// udev's rule that lets whoever sits at this computer use such devices.
pub fn rule_line(device: &Device) -> String {
    let Device { vendor, product, .. } = device;
    format!(
        r#"SUBSYSTEM=="usb", ENV{{DEVTYPE}}=="usb_device", ATTR{{idVendor}}=="{vendor:04x}", ATTR{{idProduct}}=="{product:04x}", TAG+="uaccess""#
    )
}

/// How long the kernel may take to choose a new device's configuration, and how often that is looked at.
const CHOOSES: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(20);

/// Leaves a device that has just been plugged in to the kernel first: before its configuration is chosen, nobody knows what it is used for,
/// and whoever took it would have it together with the drivers that come then.
pub(crate) fn settle(device: &Device) {
    let chosen = device.sysfs.join("bConfigurationValue");
    let end = Instant::now() + CHOOSES;
    // The file is empty until then, for ever where the kernel chooses none, and not there when the device is gone.
    while Instant::now() < end && std::fs::read_to_string(&chosen).is_ok_and(|value| value.trim().is_empty()) {
        std::thread::sleep(LOOK);
    }
}

/// Opens it to read and write.
pub(crate) fn open(device: &Device) -> Result<File, Error> {
    let path = PathBuf::from(format!("/dev/bus/usb/{:03}/{:03}", device.ports.0, device.address));
    OpenOptions::new().read(true).write(true).open(path).map_err(|error| refusal(device, error))
}

fn refusal(device: &Device, source: std::io::Error) -> Error {
    let (name, id) = (device.name(), device.id.clone());
    match source.kind() {
        ErrorKind::PermissionDenied => Error::Permission { name, id, line: rule_line(device) },
        _ if std::env::var_os("FLATPAK_ID").is_some() => Error::Sandboxed(name),
        // ENODEV: it went while its file was being opened.
        ErrorKind::NotFound => Error::Gone { name, id },
        _ if source.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error()) => Error::Gone { name, id },
        _ => Error::Open { name, id, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usb::a_device;

    #[test]
    fn who_may_not_is_told_what_to_do() {
        let error = refusal(&a_device("1-2"), ErrorKind::PermissionDenied.into()).to_string();
        let (words, line) = error.split_once('\n').unwrap();
        assert!(words.contains("“SanDisk Ultra” (1-2)") && words.contains("/etc/udev/rules.d/70-dormer-usb.rules"));
        assert_eq!(
            line,
            r#"SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ATTR{idVendor}=="0781", ATTR{idProduct}=="5581", TAG+="uaccess""#
        );
        let gone = std::io::Error::from_raw_os_error(rustix::io::Errno::NODEV.raw_os_error());
        assert!(matches!(refusal(&a_device("1-2"), gone), Error::Gone { .. }));
        assert!(matches!(open(&Device { ports: (250, vec![1]), ..a_device("250-1") }), Err(Error::Gone { .. })));
    }
}
