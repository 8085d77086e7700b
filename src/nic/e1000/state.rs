//! The saved card.

use ::net::FrameSink;
use device::pci::PciCoreState;
use device::{RestoreError, State};
use serde::{Deserialize, Serialize};

use super::eeprom::Microwire;
use super::filter::Filter;
use super::interrupts::InterruptState;
use super::phy::{NEGOTIATION, Phy};
use super::receive::Receiver;
use super::registers::Control;
use super::statistics::Statistics;
use super::transmit::Transmitter;
use super::{ADDRESS_MASK, E1000};

/// The saved card.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct E1000State {
    core: PciCoreState,
    microwire: Microwire,
    eeprom_word: u32,
    mdi: u32,
    control: u32,
    vlan_type: u16,
    kept: Vec<u32>,
    address: u32,
    phy: Phy,
    interrupts: InterruptState,
    filter: Filter,
    receiver: Receiver,
    transmitter: Transmitter,
    statistics: Statistics,
}

impl State for E1000 {
    const KIND: &'static str = "e1000";
    type Saved = E1000State;

    fn save(&self) -> E1000State {
        let Self {
            core,
            port: _,
            clock: _,
            settled: _,
            send_on: _,
            mac: _,
            eeprom: _,
            microwire,
            eeprom_word,
            mdi,
            control,
            vlan_type,
            kept,
            address,
            phy,
            interrupts,
            filter,
            receiver,
            transmitter,
            statistics,
            frame: _,
        } = self;
        E1000State {
            core: core.save(),
            microwire: microwire.clone(),
            eeprom_word: *eeprom_word,
            mdi: *mdi,
            control: control.bits(),
            vlan_type: *vlan_type,
            kept: kept.to_vec(),
            address: *address,
            phy: phy.clone(),
            interrupts: interrupts.save(),
            filter: filter.clone(),
            receiver: receiver.clone(),
            transmitter: transmitter.clone(),
            statistics: statistics.clone(),
        }
    }

    fn restore(&mut self, saved: E1000State) -> Result<(), RestoreError> {
        let E1000State {
            core,
            microwire,
            eeprom_word,
            mdi,
            control,
            vlan_type,
            kept,
            address,
            mut phy,
            interrupts,
            filter,
            receiver,
            transmitter,
            statistics,
        } = saved;
        let kept = kept.try_into().map_err(|_| Self::impossible("number of registers"))?;
        if !microwire.is_possible() {
            return Err(Self::impossible("EEPROM state"));
        }
        if !filter.is_possible() {
            return Err(Self::impossible("filter"));
        }
        if !receiver.is_possible() || !transmitter.is_possible() {
            return Err(Self::impossible("ring"));
        }
        if !statistics.is_possible() {
            return Err(Self::impossible("number of counters"));
        }
        if address & !ADDRESS_MASK != 0 {
            return Err(Self::impossible("address"));
        }
        if !self.core.restore(core) {
            return Err(Self::impossible("PCI state"));
        }
        let now = self.clock.now();
        phy.settle_by(now + NEGOTIATION);
        (self.microwire, self.eeprom_word, self.mdi) = (microwire, eeprom_word, mdi);
        (self.control, self.vlan_type, self.kept) = (Control::from_bits_retain(control), vlan_type, kept);
        (self.address, self.phy, self.filter) = (address, phy, filter);
        (self.receiver, self.transmitter, self.statistics) = (receiver, transmitter, statistics);
        self.interrupts.restore(interrupts);
        match self.phy.settled_at() {
            Some(at) => self.settled.arm(at),
            None => self.settled.cancel(),
        }
        // The ring may have more than went at once.
        self.send_on.arm(now);
        // The cable may be another one.
        let up = self.port.link_up();
        self.link_changed(up);
        self.update_interrupt();
        Ok(())
    }
}
