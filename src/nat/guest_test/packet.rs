//! Packets to and from bytes, as far as the tests need: Ethernet II, ARP (RFC 826), IPv4 without options (RFC 791), UDP
//! (RFC 768), TCP (RFC 9293).

use std::net::Ipv4Addr;

pub(crate) type Mac = [u8; 6];
pub(crate) const BROADCAST: Mac = [0xff; 6];
pub(crate) const IPV4: u16 = 0x0800;
pub(crate) const ARP: u16 = 0x0806;

/// TCP's flags.
pub(crate) mod flag {
    pub(crate) const FIN: u8 = 0x01;
    pub(crate) const SYN: u8 = 0x02;
    pub(crate) const RST: u8 = 0x04;
    pub(crate) const ACK: u8 = 0x10;
}

#[derive(Clone, Debug)]
pub(crate) struct Udp {
    pub(crate) source: u16,
    pub(crate) destination: u16,
    pub(crate) payload: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(crate) struct Tcp {
    pub(crate) source: u16,
    pub(crate) destination: u16,
    pub(crate) sequence: u32,
    pub(crate) acknowledged: u32,
    pub(crate) flags: u8,
    pub(crate) payload: Vec<u8>,
}

impl Tcp {
    pub(crate) fn syn(source: u16, destination: u16, sequence: u32) -> Self {
        Self { source, destination, sequence, acknowledged: 0, flags: flag::SYN, payload: Vec::new() }
    }
}

/// RFC 1071's checksum.
fn checksum(bytes: &[&[u8]]) -> u16 {
    let bytes = bytes.concat();
    let mut sum: u32 =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

pub(crate) fn ethernet(to: Mac, from: Mac, kind: u16, payload: &[u8]) -> Vec<u8> {
    [&to[..], &from, &kind.to_be_bytes(), payload].concat()
}

/// ARP for Ethernet and IPv4; `operation` 1 asks, 2 answers.
pub(crate) fn arp(operation: u16, from: (Mac, Ipv4Addr), to: (Mac, Ipv4Addr)) -> Vec<u8> {
    let head = [0, 1, 8, 0, 6, 4];
    [&head[..], &operation.to_be_bytes(), &from.0, &from.1.octets(), &to.0, &to.1.octets()].concat()
}

pub(crate) fn ipv4(protocol: u8, from: Ipv4Addr, to: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    let length = (20 + payload.len()).min(65_535) as u16;
    let mut header =
        [&[0x45, 0][..], &length.to_be_bytes(), &[0, 0, 0x40, 0, 64, protocol, 0, 0], &from.octets(), &to.octets()]
            .concat();
    let sum = checksum(&[&header]);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    [&header, payload].concat()
}

fn pseudo_header(protocol: u8, from: Ipv4Addr, to: Ipv4Addr, length: usize) -> Vec<u8> {
    [&from.octets()[..], &to.octets(), &[0, protocol], &(length as u16).to_be_bytes()].concat()
}

pub(crate) fn udp(from: Ipv4Addr, to: Ipv4Addr, udp: &Udp) -> Vec<u8> {
    let length = (8 + udp.payload.len()) as u16;
    let mut bytes =
        [&udp.source.to_be_bytes()[..], &udp.destination.to_be_bytes(), &length.to_be_bytes(), &[0, 0], &udp.payload]
            .concat();
    let sum = checksum(&[&pseudo_header(17, from, to, bytes.len()), &bytes]);
    bytes[6..8].copy_from_slice(&sum.to_be_bytes());
    ipv4(17, from, to, &bytes)
}

pub(crate) fn tcp(from: Ipv4Addr, to: Ipv4Addr, tcp: &Tcp) -> Vec<u8> {
    let mut bytes = [
        &tcp.source.to_be_bytes()[..],
        &tcp.destination.to_be_bytes(),
        &tcp.sequence.to_be_bytes(),
        &tcp.acknowledged.to_be_bytes(),
        // Header of five words; a window of 32 KiB.
        &[0x50, tcp.flags, 0x80, 0, 0, 0, 0, 0],
        &tcp.payload,
    ]
    .concat();
    let sum = checksum(&[&pseudo_header(6, from, to, bytes.len()), &bytes]);
    bytes[16..18].copy_from_slice(&sum.to_be_bytes());
    ipv4(6, from, to, &bytes)
}

fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes(bytes[at..at + 2].try_into().unwrap())
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

pub(crate) fn address(bytes: &[u8], at: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(be32(bytes, at))
}

/// What a frame is.
#[derive(Clone, Debug)]
pub(crate) enum Packet {
    Arp { operation: u16, from: (Mac, Ipv4Addr), to: Ipv4Addr },
    Udp { from: Ipv4Addr, udp: Udp },
    Tcp { from: Ipv4Addr, tcp: Tcp },
    Other,
}

/// Reads a frame; checks the IPv4, UDP and TCP checksums on the way.
pub(crate) fn parse(frame: &[u8]) -> Packet {
    let body = &frame[14..];
    match be16(frame, 12) {
        ARP => Packet::Arp {
            operation: be16(body, 6),
            from: (body[8..14].try_into().unwrap(), address(body, 14)),
            to: address(body, 24),
        },
        IPV4 => {
            let header = usize::from(body[0] & 0xf) * 4;
            assert_eq!(checksum(&[&body[..header]]), 0, "IPv4 header checksum");
            let (from, to) = (address(body, 12), address(body, 16));
            let segment = &body[header..be16(body, 2).into()];
            let whole = || checksum(&[&pseudo_header(body[9], from, to, segment.len()), segment]) == 0;
            match body[9] {
                17 => {
                    assert!(be16(segment, 6) == 0 || whole(), "UDP checksum");
                    let (source, destination) = (be16(segment, 0), be16(segment, 2));
                    Packet::Udp { from, udp: Udp { source, destination, payload: segment[8..].into() } }
                }
                6 => {
                    assert!(whole(), "TCP checksum");
                    let tcp = Tcp {
                        source: be16(segment, 0),
                        destination: be16(segment, 2),
                        sequence: be32(segment, 4),
                        acknowledged: be32(segment, 8),
                        flags: segment[13],
                        payload: segment[usize::from(segment[12] >> 4) * 4..].into(),
                    };
                    Packet::Tcp { from, tcp }
                }
                _ => Packet::Other,
            }
        }
        _ => Packet::Other,
    }
}
