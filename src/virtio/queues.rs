//! All queues of a device, as the device works with them.

use std::sync::Arc;

use device::{Dma, Ram};

use crate::chain::{Chain, ChainState};
use crate::queue::Virtqueue;

/// A device's virtqueues. Lent to the device with every call; while the driver is not ready, or after it broke a ring, they look
/// empty and swallow what is pushed.
pub struct Queues {
    pub(crate) list: Vec<Virtqueue>,
    ram: Arc<Ram>,
    /// New requests are taken only while the function may master the bus.
    dma: Dma,
    /// DRIVER_OK, and no reset needed.
    pub(crate) running: bool,
    /// By queue: how many more chains this round may take.
    budget: Vec<u16>,
    /// By queue: chains were left because the budget was used up.
    pub(crate) left: Vec<bool>,
    /// The driver broke something: DEVICE_NEEDS_RESET is due.
    pub(crate) broken: bool,
    /// The device config space changed.
    pub(crate) config_changed: bool,
}

impl Queues {
    pub(crate) fn new(sizes: &[u16], dma: Dma) -> Self {
        Self {
            list: sizes.iter().map(|&size| Virtqueue::new(size)).collect(),
            ram: Arc::new(dma.all_ram().clone()),
            dma,
            running: false,
            budget: vec![0; sizes.len()],
            left: vec![false; sizes.len()],
            broken: false,
            config_changed: false,
        }
    }

    /// Begins a round of work. What a driver adds endlessly is taken in rounds, so that others get their turn.
    pub(crate) fn begin(&mut self) {
        for (budget, queue) in self.budget.iter_mut().zip(&self.list) {
            *budget = queue.size();
        }
    }

    pub(crate) fn reset(&mut self) {
        self.list.iter_mut().for_each(Virtqueue::reset);
        self.running = false;
        self.broken = false;
        self.left.fill(false);
    }

    pub(crate) fn ram(&self) -> &Arc<Ram> {
        &self.ram
    }

    /// Is the driver ready, and all well?
    pub fn is_running(&self) -> bool {
        self.running
    }

    /// The next request in `queue`, if there is one.
    pub fn pop(&mut self, queue: u16) -> Option<Chain> {
        let at = usize::from(queue);
        let (virtqueue, budget) = (self.list.get_mut(at)?, self.budget.get_mut(at)?);
        if !self.running || !self.dma.is_enabled() {
            return None;
        }
        if *budget == 0 {
            self.left[at] = virtqueue.has_available(&self.ram);
            return None;
        }
        match virtqueue.pop(&self.ram) {
            Ok(chain) => {
                *budget -= u16::from(chain.is_some());
                chain
            }
            Err(error) => {
                tracing::debug!("queue {queue}: {error}");
                self.fail();
                None
            }
        }
    }

    /// Ends this round for `queue`: the device has done as much as it should while others wait for its thread. What is left comes
    /// in the next round.
    pub fn rest(&mut self, queue: u16) {
        let at = usize::from(queue);
        if let (Some(virtqueue), Some(left)) = (self.list.get(at), self.left.get_mut(at)) {
            *left = self.running && virtqueue.has_available(&self.ram);
        }
    }

    /// Is there a request in `queue`?
    pub fn has_available(&self, queue: u16) -> bool {
        let usable = self.running && self.dma.is_enabled();
        usable && self.list.get(usize::from(queue)).is_some_and(|queue| queue.has_available(&self.ram))
    }

    /// Takes back the last pops from `queue`: `chains`, in the order in which they were popped, will come again.
    pub fn unpop(&mut self, queue: u16, chains: &[Chain]) {
        if let Some(queue) = self.list.get_mut(usize::from(queue)).filter(|_| self.running) {
            queue.unpop(chains);
        }
    }

    /// A request of `queue` that the device held when the machine was saved. `None` when the saved queue does not have it
    /// under way, or its buffers are not RAM.
    pub fn readmit(&self, queue: u16, saved: ChainState) -> Option<Chain> {
        let chain = Chain::restore(saved, &self.ram).ok()?;
        self.list.get(usize::from(queue))?.is_in_flight(chain.head()).then_some(chain)
    }

    /// Gives a request back, done: `written` bytes were written to it, from its first writable byte on.
    pub fn push(&mut self, queue: u16, chain: Chain, written: u32) {
        self.push_all(queue, &[(chain, written)]);
    }

    /// Gives several requests back; the driver sees none of them before all.
    pub fn push_all(&mut self, queue: u16, chains: &[(Chain, u32)]) {
        let Some(queue) = self.list.get_mut(usize::from(queue)).filter(|_| self.running) else { return };
        if let Err(error) = queue.push(&self.ram, chains) {
            tracing::debug!("used ring: {error}");
            self.fail();
        }
    }

    /// The driver did what no device can go on from: DEVICE_NEEDS_RESET. For requests that can be answered by an error this is
    /// not the way.
    pub fn fail(&mut self) {
        if self.running {
            self.running = false;
            self.broken = true;
        }
    }

    /// Tells the driver that the device config space changed.
    pub fn config_changed(&mut self) {
        self.config_changed = true;
    }
}
