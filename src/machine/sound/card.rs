//! The sound card on the board, where every ICH9 has its own.

use std::sync::{Arc, Mutex, Weak};

use api::machine::SoundCard;
use chipset::Lpc;
use device::pci::{Devfn, PciFunction};
use sound::{Hda, Pcm};
use virtio::VirtioPci;

use super::{Direction, Sound};
use crate::board::{Board, lock};
use crate::{BuildError, host};

/// Device 27 of the I/O controller hub.
const PLACE: Devfn = Devfn::new(0x1b, 0);

impl Board {
    /// Puts the card on the board. Gives the way of its sound, if there is a card; `confine` runs first on that way's thread.
    pub(crate) fn add_sound(
        &mut self,
        card: SoundCard,
        lpc: &Mutex<Lpc>,
        confine: impl FnOnce() + Send + 'static,
    ) -> Result<Option<Arc<Sound>>, BuildError> {
        if card == SoundCard::None {
            return Ok(None);
        }
        let sound = Sound::new(&[Direction::Playback, Direction::Capture], confine).map_err(host("threads"))?;
        let [line_out, microphone] = [0, 1].map(|stream| sound.jack(stream).expect("one for each direction"));
        let device: Weak<Mutex<dyn Pcm>> = match card {
            SoundCard::None => return Ok(None),
            SoundCard::Hda => {
                let card = Hda::new(line_out, microphone, self.clock.clone(), self.dma(), self.msi.clone());
                let card = self.keep(card);
                lock(&card).core_mut().connect_intx(Self::inta(lpc, PLACE.device()));
                self.plug(PLACE, card.clone());
                Arc::<Mutex<Hda>>::downgrade(&card)
            }
            SoundCard::Virtio => {
                let card = self.add_virtio(PLACE, virtio::sound::Sound::new(line_out, microphone), lpc)?;
                Arc::<Mutex<VirtioPci<virtio::sound::Sound>>>::downgrade(&card)
            }
        };
        sound.connect(device);
        Ok(Some(Arc::new(sound)))
    }
}
