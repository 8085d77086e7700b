//! Entropy device (VIRTIO 1.2 §5.4): fills the driver's buffers with random bytes.

use device::{RestoreError, State};
use serde::{Deserialize, Serialize};

use crate::queues::Queues;
use crate::virtio_device::{DeviceType, Identity, VirtioDevice};

const QUEUE: u16 = 0;
/// The most bytes that one request gets; drivers ask again. It bounds the time a request takes.
const MOST: usize = 64 * 1024;

/// Where random bytes come from.
pub trait EntropySource: Send {
    /// Fills `into`; false when there is none to be had. Called under the device's mutex, so it does not wait.
    fn fill(&mut self, into: &mut [u8]) -> bool;
}

/// The device.
pub struct Rng {
    source: Box<dyn EntropySource>,
}

/// Nothing: the device has no memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RngState {}

impl Rng {
    /// A device that draws from `source`.
    pub fn new(source: Box<dyn EntropySource>) -> Self {
        Self { source }
    }
}

impl VirtioDevice for Rng {
    fn identity(&self) -> Identity {
        Identity {
            device_type: DeviceType::Entropy,
            class: 0x00ff00,
            features: 0,
            queue_sizes: vec![64],
            config_length: 0,
        }
    }

    fn read_config(&self, _: u64, _: &mut [u8]) {}

    fn process(&mut self, _: u16, queues: &mut Queues) {
        while let Some(chain) = queues.pop(QUEUE) {
            let mut bytes = vec![0; chain.writable_len().min(MOST as u64) as usize];
            let filled = self.source.fill(&mut bytes) && chain.write_at(0, &bytes);
            let written = if filled { bytes.len() as u32 } else { 0 };
            queues.push(QUEUE, chain, written);
        }
    }

    fn reset(&mut self) {}
}

impl State for Rng {
    const KIND: &'static str = "virtio-rng";
    type Saved = RngState;

    fn save(&self) -> RngState {
        let Self { source: _ } = self;
        RngState {}
    }

    fn restore(&mut self, saved: RngState) -> Result<(), RestoreError> {
        let RngState {} = saved;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use device::bench::check_state;

    use super::*;
    use crate::driver::{Driver, Part};

    struct Fixed(Option<u8>);
    impl EntropySource for Fixed {
        fn fill(&mut self, into: &mut [u8]) -> bool {
            into.fill(self.0.unwrap_or_default());
            self.0.is_some()
        }
    }

    fn driver(byte: Option<u8>) -> Driver<Rng> {
        Driver::ready(Rng::new(Box::new(Fixed(byte))), 0)
    }

    #[test]
    fn fills_buffers() {
        let mut driver = driver(Some(7));
        assert_eq!(driver.ask(0, &[Part::In(5)], 0), Some((vec![7; 5], 5)));
        let request = driver.add(0, &[Part::In(3), Part::In(0x2_0000)]);
        driver.ring(0);
        assert_eq!(driver.used(0), Some((request.head, MOST as u32)));
        assert_eq!(driver.part(&request, 1)[MOST - 4..MOST], [7, 0, 0, 0]);
    }

    #[test]
    fn strange_requests_come_back_empty() {
        let mut driver = driver(Some(7));
        assert_eq!(driver.ask(0, &[Part::Out(b"abc")], 0), Some((b"abc".to_vec(), 0)));
        assert_eq!(driver.ask(0, &[Part::In(0)], 0), Some((vec![], 0)));
        let mut dry = super::tests::driver(None);
        assert_eq!(dry.ask(0, &[Part::In(4)], 0), Some((vec![0; 4], 0)));
    }

    #[test]
    fn state() {
        let mut driver = driver(Some(1));
        driver.ask(0, &[Part::In(5)], 0).unwrap();
        check_state(&mut *driver.function(), device::Device::reset);
    }

    #[test]
    fn noise() {
        driver(Some(1)).make_noise(0, |_, _| {});
    }
}
