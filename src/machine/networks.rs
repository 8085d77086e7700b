//! Network cards and their cables.

use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, Weak};

use api::control::NetworkStatus;
use api::machine::{MacAddress, NetworkModel};
use chipset::Lpc;
use device::pci::Devfn;
use net::{Cable, Counters, FrameSink, Port, Unfinished};
use nic::E1000;
use virtio::VirtioPci;
use virtio::net::Net;

use crate::board::{Board, Chips, lock};
use crate::firmware::BootTarget;
use crate::setup::Network;
use crate::{BuildError, News, host};

/// Slot of the first card.
const FIRST_SLOT: u8 = 2;
/// Most bytes of a card's ROM.
const ROM: usize = 1 << 20;

/// What a card cannot do.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// No such card.
    #[error("there is no network card named {0}")]
    NoCard(String),
    /// The file of a capture cannot be used.
    #[error("the capture does not begin: {0}")]
    Capture(#[source] io::Error),
    /// Nothing is being captured.
    #[error("nothing of {0} is being captured")]
    NoCapture(String),
    /// The capture has ended, and its file is not whole.
    #[error("the capture of {0} is not whole: {1}")]
    Unfinished(String, #[source] Unfinished),
}

/// A port of a card by its name in commands.
struct Jack {
    id: String,
    mac: MacAddress,
    /// What it is connected to, in the desk's words.
    network: String,
    plugged: bool,
    port: Arc<Port>,
}

/// All network cards of a machine.
pub struct Networks {
    jacks: Vec<Jack>,
    tell: Arc<dyn Fn(News) + Send + Sync>,
}

impl Board {
    /// Puts the cards on the board. Gives them with what firmware calls each.
    pub(crate) fn add_networks(
        &mut self,
        networks: Vec<Network>,
        chips: &Chips,
        tell: impl Fn(News) + Clone + Send + Sync + 'static,
    ) -> Result<(Networks, Vec<(String, BootTarget)>), BuildError> {
        let mut jacks = Vec::new();
        let mut boot = Vec::new();
        for (slot, Network { id, model, rom, mac, network, cable, link: plugged }) in (FIRST_SLOT..).zip(networks) {
            let (tell, name) = (tell.clone(), id.clone());
            let lost = move |why| {
                tracing::warn!("network {name}: {why}");
                tell(News::NetworkDown { id: name.clone() });
            };
            let port = Arc::new(Port::new(lost).map_err(host("threads"))?);
            if let Some(cable) = cable {
                port.plug(cable);
            }
            port.set_pulled(!plugged);
            let devfn = Devfn::new(slot, 0);
            let card: Weak<Mutex<dyn FrameSink>> = match model {
                NetworkModel::Virtio => {
                    let card = self.add_virtio(devfn, Net::new(Arc::clone(&port), mac.0, None), &chips.lpc)?;
                    Arc::<Mutex<VirtioPci<Net>>>::downgrade(&card)
                }
                NetworkModel::E1000 => {
                    let card = self.add_e1000(devfn, Arc::clone(&port), mac, rom, &chips.lpc)?;
                    Arc::<Mutex<E1000>>::downgrade(&card)
                }
            };
            port.connect(card);
            boot.push((id.clone(), BootTarget::Network { slot }));
            jacks.push(Jack { id, mac, network, plugged, port });
        }
        Ok((Networks { jacks, tell: Arc::new(tell) }, boot))
    }

    fn add_e1000(
        &mut self,
        devfn: Devfn,
        port: Arc<Port>,
        mac: MacAddress,
        rom: Option<Vec<u8>>,
        lpc: &Mutex<Lpc>,
    ) -> Result<Arc<Mutex<E1000>>, BuildError> {
        let rom = self.option_rom("dormer-card-rom", rom, ROM)?;
        let (dma, msi, clock) = (self.dma(), self.msi.clone(), self.clock.clone());
        let card = self.keep_timed(|timer| E1000::new(port, mac.0, rom, dma, msi, clock, nic::Timers::new(timer)));
        lock(&card).connect_intx(Self::inta(lpc, devfn.device()));
        self.plug(devfn, card.clone());
        Ok(card)
    }
}

impl Networks {
    /// Lets frames through, or holds them back while the machine stands.
    pub(crate) fn set_running(&self, running: bool) {
        for jack in &self.jacks {
            jack.port.set_running(running);
        }
    }

    fn jack(&mut self, id: &str) -> Result<&mut Jack, NetworkError> {
        self.jacks.iter_mut().find(|jack| jack.id == id).ok_or_else(|| NetworkError::NoCard(id.to_owned()))
    }

    /// Pulls a card's plug or puts it back.
    pub fn set_link(&mut self, id: &str, up: bool) -> Result<(), NetworkError> {
        let jack = self.jack(id)?;
        jack.plugged = up;
        jack.port.set_pulled(!up);
        Ok(())
    }

    /// Plugs a card's cable in somewhere else.
    pub fn connect(&mut self, id: &str, network: String, cable: Cable) -> Result<(), NetworkError> {
        let jack = self.jack(id)?;
        jack.network = network;
        jack.port.plug(cable);
        Ok(())
    }

    /// Writes what goes through a card to `file`, until the end or until the disk refuses, which is news.
    pub fn capture(&mut self, id: &str, file: File) -> Result<(), NetworkError> {
        let (tell, name) = (Arc::clone(&self.tell), id.to_owned());
        let failed = move |error: io::Error| {
            tracing::warn!("the capture of {name} ends: {error}");
            tell(News::CaptureFailed { id: name, why: error.to_string() });
        };
        let jack = self.jack(id)?;
        jack.port.capture(file, id, jack.mac.0, failed).map_err(NetworkError::Capture)
    }

    /// Ends a capture, whose file is whole then.
    pub fn end_capture(&mut self, id: &str) -> Result<(), NetworkError> {
        match self.jack(id)?.port.end_capture() {
            Ok(true) => Ok(()),
            Ok(false) => Err(NetworkError::NoCapture(id.to_owned())),
            Err(why) => Err(NetworkError::Unfinished(id.to_owned(), why)),
        }
    }

    /// What each card is connected to, and what went through.
    pub fn status(&self) -> Vec<NetworkStatus> {
        let status = |Jack { id, mac, network, plugged, port }: &Jack| {
            let Counters { sent, sent_bytes, dropped, received, received_bytes } = port.counters();
            NetworkStatus {
                device: id.clone(),
                mac: *mac,
                network: network.clone(),
                plugged: *plugged,
                link: port.link_up(),
                sent,
                sent_bytes,
                dropped,
                received,
                received_bytes,
                captured: port.is_captured(),
            }
        };
        self.jacks.iter().map(status).collect()
    }
}
