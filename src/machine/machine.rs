//! A machine from power-on to its end, as its owner's thread drives it.

use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use chipset::{ByteSink, PowerRequest, key};
use device::Device;
use kvm::Vm;

use crate::board::{Board, Chips, lock};
use crate::cpus::{CpuNews, Cpus, Stuck};
use crate::memory::{self, RamLayout};
use crate::serial::SerialRecord;
use crate::setup::{Firmware, Setup};
use crate::{BuildError, host};

/// Bytes of firmware's debug output that are logged.
const DEBUG_LOGGED: u64 = 4 << 20;
/// Where firmware ends.
const FIRMWARE_TOP: u64 = 1 << 32;

/// Something that happened and that the owner acts on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// The guest asked for a reset or to be turned off.
    Power(PowerRequest),
    /// A vCPU cannot go on.
    CpuFailed(String),
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
    power_on_chips: kvm::ChipState,
    /// kvmclock at the last pause.
    paused_at: Option<u64>,
    running: bool,
    chips: Chips,
    serial: SerialRecord,
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
        let bios = board.add_firmware(setup.firmware)?;
        let hear = tell.clone();
        let power = move |what| hear(News::Power(what));
        let chips = board.add_chips(bios, setup.clock_offset, debug_log(setup.debugcon), power)?;
        let serial = SerialRecord::new(setup.serial);

        describe(&chips, setup.processors, setup.uuid.into_bytes());

        let vcpus = (0..setup.processors).map(|index| board.vm.vcpu(index)).collect::<Result<Vec<_>, _>>()?;
        let power_on_chips = board.vm.save_chips()?;
        kvm::install_kick_handler()?;
        let (cpu, timers) = (confine.clone(), confine.clone());
        let cpus = Cpus::start(
            vcpus,
            Arc::clone(&board.buses),
            move || cpu(Threads::Cpu),
            move |news| match news {
                CpuNews::Shutdown => tell(News::Power(PowerRequest::Reset)),
                CpuNews::Failed(why) => tell(News::CpuFailed(why)),
            },
        )
        .map_err(host("threads"))?;
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
            power_on_chips,
            paused_at: None,
            running: false,
            chips,
            serial,
            board,
        })
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
        self.cpus.run();
    }

    /// Brings everything to a stand: vCPUs, timers, the clock.
    pub fn pause(&mut self) -> Result<(), Stuck> {
        if !self.running {
            return Ok(());
        }
        self.cpus.stand()?;
        self.running = false;
        self.board.timers.set_running(false);
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

    /// What the guest sent over its first serial port.
    pub fn serial(&self) -> &SerialRecord {
        &self.serial
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // A stuck vCPU was reported by whoever paused; the process is about to end.
        let _ = self.pause();
        self.board.timers.close();
        if let Some(thread) = self.timer_thread.take() {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

impl Board {
    /// Puts the firmware under 4 GiB. Gives the ROM that shows below 1 MiB as well.
    fn add_firmware(&mut self, firmware: Firmware) -> Result<Option<Arc<device::pci::SharedMemory>>, BuildError> {
        let (name, contents) = match &firmware {
            Firmware::Bios(rom) => ("dormer-bios", rom),
            Firmware::Uefi { code, .. } => ("dormer-ovmf", code),
        };
        let size = contents.len();
        if size == 0 || size % 4096 != 0 || size > 8 << 20 {
            return Err(BuildError::Firmware(size));
        }
        let rom = self.memory.rom(name, contents, size as u64).map_err(host("memory for firmware"))?;
        self.space.map_shared(0, &rom, 0, FIRMWARE_TOP - size as u64, size as u64)?;
        Ok(matches!(firmware, Firmware::Bios(_)).then_some(rom))
    }
}

/// What firmware learns by fw_cfg besides tables.
fn describe(chips: &Chips, processors: u32, uuid: [u8; 16]) {
    let mut fw_cfg = lock(&chips.fw_cfg);
    let count = processors as u16;
    fw_cfg.add(key::PROCESSORS, count.to_le_bytes().to_vec());
    fw_cfg.add(key::MAX_PROCESSORS, count.to_le_bytes().to_vec());
    fw_cfg.add(key::UUID, uuid.to_vec());
    fw_cfg.add(key::NO_GRAPHIC, 0u16.to_le_bytes().to_vec());
    fw_cfg.add(key::IRQ0_OVERRIDE, 1u32.to_le_bytes().to_vec());
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
