//! This computer's sound: devices, and streams on them, by cpal. All of it may wait for a sound server.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use api::pcm::{Bell, Layout, Ring};
use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{
    BufferSize, ErrorKind, FromSample, HostId, Sample, SampleFormat, SizedSample, StreamConfig, SupportedBufferSize,
    SupportedStreamConfigRange,
};

use crate::controls::Controls;
use crate::player::{Player, Target};
use crate::positions::Order;
use crate::recorder::Recorder;
use crate::{Device, cookie};

/// How long a server may take to make a stream.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where frames come from or go to.
pub(crate) struct Line {
    pub(crate) ring: Arc<Ring>,
    pub(crate) bell: Arc<Bell>,
    /// When the ring came, or was last read.
    pub(crate) since: Instant,
}

/// How a stream is to be opened.
pub(crate) struct Wish<'a> {
    /// The guest's stream.
    pub(crate) stream: u32,
    /// On which device, if not on the usual one.
    pub(crate) device: Option<&'a str>,
    /// What it takes or gives at once: never what it would choose itself, which may be seconds.
    pub(crate) period: Duration,
    pub(crate) controls: &'a Arc<Controls>,
    /// Held by whoever starts it.
    pub(crate) starting: &'a Arc<()>,
}

/// A stream that runs; dropping it ends it.
pub(crate) struct Open {
    _stream: cpal::Stream,
    /// The device that it is on, as a server calls it.
    id: Option<String>,
}

/// A connection to this computer's sound.
pub(crate) struct Host {
    host: cpal::Host,
}

impl Host {
    /// Connects to a sound server, or else takes the computer's cards themselves.
    pub(crate) fn new() -> Result<Self, cpal::Error> {
        if let Some(home) = std::env::var_os("HOME").filter(|_| std::env::var_os("PULSE_COOKIE").is_none())
            && let Err(error) = cookie::bake(home.as_ref())
        {
            tracing::debug!("there is no cookie for PulseAudio: {error}");
        }
        let host = cpal::default_host();
        if host.id() == HostId::Alsa && !has_cards() {
            // ALSA's library would say so at length, on standard error, each time that it is asked.
            return Err(cpal::Error::with_message(ErrorKind::HostUnavailable, "no sound server and no sound card"));
        }
        Ok(Self { host })
    }

    /// One that nothing was asked of.
    #[cfg(test)]
    pub(crate) fn deaf() -> Self {
        Self { host: cpal::host_from_id(HostId::Alsa).expect("ALSA is built in") }
    }

    fn order(&self) -> Order {
        match self.host.id() {
            HostId::PulseAudio => Order::Pulse,
            _ => Order::Alsa,
        }
    }

    /// What can be played on, or recorded from.
    pub(crate) fn devices(&self, playback: bool) -> Vec<Device> {
        let Ok(devices) = self.host.devices() else { return Vec::new() };
        let named = |device: cpal::Device| {
            let (id, description) = (device.id().ok()?, device.description().ok()?);
            let right = if playback { device.supports_output() } else { device.supports_input() };
            right.then(|| Device { id: id.to_string(), name: description.name().to_owned() })
        };
        devices.filter_map(named).collect()
    }

    /// The device of this name, or the usual one when there is none of it.
    fn device(&self, wanted: Option<&str>, playback: bool) -> Result<cpal::Device, cpal::Error> {
        let wanted = wanted.and_then(|wanted| self.host.device_by_id(&wanted.parse().ok()?));
        let usual = || if playback { self.host.default_output_device() } else { self.host.default_input_device() };
        wanted.or_else(usual).ok_or_else(|| cpal::Error::new(ErrorKind::DeviceNotAvailable))
    }

    /// Should this stream be on another device by now? Cards come and go, and people change which is the usual one. Only a server can
    /// be asked without opening anything.
    pub(crate) fn is_elsewhere(&self, open: &Open, wanted: Option<&str>, playback: bool) -> bool {
        if self.host.id() != HostId::PulseAudio {
            return false;
        }
        let now = self.device(wanted, playback).ok().and_then(|device| name(&device));
        now.is_some() && now != open.id
    }

    /// Plays a line's ring.
    pub(crate) fn play(
        &self,
        wish: &Wish<'_>,
        line: &Line,
        strained: impl FnMut() + Clone + Send + 'static,
        failed: impl FnMut(cpal::Error) + Clone + Send + 'static,
    ) -> Result<Open, cpal::Error> {
        let device = self.device(wish.device, true)?;
        let offered = device.supported_output_configs().map(Iterator::collect).unwrap_or_default();
        let (config, format) = match choose(offered, line.ring.layout(), wish.period) {
            Some(chosen) => chosen,
            None => usual(&device.default_output_config()?, wish.period),
        };
        let channels = (usize::from(config.channels), self.order());
        let stream = in_any_size(config, |config| {
            let (ring, bell) = (Arc::clone(&line.ring), Arc::clone(&line.bell));
            let (strained, failed) = (Box::new(strained.clone()), failed.clone());
            let target = Target { rate: config.sample_rate, channels, period: wish.period, strained };
            let player = Player::new(ring, bell, Arc::clone(wish.controls), target, line.since)
                .ok_or_else(|| cpal::Error::new(ErrorKind::UnsupportedConfig))?;
            match format {
                SampleFormat::I16 => output::<i16>(&device, config, player, failed),
                SampleFormat::I32 => output::<i32>(&device, config, player, failed),
                _ => output::<f32>(&device, config, player, failed),
            }
        })?;
        let stream = started(stream, wish.starting)?;
        tracing::debug!("sound plays on {device} at {} Hz, {} channels", config.sample_rate, config.channels);
        Ok(Open { _stream: stream, id: name(&device) })
    }

    /// Records into a line's ring.
    pub(crate) fn record(
        &self,
        wish: &Wish<'_>,
        line: &Line,
        failed: impl FnMut(cpal::Error) + Clone + Send + 'static,
    ) -> Result<Open, cpal::Error> {
        let device = self.device(wish.device, false)?;
        let offered = device.supported_input_configs().map(Iterator::collect).unwrap_or_default();
        let (config, format) = match choose(offered, line.ring.layout(), wish.period) {
            Some(chosen) => chosen,
            None => usual(&device.default_input_config()?, wish.period),
        };
        let channels = (usize::from(config.channels), self.order());
        let stream = in_any_size(config, |config| {
            let (ring, bell, failed) = (Arc::clone(&line.ring), Arc::clone(&line.bell), failed.clone());
            let controls = Arc::clone(wish.controls);
            let recorder = Recorder::new(wish.stream, ring, bell, controls, config.sample_rate, channels)
                .ok_or_else(|| cpal::Error::new(ErrorKind::UnsupportedConfig))?;
            match format {
                SampleFormat::I16 => input::<i16>(&device, config, recorder, failed),
                SampleFormat::I32 => input::<i32>(&device, config, recorder, failed),
                _ => input::<f32>(&device, config, recorder, failed),
            }
        })?;
        let stream = started(stream, wish.starting)?;
        tracing::debug!("sound is recorded from {device} at {} Hz", config.sample_rate);
        Ok(Open { _stream: stream, id: name(&device) })
    }
}

/// Opens a stream, with the device's own buffer where it takes no other: ALSA's mixer has one size, and says so only then. It is no
/// choice at first, for a sound server's own may be seconds.
fn in_any_size<S>(
    config: StreamConfig,
    open: impl Fn(StreamConfig) -> Result<S, cpal::Error>,
) -> Result<S, cpal::Error> {
    match open(config) {
        Err(error) if error.kind() == ErrorKind::UnsupportedConfig => {
            tracing::debug!("{error}: its own size, then");
            open(StreamConfig { buffer_size: BufferSize::Default, ..config })
        }
        opened => opened,
    }
}

/// Starts a stream. A server that does not answer may keep a thread with the stream, which holds `starting` until then, but not this one.
fn started(stream: cpal::Stream, starting: &Arc<()>) -> Result<cpal::Stream, cpal::Error> {
    let (done, wait) = mpsc::channel();
    let under_way = Arc::clone(starting);
    let start = move || {
        let result = stream.play();
        // Nobody waits any more: it goes as late as it came.
        let _ = done.send(result.map(|()| stream));
        drop(under_way);
    };
    let thread = std::thread::Builder::new().name("audio-start".into()).spawn(start);
    thread.map_err(|_| cpal::Error::new(ErrorKind::ResourceExhausted))?;
    wait.recv_timeout(PATIENCE).unwrap_or_else(|_| Err(late()))
}

/// The sound server takes longer than anybody waits.
pub(crate) fn late() -> cpal::Error {
    cpal::Error::with_message(ErrorKind::DeviceBusy, "the sound server does not answer")
}

fn name(device: &cpal::Device) -> Option<String> {
    device.id().ok().map(|id| id.to_string())
}

/// Is there something that ALSA could play on?
fn has_cards() -> bool {
    let is_stream = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.is_ok_and(|entry| entry.file_name().as_encoded_bytes().starts_with(b"pcm"))
    };
    std::fs::read_dir("/dev/snd").is_ok_and(|mut entries| entries.any(is_stream))
}

/// A device that offers nothing that can be compared.
fn usual(config: &cpal::SupportedStreamConfig, period: Duration) -> (StreamConfig, SampleFormat) {
    let buffer_size = buffer(config.sample_rate(), period, config.buffer_size());
    (
        StreamConfig { channels: config.channels(), sample_rate: config.sample_rate(), buffer_size },
        config.sample_format(),
    )
}

/// The guest's own rate and channels where the device takes them, floats before integers; else what is nearest.
fn choose(
    offered: Vec<SupportedStreamConfigRange>,
    layout: Layout,
    period: Duration,
) -> Option<(StreamConfig, SampleFormat)> {
    let format = |format| match format {
        SampleFormat::F32 => Some(0),
        SampleFormat::I32 => Some(1),
        SampleFormat::I16 => Some(2),
        _ => None,
    };
    let candidate = |offered: &SupportedStreamConfigRange| {
        let rate = layout.rate.clamp(offered.min_sample_rate(), offered.max_sample_rate());
        // Two are what most devices have when the guest's number is not there.
        let channels = match offered.channels() {
            channels if channels == u16::from(layout.channels) => 0,
            2 => 1,
            channels => 1 + u32::from(channels),
        };
        let distance = rate.abs_diff(layout.rate);
        let buffer_size = buffer(rate, period, offered.buffer_size());
        let config = StreamConfig { channels: offered.channels(), sample_rate: rate, buffer_size };
        Some(((channels, distance, format(offered.sample_format())?), (config, offered.sample_format())))
    };
    offered.iter().filter_map(candidate).min_by_key(|(order, _)| *order).map(|(_, chosen)| chosen)
}

fn buffer(rate: u32, period: Duration, offered: &SupportedBufferSize) -> BufferSize {
    let frames = (u64::from(rate) * period.as_micros() as u64 / 1_000_000).clamp(64, 1 << 16) as u32;
    match *offered {
        SupportedBufferSize::Range { min, max } if min <= max => BufferSize::Fixed(frames.clamp(min, max)),
        _ => BufferSize::Fixed(frames),
    }
}

/// Most samples that are converted at once.
const CONVERTED: usize = 1 << 12;

fn output<T: SizedSample + FromSample<f32>>(
    device: &cpal::Device,
    config: StreamConfig,
    mut player: Player,
    failed: impl FnMut(cpal::Error) + Send + 'static,
) -> Result<cpal::Stream, cpal::Error> {
    let channels = usize::from(config.channels);
    let mut floats = vec![0.0_f32; (CONVERTED / channels).max(1) * channels];
    let callback = move |out: &mut [T], info: &cpal::OutputCallbackInfo| {
        let times = info.timestamp();
        let mut later = times.playback.saturating_duration_since(times.callback);
        for out in out.chunks_mut(floats.len()) {
            let floats = &mut floats[..out.len()];
            player.fill(floats, later, Instant::now());
            for (sample, float) in out.iter_mut().zip(floats) {
                *sample = T::from_sample(*float);
            }
            later += Duration::from_secs(1) * (out.len() / channels) as u32 / config.sample_rate.max(1);
        }
    };
    device.build_output_stream(config, callback, failed, Some(PATIENCE))
}

fn input<T: SizedSample>(
    device: &cpal::Device,
    config: StreamConfig,
    mut recorder: Recorder,
    failed: impl FnMut(cpal::Error) + Send + 'static,
) -> Result<cpal::Stream, cpal::Error>
where
    f32: FromSample<T>,
{
    let channels = usize::from(config.channels);
    let mut floats = vec![0.0_f32; (CONVERTED / channels).max(1) * channels];
    let callback = move |samples: &[T], _: &cpal::InputCallbackInfo| {
        for samples in samples.chunks(floats.len()) {
            let floats = &mut floats[..samples.len()];
            for (float, sample) in floats.iter_mut().zip(samples) {
                *float = f32::from_sample(*sample);
            }
            recorder.take(floats);
        }
    };
    device.build_input_stream(config, callback, failed, Some(PATIENCE))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_millis(10);

    fn range(channels: u16, rates: (u32, u32), format: SampleFormat) -> SupportedStreamConfigRange {
        let size = SupportedBufferSize::Range { min: 100, max: 400 };
        SupportedStreamConfigRange::new(channels, rates.0, rates.1, size, format)
    }

    #[test]
    fn what_takes_one_size_only_has_it() {
        let config = StreamConfig { channels: 2, sample_rate: 48_000, buffer_size: BufferSize::Fixed(480) };
        let picky = |config: StreamConfig| match config.buffer_size {
            BufferSize::Default => Ok(config.sample_rate),
            BufferSize::Fixed(_) => Err(cpal::Error::new(ErrorKind::UnsupportedConfig)),
        };
        assert_eq!(in_any_size(config, picky).unwrap(), 48_000);
        assert_eq!(in_any_size(config, |config| Ok(config.buffer_size)).unwrap(), BufferSize::Fixed(480));
        let gone = |_| Err::<(), _>(cpal::Error::new(ErrorKind::DeviceNotAvailable));
        assert_eq!(in_any_size(config, gone).unwrap_err().kind(), ErrorKind::DeviceNotAvailable);
    }

    #[test]
    fn the_guests_own_shape_comes_first() {
        let offered = vec![
            range(2, (44_100, 44_100), SampleFormat::F32),
            range(2, (8_000, 96_000), SampleFormat::I16),
            range(2, (8_000, 96_000), SampleFormat::I32),
            range(6, (8_000, 96_000), SampleFormat::F32),
            range(2, (8_000, 96_000), SampleFormat::F64),
        ];
        let choose = |rate, channels| {
            let (config, format) = choose(offered.clone(), Layout::new(rate, channels).unwrap(), PERIOD).unwrap();
            (config.channels, config.sample_rate, config.buffer_size, format)
        };
        assert_eq!(choose(48_000, 2), (2, 48_000, BufferSize::Fixed(400), SampleFormat::I32));
        assert_eq!(choose(44_100, 2), (2, 44_100, BufferSize::Fixed(400), SampleFormat::F32));
        assert_eq!(choose(192_000, 6), (6, 96_000, BufferSize::Fixed(400), SampleFormat::F32));
        assert_eq!(choose(8_000, 1), (2, 8_000, BufferSize::Fixed(100), SampleFormat::I32));
        assert!(
            super::choose(vec![range(2, (1, 2), SampleFormat::U8)], Layout::new(8_000, 2).unwrap(), PERIOD).is_none()
        );
    }
}
