//! Sound cards under Linux's own drivers, `snd-hda-intel` and `virtio_snd`: what a guest plays is heard frame by frame as it was, and
//! what is said into the microphone arrives so.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use api::pcm::Layout;
use audio::Audio;
use console::Console;
use dormer_tests::guest::{Guest, Home};
use dormer_tests::headset::{self, Ear, Headset, Heard};
use dormer_tests::signal::{self, noise};
use dormer_tests::{media, medium_or_skip, only_in_full, output};

/// From power on to the login.
const BOOT: Duration = Duration::from_secs(900);
const SHORT: Duration = Duration::from_secs(240);
const SECONDS: usize = 2;
const HOUR: u64 = 3600;
/// Bytes of a file of `record-sound`'s before its samples.
const WAV_HEADER: usize = 68;
/// Where the disk with the signals has what.
const FIRST_SONG: u64 = 1 << 20;
const SECOND_SONG: u64 = 2 << 20;
const RECORDED: u64 = 4 << 20;
/// By which it is known as a disk.
const MBR_SIGNATURE: [u8; 2] = [0x55, 0xaa];

#[test]
fn linux_plays_and_records_on_hda() {
    plays_and_records("hda", "snd_hda_intel");
}

#[test]
fn linux_plays_and_records_on_virtio() {
    only_in_full!();
    plays_and_records("virtio", "virtio_snd");
}

/// GNOME's players are this pipeline with a window around it. It decides for itself how it buffers and when it begins.
#[test]
fn a_desktop_player_is_heard() {
    only_in_full!();
    let disk = medium_or_skip!(media::DEBIAN_DISK.path());
    let (short, long) = (noise(48_000 * SECONDS), noise(44_100 * SECONDS));
    let (mut guest, _) = machine("hda", "player", &disk, &short, &long);
    let bytes = short.len() * 2;
    // RIFF, with a format of 16 bytes: PCM, stereo, 48 kHz, 16 bits.
    let header = [
        b"RIFF".as_slice(),
        &(36 + bytes as u32).to_le_bytes(),
        b"WAVEfmt ",
        &16_u32.to_le_bytes(),
        &[1, 0, 2, 0],
        &48_000_u32.to_le_bytes(),
        &192_000_u32.to_le_bytes(),
        &[4, 0, 16, 0],
        b"data",
        &(bytes as u32).to_le_bytes(),
    ];
    let header: String = header.concat().iter().map(|byte| format!("\\x{byte:02x}")).collect();
    let at = FIRST_SONG >> 16;
    guest.shell(
        &format!(
            "(printf '{header}'; dd if=/dev/vdb bs=64k skip={at} status=none | head -c {bytes}) > /run/song.wav; \
             gst-inspect-1.0 wavparse > /dev/null"
        ),
        SHORT,
    );
    let headset = Headset::put_on(guest.console(), Vec::new(), false);
    let play = "gst-play-1.0 --no-interactive --audiosink='alsasink device=hw:0,0' /run/song.wav 2>&1";
    println!("{}", guest.shell(play, SHORT));
    assert_heard(&headset.take_off(), 48_000, &full(&short));
}

/// By the console's way to this computer's own card, as a desktop without a sound server has it.
#[test]
fn what_linux_plays_comes_out_of_this_computers_card() {
    // A card has a clock of its own, which waits for no busy computer.
    only_in_full!();
    let disk = medium_or_skip!(media::DEBIAN_DISK.path());
    let out = output().join("sound_card.wav");
    if !out.exists() {
        println!("skipped: this is no test host with a card whose sound is in a file");
        return;
    }
    let (short, long) = (noise(48_000 * SECONDS), noise(44_100 * SECONDS));
    let (mut guest, _) = machine("hda", "out", &disk, &short, &long);
    let ends = Arc::new(AtomicBool::new(false));
    let player = {
        let (ends, mut console) = (Arc::clone(&ends), Console::over(guest.console()));
        std::thread::spawn(move || {
            let mut audio = Audio::new(|| ());
            console.want_sound(true, false).expect("the engine listens");
            while !ends.load(Relaxed) && console.wait(Duration::from_millis(10)).is_ok() {
                console.take_sound().into_iter().for_each(|event| audio.handle(event));
            }
            audio.state().problem
        })
    };
    // The first begins while this computer opens its card; the end of the last may be on its way into the file still.
    for _ in 0..3 {
        play(&mut guest, "S16_LE", 48_000, FIRST_SONG, short.len() * 2);
    }
    ends.store(true, Relaxed);
    assert_eq!(player.join().expect("a console that works"), None);
    signal::assert_came_out(&out, &short);
}

/// An hour on the clock of whoever listens, and so one on the guest's.
#[test]
fn an_hour_has_no_gap() {
    only_in_full!();
    let disk = medium_or_skip!(media::DEBIAN_DISK.path());
    let (short, long) = (noise(48_000 * SECONDS), noise(44_100 * SECONDS));
    let (mut guest, _) = machine("hda", "hour", &disk, &short, &long);
    let (at, bytes) = (FIRST_SONG >> 16, short.len() * 2);
    guest.shell(&format!("dd if=/dev/vdb bs=64k skip={at} status=none | head -c {bytes} > /run/song"), SHORT);
    let headset = Headset::put_on(guest.console(), Endless { song: full(&short), heard: 0 }, false);
    let endless = "while cat /run/song; do :; done 2> /dev/null";
    let play = format!("aplay -q -D hw:0,0 -t raw -f S16_LE -c 2 -r 48000 -d {HOUR}");
    guest.shell(&format!("({endless}) | {play}"), Duration::from_secs(HOUR * 2));
    let heard = headset.take_off().heard;
    println!("  heard {heard} samples");
    assert_eq!(heard as u64, HOUR * 48_000 * 2);
}

/// In samples of [`Endless`].
const FIVE_MINUTES: usize = 300 * 48_000 * 2;

/// A song that begins again when it is over. Silence is before it and behind it, never within.
struct Endless {
    song: Vec<i32>,
    heard: usize,
}

impl Ear for Endless {
    fn begin(&mut self, _: Layout) {
        assert_eq!(self.heard, 0, "it begins once");
    }

    fn hear(&mut self, samples: &[i32]) {
        for sample in samples.iter().filter(|sample| **sample != 0) {
            assert_eq!(*sample, self.song[self.heard % self.song.len()], "after {} samples", self.heard);
            self.heard += 1;
            if self.heard.is_multiple_of(FIVE_MINUTES) {
                println!("  heard {} minutes", self.heard / FIVE_MINUTES * 5);
            }
        }
    }
}

/// A Debian with this card and these songs, logged in; and the disk with the songs.
fn machine(card: &str, name: &str, disk: &Path, short: &[i16], long: &[i16]) -> (Guest, PathBuf) {
    let name = format!("sound-{name}");
    let home = Home::new();
    let (copy, signals) = (home.path().join("disk.qcow2"), home.path().join("signals.img"));
    std::fs::copy(disk, &copy).expect("room for a copy of the disk");
    write_signals(&signals, short, long);
    let word = |path: &Path| path.to_str().expect("a path of plain characters").to_owned();
    let disks = [word(&copy), word(&signals)];
    let disks = ["--disk", &disks[0], "--disk", &disks[1]];
    let guest = ["--firmware", "bios", "--profile", "linux", "--os", "debian13"];
    home.must(&[&["create", &name][..], &disks, &guest].concat());
    home.must(&["set", &name, &format!("sound.card={card}"), "memory=512", "net0.link=off"]);
    let mut guest = Guest::start_in(home, &name);
    guest.log_in(BOOT);
    // A codec is mute until it is told otherwise.
    guest.shell("for c in Master PCM Capture; do amixer -q sset $c 100% unmute cap; done 2>/dev/null; amixer", SHORT);
    (guest, signals)
}

fn plays_and_records(card: &str, driver: &str) {
    let disk = medium_or_skip!(media::DEBIAN_DISK.path());
    let (short, long) = (noise(48_000 * SECONDS), noise(44_100 * SECONDS));
    let (mut guest, signals) = machine(card, card, &disk, &short, &long);
    let bound = "basename $(readlink /sys/bus/pci/devices/0000:00:1b.0/driver); ls -d /sys/module/virtio_snd";
    assert!(guest.shell(&format!("({bound}) 2>&1; true"), SHORT).contains(driver), "the card has no driver");

    let headset = Headset::put_on(guest.console(), Vec::new(), false);
    play(&mut guest, "S16_LE", 48_000, FIRST_SONG, short.len() * 2);
    let heard = headset.take_off();
    let expected = full(&short);
    assert_heard(&heard, 48_000, &expected);

    record_to_file(&mut guest, &format!("sound-{card}"), &short);

    // The machine stands for a while in the middle of the song.
    let headset = Headset::put_on(guest.console(), Vec::new(), false);
    let song = song("S16_LE", 48_000, FIRST_SONG, short.len() * 2);
    guest.shell(&format!("(({song}; touch /run/over) > /dev/null 2>&1 &); sleep 0.7"), SHORT);
    guest.verb("pause", &[]);
    guest.verb("resume", &[]);
    guest.shell_until("[ -e /run/over ]", SHORT);
    assert_heard_in_pieces(&headset.take_off(), &expected);

    // Nobody listens, and the song goes by all the same.
    play(&mut guest, "S16_LE", 48_000, FIRST_SONG, short.len() * 2);

    let headset = Headset::put_on(guest.console(), Vec::new(), true);
    play(&mut guest, "S32_LE", 44_100, SECOND_SONG, long.len() * 4);
    let frames = SECONDS * 48_000;
    guest.shell(
        &format!(
            "arecord -q -D hw:0,0 -t raw -f S16_LE -c 2 -r 48000 -s {frames} | \
             dd of=/dev/vdb bs=1M seek={} conv=notrunc,fsync iflag=fullblock status=none",
            RECORDED >> 20
        ),
        SHORT,
    );
    let heard = headset.take_off();
    assert_heard(&heard, 44_100, &longer(&long));
    let mut recorded = vec![0; frames * 4];
    File::open(&signals).and_then(|file| file.read_exact_at(&mut recorded, RECORDED)).expect("what was recorded");
    assert_said(&signal::from_bytes(&recorded));
}

/// `dormerctl record-sound` writes the song down as it is.
fn record_to_file(guest: &mut Guest, name: &str, song: &[i16]) {
    let path = guest.home.path().join("heard.wav");
    let file = path.to_str().expect("a path of plain characters");
    let mut recorder = guest.home.command(&["record-sound", name, file]).spawn().expect("dormerctl can be run");
    guest.wait("file to record to", SHORT, Duration::from_millis(20), |_| path.exists().then_some(()));
    play(guest, "S16_LE", 48_000, FIRST_SONG, song.len() * 2);
    // As Ctrl+C does.
    let interrupted = Command::new("kill").args(["-INT", &recorder.id().to_string()]).status();
    assert!(interrupted.is_ok_and(|status| status.success()) && recorder.wait().is_ok_and(|status| status.success()));
    let bytes = std::fs::read(&path).expect("what was recorded");
    let (samples, _) = bytes[WAV_HEADER..].as_chunks::<4>();
    let samples: Vec<i32> = samples.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect();
    let layout = Layout::new(48_000, 2).expect("a shape of sound");
    assert_heard(&[Heard { layout, samples }], 48_000, &full(song));
}

/// At full scale.
fn full(signal: &[i16]) -> Vec<i32> {
    signal.iter().map(|sample| i32::from(*sample) << 16).collect()
}

/// The same in 32 bits, with something in the lower ones.
fn longer(signal: &[i16]) -> Vec<i32> {
    signal.iter().map(|sample| i32::from(*sample) << 16 | i32::from(sample.unsigned_abs())).collect()
}

fn write_signals(path: &Path, short: &[i16], long: &[i16]) {
    let short = signal::to_bytes(short);
    let long: Vec<u8> = longer(long).iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let file = File::create(path).expect("a disk");
    file.set_len(8 << 20).expect("room");
    let parts: [(&[u8], u64); 3] = [(&MBR_SIGNATURE, 510), (&short, FIRST_SONG), (&long, SECOND_SONG)];
    for (bytes, at) in parts {
        file.write_all_at(bytes, at).expect("room");
    }
}

/// Plays what the second disk has there, to its end.
fn play(guest: &mut Guest, format: &str, rate: u32, at: u64, bytes: usize) {
    guest.shell(&song(format, rate, at, bytes), SHORT);
}

fn song(format: &str, rate: u32, at: u64, bytes: usize) -> String {
    let source = format!("dd if=/dev/vdb bs=64k skip={} status=none | head -c {bytes}", at >> 16);
    format!("{source} | aplay -q -D hw:0,0 -t raw -f {format} -c 2 -r {rate} 2>&1")
}

/// The signal is there once, whole, and nothing beside it.
fn assert_heard(heard: &[Heard], rate: u32, expected: &[i32]) {
    let songs: Vec<_> = heard.iter().filter(|heard| heard.samples.iter().any(|sample| *sample != 0)).collect();
    let [song] = songs[..] else { panic!("{} songs were heard", songs.len()) };
    assert_eq!((song.layout.rate, song.layout.channels), (rate, 2));
    let begins = song.samples.iter().position(|sample| *sample != 0).expect("something");
    let after = begins + expected.len();
    let differs = song.samples[begins..].iter().zip(expected).position(|(heard, played)| heard != played);
    println!("  heard {} samples, the signal from {begins} on", song.samples.len());
    assert_eq!(differs, None, "of {} samples: this one differs", expected.len());
    assert!(song.samples.len() >= after, "{} of {} samples were heard", song.samples.len() - begins, expected.len());
    assert!(song.samples[after..].iter().all(|sample| *sample == 0), "there is more");
}

/// The signal is there, whole, in more than one ring; what a ring holds in advance is silence.
fn assert_heard_in_pieces(heard: &[Heard], expected: &[i32]) {
    let pieces = heard.iter().map(|heard| {
        let loud = |sample: &i32| *sample != 0;
        let begins = heard.samples.iter().position(loud).unwrap_or(heard.samples.len());
        let ends = heard.samples.iter().rposition(loud).map_or(begins, |last| last + 1);
        &heard.samples[begins..ends]
    });
    let pieces: Vec<_> = pieces.filter(|piece| !piece.is_empty()).collect();
    println!("  heard in pieces of {:?} samples", pieces.iter().map(|piece| piece.len()).collect::<Vec<_>>());
    assert!(pieces.len() > 1, "it did not stand");
    let whole = pieces.concat();
    let differs = whole.iter().zip(expected).position(|(heard, played)| heard != played);
    assert_eq!((differs, whole.len()), (None, expected.len()), "a sample differs, or some are missing");
}

/// From the moment that the microphone was on, every frame in its order.
fn assert_said(samples: &[i16]) {
    let begins = samples.iter().position(|sample| *sample != 0).expect("something was said");
    assert!(begins % 2 == 0 && begins < samples.len() / 4, "silence until {begins}");
    let said = |sample: usize| (headset::said(sample as u64 / 2, (sample % 2) as u8) >> 16) as i16;
    let first = (0..60_000).step_by(2).find(|at| said(*at) == samples[begins]).expect("a frame of the microphone's");
    let differs = samples[begins..].iter().enumerate().position(|(at, sample)| *sample != said(first + at));
    println!("  recorded {} samples, of the microphone from {begins} on, its {first}", samples.len());
    assert_eq!(differs, None, "this sample differs");
}
