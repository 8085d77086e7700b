//! Network card (VIRTIO 1.2 §5.1) on a [`Port`].
//!
//! One pair of queues and a control queue. No offloads: frames are whole and their checksums complete, both ways. Frames that
//! come while the driver has no buffers stay with the port until it has.

use std::sync::Arc;

use ::net::{FrameSink, MAX_FRAME, Port};
use device::{RestoreError, State};
use serde::{Deserialize, Serialize};

use crate::VirtioPci;
use crate::net_filter::{Filter, Mac};
use crate::queues::Queues;
use crate::virtio_device::{DeviceType, Identity, VirtioDevice};

const RECEIVE: u16 = 0;
const TRANSMIT: u16 = 1;
const CONTROL: u16 = 2;

// Features.
const MTU: u64 = 1 << 3;
const MAC: u64 = 1 << 5;
const MRG_RXBUF: u64 = 1 << 15;
const STATUS: u64 = 1 << 16;
const CTRL_VQ: u64 = 1 << 17;
const CTRL_RX: u64 = 1 << 18;
const CTRL_RX_EXTRA: u64 = 1 << 20;
const CTRL_MAC_ADDR: u64 = 1 << 23;

/// Bytes of the header before each frame (§5.1.6); the last two are the number of buffers the frame takes.
const HEADER: usize = 12;
const BUFFERS_AT: usize = 10;

const LINK_UP: u16 = 1;
const CONFIG_LENGTH: usize = 12;

const ACK_OK: u8 = 0;
const ACK_ERROR: u8 = 1;

/// The device.
pub struct Net {
    port: Arc<Port>,
    /// The address the card has by itself.
    own_mac: Mac,
    mtu: Option<u16>,
    features: u64,
    filter: Filter,
    /// The link as the driver was told last.
    link_up: bool,
    /// A frame on its way out; kept for its memory.
    frame: Vec<u8>,
}

/// The saved device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetState {
    features: u64,
    filter: Filter,
    link_up: bool,
}

impl Net {
    /// A card with address `mac` on `port`, which must be connected to the [`VirtioPci`] that the device becomes part of. `mtu`
    /// is what the network carries, when that is known to differ from 1500.
    pub fn new(port: Arc<Port>, mac: Mac, mtu: Option<u16>) -> Self {
        let link_up = port.link_up();
        Self { port, own_mac: mac, mtu, features: 0, filter: Filter::new(mac), link_up, frame: Vec::new() }
    }

    /// The port, for the machine's owner: cables, counters, pause.
    pub fn port(&self) -> &Arc<Port> {
        &self.port
    }

    fn config(&self) -> [u8; CONFIG_LENGTH] {
        let mut config = [0; CONFIG_LENGTH];
        config[..6].copy_from_slice(self.filter.mac());
        config[6..8].copy_from_slice(&if self.link_up { LINK_UP } else { 0 }.to_le_bytes());
        config[8..10].copy_from_slice(&1u16.to_le_bytes());
        config[10..12].copy_from_slice(&self.mtu.unwrap_or(1500).to_le_bytes());
        config
    }

    /// Takes a frame from the port; false when the driver has no room for it now.
    fn receive(&self, frame: &[u8], queues: &mut Queues) -> bool {
        if !queues.is_running() || !self.link_up || frame.len() > MAX_FRAME || !self.filter.lets_in(frame) {
            return true;
        }
        let needed = HEADER + frame.len();
        let mut chains = Vec::new();
        let mut room = 0;
        while room < needed {
            let Some(chain) = queues.pop(RECEIVE) else {
                queues.unpop(RECEIVE, &chains);
                // With a broken queue nobody ever makes room.
                return !queues.is_running();
            };
            let length = chain.writable_len();
            // §5.1.6.3.1: a buffer holds at least the header.
            if length < HEADER as u64 {
                queues.fail();
                return true;
            }
            room = room.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
            chains.push(chain);
            if self.features & MRG_RXBUF == 0 && room < needed {
                // It will not get larger: the frame is lost, the buffer is not.
                queues.unpop(RECEIVE, &chains);
                return true;
            }
        }
        let mut header = [0; HEADER];
        // No more than a queue's size.
        header[BUFFERS_AT..].copy_from_slice(&(chains.len() as u16).to_le_bytes());
        // The first has room for the header, as all have.
        let mut at = HEADER as u64;
        let mut rest = frame;
        let mut used = Vec::with_capacity(chains.len());
        for chain in chains {
            let room = usize::try_from(chain.writable_len() - at).unwrap_or(usize::MAX);
            let (part, behind) = rest.split_at(rest.len().min(room));
            rest = behind;
            let whole = (at == 0 || chain.write_at(0, &header)) && chain.write_at(at, part);
            let written = if whole { at as u32 + part.len() as u32 } else { 0 };
            used.push((chain, written));
            at = 0;
        }
        queues.push_all(RECEIVE, &used);
        true
    }

    fn transmit(&mut self, queues: &mut Queues) {
        while let Some(chain) = queues.pop(TRANSMIT) {
            let length = chain.readable_len().saturating_sub(HEADER as u64);
            // The port drops what is too short; of what is too long not even the memory is spent.
            if length <= MAX_FRAME as u64 && self.link_up {
                self.frame.resize(length as usize, 0);
                if chain.read_at(HEADER as u64, &mut self.frame) {
                    self.port.send(&[&self.frame]);
                }
            }
            queues.push(TRANSMIT, chain, 0);
        }
    }

    fn control(&mut self, queues: &mut Queues) {
        while let Some(chain) = queues.pop(CONTROL) {
            if chain.writable_len() == 0 {
                queues.fail();
                return;
            }
            let allowed = |class| match class {
                Filter::RECEIVE_MODE => self.features & CTRL_RX != 0,
                Filter::ADDRESSES => self.features & (CTRL_RX | CTRL_MAC_ADDR) != 0,
                _ => false,
            };
            let done = match chain.read::<2>(0) {
                Some([class, command]) if allowed(class) => self.filter.command(class, command, &chain),
                _ => false,
            };
            let written = u32::from(chain.write_at(0, &[if done { ACK_OK } else { ACK_ERROR }]));
            queues.push(CONTROL, chain, written);
        }
    }

    fn tell_link(&mut self, up: bool, queues: &mut Queues) {
        if self.link_up != up {
            self.link_up = up;
            queues.config_changed();
        }
    }
}

impl VirtioDevice for Net {
    fn identity(&self) -> Identity {
        let mtu = if self.mtu.is_some() { MTU } else { 0 };
        Identity {
            device_type: DeviceType::Net,
            class: 0x020000,
            features: MAC | MRG_RXBUF | STATUS | CTRL_VQ | CTRL_RX | CTRL_RX_EXTRA | CTRL_MAC_ADDR | mtu,
            queue_sizes: vec![256, 256, 64],
            config_length: CONFIG_LENGTH as u64,
        }
    }

    fn read_config(&self, at: u64, into: &mut [u8]) {
        into.copy_from_slice(&self.config()[at as usize..at as usize + into.len()]);
    }

    fn start(&mut self, features: u64) {
        self.features = features;
    }

    fn process(&mut self, queue: u16, queues: &mut Queues) {
        // After a restore the cable may be another one.
        self.tell_link(self.port.link_up(), queues);
        match queue {
            RECEIVE => self.port.resume(),
            TRANSMIT => self.transmit(queues),
            CONTROL if self.features & CTRL_VQ != 0 => self.control(queues),
            _ => {}
        }
    }

    fn reset(&mut self) {
        self.features = 0;
        self.filter = Filter::new(self.own_mac);
        // What waited for the old driver's buffers is dropped.
        self.port.resume();
    }
}

impl FrameSink for VirtioPci<Net> {
    fn receive(&mut self, frame: &[u8]) -> bool {
        self.change_more(|net, queues| net.receive(frame, queues))
    }

    fn burst_done(&mut self) {
        self.settle();
    }

    fn link_changed(&mut self, up: bool) {
        self.change(|net, queues| net.tell_link(up, queues));
    }
}

impl State for Net {
    const KIND: &'static str = "virtio-net";
    type Saved = NetState;

    fn save(&self) -> NetState {
        let Self { port: _, own_mac: _, mtu: _, features, filter, link_up, frame: _ } = self;
        NetState { features: *features, filter: filter.clone(), link_up: *link_up }
    }

    fn restore(&mut self, saved: NetState) -> Result<(), RestoreError> {
        let NetState { features, filter, link_up } = saved;
        if !filter.is_possible() {
            return Err(Self::impossible("filter"));
        }
        self.features = features;
        self.filter = filter;
        self.link_up = link_up;
        Ok(())
    }
}

#[cfg(test)]
#[path = "net_test.rs"]
mod tests;
