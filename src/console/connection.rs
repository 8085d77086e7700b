//! The console itself: the connection to an engine, the state of the screen, and input.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use api::input::{Axis, Button};
use api::ui::{ToConsole, ToEngine, VERSION};
use rustix::event::{PollFd, PollFlags, Timespec};

use crate::channel::Channel;
use crate::outbox::Outbox;
use crate::picture::Picture;
use crate::pressed::Pressed;
use crate::sound::Sound;
use crate::{Cursor, Error, Frame, SoundEvent};

/// Most messages handled at once, so that a chatty engine cannot keep a window from drawing.
const MESSAGES_AT_ONCE: usize = 64;
/// Most characters of a machine's name that a title shows.
const NAME_CHARACTERS: usize = 80;

bitflags::bitflags! {
    /// What changed by [`Console::dispatch`].
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Changes: u8 {
        /// The engine has greeted: [`Console::name`] is known.
        const HELLO = 1;
        /// There is something new to draw, or nothing to draw any more: call [`Console::refresh`] at the next frame.
        const PICTURE = 2;
        /// [`Console::cursor`].
        const CURSOR = 4;
        /// [`Console::cursor_at`].
        const CURSOR_AT = 8;
        /// [`Console::absolute`].
        const POINTER_MODE = 16;
        /// [`Console::leds`].
        const LEDS = 32;
        /// [`Console::take_sound`] and [`Console::is_recorded`].
        const SOUND = 64;
    }
}

/// Lock LEDs of the guest's keyboard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leds {
    /// Num lock.
    pub num: bool,
    /// Caps lock.
    pub caps: bool,
    /// Scroll lock.
    pub scroll: bool,
}

/// A connection to a running machine's screen, keyboard and pointer.
///
/// Nothing here blocks but [`Console::connect`] and [`Console::wait`]. After an [`Error`] the console shows what it last showed and takes
/// no more input; drop it.
#[derive(Debug)]
pub struct Console {
    channel: Channel,
    outbox: Outbox,
    greeted: bool,
    name: String,
    picture: Option<Picture>,
    /// An update waits for its acknowledgement.
    owes_frame_done: bool,
    cursor: Option<Cursor>,
    cursor_at: (i32, i32),
    absolute: bool,
    leds: Leds,
    pressed: Pressed,
    sound: Sound,
}

impl Console {
    /// Connects to an engine's listening socket. May wait a moment for the engine.
    pub fn connect(path: &Path) -> Result<Self, Error> {
        Ok(Self::new(Channel::connect(path)?))
    }

    /// Takes a connected `SOCK_SEQPACKET` socket.
    pub fn over(socket: OwnedFd) -> Self {
        Self::new(Channel::over(socket))
    }

    fn new(channel: Channel) -> Self {
        Self {
            channel,
            outbox: Outbox::default(),
            greeted: false,
            name: String::new(),
            picture: None,
            owes_frame_done: false,
            cursor: None,
            cursor_at: (0, 0),
            absolute: true,
            leds: Leds::default(),
            pressed: Pressed::default(),
            sound: Sound::default(),
        }
    }

    /// Handles what has arrived and sends what waits. Call it when the descriptor is readable; calls it again while it stays so.
    pub fn dispatch(&mut self) -> Result<Changes, Error> {
        let mut changes = Changes::empty();
        for _ in 0..MESSAGES_AT_ONCE {
            let Some((message, descriptors)) = self.channel.receive()? else { break };
            changes |= self.handle(message, descriptors)?;
        }
        // After reading: an engine that has said its last words and gone is heard to the end.
        self.outbox.flush(&self.channel)?;
        Ok(changes)
    }

    /// Waits until something arrives or the time is over, then does as [`Self::dispatch`].
    pub fn wait(&mut self, most: Duration) -> Result<Changes, Error> {
        let most = Timespec { tv_sec: most.as_secs().min(1 << 30) as i64, tv_nsec: most.subsec_nanos().into() };
        let mut descriptors = [PollFd::new(&self.channel, PollFlags::IN)];
        match rustix::event::poll(&mut descriptors, Some(&most)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => self.dispatch(),
            Err(error) => Err(error.into()),
        }
    }

    fn handle(&mut self, message: ToConsole, mut descriptors: Vec<OwnedFd>) -> Result<Changes, Error> {
        if self.greeted == matches!(message, ToConsole::Hello { .. }) {
            return Err(Error::Nonsense("a greeting that does not come first and once"));
        }
        match message {
            ToConsole::Hello { version, name } => {
                if version != VERSION {
                    return Err(Error::Version(version));
                }
                self.greeted = true;
                self.name = name.chars().filter(|c| !c.is_control()).take(NAME_CHARACTERS).collect();
                Ok(Changes::HELLO)
            }
            ToConsole::Scanout { width, height, stride, offset } => {
                self.picture = Some(Picture::new((width, height), stride, offset, descriptors.pop())?);
                Ok(Changes::PICTURE)
            }
            ToConsole::Disable => {
                self.picture = None;
                Ok(Changes::PICTURE)
            }
            ToConsole::Update(rect) => {
                if let Some(picture) = &mut self.picture {
                    picture.damage(rect);
                }
                self.owes_frame_done = true;
                Ok(Changes::PICTURE)
            }
            ToConsole::Cursor { width, height, hot_x, hot_y } => {
                self.cursor = Some(Cursor::read(width, height, (hot_x, hot_y), descriptors.pop())?);
                Ok(Changes::CURSOR)
            }
            ToConsole::HideCursor => {
                self.cursor = None;
                Ok(Changes::CURSOR)
            }
            ToConsole::CursorAt { x, y } => {
                self.cursor_at = (x, y);
                Ok(Changes::CURSOR_AT)
            }
            ToConsole::PointerMode { absolute } => {
                self.absolute = absolute;
                Ok(Changes::POINTER_MODE)
            }
            ToConsole::Leds { num, caps, scroll } => {
                self.leds = Leds { num, caps, scroll };
                Ok(Changes::LEDS)
            }
            ToConsole::Playback(offer) => {
                self.sound.playback(offer, descriptors)?;
                Ok(Changes::SOUND)
            }
            ToConsole::Capture(offer) => {
                self.sound.capture(offer, descriptors)?;
                Ok(Changes::SOUND)
            }
            ToConsole::StreamEnded { stream } => {
                self.sound.ended(stream)?;
                Ok(Changes::SOUND)
            }
        }
    }

    /// The newest frame, if it differs from the last one. Copies what changed.
    pub fn refresh(&mut self) -> Option<Frame> {
        self.picture.as_mut()?.refresh()
    }

    /// Is there a picture at all?
    pub fn has_picture(&self) -> bool {
        self.picture.is_some()
    }

    /// The frame is on the screen: the engine may send the next update. Does nothing when it waits for none.
    pub fn frame_done(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.owes_frame_done) {
            return self.send(ToEngine::FrameDone);
        }
        Ok(())
    }

    /// The machine's name, without control characters; empty before [`Changes::HELLO`].
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The guest's pointer, when it has one that it does not draw itself.
    pub fn cursor(&self) -> Option<&Cursor> {
        self.cursor.as_ref()
    }

    /// Where the guest has put its pointer, in guest pixels; not checked against the picture.
    pub fn cursor_at(&self) -> (i32, i32) {
        self.cursor_at
    }

    /// Does the guest take absolute positions?
    pub fn absolute(&self) -> bool {
        self.absolute
    }

    /// Lock LEDs of the guest's keyboard.
    pub fn leds(&self) -> Leds {
        self.leds
    }

    /// Asks for the machine's sound, which no other console has then, and lets the guest hear, if the person wants that. Without
    /// either, another console may have it. A new connection has asked for nothing. What is not wanted any more has ended:
    /// [`Self::take_sound`] says so.
    pub fn want_sound(&mut self, listen: bool, microphone: bool) -> Result<(), Error> {
        self.sound.want(listen, microphone);
        self.send(ToEngine::Sound { listen, microphone })
    }

    /// What became of the machine's sound since the last call, oldest first, for whoever plays it.
    pub fn take_sound(&mut self) -> Vec<SoundEvent> {
        self.sound.take()
    }

    /// Does the guest record what the microphone hears? Only if [`Self::want_sound`] let it.
    pub fn is_recorded(&self) -> bool {
        self.sound.is_recorded()
    }

    /// A key (evdev code) went down or up. Repeats and releases of keys that are not down go nowhere.
    pub fn key(&mut self, code: u16, down: bool) -> Result<(), Error> {
        if self.pressed.key(code, down) { self.send(ToEngine::Key { code, down }) } else { Ok(()) }
    }

    /// Presses keys one after the other and releases them in the opposite order.
    pub fn chord(&mut self, codes: &[u16]) -> Result<(), Error> {
        for &code in codes {
            self.key(code, true)?;
        }
        for &code in codes.iter().rev() {
            self.key(code, false)?;
        }
        Ok(())
    }

    /// A button went down or up.
    pub fn button(&mut self, button: Button, down: bool) -> Result<(), Error> {
        if self.pressed.button(button, down) { self.send(ToEngine::Button { button, down }) } else { Ok(()) }
    }

    /// The person looks elsewhere: everything they hold down is up for the guest.
    pub fn release_all(&mut self) -> Result<(), Error> {
        if self.pressed.release_all() { self.send(ToEngine::ReleaseAll) } else { Ok(()) }
    }

    /// The pointer is here: 0 to 1 over the picture on each axis; outside is at its edge.
    pub fn pointer_position(&mut self, x: f64, y: f64) -> Result<(), Error> {
        let axis = |part: f64| (part.clamp(0.0, 1.0) * f64::from(0x7fff)).round() as u16;
        self.send(ToEngine::PointerPosition { x: axis(x), y: axis(y) })
    }

    /// The pointer moved, in guest pixels.
    pub fn pointer_motion(&mut self, dx: i32, dy: i32) -> Result<(), Error> {
        if (dx, dy) == (0, 0) { Ok(()) } else { self.send(ToEngine::PointerMotion { dx, dy }) }
    }

    /// The wheel turned; positive is up or to the right.
    pub fn wheel(&mut self, axis: Axis, steps: i32) -> Result<(), Error> {
        if steps == 0 { Ok(()) } else { self.send(ToEngine::Wheel { axis, steps }) }
    }

    /// How large a screen the person has: device pixels, and millimetres (0 when unknown).
    pub fn ui_info(&mut self, (width, height): (u32, u32), (width_mm, height_mm): (u32, u32)) -> Result<(), Error> {
        self.send(ToEngine::UiInfo { width, height, width_mm, height_mm })
    }

    /// Does input wait for the engine to read? Then call [`Self::flush`] when the descriptor is writable.
    pub fn has_backlog(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Sends what waits, as far as the engine takes it.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.outbox.flush(&self.channel)
    }

    fn send(&mut self, message: ToEngine) -> Result<(), Error> {
        self.outbox.send(&self.channel, message)
    }
}

impl AsFd for Console {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }
}

#[cfg(test)]
#[path = "connection_test.rs"]
mod tests;
