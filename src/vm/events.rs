//! Events on their way to every control client.

use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use api::control::Event;
use serde_json::{Value, json};

/// Lines to one client, answers and events in their order.
pub(crate) type Lines = SyncSender<Value>;

/// Who hears of events. Clones are the same list.
#[derive(Clone, Default)]
pub(crate) struct Events(Arc<Mutex<Vec<Lines>>>);

impl Events {
    /// Sends events to `client` as well, until it is gone or so far behind that its queue is full.
    pub(crate) fn subscribe(&self, client: Lines) {
        self.lock().push(client);
    }

    /// Tells everybody.
    pub(crate) fn emit(&self, event: &Event) {
        tracing::info!(?event);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let Ok(mut line) = serde_json::to_value(event) else { return };
        line["timestamp"] = json!({ "seconds": since.as_secs(), "microseconds": since.subsec_micros() });
        self.lock().retain(|client| match client.try_send(line.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                tracing::warn!("a control client does not read its events: it gets no more");
                false
            }
            Err(TrySendError::Disconnected(_)) => false,
        });
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Lines>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
