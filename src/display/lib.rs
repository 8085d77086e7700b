//! Screens: what a guest draws, on its way to whoever looks.
//!
//! A video device speaks to consoles through an [`Output`]: here is the memory with the picture, this part of it changed, the
//! pointer looks like this. Pixels never pass through it. [`Vga`] is the PC's graphics adapter: the IBM VGA with the Bochs DISPI
//! extension that firmware and guests without a driver use. It is not a PCI function by itself: the function (virtio-vga) lends
//! it the video memory and the register window in its BARs, the board the legacy ports and the window at A0000.

pub mod bench;
pub mod edid;
mod output;
mod surface;
mod vga;

pub use api::ui::Rect;
pub use output::{CursorImage, Output, PixelFormat, Scanout};
pub use surface::{Surfaces, read_pixels};
pub use vga::{DispiPorts, LegacyWindow, PAGE_BYTES, Vga, VgaPorts, VgaState};
