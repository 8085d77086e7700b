//! `dormerctl record-sound`: what the stand-in engine plays is what the file has.

use std::process::Child;

use hound::WavReader;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// A recording that runs.
struct Recording(Child);

impl Recording {
    fn begin(desk: &Desk, arguments: &[&str]) -> Self {
        let words = [&["record-sound", "one"], arguments].concat();
        Self(desk.command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.0.id() as i32).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    fn end(mut self) -> Done {
        let end = Instant::now() + PATIENCE;
        while self.0.try_wait().unwrap().is_none() {
            assert!(Instant::now() < end, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        Done::of(&self.0.wait_with_output().unwrap())
    }
}

/// Rate, channels and samples of a file.
fn recorded(path: &str) -> (u32, u16, Vec<i32>) {
    let reader = WavReader::open(path).unwrap();
    let spec = reader.spec();
    assert_eq!((spec.bits_per_sample, spec.sample_format), (32, hound::SampleFormat::Int));
    (spec.sample_rate, spec.channels, reader.into_samples().collect::<Result<_, _>>().unwrap())
}

/// Without silence: on a busy computer there may be some in between.
fn loud(samples: &[i32]) -> Vec<i32> {
    samples.iter().copied().filter(|sample| *sample != 0).collect()
}

fn play(desk: &Desk, what: &str) {
    let words = format!("play {what}");
    assert!(desk.run(&["serial", "one", "--write", &words]).ok);
    let serial = desk.good("serial one").out;
    assert!(serial.ends_with(&format!("{words}[played]")), "{serial}");
}

fn started() -> Option<(Desk, String)> {
    let desk = Desk::new()?;
    desk.good(&format!("create one {OLD}"));
    desk.good("start one --headless");
    let file = desk.folder.path().join("out.wav").to_str().unwrap().to_owned();
    Some((desk, file))
}

#[test]
fn what_a_machine_plays_is_in_the_file_bit_for_bit() {
    let Some((desk, file)) = started() else { return };
    std::fs::write(&file, [7; 1 << 20]).unwrap();
    let recording = Recording::begin(&desk, &[&file, "--json"]);
    play(&desk, "48000 2 24000");
    play(&desk, "48000 2 100");
    recording.signal(rustix::process::Signal::INT);
    let done = recording.end();
    assert!(done.ok, "{}", done.err);
    let (rate, channels, samples) = recorded(&file);
    assert_eq!((rate, channels), (48_000, 2));
    assert!(loud(&samples) == [pattern::frames(24_000, 2), pattern::frames(100, 2)].concat());
    let told = done.json();
    assert_eq!((told["rate"].as_u64(), told["channels"].as_u64()), (Some(48_000), Some(2)));
    assert_eq!((told["frames"].as_u64(), told["file"].as_str()), (Some(samples.len() as u64 / 2), Some(&*file)));
}

#[test]
fn a_recording_is_as_long_as_it_was_asked_to_be() {
    let Some((desk, file)) = started() else { return };
    let recording = Recording::begin(&desk, &[&file, "--seconds", "3"]);
    play(&desk, "8000 6 800");
    let done = recording.end();
    assert_eq!((done.ok, done.out.as_str()), (true, "3.0 seconds, 8000 Hz and 6 channels."), "{}", done.err);
    let (_, channels, samples) = recorded(&file);
    assert_eq!((channels, samples.len()), (6, 3 * 8_000 * 6));
    let places = [0, 1, 4, 5, 2, 3];
    let wanted = (0..800).flat_map(|frame| places.map(|channel| pattern::sample(frame, channel)));
    assert!(loud(&samples) == wanted.collect::<Vec<_>>());
    assert!(samples[..50 * 8 * 6].iter().all(|sample| *sample == 0), "silence before it began");
}

#[test]
fn another_format_ends_a_recording() {
    let Some((desk, file)) = started() else { return };
    let recording = Recording::begin(&desk, &[&file]);
    play(&desk, "48000 2 4800");
    // Nobody reads this one.
    let mut other = desk.command(&["serial", "one", "--write", "play 44100 1 10"]).spawn().unwrap();
    let done = recording.end();
    let _ = other.kill();
    let _ = other.wait();
    assert_eq!((done.ok, done.code, done.out.as_str()), (false, 1, ""));
    let words = "seconds, where the guest went over from 48000 Hz and 2 channels to 44100 Hz and 1 channel: a WAV file";
    assert!(done.err.starts_with("dormerctl: ") && done.err.contains(words), "{}", done.err);
    let (rate, channels, samples) = recorded(&file);
    assert_eq!((rate, channels), (48_000, 2));
    assert!(loud(&samples) == pattern::frames(4800, 2));
}

#[test]
fn a_machine_that_turns_off_ends_a_recording() {
    let Some((desk, file)) = started() else { return };
    let recording = Recording::begin(&desk, &[&file]);
    play(&desk, "44100 1 4410");
    desk.good("power-off one");
    let done = recording.end();
    assert!(done.ok && done.out.ends_with("seconds, 44100 Hz and 1 channel."), "{}{}", done.out, done.err);
    assert!(loud(&recorded(&file).2) == pattern::frames(4410, 1));
}

#[test]
fn a_recording_that_is_killed_can_be_played() {
    let Some((desk, file)) = started() else { return };
    let recording = Recording::begin(&desk, &[&file]);
    play(&desk, "8000 1 800");
    let end = Instant::now() + PATIENCE;
    while recorded(&file).2.len() < 800 {
        assert!(Instant::now() < end, "nothing is settled");
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_millis(1500));
    recording.signal(rustix::process::Signal::KILL);
    assert!(!recording.end().ok);
    assert!(loud(&recorded(&file).2) == pattern::frames(800, 1));
}

#[test]
fn a_recording_of_nothing_is_none() {
    let Some((desk, file)) = started() else { return };
    desk.bad(&format!("record-sound one {file} --seconds 0.3"), "“one” played nothing in 0.");
    assert!(!Path::new(&file).exists());
    std::fs::write(&file, "kept").unwrap();
    desk.bad(&format!("record-sound one {file} --seconds 0"), "nothing was recorded");
    assert_eq!(std::fs::read(&file).unwrap(), b"kept");
    desk.bad("record-sound one - --seconds 1", "a WAV file begins with its length");
    desk.bad("record-sound one /no/such/x.wav", "cannot write /no/such/x.wav: No such file");
    desk.bad("record-sound one /dev/null", "cannot write /dev/null: it is not a file");
    let folder = desk.folder.path().to_str().unwrap().to_owned();
    desk.bad(&format!("record-sound one {folder}"), "it is not a file");
    desk.bad("record-sound two x.wav", "there is no machine “two”");
    desk.good("power-off one");
    desk.bad(&format!("record-sound one {file}"), "“one” is not running");
    desk.good("set one sound.card=none");
    desk.good("start one --headless");
    desk.bad(
        &format!("record-sound one {file}"),
        "“one” has no sound card: while it is off, “dormerctl set” with sound",
    );
    assert_eq!(std::fs::read(&file).unwrap(), b"kept");
}
