//! What a console is told, and what it tells.

use api::control::NetworkStatus;
use console::Console;
use gtk::gdk;

use super::closing::Answer;
use super::ending::Ending;
use super::screenshot::Screenshot;
use super::typed_text::TypedText;
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
    /// The person picks an image for the CD drive.
    PickCd,
    /// The person takes a screenshot.
    Screenshot(Screenshot),
    /// The person has a text typed into the guest.
    Type(TypedText),
    /// The person opens the machine's serial console.
    Serial,
    /// The person looks at the machine's devices.
    LookAtDevices,
    /// What the engine says of its network cards.
    Networks(Vec<NetworkStatus>),
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
    /// Show the machine's log.
    ShowLog,
    /// The screen as it was last, for the machine's page.
    Picture(Option<gdk::Texture>),
    /// The window is closed.
    Closed,
}
