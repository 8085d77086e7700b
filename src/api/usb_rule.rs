//! A rule for a USB device of this computer, and how people write it: `0781:5581=always`, `0781:5581:4C53=start`, `046d:c52b@1-2.3=ask`.
//!
//! Vendor and product in hexadecimal as every USB device says them, then, to tell one of several apart, its serial number, or the port it is
//! plugged into by the name that Linux has for it. In a serial number, characters that mean something here and spaces are written as
//! `%` and two hexadecimal digits for each byte of UTF-8.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::problem::Problem;

/// Most characters of a serial number: a string descriptor holds no more (USB 2.0, 9.6.7).
const SERIAL: usize = 126;
/// Most ports between a bus and a device: five hubs in a row (USB 2.0, 4.1.1).
const PORTS: usize = 6;

/// What becomes of a device.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct UsbRule {
    /// The device's vendor.
    pub vendor: u16,
    /// The vendor's name for the product.
    pub product: u16,
    /// Only the one with this serial number.
    pub serial: Option<String>,
    /// Only while it is at this port.
    pub port: Option<String>,
    /// What becomes of it.
    pub action: UsbAction,
}

/// When a machine gets a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UsbAction {
    /// Whenever both are there: when it is plugged in, and when the machine starts.
    Always,
    /// If it is there when the machine starts.
    Start,
    /// Whenever it is plugged in, the person is asked.
    Ask,
}

impl UsbAction {
    /// All of them, as people are shown them.
    pub const ALL: [Self; 3] = [Self::Always, Self::Start, Self::Ask];

    /// One word for it, as rules have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Start => "start",
            Self::Ask => "ask",
        }
    }
}

impl UsbRule {
    /// Is this about that device? `port` is its name in Linux.
    pub fn is_about(&self, vendor: u16, product: u16, serial: Option<&str>, port: &str) -> bool {
        (self.vendor, self.product) == (vendor, product)
            && self.serial.as_deref().is_none_or(|own| serial == Some(own))
            && self.port.as_deref().is_none_or(|own| own == port)
    }

    /// Are both about the same devices, whatever becomes of these?
    pub fn is_about_the_same(&self, other: &Self) -> bool {
        *self == Self { action: self.action, ..other.clone() }
    }

    /// What stands before the action.
    pub fn device(&self) -> String {
        let serial = self.serial.iter().map(|serial| format!(":{}", escape(serial)));
        let port = self.port.iter().map(|port| format!("@{port}"));
        let rest: String = serial.chain(port).collect();
        format!("{:04x}:{:04x}{rest}", self.vendor, self.product)
    }
}

/// Is this the name that Linux gives to a device by its bus and ports: `1-2.3`?
pub fn is_usb_port(name: &str) -> bool {
    let number = |text: &str| {
        let parsed = text.parse::<u8>().ok().filter(|number| *number != 0);
        parsed.is_some_and(|number| number.to_string() == text)
    };
    name.split_once('-')
        .is_some_and(|(bus, ports)| number(bus) && ports.split('.').all(number) && ports.split('.').count() <= PORTS)
}

/// Four hexadecimal digits.
pub fn parse_usb_number(text: &str) -> Option<u16> {
    let digits = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u16::from_str_radix(text, 16).ok()).flatten()
}

/// Does this character stand for itself in a serial number?
fn is_plain(c: char) -> bool {
    !c.is_whitespace() && !c.is_control() && !"%:@=,".contains(c)
}

fn escape(serial: &str) -> String {
    let mut escaped = String::new();
    for c in serial.chars() {
        match is_plain(c) {
            true => escaped.push(c),
            false => escaped.extend(c.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("%{byte:02x}"))),
        }
    }
    escaped
}

/// A serial number out of a rule.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c == '%' {
            let digits = rest.get(1..3).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &rest[3..];
        } else {
            bytes.extend(is_plain(c).then(|| c.to_string())?.bytes());
            rest = &rest[c.len_utf8()..];
        }
    }
    let serial = String::from_utf8(bytes).ok()?;
    let good = (1..=SERIAL).contains(&serial.chars().count()) && !serial.chars().any(char::is_control);
    good.then_some(serial)
}

impl FromStr for UsbRule {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let parse = || {
            let (device, word) = text.split_once('=')?;
            let action = UsbAction::ALL.into_iter().find(|action| action.word() == word)?;
            let (device, port) = match device.split_once('@') {
                Some((device, port)) => (device, Some(is_usb_port(port).then(|| port.to_owned())?)),
                None => (device, None),
            };
            let mut parts = device.splitn(3, ':');
            let (vendor, product) = (parse_usb_number(parts.next()?)?, parse_usb_number(parts.next()?)?);
            let serial = match parts.next() {
                Some(serial) => Some(unescape(serial)?),
                None => None,
            };
            Some(Self { vendor, product, serial, port, action })
        };
        parse().ok_or_else(|| Problem::UsbRule(text.chars().take(200).collect()))
    }
}

impl fmt::Display for UsbRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.device(), self.action.word())
    }
}

impl From<UsbRule> for String {
    fn from(rule: UsbRule) -> Self {
        rule.to_string()
    }
}

impl TryFrom<String> for UsbRule {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self, Problem> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_and_written() {
        for (text, written) in [
            ("0781:5581=always", "0781:5581=always"),
            ("046D:C52B@1-2.3=ask", "046d:c52b@1-2.3=ask"),
            ("0781:5581:4C53-00=start", "0781:5581:4C53-00=start"),
            ("0781:5581:a%20b%3Dc@12-1=start", "0781:5581:a%20b%3dc@12-1=start"),
            ("0781:5581:größe=ask", "0781:5581:größe=ask"),
        ] {
            let rule: UsbRule = text.parse().unwrap();
            assert_eq!(rule.to_string(), written);
            assert_eq!(rule.to_string().parse::<UsbRule>().unwrap(), rule);
        }
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for bad in [
            "",
            "=",
            "0781:5581",
            "0781=always",
            "781:5581=always",
            "0781:5581=never",
            "0781:5581=Always",
            "0781:558g=ask",
            "+781:5581=ask",
            "0781:5581:=ask",
            "0781:5581:a b=ask",
            "0781:5581:%=ask",
            "0781:5581:%2=ask",
            "0781:5581:%zz=ask",
            "0781:5581:%ff=ask",
            "0781:5581:%0a=ask",
            "0781:5581:%+a=ask",
            "0781:5581:a:b=ask",
            "0781:5581@=ask",
            "0781:5581@1=ask",
            "0781:5581@usb1=ask",
            "0781:5581@1-0=ask",
            "0781:5581@0-1=ask",
            "0781:5581@01-1=ask",
            "0781:5581@1-1.=ask",
            "0781:5581@1-1:1.0=ask",
            "0781:5581@1-1.1.1.1.1.1.1=ask",
            "0781:5581@256-1=ask",
        ] {
            assert_eq!(bad.parse::<UsbRule>(), Err(Problem::UsbRule(bad.into())), "{bad}");
        }
        let long = format!("0781:5581:{}=ask", "x".repeat(SERIAL + 1));
        assert!(matches!(long.parse::<UsbRule>(), Err(Problem::UsbRule(_))));
        assert!(format!("0781:5581:{}=ask", "ü".repeat(SERIAL)).parse::<UsbRule>().is_ok());
    }

    #[test]
    fn a_rule_is_about_what_it_names() {
        let rule = |text: &str| text.parse::<UsbRule>().unwrap();
        let is = |text: &str| rule(text).is_about(0x781, 0x5581, Some("4C 53"), "1-2");
        assert!(is("0781:5581=ask") && is("0781:5581:4C%2053=ask") && is("0781:5581@1-2=ask"));
        assert!(!is("0781:5582=ask") && !is("0782:5581=ask") && !is("0781:5581:4C=ask") && !is("0781:5581@1-3=ask"));
        assert!(!rule("0781:5581:4C=ask").is_about(0x781, 0x5581, None, "1-2"));
        assert!(rule("0781:5581=ask").is_about_the_same(&rule("0781:5581=always")));
        assert!(!rule("0781:5581=ask").is_about_the_same(&rule("0781:5581@1-2=ask")));
    }
}
