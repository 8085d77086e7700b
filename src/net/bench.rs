//! A port without thread and cable, for the tests of NIC devices: everything happens when the test says so.

use std::sync::Arc;

use crate::Port;
use crate::port::Shared;

/// The test's end of a port.
pub struct Wire(Arc<Shared>);

/// A port with its link up and running, and the wire that hangs out of it.
///
/// # Panics
/// When the host has no file descriptor left; this is for tests.
pub fn wire() -> (Port, Wire) {
    let shared = Arc::new(Shared::new().expect("an eventfd for a test"));
    shared.set_link(true);
    let port = Port::on_bench(Arc::clone(&shared));
    port.set_running(true);
    (port, Wire(shared))
}

impl Wire {
    /// The frames that the device sent since the last call, oldest first.
    pub fn sent(&self) -> Vec<Vec<u8>> {
        let mut outbox = Shared::fresh_outbox();
        self.0.take_outgoing(&mut outbox);
        outbox.frames().map(<[u8]>::to_vec).collect()
    }

    /// Offers a burst of one frame to the connected device; what the device said. False also without a device.
    pub fn inject(&self, frame: &[u8]) -> bool {
        self.0
            .with_sink(|sink| {
                let taken = self.0.offer(sink, frame);
                sink.burst_done();
                taken
            })
            .unwrap_or(false)
    }

    /// Whether the device refused a frame and has not called [`Port::resume`] since.
    pub fn is_held(&self) -> bool {
        self.0.is_held()
    }

    /// Pulls the cable out or puts it back in, and tells the device.
    pub fn set_link(&self, up: bool) {
        self.0.set_link(up);
        self.0.with_sink(|sink| sink.link_changed(up));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, Weak};

    use super::*;
    use crate::FrameSink;

    struct Nic {
        port: Port,
        room: usize,
        bursts: usize,
    }

    /// Sends every frame back as it came.
    impl FrameSink for Nic {
        fn receive(&mut self, frame: &[u8]) -> bool {
            let Some(room) = self.room.checked_sub(1) else { return false };
            self.room = room;
            self.port.send(&[frame]);
            true
        }
        fn burst_done(&mut self) {
            self.bursts += 1;
        }
    }

    #[test]
    fn a_device_is_driven_without_threads() {
        let (port, wire) = wire();
        assert!(!wire.inject(&[0; 60]));
        let nic = Arc::new(Mutex::new(Nic { port, room: 1, bursts: 0 }));
        let sink: Weak<Mutex<dyn FrameSink>> = Arc::<Mutex<Nic>>::downgrade(&nic);
        nic.lock().unwrap().port.connect(sink);
        assert!(wire.inject(&[1; 60]));
        assert!(!wire.is_held());
        assert!(!wire.inject(&[2; 60]));
        assert!(wire.is_held());
        {
            let mut nic = nic.lock().unwrap();
            nic.room = 1;
            nic.port.resume();
        }
        assert!(!wire.is_held());
        assert!(wire.inject(&[3; 60]));
        assert_eq!(wire.sent(), [vec![1; 60], vec![3; 60]]);
        assert!(wire.sent().is_empty());
        assert_eq!(nic.lock().unwrap().bursts, 3);
        wire.set_link(false);
        assert!(!nic.lock().unwrap().port.link_up());
        nic.lock().unwrap().port.send(&[&[4; 60]]);
        assert!(wire.sent().is_empty());
        assert_eq!(nic.lock().unwrap().port.counters().dropped, 1);
    }
}
