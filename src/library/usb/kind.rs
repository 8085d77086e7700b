//! What kind of device it is, by its class codes (USB-IF, Defined Class Codes).

/// A kind of device, as far as people tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A hub.
    Hub,
    /// Sticks, disks, card readers.
    Storage,
    /// A keyboard, which may have a mouse in it.
    Keyboard,
    /// A mouse.
    Mouse,
    /// A joystick, a tablet, and what else people hold.
    Input,
    /// A sound card or headset.
    Audio,
    /// A camera.
    Video,
    /// A printer.
    Printer,
    /// A phone, scanner or camera that shows its pictures.
    Imaging,
    /// A network card or modem.
    Network,
    /// Bluetooth and other radio.
    Wireless,
    /// A reader of smart cards, or a key that is one.
    SmartCard,
    /// Anything else.
    Other,
}

impl Kind {
    /// One word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Hub => "hub",
            Self::Storage => "storage",
            Self::Keyboard => "keyboard",
            Self::Mouse => "mouse",
            Self::Input => "input",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Printer => "printer",
            Self::Imaging => "imaging",
            Self::Network => "network",
            Self::Wireless => "wireless",
            Self::SmartCard => "smart-card",
            Self::Other => "other",
        }
    }

    /// By the device's class, which may leave it to its interfaces' class, subclass and protocol.
    pub(super) fn of(class: u8, interfaces: impl Iterator<Item = (u8, u8, u8)>) -> Self {
        let own = Self::of_codes((class, 0, 0));
        if own != Self::Other {
            return own;
        }
        let mut kinds: Vec<_> = interfaces.map(Self::of_codes).collect();
        // A camera has a microphone, a headset has buttons, a phone is a modem too: the word that says most is first.
        let rank = |kind: &Self| match kind {
            Self::Hub => 0,
            Self::Video => 1,
            Self::Printer => 2,
            Self::Imaging => 3,
            Self::Storage => 4,
            Self::Audio => 5,
            Self::SmartCard => 6,
            Self::Network => 7,
            Self::Wireless => 8,
            Self::Keyboard => 9,
            Self::Mouse => 10,
            Self::Input => 11,
            Self::Other => 12,
        };
        kinds.sort_by_key(rank);
        kinds.first().copied().unwrap_or(Self::Other)
    }

    fn of_codes(codes: (u8, u8, u8)) -> Self {
        match codes {
            (0x09, ..) => Self::Hub,
            (0x08, ..) => Self::Storage,
            (0x03, 1, 1) => Self::Keyboard,
            (0x03, 1, 2) => Self::Mouse,
            (0x03, ..) => Self::Input,
            (0x01, ..) => Self::Audio,
            (0x0e, ..) => Self::Video,
            (0x07, ..) => Self::Printer,
            (0x06, ..) => Self::Imaging,
            (0x02 | 0x0a, ..) => Self::Network,
            (0xe0, ..) => Self::Wireless,
            (0x0b, ..) => Self::SmartCard,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_of_several_kinds_is_what_it_is_mostly() {
        let kind = |class, interfaces: &[(u8, u8, u8)]| Kind::of(class, interfaces.iter().copied());
        assert_eq!(kind(0, &[(8, 6, 80)]), Kind::Storage);
        assert_eq!(kind(9, &[(9, 0, 0)]), Kind::Hub);
        // A webcam with a microphone, a headset with buttons, a keyboard with a mouse.
        assert_eq!(kind(0xef, &[(1, 1, 0), (1, 2, 0), (0x0e, 1, 0)]), Kind::Video);
        assert_eq!(kind(0, &[(3, 0, 0), (1, 1, 0)]), Kind::Audio);
        assert_eq!(kind(0, &[(3, 1, 2), (3, 1, 1)]), Kind::Keyboard);
        assert_eq!(kind(0xe0, &[(0xe0, 1, 1)]), Kind::Wireless);
        assert_eq!(kind(0xff, &[(0xff, 0, 0)]), Kind::Other);
        assert_eq!(kind(0, &[]), Kind::Other);
    }
}
