//! A machine from power-on to its end, as its owner's thread drives it.

use std::fs::File;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use api::control::DriveStatus;
use chipset::{ByteSink, Pflash, PowerRequest, key};
use device::input::InputRouter;
use device::pci::{Devfn, HighBars, SharedMemory};
use kvm::Vm;
use rustix::rand::GetRandomFlags;
use virtio::input::Input;
use virtio::rng::{EntropySource, Rng};
use virtio::{Keyboard, Tablet};

use crate::board::{Board, Chips, LegacyPorts, lock};
use crate::cpus::{CpuNews, Cpus, Stuck};
use crate::doorbells::BellThread;
use crate::drives::{DriveError, Drives};
use crate::firmware::{self, FirmwareFacts};
use crate::front::Front;
use crate::memory::{self, AtomicEcam, RamLayout};
use crate::networks::Networks;
use crate::screen::Screen;
use crate::serial::SerialRecord;
use crate::setup::{Firmware, Image, Setup};
use crate::variables::Variables;
use crate::wishes::{Wish, Wishes};
use crate::{BuildError, host};

/// Bytes of firmware's debug output that are logged.
const DEBUG_LOGGED: u64 = 4 << 20;
/// Where firmware ends.
const FIRMWARE_TOP: u64 = 1 << 32;
/// Where the entropy device is.
const RNG: Devfn = Devfn::new(6, 0);
/// Where virtio's keyboard and tablet are.
const KEYBOARD: Devfn = Devfn::new(7, 0);
const TABLET: Devfn = Devfn::new(8, 0);

/// Something that happened and that the owner acts on, if it still [stands](Machine::stands).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// The guest asked for a reset or to be turned off.
    Power(PowerRequest),
    /// A vCPU cannot go on.
    CpuFailed(String),
    /// The guest changed UEFI variables; [`Machine::write_variables`] is to be called when it rests.
    VariablesChanged,
    /// The host has no room for what the guest writes: the machine is to be paused until there is.
    StorageFull {
        /// The drive that met it.
        drive: String,
    },
    /// What was at the other end of a card's cable is gone.
    NetworkDown {
        /// The card.
        id: String,
    },
}

/// Kinds of threads, for confining each to what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// Runs a vCPU.
    Cpu,
    /// Doorbells.
    Io,
    /// Timers.
    Timers,
}

/// A machine.
pub struct Machine {
    cpus: Cpus,
    timer_thread: Option<JoinHandle<()>>,
    bells: BellThread,
    power_on_chips: kvm::ChipState,
    /// kvmclock at the last pause.
    paused_at: Option<u64>,
    running: bool,
    wishes: Wishes,
    chips: Chips,
    variables: Option<Variables>,
    front: Front,
    drives: Drives,
    networks: Networks,
    board: Board,
}

impl Machine {
    /// Builds the machine; it stands at power-on until [`Self::resume`]. `tell` carries news to the owner from any thread and only
    /// leaves word; `confine` runs first on every thread that is made.
    pub fn build(
        setup: Setup,
        tell: impl Fn(News) + Clone + Send + Sync + 'static,
        confine: impl Fn(Threads) + Clone + Send + 'static,
    ) -> Result<Self, BuildError> {
        let layout = RamLayout::of(setup.memory);
        let vm = Vm::new(setup.kvm, setup.processors)?;
        let ram = memory::make_ram(layout).map_err(host("memory for the guest"))?;
        let mut board = Board::new(vm, ram, layout);
        memory::map_ram(&board.space, &board.ram, layout)?;
        let wishes = Wishes::default();
        let (hear, wanted) = (tell.clone(), wishes.clone());
        let changed = move || {
            if wanted.ask(Wish::Variables) {
                hear(News::VariablesChanged);
            }
        };
        let (bios, variables) = board.add_firmware(setup.firmware, changed)?;
        let (hear, wanted) = (tell.clone(), wishes.clone());
        let power = move |what| {
            if wanted.ask(Wish::Power(what)) {
                hear(News::Power(what));
            }
        };
        let chips = board.add_chips(bios, setup.clock_offset, debug_log(setup.debugcon), power.clone())?;
        let serial = SerialRecord::new(setup.serial);
        let LegacyPorts { keyboard, uart } = board.add_legacy_ports(serial.clone(), power.clone())?;
        let mut input = InputRouter::default();
        let screen = Arc::new(Screen::default());
        let video = board.add_vga(screen.clone(), setup.video_rom, &chips.lpc)?;
        let vga = Arc::clone(lock(&video).vga());
        if setup.virtio_input {
            input.add_keyboard(board.add_virtio(KEYBOARD, Input::<Keyboard>::default(), &chips.lpc)?);
            input.add_pointer(board.add_virtio(TABLET, Input::<Tablet>::default(), &chips.lpc)?);
        }
        input.add_keyboard(keyboard.clone());
        input.add_pointer(keyboard);
        let front = Front { screen, vga, space: board.space.clone(), input: Arc::new(input), uart, serial, video };

        let hear = tell.clone();
        let (drives, mut boot) = board.add_drives(setup.drives, &chips, hear.clone())?;
        let (networks, from_network) = board.add_networks(setup.networks, &chips, hear)?;
        boot.extend(from_network);
        board.add_virtio(RNG, Rng::new(Box::new(HostEntropy)), &chips.lpc)?;
        let facts = FirmwareFacts {
            processors: setup.processors,
            ram: layout,
            uuid: setup.uuid.into_bytes(),
            hpet: true,
            ecam: None,
            high_bars: None,
            boot,
            boot_menu_wait: None,
        };
        let high_bars = lock(&board.root).high_bars();
        describe(&chips, facts, Arc::clone(&board.ecam), high_bars);

        let vcpus = (0..setup.processors).map(|index| board.vm.vcpu(index)).collect::<Result<Vec<_>, _>>()?;
        let power_on_chips = board.vm.save_chips()?;
        kvm::install_kick_handler()?;
        let (cpu, timers) = (confine.clone(), confine.clone());
        let cpus = Cpus::start(
            vcpus,
            Arc::clone(&board.buses),
            move || cpu(Threads::Cpu),
            move |news| match news {
                CpuNews::Shutdown => power(PowerRequest::Reset),
                CpuNews::Failed(why) => tell(News::CpuFailed(why)),
            },
        )
        .map_err(host("threads"))?;
        let io = confine.clone();
        let bells = std::mem::take(&mut board.bells).start(move || io(Threads::Io)).map_err(host("threads"))?;
        let queue = board.timers.clone();
        let timer_thread = std::thread::Builder::new()
            .name("timers".into())
            .spawn(move || {
                timers(Threads::Timers);
                queue.serve();
            })
            .map_err(host("threads"))?;
        Ok(Self {
            cpus,
            timer_thread: Some(timer_thread),
            bells,
            power_on_chips,
            paused_at: None,
            running: false,
            wishes,
            chips,
            variables,
            front,
            drives,
            networks,
            board,
        })
    }

    /// Is this still so? The owner asks once when it comes to a piece of news: much may have happened since it was told.
    pub fn stands(&self, news: &News) -> bool {
        match news {
            News::Power(what) => self.wishes.has(Wish::Power(*what)),
            News::VariablesChanged => self.wishes.take(Wish::Variables),
            News::StorageFull { drive } => self.drives.is_full(drive),
            News::CpuFailed(_) | News::NetworkDown { .. } => true,
        }
    }

    /// Do the vCPUs run?
    pub fn is_running(&self) -> bool {
        self.running
    }

    /// Lets the machine run, from power-on or after a pause.
    pub fn resume(&mut self) {
        if self.running {
            return;
        }
        self.running = true;
        if let Some(at) = self.paused_at.take()
            && let Err(error) = self.board.vm.set_clock(at)
        {
            tracing::warn!("{error}");
        }
        self.board.clock.start();
        self.board.timers.set_running(true);
        self.networks.set_running(true);
        self.bells.set_running(true);
        self.bells.ring_all();
        self.drives.go_on();
        self.cpus.run();
    }

    /// Brings everything to a stand: vCPUs, timers, the clock.
    pub fn pause(&mut self) -> Result<(), Stuck> {
        if !self.running {
            return Ok(());
        }
        self.cpus.stand()?;
        self.running = false;
        self.bells.set_running(false);
        self.board.timers.set_running(false);
        self.networks.set_running(false);
        if let Err(error) = self.drives.drain() {
            tracing::warn!("{error}");
        }
        self.board.clock.stop();
        self.paused_at = self.board.vm.clock().ok();
        Ok(())
    }

    /// The reset button: every device at power-on, RAM as it is. Runs on if it ran.
    pub fn reset(&mut self) -> Result<(), Stuck> {
        let ran = self.running;
        self.pause()?;
        for device in &self.board.devices {
            lock(device).reset();
        }
        self.drives.abandon();
        // Whatever the guest asked for, a reset is the answer. Nobody can ask now.
        for what in [PowerRequest::Reset, PowerRequest::Off] {
            self.wishes.take(Wish::Power(what));
        }
        // The root is first in the list and functions lost their BARs after it.
        lock(&self.board.root).place_all();
        if let Err(error) = self.board.vm.restore_chips(&self.power_on_chips) {
            tracing::error!("{error}");
        }
        memory::clear_warm_boot_flag(&self.board.ram);
        self.cpus.reset()?;
        if ran {
            self.resume();
        }
        Ok(())
    }

    /// The power button: the guest is asked to shut down.
    pub fn press_power_button(&self) {
        lock(&self.chips.pm).press_power_button();
    }

    /// Puts `image` into CD drive `id`, or takes its medium out.
    pub fn change_medium(&mut self, id: &str, image: Option<Image>) -> Result<(), DriveError> {
        self.drives.change(id, image)
    }

    /// All drives.
    pub fn drives(&self) -> Vec<DriveStatus> {
        self.drives.status()
    }

    /// Pulls the plug of network card `id` or puts it back; false when there is no such card.
    pub fn set_link(&self, id: &str, up: bool) -> bool {
        self.networks.set_link(id, up)
    }

    /// Keeps UEFI variables that the guest has changed.
    pub fn write_variables(&mut self) -> std::io::Result<()> {
        self.variables.as_mut().map_or(Ok(()), Variables::write)
    }

    /// Screen, input and serial line, for threads that serve people.
    pub fn front(&self) -> &Front {
        &self.front
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // A stuck vCPU was reported by whoever paused; the process is about to end.
        let _ = self.pause();
        if let Err(error) = self.write_variables() {
            tracing::error!("UEFI variables are lost: {error}");
        }
        if let Err(error) = self.drives.close() {
            tracing::error!("an image was not closed well: {error}");
        }
        self.front.screen.close();
        self.board.timers.close();
        if let Some(thread) = self.timer_thread.take() {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

impl Board {
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
                self.space.map_shared(0, &memory, 0, at, size)?;
                let (space, shown) = (Arc::clone(&self.space), Arc::clone(&memory));
                let show = move |show: bool| {
                    let placed = match show {
                        true => space.map_shared(0, &shown, 0, at, size),
                        false => {
                            space.unmap_shared(0, &shown);
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
        self.space.map_shared(0, &rom, 0, FIRMWARE_TOP - size, size)?;
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
