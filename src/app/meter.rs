//! Samples of a running machine's counters, one after the other, for as long as somebody looks.
//!
//! The engine has work with them when it is asked, and only then: a machine that nobody looks at is not measured.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use library::control::{Client, Error};
use library::usage::Sample;
use uuid::Uuid;

use crate::machines;

/// Time between two samples of what is drawn over time.
pub(crate) const PERIOD: Duration = Duration::from_secs(1);
/// Time between two samples of what is shown at once.
pub(crate) const SHORT_PERIOD: Duration = Duration::from_millis(400);
/// How long an engine may take for one.
const PATIENCE: Duration = Duration::from_secs(2);

/// Somebody who looks: when it goes, so does the measuring.
#[derive(Debug)]
pub(crate) struct Look {
    _open: Sender<()>,
}

/// Sees when nobody looks any more.
#[derive(Debug)]
pub(crate) struct Looked(Receiver<()>);

/// A look, and its other end for the thread that measures.
pub(crate) fn look() -> (Look, Looked) {
    let (open, closed) = channel();
    (Look { _open: open }, Looked(closed))
}

/// Measures a machine, with this time between two samples, until nobody looks or listens (`tell` answers false), or its engine is one that cannot be asked. An engine that
/// does not answer is asked again.
pub(crate) fn measure(uuid: Uuid, looked: &Looked, period: Duration, tell: impl Fn(Sample) -> bool) {
    let mut client = None;
    loop {
        match sample(uuid, &mut client) {
            Ok(sample) => {
                if !tell(sample) {
                    return;
                }
            }
            Err(library::Error::Control(Error::Refused(why))) => {
                return tracing::info!("the machine is of another Dormer and not measured: {why}");
            }
            Err(error) => {
                tracing::debug!("no sample: {error}");
                client = None;
            }
        }
        if looked.0.recv_timeout(period) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

/// A sample, over the connection that is there or a new one.
fn sample(uuid: Uuid, client: &mut Option<Client>) -> library::Result<Sample> {
    let connected = match client.take() {
        Some(client) => client,
        None => machines::find(uuid)?.running()?.control_within(PATIENCE)?,
    };
    Ok(Sample::take(client.insert(connected))?)
}
