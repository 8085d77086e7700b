//! Events on their way to every control client.

use std::collections::BTreeMap;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use api::control::Event;
use serde_json::{Value, json};

/// Lines to one client, answers and events in their order.
pub(crate) type Lines = SyncSender<Value>;

/// Who hears of events. Clones are the same list.
#[derive(Clone, Default)]
pub(crate) struct Events(Arc<Mutex<Clients>>);

#[derive(Default)]
struct Clients {
    next: u64,
    list: BTreeMap<u64, Lines>,
}

/// A client's place in the list, until it is dropped.
pub(crate) struct Subscription {
    events: Events,
    number: u64,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.events.lock().list.remove(&self.number);
    }
}

impl Events {
    /// Sends events to `client` as well, until it is so far behind that its queue is full.
    pub(crate) fn subscribe(&self, client: Lines) -> Subscription {
        let mut clients = self.lock();
        let number = clients.next;
        clients.next += 1;
        clients.list.insert(number, client);
        Subscription { events: self.clone(), number }
    }

    /// Tells everybody.
    pub(crate) fn emit(&self, event: &Event) {
        tracing::info!(?event);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let Ok(mut line) = serde_json::to_value(event) else { return };
        line["timestamp"] = json!({ "seconds": since.as_secs(), "microseconds": since.subsec_micros() });
        self.lock().list.retain(|_, client| match client.try_send(line.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                tracing::warn!("a control client does not read its events: it gets no more");
                false
            }
            Err(TrySendError::Disconnected(_)) => false,
        });
    }

    fn lock(&self) -> MutexGuard<'_, Clients> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[test]
    fn who_left_or_does_not_read_is_forgotten() {
        let events = Events::default();
        let (one, ones) = sync_channel(4);
        let (slow, slows) = sync_channel(1);
        let subscription = events.subscribe(one);
        let _slow = events.subscribe(slow);
        for _ in 0..3 {
            events.emit(&Event::Stop {});
        }
        assert_eq!((ones.try_iter().count(), slows.try_iter().count()), (3, 1));
        drop(subscription);
        // Whoever waits for its lines knows that there will be no more.
        assert!(ones.recv().is_err() && slows.recv().is_err());
    }
}
