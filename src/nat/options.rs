//! The command line.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::RawFd;

use anyhow::ensure;
use clap::Parser;

use crate::forward::Forward;
use crate::slirp::Network;

/// A user-mode network for one virtual NIC.
#[derive(Parser, Debug)]
#[command(name = "dormer-nat", version)]
pub(crate) struct Options {
    /// Inherited stream socket that carries the NIC's frames, each after its length in 4 big-endian bytes
    #[arg(long, value_name = "N")]
    pub(crate) fd: RawFd,

    /// Inherited stream socket for commands, one JSON object per line; peers connect to it when it listens
    #[arg(long, value_name = "N")]
    pub(crate) control_fd: Option<RawFd>,

    /// Forward a port of the host into the guest, as in tcp:127.0.0.1:2222-10.0.2.15:22; no host address means 127.0.0.1, no
    /// guest address the first that DHCP gives out
    #[arg(long = "forward", value_name = "FORWARD")]
    pub(crate) forwards: Vec<Forward>,

    /// The guest's network; the host is its address 2, the name server 3, and DHCP gives out 15 and up
    #[arg(long, value_name = "ADDRESS/PREFIX", default_value = "10.0.2.0/24", value_parser = subnet)]
    pub(crate) network: (Ipv4Addr, u8),

    /// IPv6 in the guest's network, with this /64 prefix
    #[arg(long, value_name = "PREFIX", num_args = 0..=1, require_equals = true, default_missing_value = "fec0::")]
    pub(crate) ipv6: Option<Ipv6Addr>,

    /// Host name that DHCP gives the guest
    #[arg(long, value_name = "NAME", value_parser = host_name)]
    pub(crate) hostname: Option<String>,

    /// Domain that DHCP gives the guest to search for names; may be repeated
    #[arg(long, value_name = "DOMAIN", value_parser = domain)]
    pub(crate) dns_search: Vec<String>,

    /// Largest IP packet towards the guest, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 1500, value_parser = clap::value_parser!(u16).range(576..=65_521))]
    pub(crate) mtu: u16,

    /// Cut the guest off from everything but its forwards
    #[arg(long)]
    pub(crate) restrict: bool,

    /// Keep the guest from services that listen on the host's own 127.0.0.1
    #[arg(long)]
    pub(crate) no_host_loopback: bool,
}

/// Its place in the network of the host as the guest sees it.
const HOST: u32 = 2;
/// Its place in the network of the name server.
const NAME_SERVER: u32 = 3;
/// The place in the network of the first address that DHCP gives out.
const DHCP: u32 = 15;

impl Options {
    /// The network that these options describe.
    pub(crate) fn network(&self) -> anyhow::Result<Network> {
        let (address, prefix) = self.network;
        let base = address.to_bits();
        if let Some(prefix6) = self.ipv6 {
            ensure!(prefix6.to_bits() as u64 == 0, "--ipv6 {prefix6}: a /64 prefix ends in 64 zero bits");
            ensure!(!prefix6.is_unspecified() && !prefix6.is_multicast(), "--ipv6 {prefix6} is no prefix for hosts");
        }
        Ok(Network {
            address,
            mask: Ipv4Addr::from_bits(u32::MAX << (32 - prefix)),
            host: Ipv4Addr::from_bits(base + HOST),
            name_server: Ipv4Addr::from_bits(base + NAME_SERVER),
            dhcp_start: Ipv4Addr::from_bits(base + DHCP),
            prefix6: self.ipv6,
            hostname: self.hostname.clone(),
            dns_search: self.dns_search.clone(),
            mtu: self.mtu.into(),
            restrict: self.restrict,
            host_loopback: !self.no_host_loopback,
        })
    }
}

/// Prefixes up to /27 leave room for the 16 addresses that libslirp's DHCP gives out.
fn subnet(text: &str) -> Result<(Ipv4Addr, u8), String> {
    let parsed = text.split_once('/').and_then(|(address, prefix)| {
        Some((address.parse::<Ipv4Addr>().ok()?, prefix.parse::<u8>().ok().filter(|prefix| (8..=27).contains(prefix))?))
    });
    let (address, prefix) = parsed.ok_or("it should look like 10.0.2.0/24, with a prefix of 8 to 27")?;
    let network = address.to_bits() & u32::MAX << (32 - prefix);
    if network != address.to_bits() {
        return Err(format!("the network's own address is {}/{prefix}", Ipv4Addr::from_bits(network)));
    }
    if address.is_loopback() || address.is_multicast() || address.octets()[0] == 0 || address.octets()[0] >= 240 {
        return Err("no hosts can have addresses there".into());
    }
    Ok((address, prefix))
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// One label, as long as libslirp keeps of it.
fn host_name(text: &str) -> Result<String, String> {
    if is_label(text) && text.len() <= 32 {
        Ok(text.into())
    } else {
        Err("a host name here is 1 to 32 letters, digits and hyphens".into())
    }
}

fn domain(text: &str) -> Result<String, String> {
    if text.len() <= 253 && text.split('.').all(is_label) {
        Ok(text.into())
    } else {
        Err("a domain is letters, digits and hyphens between dots".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Options, String> {
        Options::try_parse_from(["dormer-nat", "--fd", "3"].iter().chain(args)).map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_are_those_that_guests_know() {
        let network = parse(&[]).unwrap().network().unwrap();
        assert_eq!(network.host, Ipv4Addr::new(10, 0, 2, 2));
        assert_eq!(network.name_server, Ipv4Addr::new(10, 0, 2, 3));
        assert_eq!(network.dhcp_start, Ipv4Addr::new(10, 0, 2, 15));
        assert_eq!(network.mask, Ipv4Addr::new(255, 255, 255, 0));
        assert!(network.prefix6.is_none() && network.host_loopback && !network.restrict);
        assert_eq!(parse(&["--ipv6"]).unwrap().ipv6, Some("fec0::".parse().unwrap()));
    }

    #[test]
    fn bad_values_are_refused_by_name() {
        for (args, word) in [
            (["--network", "10.0.2.0/30"], "8 to 27"),
            (["--network", "10.0.2.1/24"], "10.0.2.0/24"),
            (["--network", "127.0.0.0/8"], "no hosts"),
            (["--network", "gibberish"], "10.0.2.0/24"),
            (["--hostname", "a b"], "host name"),
            (["--dns-search", "a..b"], "domain"),
            (["--mtu", "100"], "576"),
            (["--forward", "tcp:22"], "looks like"),
        ] {
            let error = parse(&args).unwrap_err();
            assert!(error.contains(word) || word == "looks like" && error.contains("look like"), "{args:?}: {error}");
        }
        for prefix in ["--ipv6=fec0::1", "--ipv6=::", "--ipv6=ff02::"] {
            assert!(parse(&[prefix]).unwrap().network().is_err());
        }
    }
}
