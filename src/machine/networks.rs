//! Network cards and their cables.

use std::sync::{Arc, Mutex, Weak};

use api::stats::NetStats;
use device::pci::Devfn;
use net::{FrameSink, Port};
use virtio::VirtioPci;
use virtio::net::Net;

use crate::board::{Board, Chips};
use crate::firmware::BootTarget;
use crate::setup::Network;
use crate::{BuildError, News, host};

/// Slot of the first card.
const FIRST_SLOT: u8 = 2;

/// A port of a card by its name in commands.
struct Jack {
    id: String,
    port: Arc<Port>,
}

impl Jack {
    fn stats(&self) -> NetStats {
        let now = self.port.counters();
        NetStats {
            device: self.id.clone(),
            received_bytes: now.received_bytes,
            received_frames: now.received,
            sent_bytes: now.sent_bytes,
            sent_frames: now.sent,
            dropped_frames: now.dropped,
        }
    }
}

/// All network cards of a machine.
pub(crate) struct Networks {
    jacks: Vec<Jack>,
}

impl Board {
    /// Puts the cards on the board. Gives them with the order to boot from them.
    pub(crate) fn add_networks(
        &mut self,
        networks: Vec<Network>,
        chips: &Chips,
        tell: impl Fn(News) + Clone + Send + 'static,
    ) -> Result<(Networks, Vec<BootTarget>), BuildError> {
        let mut jacks = Vec::new();
        let mut boot = Vec::new();
        for (slot, Network { id, mac, stream, link }) in (FIRST_SLOT..).zip(networks) {
            let (tell, name) = (tell.clone(), id.clone());
            let lost = move |why| {
                tracing::warn!("network {name}: {why}");
                tell(News::NetworkDown { id: name.clone() });
            };
            let port = Arc::new(Port::new(lost).map_err(host("threads"))?);
            if let Some(stream) = stream {
                port.plug(stream);
            }
            port.set_pulled(!link);
            let card = self.add_virtio(Devfn::new(slot, 0), Net::new(Arc::clone(&port), mac.0, None), &chips.lpc)?;
            let card: Weak<Mutex<dyn FrameSink>> = Arc::<Mutex<VirtioPci<Net>>>::downgrade(&card);
            port.connect(card);
            boot.push(BootTarget::Network { slot });
            jacks.push(Jack { id, port });
        }
        Ok((Networks { jacks }, boot))
    }
}

impl Networks {
    /// Lets frames through, or holds them back while the machine stands.
    pub(crate) fn set_running(&self, running: bool) {
        for jack in &self.jacks {
            jack.port.set_running(running);
        }
    }

    /// What `x-dormer-query-netstats` answers.
    pub(crate) fn stats(&self) -> Vec<NetStats> {
        self.jacks.iter().map(Jack::stats).collect()
    }

    /// Pulls a card's plug or puts it back; false when there is no such card.
    pub(crate) fn set_link(&self, id: &str, up: bool) -> bool {
        let jack = self.jacks.iter().find(|jack| jack.id == id);
        if let Some(jack) = jack {
            jack.port.set_pulled(!up);
        }
        jack.is_some()
    }
}
