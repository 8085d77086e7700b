//! Port forwards: a port of the host that leads into the guest.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::str::FromStr;

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Tcp,
    Udp,
}

/// Where the host listens. No two forwards share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listen {
    pub(crate) protocol: Protocol,
    pub(crate) host: SocketAddrV4,
}

/// A forward. Written `tcp:127.0.0.1:2222-10.0.2.15:22`; an empty host address means 127.0.0.1, an empty guest address the
/// first one that DHCP gives out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forward {
    pub(crate) listen: Listen,
    /// Address 0.0.0.0 stands for the first one that DHCP gives out.
    pub(crate) guest: SocketAddrV4,
}

/// A forward that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseError {
    #[error("{0:?} is no forward; it should look like tcp:127.0.0.1:2222-10.0.2.15:22")]
    Shape(String),
    #[error("{0:?} is neither tcp nor udp")]
    Protocol(String),
    #[error("{0:?} is no IPv4 address")]
    Address(String),
    #[error("{0:?} is no port; ports are 1 to 65535")]
    Port(String),
}

/// `ADDRESS:PORT`, where the address may be empty.
fn endpoint(text: &str, default: Ipv4Addr) -> Result<SocketAddrV4, ParseError> {
    let (address, port) = text.rsplit_once(':').ok_or_else(|| ParseError::Shape(text.into()))?;
    let address = match address {
        "" => default,
        _ => address.parse().map_err(|_| ParseError::Address(address.into()))?,
    };
    match port.parse() {
        Ok(port) if port != 0 => Ok(SocketAddrV4::new(address, port)),
        _ => Err(ParseError::Port(port.into())),
    }
}

impl FromStr for Listen {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (protocol, host) = text.split_once(':').ok_or_else(|| ParseError::Shape(text.into()))?;
        let protocol = match protocol {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            _ => return Err(ParseError::Protocol(protocol.into())),
        };
        Ok(Self { protocol, host: endpoint(host, Ipv4Addr::LOCALHOST)? })
    }
}

impl FromStr for Forward {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (listen, guest) = text.split_once('-').ok_or_else(|| ParseError::Shape(text.into()))?;
        Ok(Self { listen: listen.parse()?, guest: endpoint(guest, Ipv4Addr::UNSPECIFIED)? })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        write!(f, "{protocol}:{}", self.host)
    }
}

impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.listen, self.guest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwards_are_read_and_written() {
        for (text, written) in [
            ("tcp:127.0.0.1:2222-10.0.2.15:22", "tcp:127.0.0.1:2222-10.0.2.15:22"),
            ("udp::53-:5353", "udp:127.0.0.1:53-0.0.0.0:5353"),
            ("tcp:0.0.0.0:80-:80", "tcp:0.0.0.0:80-0.0.0.0:80"),
        ] {
            assert_eq!(text.parse::<Forward>().unwrap().to_string(), written);
        }
    }

    #[test]
    fn what_is_none_is_named() {
        let error = |text: &str| text.parse::<Forward>().unwrap_err();
        assert!(matches!(error("tcp:127.0.0.1:2222"), ParseError::Shape(_)));
        assert!(matches!(error("tcp-:22"), ParseError::Shape(_)));
        assert!(matches!(error("tcp::22-22"), ParseError::Shape(_)));
        assert_eq!(error("sctp::22-:22"), ParseError::Protocol("sctp".into()));
        assert_eq!(error("tcp:localhost:22-:22"), ParseError::Address("localhost".into()));
        assert_eq!(error("tcp::0-:22"), ParseError::Port("0".into()));
        assert_eq!(error("tcp::22-:70000"), ParseError::Port("70000".into()));
    }
}
