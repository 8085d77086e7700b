//! The keyboard: firmware's (HID 1.11, appendix B.1), with more keys.

use std::collections::{BTreeSet, VecDeque};

use device::input::KeySink;
use serde::{Deserialize, Serialize};

use super::usages::{FIRST_MODIFIER, LAST_MODIFIER, usage};
use super::{Boot, Model, Sink};

/// Keys that a report has room for.
const SLOTS: usize = 6;
/// Stands in all of them when more are down (`ErrorRollOver`).
const ROLL_OVER: u8 = 1;
/// Changes of keys that wait for the host. A person fills this in seconds.
const MOST_WAITING: usize = 64;

/// A key's change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Change {
    usage: u8,
    down: bool,
}

/// A keyboard with 6-key roll-over and five lights.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Keyboard {
    /// Keys that the person holds.
    held: BTreeSet<u8>,
    /// Changes that were not told yet. A key that finds no room is not pressed; one that is released is told at the end.
    waiting: VecDeque<Change>,
    /// Keys that the host believes held, in the order in which they went down. Those that are not are released when nothing waits.
    told: Vec<u8>,
    lights: u8,
}

impl Keyboard {
    fn key(&mut self, code: u16, down: bool, listens: bool) {
        let Some(usage) = usage(code) else { return };
        let changed = match down {
            true => listens && self.held.insert(usage),
            false => self.held.remove(&usage),
        };
        if changed && self.waiting.len() < MOST_WAITING {
            self.waiting.push_back(Change { usage, down });
        }
    }

    /// Makes a change to what the host believes; false when it is none.
    fn change(&mut self, Change { usage, down }: Change) -> bool {
        let at = self.told.iter().position(|&told| told == usage);
        match (at, down) {
            (None, true) => self.told.push(usage),
            (Some(at), false) => drop(self.told.remove(at)),
            _ => return false,
        }
        true
    }

    /// A key that hangs.
    fn hanging(&self) -> Option<u8> {
        self.told.iter().find(|usage| !self.held.contains(usage)).copied()
    }
}

impl Model for Keyboard {
    const KIND: &'static str = "usb-keyboard";
    const NAME: &'static str = "Dormer USB Keyboard";
    const PRODUCT: u16 = 0x0001;
    const BOOT: Option<Boot> = Some(Boot { protocol: 1, length: 8 });
    const REPORT: u16 = 8;
    /// 8 ms.
    const INTERVAL: u8 = 7;
    #[rustfmt::skip]
    const REPORT_DESCRIPTOR: &'static [u8] = &[
        0x05, 0x01,       // Usage Page (Generic Desktop)
        0x09, 0x06,       // Usage (Keyboard)
        0xa1, 0x01,       // Collection (Application)
        0x05, 0x07,       //   Usage Page (Keyboard)
        0x19, 0xe0,       //   Usage Minimum (left Control)
        0x29, 0xe7,       //   Usage Maximum (right GUI)
        0x15, 0x00,       //   Logical Minimum (0)
        0x25, 0x01,       //   Logical Maximum (1)
        0x75, 0x01,       //   Report Size (1)
        0x95, 0x08,       //   Report Count (8)
        0x81, 0x02,       //   Input (Data, Variable, Absolute)
        0x75, 0x08,       //   Report Size (8)
        0x95, 0x01,       //   Report Count (1)
        0x81, 0x01,       //   Input (Constant)
        0x05, 0x08,       //   Usage Page (LEDs)
        0x19, 0x01,       //   Usage Minimum (Num Lock)
        0x29, 0x05,       //   Usage Maximum (Kana)
        0x75, 0x01,       //   Report Size (1)
        0x95, 0x05,       //   Report Count (5)
        0x91, 0x02,       //   Output (Data, Variable, Absolute)
        0x75, 0x03,       //   Report Size (3)
        0x95, 0x01,       //   Report Count (1)
        0x91, 0x01,       //   Output (Constant)
        0x05, 0x07,       //   Usage Page (Keyboard)
        0x19, 0x00,       //   Usage Minimum (0)
        0x2a, 0xff, 0x00, //   Usage Maximum (255)
        0x15, 0x00,       //   Logical Minimum (0)
        0x26, 0xff, 0x00, //   Logical Maximum (255)
        0x75, 0x08,       //   Report Size (8)
        0x95, 0x06,       //   Report Count (6)
        0x81, 0x00,       //   Input (Data, Array)
        0xc0,             // End Collection
    ];
    type Saved = Self;

    fn reset(&mut self) {
        *self = Self::default();
    }

    fn next(&mut self) -> Option<Vec<u8>> {
        while let Some(change) = self.waiting.pop_front() {
            if self.change(change) {
                return Some(self.last());
            }
        }
        let usage = self.hanging()?;
        self.change(Change { usage, down: false });
        Some(self.last())
    }

    fn is_ready(&self) -> bool {
        !self.waiting.is_empty() || self.hanging().is_some()
    }

    fn is_held(&self) -> bool {
        !self.told.is_empty()
    }

    fn last(&self) -> Vec<u8> {
        let (modifiers, keys): (Vec<u8>, Vec<u8>) =
            self.told.iter().partition(|usage| (FIRST_MODIFIER..=LAST_MODIFIER).contains(usage));
        let mut report = vec![0; 2 + SLOTS];
        report[0] = modifiers.iter().fold(0, |bits, usage| bits | 1 << (usage - FIRST_MODIFIER));
        match keys.len() {
            0..=SLOTS => report[2..2 + keys.len()].copy_from_slice(&keys),
            _ => report[2..].fill(ROLL_OVER),
        }
        report
    }

    fn output(&mut self, report: &[u8]) {
        self.lights = report.first().copied().unwrap_or(0) & 0x1f;
    }

    fn lights(&self) -> u8 {
        self.lights
    }

    fn save(&self) -> Self {
        self.clone()
    }

    fn restore(&mut self, saved: Self) -> Result<(), &'static str> {
        let Self { held: _, waiting, told, lights } = &saved;
        if waiting.len() > MOST_WAITING {
            return Err("queue");
        }
        if told.iter().collect::<BTreeSet<_>>().len() != told.len() {
            return Err("key");
        }
        if *lights > 0x1f {
            return Err("light");
        }
        *self = saved;
        Ok(())
    }
}

impl Sink<Keyboard> {
    /// Lights: bit 0 is num lock, 1 caps lock, 2 scroll lock, 3 compose, 4 kana.
    pub fn lights(&self) -> u8 {
        super::lock(&self.shared).model.lights
    }
}

impl KeySink for Sink<Keyboard> {
    fn listens(&self) -> bool {
        self.is_listening()
    }

    fn key(&mut self, code: u16, down: bool) {
        self.tell(|keyboard, listens| keyboard.key(code, down, listens));
    }
}
