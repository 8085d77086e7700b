//! What a device says of itself: configurations, interfaces, endpoints.
//!
//! USB 2.0, 9.6, and USB 3.2, 9.6.7. The bytes are the device's own and may be anything: what is cut off or makes no sense is left
//! out, every descriptor moves the reader on, and there are no more of anything than bytes.

use crate::{Direction, Endpoint};

/// Most bytes that are looked at.
pub const BYTES: usize = 256 << 10;

const CONFIGURATION: u8 = 2;
const INTERFACE: u8 = 4;
const ENDPOINT: u8 = 5;
const COMPANION: u8 = 0x30;

/// `bDeviceClass` of hubs.
pub const HUB: u8 = 9;

/// A device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// `bDeviceClass`.
    pub class: u8,
    /// `idVendor`.
    pub vendor: u16,
    /// `idProduct`.
    pub product: u16,
    /// What it can be.
    pub configurations: Vec<Configuration>,
}

/// A configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// `bConfigurationValue`.
    pub value: u8,
    /// Its interfaces' settings.
    pub settings: Vec<Setting>,
}

/// An alternate setting of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// `bInterfaceNumber`.
    pub interface: u8,
    /// `bAlternateSetting`.
    pub alternate: u8,
    /// Its endpoints, without 0.
    pub endpoints: Vec<Pipe>,
}

/// How an endpoint's transfers go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfers {
    /// Control, and not endpoint 0: nothing has that.
    Control,
    /// Isochronous.
    Isochronous,
    /// Bulk.
    Bulk,
    /// Interrupt.
    Interrupt,
}

/// An endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pipe {
    /// Which.
    pub endpoint: Endpoint,
    /// How its transfers go.
    pub transfers: Transfers,
    /// Bytes of a packet, 1 at least.
    pub packet: u16,
    /// `bInterval`.
    pub interval: u8,
    /// Streams it can have.
    pub streams: u16,
}

impl Description {
    /// From a device descriptor and configurations one after the other. `None` when not even the first is there.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let device = bytes.get(..18).filter(|device| device[1] == 1)?;
        let word = |at: usize| u16::from_le_bytes([device[at], device[at + 1]]);
        let mut configurations = Vec::new();
        let mut rest = &bytes[18..];
        while let Some(head) = rest.get(..9).filter(|head| head[0] >= 9 && head[1] == CONFIGURATION) {
            let total = usize::from(u16::from_le_bytes([head[2], head[3]])).clamp(9, rest.len());
            let value = head[5];
            configurations
                .push(Configuration { value, settings: settings(&rest[usize::from(head[0]).min(total)..total]) });
            rest = &rest[total..];
        }
        Some(Self { class: device[4], vendor: word(8), product: word(10), configurations })
    }

    /// The configuration of this value.
    pub fn configuration(&self, value: u8) -> Option<&Configuration> {
        self.configurations.iter().find(|configuration| configuration.value == value)
    }
}

impl Configuration {
    /// Numbers of its interfaces, each once.
    pub fn interfaces(&self) -> Vec<u8> {
        let mut numbers: Vec<_> = self.settings.iter().map(|setting| setting.interface).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }
}

fn settings(mut bytes: &[u8]) -> Vec<Setting> {
    let mut settings: Vec<Setting> = Vec::new();
    while let Some((&length, &kind)) = bytes.first().zip(bytes.get(1)) {
        let Some(descriptor) = bytes.get(..usize::from(length)).filter(|descriptor| descriptor.len() >= 2) else {
            break;
        };
        bytes = &bytes[descriptor.len()..];
        match (kind, descriptor.len()) {
            (INTERFACE, 9..) => {
                settings.push(Setting { interface: descriptor[2], alternate: descriptor[3], endpoints: Vec::new() });
            }
            (ENDPOINT, 7..) => {
                let endpoint = Endpoint::of_address(descriptor[2]);
                if let Some(setting) = settings.last_mut()
                    && endpoint.number != 0
                {
                    setting.endpoints.push(pipe(endpoint, descriptor));
                }
            }
            (COMPANION, 6..) => {
                let last = settings.last_mut().and_then(|setting| setting.endpoints.last_mut());
                if let Some(pipe) = last.filter(|pipe| pipe.transfers == Transfers::Bulk) {
                    // The exponent is 16 at most (USB 3.2, table 9-29), which is one more than there are numbers.
                    let exponent = u32::from(descriptor[3] & 0x1f);
                    pipe.streams = if exponent == 0 { 0 } else { 1_u16.checked_shl(exponent).unwrap_or(u16::MAX) };
                }
            }
            _ => {}
        }
    }
    settings
}

fn pipe(endpoint: Endpoint, descriptor: &[u8]) -> Pipe {
    let transfers = match descriptor[3] & 3 {
        0 => Transfers::Control,
        1 => Transfers::Isochronous,
        2 => Transfers::Bulk,
        _ => Transfers::Interrupt,
    };
    let packet = (u16::from_le_bytes([descriptor[4], descriptor[5]]) & 0x7ff).max(1);
    Pipe { endpoint, transfers, packet, interval: descriptor[6], streams: 0 }
}

impl Pipe {
    /// Does data come from the device?
    pub fn is_in(&self) -> bool {
        self.endpoint.direction == Direction::In
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A stick of USB 3 that can do UAS, and has two configurations.
    fn stick() -> Vec<u8> {
        let mut bytes = vec![18, 1, 0x20, 3, 0, 0, 0, 9, 0x81, 0x07, 0x81, 0x55, 0, 1, 1, 2, 3, 2];
        let mut configuration = vec![9, 2, 0, 0, 1, 1, 0, 0x80, 50];
        configuration.extend([9, 4, 0, 0, 2, 8, 6, 0x50, 0]);
        configuration.extend([7, 5, 0x81, 2, 0, 4, 0, 6, 0x30, 15, 0, 0, 0]);
        configuration.extend([7, 5, 0x02, 2, 0, 4, 0, 6, 0x30, 15, 0, 0, 0]);
        configuration.extend([9, 4, 0, 1, 1, 8, 6, 0x62, 0]);
        configuration.extend([7, 5, 0x83, 2, 0, 4, 0, 6, 0x30, 15, 4, 0, 0, 4, 0x24, 3, 0]);
        configuration[2] = configuration.len() as u8;
        bytes.extend(configuration);
        bytes.extend([9, 2, 9, 0, 0, 2, 0, 0x80, 50]);
        bytes
    }

    #[test]
    fn a_device_is_understood() {
        let stick = Description::parse(&stick()).unwrap();
        assert_eq!((stick.class, stick.vendor, stick.product), (0, 0x781, 0x5581));
        let values: Vec<_> = stick.configurations.iter().map(|configuration| configuration.value).collect();
        assert_eq!(values, [1, 2]);
        let configuration = stick.configuration(1).unwrap();
        assert_eq!(configuration.interfaces(), [0]);
        let [bot, uas] = &configuration.settings[..] else { panic!("{configuration:?}") };
        assert_eq!((bot.alternate, bot.endpoints.len(), uas.alternate), (0, 2, 1));
        let endpoint = Endpoint { number: 3, direction: Direction::In };
        let pipe = Pipe { endpoint, transfers: Transfers::Bulk, packet: 1024, interval: 0, streams: 16 };
        assert_eq!(uas.endpoints, [pipe]);
        assert!(stick.configuration(3).is_none());
    }

    #[test]
    fn what_is_cut_off_is_left_out() {
        let whole = stick();
        for length in 0..whole.len() {
            let Some(part) = Description::parse(&whole[..length]) else {
                assert!(length < 18);
                continue;
            };
            assert!(part.configurations.len() <= 2);
        }
    }

    proptest! {
        #[test]
        fn anything_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = Description::parse(&bytes);
        }

        #[test]
        fn twisted_devices_are_survived(changes in proptest::collection::vec((0..256_usize, any::<u8>()), 1..12)) {
            let mut bytes = stick();
            for (at, value) in changes {
                let at = at % bytes.len();
                bytes[at] = value;
            }
            if let Some(device) = Description::parse(&bytes) {
                let settings = device.configurations.iter().map(|configuration| configuration.settings.len()).sum::<usize>();
                prop_assert!(settings <= bytes.len() / 9);
                for configuration in &device.configurations {
                    for pipe in configuration.settings.iter().flat_map(|setting| &setting.endpoints) {
                        prop_assert!(pipe.packet > 0 && pipe.endpoint.number != 0);
                    }
                }
            }
        }
    }
}
