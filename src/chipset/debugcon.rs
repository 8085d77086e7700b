//! The debug console that SeaBIOS and OVMF write their logs to, as Bochs and QEMU have it: one port (0x402), which reads as
//! 0xe9 so that firmware can tell that it is there, and whose writes are characters.

use device::{Device, PortIo, RestoreError, Size, State};

use crate::ByteSink;

/// What a read gives: "something is listening".
const PRESENT: u32 = 0xe9;

/// One debug port.
pub struct Debugcon {
    sink: Box<dyn ByteSink>,
}

impl Debugcon {
    /// A port whose characters go to `sink`.
    pub fn new(sink: Box<dyn ByteSink>) -> Self {
        Self { sink }
    }
}

impl PortIo for Debugcon {
    fn read(&mut self, _: u16, _: Size) -> u32 {
        0xffff_ff00 | PRESENT
    }

    fn write(&mut self, _: u16, _: Size, value: u32) {
        self.sink.byte(value as u8);
    }
}

impl Device for Debugcon {
    fn reset(&mut self) {}
}

impl State for Debugcon {
    const KIND: &'static str = "debugcon";
    type Saved = ();

    fn save(&self) {
        let Self { sink: _ } = self;
    }

    fn restore(&mut self, (): ()) -> Result<(), RestoreError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn says_it_is_there_and_passes_characters() {
        let (sender, receiver) = mpsc::channel();
        let mut port = Debugcon::new(Box::new(move |byte| sender.send(byte).unwrap()));
        assert_eq!(port.read(0, Size::Byte) as u8, 0xe9);
        for (character, size) in [(0x4f, Size::Byte), (0x1234_4b, Size::Dword)] {
            port.write(0, size, character);
        }
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), b"OK");
        port.reset();
        port.save();
        assert!(port.restore(()).is_ok());
    }
}
