//! Samples as guests have them in memory, and as everybody else does.

/// How a sample stands in guest memory, little endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// A byte, silence is 80h.
    U8,
    /// 16 bits.
    S16,
    /// 24 bits in the low part of 32; the rest means nothing.
    S24,
    /// 32 bits; of 20 or 24 bits the high ones.
    S32,
    /// IEEE 754, full scale is 1.
    F32,
}

impl Encoding {
    /// Bytes of a sample.
    pub const fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::S16 => 2,
            Self::S24 | Self::S32 | Self::F32 => 4,
        }
    }

    /// The samples in `bytes`, as many as both have room for.
    pub fn decode(self, bytes: &[u8], samples: &mut [i32]) {
        for (sample, bytes) in samples.iter_mut().zip(bytes.chunks_exact(self.bytes())) {
            *sample = match (self, bytes) {
                (Self::U8, &[byte]) => i32::from_be_bytes([byte ^ 0x80, 0, 0, 0]),
                (Self::S16, &[low, high]) => i32::from_le_bytes([0, 0, low, high]),
                (Self::S24, &[low, middle, high, _]) => i32::from_le_bytes([0, low, middle, high]),
                (Self::S32, &[a, b, c, d]) => i32::from_le_bytes([a, b, c, d]),
                (Self::F32, &[a, b, c, d]) => of_float(f32::from_le_bytes([a, b, c, d])),
                _ => 0,
            };
        }
    }

    /// `samples` as bytes, as many as both have room for. Narrower encodings are cut, not dithered: what came from one goes back whole.
    pub fn encode(self, samples: &[i32], bytes: &mut [u8]) {
        for (sample, bytes) in samples.iter().zip(bytes.chunks_exact_mut(self.bytes())) {
            let [a, b, c, d] = sample.to_le_bytes();
            match self {
                Self::U8 => bytes.copy_from_slice(&[d ^ 0x80]),
                Self::S16 => bytes.copy_from_slice(&[c, d]),
                // The sign goes on into the byte that means nothing.
                Self::S24 => bytes.copy_from_slice(&(sample >> 8).to_le_bytes()),
                Self::S32 => bytes.copy_from_slice(&[a, b, c, d]),
                Self::F32 => bytes.copy_from_slice(&to_float(*sample).to_le_bytes()),
            }
        }
    }
}

/// Full scale is 2³¹; what is louder is cut, and what is no number is silence.
fn of_float(sample: f32) -> i32 {
    (f64::from(sample) * 2_147_483_648.0) as i32
}

fn to_float(sample: i32) -> f32 {
    (f64::from(sample) / 2_147_483_648.0) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Encoding; 5] = [Encoding::U8, Encoding::S16, Encoding::S24, Encoding::S32, Encoding::F32];

    fn decoded(encoding: Encoding, bytes: &[u8]) -> i32 {
        let mut sample = [77];
        encoding.decode(bytes, &mut sample);
        sample[0]
    }

    #[test]
    fn full_scale_and_silence() {
        for (encoding, least, silence, most) in [
            (Encoding::U8, &[0][..], &[0x80][..], &[0xff][..]),
            (Encoding::S16, &[0, 0x80], &[0, 0], &[0xff, 0x7f]),
            (Encoding::S24, &[0, 0, 0x80, 9], &[0, 0, 0, 9], &[0xff, 0xff, 0x7f, 9]),
            (Encoding::S32, &[0, 0, 0, 0x80], &[0, 0, 0, 0], &[0xff, 0xff, 0xff, 0x7f]),
            (Encoding::F32, &[0, 0, 0x80, 0xbf], &[0, 0, 0, 0x80], &[0, 0, 0x80, 0x3f]),
        ] {
            assert_eq!(decoded(encoding, least), i32::MIN, "{encoding:?}");
            assert_eq!(decoded(encoding, silence), 0, "{encoding:?}");
            assert!(decoded(encoding, most) > i32::MAX - (1 << 24), "{encoding:?}");
        }
        for (float, sample) in
            [(2.0, i32::MAX), (-1.5, i32::MIN), (f32::NAN, 0), (f32::INFINITY, i32::MAX), (0.5, 1 << 30)]
        {
            assert_eq!(decoded(Encoding::F32, &f32::to_le_bytes(float)), sample, "{float}");
        }
    }

    #[test]
    fn what_came_from_a_guest_goes_back_whole() {
        for encoding in ALL {
            for pattern in 0..=255u8 {
                let mut bytes: Vec<u8> =
                    (0..encoding.bytes() as u8).map(|at| pattern.wrapping_mul(at * 2 + 1)).collect();
                match encoding {
                    // Sign extended.
                    Encoding::S24 => bytes[3] = if bytes[2] & 0x80 == 0 { 0 } else { 0xff },
                    Encoding::F32 => bytes = (f32::from(pattern) / 256.0 - 0.5).to_le_bytes().to_vec(),
                    _ => {}
                }
                let mut again = vec![0; bytes.len()];
                encoding.encode(&[decoded(encoding, &bytes)], &mut again);
                assert_eq!(bytes, again, "{encoding:?}");
            }
        }
    }

    #[test]
    fn parts_of_samples_are_left_alone() {
        let mut samples = [5; 3];
        Encoding::S16.decode(&[0, 1, 0, 2, 3], &mut samples);
        assert_eq!(samples, [1 << 24, 2 << 24, 5]);
        let mut bytes = [9; 3];
        Encoding::S16.encode(&samples, &mut bytes);
        assert_eq!(bytes, [0, 1, 9]);
    }
}
