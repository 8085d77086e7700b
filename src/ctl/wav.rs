//! A WAV file that grows: 32-bit samples, in the form that Microsoft's “Multiple Channel Audio Data and WAVE Files” describes
//! (`WAVEFORMATEXTENSIBLE`), as a ring of sound has them ([`api::pcm`]).
//!
//! [`Wav::settle`] makes the header right for what is there, so that a file that is cut short between two calls can be played up to the
//! last one. Silence is not written: it is a hole in the file.
//!
//! The crate `hound` cannot be told where channels are heard (it takes the third and the fourth of four for centre and low frequencies),
//! counts bytes in 32 bits whatever comes, and has to write all of the silence. Here it reads what the tests have made.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use api::pcm::Layout;

/// Bytes before the samples.
const HEADER: u64 = 68;
/// What the length of a RIFF chunk does not count: its name and itself.
const CHUNK: u64 = 8;
/// Bytes of a sample.
const SAMPLE: u64 = 4;
/// Where a ring's channels are heard, as bits of a channel mask. A file has them in the order of these.
const PLACES: [u32; 8] = [0x1, 0x2, 0x10, 0x20, 0x4, 0x8, 0x200, 0x400];
/// The only channel of a frame is in front.
const MONO: u32 = 0x4;
/// `KSDATAFORMAT_SUBTYPE_PCM`.
const PCM: [u8; 16] = [1, 0, 0, 0, 0, 0, 16, 0, 128, 0, 0, 170, 0, 56, 155, 113];

/// A file that frames are appended to.
pub(crate) struct Wav {
    file: File,
    layout: Layout,
    /// Which channel of a ring's frame is first in the file's, and so on.
    order: Vec<usize>,
    frames: u64,
    /// What is written at once.
    bytes: Vec<u8>,
}

impl Wav {
    /// Makes an empty WAV file of this one, whatever was in it.
    pub(crate) fn new(file: File, layout: Layout) -> io::Result<Self> {
        let mut order: Vec<_> = (0..usize::from(layout.channels)).collect();
        order.sort_by_key(|channel| PLACES[*channel]);
        file.set_len(0)?;
        let wav = Self { file, layout, order, frames: 0, bytes: Vec::new() };
        wav.settle()?;
        Ok(wav)
    }

    /// What its frames are like.
    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    /// Frames so far.
    pub(crate) fn frames(&self) -> u64 {
        self.frames
    }

    /// Frames that it still has room for: its lengths have 32 bits.
    pub(crate) fn room(&self) -> u64 {
        (u64::from(u32::MAX) + CHUNK - HEADER) / self.frame() - self.frames
    }

    /// Appends silence, as far as there is room.
    pub(crate) fn silence(&mut self, frames: u64) {
        self.frames += frames.min(self.room());
    }

    /// Appends whole frames of a ring's order, as far as there is room.
    pub(crate) fn write(&mut self, samples: &[i32]) -> io::Result<()> {
        let frames = samples.chunks_exact(self.order.len()).take(usize::try_from(self.room()).unwrap_or(usize::MAX));
        let count = frames.len() as u64;
        self.bytes.clear();
        for frame in frames {
            self.bytes.extend(self.order.iter().flat_map(|channel| frame[*channel].to_le_bytes()));
        }
        self.file.write_all_at(&self.bytes, HEADER + self.frames * self.frame())?;
        self.frames += count;
        Ok(())
    }

    /// Makes the file as long as it is to be, and its header say so.
    pub(crate) fn settle(&self) -> io::Result<()> {
        self.file.set_len(HEADER + self.frames * self.frame())?;
        self.file.write_all_at(&self.header(), 0)
    }

    /// Bytes of a frame.
    fn frame(&self) -> u64 {
        u64::from(self.layout.channels) * SAMPLE
    }

    fn header(&self) -> Vec<u8> {
        let Layout { rate, channels, .. } = self.layout;
        let data = self.frames * self.frame();
        let mask = match channels {
            1 => MONO,
            channels => PLACES[..usize::from(channels)].iter().sum(),
        };
        let mut header = Vec::new();
        let word = |header: &mut Vec<u8>, word: u64| header.extend((word as u32).to_le_bytes());
        let half = |header: &mut Vec<u8>, half: u64| header.extend((half as u16).to_le_bytes());
        header.extend(b"RIFF");
        word(&mut header, HEADER - CHUNK + data);
        header.extend(b"WAVEfmt ");
        word(&mut header, 40);
        half(&mut header, 0xfffe); // WAVE_FORMAT_EXTENSIBLE
        half(&mut header, channels.into());
        word(&mut header, rate.into());
        word(&mut header, u64::from(rate) * self.frame()); // bytes a second
        half(&mut header, self.frame());
        half(&mut header, SAMPLE * 8);
        half(&mut header, 22); // bytes from here to the chunk's end
        half(&mut header, SAMPLE * 8); // all of a sample's bits count
        word(&mut header, mask.into());
        header.extend(PCM);
        header.extend(b"data");
        word(&mut header, data);
        header
    }
}

#[cfg(test)]
mod tests {
    use hound::WavReader;

    use super::*;

    fn layout(channels: u8) -> Layout {
        Layout::new(44_100, channels).unwrap()
    }

    fn wav(layout: Layout) -> (Wav, File) {
        let file = tempfile::tempfile().unwrap();
        (Wav::new(file.try_clone().unwrap(), layout).unwrap(), file)
    }

    fn bytes(file: &File) -> Vec<u8> {
        let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    fn samples(file: &File) -> Vec<i32> {
        let bytes = bytes(file);
        let reader = WavReader::new(&bytes[..]).unwrap();
        reader.into_samples().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let (mut wav, file) = wav(layout(2));
        assert_eq!((wav.frames(), wav.layout()), (0, layout(2)));
        wav.write(&[i32::MIN, i32::MAX, -1, 0]).unwrap();
        wav.silence(1);
        wav.write(&[1, 2, 3]).unwrap();
        wav.settle().unwrap();
        assert_eq!(samples(&file), [i32::MIN, i32::MAX, -1, 0, 0, 0, 1, 2]);
        let bytes = bytes(&file);
        let spec = WavReader::new(&bytes[..]).unwrap().spec();
        assert_eq!((spec.sample_rate, spec.channels, spec.bits_per_sample), (44_100, 2, 32));
        assert_eq!((bytes.len(), &bytes[4..8], &bytes[64..68]), (68 + 32, &[92, 0, 0, 0][..], &[32, 0, 0, 0][..]));
    }

    #[test]
    fn it_can_be_played_from_the_start_on_and_holds_what_was_settled() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[7; 4096], 0).unwrap();
        let mut wav = Wav::new(file.try_clone().unwrap(), layout(1)).unwrap();
        assert!(samples(&file).is_empty(), "and nothing of what was there before");
        wav.write(&[1, 2]).unwrap();
        wav.silence(1);
        wav.settle().unwrap();
        wav.write(&[3]).unwrap();
        drop(wav);
        assert_eq!(samples(&file), [1, 2, 0]);
    }

    #[test]
    fn channels_are_where_files_have_them() {
        for (channels, mask, order) in [
            (1, 0x4, &[0][..]),
            (2, 0x3, &[0, 1]),
            (4, 0x33, &[0, 1, 2, 3]),
            (6, 0x3f, &[0, 1, 4, 5, 2, 3]),
            (8, 0x63f, &[0, 1, 4, 5, 2, 3, 6, 7]),
        ] {
            let (mut wav, file) = wav(layout(channels));
            wav.write(&(0..channels.into()).collect::<Vec<_>>()).unwrap();
            wav.settle().unwrap();
            assert_eq!(bytes(&file)[40..44], u32::to_le_bytes(mask));
            assert_eq!(samples(&file), order);
        }
    }

    #[test]
    fn it_ends_before_its_lengths_do() {
        let (mut wav, file) = wav(layout(8));
        wav.silence(wav.room() - 2);
        wav.write(&[5; 3 * 8]).unwrap();
        wav.silence(1 << 40);
        wav.write(&[6; 8]).unwrap();
        wav.settle().unwrap();
        assert_eq!(wav.room(), 0);
        let length = file.metadata().unwrap().len();
        assert!((u64::from(u32::MAX) - 32..=u64::from(u32::MAX) + CHUNK).contains(&length), "{length}");
        let mut end = [0; 68];
        file.read_exact_at(&mut end, length - 68).unwrap();
        assert_eq!(end[..4], [0; 4]);
        assert!(end[4..].chunks(4).all(|sample| sample == [5, 0, 0, 0]));
        let mut header = [0; 68];
        file.read_exact_at(&mut header, 0).unwrap();
        let word = |at: usize| u64::from(u32::from_le_bytes(header[at..at + 4].try_into().unwrap()));
        assert_eq!((word(4) + 8, word(64) + 68), (length, length));
    }
}
