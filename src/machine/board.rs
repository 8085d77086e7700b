//! The board `q35-1`: which devices there are, where they stand and how they are wired.
//!
//! Guests find the same hardware for ever: what is in this file never changes for a released board version. Bus 0:
//!
//! | place | what |
//! |---|---|
//! | 00.0 | MCH |
//! | 01.0 | virtio-vga |
//! | 02.0–05.0 | network cards: virtio-net or e1000 |
//! | 06.0 | virtio-rng |
//! | 07.0, 08.0 | virtio keyboard, tablet |
//! | 10.0–18.0 | virtio-blk, around the next one |
//! | 14.0 | xHCI |
//! | 1b.0 | sound card: HDA or virtio-sound |
//! | 1f.0, 1f.2 | ICH9: LPC, AHCI |
//!
//! INTA of slot n below 25 is PIRQ E + n mod 4, that of the ICH9's functions PIRQ A; PIRQ A to H are I/O APIC pins 16 to 23.

use std::sync::{Arc, Mutex, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use chipset::*;
use device::pci::{Devfn, PciFunction, PciRoot, SharedMemory};
use device::{Clock, Device, Dma, Doorbells, IrqLine, MmioBus, Msi, PortBus, Ram, Timed, Timer, TimerQueue, VmTime};
use display::{DispiPorts, LegacyWindow, Output, Vga, VgaPorts};
use virtio::{VirtioDevice, VirtioPci, VirtioVga};

use crate::doorbells::{BellBoard, Bells};
use crate::hypervisor::Hypervisor;
use crate::memory::{AtomicEcam, MemoryFactory, Placement, RamLayout, ShadowWrites};
use crate::serial::SerialRecord;
use crate::{BuildError, host};

/// First port of PCI configuration space.
const CONFIG_PORTS: u64 = 0xcf8;
/// Most bytes of a video BIOS.
const VIDEO_ROM: usize = 128 << 10;
/// Where the HPET is.
const HPET: u64 = 0xfed0_0000;

/// The two address spaces, as vCPUs see them.
pub(crate) struct Buses {
    pub(crate) ports: Arc<PortBus>,
    pub(crate) mmio: Arc<MmioBus>,
}

impl kvm::GuestAccess for Buses {
    fn port_read(&self, port: u16, size: device::Size) -> u32 {
        self.ports.read(port, size)
    }

    fn port_write(&self, port: u16, size: device::Size, value: u32) {
        self.ports.write(port, size, value);
    }

    fn memory_read(&self, address: u64, size: device::Size) -> u64 {
        self.mmio.read(address, size)
    }

    fn memory_write(&self, address: u64, size: device::Size, value: u64) {
        self.mmio.write(address, size, value);
    }
}

/// What devices are made with, and the list of those that are.
pub(crate) struct Board {
    pub(crate) hypervisor: Arc<dyn Hypervisor>,
    pub(crate) memory: Arc<MemoryFactory>,
    pub(crate) ram: Ram,
    pub(crate) layout: RamLayout,
    pub(crate) buses: Arc<Buses>,
    pub(crate) root: Arc<Mutex<PciRoot>>,
    pub(crate) clock: Clock,
    pub(crate) timers: TimerQueue,
    pub(crate) msi: Msi,
    /// Reset in this order.
    pub(crate) devices: Vec<Arc<Mutex<dyn Device>>>,
    pub(crate) bells: BellBoard,
    isa: [IrqLine; 16],
    pub(crate) ecam: Arc<AtomicEcam>,
}

/// Devices that the machine talks to by name.
pub(crate) struct Chips {
    pub(crate) pm: Arc<Mutex<Pm>>,
    pub(crate) lpc: Arc<Mutex<Lpc>>,
    pub(crate) fw_cfg: Arc<Mutex<FwCfg>>,
}

/// What has had its ports since the first PCs.
pub(crate) struct LegacyPorts {
    pub(crate) keyboard: Arc<Mutex<I8042>>,
    pub(crate) uart: Arc<Mutex<Uart>>,
}

impl Board {
    /// An empty board on `hypervisor`.
    pub(crate) fn new(hypervisor: Arc<dyn Hypervisor>, ram: Ram, layout: RamLayout) -> Self {
        let buses = Arc::new(Buses { ports: Arc::default(), mmio: Arc::default() });
        let root = PciRoot::new(Arc::clone(&buses.ports), Arc::clone(&buses.mmio), hypervisor.clone());
        let clock = Clock::stopped(VmTime(0));
        Self {
            isa: std::array::from_fn(|gsi| hypervisor.line(gsi as u32)),
            msi: hypervisor.msi(),
            memory: Arc::new(MemoryFactory::new()),
            ram,
            layout,
            buses,
            root: Arc::new(Mutex::new(root)),
            timers: TimerQueue::new(clock.clone()),
            clock,
            hypervisor,
            devices: Vec::new(),
            bells: BellBoard::default(),
            ecam: Arc::default(),
        }
    }

    /// A handle to RAM for a PCI function: closed until the guest enables bus mastering.
    pub(crate) fn dma(&self) -> Dma {
        Dma::new(self.ram.clone(), false)
    }

    /// ISA interrupt line `number`.
    pub(crate) fn isa_line(&self, number: usize) -> IrqLine {
        self.isa[number].share()
    }

    /// Remembers a device, for reset and saved state.
    pub(crate) fn keep<D: Device + 'static>(&mut self, device: D) -> Arc<Mutex<D>> {
        let device = Arc::new(Mutex::new(device));
        self.devices.push(device.clone());
        device
    }

    /// Makes and remembers a device with timers: `build` gets a maker of timers, which report to the device by the number given.
    pub(crate) fn keep_timed<D: Device + Timed + 'static>(
        &mut self,
        build: impl FnOnce(&dyn Fn(u32) -> Timer) -> D,
    ) -> Arc<Mutex<D>> {
        let timers = &self.timers;
        let device = Arc::new_cyclic(|weak: &Weak<Mutex<D>>| {
            Mutex::new(build(&|which| {
                let timer = timers.timer(which);
                timer.connect(weak.clone());
                timer
            }))
        });
        self.devices.push(device.clone());
        device
    }

    /// Puts a function on bus 0.
    pub(crate) fn plug(&self, devfn: Devfn, function: Arc<Mutex<dyn PciFunction>>) {
        lock(&self.root).plug(devfn, function);
    }

    /// Connects the doorbells of a function to the I/O thread. Gives what rings them from this side.
    pub(crate) fn add_doorbells<D>(&mut self, devfn: Devfn, function: &Arc<Mutex<D>>) -> Result<Box<Bells>, BuildError>
    where
        D: PciFunction + Doorbells + 'static,
    {
        let bells: Vec<_> = lock(function).core().doorbells().collect();
        let mut events = Vec::new();
        for bell in bells {
            let event = self.hypervisor.add_doorbell(devfn, bell.index).map_err(host("doorbells"))?;
            events.push((bell.index, event.try_clone().map_err(host("doorbells"))?));
            let device: Arc<Mutex<dyn Doorbells>> = function.clone();
            self.bells.add(event, Arc::downgrade(&device), bell.index);
        }
        Ok(Box::new(Bells(events)))
    }

    /// The line for INTA of a slot.
    pub(crate) fn inta(lpc: &Mutex<Lpc>, slot: u8) -> IrqLine {
        let pirq = if slot < 25 { 4 + slot % 4 } else { 0 };
        lock(lpc).pirq(pirq.into())
    }

    /// Puts the chips of the mainboard on it. `bios` shows below 1 MiB; `power` hears of resets and power-off.
    pub(crate) fn add_chips<P>(
        &mut self,
        bios: Option<Arc<SharedMemory>>,
        clock_offset: i64,
        debugcon: Box<dyn ByteSink>,
        power: P,
    ) -> Result<Chips, BuildError>
    where
        P: Fn(PowerRequest) + Clone + Send + Sync + 'static,
    {
        let ports = Arc::clone(&self.buses.ports);
        let mmio = Arc::clone(&self.buses.mmio);

        let root = Arc::clone(&self.root);
        self.devices.push(root.clone());
        ports.claim_from(CONFIG_PORTS, 0xcf8..0xcf9, root.clone())?;
        ports.claim_from(CONFIG_PORTS, 0xcfc..0xd00, root)?;
        let reset = self.keep(ResetControl::new(Box::new(power.clone())));
        ports.claim(0xcf9..0xcfa, reset)?;
        let system = self.keep(SystemControl::new(Box::new(power.clone())));
        ports.claim(0x92..0x93, system)?;

        let shadow = Arc::new(Mutex::new(ShadowWrites::new(Dma::new(self.ram.clone(), true))));
        mmio.claim(ShadowWrites::RANGE, shadow.clone())?;
        let placement = Placement {
            hypervisor: Arc::clone(&self.hypervisor),
            ram: self.ram.clone(),
            mmio: Arc::clone(&mmio),
            bios,
            root: Arc::clone(&self.root),
            shadow,
            ecam: Arc::clone(&self.ecam),
        };
        let mch = self.keep(Mch::new(self.dma(), self.msi.clone(), Box::new(placement)));
        self.plug(Devfn::new(0, 0), mch);

        let (clock, sci) = (self.clock.clone(), self.isa_line(9));
        let pm = self.keep_timed(|timer| Pm::new(clock, timer(0), timer(1), sci, Box::new(power)));
        let rcba = self.keep(RootComplexRegisters::default());
        let decoder = Decoder { ports: Arc::clone(&ports), mmio, pm: Arc::clone(&pm), rcba, at: (None, None) };
        let apic = std::array::from_fn(|pirq| self.hypervisor.line(16 + pirq as u32));
        let lpc = Lpc::new(self.dma(), self.msi.clone(), Box::new(decoder), &self.isa, apic);
        let lpc = self.keep(lpc);
        self.plug(Devfn::new(0x1f, 0), lpc.clone());

        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
        let seconds = now.saturating_add(clock_offset);
        let (irq, gate) = Gate::new(self.isa_line(8));
        self.add_hpet(gate)?;
        let clock = self.clock.clone();
        let rtc = self.keep_timed(|timer| Rtc::new(seconds, clock, irq, timer(0)));
        self.describe_memory(&rtc);
        ports.claim(0x70..0x72, rtc)?;

        let fw_cfg = self.keep(FwCfg::new(Dma::new(self.ram.clone(), true)));
        let first = u64::from(FW_CFG_PORT);
        ports.claim(first..first + u64::from(FW_CFG_PORTS), fw_cfg.clone())?;
        let debugcon = self.keep(Debugcon::new(debugcon));
        ports.claim(0x402..0x403, debugcon)?;
        let post = self.keep(PostCode::default());
        ports.claim(0x80..0x81, post)?;
        Ok(Chips { pm, lpc, fw_cfg })
    }

    /// Keyboard controller and first serial port.
    pub(crate) fn add_legacy_ports<P>(&mut self, serial: SerialRecord, power: P) -> Result<LegacyPorts, BuildError>
    where
        P: Fn(PowerRequest) + Send + Sync + 'static,
    {
        let (clock, keyboard_irq, mouse_irq) = (self.clock.clone(), self.isa_line(1), self.isa_line(12));
        let keyboard = self.keep_timed(|timer| I8042::new(keyboard_irq, mouse_irq, clock, timer(0), Box::new(power)));
        let ports = Arc::clone(&self.buses.ports);
        ports.claim(0x60..0x61, keyboard.clone())?;
        ports.claim_from(0x60, 0x64..0x65, keyboard.clone())?;
        let uart = self.keep(Uart::new(self.isa_line(4), Box::new(serial)));
        ports.claim(0x3f8..0x400, uart.clone())?;
        Ok(LegacyPorts { keyboard, uart })
    }

    /// The graphics adapter with `memory` bytes of its own, a power of two, with its legacy ports and window.
    pub(crate) fn add_vga(
        &mut self,
        screen: Arc<dyn Output>,
        memory: u64,
        rom: Option<Vec<u8>>,
        lpc: &Mutex<Lpc>,
    ) -> Result<Arc<Mutex<VirtioVga>>, BuildError> {
        let vram = self.memory.zeroed("dormer-vram", memory).map_err(host("video memory"))?;
        let vga = Vga::new(vram, self.clock.clone(), Arc::clone(&screen), self.memory.clone());
        let vga = Arc::new(Mutex::new(vga));
        let (ports, mmio) = (&self.buses.ports, &self.buses.mmio);
        ports.claim(0x3b0..0x3e0, Arc::new(Mutex::new(VgaPorts(Arc::clone(&vga)))))?;
        ports.claim(0x1ce..0x1d1, Arc::new(Mutex::new(DispiPorts(Arc::clone(&vga)))))?;
        mmio.claim(0xa_0000..0xc_0000, Arc::new(Mutex::new(LegacyWindow(Arc::clone(&vga)))))?;
        let rom = self.option_rom("dormer-video-rom", rom, VIDEO_ROM)?;
        let devfn = Devfn::new(1, 0);
        let surfaces = self.memory.clone();
        let function = self.keep(VirtioVga::new(vga, screen, surfaces, rom, self.dma(), self.msi.clone()));
        let bells = self.add_doorbells(devfn, &function)?;
        {
            let mut function = lock(&function);
            function.connect_kick(bells);
            function.connect_intx(Self::inta(lpc, devfn.device()));
        }
        self.plug(devfn, function.clone());
        Ok(function)
    }

    /// A function's own firmware of at most `most` bytes, for its expansion ROM (PCI 3.0 §6.3).
    pub(crate) fn option_rom(
        &self,
        name: &str,
        rom: Option<Vec<u8>>,
        most: usize,
    ) -> Result<Option<Arc<SharedMemory>>, BuildError> {
        let Some(rom) = rom else { return Ok(None) };
        if rom.len() > most {
            return Err(BuildError::Firmware(rom.len()));
        }
        let size = rom.len().next_power_of_two().max(4096) as u64;
        self.memory.rom(name, &rom, size).map(Some).map_err(host("memory for firmware"))
    }

    /// A function that is one virtio device.
    pub(crate) fn add_virtio<D>(
        &mut self,
        devfn: Devfn,
        device: D,
        lpc: &Mutex<Lpc>,
    ) -> Result<Arc<Mutex<VirtioPci<D>>>, BuildError>
    where
        D: VirtioDevice + 'static,
        VirtioPci<D>: Device,
    {
        let function = self.keep(VirtioPci::new(device, self.dma(), self.msi.clone()));
        let bells = self.add_doorbells(devfn, &function)?;
        {
            let mut function = lock(&function);
            function.connect_kick(bells);
            function.connect_intx(Self::inta(lpc, devfn.device()));
        }
        self.plug(devfn, function.clone());
        Ok(function)
    }

    /// The HPET. While it stands in for PIT and RTC their interrupts are held back.
    fn add_hpet(&mut self, rtc_gate: Gate) -> Result<(), BuildError> {
        let (clock, hypervisor) = (self.clock.clone(), Arc::clone(&self.hypervisor));
        // Input 2 of the I/O APIC is ISA line 0.
        let lines: [IrqLine; 24] = std::array::from_fn(|input| match input {
            2 => self.isa_line(0),
            0..16 => self.isa_line(input),
            _ => self.hypervisor.line(input as u32),
        });
        let replace = move |on: bool| {
            rtc_gate.set_open(!on);
            if let Err(error) = hypervisor.set_pit_muted(on) {
                tracing::error!("{error}");
            }
        };
        let hpet = self.keep_timed(|timer| Hpet::new(clock, [timer(0), timer(1), timer(2)], &lines, Box::new(replace)));
        self.buses.mmio.claim(HPET..HPET + HPET_SIZE, hpet)?;
        Ok(())
    }

    /// What firmware learns of memory and boot order from CMOS, where PCs have kept it.
    fn describe_memory(&self, rtc: &Mutex<Rtc>) {
        let mut rtc = lock(rtc);
        let mut word = |at: u8, value: u64| {
            let value = value.min(0xffff) as u16;
            rtc.set_cmos(at, value as u8);
            rtc.set_cmos(at + 1, (value >> 8) as u8);
        };
        word(0x15, 640);
        let extended_kib = (self.layout.low - (1 << 20)) >> 10;
        word(0x17, extended_kib);
        word(0x30, extended_kib);
        word(0x34, self.layout.low.saturating_sub(16 << 20) >> 16);
        word(0x5b, self.layout.high >> 16);
        rtc.set_cmos(0x5d, (self.layout.high >> 32) as u8);
        // Floating point and a mouse; no floppy.
        rtc.set_cmos(0x14, 0x06);
        // Disk, then CD; the order among them is in fw_cfg.
        rtc.set_cmos(0x3d, 0x32);
    }
}

/// Moves the blocks that the LPC bridge decodes.
struct Decoder {
    ports: Arc<PortBus>,
    mmio: Arc<MmioBus>,
    pm: Arc<Mutex<Pm>>,
    rcba: Arc<Mutex<RootComplexRegisters>>,
    at: (Option<u64>, Option<u64>),
}

impl LpcDecoder for Decoder {
    fn place_pm(&mut self, at: Option<u16>) {
        let range = |at: u64| at..at + u64::from(PM_PORTS);
        if let Some(old) = self.at.0.take() {
            self.ports.release(&range(old));
        }
        if let Some(at) = at.map(u64::from) {
            match self.ports.claim(range(at), self.pm.clone()) {
                Ok(()) => self.at.0 = Some(at),
                Err(overlap) => tracing::debug!("PM block: {overlap}"),
            }
        }
    }

    fn place_rcba(&mut self, at: Option<u64>) {
        let range = |at: u64| at..at + RCBA_SIZE;
        if let Some(old) = self.at.1.take() {
            self.mmio.release(&range(old));
        }
        if let Some(at) = at {
            match self.mmio.claim(range(at), self.rcba.clone()) {
                Ok(()) => self.at.1 = Some(at),
                Err(overlap) => tracing::debug!("root complex registers: {overlap}"),
            }
        }
    }
}

pub(crate) fn lock<D: ?Sized>(device: &Mutex<D>) -> std::sync::MutexGuard<'_, D> {
    device.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
#[path = "board_test.rs"]
mod tests;
