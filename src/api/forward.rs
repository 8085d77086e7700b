//! A port forward, and how people write it: `2222:22`, `tcp:2222:22` or `udp:5353:53`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::problem::Problem;

/// A port of the host that leads into the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Forward {
    /// TCP or UDP.
    #[serde(default)]
    pub protocol: Protocol,
    /// Port on the host's 127.0.0.1.
    pub host: u16,
    /// Port in the guest.
    pub guest: u16,
}

/// A forward's protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

impl FromStr for Forward {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let (protocol, ports) = match text.split_once(':') {
            Some(("tcp", rest)) => (Protocol::Tcp, rest),
            Some(("udp", rest)) => (Protocol::Udp, rest),
            _ => (Protocol::Tcp, text),
        };
        let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port != 0);
        let pair = ports.split_once(':').and_then(|(host, guest)| Some((port(host)?, port(guest)?)));
        let (host, guest) = pair.ok_or_else(|| Problem::Forward(text.to_owned()))?;
        Ok(Self { protocol, host, guest })
    }
}

impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        write!(f, "{protocol}:{}:{}", self.host, self.guest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwards_are_read_and_written() {
        for (text, written) in
            [("2222:22", "tcp:2222:22"), ("tcp:2222:22", "tcp:2222:22"), ("udp:5353:53", "udp:5353:53")]
        {
            assert_eq!(text.parse::<Forward>().unwrap().to_string(), written);
        }
        for bad in ["", "22", "0:22", "22:0", "sctp:1:2", "tcp:1", "1:2:3", "70000:22", "tcp:+1:2 "] {
            assert_eq!(bad.parse::<Forward>(), Err(Problem::Forward(bad.into())), "{bad}");
        }
    }
}
