//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use api::machine::{Attachment, DriveBus, Firmware, Forward, Profile, UsbRule};
use api::settings::Key;
use clap::{Args, Parser, Subcommand, ValueEnum};
use library::NewDisk;

use crate::input::Press;

/// Dormer's machines from a terminal.
#[derive(Debug, Parser)]
#[command(name = "dormerctl", version)]
pub(crate) struct Arguments {
    /// Print data as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Can this computer run machines, and if not, why and what to do
    Check,
    /// All machines and what they do
    List,
    /// One machine
    Show { name: String },
    /// Make a machine
    Create {
        /// Its name
        name: String,
        #[command(flatten)]
        choices: Choices,
    },
    /// Change a machine's settings; without any, say which there are
    Set {
        name: String,
        /// As in memory=4096 or net0.link=off; what a running machine cannot follow is refused
        #[arg(value_name = "KEY=VALUE", value_parser = assignment)]
        settings: Vec<(Key, String)>,
    },
    /// What helpers ask for: this computer, the machine and the ends of its logs, without personal paths
    Report { name: String },
    /// Put a machine among the desktop's apps, or take it out
    Launcher {
        name: String,
        #[command(subcommand)]
        action: LauncherAction,
    },
    /// Give a stopped machine another name
    Rename { name: String, new: String },
    /// Move a stopped machine's folder to another place; the library finds it there
    Move {
        name: String,
        /// The folder that its folder goes into: on this disk or on another
        folder: PathBuf,
    },
    /// Delete a stopped machine and its disks
    Delete {
        name: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Run a throw-away machine from an ISO or disk image, in a window; it is gone when it stops
    Run {
        /// The image; a disk is copied first
        file: PathBuf,
        #[command(flatten)]
        choices: Choices,
        #[command(flatten)]
        start: StartOptions,
    },
    /// Start a machine and show it in a window
    Start {
        name: String,
        /// Start a throw-away copy of it
        #[arg(long)]
        disposable: bool,
        #[command(flatten)]
        start: StartOptions,
    },
    /// Show a running machine in a window; it goes on when the window is closed
    ///
    /// F11 leads into full screen and out of it, Ctrl+Alt releases a captured pointer, Ctrl+Alt+S goes over to the other scaling,
    /// Ctrl+Alt+M mutes it. All other keys are the machine's; “dormerctl key” presses those.
    View {
        name: String,
        /// Begin in full screen
        #[arg(long)]
        fullscreen: bool,
        /// How the picture is enlarged
        #[arg(long)]
        scaling: Option<ScalingWord>,
    },
    /// Let a machine stand still
    Pause { name: String },
    /// Let it go on
    Resume { name: String },
    /// Press the reset button
    Reset { name: String },
    /// Press the power button: the guest decides what that means
    PowerButton { name: String },
    /// Turn a machine off at once, as if power failed
    PowerOff {
        name: String,
        /// End an engine that does not answer; what its guest has not written yet is lost
        #[arg(long)]
        kill: bool,
    },
    /// What a running machine uses and moves: processors, memory, drives, network
    Stats {
        name: String,
        /// Seconds that are looked at
        #[arg(long, default_value = "1", value_parser = seconds)]
        time: Duration,
    },
    /// Take a picture of the screen
    Screenshot {
        name: String,
        /// PNG, or PPM when it ends in .ppm; - is standard output
        file: PathBuf,
    },
    /// Record what a running machine plays to a WAV file, until Ctrl+C, for --seconds, or until the machine is off
    ///
    /// Samples are as the guest plays them, 32 bits each, whatever the machine's volume and this computer's sound are. The file begins
    /// when the recording does: where nothing is played there is silence. It has the rate and the channels of the first stream; when the
    /// guest goes over to others, or after 4 GiB, the recording ends there and fails, with what came before in the file. If nothing is
    /// played at all, it fails and the file stays as it was.
    ///
    /// A machine's sound goes to one place: a window that plays it is silent meanwhile, and has it again afterwards.
    RecordSound {
        name: String,
        /// The file, in place of what is in it
        #[arg(value_name = "OUT.wav")]
        file: PathBuf,
        /// End after so many
        #[arg(long, value_name = "N", value_parser = seconds)]
        seconds: Option<Duration>,
    },
    /// The screen's characters, in a text mode
    Text { name: String },
    /// Type on the machine's keyboard, as on a US one
    Type {
        name: String,
        text: String,
        /// Press Enter after it
        #[arg(long)]
        enter: bool,
        /// Milliseconds that each key is held, and between keys
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=10_000))]
        delay: u64,
    },
    /// Press keys, as in ctrl-alt-delete; several are pressed one after another
    Key {
        name: String,
        #[arg(required = true)]
        keys: Vec<String>,
    },
    /// Put the pointer at a pixel of the screen
    Mouse {
        name: String,
        x: u32,
        y: u32,
        /// And press a button there
        click: Option<Press>,
    },
    /// The first serial port: what it has sent, or a conversation from a terminal (Ctrl-] ends it)
    Serial {
        name: String,
        /// Send this; \n, \r, \t and \\ mean what they do in C
        #[arg(long)]
        write: Option<String>,
        /// Go on printing until the machine is off
        #[arg(long, short)]
        follow: bool,
    },
    /// Wait until something is so
    Wait {
        name: String,
        #[command(flatten)]
        what: WaitFor,
        /// Seconds until it fails
        #[arg(long, default_value = "60", value_parser = seconds)]
        timeout: Duration,
        /// With --serial-text: only in what comes from now on
        #[arg(long)]
        new: bool,
    },
    /// Change the medium in a CD drive
    Medium {
        name: String,
        #[command(subcommand)]
        action: MediumAction,
    },
    /// Change a stopped machine's drives
    Disk {
        name: String,
        #[command(subcommand)]
        action: DiskAction,
    },
    /// Change a machine's network
    Net {
        name: String,
        #[command(subcommand)]
        action: NetAction,
    },
    /// This computer's USB devices, in a machine or not
    Usb {
        #[command(subcommand)]
        verb: UsbVerb,
    },
    /// Send QMP commands: this one, else those that standard input has, a line each
    Qmp {
        name: String,
        /// A command's name, or its JSON
        command: Option<String>,
    },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct WaitFor {
    /// This expression is found on a text mode's screen
    #[arg(long, value_name = "RE", value_parser = expression)]
    pub(crate) screen_text: Option<regex::Regex>,
    /// This expression is found in what the first serial port sent
    #[arg(long, value_name = "RE", value_parser = expression)]
    pub(crate) serial_text: Option<regex::Regex>,
    /// The machine is in this state
    #[arg(long, value_parser = ["stopped", "running", "paused", "prelaunch", "internal-error", "io-error"])]
    pub(crate) state: Option<String>,
}

/// What a new machine is to be; all has defaults.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Choices {
    /// The ISO in its CD drive
    #[arg(long, value_name = "FILE")]
    pub(crate) iso: Option<PathBuf>,
    /// The guest, by its id in osinfo-db (debian12); found out from the ISO when absent
    #[arg(long, value_name = "ID")]
    pub(crate) os: Option<String>,
    /// How it starts
    #[arg(long)]
    pub(crate) firmware: Option<FirmwareWord>,
    /// Virtual processors
    #[arg(long, value_name = "N")]
    pub(crate) cpus: Option<u32>,
    /// Memory, as in 2G; MiB without a unit
    #[arg(long, value_name = "SIZE", value_parser = memory)]
    pub(crate) memory: Option<u64>,
    /// An empty disk of this size (40G), an image that is there, or none; may be repeated
    #[arg(long = "disk", value_name = "SIZE|FILE|none")]
    pub(crate) disks: Vec<String>,
    /// Which devices it gets
    #[arg(long)]
    pub(crate) profile: Option<ProfileWord>,
    /// Where its network cable goes: nat, internal:NAME, bridge:NAME or tap:NAME
    #[arg(long, value_parser = str::parse::<Attachment>)]
    pub(crate) network: Option<Attachment>,
    /// A port of this computer that leads into it, as in 2222:22 or udp:5353:53; may be repeated
    #[arg(long = "forward", value_name = "HOST:GUEST", value_parser = str::parse::<Forward>)]
    pub(crate) forwards: Vec<Forward>,
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct StartOptions {
    /// Show no window
    #[arg(long)]
    pub(crate) headless: bool,
    /// Stand still until it is resumed
    #[arg(long)]
    pub(crate) paused: bool,
    /// Write the firmware's output to the machine's logs folder
    #[arg(long)]
    pub(crate) debug_logs: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ScalingWord {
    /// As large as the window has room
    Fit,
    /// A whole number of times: every pixel is as large as every other
    Multiples,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum FirmwareWord {
    Bios,
    Uefi,
}

impl From<FirmwareWord> for Firmware {
    fn from(word: FirmwareWord) -> Self {
        match word {
            FirmwareWord::Bios => Self::Bios,
            FirmwareWord::Uefi => Self::Uefi,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ProfileWord {
    /// What works without a driver disk
    Windows,
    /// virtio
    Linux,
    /// BIOS, VGA and PS/2
    Legacy,
}

impl From<ProfileWord> for Profile {
    fn from(word: ProfileWord) -> Self {
        match word {
            ProfileWord::Windows => Self::Windows,
            ProfileWord::Linux => Self::Linux,
            ProfileWord::Legacy => Self::Legacy,
        }
    }
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum LauncherAction {
    /// Make its launcher
    Create,
    /// Remove it
    Remove,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MediumAction {
    /// Put an ISO in
    Insert {
        file: PathBuf,
        /// The drive
        #[arg(long, default_value = "cd0")]
        drive: String,
    },
    /// Take it out
    Eject {
        /// The drive
        #[arg(long, default_value = "cd0")]
        drive: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum DiskAction {
    /// Add an empty disk of a size, a disk image that is there, or an empty CD drive
    Add {
        #[arg(value_name = "SIZE|FILE|cd")]
        what: String,
        /// What a disk is connected to; like the first one when absent
        #[arg(long)]
        bus: Option<BusWord>,
    },
    /// Remove a drive; its image goes too when it is in the machine's folder
    Remove {
        /// As in disk1 or cd0
        drive: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Make a disk larger
    Grow {
        /// As in disk0
        drive: String,
        /// As in 40G
        size: String,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum BusWord {
    Ahci,
    Virtio,
    Usb,
}

impl From<BusWord> for DriveBus {
    fn from(word: BusWord) -> Self {
        match word {
            BusWord::Ahci => Self::Ahci,
            BusWord::Virtio => Self::Virtio,
            BusWord::Usb => Self::Usb,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum NetAction {
    /// Give a stopped machine another network card
    Add {
        /// Where its cable goes: nat, internal:NAME, bridge:NAME or tap:NAME
        #[arg(long, default_value = "nat", value_parser = str::parse::<Attachment>)]
        network: Attachment,
    },
    /// Take a network card out of a stopped machine
    Remove {
        /// As in net1
        card: String,
    },
    /// Lead ports of this computer into the machine
    Forward {
        /// As in 2222:22 or udp:5353:53
        #[arg(required = true, value_name = "HOST:GUEST", value_parser = str::parse::<Forward>)]
        forwards: Vec<Forward>,
    },
    /// Do not
    Unforward {
        /// Ports of this computer
        #[arg(required = true)]
        ports: Vec<u16>,
    },
    /// What each card is connected to, and what went through since the machine started
    List,
    /// Write what goes through a running machine's card to a file (pcapng) that Wireshark and tcpdump read
    Capture {
        /// The file, in place of what is in it; off ends the capture
        #[arg(value_name = "FILE|off")]
        file: PathBuf,
        /// The card
        #[arg(long, default_value = "net0")]
        card: String,
    },
    /// Plug the cable in or out
    Link {
        /// in or out
        state: LinkWord,
        /// The card
        #[arg(long, default_value = "net0")]
        card: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LinkWord {
    In,
    Out,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UsbVerb {
    /// This computer's USB devices, who has them and what hinders; or those that a running machine has
    List { name: Option<String> },
    /// Give a running machine a device; this computer has it no more until it is taken back
    Attach {
        name: String,
        /// Its port as in 1-2.3, or its numbers as in 0781:5581
        device: String,
        /// Even if this computer will miss it
        #[arg(long, short)]
        yes: bool,
    },
    /// Take it back
    Detach {
        name: String,
        /// Its port as in 1-2.3, or its numbers as in 0781:5581
        device: String,
    },
    /// Which devices a machine gets by itself
    Rule {
        name: String,
        #[command(subcommand)]
        action: UsbRuleAction,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum UsbRuleAction {
    /// Add rules, in place of those for the same devices
    Add {
        /// vendor:product[:serial][@port]=always, start or ask, as in 0781:5581=always: always is when it is plugged in and when the machine starts
        #[arg(required = true, value_name = "RULE", value_parser = str::parse::<UsbRule>)]
        rules: Vec<UsbRule>,
    },
    /// Take rules away
    Remove {
        /// As in 0781:5581
        #[arg(required = true, value_name = "DEVICE")]
        devices: Vec<String>,
    },
    /// Those there are, the first that is about a device decides
    List,
}

/// `KEY=VALUE`.
fn assignment(text: &str) -> Result<(Key, String), String> {
    let (key, value) = text.split_once('=').ok_or("it should look like memory=4096")?;
    let key = key.parse::<Key>().map_err(|problem| problem.to_string())?;
    Ok((key, value.to_owned()))
}

/// MiB.
fn memory(text: &str) -> Result<u64, String> {
    if let Ok(mib) = text.parse() {
        return Ok(mib);
    }
    NewDisk::parse_size(text).map(|bytes| bytes >> 20).map_err(|error| error.to_string())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.0..=1e9).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "it should be a number of seconds".into())
}

/// `^` and `$` are ends of lines.
fn expression(text: &str) -> Result<regex::Regex, String> {
    regex::RegexBuilder::new(text).multi_line(true).build().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use api::machine::Protocol;

    use super::*;

    fn parse(line: &str) -> Result<Verb, String> {
        let words = std::iter::once("dormerctl").chain(line.split(' '));
        Arguments::try_parse_from(words).map(|arguments| arguments.verb).map_err(|error| error.to_string())
    }

    #[test]
    fn windows_have_a_say() {
        let Verb::View { fullscreen: true, scaling: Some(ScalingWord::Multiples), .. } =
            parse("view x --fullscreen --scaling multiples").unwrap()
        else {
            panic!()
        };
        assert!(parse("view x --scaling huge").is_err());
    }

    #[test]
    fn sound_is_recorded_for_a_while() {
        let Verb::RecordSound { seconds, .. } = parse("record-sound x y.wav --seconds 1.5").unwrap() else { panic!() };
        assert_eq!(seconds, Some(Duration::from_millis(1500)));
        for bad in ["record-sound x", "record-sound x y.wav --seconds -1", "record-sound x y.wav --seconds long"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
        let verb =
            parse("create x --memory 2G --disk 40G --disk none --forward 2222:22 --forward udp:53:5353").unwrap();
        let Verb::Create { choices, .. } = verb else { panic!() };
        assert_eq!((choices.memory, choices.disks.len()), (Some(2048), 2));
        assert_eq!(choices.forwards[1], Forward { protocol: Protocol::Udp, host: 53, guest: 5353 });
        let Verb::Wait { timeout, .. } = parse("wait x --state stopped --timeout 0.5").unwrap() else { panic!() };
        assert_eq!(timeout, Duration::from_millis(500));
        let Verb::Run { choices, .. } = parse("run x.iso --network internal:lab").unwrap() else { panic!() };
        assert_eq!(choices.network.unwrap().to_string(), "internal:lab");
        for bad in [
            "wait x",
            "wait x --state gone",
            "wait x --state stopped --screen-text a",
            "wait x --screen-text (",
            "net x forward 22",
            "net x forward 0:22",
            "net x add --network lan",
            "usb attach x",
            "usb rule x add",
            "usb rule x add 0781:5581",
            "usb rule x add 0781:5581=never",
            "usb rule x remove",
            "set x memory",
            "set x colour=red",
            "create x --memory much",
            "create x --network lan",
            "run x --network internal:../x",
            "mouse x 1 2 tickle",
            "key x",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
