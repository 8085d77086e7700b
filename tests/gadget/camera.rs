//! A webcam.

use super::Gadget;

/// A camera of the USB Video Class 1.0: 160 × 120, YUY2, 25 frames a second. Its pictures are numbered: [`Camera::picture`].
#[derive(Default)]
pub struct Camera {
    /// The next picture's; the one that is being sent, and how much of it has been.
    number: u32,
    picture: Vec<u8>,
    sent: usize,
}

const WIDTH: u16 = 160;
const HEIGHT: u16 = 120;
/// Bytes of a picture; of a packet, with what stands before its data.
const PICTURE: usize = 2 * WIDTH as usize * HEIGHT as usize;
const PACKET: u16 = 962;
const HEADER: usize = 2;
/// Between two pictures, in 100 ns: a packet comes each millisecond.
const INTERVAL: u32 = (PICTURE / (PACKET as usize - HEADER)) as u32 * 10_000;

impl Camera {
    /// What its product string says.
    pub const NAME: &'static str = "Dormer Test Camera";

    /// The picture with this number.
    pub fn picture(number: u32) -> Vec<u8> {
        let rest = (4..PICTURE as u32).map(|at| (at.wrapping_mul(2_654_435_761) ^ number.wrapping_mul(40_503)) as u8);
        number.to_le_bytes().into_iter().chain(rest).collect()
    }

    /// These bytes are so many pictures, each whole, and one after the other.
    #[track_caller]
    pub fn assert_filmed(bytes: &[u8], count: usize) {
        let pictures: Vec<_> = bytes.chunks(PICTURE).collect();
        assert_eq!(pictures.len(), count, "pictures");
        let number = |picture: &[u8]| u32::from_le_bytes(picture[..4].try_into().expect("four bytes"));
        for picture in &pictures {
            assert!(**picture == Self::picture(number(picture)), "the picture numbered {} differs", number(picture));
        }
        let numbers: Vec<_> = pictures.iter().map(|picture| number(picture)).collect();
        assert!(numbers.is_sorted_by(|one, next| one + 1 == *next), "none is missing: {numbers:?}");
    }
}

impl Gadget for Camera {
    fn device(&self) -> Vec<u8> {
        // USB 2.0, of several interfaces that belong together, 64 bytes at endpoint 0; of nobody's numbers, with two strings.
        vec![18, 1, 0x00, 0x02, 0xef, 2, 1, 64, 0xf4, 0x46, 0xfd, 0xca, 0, 1, 1, 2, 0, 1]
    }

    #[rustfmt::skip]
    fn configuration(&self) -> Vec<u8> {
        let [width, height, packet] = [WIDTH, HEIGHT, PACKET].map(u16::to_le_bytes);
        let picture = (PICTURE as u32).to_le_bytes();
        let interval = INTERVAL.to_le_bytes();
        let rate = (PICTURE as u32 * 8 * 25).to_le_bytes();
        let yuy2 = [0x59, 0x55, 0x59, 0x32, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71];
        let frame = [&width[..], &height, &rate, &rate, &picture, &interval].concat();
        [
            &[9, 2, 168, 0, 2, 1, 0, 0x80, 50][..],
            &[8, 11, 0, 2, 14, 3, 0, 0],                    // Both interfaces are one function
            &[9, 4, 0, 0, 0, 14, 1, 0, 0],                  // Video control
            &[13, 0x24, 1, 0x00, 0x01, 40, 0, 0, 0x6c, 0xdc, 2, 1, 1], // at 48 MHz, with one streaming interface
            &[18, 0x24, 2, 1, 0x01, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0], // Input Terminal: a camera
            &[9, 0x24, 3, 2, 0x01, 0x01, 0, 1, 0],          // Output Terminal: to the host
            &[9, 4, 1, 0, 0, 14, 2, 0, 0],                  // Streaming: nothing
            &[14, 0x24, 1, 1, 77, 0, 0x81, 0, 2, 0, 0, 0, 1, 0], // one format, by that endpoint
            &[27, 0x24, 4, 1, 1], &yuy2, &[16, 1, 0, 0, 0, 0], // without compression, 16 bits
            &[30, 0x24, 5, 1, 0], &frame, &[1], &interval,  // one size, one rate
            &[6, 0x24, 13, 1, 1, 4],                        // the usual colours
            &[9, 4, 1, 1, 1, 14, 2, 0, 0],                  // Streaming
            &[7, 5, 0x81, 0x05], &packet, &[1],             // isochronous, asynchronous
        ].concat()
    }

    fn strings(&self) -> &[&str] {
        &["Dormer", Self::NAME]
    }

    /// What is negotiated (UVC 1.0, 4.3.1.1) is what there is.
    fn answer(&self, setup: [u8; 8]) -> Option<Vec<u8>> {
        const GET_LENGTH: u8 = 0x85;
        const GET_INFO: u8 = 0x86;
        let (interface, request) = (setup[4], setup[1]);
        if interface != 1 {
            return None;
        }
        Some(match request {
            GET_LENGTH => vec![26, 0],
            // It can be asked, and set.
            GET_INFO => vec![3],
            _ => {
                let chosen = [&[1, 0, 1, 1][..], &INTERVAL.to_le_bytes(), &[0; 10]].concat();
                [chosen, (PICTURE as u32).to_le_bytes().into(), u32::from(PACKET).to_le_bytes().into()].concat()
            }
        })
    }

    fn give(&mut self, _endpoint: u8, most: usize) -> Vec<u8> {
        let Some(room) = most.min(PACKET.into()).checked_sub(HEADER) else { return Vec::new() };
        if self.sent == self.picture.len() {
            self.picture = Self::picture(self.number);
            (self.number, self.sent) = (self.number + 1, 0);
        }
        let end = PICTURE.min(self.sent + room);
        // Which of two pictures, is it its end, and that this is all there is of a header (2.4.3.3).
        let flags = (self.number & 1) as u8 | u8::from(end == PICTURE) << 1 | 0x80;
        let packet = [&[HEADER as u8, flags], &self.picture[self.sent..end]].concat();
        self.sent = end;
        packet
    }
}
