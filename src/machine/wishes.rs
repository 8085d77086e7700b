//! What the guest wants of the machine's owner, each wish kept once.
//!
//! A guest can ask for a reset a thousand times before the owner gets to the first. [`News`](crate::News) only wakes the owner, and
//! only for a wish that is not standing yet; what is wanted stands here until it is granted, so that a reset answers all that
//! was asked for before it, and nothing that a guest repeats piles up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chipset::PowerRequest;

#[derive(Default)]
struct Standing {
    reset: AtomicBool,
    off: AtomicBool,
    variables: AtomicBool,
}

/// A wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Reset or power-off.
    Power(PowerRequest),
    /// Changed UEFI variables are to be kept.
    Variables,
}

/// All wishes that stand. Clones are the same wishes.
#[derive(Clone, Default)]
pub(crate) struct Wishes(Arc<Standing>);

impl Wishes {
    fn flag(&self, wish: Wish) -> &AtomicBool {
        match wish {
            Wish::Power(PowerRequest::Reset) => &self.0.reset,
            Wish::Power(PowerRequest::Off) => &self.0.off,
            Wish::Variables => &self.0.variables,
        }
    }

    /// The guest wants it. True when that is news.
    pub(crate) fn ask(&self, wish: Wish) -> bool {
        !self.flag(wish).swap(true, Ordering::AcqRel)
    }

    /// Does the wish stand?
    pub(crate) fn has(&self, wish: Wish) -> bool {
        self.flag(wish).load(Ordering::Acquire)
    }

    /// It is granted, or of no meaning any more. True when it stood.
    pub(crate) fn take(&self, wish: Wish) -> bool {
        self.flag(wish).swap(false, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_news_once() {
        let wishes = Wishes::default();
        let reset = Wish::Power(PowerRequest::Reset);
        assert!(wishes.ask(reset));
        assert!(!wishes.clone().ask(reset));
        assert!(wishes.ask(Wish::Power(PowerRequest::Off)) && wishes.ask(Wish::Variables));
        assert!(wishes.has(reset) && wishes.take(reset));
        assert!(!wishes.has(reset) && !wishes.take(reset));
        assert!(wishes.ask(reset));
    }
}
