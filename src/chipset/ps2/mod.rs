//! The keyboard and the mouse that hang on the PS/2 controller, as bytes on two wires. Both follow IBM's PS/2 Hardware
//! Interface Technical Reference; the mouse also Microsoft's IntelliMouse and IntelliMouse Explorer extensions.
//!
//! They are parts of [`crate::I8042`]: it hands over what the guest sends, and fetches one byte whenever its output buffer is
//! free and the wire's clock runs.

mod keyboard;
mod mouse;
mod scancodes;

pub(crate) use self::keyboard::{Keyboard, KeyboardState};
pub(crate) use self::mouse::{Mouse, MouseState};
pub(crate) use self::scancodes::Translator;

const ACKNOWLEDGE: u8 = 0xfa;
const SELF_TEST_PASSED: u8 = 0xaa;
const RESEND: u8 = 0xfe;

/// Bytes that either device keeps for a host that does not fetch them.
const FIFO: usize = 16;
/// The longest answer to a command: an acknowledgement, and four bytes of movement.
const LONGEST_REPLY: usize = 5;
