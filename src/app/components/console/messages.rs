//! What a console is told, and what it tells.

use api::machine::Sound;
use api::settings::SoundKey;
use console::Console;
use gtk::{gdk, glib};
use library::usage::Sample;
use library::usb::Device;

use super::closing::Answer;
use super::ending::Ending;
use super::screenshot::Screenshot;
use super::typed_text::TypedText;
use super::usb::{UsbAnswer, UsbWish};
use crate::host_key::HostKey;
use crate::machines::{Order, Summary};

/// What the console is told.
#[derive(Debug)]
pub(crate) enum ConsoleMsg {
    /// The machine is being started (again).
    Starting,
    /// Show this screen.
    Attach(Box<Console>),
    /// The machine, as it is now.
    Show(Summary),
    /// There is no screen any more.
    End(Ending),
    /// Come to the front.
    Present,
    /// Say this for a moment.
    Toast(String),
    /// Say this at once, in place of what is being said.
    Warn(String),
    /// The display lost its connection.
    Lost(String),
    /// The guest's screen has this size.
    PictureSize(u32, u32),
    /// The pointer is captured, or not.
    Captured(bool),
    /// This is the host key from now on.
    HostKey(HostKey),
    /// The window is in full screen, or not.
    Fullscreen(bool),
    /// The window is so narrow that its header bar has room for few buttons, or not.
    Narrow(bool),
    /// The person asks this of the machine.
    Ask(Order),
    /// The person picks an image for this CD drive.
    PickCd(String),
    /// The person takes a screenshot.
    Screenshot(Screenshot),
    /// The person has a text typed into the guest.
    Type(TypedText),
    /// The person opens the machine's serial console.
    Serial,
    /// The person looks at the machine's devices, or not any more.
    LookAtDevices(bool),
    /// What this look at the devices found.
    Measured(u64, Box<Sample>),
    /// There may be something new of the machine's sound.
    SoundChanged,
    /// The person gives a setting of sound this value.
    TurnSound(SoundKey, String),
    /// What the person turned is to be written down.
    WriteSound,
    /// What was turned is written down, or why not.
    SoundWritten(Result<Sound, String>),
    /// USB devices may have come, gone, or be used for something else.
    LookAtUsb,
    /// These are plugged in.
    UsbDevices(Vec<Device>),
    /// The person wants this of a USB device.
    WishUsb(UsbWish),
    /// What became of it.
    UsbAnswered(UsbWish, UsbAnswer),
    /// Ask whether the machine should get a USB device, by `app.connect-usb` with this target.
    Offer(String, glib::Variant),
    /// The person closes the window.
    Close,
    /// The person closes it, and this becomes of the machine.
    Leave(Answer),
}

/// What the console tells.
#[derive(Debug)]
pub(crate) enum ConsoleOutput {
    /// The person asks this of the machine.
    Order(Order),
    /// Connect again.
    Connect,
    /// The machine's file has changed.
    Changed,
    /// Show the machine's log.
    ShowLog,
    /// The screen as it was last, for the machine's page.
    Picture(Option<gdk::Texture>),
    /// The window is closed.
    Closed,
}
