//! The vCPUs' threads: run, stand still, start again.
//!
//! One thread a vCPU, which owns it. A [`Cpus`] is the machine owner's hold on all of them: it moves a gate that every thread
//! looks at between two runs, and kicks those that are inside KVM until all have answered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kvm::{Exit, GuestAccess, Vcpu};
use vmm_sys_util::signal::Killable;

/// How long a vCPU may take to come to a stand. Its device accesses are short; the host may be slow.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a vCPU says that only the owner can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CpuNews {
    /// Triple fault.
    Shutdown,
    /// KVM cannot go on.
    Failed(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aim {
    Stand,
    Run,
    End,
}

struct Gate {
    aim: Aim,
    /// Threads that stand.
    standing: usize,
    /// Counts resets; a thread whose own count differs resets its vCPU while it stands.
    resets: u64,
    /// Threads that have not yet answered the last reset.
    to_reset: usize,
}

struct Shared {
    gate: Mutex<Gate>,
    changed: Condvar,
    /// The gate's aim is to run: looked at without a lock between two runs.
    open: AtomicBool,
}

impl Default for Shared {
    fn default() -> Self {
        let gate = Gate { aim: Aim::Stand, standing: 0, resets: 0, to_reset: 0 };
        Self { gate: Mutex::new(gate), changed: Condvar::new(), open: AtomicBool::new(false) }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets no vCPU run on that comes out of the guest, until the owner lets all run again.
///
/// A processor that turned its machine off, or reset it, executes nothing after that; the owner learns of it a little later. Whoever
/// pulls tells the owner next, who answers every request.
#[derive(Clone, Default)]
pub(crate) struct Brake(Arc<Shared>);

impl Brake {
    /// From any thread.
    pub(crate) fn pull(&self) {
        let mut gate = self.0.lock();
        if gate.aim == Aim::Run {
            gate.aim = Aim::Stand;
            self.0.open.store(false, Ordering::Release);
        }
    }
}

/// All vCPUs of a machine.
pub(crate) struct Cpus {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// A vCPU did not come to a stand.
#[derive(Debug, thiserror::Error)]
#[error("a virtual processor does not stop")]
pub struct Stuck;

impl Cpus {
    /// Starts a thread for each of `vcpus`, standing, that `brake` keeps from running. `prepare` runs first on each thread (to confine
    /// it); `tell` hears news.
    pub(crate) fn start<G>(
        Brake(shared): Brake,
        vcpus: Vec<Vcpu>,
        guest: Arc<G>,
        prepare: impl Fn() + Clone + Send + 'static,
        tell: impl Fn(CpuNews) + Clone + Send + 'static,
    ) -> std::io::Result<Self>
    where
        G: GuestAccess + Send + Sync + 'static,
    {
        let mut cpus = Self { shared: Arc::clone(&shared), threads: Vec::new() };
        for vcpu in vcpus {
            let (shared, guest, prepare, tell) =
                (Arc::clone(&shared), Arc::clone(&guest), prepare.clone(), tell.clone());
            let name = format!("cpu{}", vcpu.index());
            let thread = std::thread::Builder::new().name(name).spawn(move || {
                prepare();
                live(vcpu, &shared, &*guest, tell);
            })?;
            cpus.threads.push(thread);
        }
        Ok(cpus)
    }

    /// Lets all run.
    pub(crate) fn run(&self) {
        let mut gate = self.shared.lock();
        gate.aim = Aim::Run;
        self.shared.open.store(true, Ordering::Release);
        drop(gate);
        self.shared.changed.notify_all();
    }

    /// Brings all to a stand; when this returns no vCPU touches the guest or a device.
    pub(crate) fn stand(&self) -> Result<(), Stuck> {
        let mut gate = self.shared.lock();
        gate.aim = Aim::Stand;
        self.shared.open.store(false, Ordering::Release);
        let deadline = Instant::now() + PATIENCE;
        while gate.standing < self.threads.len() {
            if Instant::now() > deadline {
                return Err(Stuck);
            }
            // A kick is lost when it comes just before KVM_RUN, so it is repeated.
            for thread in &self.threads {
                // Fails only for a thread that has ended.
                let _ = thread.kill(kvm::kick_signal());
            }
            let (held, _) = self
                .shared
                .changed
                .wait_timeout(gate, Duration::from_millis(2))
                .unwrap_or_else(PoisonError::into_inner);
            gate = held;
        }
        Ok(())
    }

    /// Puts all, which must stand, into their power-on state.
    pub(crate) fn reset(&self) -> Result<(), Stuck> {
        let mut gate = self.shared.lock();
        gate.resets += 1;
        gate.to_reset = self.threads.len();
        self.shared.changed.notify_all();
        let deadline = Instant::now() + PATIENCE;
        while gate.to_reset > 0 {
            let left = deadline.checked_duration_since(Instant::now()).ok_or(Stuck)?;
            let (held, _) = self.shared.changed.wait_timeout(gate, left).unwrap_or_else(PoisonError::into_inner);
            gate = held;
        }
        Ok(())
    }
}

impl Drop for Cpus {
    fn drop(&mut self) {
        if self.stand().is_err() {
            // A thread that cannot be stopped cannot be joined; the process is about to end.
            return;
        }
        self.shared.lock().aim = Aim::End;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

/// The life of one vCPU's thread.
fn live<G: GuestAccess>(mut vcpu: Vcpu, shared: &Shared, guest: &G, tell: impl Fn(CpuNews)) {
    let mut resets = 0;
    let mut stopped_once = false;
    // Set when this vCPU cannot run until it is reset.
    let mut dead = false;
    loop {
        if dead || !shared.open.load(Ordering::Acquire) {
            if stopped_once {
                vcpu.finish_access();
            }
            let mut gate = shared.lock();
            gate.standing += 1;
            shared.changed.notify_all();
            loop {
                if gate.resets != resets {
                    resets = gate.resets;
                    dead = false;
                    if let Err(error) = vcpu.reset() {
                        dead = true;
                        tell(CpuNews::Failed(error.to_string()));
                    }
                    gate.to_reset = gate.to_reset.saturating_sub(1);
                    shared.changed.notify_all();
                }
                match gate.aim {
                    Aim::End => return,
                    Aim::Run if !dead => break,
                    _ => gate = shared.changed.wait(gate).unwrap_or_else(PoisonError::into_inner),
                }
            }
            gate.standing -= 1;
            drop(gate);
            if stopped_once {
                vcpu.excuse_pause();
            }
            stopped_once = true;
        }
        match vcpu.run(guest) {
            Exit::Served | Exit::Kicked => {}
            Exit::Shutdown => {
                dead = true;
                tell(CpuNews::Shutdown);
            }
            Exit::Failed(why) => {
                dead = true;
                tell(CpuNews::Failed(why));
            }
        }
    }
}
