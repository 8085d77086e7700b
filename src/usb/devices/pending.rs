//! Transfers that wait for their data, and those that are done and wait to be collected.

use std::collections::VecDeque;

use crate::{Completion, Endpoint, Fault, Kind, Transfer, TransferId};

/// Transfers of a function that may wait at once; a driver has two or three of an endpoint.
const MOST: usize = 256;

/// What a function has of transfers, in their order.
#[derive(Default)]
pub(super) struct Pending {
    waiting: VecDeque<Transfer>,
    done: VecDeque<(TransferId, Completion)>,
}

impl Pending {
    /// Keeps a transfer until it can be done. One too many fails.
    pub(super) fn push(&mut self, transfer: Transfer) -> Option<Completion> {
        if self.waiting.len() >= MOST {
            return Some(Completion::failed(Fault::Transaction));
        }
        self.waiting.push_back(transfer);
        None
    }

    /// Takes the first transfer that is waiting on an endpoint.
    pub(super) fn pop(&mut self, endpoint: Endpoint) -> Option<Transfer> {
        let at = self.waiting.iter().position(|transfer| transfer.endpoint == endpoint)?;
        self.waiting.remove(at)
    }

    /// Takes the first transfer that is waiting on a stream of an endpoint.
    pub(super) fn pop_of(&mut self, endpoint: Endpoint, stream: u16) -> Option<Transfer> {
        let of_stream = |transfer: &Transfer| transfer.endpoint == endpoint && transfer.kind == Kind::Bulk { stream };
        let at = self.waiting.iter().position(of_stream)?;
        self.waiting.remove(at)
    }

    /// The first transfer that is waiting on an endpoint.
    pub(super) fn first(&self, endpoint: Endpoint) -> Option<&Transfer> {
        self.waiting.iter().find(|transfer| transfer.endpoint == endpoint)
    }

    /// Says what came of a transfer.
    pub(super) fn finish(&mut self, id: TransferId, completion: Completion) {
        self.done.push_back((id, completion));
    }

    /// All that waits on an endpoint ends so.
    pub(super) fn fail(&mut self, endpoint: Endpoint, fault: Fault) {
        while let Some(transfer) = self.pop(endpoint) {
            self.finish(transfer.id, Completion::failed(fault));
        }
    }

    /// What came of a transfer already.
    pub(super) fn taken(&mut self, id: TransferId) -> Option<Completion> {
        let at = self.done.iter().position(|(done, _)| *done == id)?;
        self.done.remove(at).map(|(_, completion)| completion)
    }

    /// All that waits ends so.
    pub(super) fn fail_all(&mut self, fault: Fault) {
        while let Some(transfer) = self.waiting.pop_front() {
            self.finish(transfer.id, Completion::failed(fault));
        }
    }

    pub(super) fn collect(&mut self) -> Option<(TransferId, Completion)> {
        self.done.pop_front()
    }

    pub(super) fn cancel(&mut self, id: TransferId) {
        self.waiting.retain(|transfer| transfer.id != id);
        self.done.retain(|(done, _)| *done != id);
    }

    pub(super) fn clear(&mut self) {
        let Self { waiting, done } = self;
        waiting.clear();
        done.clear();
    }
}
