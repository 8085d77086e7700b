//! The I/O thread: sleeps on doorbells (ioeventfds) and tells the devices.

use std::os::fd::AsRawFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;

use device::Doorbells;
use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

struct Bell {
    event: EventFd,
    device: Weak<Mutex<dyn Doorbells>>,
    index: u16,
}

/// Data of the event that ends the thread.
const END: u64 = u64::MAX;

/// What the thread does with rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aim {
    /// They stay where they are.
    Wait,
    Tell,
    End,
}

/// Whether rings are told; locked while one is.
struct Gate {
    aim: Mutex<Aim>,
    changed: Condvar,
}

impl Gate {
    fn set(&self, aim: Aim) {
        *self.aim.lock().unwrap_or_else(PoisonError::into_inner) = aim;
        self.changed.notify_all();
    }

    /// Waits until rings may be told, and keeps it so; `None` at the end.
    fn pass(&self) -> Option<MutexGuard<'_, Aim>> {
        let aim = self.aim.lock().unwrap_or_else(PoisonError::into_inner);
        let aim = self.changed.wait_while(aim, |aim| *aim == Aim::Wait).unwrap_or_else(PoisonError::into_inner);
        (*aim == Aim::Tell).then_some(aim)
    }
}

/// Doorbells before their thread runs.
#[derive(Default)]
pub(crate) struct BellBoard {
    bells: Vec<Bell>,
}

/// Lets a device ring its own doorbells.
pub(crate) struct Bells(pub Vec<(u16, EventFd)>);

impl virtio::Kick for Bells {
    fn kick(&self, index: u16) {
        if let Some((_, event)) = self.0.iter().find(|(other, _)| *other == index) {
            // Fails only when the counter is full: then it is ringing already.
            let _ = event.write(1);
        }
    }
}

/// The running thread; dropping it ends it.
pub(crate) struct BellThread {
    gate: Arc<Gate>,
    end: EventFd,
    bells: Vec<EventFd>,
    thread: Option<JoinHandle<()>>,
}

impl BellThread {
    /// Lets devices hear of rings, or keeps these while the machine stands. On return from `false` no device is being told, nor
    /// will one be.
    pub(crate) fn set_running(&self, running: bool) {
        self.gate.set(if running { Aim::Tell } else { Aim::Wait });
    }

    /// Rings every doorbell: devices look for what came, or what they could not finish, while the machine stood.
    pub(crate) fn ring_all(&self) {
        for bell in &self.bells {
            // Fails only when the counter is full: then it is ringing already.
            let _ = bell.write(1);
        }
    }
}

impl BellBoard {
    /// Connects `event` to doorbell `index` of `device`.
    pub(crate) fn add(&mut self, event: EventFd, device: Weak<Mutex<dyn Doorbells>>, index: u16) {
        self.bells.push(Bell { event, device, index });
    }

    /// Starts the thread, which keeps rings at first. `prepare` runs first on it (to confine it).
    pub(crate) fn start(self, prepare: impl FnOnce() + Send + 'static) -> std::io::Result<BellThread> {
        let poll = Epoll::new()?;
        let bells = self.bells.iter().map(|bell| bell.event.try_clone()).collect::<Result<_, _>>()?;
        let end = EventFd::new(EFD_NONBLOCK)?;
        let watch = |event: &EventFd, data| {
            poll.ctl(ControlOperation::Add, event.as_raw_fd(), EpollEvent::new(EventSet::IN, data))
        };
        for (number, bell) in self.bells.iter().enumerate() {
            watch(&bell.event, number as u64)?;
        }
        watch(&end, END)?;
        let gate = Arc::new(Gate { aim: Mutex::new(Aim::Wait), changed: Condvar::new() });
        let passed = Arc::clone(&gate);
        let thread = std::thread::Builder::new().name("io".into()).spawn(move || {
            prepare();
            serve(&poll, &self.bells, &passed);
        })?;
        Ok(BellThread { gate, end, bells, thread: Some(thread) })
    }
}

fn serve(poll: &Epoll, bells: &[Bell], gate: &Gate) {
    let mut events = [EpollEvent::default(); 32];
    loop {
        let count = match poll.wait(-1, &mut events) {
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => {
                tracing::error!("doorbells are deaf: {error}");
                return;
            }
        };
        for event in &events[..count] {
            if event.data() == END {
                return;
            }
            let Some(bell) = bells.get(event.data() as usize) else { continue };
            let Some(_passed) = gate.pass() else { return };
            // Cleared before the queue is looked at: a ring that comes meanwhile is heard again.
            let _ = bell.event.read();
            if let Some(device) = bell.device.upgrade() {
                device.lock().unwrap_or_else(PoisonError::into_inner).ring(bell.index);
            }
        }
    }
}

impl Drop for BellThread {
    fn drop(&mut self) {
        self.gate.set(Aim::End);
        if self.end.write(1).is_ok()
            && let Some(thread) = self.thread.take()
        {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};
    use std::time::Duration;

    use super::*;

    struct Listener(Sender<u16>);
    impl Doorbells for Listener {
        fn ring(&mut self, index: u16) {
            let _ = self.0.send(index);
        }
    }

    #[test]
    fn rings_wait_while_the_machine_stands() {
        let (sender, heard) = channel();
        let device = Arc::new(Mutex::new(Listener(sender)));
        let weak: Weak<Mutex<Listener>> = Arc::downgrade(&device);
        let mut board = BellBoard::default();
        let event = EventFd::new(EFD_NONBLOCK).unwrap();
        board.add(event.try_clone().unwrap(), weak, 7);
        let bells = board.start(|| ()).unwrap();
        let long = Duration::from_secs(20);
        event.write(1).unwrap();
        assert!(heard.recv_timeout(Duration::from_millis(50)).is_err());
        bells.set_running(true);
        assert_eq!(heard.recv_timeout(long), Ok(7));
        bells.set_running(false);
        event.write(1).unwrap();
        bells.ring_all();
        assert!(heard.recv_timeout(Duration::from_millis(50)).is_err());
        bells.set_running(true);
        assert_eq!(heard.recv_timeout(long), Ok(7));
        bells.set_running(false);
        // It ends while rings wait.
        event.write(1).unwrap();
        drop(bells);
    }
}
