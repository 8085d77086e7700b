//! A microphone.

use super::Gadget;
use crate::signal;

/// A microphone of the USB Audio Class 1.0: stereo, 16 bits, 48 kHz. What it hears is numbered: [`Microphone::frame`].
#[derive(Default)]
pub struct Microphone {
    heard: u32,
}

impl Microphone {
    /// What its product string says.
    pub const NAME: &'static str = "Dormer Test Microphone";
    /// The endpoint that it is heard by, an interface with the setting that it has there.
    pub const ENDPOINT: u8 = 0x81;
    /// The interface and the setting with that endpoint.
    pub const SETTING: (u8, u8) = (1, 1);
    /// Bytes of a packet.
    pub const PACKET: u32 = 192;

    /// The frame with this number, left and right, never silent.
    pub fn frame(number: u32) -> [i16; 2] {
        let left = (number.wrapping_mul(40_503) >> 3) as i16 | 1;
        [left, !left | 1]
    }

    /// These bytes are what it heard, without a gap; from which frame on, is said.
    #[track_caller]
    pub fn assert_recorded(bytes: &[u8]) {
        let samples = signal::from_bytes(bytes);
        let frames = samples.as_chunks::<2>().0;
        let is_first =
            |number: &u32| (*number..).zip(&frames[..8]).all(|(number, frame)| Self::frame(number) == *frame);
        let first = (0..500_000).find(is_first).expect("frames of the microphone's");
        println!("  recorded {} frames, from its {first} on", frames.len());
        let differs = (first..).zip(frames).find(|(number, frame)| Self::frame(*number) != **frame);
        assert_eq!(differs, None, "this frame differs");
    }
}

impl Gadget for Microphone {
    fn device(&self) -> Vec<u8> {
        // USB 1.1, class by interface, 64 bytes at endpoint 0; of nobody's numbers, with two strings.
        vec![18, 1, 0x10, 0x01, 0, 0, 0, 64, 0xf4, 0x46, 0xfe, 0xca, 0, 1, 1, 2, 0, 1]
    }

    #[rustfmt::skip]
    fn configuration(&self) -> Vec<u8> {
        vec![
            9, 2, 100, 0, 2, 1, 0, 0x80, 50,
            9, 4, 0, 0, 0, 1, 1, 0, 0,                 // Audio control
            9, 0x24, 1, 0x00, 0x01, 30, 0, 1, 1,       // with one streaming interface
            12, 0x24, 2, 1, 0x01, 0x02, 0, 2, 3, 0, 0, 0, // Input Terminal: a microphone, left and right
            9, 0x24, 3, 2, 0x01, 0x01, 0, 1, 0,        // Output Terminal: to the host
            9, 4, 1, 0, 0, 1, 2, 0, 0,                 // Streaming: nothing
            9, 4, 1, 1, 1, 1, 2, 0, 0,                 // and one endpoint
            7, 0x24, 1, 2, 1, 0x01, 0x00,              // of that terminal, PCM
            11, 0x24, 2, 1, 2, 2, 16, 1, 0x80, 0xbb, 0x00, // 2 channels, 2 bytes, 16 bits, 48000 Hz
            9, 5, Self::ENDPOINT, 0x05, 192, 0, 1, 0, 0, // isochronous, asynchronous
            7, 0x25, 1, 0, 0, 0, 0,
        ]
    }

    fn strings(&self) -> &[&str] {
        &["Dormer", Self::NAME]
    }

    fn give(&mut self, _endpoint: u8, most: usize) -> Vec<u8> {
        let frames = most.min(Self::PACKET as usize) / 4;
        let numbers = self.heard..self.heard + frames as u32;
        self.heard += frames as u32;
        numbers.flat_map(Self::frame).flat_map(i16::to_le_bytes).collect()
    }
}
