//! Port 0x80, where firmware writes how far it got and old drivers write to pass a microsecond: a latch, as on a board with a
//! two-digit display.

use device::{Device, PortIo, RestoreError, Size, State};

/// The port.
#[derive(Debug, Default)]
pub struct PostCode {
    code: u8,
}

impl PostCode {
    /// The last code that the guest wrote.
    pub fn code(&self) -> u8 {
        self.code
    }
}

impl PortIo for PostCode {
    fn read(&mut self, _: u16, _: Size) -> u32 {
        0xffff_ff00 | u32::from(self.code)
    }

    fn write(&mut self, _: u16, _: Size, value: u32) {
        self.code = value as u8;
    }
}

impl Device for PostCode {
    fn reset(&mut self) {
        self.code = 0;
    }
}

impl State for PostCode {
    const KIND: &'static str = "post-code";
    type Saved = u8;

    fn save(&self) -> u8 {
        let Self { code } = self;
        *code
    }

    fn restore(&mut self, code: u8) -> Result<(), RestoreError> {
        self.code = code;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_last_code() {
        let mut port = PostCode::default();
        port.write(0, Size::Word, 0x1255);
        assert_eq!(port.code(), 0x55);
        device::bench::check_state(&mut port, |port| port.reset());
        assert_eq!(port.read(0, Size::Byte) as u8, 0x55);
    }
}
