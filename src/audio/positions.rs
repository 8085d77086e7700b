//! Which channel is which, and how frames of one number of channels become frames of another.

use Position::{
    Centre, FrontLeft, FrontRight, LowFrequencies, Mono, RearCentre, RearLeft, RearRight, SideLeft, SideRight,
};

/// Where a channel is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    Mono,
    FrontLeft,
    FrontRight,
    RearLeft,
    RearRight,
    Centre,
    LowFrequencies,
    SideLeft,
    SideRight,
    RearCentre,
    /// Nowhere.
    None,
}

/// The order in which a frame has its channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// As guests and ALSA have it (ALSA's `snd_pcm_chmap` defaults).
    Alsa,
    /// As cpal asks PulseAudio for it (`PA_CHANNEL_MAP_DEFAULT`).
    Pulse,
}

/// How loud a channel is in its neighbours when it has no place of its own: 3 dB less.
const FOLDED: f32 = std::f32::consts::FRAC_1_SQRT_2;

impl Order {
    /// Positions of so many channels.
    fn of(self, channels: usize) -> Vec<Position> {
        const ALSA: [Position; 8] =
            [FrontLeft, FrontRight, RearLeft, RearRight, Centre, LowFrequencies, SideLeft, SideRight];
        let positions: &[Position] = match (self, channels) {
            (_, 1) => &[Mono],
            (Self::Pulse, 3) => &[FrontLeft, FrontRight, Centre],
            (Self::Pulse, 5) => &[FrontLeft, FrontRight, Centre, RearLeft, RearRight],
            (Self::Pulse, 6) => &[FrontLeft, FrontRight, Centre, LowFrequencies, RearLeft, RearRight],
            (Self::Pulse, 7) => &[FrontLeft, FrontRight, Centre, LowFrequencies, RearLeft, RearRight, RearCentre],
            (Self::Pulse, 8) => {
                &[FrontLeft, FrontRight, Centre, LowFrequencies, RearLeft, RearRight, SideLeft, SideRight]
            }
            _ => &ALSA[..channels.min(ALSA.len())],
        };
        let nowhere = std::iter::repeat(Position::None);
        positions.iter().copied().chain(nowhere).take(channels).collect()
    }
}

/// Parts of the channels of one frame in those of another.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mix {
    from: usize,
    to: usize,
    /// A row for each of the channels that come out.
    parts: Vec<f32>,
}

impl Mix {
    /// From frames of `from` channels to frames of `to`.
    pub(crate) fn new((from, from_order): (usize, Order), (to, to_order): (usize, Order)) -> Self {
        let (sources, targets) = (from_order.of(from), to_order.of(to));
        let mut mix = Self { from, to, parts: vec![0.0; from * to] };
        for (source, position) in sources.iter().enumerate() {
            for (part, heard_at) in heard(*position, &targets) {
                if let Some(target) = targets.iter().position(|target| *target == heard_at) {
                    mix.parts[target * from + source] += part;
                }
            }
        }
        mix
    }

    /// Channels that go in.
    pub(crate) fn from(&self) -> usize {
        self.from
    }

    /// Channels that come out.
    pub(crate) fn to(&self) -> usize {
        self.to
    }

    /// Mixes whole frames, as many as both have.
    pub(crate) fn frames(&self, from: &[f32], to: &mut [f32]) {
        for (from, to) in from.chunks_exact(self.from).zip(to.chunks_exact_mut(self.to)) {
            for (sample, parts) in to.iter_mut().zip(self.parts.chunks_exact(self.from)) {
                *sample = from.iter().zip(parts).map(|(sample, part)| sample * part).sum();
            }
        }
    }
}

/// Where a channel is heard, and how loud, if `targets` are all that there is.
fn heard(position: Position, targets: &[Position]) -> Vec<(f32, Position)> {
    let has = |position| targets.contains(&position);
    if has(position) {
        return vec![(1.0, position)];
    }
    if has(Mono) {
        // Both sides together are as loud as one was.
        return match position {
            LowFrequencies | Position::None => vec![],
            Centre => vec![(FOLDED, Mono)],
            _ => vec![(0.5, Mono)],
        };
    }
    let both = |part| vec![(part, FrontLeft), (part, FrontRight)];
    match position {
        Mono if has(FrontRight) => both(1.0),
        Mono => vec![(1.0, FrontLeft)],
        Centre => both(FOLDED),
        RearCentre if has(RearLeft) => vec![(FOLDED, RearLeft), (FOLDED, RearRight)],
        RearCentre => both(0.5),
        RearLeft if has(SideLeft) => vec![(1.0, SideLeft)],
        RearRight if has(SideRight) => vec![(1.0, SideRight)],
        SideLeft if has(RearLeft) => vec![(1.0, RearLeft)],
        SideRight if has(RearRight) => vec![(1.0, RearRight)],
        RearLeft | SideLeft => vec![(FOLDED, FrontLeft)],
        RearRight | SideRight => vec![(FOLDED, FrontRight)],
        LowFrequencies | Position::None | FrontLeft | FrontRight => vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mixed(from: usize, to: (usize, Order), frame: &[f32]) -> Vec<f32> {
        let mut out = vec![9.0; to.0];
        Mix::new((from, Order::Alsa), to).frames(frame, &mut out);
        out
    }

    #[test]
    fn the_same_stays_the_same() {
        for channels in 1..=8 {
            let frame: Vec<f32> = (1..=channels).map(|at| at as f32).collect();
            assert_eq!(mixed(channels, (channels, Order::Alsa), &frame), frame);
        }
    }

    #[test]
    fn servers_have_another_order_of_six_and_eight() {
        let six = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        assert_eq!(mixed(6, (6, Order::Pulse), &six), [1.0, 2.0, 5.0, 6.0, 3.0, 4.0]);
        let eight = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        assert_eq!(mixed(8, (8, Order::Pulse), &eight), [1.0, 2.0, 5.0, 6.0, 3.0, 4.0, 7.0, 8.0]);
    }

    #[test]
    fn fewer_speakers_hear_everything_and_sides_stay_sides() {
        assert_eq!(mixed(1, (2, Order::Pulse), &[0.5]), [0.5, 0.5]);
        assert_eq!(mixed(2, (1, Order::Pulse), &[0.5, 0.25]), [0.375]);
        for channel in 0..8 {
            let mut frame = [0.0; 8];
            frame[channel] = 1.0;
            let out = mixed(8, (2, Order::Pulse), &frame);
            let sides = [out[0] > 0.0, out[1] > 0.0];
            assert_eq!(sides, [matches!(channel, 0 | 2 | 4 | 6), matches!(channel, 1 | 3 | 4 | 7)], "{channel}");
        }
    }

    #[test]
    fn many_speakers_are_no_trouble() {
        for to in 1..=32 {
            for order in [Order::Alsa, Order::Pulse] {
                assert_eq!(mixed(2, (to, order), &[1.0, 1.0]).len(), to);
            }
        }
    }
}
