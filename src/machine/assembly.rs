//! Putting a whole machine onto its board, from what it was set up with.

use std::fs::File;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use api::machine::Resolution;
use chipset::{ByteSink, Pflash, PowerRequest, key};
use device::input::InputRouter;
use device::pci::{Devfn, HighBars, SharedMemory};
use display::edid::DisplaySize;
use rustix::rand::GetRandomFlags;
use virtio::input::Input;
use virtio::rng::{EntropySource, Rng};
use virtio::{Keyboard, Tablet};

use crate::board::{Board, Chips, LegacyPorts, lock};
use crate::cpus::Brake;
use crate::drives::Drives;
use crate::firmware::{self, FirmwareFacts};
use crate::front::Front;
use crate::memory::AtomicEcam;
use crate::networks::Networks;
use crate::screen::Screen;
use crate::serial::SerialRecord;
use crate::setup::{Firmware, Setup};
use crate::variables::Variables;
use crate::wishes::{Wish, Wishes};
use crate::{BuildError, News, Threads, host};

/// Bytes of firmware's debug output that are logged.
const DEBUG_LOGGED: u64 = 4 << 20;
/// Where firmware ends.
const FIRMWARE_TOP: u64 = 1 << 32;
/// Where the entropy device is.
const RNG: Devfn = Devfn::new(6, 0);
/// Where virtio's keyboard and tablet are.
const KEYBOARD: Devfn = Devfn::new(7, 0);
const TABLET: Devfn = Devfn::new(8, 0);

/// The parts of a machine that its owner has to do with.
pub(crate) struct Parts {
    pub(crate) chips: Chips,
    pub(crate) variables: Option<Variables>,
    pub(crate) front: Front,
    pub(crate) drives: Drives,
    pub(crate) networks: Networks,
}

/// What devices and vCPUs ask for power with.
pub(crate) fn power_requests(
    wishes: &Wishes,
    brake: &Brake,
    tell: impl Fn(News) + Clone + Send + Sync + 'static,
) -> impl Fn(PowerRequest) + Clone + Send + Sync + 'static {
    let (wanted, brake) = (wishes.clone(), brake.clone());
    move |what| {
        // Before the wish: once it stands, the owner may grant it and let the vCPUs run again.
        brake.pull();
        if wanted.ask(Wish::Power(what)) {
            tell(News::Power(what));
        }
    }
}

impl Board {
    /// Puts everything on the board. What the guest wants stands in `wishes`; `tell` wakes the owner; `power` takes requests of devices;
    /// `confine` runs first on the thread of sound.
    pub(crate) fn assemble(
        &mut self,
        setup: Setup,
        wishes: &Wishes,
        power: impl Fn(PowerRequest) + Clone + Send + Sync + 'static,
        tell: impl Fn(News) + Clone + Send + Sync + 'static,
        confine: impl Fn(Threads) + Send + 'static,
    ) -> Result<Parts, BuildError> {
        let (hear, wanted) = (tell.clone(), wishes.clone());
        let changed = move || {
            if wanted.ask(Wish::Variables) {
                hear(News::VariablesChanged);
            }
        };
        let (bios, variables) = self.add_firmware(setup.firmware, changed)?;
        let chips = self.add_chips(bios, setup.clock_offset, debug_log(setup.debugcon), power.clone())?;
        let serial = SerialRecord::new(setup.serial);
        let LegacyPorts { keyboard, uart } = self.add_legacy_ports(serial.clone(), power)?;
        let mut input = InputRouter::default();
        let screen = Arc::new(Screen::default());
        let video = self.add_vga(screen.clone(), setup.video_memory, setup.video_rom, &chips.lpc)?;
        let vga = Arc::clone(lock(&video).vga());
        let Resolution { width, height } = setup.resolution;
        lock(&video).set_display_size(DisplaySize { width, height, width_mm: 0, height_mm: 0 });
        if setup.virtio_input {
            input.add_keyboard(self.add_virtio(KEYBOARD, Input::<Keyboard>::default(), &chips.lpc)?);
            input.add_pointer(self.add_virtio(TABLET, Input::<Tablet>::default(), &chips.lpc)?);
        }
        let usb = self.add_usb(&setup.usb, &chips.lpc, &mut input)?;
        input.add_keyboard(keyboard.clone());
        input.add_pointer(keyboard);
        let space = self.hypervisor.clone();
        let sound = self.add_sound(setup.sound, &chips.lpc, move || confine(Threads::Sound))?;
        let (drives, mut boot) = self.add_drives(setup.drives, &chips, usb.as_ref(), tell.clone())?;
        let front = Front { screen, vga, space, input: Arc::new(input), uart, serial, video, sound, usb };

        let (networks, from_network) = self.add_networks(setup.networks, &chips, tell)?;
        boot.extend(from_network);
        self.add_virtio(RNG, Rng::new(Box::new(HostEntropy)), &chips.lpc)?;
        let facts = FirmwareFacts {
            processors: setup.processors,
            ram: self.layout,
            uuid: setup.uuid.into_bytes(),
            hpet: true,
            ecam: None,
            high_bars: None,
            boot: firmware::ordered(boot, &setup.boot),
            boot_menu_wait: None,
        };
        let high_bars = lock(&self.root).high_bars();
        describe(&chips, facts, Arc::clone(&self.ecam), high_bars);
        Ok(Parts { chips, variables, front, drives, networks })
    }

    /// Puts the firmware under 4 GiB. Gives the BIOS, whose end shows below 1 MiB as well, or the variable store.
    fn add_firmware(
        &mut self,
        firmware: Firmware,
        changed: impl Fn() + Send + 'static,
    ) -> Result<(Option<Arc<SharedMemory>>, Option<Variables>), BuildError> {
        match firmware {
            Firmware::Bios(rom) => Ok((Some(self.add_rom("dormer-bios", &rom)?), None)),
            Firmware::Uefi { code, variables } => {
                let code = self.add_rom("dormer-ovmf", &code)?;
                let mut contents = Vec::new();
                (&variables)
                    .take(FIRMWARE_MOST as u64 + 1)
                    .read_to_end(&mut contents)
                    .map_err(host("the UEFI variables"))?;
                let size = check_firmware(contents.len())?;
                let memory =
                    self.memory.rom("dormer-variables", &contents, size).map_err(host("memory for firmware"))?;
                let at = FIRMWARE_TOP - code.size() - size;
                self.hypervisor.map_shared(0, &memory, 0, at, size)?;
                let (hypervisor, shown) = (Arc::clone(&self.hypervisor), Arc::clone(&memory));
                let show = move |show: bool| {
                    let placed = match show {
                        true => hypervisor.map_shared(0, &shown, 0, at, size),
                        false => {
                            hypervisor.unmap_shared(0, &shown);
                            Ok(())
                        }
                    };
                    if let Err(error) = placed {
                        // Only a guest that puts something else in their place.
                        tracing::debug!("UEFI variables: {error}");
                    }
                    if show {
                        changed();
                    }
                };
                let flash = self.keep(Pflash::new(Arc::clone(&memory), true, Box::new(show)));
                self.buses.mmio.claim(at..at + size, flash.clone())?;
                Ok((None, Some(Variables::new(flash, memory, variables))))
            }
        }
    }

    /// A ROM that ends at 4 GiB.
    fn add_rom(&mut self, name: &str, contents: &[u8]) -> Result<Arc<SharedMemory>, BuildError> {
        let size = check_firmware(contents.len())?;
        let rom = self.memory.rom(name, contents, size).map_err(host("memory for firmware"))?;
        self.hypervisor.map_shared(0, &rom, 0, FIRMWARE_TOP - size, size)?;
        Ok(rom)
    }
}

/// Most bytes of a firmware image.
const FIRMWARE_MOST: usize = 8 << 20;

fn check_firmware(bytes: usize) -> Result<u64, BuildError> {
    let good = bytes > 0 && bytes.is_multiple_of(4096) && bytes <= FIRMWARE_MOST;
    good.then_some(bytes as u64).ok_or(BuildError::Firmware(bytes))
}

/// What firmware learns by fw_cfg.
fn describe(chips: &Chips, facts: FirmwareFacts, ecam: Arc<AtomicEcam>, high_bars: Arc<HighBars>) {
    let mut fw_cfg = lock(&chips.fw_cfg);
    let count = facts.processors as u16;
    fw_cfg.add(key::PROCESSORS, count.to_le_bytes().to_vec());
    fw_cfg.add(key::MAX_PROCESSORS, count.to_le_bytes().to_vec());
    fw_cfg.add(key::RAM_SIZE, (facts.ram.low + facts.ram.high).to_le_bytes().to_vec());
    fw_cfg.add(key::UUID, facts.uuid.to_vec());
    fw_cfg.add(key::NO_GRAPHIC, 0u16.to_le_bytes().to_vec());
    fw_cfg.add(key::IRQ0_OVERRIDE, 1u32.to_le_bytes().to_vec());
    for (name, bytes) in firmware::files(&facts) {
        fw_cfg.add_file(&name, bytes);
    }
    let now = move || {
        let at = ecam.load(Ordering::Acquire);
        let ecam = (at != 0).then_some(at);
        firmware::acpi_files(&FirmwareFacts { ecam, high_bars: high_bars.span(), ..facts.clone() })
    };
    fw_cfg.add_late_files(Box::new(now));
}

/// The kernel's random numbers.
struct HostEntropy;
impl EntropySource for HostEntropy {
    fn fill(&mut self, into: &mut [u8]) -> bool {
        // At most 256 bytes come in one piece, whatever happens.
        into.chunks_mut(256).all(|part| rustix::rand::getrandom(&mut *part, GetRandomFlags::empty()) == Ok(part.len()))
    }
}

/// A log of the debug port that ends when it is long enough.
fn debug_log(file: Option<File>) -> Box<dyn ByteSink> {
    let Some(file) = file else { return Box::new(|_: u8| {}) };
    let mut log = std::io::LineWriter::new(file);
    let mut left = DEBUG_LOGGED;
    Box::new(move |byte| {
        if left > 0 {
            left -= 1;
            // A full disk loses the log, nothing else.
            let _ = log.write_all(&[byte]);
        }
    })
}
