//! Timers of devices, all in one queue that the I/O thread sleeps on.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::{Clock, VmTime};

/// A device that has timers.
pub trait Timed: Send {
    /// Timer `which` (the device's own number) ran out. `now` may be later than it was armed for. Called from the timer thread
    /// under the device's mutex; a timer that was cancelled or re-armed meanwhile may still be reported once, so a device
    /// checks its own state.
    fn expired(&mut self, which: u32, now: VmTime);
}

type Target = Weak<Mutex<dyn Timed>>;
/// Due time, then timer id: a total order in which ids make equal times distinct.
type Key = (VmTime, u64);

#[derive(Default)]
struct Queue {
    next_id: u64,
    due: BTreeMap<Key, ()>,
    /// By timer id: when it is armed for, whose it is, and its number there.
    timers: BTreeMap<u64, Entry>,
    running: bool,
    /// The timer thread is telling devices.
    telling: bool,
    closed: bool,
}

struct Entry {
    armed: Option<VmTime>,
    target: Option<Target>,
    which: u32,
}

struct Shared {
    clock: Clock,
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All timers of a machine, in the order in which they run out.
#[derive(Clone)]
pub struct TimerQueue(Arc<Shared>);

impl TimerQueue {
    /// An empty queue over `clock`; it is stopped until [`Self::set_running`].
    pub fn new(clock: Clock) -> Self {
        Self(Arc::new(Shared { clock, queue: Mutex::default(), changed: Condvar::new() }))
    }

    /// A new timer, which reports as number `which` once [`Timer::connect`] said to whom.
    pub fn timer(&self, which: u32) -> Timer {
        let mut queue = self.0.lock();
        let id = queue.next_id;
        queue.next_id += 1;
        queue.timers.insert(id, Entry { armed: None, target: None, which });
        Timer { id, shared: Arc::clone(&self.0) }
    }

    /// When the next timer runs out.
    pub fn next_due(&self) -> Option<VmTime> {
        self.0.lock().due.first_key_value().map(|(key, ())| key.0)
    }

    /// Reports every timer that has run out by now, in order. A device that re-arms into the past is reported again at most
    /// once per call, so a hostile period cannot hold the thread.
    pub fn run_due(&self) {
        let now = self.0.clock.now();
        let mut fired = Vec::new();
        {
            let mut queue = self.0.lock();
            while let Some((&key, ())) = queue.due.first_key_value() {
                if key.0 > now {
                    break;
                }
                queue.due.remove(&key);
                if let Some(entry) = queue.timers.get_mut(&key.1) {
                    entry.armed = None;
                    if let Some(target) = entry.target.as_ref().and_then(Weak::upgrade) {
                        fired.push((target, entry.which));
                    }
                }
            }
        }
        for (target, which) in fired {
            target.lock().unwrap_or_else(PoisonError::into_inner).expired(which, now);
        }
    }

    /// Lets [`Self::serve`] report timers, or holds it back while the machine is paused. On return from `false` no device is being
    /// told, nor will one be. Not called under a device's mutex.
    pub fn set_running(&self, running: bool) {
        let mut queue = self.0.lock();
        queue.running = running;
        self.0.changed.notify_all();
        while !running && queue.telling {
            queue = self.0.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Makes [`Self::serve`] return.
    pub fn close(&self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }

    /// The timer thread's body: sleeps until a timer is due, reports it, and so on until [`Self::close`].
    pub fn serve(&self) {
        // Against a host clock that jumps under a sleeping condition variable; wakes nobody needs are 1 in 10 s.
        const LONGEST: Duration = Duration::from_secs(10);
        loop {
            let mut queue = self.0.lock();
            loop {
                if queue.closed {
                    return;
                }
                let wait = match queue.due.first_key_value() {
                    Some((key, ())) if queue.running => {
                        let wait = key.0 - self.0.clock.now();
                        if wait.is_zero() {
                            break;
                        }
                        Some(wait.min(LONGEST))
                    }
                    _ => None,
                };
                queue = match wait {
                    Some(wait) => self.0.changed.wait_timeout(queue, wait).unwrap_or_else(PoisonError::into_inner).0,
                    None => self.0.changed.wait(queue).unwrap_or_else(PoisonError::into_inner),
                };
            }
            queue.telling = true;
            drop(queue);
            self.run_due();
            self.0.lock().telling = false;
            self.0.changed.notify_all();
        }
    }
}

/// A device's handle to one timer. Dropping it cancels it.
pub struct Timer {
    id: u64,
    shared: Arc<Shared>,
}

impl Timer {
    /// Names the device that hears of this timer. Until then it runs out unheard.
    pub fn connect(&self, target: Target) {
        if let Some(entry) = self.shared.lock().timers.get_mut(&self.id) {
            entry.target = Some(target);
        }
    }

    /// Lets the timer run out at `at`, instead of whenever it was armed for before.
    pub fn arm(&self, at: VmTime) {
        self.set(Some(at));
    }

    /// Disarms the timer.
    pub fn cancel(&self) {
        self.set(None);
    }

    fn set(&self, at: Option<VmTime>) {
        let mut queue = self.shared.lock();
        let queue = &mut *queue;
        let Some(entry) = queue.timers.get_mut(&self.id) else { return };
        // Devices say it at each access, mostly the same.
        if entry.armed == at {
            return;
        }
        if let Some(old) = std::mem::replace(&mut entry.armed, at) {
            queue.due.remove(&(old, self.id));
        }
        if let Some(at) = at {
            queue.due.insert((at, self.id), ());
            // Behind the first it is found when that one is due.
            if queue.due.first_key_value().is_some_and(|(first, ())| *first == (at, self.id)) {
                self.shared.changed.notify_all();
            }
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.cancel();
        self.shared.lock().timers.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Log(Vec<(u32, VmTime)>);
    impl Timed for Log {
        fn expired(&mut self, which: u32, now: VmTime) {
            self.0.push((which, now));
        }
    }

    #[test]
    fn runs_out_in_order_and_can_be_cancelled() {
        let clock = Clock::stopped(VmTime(0));
        let queue = TimerQueue::new(clock.clone());
        let log = Arc::new(Mutex::new(Log(Vec::new())));
        let timers: Vec<_> = (0..3).map(|which| queue.timer(which)).collect();
        for timer in &timers {
            let target: Arc<Mutex<dyn Timed>> = log.clone();
            timer.connect(Arc::downgrade(&target));
        }
        timers[0].arm(VmTime(30));
        timers[1].arm(VmTime(10));
        timers[2].arm(VmTime(20));
        timers[0].arm(VmTime(5));
        timers[2].cancel();
        assert_eq!(queue.next_due(), Some(VmTime(5)));
        clock.set(VmTime(10));
        queue.run_due();
        assert_eq!(log.lock().unwrap().0, [(0, VmTime(10)), (1, VmTime(10))]);
        assert_eq!(queue.next_due(), None);
        drop(timers);
    }

    #[test]
    fn nobody_is_told_while_the_machine_stands() {
        let clock = Clock::stopped(VmTime(100));
        let queue = TimerQueue::new(clock);
        let log = Arc::new(Mutex::new(Log(Vec::new())));
        let target: Arc<Mutex<dyn Timed>> = log.clone();
        let timer = queue.timer(0);
        timer.connect(Arc::downgrade(&target));
        let server = queue.clone();
        let thread = std::thread::spawn(move || server.serve());
        queue.set_running(true);
        // The thread is kept from telling the device, and whoever pauses waits for it.
        let held = log.lock().unwrap();
        timer.arm(VmTime(5));
        while !queue.0.lock().telling {
            std::thread::yield_now();
        }
        let pauser = queue.clone();
        let pausing = std::thread::spawn(move || pauser.set_running(false));
        drop(held);
        pausing.join().unwrap();
        assert_eq!(log.lock().unwrap().0, [(0, VmTime(100))]);
        timer.arm(VmTime(6));
        assert_eq!(queue.next_due(), Some(VmTime(6)));
        queue.close();
        thread.join().unwrap();
        assert_eq!(log.lock().unwrap().0.len(), 1);
    }
}
