//! The UI channel: a console and an engine over one `SOCK_SEQPACKET` connection.
//!
//! Every message is one packet of JSON of at most [`MESSAGE_BYTES`], some with a descriptor or two attached. The verbs are those of
//! QEMU's `org.qemu.Display1`. The engine greets with [`ToConsole::Hello`], then describes what stands on the screen; from then on it
//! sends at most one un-acknowledged [`ToConsole::Update`]: damage that happens before [`ToEngine::FrameDone`] is united.
//!
//! Sound goes to one console at a time, the last that asked for it by [`ToEngine::Sound`]: through rings in shared memory ([`crate::pcm`]),
//! each of which comes by a message when a stream starts.
//!
//! Neither side trusts the other: the console checks a scanout's memory (seals, size against stride and height), the engine
//! every coordinate.

use serde::{Deserialize, Serialize};

use crate::input::{Axis, Button};
use crate::pcm::Offer;

/// This protocol's version.
pub const VERSION: u32 = 2;
/// Most bytes of one message.
pub const MESSAGE_BYTES: usize = 4096;
/// Most pixels in either direction of a scanout.
pub const MAX_SIDE: u32 = 16384;
/// Most pixels in either direction of a cursor.
pub const MAX_CURSOR: u32 = 512;

/// A rectangle in guest pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rect {
    /// From the left.
    pub x: u32,
    /// From the top.
    pub y: u32,
    /// To the right.
    pub width: u32,
    /// Down.
    pub height: u32,
}

impl Rect {
    /// Covers nothing?
    pub fn is_empty(self) -> bool {
        self.width == 0 || self.height == 0
    }

    /// The smallest rectangle around both.
    pub fn union(self, other: Self) -> Self {
        if self.is_empty() {
            return other;
        }
        if other.is_empty() {
            return self;
        }
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        let right = self.x.saturating_add(self.width).max(other.x.saturating_add(other.width));
        let bottom = self.y.saturating_add(self.height).max(other.y.saturating_add(other.height));
        Self { x, y, width: right - x, height: bottom - y }
    }

    /// What of it lies on a screen of `width` by `height`.
    pub fn clipped(self, width: u32, height: u32) -> Self {
        let (x, y) = (self.x.min(width), self.y.min(height));
        let right = self.x.saturating_add(self.width).min(width);
        let bottom = self.y.saturating_add(self.height).min(height);
        Self { x, y, width: right.saturating_sub(x), height: bottom.saturating_sub(y) }
    }
}

/// From engine to console.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "type")]
pub enum ToConsole {
    /// First message.
    Hello {
        /// [`VERSION`].
        version: u32,
        /// The machine's name.
        name: String,
    },
    /// The screen's picture is in the attached memfd (sealed against shrinking), 32 bits a pixel: blue, green, red, nothing. All of it is
    /// damaged.
    Scanout {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
        /// Bytes from line to line.
        stride: u32,
        /// Bytes from the memfd's start to the first pixel.
        offset: u64,
    },
    /// There is no picture.
    Disable,
    /// The picture changed here; answered with [`ToEngine::FrameDone`].
    Update(Rect),
    /// The guest's pointer looks like this: attached memfd of `width * height * 4` bytes, premultiplied blue, green, red, alpha.
    Cursor {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
        /// The pixel that points.
        hot_x: u32,
        /// The pixel that points.
        hot_y: u32,
    },
    /// The guest shows no pointer of its own (or draws it into the picture).
    HideCursor,
    /// Where the guest has put its pointer; for captured mice.
    CursorAt {
        /// Pixels from the left.
        x: i32,
        /// Pixels from the top.
        y: i32,
    },
    /// Does the guest take absolute positions (tablet) or movements (mouse)?
    PointerMode {
        /// True for a tablet.
        absolute: bool,
    },
    /// Lock LEDs of the guest's keyboard.
    Leds {
        /// Num lock.
        num: bool,
        /// Caps lock.
        caps: bool,
        /// Scroll lock.
        scroll: bool,
    },
    /// The guest plays: attached are the ring to read and the bell to ring after every reading.
    Playback(Offer),
    /// The guest records, and may hear: attached are the ring to write what the microphone hears, and the bell to ring then.
    Capture(Offer),
    /// A stream of either kind is over; what its ring still holds may be played.
    StreamEnded {
        /// Which.
        stream: u32,
    },
}

/// From console to engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "type")]
pub enum ToEngine {
    /// The last update is on the screen.
    FrameDone,
    /// A key (evdev code), never auto-repeat.
    Key {
        /// `linux/input-event-codes.h`.
        code: u16,
        /// Down or up.
        down: bool,
    },
    /// The mouse moved.
    PointerMotion {
        /// Pixels to the right.
        dx: i32,
        /// Pixels down.
        dy: i32,
    },
    /// The pointer is here, each axis 0 to 0x7fff over the picture.
    PointerPosition {
        /// From the left.
        x: u16,
        /// From the top.
        y: u16,
    },
    /// A button.
    Button {
        /// Which.
        button: Button,
        /// Down or up.
        down: bool,
    },
    /// The wheel turned; positive is up or to the right.
    Wheel {
        /// Direction.
        axis: Axis,
        /// Notches.
        steps: i32,
    },
    /// All keys and buttons are up (the window lost the focus).
    ReleaseAll,
    /// How large a screen the person has.
    UiInfo {
        /// Device pixels.
        width: u32,
        /// Device pixels.
        height: u32,
        /// Millimetres, 0 when unknown.
        width_mm: u32,
        /// Millimetres, 0 when unknown.
        height_mm: u32,
    },
    /// What this console wants of sound from now on. One that wants some takes it from any other.
    Sound {
        /// Playback.
        listen: bool,
        /// Capture: the person lets the guest hear.
        microphone: bool,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pcm::Layout;

    #[test]
    fn rectangles() {
        let a = Rect { x: 10, y: 10, width: 5, height: 5 };
        let b = Rect { x: 0, y: 12, width: 2, height: 100 };
        assert_eq!(a.union(b), Rect { x: 0, y: 10, width: 15, height: 102 });
        assert_eq!(Rect::default().union(a), a);
        assert_eq!(a.clipped(12, 100), Rect { x: 10, y: 10, width: 2, height: 5 });
        assert!(Rect { x: 200, y: 0, width: u32::MAX, height: 9 }.clipped(100, 100).is_empty());
    }

    #[test]
    fn messages_are_small_and_strict() {
        let key = serde_json::to_string(&ToEngine::Key { code: 30, down: true }).unwrap();
        assert_eq!(key, r#"{"type":"key","code":30,"down":true}"#);
        assert!(serde_json::from_str::<ToEngine>(r#"{"type":"key","code":30,"down":true,"path":"/"}"#).is_err());
        let update = ToConsole::Update(Rect { x: 1, y: 2, width: 3, height: 4 });
        assert_eq!(serde_json::from_str::<ToConsole>(&serde_json::to_string(&update).unwrap()).unwrap(), update);
        let layout = Layout::new(48_000, 2).unwrap();
        let playback = ToConsole::Playback(Offer { stream: 3, layout });
        let text = serde_json::to_string(&playback).unwrap();
        assert_eq!(text, r#"{"type":"playback","stream":3,"layout":{"rate":48000,"channels":2,"frames":16384}}"#);
        assert_eq!(serde_json::from_str::<ToConsole>(&text).unwrap(), playback);
    }
}
