//! virtio-vga: a VGA and a virtio-gpu in one PCI function, so that firmware and guests without a driver have a screen, and
//! guests with one the fast one, on the same outputs.
//!
//! ```text
//! BAR 0   video memory, prefetchable
//! BAR 2   0x0000 the VGA's register page, 0x1000 virtio's registers
//! BAR 4   MSI-X
//! ROM     the video BIOS
//! ```
//!
//! The layout is QEMU's as far as drivers rely on it: the id, BAR 0, and the register page at the start of BAR 2; the virtio
//! registers are found by their capabilities. The VGA has the outputs until a driver sets a scanout, and again after a reset.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use device::pci::{Bar, BarKind, Identity, PciCore, PciCoreState, PciFunction, SharedMemory};
use device::{Device, Dma, Doorbells, IrqLine, Msi, RestoreError, Size, State};
use display::edid::DisplaySize;
use display::{Output, PAGE_BYTES, Surfaces, Vga, VgaState};
use serde::{Deserialize, Serialize};

use crate::gpu::{Fallback, Gpu, GpuState};
use crate::pci::identity;
use crate::state::TransportState;
use crate::transport::{Kick, Place, REGISTERS, Transport};
use crate::virtio_device::VirtioDevice;

const MEMORY_BAR: u8 = 0;
const MSIX_BAR: u8 = 4;
const PLACE: Place = Place { bar: 2, offset: PAGE_BYTES };
/// A VGA with legacy registers.
const CLASS: u32 = 0x030000;

/// The function. It resets and saves its VGA; the board gives the VGA's ports and window their places.
pub struct VirtioVga {
    core: PciCore,
    transport: Transport<Gpu>,
    vga: Arc<Mutex<Vga>>,
}

/// The saved function. Video memory is saved by the board.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VirtioVgaState {
    pci: PciCoreState,
    transport: TransportState<GpuState>,
    vga: VgaState,
}

struct TheVga(Arc<Mutex<Vga>>);
impl Fallback for TheVga {
    fn set_shown(&self, shown: bool) {
        lock(&self.0).set_shown(shown);
    }
}

fn lock(vga: &Mutex<Vga>) -> MutexGuard<'_, Vga> {
    vga.lock().unwrap_or_else(PoisonError::into_inner)
}

impl VirtioVga {
    /// The function around `vga`, with one head on `output` (the one `vga` was made with). `rom` is the video BIOS, its size a power
    /// of two.
    pub fn new(
        vga: Arc<Mutex<Vga>>,
        output: Arc<dyn Output>,
        surfaces: Arc<dyn Surfaces>,
        rom: Option<Arc<SharedMemory>>,
        dma: Dma,
        msi: Msi,
    ) -> Self {
        let gpu = Gpu::new(1, &dma, output, surfaces, Some(Box::new(TheVga(vga.clone()))));
        let header = Identity { class: CLASS, ..identity(&gpu.identity()) };
        let mut transport = Transport::new(gpu, dma.clone(), PLACE);
        let mut core = PciCore::new(header, dma, msi);
        core.add_bar(MEMORY_BAR, Bar::memory(BarKind::Memory32, lock(&vga).vram().clone()));
        let mut registers = Bar::registers(BarKind::Memory32, (PLACE.offset + REGISTERS).next_power_of_two());
        registers.doorbells = transport.doorbells();
        core.add_bar(PLACE.bar, registers);
        core.add_msix(MSIX_BAR, transport.vectors());
        transport.install(&mut core);
        if let Some(rom) = rom {
            core.add_rom(rom);
        }
        Self { core, transport, vga }
    }

    /// Connects INTA.
    pub fn connect_intx(&mut self, line: IrqLine) {
        self.core.connect_intx(line);
    }

    /// See [`Transport::connect_kick`].
    pub fn connect_kick(&mut self, kick: Box<dyn Kick>) {
        self.transport.connect_kick(kick);
    }

    /// The VGA inside: its ports, its window, its refresh.
    pub fn vga(&self) -> &Arc<Mutex<Vga>> {
        &self.vga
    }

    /// The person has room for a picture of this size. The guest learns of it by a display event when it has the driver, by
    /// EDID when it looks.
    pub fn set_display_size(&mut self, size: DisplaySize) {
        lock(&self.vga).set_display_size(size);
        self.transport.change(&mut self.core, |gpu, queues| gpu.set_display_size(0, size, queues));
    }

    /// Has a driver taken the output from the VGA?
    pub fn is_driven(&self) -> bool {
        self.transport.device().is_driven()
    }
}

impl PciFunction for VirtioVga {
    fn core(&self) -> &PciCore {
        &self.core
    }

    fn core_mut(&mut self) -> &mut PciCore {
        &mut self.core
    }

    fn bar_read(&mut self, bar: u8, offset: u64, size: Size) -> u64 {
        match offset.checked_sub(PLACE.offset) {
            _ if bar != PLACE.bar => size.ones(),
            None => lock(&self.vga).page_read(offset, size),
            Some(offset) if offset < REGISTERS => self.transport.read(&mut self.core, offset, size),
            Some(_) => size.ones(),
        }
    }

    fn bar_write(&mut self, bar: u8, offset: u64, size: Size, value: u64) {
        match offset.checked_sub(PLACE.offset) {
            _ if bar != PLACE.bar => {}
            None => lock(&self.vga).page_write(offset, size, value),
            Some(offset) if offset < REGISTERS => self.transport.write(&mut self.core, offset, size, value),
            Some(_) => {}
        }
    }

    fn config_read(&mut self, offset: u16, size: Size) -> u32 {
        self.transport.config_read(&mut self.core, offset, size)
    }

    fn config_write(&mut self, offset: u16, size: Size, value: u32) {
        self.transport.config_write(&mut self.core, offset, size, value);
    }
}

impl Doorbells for VirtioVga {
    fn ring(&mut self, index: u16) {
        self.transport.ring(&mut self.core, index);
    }
}

impl Device for VirtioVga {
    fn reset(&mut self) {
        self.transport.reset(&mut self.core);
        self.core.reset();
        lock(&self.vga).reset();
    }
}

impl State for VirtioVga {
    const KIND: &'static str = "virtio-vga";
    type Saved = VirtioVgaState;

    fn save(&self) -> VirtioVgaState {
        let Self { core, transport, vga } = self;
        VirtioVgaState { pci: core.save(), transport: transport.save(), vga: lock(vga).save() }
    }

    fn restore(&mut self, saved: VirtioVgaState) -> Result<(), RestoreError> {
        let VirtioVgaState { pci, transport, vga } = saved;
        if !self.core.restore(pci) {
            return Err(Self::impossible("pci"));
        }
        lock(&self.vga).restore(vga)?;
        // Last, for it says who has the output.
        self.transport.restore(self.core.msix_vectors(), transport)
    }
}

#[cfg(test)]
#[path = "vga_test.rs"]
mod tests;
