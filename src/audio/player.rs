//! What a playback device's callback does: frames out of the guest's ring, as the device wants them.
//!
//! [`Player::fill`] neither waits nor allocates. What the ring does not have is silence.

use std::sync::Arc;
use std::time::{Duration, Instant};

use api::pcm::{Bell, Consumer, Ring};

use crate::controls::Controls;
use crate::positions::{Mix, Order};
use crate::rate::Rate;

/// A device that is given frames too late so often in so short a time is to have longer periods.
const LATE: u32 = 3;
const LATE_TIME: Duration = Duration::from_secs(10);
/// Frames that are worked on at once.
const BLOCK: usize = 256;
/// Between the time that a device takes at once and the one that the engine needs to fill up: milliseconds.
const MARGIN: u32 = 8;
/// What a device takes in so short a time, it takes at once, for all that the engine can do.
const AT_ONCE: Duration = Duration::from_millis(4);
/// Who stood for so long has the engine play to nobody, and goes on with the newest.
const STOOD: Duration = Duration::from_millis(200);
/// A gap of less is one that should not be; the margin grows by [`STEP`] for it, in milliseconds, up to [`MOST`], and shrinks again
/// by as much when there was none for [`CALM`].
const GAP: Duration = Duration::from_millis(100);
const STEP: u32 = 4;
const MOST: u32 = 60;
const CALM: Duration = Duration::from_secs(20);

/// A ring and the way of its frames to a device.
pub(crate) struct Player {
    source: Source,
    rate: Option<Rate>,
    bell: Arc<Bell>,
    controls: Arc<Controls>,
    mix: Mix,
    /// What samples were multiplied by last.
    gain: f32,
    block: Vec<f32>,
    last: Instant,
    /// Frames that the device took at once, so far, since when, and the most that it did, lately.
    taken: usize,
    taken_since: Instant,
    burst: f32,
    extra: u32,
    /// Since when frames are missing.
    gap: Option<Instant>,
    /// When the margin changed.
    changed: Instant,
    /// How often it was too late since then.
    late: u32,
    late_since: Instant,
    target: Target,
}

/// The device that is played on.
pub(crate) struct Target {
    /// Frames a second.
    pub(crate) rate: u32,
    /// Samples of a frame.
    pub(crate) channels: (usize, Order),
    /// What it was asked to take at once; it has twice as much in hand.
    pub(crate) period: Duration,
    /// Called when that is too short for this computer, which happens when sound has broken several times.
    pub(crate) strained: Box<dyn FnMut() + Send>,
}

/// The ring, as floats.
struct Source {
    consumer: Consumer,
    raw: Vec<i32>,
    /// Frames that it did not have since somebody looked.
    missing: usize,
    had: usize,
}

impl Source {
    fn read(&mut self, samples: &mut [f32]) {
        let channels = usize::from(self.consumer.ring().layout().channels);
        for part in samples.chunks_mut(self.raw.len()) {
            let raw = &mut self.raw[..part.len()];
            let frames = self.consumer.read(raw);
            self.had += frames;
            self.missing += part.len() / channels - frames;
            let (there, not) = part.split_at_mut(frames * channels);
            for (sample, raw) in there.iter_mut().zip(raw) {
                *sample = *raw as f32 / 2_147_483_648.0;
            }
            not.fill(0.0);
        }
    }
}

impl Player {
    /// The ring came at `since`, or was last read then.
    pub(crate) fn new(
        ring: Arc<Ring>,
        bell: Arc<Bell>,
        controls: Arc<Controls>,
        target: Target,
        since: Instant,
    ) -> Option<Self> {
        let layout = ring.layout();
        let channels = usize::from(layout.channels);
        let rate = match layout.rate == target.rate {
            true => None,
            false => Some(Rate::new(layout.rate, target.rate, channels)?),
        };
        let source = Source { consumer: Consumer::new(ring), raw: vec![0; BLOCK * channels], missing: 0, had: 0 };
        let gain = controls.gain();
        Some(Self {
            source,
            rate,
            bell,
            controls,
            mix: Mix::new((channels, Order::Alsa), target.channels),
            gain,
            block: vec![0.0; BLOCK * channels],
            last: since,
            taken: 0,
            taken_since: since,
            burst: 0.0,
            extra: 0,
            gap: None,
            changed: since,
            late: 0,
            late_since: since,
            target,
        })
    }

    /// The device wants `out` filled with whole frames, and plays them `later`.
    pub(crate) fn fill(&mut self, out: &mut [f32], later: Duration, now: Instant) {
        let passed = now.saturating_duration_since(self.last);
        if passed > STOOD {
            self.source.consumer.skip_to_newest(0);
        }
        if passed > AT_ONCE {
            self.watch(passed, now);
        }
        if passed > AT_ONCE || !self.is_taking_at_once(now) {
            (self.taken, self.taken_since) = (0, now);
        }
        self.taken += out.len() / self.mix.to();
        self.last = now;
        let gain = self.controls.gain();
        let mut peak = 0.0_f32;
        for out in out.chunks_mut(BLOCK * self.mix.to()) {
            let frames = out.len() / self.mix.to();
            let block = &mut self.block[..frames * self.mix.from()];
            match &mut self.rate {
                None => self.source.read(block),
                Some(rate) => rate.fill(block, |samples| self.source.read(samples)),
            }
            self.mix.frames(block, out);
            // Turned, not switched: a step is a click.
            let step = (gain - self.gain) / frames.max(1) as f32;
            for frame in out.chunks_exact_mut(self.mix.to()) {
                self.gain += step;
                for sample in frame {
                    *sample = (*sample * self.gain).clamp(-1.0, 1.0);
                    peak = peak.max(sample.abs());
                }
            }
            self.gain = gain;
        }
        self.controls.played(peak);
        self.say_what_is_wanted(later, now);
        self.bell.ring();
    }

    /// Has it taken more than a device does that comes often and takes little? Not what passes meanwhile, but twice that and more; and
    /// nothing takes longer than a second at once.
    fn is_taking_at_once(&self, now: Instant) -> bool {
        let taken = self.taken_time();
        taken > 2 * now.saturating_duration_since(self.taken_since) && taken < Duration::from_secs(1)
    }

    /// How long the frames last that the device took at once.
    fn taken_time(&self) -> Duration {
        Duration::from_secs_f32(self.taken as f32 / self.target.rate.max(1) as f32)
    }

    /// Was the device out of frames before it was given these?
    fn watch(&mut self, passed: Duration, now: Instant) {
        // One that takes much at once comes seldom, and is not late.
        let taken = self.taken_time();
        if passed > STOOD || self.taken == 0 || passed <= taken * 3 / 2 + self.target.period {
            return;
        }
        if now.saturating_duration_since(self.late_since) > LATE_TIME {
            (self.late, self.late_since) = (0, now);
        }
        self.late += 1;
        if self.late == LATE {
            (self.target.strained)();
        }
    }

    /// Lets the engine know how much it should have ready, and how late frames are heard.
    fn say_what_is_wanted(&mut self, later: Duration, now: Instant) {
        let (missing, had) = (std::mem::take(&mut self.source.missing), std::mem::take(&mut self.source.had));
        match self.gap {
            Some(since) if had > 0 => {
                if now.saturating_duration_since(since) < GAP && self.extra < MOST {
                    self.extra += STEP;
                    self.changed = now;
                }
                self.gap = None;
            }
            _ => {}
        }
        // A ring that ran empty in the middle of this turn; one that was empty before is a guest that pauses.
        if missing > 0 && had > 0 {
            self.gap = Some(now);
        }
        if self.extra > 0 && now.saturating_duration_since(self.changed) >= CALM {
            self.extra -= STEP.min(self.extra);
            self.changed = now;
        }
        let taken = self.taken as f32;
        self.burst = if taken > self.burst { taken } else { self.burst - (self.burst - taken) / 64.0 };
        let layout = self.source.consumer.ring().layout();
        let burst = self.burst * layout.rate as f32 / self.target.rate as f32;
        let want = (burst.ceil() as u32).saturating_add(layout.frames_in(MARGIN + self.extra));
        self.source.consumer.want(want);
        let unheard = later.min(Duration::from_secs(1)).as_micros() as u64 * u64::from(layout.rate) / 1_000_000;
        self.source.consumer.set_unheard(unheard as u32);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use api::pcm::{Heard, Layout, Producer};

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    struct Bench {
        player: Player,
        engine: Producer,
        heard: Bell,
        controls: Arc<Controls>,
        now: Instant,
        strained: Arc<AtomicU32>,
    }

    fn bench(layout: Layout, rate: u32, channels: usize) -> Bench {
        let (ring, memfd) = Ring::create(layout).unwrap();
        let other = Ring::map(memfd, layout).unwrap();
        let (ours, theirs) = Bell::pair().unwrap();
        let controls = Arc::new(Controls::default());
        let now = Instant::now();
        let kept = Arc::clone(&controls);
        let strained = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&strained);
        let target = Target {
            rate,
            channels: (channels, Order::Pulse),
            period: MS * 10,
            strained: Box::new(move || {
                counted.fetch_add(1, Relaxed);
            }),
        };
        let player = Player::new(other, Arc::new(theirs), kept, target, now).unwrap();
        Bench { player, engine: Producer::new(ring), heard: ours, controls, now, strained }
    }

    fn stereo() -> Layout {
        Layout::new(48_000, 2).unwrap()
    }

    #[test]
    fn frames_arrive_and_the_engine_is_woken() {
        let mut bench = bench(stereo(), 48_000, 2);
        bench.engine.write(&[i32::MIN, 1 << 30].repeat(600));
        let mut out = [9.0; 960];
        bench.player.fill(&mut out, MS * 17, bench.now);
        assert_eq!((out[0], out[1], out[958], out[959]), (-1.0, 0.5, -1.0, 0.5));
        assert_eq!((bench.heard.hear(), bench.heard.hear()), (Heard::Ring, Heard::Nothing));
        assert_eq!((bench.engine.wanted(), bench.engine.ring().delay()), (480 + 384, 120 + 17 * 48));
        assert_eq!(bench.controls.take_levels().0, 1.0);
        bench.player.fill(&mut out, MS, bench.now);
        assert_eq!((out[239], out[240], out[959]), (0.5, 0.0, 0.0), "what is not there is silence");
    }

    #[test]
    fn volume_turns_without_a_click_and_mute_is_silence() {
        let mut bench = bench(stereo(), 48_000, 2);
        let loud = [1 << 30, 1 << 30].repeat(480);
        let mut out = [9.0; 960];
        bench.engine.write(&loud);
        bench.controls.set_muted(true);
        bench.player.fill(&mut out, MS, bench.now);
        assert!(out.windows(3).all(|of| (of[2] - of[0]).abs() < 0.01) && out[959] == 0.0 && out[0] > 0.49);
        bench.engine.write(&loud);
        bench.player.fill(&mut out, MS, bench.now);
        assert!(out.iter().all(|sample| *sample == 0.0));
        bench.controls.set_muted(false);
        bench.controls.set_volume(50);
        for _ in 0..2 {
            bench.engine.write(&loud);
            bench.player.fill(&mut out, MS, bench.now);
        }
        assert!(out.iter().all(|sample| (sample - 0.0625).abs() < 1e-6));
    }

    #[test]
    fn another_rate_and_other_channels() {
        let layout = Layout::new(44_100, 1).unwrap();
        let mut bench = bench(layout, 48_000, 2);
        bench.engine.write(&[1 << 30; 4410]);
        let mut out = vec![0.0; 2 * 4000];
        bench.player.fill(&mut out, MS, bench.now);
        assert!(out[1000..].iter().all(|sample| (sample - 0.5).abs() < 0.01));
        let read = 4410 - bench.engine.fill();
        assert!((3600..3900).contains(&read), "{read}");
    }

    #[test]
    fn who_stood_goes_on_with_the_newest() {
        let mut bench = bench(stereo(), 48_000, 2);
        bench.engine.write(&[7; 960]);
        let mut out = [0.0; 480];
        bench.player.fill(&mut out, MS, bench.now + MS * 201);
        assert!(out.iter().all(|sample| *sample == 0.0) && bench.engine.fill() == 0);
        bench.engine.write(&[7; 960]);
        bench.player.fill(&mut out, MS, bench.now + MS * 211);
        assert!(out.iter().all(|sample| *sample != 0.0));
    }

    #[test]
    fn gaps_widen_the_margin_and_pauses_do_not() {
        let mut bench = bench(stereo(), 48_000, 2);
        let mut out = [0.0; 960];
        let mut turn = |bench: &mut Bench, frames: usize| {
            bench.engine.write(&vec![7; frames * 2]);
            bench.now += MS * 10;
            bench.player.fill(&mut out, MS, bench.now);
            bench.engine.wanted()
        };
        let calm = turn(&mut bench, 480);
        turn(&mut bench, 100);
        assert_eq!(turn(&mut bench, 480), calm + STEP * 48);
        // A song ends, and another one starts.
        turn(&mut bench, 100);
        for _ in 0..50 {
            turn(&mut bench, 0);
        }
        assert_eq!(turn(&mut bench, 480), calm + STEP * 48);
        for _ in 0..100 {
            turn(&mut bench, 100);
            turn(&mut bench, 480);
        }
        assert_eq!(turn(&mut bench, 480), calm + MOST * 48);
        for _ in 0..40_000 {
            turn(&mut bench, 480);
        }
        assert_eq!(turn(&mut bench, 480), calm);
    }

    #[test]
    fn what_is_taken_at_once_is_wanted_at_once() {
        let mut bench = bench(stereo(), 48_000, 2);
        let mut out = [0.0; 960];
        for _ in 0..10 {
            bench.now += MS * 20;
            bench.player.fill(&mut out, MS, bench.now);
            bench.now += MS;
            bench.player.fill(&mut out, MS, bench.now);
        }
        assert_eq!(bench.engine.wanted(), 960 + 384);
    }

    #[test]
    fn a_device_that_comes_often_wants_little() {
        let mut bench = bench(stereo(), 48_000, 2);
        let mut out = [0.0; 256];
        for round in 0_u64..20_000 {
            // 128 frames each 2.67 ms, by a clock that is a little fast, and late sometimes.
            let late = if round % 7 == 0 { 2 } else { 0 };
            let at = Duration::from_micros(round * 2666) + MS * late;
            bench.player.fill(&mut out, MS, bench.now + at);
            assert!(bench.engine.wanted() <= 3 * 128 + 384, "{round}: {}", bench.engine.wanted());
        }
        assert_eq!(bench.strained.load(Relaxed), 0);
    }

    #[test]
    fn nothing_is_taken_at_once_for_ever() {
        let mut bench = bench(stereo(), 48_000, 2);
        let mut out = [0.0; 960];
        for _ in 0..1000 {
            bench.player.fill(&mut out, MS, bench.now);
        }
        assert!(bench.engine.wanted() <= 48_000 + 480 + 384, "{}", bench.engine.wanted());
    }

    #[test]
    fn a_device_that_waits_too_often_is_strained() {
        let mut bench = bench(stereo(), 48_000, 2);
        let mut out = [0.0; 960];
        let mut turn = |bench: &mut Bench, after: Duration| {
            bench.now += after;
            bench.player.fill(&mut out, MS, bench.now);
            bench.strained.load(Relaxed)
        };
        for _ in 0..100 {
            // As a server does that wants 40 milliseconds every 40 milliseconds; and a little late.
            for after in [24, 0, 0, 0, 40, 1, 1, 1].map(|milliseconds| MS * milliseconds) {
                assert_eq!(turn(&mut bench, after), 0);
            }
        }
        for _ in 0..100 {
            // Now and then is no matter.
            turn(&mut bench, MS * 30);
            turn(&mut bench, MS * 6_000);
            turn(&mut bench, MS * 10);
        }
        assert_eq!(turn(&mut bench, MS * 11_000), 0);
        for (after, strained) in [(26, 0), (10, 0), (26, 0), (26, 1), (26, 1)] {
            assert_eq!(turn(&mut bench, MS * after), strained);
        }
    }

    #[test]
    fn a_hostile_engine_hears_itself() {
        let layout = Layout { frames: 256, ..stereo() };
        let mut bench = bench(layout, 48_000, 32);
        let mut out = vec![0.0; 32 * 5000];
        bench.engine.write(&[i32::MAX; 512]);
        bench.player.fill(&mut out, Duration::MAX, bench.now);
        assert!(out.iter().all(|sample| (-1.0..=1.0).contains(sample)));
    }
}
