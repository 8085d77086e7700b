//! The transfers of one endpoint (and stream) on their way to the kernel and back.
//!
//! A transfer goes as one URB, or as several one after the other when it is long: a short packet ends it, and whatever was submitted
//! behind would be filled with what belongs to the next one (not every controller of a host stops there, as
//! `USBDEVFS_URB_BULK_CONTINUATION` has it). Several transfers are on their way at once. Isochronous ones go many to a URB.
//!
//! A fault holds the lane, as hardware's endpoint halts with it: what follows is taken back, and goes on when the guest has seen to it.

use std::collections::VecDeque;

use super::super::usbfs::UrbId;
use crate::{Completion, Transfer, TransferId};

/// Most URBs of a lane at once.
pub(super) const URBS: usize = 32;

/// A transfer on its way.
pub(super) struct Job {
    pub(super) transfer: Transfer,
    /// Bytes that are done.
    pub(super) moved: u64,
    /// Where the URB that is in flight has it end.
    pub(super) sent: u64,
    pub(super) urb: Option<UrbId>,
}

impl Job {
    /// Is there nothing more to send for now?
    fn is_sent(&self) -> bool {
        self.urb.is_some() && self.sent == self.transfer.memory.len()
    }
}

/// The transfers of an endpoint (and stream), in their order.
#[derive(Default)]
pub(super) struct Lane {
    pub(super) jobs: VecDeque<Job>,
    /// It had a fault.
    pub(super) held: bool,
}

impl Lane {
    pub(super) fn push(&mut self, transfer: Transfer) {
        self.jobs.push_back(Job { transfer, moved: 0, sent: 0, urb: None });
    }

    pub(super) fn position(&self, id: TransferId) -> Option<usize> {
        self.jobs.iter().position(|job| job.transfer.id == id)
    }

    /// The job that has the next URB, or `None` while there is to be no other.
    pub(super) fn next(&self) -> Option<usize> {
        if self.held {
            return None;
        }
        let index = self.jobs.iter().position(|job| !job.is_sent())?;
        // One that is under way in part.
        self.jobs[index].urb.is_none().then_some(index)
    }

    /// Jobs from the first that has no URB on, for isochronous lanes.
    pub(super) fn unsent(&self) -> usize {
        self.jobs.iter().position(|job| job.urb.is_none()).unwrap_or(self.jobs.len())
    }

    /// The transfer at `index` is over.
    pub(super) fn finish(&mut self, index: usize, completion: Completion) -> Option<(TransferId, Completion)> {
        self.jobs.remove(index).map(|job| (job.transfer.id, completion))
    }
}
