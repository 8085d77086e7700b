//! The ICH9's LPC bridge, 00:1f.0: where PCI interrupts go, and where the PM block and the root complex registers stand.
//!
//! Follows the ICH9 datasheet (316972), §13.1 (config space) and §5.9/§10.1 (PIRQ routing, RCBA). Every PIRQ reaches its I/O APIC pin
//! (A to H are 16 to 23) and, while its route register says so, an ISA line as well.

use std::sync::{Arc, Mutex, PoisonError};

use device::pci::{Identity, PciCore, PciCoreState, PciFunction};
use device::{Device, Dma, IrqLine, LineSink, Mmio, Msi, RestoreError, Size, State};
use serde::{Deserialize, Serialize};

const PMBASE: usize = 0x40;
const ACPI_CONTROL: usize = 0x44;
const ACPI_ENABLE: u8 = 1 << 7;
const PIRQ_A: usize = 0x60;
const PIRQ_E: usize = 0x68;
const RCBA: usize = 0xf0;

/// Route register: not routed to an ISA line.
const ROUTE_OFF: u8 = 1 << 7;

/// Bytes of the root complex register block.
pub const RCBA_SIZE: u64 = 0x4000;
/// PIRQs, A to H.
pub const PIRQS: usize = 8;

/// ISA lines that a PIRQ may be routed to.
fn routable(isa: u8) -> bool {
    !matches!(isa, 0 | 1 | 2 | 8 | 13) && isa < 16
}

/// What the bridge moves. Called under its mutex, from the vCPU that wrote the register.
pub trait LpcDecoder: Send {
    /// The PM block is at this port, or nowhere.
    fn place_pm(&mut self, at: Option<u16>);
    /// The root complex registers are at this address, or nowhere.
    fn place_rcba(&mut self, at: Option<u64>);
}

/// One PIRQ's two ways.
struct Pirq {
    /// Locked until both ways are driven: a device may change the level while the guest changes the route.
    input: Mutex<PirqInput>,
    apic: IrqLine,
    /// Ends of the ISA lines, by number; `None` where it may not go.
    isa: Vec<Option<IrqLine>>,
}

struct PirqInput {
    level: bool,
    /// Its route register.
    route: u8,
}

impl Pirq {
    fn change(&self, change: impl FnOnce(&mut PirqInput)) {
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut input);
        let PirqInput { level, route } = *input;
        self.apic.set(level);
        for (number, line) in self.isa.iter().enumerate() {
            if let Some(line) = line {
                line.set(level && route & ROUTE_OFF == 0 && usize::from(route & 0xf) == number);
            }
        }
    }
}

struct PirqPin(Arc<Pirq>);
impl LineSink for PirqPin {
    fn set_level(&self, high: bool) {
        self.0.change(|input| input.level = high);
    }
}

/// The bridge.
pub struct Lpc {
    core: PciCore,
    decoder: Box<dyn LpcDecoder>,
    pirqs: [Arc<Pirq>; PIRQS],
    /// What leads into each; every device has an end of its own.
    inputs: [IrqLine; PIRQS],
    pm: Option<u16>,
    rcba: Option<u64>,
}

/// Its saved state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LpcState {
    core: PciCoreState,
}

impl Lpc {
    /// The bridge. `isa` are the 16 ISA lines, `apic` the I/O APIC's pins 16 to 23.
    pub fn new(dma: Dma, msi: Msi, decoder: Box<dyn LpcDecoder>, isa: &[IrqLine; 16], apic: [IrqLine; PIRQS]) -> Self {
        let identity = Identity {
            vendor: 0x8086,
            device: 0x2918,
            revision: 2,
            class: 0x060100,
            subsystem_vendor: 0x1af4,
            subsystem: 0x1100,
        };
        let mut core = PciCore::new(identity, dma, msi);
        core.build(|config| {
            // Multi-function: SATA and SMBus share the slot.
            config.set(0x0e, &[0x80]);
            config.set(PMBASE, &[1]);
            config.allow(PMBASE, &[0x80, 0xff]);
            config.allow(ACPI_CONTROL, &[0x87]);
            for pirq in [PIRQ_A, PIRQ_E] {
                config.set(pirq, &[ROUTE_OFF; 4]);
                config.allow(pirq, &[0x8f; 4]);
            }
            config.allow(RCBA, &[0x01, 0xc0, 0xff, 0xff]);
            // GEN_PMCON and LPC decode registers hold what firmware writes.
            config.allow(0x80, &[0xff; 0x14]);
            config.allow(0xa0, &[0xff; 0x0c]);
        });
        let pirqs = apic.map(|apic| {
            let isa = (0..16u8).map(|number| routable(number).then(|| isa[usize::from(number)].share())).collect();
            Arc::new(Pirq { input: Mutex::new(PirqInput { level: false, route: ROUTE_OFF }), apic, isa })
        });
        let inputs = pirqs.each_ref().map(|pirq| IrqLine::new(Box::new(PirqPin(Arc::clone(pirq)))));
        Self { core, decoder, pirqs, inputs, pm: None, rcba: None }
    }

    /// An end of the line into PIRQ `number` (0 is A), for one device.
    pub fn pirq(&self, number: usize) -> IrqLine {
        self.inputs[number % PIRQS].share()
    }

    fn derive(&mut self) {
        let config = self.core.config();
        for (number, pirq) in self.pirqs.iter().enumerate() {
            let register = if number < 4 { PIRQ_A + number } else { PIRQ_E + number - 4 };
            pirq.change(|input| input.route = config.byte(register));
        }
        let pm =
            (config.byte(ACPI_CONTROL) & ACPI_ENABLE != 0).then(|| config.word(PMBASE) & 0xff80).filter(|at| *at != 0);
        let rcba = config.dword(RCBA);
        let rcba = (rcba & 1 != 0).then_some(u64::from(rcba & 0xffff_c000)).filter(|at| *at != 0);
        if pm != self.pm {
            self.pm = pm;
            self.decoder.place_pm(pm);
        }
        if rcba != self.rcba {
            self.rcba = rcba;
            self.decoder.place_rcba(rcba);
        }
    }
}

impl PciFunction for Lpc {
    fn core(&self) -> &PciCore {
        &self.core
    }

    fn core_mut(&mut self) -> &mut PciCore {
        &mut self.core
    }

    fn bar_read(&mut self, _: u8, _: u64, size: Size) -> u64 {
        size.ones()
    }

    fn bar_write(&mut self, _: u8, _: u64, _: Size, _: u64) {}

    fn config_write(&mut self, offset: u16, size: Size, value: u32) {
        self.core.config_write(offset, size, value);
        self.derive();
    }
}

impl Device for Lpc {
    fn reset(&mut self) {
        self.core.reset();
        self.derive();
    }
}

impl State for Lpc {
    const KIND: &'static str = "ich9-lpc";
    type Saved = LpcState;

    fn save(&self) -> LpcState {
        let Self { core, decoder: _, pirqs: _, inputs: _, pm: _, rcba: _ } = self;
        LpcState { core: core.save() }
    }

    fn restore(&mut self, saved: LpcState) -> Result<(), RestoreError> {
        let LpcState { core } = saved;
        if !self.core.restore(core) {
            return Err(Self::impossible("config space"));
        }
        self.derive();
        Ok(())
    }
}

/// The root complex register block (§10.1). Firmware and drivers find the registers' storage; the interrupt pins' routes (D25IR to
/// D31IR) are fixed on this board.
pub struct RootComplexRegisters {
    bytes: Box<[u8; RCBA_SIZE as usize]>,
}

/// Its saved state: the bytes that are not zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RootComplexRegistersState {
    bytes: Vec<(u16, u8)>,
}

/// D31IR to D25IR, 16 bits every 0x04 downwards; pins A to D on PIRQ A to D.
const PIN_ROUTES: [usize; 7] = [0x3140, 0x3142, 0x3144, 0x3146, 0x3148, 0x314c, 0x3150];

impl Default for RootComplexRegisters {
    fn default() -> Self {
        let mut device = Self { bytes: Box::new([0; RCBA_SIZE as usize]) };
        device.reset();
        device
    }
}

impl Mmio for RootComplexRegisters {
    fn read(&mut self, offset: u64, size: Size) -> u64 {
        (0..size.bytes()).rev().fold(0, |value, i| {
            let byte = self.bytes.get((offset + i) as usize).copied().unwrap_or(0);
            value << 8 | u64::from(byte)
        })
    }

    fn write(&mut self, offset: u64, size: Size, value: u64) {
        for i in 0..size.bytes() {
            if let Some(byte) = self.bytes.get_mut((offset + i) as usize) {
                *byte = (value >> (8 * i)) as u8;
            }
        }
    }
}

impl Device for RootComplexRegisters {
    fn reset(&mut self) {
        self.bytes.fill(0);
        for at in PIN_ROUTES {
            self.bytes[at..at + 2].copy_from_slice(&0x3210u16.to_le_bytes());
        }
    }
}

impl State for RootComplexRegisters {
    const KIND: &'static str = "root-complex-registers";
    type Saved = RootComplexRegistersState;

    fn save(&self) -> RootComplexRegistersState {
        let Self { bytes } = self;
        let bytes = (0u16..).zip(bytes.iter().copied()).filter(|(_, byte)| *byte != 0).collect();
        RootComplexRegistersState { bytes }
    }

    fn restore(&mut self, saved: RootComplexRegistersState) -> Result<(), RestoreError> {
        let RootComplexRegistersState { bytes } = saved;
        self.bytes.fill(0);
        for (at, byte) in bytes {
            *self.bytes.get_mut(usize::from(at)).ok_or_else(|| Self::impossible("offset"))? = byte;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use device::bench::{Bench, check_state};

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<String>>>);
    impl LpcDecoder for Log {
        fn place_pm(&mut self, at: Option<u16>) {
            self.0.lock().unwrap().push(format!("pm {at:x?}"));
        }
        fn place_rcba(&mut self, at: Option<u64>) {
            self.0.lock().unwrap().push(format!("rcba {at:x?}"));
        }
    }

    fn lpc(bench: &Bench, isa11: &Bench) -> (Lpc, Log) {
        let log = Log::default();
        let mut isa = std::array::from_fn(|_| IrqLine::unconnected());
        isa[11] = isa11.line.clone();
        let mut apic = std::array::from_fn(|_| IrqLine::unconnected());
        apic[4] = bench.line.share();
        (Lpc::new(bench.dma(), bench.msi(), Box::new(log.clone()), &isa, apic), log)
    }

    #[test]
    fn a_pirq_reaches_both_controllers() {
        let (bench, isa11) = (Bench::new(0x1000), Bench::new(0x1000));
        let (mut lpc, _) = lpc(&bench, &isa11);
        let device = lpc.pirq(4);
        device.set(true);
        assert_eq!(bench.levels.take(), [true]);
        assert!(isa11.levels.take().is_empty());
        lpc.config_write(0x68, Size::Byte, 11);
        assert_eq!(isa11.levels.take(), [true]);
        lpc.config_write(0x68, Size::Byte, 0x8b);
        assert_eq!(isa11.levels.take(), [false]);
        lpc.config_write(0x68, Size::Byte, 8);
        device.set(false);
        assert_eq!(bench.levels.take(), [false]);
    }

    #[test]
    fn devices_share_a_pirq() {
        let (bench, isa11) = (Bench::new(0x1000), Bench::new(0x1000));
        let (lpc, _) = lpc(&bench, &isa11);
        let (one, other) = (lpc.pirq(4), lpc.pirq(4));
        one.set(true);
        other.pulse();
        assert_eq!(bench.levels.take(), [true]);
        one.set(false);
        assert_eq!(bench.levels.take(), [false]);
    }

    #[test]
    fn blocks_move() {
        let (bench, isa11) = (Bench::new(0x1000), Bench::new(0x1000));
        let (mut lpc, log) = lpc(&bench, &isa11);
        lpc.config_write(0x40, Size::Dword, 0x601);
        lpc.config_write(0x44, Size::Byte, 0x80);
        lpc.config_write(0xf0, Size::Dword, 0xfed1_c001);
        lpc.reset();
        let log = log.0.lock().unwrap().clone();
        assert_eq!(log, ["pm Some(600)", "rcba Some(fed1c000)", "pm None", "rcba None"]);
    }

    #[test]
    fn state() {
        let (bench, isa11) = (Bench::new(0x1000), Bench::new(0x1000));
        check_state(&mut lpc(&bench, &isa11).0, |lpc| lpc.config_write(0x40, Size::Dword, 0x601));
        check_state(&mut RootComplexRegisters::default(), |device| device.write(0x3ffe, Size::Qword, u64::MAX));
    }
}
