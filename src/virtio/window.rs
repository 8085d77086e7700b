//! A transport's PCI capabilities (VIRTIO 1.2 §4.1.4), and the window through config space among them (§4.1.4.9).

use device::Size;
use device::pci::PciCore;

use crate::registers;
use crate::transport::{COMMON, DEVICE, ISR, NOTIFY, NOTIFY_MULTIPLIER, REGISTERS, Transport};
use crate::virtio_device::VirtioDevice;

const VENDOR_SPECIFIC: u8 = 9;

const CFG_COMMON: u8 = 1;
const CFG_NOTIFY: u8 = 2;
const CFG_ISR: u8 = 3;
const CFG_DEVICE: u8 = 4;
const CFG_PCI: u8 = 5;

// Offsets in the capability.
const BAR: usize = 4;
const OFFSET: usize = 8;
const LENGTH: usize = 12;
const DATA: usize = 16;

impl<D: VirtioDevice> Transport<D> {
    /// Adds the capabilities to the function's config space. Called once, while the function is built.
    pub fn install(&mut self, core: &mut PciCore) {
        let bells = self.vectors() as u32 - 1;
        let config_length = (self.identity.config_length as u32).max(4);
        let mut window = 0;
        core.build(|config| {
            let mut add = |kind, offset: u64, length: u32, more: Option<u32>| {
                let bar = self.place.bar;
                let whole = 16 + if more.is_some() { 4 } else { 0 };
                let mut body = vec![whole, kind, bar, 0, 0, 0];
                // A BAR of this function, so below 4 GiB.
                body.extend(((self.place.offset + offset) as u32).to_le_bytes());
                body.extend(length.to_le_bytes());
                body.extend(more.iter().flat_map(|more| more.to_le_bytes()));
                config.add_capability(VENDOR_SPECIFIC, &body)
            };
            add(CFG_COMMON, COMMON, registers::LENGTH, None);
            add(CFG_NOTIFY, NOTIFY, bells * NOTIFY_MULTIPLIER, Some(NOTIFY_MULTIPLIER));
            add(CFG_ISR, ISR, 1, None);
            add(CFG_DEVICE, DEVICE, config_length, None);
            window = add(CFG_PCI, 0, 0, Some(0));
            config.set(window + BAR, &[0]);
            config.set(window + OFFSET, &[0; 4]);
            config.allow(window + BAR, &[0xff]);
            config.allow(window + OFFSET, &[0xff; 8]);
        });
        self.window = window;
    }

    /// A guest's read of the function's config space.
    pub fn config_read(&mut self, core: &mut PciCore, offset: u16, size: Size) -> u32 {
        let Some(shift) = self.in_window(offset) else { return core.config_read(offset, size) };
        match self.aimed_at(core) {
            Some((at, width)) => (self.read(core, at, width) as u32).checked_shr(shift).unwrap_or(0),
            None => 0,
        }
    }

    /// A guest's write to the function's config space.
    pub fn config_write(&mut self, core: &mut PciCore, offset: u16, size: Size, value: u32) {
        if self.in_window(offset).is_some() {
            if let Some((at, width)) = self.aimed_at(core) {
                self.write(core, at, width, width.cut(value.into()));
            }
            return;
        }
        let was_master = core.dma().is_enabled();
        core.config_write(offset, size, value);
        if !was_master && core.dma().is_enabled() {
            // What was rung for meanwhile was not heard.
            self.ring_all(core);
        }
    }

    /// Bits from the start of the window's data, when `offset` is in it.
    fn in_window(&self, offset: u16) -> Option<u32> {
        let at = usize::from(offset).checked_sub(self.window + DATA)?;
        (at < 4 && self.window != 0).then_some(8 * at as u32)
    }

    /// The register that the window shows, and the width to access it by. Other parts of the function are not shown.
    fn aimed_at(&self, core: &PciCore) -> Option<(u64, Size)> {
        let config = core.config();
        let width = match config.dword(self.window + LENGTH) {
            1 => Size::Byte,
            2 => Size::Word,
            4 => Size::Dword,
            _ => return None,
        };
        let offset = u64::from(config.dword(self.window + OFFSET)).checked_sub(self.place.offset)?;
        let aims = config.byte(self.window + BAR) == self.place.bar && offset < REGISTERS;
        (aims && offset.is_multiple_of(width.bytes())).then_some((offset, width))
    }
}
