//! Descriptors: what a function says about itself (USB 2.0, 9.5 and 9.6; USB 3.2, 9.6).

use crate::{Endpoint, Speed};

// Types of descriptors (USB 3.2, table 9-6).
pub(super) const DEVICE: u8 = 1;
pub(super) const CONFIGURATION: u8 = 2;
pub(super) const STRING: u8 = 3;
const INTERFACE: u8 = 4;
const ENDPOINT: u8 = 5;
pub(super) const DEVICE_QUALIFIER: u8 = 6;
pub(super) const OTHER_SPEED: u8 = 7;
pub(super) const BINARY_STORE: u8 = 15;
const DEVICE_CAPABILITY: u8 = 16;
const COMPANION: u8 = 48;

/// English (United States), the language of all strings.
const LANGUAGE: u16 = 0x0409;
const MANUFACTURER: &str = "Dormer";

/// Who a function is.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    /// Class, subclass, protocol; zeroes where the interfaces say.
    pub(super) class: [u8; 3],
    pub(super) vendor: u16,
    pub(super) product: u16,
    /// `bcdDevice`.
    pub(super) release: u16,
    pub(super) name: &'static str,
    /// At most 126 characters.
    pub(super) serial: String,
}

/// A configuration; functions here have one, number 1.
#[derive(Clone, Debug)]
pub(super) struct Configuration {
    pub(super) self_powered: bool,
    /// Can it wake the host up?
    pub(super) wakes: bool,
    pub(super) milliamperes: u16,
    /// Every setting of every interface.
    pub(super) interfaces: Vec<Interface>,
}

/// A setting of an interface.
#[derive(Clone, Debug)]
pub(super) struct Interface {
    pub(super) number: u8,
    pub(super) setting: u8,
    /// Class, subclass, protocol.
    pub(super) class: [u8; 3],
    /// Descriptors of the class, which stand behind the interface's.
    pub(super) of_class: Vec<u8>,
    pub(super) pipes: Vec<Pipe>,
}

/// An endpoint of a setting.
#[derive(Clone, Debug)]
pub(super) struct Pipe {
    pub(super) endpoint: Endpoint,
    pub(super) kind: PipeKind,
    /// `wMaxPacketSize`.
    pub(super) packet: u16,
    /// Packets of a burst more than one (USB 3).
    pub(super) burst: u8,
    /// Descriptors of the class, which stand behind the endpoint's.
    pub(super) of_class: Vec<u8>,
}

/// What goes through an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PipeKind {
    Bulk {
        /// Power of two of how many streams there are (USB 3), 0 for none.
        streams: u8,
    },
    Interrupt {
        /// `bInterval`: milliseconds at low and full speed, else 2 to the power of one less microframes of 125 µs.
        interval: u8,
    },
}

/// All of a function's descriptors at the speed it runs at.
#[derive(Clone, Debug)]
pub(super) struct Descriptors {
    pub(super) speed: Speed,
    pub(super) identity: Identity,
    pub(super) configuration: Configuration,
    /// The configuration at full speed of a function that runs at high speed.
    pub(super) slower: Option<Configuration>,
}

impl Descriptors {
    /// The descriptor of a type and with an index; `None` where there is none.
    pub(super) fn get(&self, kind: u8, index: u8) -> Option<Vec<u8>> {
        match (kind, index) {
            (DEVICE, 0) => Some(self.device()),
            (CONFIGURATION, 0) => Some(self.configuration.bytes(CONFIGURATION, self.speed)),
            (DEVICE_QUALIFIER, 0) if self.slower.is_some() => Some(self.qualifier()),
            (OTHER_SPEED, 0) => Some(self.slower.as_ref()?.bytes(OTHER_SPEED, Speed::Full)),
            (BINARY_STORE, 0) if self.speed.is_super() => Some(binary_store()),
            (STRING, 0) => Some(with_header(STRING, &LANGUAGE.to_le_bytes())),
            (STRING, 1) => Some(string(MANUFACTURER)),
            (STRING, 2) => Some(string(self.identity.name)),
            (STRING, 3) => Some(string(&self.identity.serial)),
            _ => None,
        }
    }

    fn release(&self) -> u16 {
        if self.speed.is_super() { 0x0300 } else { 0x0200 }
    }

    fn device(&self) -> Vec<u8> {
        let Identity { class, vendor, product, release, .. } = &self.identity;
        let packet = match self.speed {
            Speed::Low => 8,
            Speed::Full | Speed::High => 64,
            // A power of two.
            Speed::Super | Speed::SuperPlus => 9,
        };
        let mut body = self.release().to_le_bytes().to_vec();
        body.extend(class);
        body.push(packet);
        body.extend([*vendor, *product, *release].map(u16::to_le_bytes).concat());
        // Strings 1 to 3, and one configuration.
        body.extend([1, 2, 3, 1]);
        with_header(DEVICE, &body)
    }

    fn qualifier(&self) -> Vec<u8> {
        let mut body = self.release().to_le_bytes().to_vec();
        let [class, subclass, _] = self.identity.class;
        // What there is of protocols is high speed's.
        body.extend([class, subclass, 0]);
        // Packets of endpoint 0 at full speed, one configuration, reserved.
        body.extend([64, 1, 0]);
        with_header(DEVICE_QUALIFIER, &body)
    }
}

impl Configuration {
    fn bytes(&self, kind: u8, speed: Speed) -> Vec<u8> {
        const ONE: u8 = 0x80;
        let behind: Vec<u8> = self.interfaces.iter().flat_map(|interface| interface.bytes(speed)).collect();
        let attributes = ONE | u8::from(self.self_powered) << 6 | u8::from(self.wakes) << 5;
        let unit = if speed.is_super() { 8 } else { 2 };
        let numbers = self.interfaces.iter().filter(|interface| interface.setting == 0).count();
        let mut body = (9 + behind.len() as u16).to_le_bytes().to_vec();
        body.extend([numbers as u8, 1, 0, attributes, (self.milliamperes / unit).min(250) as u8]);
        [with_header(kind, &body), behind].concat()
    }
}

impl Interface {
    fn bytes(&self, speed: Speed) -> Vec<u8> {
        let [class, subclass, protocol] = self.class;
        let body = [self.number, self.setting, self.pipes.len() as u8, class, subclass, protocol, 0];
        let mut bytes = with_header(INTERFACE, &body);
        bytes.extend(&self.of_class);
        bytes.extend(self.pipes.iter().flat_map(|pipe| pipe.bytes(speed)));
        bytes
    }
}

impl Pipe {
    fn bytes(&self, speed: Speed) -> Vec<u8> {
        let (attributes, interval, streams) = match self.kind {
            PipeKind::Bulk { streams } => (2, 0, streams),
            PipeKind::Interrupt { interval } => (3, interval, 0),
        };
        let [low, high] = self.packet.to_le_bytes();
        let mut bytes = with_header(ENDPOINT, &[self.endpoint.address(), attributes, low, high, interval]);
        if speed.is_super() {
            // Bytes of an interval, for what is not bulk.
            let [low, high] =
                if attributes == 3 { (self.packet * (u16::from(self.burst) + 1)).to_le_bytes() } else { [0; 2] };
            bytes.extend(with_header(COMPANION, &[self.burst, streams, low, high]));
        }
        bytes.extend(&self.of_class);
        bytes
    }
}

/// A descriptor, behind its length and its type.
pub(super) fn with_header(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![2 + body.len() as u8, kind];
    bytes.extend(body);
    bytes
}

fn string(text: &str) -> Vec<u8> {
    let units: Vec<u8> = text.encode_utf16().take(126).flat_map(u16::to_le_bytes).collect();
    with_header(STRING, &units)
}

/// What every function with USB 3 says of itself: it saves power on USB 2, and runs from full speed up (USB 3.2, 9.6.2).
fn binary_store() -> Vec<u8> {
    let extension = with_header(DEVICE_CAPABILITY, &[2, 2, 0, 0, 0]);
    // No latency tolerance messages; full, high and 5 Gbit/s; all is there from full speed up; leaves U1 and U2 at once.
    let super_speed = with_header(DEVICE_CAPABILITY, &[3, 0, 0x0e, 0, 1, 0, 0, 0]);
    let behind = [extension, super_speed].concat();
    let mut body = (5 + behind.len() as u16).to_le_bytes().to_vec();
    body.push(2);
    [with_header(BINARY_STORE, &body), behind].concat()
}
