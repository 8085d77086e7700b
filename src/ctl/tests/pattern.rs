//! What the stand-in engine plays: samples of which each says where it belongs, and none is silence.

/// A sample of a frame.
pub(crate) fn sample(frame: u32, channel: u32) -> i32 {
    // An odd factor loses nothing, and uses all bits.
    (frame * 8 + channel + 1).wrapping_mul(0x9e37_79b1) as i32
}

/// Whole frames from the first one on.
pub(crate) fn frames(count: u32, channels: u32) -> Vec<i32> {
    (0..count).flat_map(|frame| (0..channels).map(move |channel| sample(frame, channel))).collect()
}
