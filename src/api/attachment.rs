//! What a network card is connected to, and how it is written: `nat`, `internal:NAME`, `bridge:br0`, `tap:tap0`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::problem::Problem;

/// What a network card is connected to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Attachment {
    /// The host's network, by address translation.
    #[default]
    Nat,
    /// A network that machines of this computer have among themselves.
    Internal(NetworkName),
    /// A bridge of the host's, by a tap device that QEMU's bridge helper makes.
    Bridge(InterfaceName),
    /// A tap device that is there, and the person's.
    Tap(InterfaceName),
}

/// Characters of a network's name.
const NAME: usize = 32;
/// Characters of an interface's name (Linux's IFNAMSIZ, less its end).
const INTERFACE: usize = 15;

/// An internal network's name: 1 to 32 ASCII letters, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NetworkName(String);

impl NetworkName {
    /// Its characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NetworkName {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let good = (1..=NAME).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        good.then(|| Self(text.to_owned())).ok_or_else(|| Problem::NetworkName(text.to_owned()))
    }
}

impl fmt::Display for NetworkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a network interface of the host: 1 to 15 ASCII letters, digits, `-`, `_` and `.`, no folder's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InterfaceName(String);

impl InterfaceName {
    /// Its characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InterfaceName {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let good = (1..=INTERFACE).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
            && !text.starts_with(['.', '-']);
        good.then(|| Self(text.to_owned())).ok_or_else(|| Problem::InterfaceName(text.to_owned()))
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Attachment {
    /// Is it the host's network?
    pub fn is_nat(&self) -> bool {
        *self == Self::Nat
    }
}

impl FromStr for Attachment {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        match text.split_once(':') {
            None if text == "nat" => Ok(Self::Nat),
            Some(("internal", name)) => Ok(Self::Internal(name.parse()?)),
            Some(("bridge", name)) => Ok(Self::Bridge(name.parse()?)),
            Some(("tap", name)) => Ok(Self::Tap(name.parse()?)),
            _ => Err(Problem::Attachment(text.to_owned())),
        }
    }
}

impl fmt::Display for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nat => f.write_str("nat"),
            Self::Internal(name) => write!(f, "internal:{name}"),
            Self::Bridge(name) => write!(f, "bridge:{name}"),
            Self::Tap(name) => write!(f, "tap:{name}"),
        }
    }
}

impl TryFrom<String> for Attachment {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self, Problem> {
        text.parse()
    }
}

impl From<Attachment> for String {
    fn from(attachment: Attachment) -> Self {
        attachment.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attachments_are_read_as_they_are_written() {
        for text in ["nat", "internal:lab", "internal:A-1_b", "bridge:br0", "tap:tap-1.x"] {
            assert_eq!(text.parse::<Attachment>().unwrap().to_string(), text);
        }
        for bad in ["", "NAT", "nat:", "nat:x", "internal", "bridged:lab", "lab"] {
            assert_eq!(bad.parse::<Attachment>(), Err(Problem::Attachment(bad.into())), "{bad}");
        }
        for name in ["", ".", "..", "a/b", "a b", "a.b", "ä", "a\0", "a:b", &"x".repeat(33)] {
            assert_eq!(format!("internal:{name}").parse::<Attachment>(), Err(Problem::NetworkName(name.into())));
        }
        for name in ["", ".", "..", ".x", "-x", "a/b", "a b", "ä", "a\0", "a:b", "sixteen-letters-"] {
            for kind in ["tap", "bridge"] {
                let parsed = format!("{kind}:{name}").parse::<Attachment>();
                assert_eq!(parsed, Err(Problem::InterfaceName(name.into())));
            }
        }
    }
}
