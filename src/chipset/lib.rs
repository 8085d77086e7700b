//! What is soldered on a Q35 board.

mod debugcon;
mod fw_cfg;
mod gate;
mod hpet;
mod i8042;
mod lpc;
mod mch;
mod pflash;
mod pm;
mod postcode;
mod power;
mod ps2;
mod rtc;
mod sink;
mod tco;
mod uart;

pub use debugcon::Debugcon;
pub use fw_cfg::{FW_CFG_PORT, FW_CFG_PORTS, FileMaker, FwCfg, FwCfgState, key};
pub use gate::Gate;
pub use hpet::{HPET_LINES, HPET_SIZE, HPET_TIMERS, Hpet, HpetState};
pub use i8042::{I8042, I8042State};
pub use lpc::{Lpc, LpcDecoder, LpcState, PIRQS, RCBA_SIZE, RootComplexRegisters, RootComplexRegistersState};
pub use mch::{Mch, MchState, MemoryController, PAM_SEGMENTS, PamAccess, pam_segment};
pub use pflash::{Pflash, PflashState};
pub use pm::{PM_PORTS, PM_TIMER_HZ, Pm, PmState};
pub use postcode::PostCode;
pub use power::{PowerControl, PowerRequest, ResetControl, ResetControlState, SystemControl, SystemControlState};
pub use rtc::{Rtc, RtcState};
pub use sink::ByteSink;
pub use uart::{Uart, UartState};
