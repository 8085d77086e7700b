//! What a device is: the traits, handles and test bench that every device of the engine is built from.
//!
//! A device is a pure state machine behind one mutex. It holds *handles* ([`IrqLine`], [`Msi`], [`Dma`], [`Timer`],
//! [`Clock`]) and reacts to calls; it owns no thread, no file descriptor, no wall clock, and never sees its own address or
//! interrupt number. The board (crate `machine`) makes the handles real, tests make them observable ([`bench`]).
//!
//! Who calls what:
//! - vCPU threads call [`PortIo`] and [`Mmio`] through a [`Bus`], holding only that device's mutex;
//! - the I/O thread calls [`Timed::expired`], [`Doorbells::ring`] and completions, holding only that device's mutex;
//! - the machine's owner calls [`Device::reset`] and [`StateDyn`] while vCPUs stand still.
//!
//! A device never calls another device: everything it says to the outside goes through its handles, and no handle calls
//! back into a device on the same stack. So no lock order exists to be got wrong.

mod access;
pub mod bench;
mod bus;
mod clock;
pub mod input;
mod line;
pub mod pci;
mod ram;
mod state;
mod timer;

pub use access::{Mmio, PortIo, Size};
pub use bus::{Bus, MmioBus, Overlap, PortBus};
pub use clock::{Clock, VmTime};
pub use line::{IrqLine, LineSink};
pub use pci::{Msi, MsiSink};
pub use ram::{Dma, DmaError, Ram};
pub use state::{RestoreError, Section, State, StateDyn};
pub use timer::{Timed, Timer, TimerQueue};

/// What all devices have in common, as the machine's owner sees them.
pub trait Device: StateDyn + Send {
    /// Puts the device into its power-on state. Called with no vCPU running; may be called any number of times.
    fn reset(&mut self);
}

/// A device with doorbells: guest writes that KVM turned into eventfd signals (virtio queues).
pub trait Doorbells: Send {
    /// Doorbell `index` (as the device declared it in its BAR) was rung at least once. Called from the I/O thread.
    fn ring(&mut self, index: u16);
}
