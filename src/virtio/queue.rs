//! One split virtqueue (VIRTIO 1.2 §2.7): what the driver set up, and the rings once it enabled them.

use std::num::Wrapping;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use device::Ram;
use serde::{Deserialize, Serialize};
use virtio_queue::{Queue, QueueOwnedT, QueueState, QueueT};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend};

use crate::chain::{BadChain, Chain};

/// The vector register's value for "no interrupt" (§4.1.4.3).
pub(crate) const NO_VECTOR: u16 = 0xffff;

const AVAIL_NO_INTERRUPT: u16 = 1;
const RING_HEADER: u64 = 4;
const USED_ELEMENT: u64 = 8;

/// A driver that broke the rings. The device then needs a reset.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadQueue {
    #[error("available ring: {0}")]
    Ring(virtio_queue::Error),
    #[error("descriptor {0} is outside the table or still in use")]
    Head(u16),
    #[error(transparent)]
    Chain(#[from] BadChain),
    #[error("the used ring is not RAM")]
    NotRam,
}

/// A queue's registers, as the driver wrote them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Setup {
    /// Entries: whatever the driver wrote; a power of two up to the device's maximum once enabled.
    pub(crate) size: u16,
    /// MSI-X vector or [`NO_VECTOR`].
    pub(crate) vector: u16,
    pub(crate) descriptors: u64,
    pub(crate) available: u64,
    pub(crate) used: u64,
}

/// A queue that the driver enabled.
struct Live {
    rings: Queue,
    /// Where the used ring stood when the driver was last interrupted or found not to want it.
    signalled: Wrapping<u16>,
    /// By head index: is that chain the device's?
    in_flight: Vec<bool>,
}

/// A virtqueue.
pub(crate) struct Virtqueue {
    max_size: u16,
    pub(crate) setup: Setup,
    live: Option<Live>,
}

/// The saved queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VirtqueueState {
    setup: Setup,
    live: Option<LiveState>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct LiveState {
    next_avail: u16,
    next_used: u16,
    signalled: u16,
    in_flight: Vec<u16>,
}

impl Virtqueue {
    /// A queue of at most `max_size` entries, a power of two up to 32768.
    pub(crate) fn new(max_size: u16) -> Self {
        debug_assert!(max_size.is_power_of_two());
        let setup = Setup { size: max_size, vector: NO_VECTOR, descriptors: 0, available: 0, used: 0 };
        Self { max_size, setup, live: None }
    }

    /// Back to what it was when made.
    pub(crate) fn reset(&mut self) {
        *self = Self::new(self.max_size);
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.live.is_some()
    }

    /// Enables the queue; does nothing when size or places are such that it cannot work, which the driver sees by reading back.
    pub(crate) fn enable(&mut self, ram: &Ram) {
        if self.live.is_none() {
            self.live = self.make_live(ram, 0, 0);
        }
    }

    fn make_live(&self, ram: &Ram, next_avail: u16, next_used: u16) -> Option<Live> {
        let Self { max_size, setup: Setup { size, vector: _, descriptors, available, used }, live: _ } = *self;
        let entries = usize::from(size);
        // Before the rings are built: these can be checked without anybody logging what a guest does.
        let is_ram = |at, bytes| at != 0 && GuestMemoryBackend::check_range(ram, GuestAddress(at), bytes);
        if !is_ram(descriptors, 16 * entries) || !is_ram(available, 6 + 2 * entries) || !is_ram(used, 6 + 8 * entries) {
            return None;
        }
        let state = QueueState {
            max_size,
            next_avail,
            next_used,
            event_idx_enabled: false,
            size,
            ready: true,
            desc_table: descriptors,
            avail_ring: available,
            used_ring: used,
        };
        let rings = Queue::try_from(state).ok()?;
        Some(Live { rings, signalled: Wrapping(next_used), in_flight: vec![false; entries] })
    }

    /// Entries; the bound of what one round of work takes.
    pub(crate) fn size(&self) -> u16 {
        self.setup.size
    }

    /// Obey the event indexes (VIRTIO_F_EVENT_IDX)?
    pub(crate) fn set_event_idx(&mut self, on: bool) {
        if let Some(live) = &mut self.live {
            live.rings.set_event_idx(on);
        }
    }

    /// The next chain that the driver made available. With none, the driver is asked to ring for the next one.
    pub(crate) fn pop(&mut self, ram: &Arc<Ram>) -> Result<Option<Chain>, BadQueue> {
        let Some(live) = &mut self.live else { return Ok(None) };
        let mut next = live.rings.iter(&**ram).map_err(BadQueue::Ring)?.next();
        if next.is_none() && live.rings.event_idx_enabled() {
            // Between the look and the asking the driver may have added one without ringing.
            live.rings.enable_notification(&**ram).map_err(BadQueue::Ring)?;
            next = live.rings.iter(&**ram).map_err(BadQueue::Ring)?.next();
        }
        let Some(descriptors) = next else { return Ok(None) };
        let head = descriptors.head_index();
        match live.in_flight.get_mut(usize::from(head)) {
            Some(in_flight) if !*in_flight => *in_flight = true,
            _ => return Err(BadQueue::Head(head)),
        }
        Ok(Some(Chain::new(descriptors, ram)?))
    }

    /// Has the driver made chains available that were not popped?
    pub(crate) fn has_available(&self, ram: &Ram) -> bool {
        let Some(live) = &self.live else { return false };
        live.rings.avail_idx(ram, Ordering::Acquire).is_ok_and(|index| index.0 != live.rings.next_avail())
    }

    /// Takes back the last pops: `chains`, in the order in which they were popped, will come again.
    pub(crate) fn unpop(&mut self, chains: &[Chain]) {
        let Some(live) = &mut self.live else { return };
        for chain in chains {
            live.in_flight[usize::from(chain.head())] = false;
        }
        // No more than were popped, so no more than a queue's size.
        live.rings.set_next_avail(live.rings.next_avail().wrapping_sub(chains.len() as u16));
    }

    /// Is the chain that starts at `head` the device's?
    pub(crate) fn is_in_flight(&self, head: u16) -> bool {
        self.live.as_ref().is_some_and(|live| live.in_flight.get(usize::from(head)) == Some(&true))
    }

    /// Gives chains back to the driver, each with the number of bytes written to it, all of them at once: the driver sees
    /// none or all.
    pub(crate) fn push(&mut self, ram: &Ram, chains: &[(Chain, u32)]) -> Result<(), BadQueue> {
        let Some(live) = &mut self.live else { return Ok(()) };
        let (size, mut next) = (live.rings.size(), live.rings.next_used());
        for (chain, written) in chains {
            live.in_flight[usize::from(chain.head())] = false;
            let at = live.rings.used_ring() + RING_HEADER + USED_ELEMENT * u64::from(next % size);
            let element = u64::from(*written) << 32 | u64::from(chain.head());
            ram.write_obj(element.to_le(), GuestAddress(at)).map_err(|_| BadQueue::NotRam)?;
            next = next.wrapping_add(1);
        }
        live.rings.set_next_used(next);
        ram.store(u16::to_le(next), GuestAddress(live.rings.used_ring() + 2), Ordering::Release)
            .map_err(|_| BadQueue::NotRam)
    }

    /// Does the driver want an interrupt for what was pushed since the last call (§2.7.7.2, §2.7.10)?
    pub(crate) fn wants_interrupt(&mut self, ram: &Ram) -> bool {
        let Some(live) = &mut self.live else { return false };
        let (new, old) = (Wrapping(live.rings.next_used()), live.signalled);
        live.signalled = new;
        if new == old {
            return false;
        }
        // The used index must be out before the driver's wish is read; the driver does it the other way round.
        fence(Ordering::SeqCst);
        let available = live.rings.avail_ring();
        let at = match live.rings.event_idx_enabled() {
            true => available + RING_HEADER + 2 * u64::from(live.rings.size()),
            false => available,
        };
        let Ok(wish) = ram.load::<u16>(GuestAddress(at), Ordering::Relaxed).map(u16::from_le) else { return true };
        match live.rings.event_idx_enabled() {
            true => new - Wrapping(wish) - Wrapping(1) < new - old,
            false => wish & AVAIL_NO_INTERRUPT == 0,
        }
    }

    pub(crate) fn save(&self) -> VirtqueueState {
        let Self { max_size: _, setup, live } = self;
        let live = live.as_ref().map(|Live { rings, signalled, in_flight }| LiveState {
            next_avail: rings.next_avail(),
            next_used: rings.next_used(),
            signalled: signalled.0,
            // Sizes are 16 bit, so indexes are.
            in_flight: (0..rings.size()).filter(|&head| in_flight[usize::from(head)]).collect(),
        });
        VirtqueueState { setup: setup.clone(), live }
    }

    /// False when the state cannot be a queue's of this size.
    pub(crate) fn restore(&mut self, saved: VirtqueueState, ram: &Ram) -> bool {
        let VirtqueueState { setup, live } = saved;
        self.reset();
        // A driver may have written anything there. What cannot work is not enabled, now as then.
        self.setup = setup;
        let Some(LiveState { next_avail, next_used, signalled, in_flight }) = live else { return true };
        let Some(mut live) = self.make_live(ram, next_avail, next_used) else { return false };
        live.signalled = Wrapping(signalled);
        for head in in_flight {
            match live.in_flight.get_mut(usize::from(head)) {
                Some(flag) => *flag = true,
                None => return false,
            }
        }
        self.live = Some(live);
        true
    }
}
