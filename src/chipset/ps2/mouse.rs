//! The mouse: two buttons and a third, and to drivers that knock, a wheel and two buttons more.
//!
//! Its sampling has no clock: a packet is made when something happened and the last packet was fetched, so a busy host gets
//! fewer and longer movements, and never stale ones. Button changes get packets of their own as long as there is room.

use std::collections::VecDeque;

use device::input::Button;
use serde::{Deserialize, Serialize};

use super::{ACKNOWLEDGE, FIFO, LONGEST_REPLY, RESEND, SELF_TEST_PASSED};

/// Movement that is kept for a host that does not fetch it, in counts.
const FARTHEST: i32 = 8192;

/// What the mouse says it is, by the identity it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    Standard = 0,
    Wheel = 3,
    Explorer = 4,
}

/// What the next byte from the host belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Awaiting {
    Resolution,
    Rate,
}

/// The mouse's state, and its saved state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MouseState {
    /// Answers to the last command, sent before packets.
    replies: VecDeque<u8>,
    /// Whole packets but for the first, of which some bytes may be gone; up to [`FIFO`] bytes.
    packets: VecDeque<u8>,
    last_sent: u8,
    awaiting: Option<Awaiting>,
    kind: Kind,
    reporting: bool,
    remote: bool,
    wrap: bool,
    scaling: bool,
    resolution: u8,
    rate: u8,
    /// The two rates set before the current one: drivers knock with three.
    earlier_rates: [u8; 2],
    /// Counts to the right.
    dx: i32,
    /// Counts away from the person.
    dy: i32,
    /// Wheel steps towards the person.
    dz: i32,
    /// Bit 0 left, 1 right, 2 middle, 3 side, 4 extra.
    buttons: u8,
    /// The buttons of the last packet; `None` when that packet was thrown away.
    told: Option<u8>,
}

impl Default for MouseState {
    fn default() -> Self {
        Self {
            replies: VecDeque::new(),
            packets: VecDeque::new(),
            last_sent: 0,
            awaiting: None,
            kind: Kind::Standard,
            reporting: false,
            remote: false,
            wrap: false,
            scaling: false,
            resolution: 2,
            rate: 100,
            earlier_rates: [0; 2],
            dx: 0,
            dy: 0,
            dz: 0,
            buttons: 0,
            told: Some(0),
        }
    }
}

/// A mouse.
#[derive(Debug, Default)]
pub(crate) struct Mouse(MouseState);

impl Mouse {
    /// Does the host want movements?
    pub(crate) fn is_reporting(&self) -> bool {
        self.0.reporting || self.0.remote
    }

    /// The next byte for the host.
    pub(crate) fn next(&mut self) -> Option<u8> {
        let byte = match self.0.replies.pop_front() {
            Some(reply) => reply,
            None => {
                let byte = self.0.packets.pop_front()?;
                self.report();
                byte
            }
        };
        self.0.last_sent = byte;
        Some(byte)
    }

    /// The host sent `byte`.
    pub(crate) fn receive(&mut self, byte: u8) {
        // A new byte ends what was still to be said.
        self.0.replies.clear();
        if !self.0.packets.is_empty() {
            self.0.packets.clear();
            self.0.told = None;
        }
        if self.0.wrap && !matches!(byte, 0xec | 0xff) {
            return self.reply(&[byte]);
        }
        match self.0.awaiting.take() {
            Some(awaiting) => self.argument(awaiting, byte),
            None => self.command(byte),
        }
    }

    fn command(&mut self, byte: u8) {
        match byte {
            0xe6 | 0xe7 => self.0.scaling = byte == 0xe7,
            0xe8 => self.0.awaiting = Some(Awaiting::Resolution),
            0xe9 => {
                let status = self.status();
                return self.reply(&[ACKNOWLEDGE, status, self.0.resolution, self.0.rate]);
            }
            0xea => self.set_remote(false),
            0xeb => {
                let packet = self.packet(false);
                self.reply(&[ACKNOWLEDGE]);
                return self.reply(&packet);
            }
            0xec | 0xee => self.0.wrap = byte == 0xee,
            0xf0 => self.set_remote(true),
            0xf2 => return self.reply(&[ACKNOWLEDGE, self.0.kind as u8]),
            0xf3 => self.0.awaiting = Some(Awaiting::Rate),
            0xf4 | 0xf5 => {
                self.0.reporting = byte == 0xf4;
                self.forget_movement();
            }
            0xf6 => {
                let MouseState { kind, earlier_rates, buttons, last_sent, .. } = self.0;
                let told = Some(buttons);
                self.0 = MouseState { kind, earlier_rates, buttons, told, last_sent, ..MouseState::default() };
            }
            0xfe => return self.reply(&[self.0.last_sent]),
            0xff => {
                let buttons = self.0.buttons;
                self.0 = MouseState { buttons, told: Some(buttons), ..MouseState::default() };
                return self.reply(&[ACKNOWLEDGE, SELF_TEST_PASSED, Kind::Standard as u8]);
            }
            _ => return self.reply(&[RESEND]),
        }
        self.reply(&[ACKNOWLEDGE]);
    }

    fn argument(&mut self, awaiting: Awaiting, byte: u8) {
        match awaiting {
            Awaiting::Resolution if byte > 3 => return self.reply(&[RESEND]),
            Awaiting::Resolution => self.0.resolution = byte,
            Awaiting::Rate => {
                match (self.0.earlier_rates, byte) {
                    ([200, 100], 80) => self.0.kind = Kind::Wheel,
                    ([200, 200], 80) => self.0.kind = Kind::Explorer,
                    _ => {}
                }
                self.0.earlier_rates = [self.0.earlier_rates[1], byte];
                self.0.rate = byte;
            }
        }
        self.reply(&[ACKNOWLEDGE]);
    }

    fn reply(&mut self, bytes: &[u8]) {
        self.0.replies.extend(bytes);
    }

    fn set_remote(&mut self, remote: bool) {
        self.0.remote = remote;
        self.forget_movement();
    }

    fn forget_movement(&mut self) {
        (self.0.dx, self.0.dy, self.0.dz) = (0, 0, 0);
        self.0.told = Some(self.0.buttons);
    }

    fn status(&self) -> u8 {
        let buttons = self.0.buttons;
        let (left, right, middle) = (buttons & 1, buttons >> 1 & 1, buttons >> 2 & 1);
        let modes = [(self.0.scaling, 0x10), (self.0.reporting, 0x20), (self.0.remote, 0x40)];
        modes.iter().filter(|(on, _)| *on).map(|(_, bit)| bit).sum::<u8>() | left << 2 | middle << 1 | right
    }

    /// The pointer moved: right and down, and the wheel turned towards the person.
    pub(crate) fn moved(&mut self, dx: i32, dy: i32, dz: i32) {
        if !self.is_reporting() {
            return;
        }
        let add = |sum: i32, by: i32| sum.saturating_add(by).clamp(-FARTHEST, FARTHEST);
        self.0.dx = add(self.0.dx, dx);
        self.0.dy = add(self.0.dy, dy.saturating_neg());
        if self.0.kind != Kind::Standard {
            self.0.dz = add(self.0.dz, dz);
        }
        self.report();
    }

    /// A button went down or up.
    pub(crate) fn button(&mut self, button: Button, down: bool) {
        let bit = match button {
            Button::Left => 1,
            Button::Right => 2,
            Button::Middle => 4,
            Button::Side => 8,
            Button::Extra => 16,
        };
        self.0.buttons = if down { self.0.buttons | bit } else { self.0.buttons & !bit };
        self.report();
    }

    /// The buttons that the host's kind of mouse has.
    fn known_buttons(&self) -> u8 {
        self.0.buttons & if self.0.kind == Kind::Explorer { 0x1f } else { 7 }
    }

    /// Makes packets of what happened since the last one.
    fn report(&mut self) {
        if !self.0.reporting || self.0.remote || self.0.wrap {
            return;
        }
        loop {
            let told = self.0.told.map(|told| told & if self.0.kind == Kind::Explorer { 0x1f } else { 7 });
            let clicked = told != Some(self.known_buttons());
            let moved = (self.0.dx, self.0.dy, self.0.dz) != (0, 0, 0);
            let length = if self.0.kind == Kind::Standard { 3 } else { 4 };
            let fits = self.0.packets.is_empty() || clicked && self.0.packets.len() + length <= FIFO;
            if !fits || !(clicked || moved) {
                return;
            }
            let packet = self.packet(self.0.scaling);
            self.0.packets.extend(packet);
        }
    }

    /// A packet of as much movement as fits, which is taken off what is kept.
    fn packet(&mut self, scaled: bool) -> Vec<u8> {
        let mut take = |axis: fn(&mut MouseState) -> &mut i32, low: i32, high: i32| {
            let kept = axis(&mut self.0);
            let taken = (*kept).clamp(low, high);
            *kept -= taken;
            taken
        };
        // Scaled movement doubles, and has to fit then too.
        let farthest = if scaled { 127 } else { 255 };
        let dx = take(|state| &mut state.dx, -farthest, farthest);
        let dy = take(|state| &mut state.dy, -farthest, farthest);
        let dz = take(|state| &mut state.dz, -8, 7);
        let (dx, dy) = if scaled { (scale(dx), scale(dy)) } else { (dx, dy) };
        self.0.told = Some(self.0.buttons);
        let signs = if dx < 0 { 0x10 } else { 0 } | if dy < 0 { 0x20 } else { 0 };
        let mut packet = vec![0x08 | self.0.buttons & 7 | signs, dx as u8, dy as u8];
        match self.0.kind {
            Kind::Standard => {}
            Kind::Wheel => packet.push(dz as u8),
            Kind::Explorer => packet.push(dz as u8 & 0x0f | (self.0.buttons & 0x18) << 1),
        }
        packet
    }

    /// The state.
    pub(crate) fn save(&self) -> MouseState {
        self.0.clone()
    }

    /// Takes a state; the error names the impossible field.
    pub(crate) fn restore(&mut self, saved: MouseState) -> Result<(), &'static str> {
        let MouseState { replies, packets, resolution, dx, dy, dz, buttons, told, .. } = &saved;
        if replies.len() > LONGEST_REPLY {
            return Err("mouse reply");
        }
        if packets.len() > FIFO {
            return Err("mouse queue");
        }
        if *resolution > 3 || *buttons > 0x1f || told.is_some_and(|told| told > 0x1f) {
            return Err("mouse setting");
        }
        if [dx, dy, dz].iter().any(|axis| !(-FARTHEST..=FARTHEST).contains(*axis)) {
            return Err("mouse movement");
        }
        self.0 = saved;
        Ok(())
    }
}

/// The 2:1 scaling of a movement.
fn scale(counts: i32) -> i32 {
    let scaled = match counts.abs() {
        small @ (0 | 1 | 3) => small,
        2 => 1,
        4 => 6,
        5 => 9,
        more => more * 2,
    };
    scaled * counts.signum()
}
