//! A sound controller: the High Definition Audio function of an ICH9 (8086:293e) with one codec, which has a line out and a microphone.
//!
//! Follows Intel's High Definition Audio Specification 1.0a and what the I/O Controller Hub 9 data sheet says of device 27. Registers
//! are in BAR 0. Streams move when what is plugged into the jacks asks ([`crate::Pcm`]); a stream that no converter listens to stands
//! still, where hardware would let it run into the void. Not there: power management of the function, bidirectional streams, striping.

mod codec;
mod format;
mod registers;
mod rings;
mod route;
mod stream;

use std::sync::Arc;

use device::pci::{Bar, BarKind, Identity, PciCore, PciCoreState, PciFunction};
use device::{Clock, Device, Dma, Msi, RestoreError, Size, State};
use serde::{Deserialize, Serialize};

use crate::Jack;
use codec::Codec;
use registers::{
    ALIGNED, ALL_STREAMS, CAPABILITIES, CODECS, CONTROLLER, Control, Descriptor, FLUSHED, GLOBAL, Global,
    INPUT_PAYLOAD, INPUT_STREAM_PAYLOAD, MAJOR_VERSION, OUTPUT_PAYLOAD, OUTPUT_STREAM_PAYLOAD, POSITIONS_ON, Place,
    Register, STREAMS, WALL_HERTZ, Write,
};
use rings::Rings;
use route::Route;
use stream::Stream;

const BAR: u8 = 0;
const BAR_SIZE: u64 = 0x4000;
/// Registers of ICH9 in config space: which kind of link it is, and the traffic class, which drivers write. MSI stands behind them.
const LINK_MODE_AT: usize = 0x40;
const TRAFFIC_CLASS_AT: usize = 0x44;
const CAPABILITIES_AT: usize = 0x60;
/// The codec's bit in STATESTS.
const CODEC: u32 = 1;

/// The controller's own registers, as they are saved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Globals {
    control: u32,
    wake_enable: u32,
    state_change: u32,
    flushed: bool,
    interrupt_control: u32,
    synchronization: u32,
    positions: u64,
    /// What the wall clock counts from.
    wall_start: u64,
}

/// The controller.
pub struct Hda {
    core: PciCore,
    clock: Clock,
    line_out: Arc<dyn Jack>,
    microphone: Arc<dyn Jack>,
    globals: Globals,
    rings: Rings,
    codec: Codec,
    streams: [Stream; STREAMS],
    /// What the jacks were told last.
    playback: Option<Route>,
    capture: Option<Route>,
    /// What asked for the interrupt when the guest was last told.
    causes: u32,
    /// Is the interrupt asserted?
    asserted: bool,
}

/// The controller's saved state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HdaState {
    core: PciCoreState,
    globals: SavedGlobals,
    rings: SavedRings,
    codec: SavedCodec,
    streams: Vec<SavedStream>,
}

/// The controller's registers in a saved state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SavedGlobals(Globals);

/// The rings in a saved state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SavedRings(Rings);

/// The codec in a saved state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SavedCodec(Codec);

/// A stream in a saved state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SavedStream(Stream);

impl Globals {
    fn is_possible(&self) -> bool {
        let Self {
            control,
            wake_enable,
            state_change,
            flushed: _,
            interrupt_control,
            synchronization,
            positions,
            wall_start: _,
        } = self;
        control & !(Control::RUNS | Control::UNSOLICITED).bits() == 0
            && wake_enable & !CODECS == 0
            && state_change & !CODECS == 0
            && interrupt_control & !(GLOBAL | CONTROLLER | ALL_STREAMS) == 0
            && synchronization & !ALL_STREAMS == 0
            && positions & !POSITIONS_ON & 0x7f == 0
    }
}

impl Hda {
    /// The playback stream's number: the line out.
    pub const LINE_OUT: u32 = 0;
    /// The capture stream's number: the microphone.
    pub const MICROPHONE: u32 = 1;

    /// A controller with these jacks. The board connects INTA.
    pub fn new(line_out: Arc<dyn Jack>, microphone: Arc<dyn Jack>, clock: Clock, dma: Dma, msi: Msi) -> Self {
        let mut core = PciCore::new(
            Identity {
                vendor: 0x8086,
                device: 0x293e,
                revision: 3,
                class: 0x04_03_00,
                subsystem_vendor: 0x1af4,
                subsystem: 0x1100,
            },
            dma,
            msi,
        );
        core.add_bar(BAR, Bar::registers(BarKind::Memory32, BAR_SIZE));
        core.build(|config| {
            // High Definition Audio, not AC '97.
            config.set(LINK_MODE_AT, &[1]);
            config.allow(TRAFFIC_CLASS_AT, &[7]);
            config.reserve(CAPABILITIES_AT);
        });
        core.add_msi();
        Self {
            core,
            clock,
            line_out,
            microphone,
            globals: Globals::default(),
            rings: Rings::default(),
            codec: Codec::new(),
            streams: std::array::from_fn(|_| Stream::default()),
            playback: None,
            capture: None,
            causes: 0,
            asserted: false,
        }
    }

    fn is_out_of_reset(&self) -> bool {
        self.globals.control & Control::RUNS.bits() != 0
    }

    fn read(&self, register: Register) -> u32 {
        let globals = &self.globals;
        let global = match register {
            Register::Reserved => return 0,
            Register::Stream(index, register) => return self.streams[index].read(register, index),
            Register::Global(global) => global,
        };
        if let Some(value) = self.rings.read(global) {
            return value;
        }
        match global {
            Global::Capabilities => CAPABILITIES,
            Global::MajorVersion => MAJOR_VERSION,
            Global::OutputPayload => OUTPUT_PAYLOAD,
            Global::InputPayload => INPUT_PAYLOAD,
            Global::OutputStreamPayload => OUTPUT_STREAM_PAYLOAD,
            Global::InputStreamPayload => INPUT_STREAM_PAYLOAD,
            Global::Control => globals.control,
            Global::WakeEnable => globals.wake_enable,
            Global::StateChange => globals.state_change,
            Global::Status if globals.flushed => FLUSHED,
            Global::InterruptControl => globals.interrupt_control,
            Global::InterruptStatus => self.interrupt_status(),
            Global::WallClock if self.is_out_of_reset() => self.wall_ticks().wrapping_sub(globals.wall_start) as u32,
            Global::StreamSynchronization => globals.synchronization,
            Global::PositionBuffer => globals.positions as u32,
            Global::PositionBufferUpper => (globals.positions >> 32) as u32,
            // The rings have answered for theirs.
            _ => 0,
        }
    }

    fn write(&mut self, register: Register, write: Write) {
        // In reset there is only what would wake the machine, and the way out.
        let reaches = self.is_out_of_reset()
            || matches!(register, Register::Global(Global::Control | Global::WakeEnable | Global::StateChange));
        match register {
            _ if !reaches => {}
            Register::Global(global) => self.write_global(global, write),
            Register::Stream(index, register) => self.streams[index].write(register, write),
            Register::Reserved => {}
        }
        self.follow();
        let answers = matches!(
            register,
            Register::Stream(_, Descriptor::Status)
                | Register::Global(Global::StateChange | Global::CommandStatus | Global::ResponseStatus)
        );
        // Zeroes beside a register that is meant answer nothing.
        self.update(answers && write.ones() != 0);
    }

    fn write_global(&mut self, global: Global, write: Write) {
        if self.rings.write(global, write, &mut self.codec, self.core.dma()) {
            return;
        }
        let globals = &mut self.globals;
        match global {
            Global::Control => self.write_control(write),
            Global::WakeEnable => globals.wake_enable = write.over(globals.wake_enable, CODECS),
            Global::StateChange => globals.state_change &= !write.ones(),
            Global::Status => globals.flushed &= write.ones() & FLUSHED == 0,
            Global::InterruptControl => {
                globals.interrupt_control = write.over(globals.interrupt_control, GLOBAL | CONTROLLER | ALL_STREAMS);
            }
            Global::StreamSynchronization => {
                globals.synchronization = write.over(globals.synchronization, ALL_STREAMS);
            }
            Global::PositionBuffer => {
                globals.positions = write.low(globals.positions, ALIGNED | POSITIONS_ON as u32);
            }
            Global::PositionBufferUpper => globals.positions = write.high(globals.positions),
            // Can be read only, or was the rings'.
            _ => {}
        }
    }

    fn write_control(&mut self, write: Write) {
        let was = self.is_out_of_reset();
        self.globals.control = write.over(self.globals.control, (Control::RUNS | Control::UNSOLICITED).bits());
        match (was, self.is_out_of_reset()) {
            (true, false) => self.enter_reset(),
            (false, true) => {
                // The codec comes up and says that it is there.
                self.globals.state_change |= CODEC;
                self.globals.wall_start = self.wall_ticks();
            }
            // Nothing is ever on its way: it is done before the guest can look.
            (true, true) => self.globals.flushed |= write.ones() & Control::FLUSH.bits() != 0,
            (false, false) => self.globals.control = 0,
        }
    }

    /// Resets the controller and the link. Who woke the machine, and who may, outlives it.
    fn enter_reset(&mut self) {
        let Globals { wake_enable, state_change, .. } = self.globals;
        self.globals = Globals { wake_enable, state_change, ..Globals::default() };
        self.rings = Rings::default();
        self.streams = std::array::from_fn(|_| Stream::default());
        self.codec.reset();
    }

    fn wall_ticks(&self) -> u64 {
        self.clock.now().ticks(WALL_HERTZ)
    }

    /// INTSTS: what has something to say, and whether the interrupt is asked for.
    fn interrupt_status(&self) -> u32 {
        let streams = self.streams.iter().enumerate().fold(0, |bits, (i, s)| bits | u32::from(s.has_event()) << i);
        let controller = if self.controller_interrupts() { CONTROLLER } else { 0 };
        let asks = if self.asking() == 0 { 0 } else { GLOBAL };
        streams | controller | asks
    }

    fn controller_interrupts(&self) -> bool {
        self.rings.interrupts() || self.globals.state_change & self.globals.wake_enable != 0
    }

    /// What asks for the interrupt and may, but for the bit that lets nobody.
    fn asking(&self) -> u32 {
        let streams = self.streams.iter().enumerate().fold(0, |bits, (i, s)| bits | u32::from(s.interrupts()) << i);
        let controller = if self.controller_interrupts() { CONTROLLER } else { 0 };
        (streams | controller) & self.globals.interrupt_control
    }

    /// Brings the interrupt up to date. A message is sent for every cause that is new, and when the guest has answered one of several.
    fn update(&mut self, answered: bool) {
        let asking = self.asking();
        let new = asking & !std::mem::replace(&mut self.causes, asking);
        let wanted = asking != 0 && self.globals.interrupt_control & GLOBAL != 0;
        let was = std::mem::replace(&mut self.asserted, wanted);
        if wanted && was {
            if answered || new != 0 {
                self.core.send_msi();
            }
        } else {
            self.core.set_interrupt(wanted);
        }
    }
}

impl PciFunction for Hda {
    fn core(&self) -> &PciCore {
        &self.core
    }

    fn core_mut(&mut self) -> &mut PciCore {
        &mut self.core
    }

    fn bar_read(&mut self, _: u8, offset: u64, size: Size) -> u64 {
        let (mut value, mut done) = (0, 0);
        while done < size.bytes() {
            let Place { register, byte, bytes } = Place::decode(offset + done);
            let here = (bytes - byte).min(size.bytes() - done);
            let mask = (1 << (8 * here)) - 1;
            value |= (u64::from(self.read(register)) >> (8 * byte) & mask) << (8 * done);
            done += here;
        }
        value
    }

    fn bar_write(&mut self, _: u8, offset: u64, size: Size, value: u64) {
        let mut done = 0;
        while done < size.bytes() {
            let Place { register, byte, bytes } = Place::decode(offset + done);
            let here = (bytes - byte).min(size.bytes() - done);
            let mask = (1u64 << (8 * here)) - 1;
            let part = value >> (8 * done) & mask;
            self.write(register, Write { value: (part << (8 * byte)) as u32, mask: (mask << (8 * byte)) as u32 });
            done += here;
        }
    }
}

impl Device for Hda {
    fn reset(&mut self) {
        self.globals = Globals::default();
        self.rings = Rings::default();
        self.codec = Codec::new();
        self.streams = std::array::from_fn(|_| Stream::default());
        (self.causes, self.asserted) = (0, false);
        self.core.reset();
        self.follow();
    }
}

impl State for Hda {
    const KIND: &'static str = "hda";
    type Saved = HdaState;

    fn save(&self) -> HdaState {
        let Self {
            core,
            clock: _,
            line_out: _,
            microphone: _,
            globals,
            rings,
            codec,
            streams,
            playback: _,
            capture: _,
            causes: _,
            asserted: _,
        } = self;
        HdaState {
            core: core.save(),
            globals: SavedGlobals(globals.clone()),
            rings: SavedRings(rings.clone()),
            codec: SavedCodec(codec.clone()),
            streams: streams.iter().cloned().map(SavedStream).collect(),
        }
    }

    fn restore(&mut self, saved: HdaState) -> Result<(), RestoreError> {
        let HdaState {
            core,
            globals: SavedGlobals(globals),
            rings: SavedRings(rings),
            codec: SavedCodec(codec),
            streams,
        } = saved;
        let streams: Vec<Stream> = streams.into_iter().map(|SavedStream(stream)| stream).collect();
        let streams: [Stream; STREAMS] = streams.try_into().map_err(|_| Self::impossible("number of streams"))?;
        for (possible, field) in [
            (globals.is_possible(), "register"),
            (rings.is_possible(), "ring"),
            (codec.is_possible(), "codec"),
            (streams.iter().all(Stream::is_possible), "stream"),
        ] {
            if !possible {
                return Err(Self::impossible(field));
            }
        }
        if !self.core.restore(core) {
            return Err(Self::impossible("PCI state"));
        }
        (self.globals, self.rings, self.codec, self.streams) = (globals, rings, codec, streams);
        self.causes = self.asking();
        self.asserted = self.causes != 0 && self.globals.interrupt_control & GLOBAL != 0;
        self.core.set_interrupt(self.asserted);
        self.follow_anew();
        Ok(())
    }
}

#[cfg(test)]
#[path = "hda_test.rs"]
mod tests;
