//! The jack on the back of a stream, and the device behind it.
//!
//! Contract: a device calls its jacks under its own mutex; they return at once and never call back. Whoever is plugged in calls [`Pcm`]
//! from one thread, under the device's mutex and with no lock of its own, and only while the machine runs. A stream that was stopped
//! under that mutex may be asked for frames once more; a device looks at its own state.

/// What a stream's frames are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Frames a second.
    pub rate: u32,
    /// Samples of a frame, 1 to 8: front left and right, rear left and right, centre, low frequencies, side left and right.
    pub channels: u8,
}

/// The outside of one stream, as its device sees it.
pub trait Jack: Send + Sync {
    /// The stream runs from now on, with frames like this.
    fn start(&self, shape: Shape);
    /// It stands still.
    fn stop(&self);
    /// Frames that the device has played and nobody has heard yet.
    fn delay(&self) -> u32;
}

/// A sound device, as what is plugged into its jacks sees it. Streams have the device's own numbers.
pub trait Pcm: Send {
    /// The next frames of playback stream `stream` into `samples`, whole frames of them; how many frames there were. For the rest of
    /// them the guest is late, and they are silence.
    fn play(&mut self, stream: u32, samples: &mut [i32]) -> usize;
    /// Capture stream `stream` takes these, whole frames of them; how many frames it had room for. The rest is lost.
    fn record(&mut self, stream: u32, samples: &[i32]) -> usize;
    /// Every stream that runs has had its turn: the place for one interrupt for all of them.
    fn turn_done(&mut self) {}
}
