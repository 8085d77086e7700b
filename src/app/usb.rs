//! How USB devices are shown.

use api::usb::Speed;
use library::usb::{Device, Kind};

use crate::i18n::gettext_f;
use crate::words::quote;

/// A picture of its kind.
pub(crate) fn icon(kind: Kind) -> &'static str {
    match kind {
        Kind::Storage => "media-removable-symbolic",
        Kind::Keyboard => "input-keyboard-symbolic",
        Kind::Mouse => "input-mouse-symbolic",
        Kind::Input => "input-gaming-symbolic",
        Kind::Audio => "audio-headset-symbolic",
        Kind::Video => "camera-web-symbolic",
        Kind::Printer => "printer-symbolic",
        Kind::Imaging => "phone-symbolic",
        Kind::Network => "network-wired-symbolic",
        Kind::Wireless => "bluetooth-symbolic",
        Kind::SmartCard => "auth-smartcard-symbolic",
        Kind::Hub | Kind::Other => "drive-harddisk-usb-symbolic",
    }
}

/// What it is, without its maker where that stands beside it.
pub(crate) fn title(device: &Device) -> String {
    quote(if device.model.is_empty() { device.name() } else { device.model.clone() }.as_str())
}

/// Who made it, and how fast it is.
pub(crate) fn about(device: &Device) -> String {
    let maker = Some(quote(&device.maker)).filter(|maker| !maker.is_empty() && !device.model.is_empty());
    let numbers = || format!("{:04x}:{:04x}", device.vendor, device.product);
    [Some(maker.unwrap_or_else(numbers)), device.speed.map(speed)].into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

fn speed(speed: Speed) -> String {
    match speed {
        Speed::Low => gettext_f("{speed} Mbit/s", &[("speed", "1.5")]),
        Speed::Full => gettext_f("{speed} Mbit/s", &[("speed", "12")]),
        Speed::High => gettext_f("{speed} Mbit/s", &[("speed", "480")]),
        Speed::Super => gettext_f("{speed} Gbit/s", &[("speed", "5")]),
        Speed::SuperPlus => gettext_f("{speed} Gbit/s", &[("speed", "10")]),
    }
}
