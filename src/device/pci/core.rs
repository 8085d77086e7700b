//! What every PCI function is built around: header, BARs, interrupts, bus mastering.

use serde::{Deserialize, Serialize};

use super::config::{COMMAND, INTERRUPT_PIN, STATUS};
use super::{Backing, Bar, BarKind, ConfigSpace, Doorbell, Identity, Msi, MsixTable, MsixTableState, SharedMemory};
use crate::{Dma, IrqLine, Size};
use std::sync::Arc;

const IO_ENABLE: u16 = 1 << 0;
const MEMORY_ENABLE: u16 = 1 << 1;
const BUS_MASTER: u16 = 1 << 2;
const INTERRUPT_DISABLE: u16 = 1 << 10;
const STATUS_INTERRUPT: u8 = 1 << 3;

const BAR0: usize = 0x10;
const ROM: usize = 0x30;
/// The expansion ROM's number among the BARs.
pub(super) const ROM_BAR: u8 = 6;

const MSI_ENABLE: u16 = 1;
const MSIX_ENABLE: u16 = 1 << 15;
const MSIX_MASK_ALL: u16 = 1 << 14;

/// A PCI function. All calls come under its mutex.
pub trait PciFunction: Send {
    /// The PCI part.
    fn core(&self) -> &PciCore;

    /// The PCI part, to change.
    fn core_mut(&mut self) -> &mut PciCore;

    /// A guest's read of a BAR that is backed by registers. MSI-X tables are answered before this.
    fn bar_read(&mut self, bar: u8, offset: u64, size: Size) -> u64;

    /// A guest's write to a BAR that is backed by registers.
    fn bar_write(&mut self, bar: u8, offset: u64, size: Size, value: u64);

    /// A guest's read of config space. Functions with registers of their own in it override this.
    fn config_read(&mut self, offset: u16, size: Size) -> u32 {
        self.core().config_read(offset, size)
    }

    /// A guest's write to config space. The root looks at the BARs after it.
    fn config_write(&mut self, offset: u16, size: Size, value: u32) {
        self.core_mut().config_write(offset, size, value);
    }
}

/// The PCI part of a function.
pub struct PciCore {
    config: ConfigSpace,
    bars: [Option<Bar>; 6],
    rom: Option<Arc<SharedMemory>>,
    dma: Dma,
    intx: IrqLine,
    /// What the device wants INTx to be, whether or not the guest lets it.
    intx_wanted: bool,
    msi: Msi,
    msi_capability: Option<usize>,
    msix: Option<Msix>,
}

struct Msix {
    capability: usize,
    bar: u8,
    /// Where in the BAR the table begins.
    at: u64,
    table: MsixTable,
}

impl Msix {
    /// The offset in the table's own part of the BAR, if `offset` is there.
    fn within(&self, bar: u8, offset: u64) -> Option<u64> {
        let within = offset.checked_sub(self.at).filter(|_| bar == self.bar)?;
        (within < self.table.bar_size()).then_some(within)
    }
}

/// The saved PCI part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PciCoreState {
    config: Vec<u8>,
    intx: bool,
    msix: Option<MsixTableState>,
}

impl PciCore {
    /// A function with `identity`. `dma` opens and closes with the bus-master bit.
    pub fn new(identity: Identity, dma: Dma, msi: Msi) -> Self {
        dma.set_enabled(false);
        let mut config = ConfigSpace::new(identity);
        config.seal();
        Self {
            config,
            bars: [const { None }; 6],
            rom: None,
            dma,
            intx: IrqLine::unconnected(),
            intx_wanted: false,
            msi,
            msi_capability: None,
            msix: None,
        }
    }

    /// Changes config space while the device is built (capabilities, class-specific registers).
    pub fn build(&mut self, change: impl FnOnce(&mut ConfigSpace)) {
        change(&mut self.config);
        self.config.seal();
    }

    /// Config space as the device reads it.
    pub fn config(&self) -> &ConfigSpace {
        &self.config
    }

    /// Config space as the device changes it while running (status bits of its own registers).
    pub fn config_mut(&mut self) -> &mut ConfigSpace {
        &mut self.config
    }

    /// Gives the function a BAR. `index` is 0 to 5, 0 to 4 for 64 bit ones.
    pub fn add_bar(&mut self, index: u8, bar: Bar) {
        debug_assert!(bar.size.is_power_of_two());
        let at = BAR0 + 4 * usize::from(index);
        let mask = !(bar.size - 1);
        let (flags, kind) = (bar.flags(), bar.kind);
        self.build(|config| {
            config.set(at, &flags.to_le_bytes());
            let low = if kind == BarKind::Io { mask as u32 & !3 } else { mask as u32 & !0xf };
            config.allow(at, &low.to_le_bytes());
            if kind == BarKind::Memory64 {
                config.allow(at + 4, &((mask >> 32) as u32).to_le_bytes());
            }
        });
        self.bars[usize::from(index)] = Some(bar);
    }

    /// Gives the function an expansion ROM; its size must be a power of two.
    pub fn add_rom(&mut self, rom: Arc<SharedMemory>) {
        let mask = !(rom.size() as u32 - 1) & !0x7ff | 1;
        self.build(|config| config.allow(ROM, &mask.to_le_bytes()));
        self.rom = Some(rom);
    }

    /// Connects INTA.
    pub fn connect_intx(&mut self, line: IrqLine) {
        self.intx = line;
        self.build(|config| config.set(INTERRUPT_PIN, &[1]));
    }

    /// Adds an MSI capability with one 64 bit message.
    pub fn add_msi(&mut self) {
        let mut at = 0;
        self.build(|config| {
            at = config.add_capability(0x05, &[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            config.allow(at + 2, &[MSI_ENABLE as u8]);
            config.allow(at + 4, &0xffff_fffcu32.to_le_bytes());
            config.allow(at + 8, &[0xff; 6]);
        });
        self.msi_capability = Some(at);
    }

    /// Adds MSI-X with its table at the start of BAR `bar`, which it adds too.
    pub fn add_msix(&mut self, bar: u8, vectors: u16) {
        self.add_bar(bar, Bar::registers(BarKind::Memory32, MsixTable::new(vectors).bar_size()));
        self.add_msix_within(bar, 0, vectors);
    }

    /// Adds MSI-X with its table at `at`, a multiple of 4 KiB, in BAR `bar`, which is there. As far as [`MsixTable::bar_size`] says the
    /// function has no registers there.
    pub fn add_msix_within(&mut self, bar: u8, at: u64, vectors: u16) {
        let table = MsixTable::new(vectors);
        let mut body = Vec::new();
        body.extend((table.vectors() - 1).to_le_bytes());
        body.extend((at as u32 | u32::from(bar)).to_le_bytes());
        body.extend(((at + table.pending_offset()) as u32 | u32::from(bar)).to_le_bytes());
        let mut capability = 0;
        self.build(|config| {
            capability = config.add_capability(0x11, &body);
            config.allow(capability + 2, &(MSIX_ENABLE | MSIX_MASK_ALL).to_le_bytes());
        });
        self.msix = Some(Msix { capability, bar, at, table });
    }

    /// The doorbells of all BARs.
    pub fn doorbells(&self) -> impl Iterator<Item = Doorbell> {
        self.bars.iter().flatten().flat_map(|bar| bar.doorbells.iter().copied())
    }

    /// The handle to guest RAM.
    pub fn dma(&self) -> &Dma {
        &self.dma
    }

    /// How many MSI-X vectors the function has.
    pub fn msix_vectors(&self) -> u16 {
        self.msix.as_ref().map_or(0, |msix| msix.table.vectors())
    }

    /// Has the guest turned MSI-X on?
    pub fn msix_enabled(&self) -> bool {
        self.msix.as_ref().is_some_and(|msix| self.config.word(msix.capability + 2) & MSIX_ENABLE != 0)
    }

    /// Has the guest turned MSI on?
    pub fn msi_enabled(&self) -> bool {
        self.msi_capability.is_some_and(|at| self.config.word(at + 2) & MSI_ENABLE != 0)
    }

    /// Sends MSI-X vector `vector`, now or when it is unmasked. Nothing happens while MSI-X is off.
    pub fn send_msix(&mut self, vector: u16) {
        if !self.msix_enabled() {
            return;
        }
        let Some(msix) = &mut self.msix else { return };
        let masked = self.config.word(msix.capability + 2) & MSIX_MASK_ALL != 0;
        if let Some((address, data)) = msix.table.take(vector, masked) {
            self.msi.send(address, data);
        }
    }

    /// Drives the function's level interrupt. With MSI on, a rise sends the message instead; without, INTx follows, unless the
    /// guest disabled it.
    pub fn set_interrupt(&mut self, high: bool) {
        let rises = high && !self.intx_wanted;
        self.intx_wanted = high;
        let status = self.config.byte(STATUS) & !STATUS_INTERRUPT;
        self.config.set(STATUS, &[if high { status | STATUS_INTERRUPT } else { status }]);
        if rises {
            self.send_msi();
        }
        self.drive_intx();
    }

    /// Sends the MSI message if MSI is on; for devices whose level stays high over several events.
    pub fn send_msi(&mut self) {
        let Some(at) = self.msi_capability.filter(|_| self.msi_enabled()) else { return };
        let address = u64::from(self.config.dword(at + 4)) | u64::from(self.config.dword(at + 8)) << 32;
        self.msi.send(address, self.config.word(at + 12).into());
    }

    fn drive_intx(&self) {
        let off = self.command() & INTERRUPT_DISABLE != 0 || self.msi_enabled() || self.msix_enabled();
        self.intx.set(self.intx_wanted && !off);
    }

    /// A guest's read of config space.
    pub fn config_read(&self, offset: u16, size: Size) -> u32 {
        self.config.read(offset, size)
    }

    /// A guest's write to config space.
    pub fn config_write(&mut self, offset: u16, size: Size, value: u32) {
        self.config.write(offset, size, value);
        self.derive();
        if self.msix_enabled() {
            let pending = self.msix.as_ref().map(|msix| msix.table.pending()).unwrap_or_default();
            for vector in pending {
                self.send_msix(vector);
            }
        }
    }

    /// What follows from config space.
    fn derive(&mut self) {
        self.dma.set_enabled(self.command() & BUS_MASTER != 0);
        self.drive_intx();
    }

    fn command(&self) -> u16 {
        self.config.word(COMMAND)
    }

    /// The MSI-X table's answer, when `bar` is the one it is in.
    pub(super) fn msix_read(&self, bar: u8, offset: u64, size: Size) -> Option<u64> {
        let msix = self.msix.as_ref()?;
        Some(msix.table.read(msix.within(bar, offset)?, size))
    }

    /// Writes the MSI-X table, when `bar` is the one it is in.
    pub(super) fn msix_write(&mut self, bar: u8, offset: u64, size: Size, value: u64) -> bool {
        let Some(msix) = self.msix.as_mut() else { return false };
        let Some(within) = msix.within(bar, offset) else { return false };
        if let Some(vector) = msix.table.write(within, size, value) {
            self.send_msix(vector);
        }
        true
    }

    /// Where BAR `index` stands now: `None` while decoding is off, it is being sized, or there is no such BAR.
    pub(super) fn placed(&self, index: u8) -> Option<u64> {
        if index == ROM_BAR {
            let register = self.config.dword(ROM);
            let rom = self.rom.as_ref()?;
            let at = u64::from(register & !0x7ff);
            let on = register & 1 != 0 && self.command() & MEMORY_ENABLE != 0;
            return (on && at != 0 && at.checked_add(rom.size())? <= 1 << 32).then_some(at);
        }
        let bar = self.bar(index)?;
        let register = BAR0 + 4 * usize::from(index);
        let low = u64::from(self.config.dword(register));
        let (at, limit, enable) = match bar.kind {
            BarKind::Io => (low & !3, 0x1_0000, IO_ENABLE),
            BarKind::Memory32 => (low & !0xf, 1 << 32, MEMORY_ENABLE),
            BarKind::Memory64 => {
                let high = u64::from(self.config.dword(register + 4));
                (low & !0xf | high << 32, 1 << 52, MEMORY_ENABLE)
            }
        };
        // The top of the space is what a BAR reads while it is sized.
        let sized = at == (limit - 1) & !(bar.size - 1);
        (self.command() & enable != 0 && at != 0 && !sized && at.checked_add(bar.size)? <= limit).then_some(at)
    }

    pub(super) fn bar(&self, index: u8) -> Option<&Bar> {
        self.bars.get(usize::from(index))?.as_ref()
    }

    pub(super) fn rom(&self) -> Option<Bar> {
        let rom = self.rom.as_ref()?;
        Some(Bar {
            prefetchable: false,
            backing: Backing::Memory(Arc::clone(rom)),
            ..Bar::registers(BarKind::Memory32, rom.size())
        })
    }

    /// Power-on state: BARs unassigned, interrupts off.
    pub fn reset(&mut self) {
        self.config.reset();
        self.intx_wanted = false;
        if let Some(msix) = &mut self.msix {
            msix.table.reset();
        }
        self.derive();
    }

    /// Takes the state out, for the function's own saved state.
    pub fn save(&self) -> PciCoreState {
        let Self { config, bars: _, rom: _, dma: _, intx: _, intx_wanted, msi: _, msi_capability: _, msix } = self;
        PciCoreState { config: config.save(), intx: *intx_wanted, msix: msix.as_ref().map(|msix| msix.table.save()) }
    }

    /// Puts a state in; false when it is not this function's. The root then places the BARs.
    pub fn restore(&mut self, saved: PciCoreState) -> bool {
        let PciCoreState { config, intx, msix } = saved;
        let taken = match (&mut self.msix, msix) {
            (Some(own), Some(saved)) => own.table.restore(saved),
            (None, None) => true,
            _ => false,
        };
        if !taken || !self.config.restore(&config) {
            return false;
        }
        self.intx_wanted = intx;
        self.config
            .set(STATUS, &[self.config.byte(STATUS) & !STATUS_INTERRUPT | if intx { STATUS_INTERRUPT } else { 0 }]);
        self.derive();
        true
    }
}
