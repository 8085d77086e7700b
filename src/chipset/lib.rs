//! What is soldered on a Q35 board.

mod debugcon;
mod postcode;
mod rtc;
mod sink;

pub use debugcon::Debugcon;
pub use postcode::PostCode;
pub use rtc::{Rtc, RtcState};
pub use sink::ByteSink;
