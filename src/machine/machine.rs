//! A machine from power-on to its end, as its owner's thread drives it.

use std::fs::File;
use std::sync::Arc;
use std::thread::JoinHandle;

use api::control::DriveStatus;
use api::stats::{DriveStats, Usage};
use chipset::PowerRequest;
use kvm::{GuestSpace, Vm};
use rustix::time::ClockId;

use crate::assembly::{Parts, power_requests};
use crate::board::{Board, Chips, lock};
use crate::cpus::{Brake, CpuNews, Cpus, Stuck};
use crate::doorbells::BellThread;
use crate::drives::{DriveError, Drives};
use crate::front::Front;
use crate::host_usb::HostUsb;
use crate::hypervisor::InKvm;
use crate::memory::{self, RamLayout};
use crate::networks::Networks;
use crate::setup::{Image, Setup};
use crate::variables::Variables;
use crate::wishes::{Wish, Wishes};
use crate::{BuildError, host};

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
    /// What goes through a card is captured no more, because its file cannot be written.
    CaptureFailed {
        /// The card.
        id: String,
        /// What happened.
        why: String,
    },
    /// A USB device of the host was pulled out of it.
    UsbGone {
        /// The device.
        id: String,
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
    /// Sound.
    Sound,
    /// A USB device of the host.
    Usb,
}

/// A machine.
pub struct Machine {
    vm: Arc<Vm>,
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
    host_usb: HostUsb,
    processors: u32,
    /// Bytes of RAM.
    memory_size: u64,
    board: Board,
}

impl Machine {
    /// Builds the machine; it stands at power-on until [`Self::resume`]. `tell` carries news to the owner from any thread and only
    /// leaves word; `confine` runs first on every thread that is made.
    /// `kvm` is `/dev/kvm`.
    pub fn build(
        kvm: File,
        setup: Setup,
        tell: impl Fn(News) + Clone + Send + Sync + 'static,
        confine: impl Fn(Threads) + Clone + Send + Sync + 'static,
    ) -> Result<Self, BuildError> {
        let layout = RamLayout::of(setup.memory);
        let vm = Arc::new(Vm::new(kvm, setup.processors)?);
        let hypervisor = Arc::new(InKvm { space: GuestSpace::new(&vm), vm: Arc::clone(&vm) });
        let ram = memory::make_ram(layout).map_err(host("memory for the guest"))?;
        let mut board = Board::new(hypervisor, ram, layout);
        memory::map_ram(&*board.hypervisor, &board.ram, layout)?;
        let wishes = Wishes::default();
        let brake = Brake::default();
        let power = power_requests(&wishes, &brake, tell.clone());
        let (processors, memory_size) = (setup.processors, setup.memory);
        let Parts { chips, variables, front, drives, networks } =
            board.assemble(setup, &wishes, power.clone(), tell.clone(), confine.clone())?;
        let host_usb = HostUsb::new(front.usb().cloned(), tell.clone(), confine.clone());
        let vcpus = (0..processors).map(|index| vm.vcpu(index)).collect::<Result<Vec<_>, _>>()?;
        let power_on_chips = vm.save_chips()?;
        kvm::install_kick_handler()?;
        let (cpu, timers) = (confine.clone(), confine.clone());
        let cpus = Cpus::start(
            brake,
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
            vm,
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
            host_usb,
            processors,
            memory_size,
            board,
        })
    }

    /// Is this still so? The owner asks once when it comes to a piece of news: much may have happened since it was told.
    pub fn stands(&self, news: &News) -> bool {
        match news {
            News::Power(what) => self.wishes.has(Wish::Power(*what)),
            News::VariablesChanged => self.wishes.take(Wish::Variables),
            News::StorageFull { drive } => self.drives.is_full(drive),
            News::UsbGone { id } => self.host_usb.is_gone(id),
            News::CpuFailed(_) | News::NetworkDown { .. } | News::CaptureFailed { .. } => true,
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
            && let Err(error) = self.vm.set_clock(at)
        {
            tracing::warn!("{error}");
        }
        self.board.clock.start();
        self.board.timers.set_running(true);
        self.networks.set_running(true);
        self.host_usb.set_running(true);
        if let Some(sound) = self.front.sound() {
            sound.set_running(true);
        }
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
        self.host_usb.set_running(false);
        if let Some(sound) = self.front.sound() {
            sound.set_running(false);
        }
        if let Err(error) = self.drives.drain() {
            tracing::warn!("{error}");
        }
        self.front.serial.flush();
        self.board.clock.stop();
        self.paused_at = self.vm.clock().ok();
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
        if let Err(error) = self.vm.restore_chips(&self.power_on_chips) {
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

    /// CD drives with installers' CDs that have done their work: there is a system on one of the disks.
    pub fn done_installers(&self) -> Vec<String> {
        self.drives.done_installers()
    }

    /// All drives.
    pub fn drives(&self) -> Vec<DriveStatus> {
        self.drives.status()
    }

    /// All network cards.
    pub fn networks(&mut self) -> &mut Networks {
        &mut self.networks
    }

    /// USB devices of the host.
    pub fn host_usb(&mut self) -> &mut HostUsb {
        &mut self.host_usb
    }

    /// What went through the drives.
    pub fn drive_stats(&self) -> Vec<DriveStats> {
        self.drives.stats()
    }

    /// What this process takes of the host for its guest.
    pub fn usage(&self) -> Usage {
        let time = rustix::time::clock_gettime(ClockId::ProcessCPUTime);
        Usage {
            cpu_time: time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64,
            processors: self.processors,
            memory: memory::touched(&self.board.ram),
            memory_size: self.memory_size,
        }
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
