//! A signal to be played and known again: noise, in which no two places are alike, and which is never silent.

use std::path::Path;

/// Bytes of a WAV file of QEMU's before its samples.
const WAV_HEADER: usize = 44;

/// So many frames of it, left and right.
pub fn noise(frames: usize) -> Vec<i16> {
    let mut state = 1_u32;
    let sample = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 16) as i16) | 1
    };
    (0..frames * 2).map(sample).collect()
}

/// Samples as bytes, the lower one first.
pub fn to_bytes(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

/// And back; half a sample at the end is left out.
pub fn from_bytes(bytes: &[u8]) -> Vec<i16> {
    bytes.as_chunks::<2>().0.iter().map(|bytes| i16::from_le_bytes(*bytes)).collect()
}

/// The file of the host's loudspeakers, which QEMU writes, has what was played, whole, and each sample as it was but for the rounding of
/// floating point on the way.
#[track_caller]
pub fn assert_came_out(file: &Path, played: &[i16]) {
    let bytes = std::fs::read(file).expect("what came out");
    let samples = from_bytes(&bytes[WAV_HEADER..]);
    let same = |(heard, played): (&i16, &i16)| heard.abs_diff(*played) <= 1;
    let is_first = |at: &usize| samples[*at..].iter().zip(played).take(64).all(same);
    let begins = (0..samples.len().saturating_sub(64)).step_by(2).find(is_first);
    let begins = begins.expect("it is heard from its beginning");
    println!("  {} samples came out, the signal from {begins} on", samples.len());
    let differs = samples[begins..].iter().zip(played).position(|both| !same(both));
    assert_eq!(differs, None, "of {} samples: this one differs", played.len());
    assert!(samples.len() - begins >= played.len(), "it is heard to its end");
}
