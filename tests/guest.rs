//! A guest under test: a machine that `dormerctl` makes and starts, looked at through its engine's control socket.
//!
//! Everything waits with a limit. When a test fails, the screen, the serial port's output and the engine's log are kept
//! in [`crate::output`] under the machine's name, as all pictures are.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use api::control::{Command as Order, Event};
use library::control::Client;
use library::{Entry, Library, engine::Running};
use regex::Regex;

use crate::picture::{self, Picture};
use crate::program;
use crate::serial::{self, SerialPort};

/// A library of its own for the machines of one test.
pub struct Home {
    folder: tempfile::TempDir,
    zone: &'static str,
}

impl Home {
    /// An empty library.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder for machines"), zone: "UTC" }
    }

    /// An empty library of somebody in this time zone, as POSIX writes it: `IST-5:30`.
    pub fn in_zone(zone: &'static str) -> Self {
        Self { zone, ..Self::new() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `dormerctl` with these arguments, about machines of this library, to be run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("dormerctl"));
        command.args(arguments).env("DORMER_HOME", self.path()).env("DORMER_SECCOMP", "kill").env("TZ", self.zone);
        command
    }

    /// The same, run to its end.
    pub fn dormerctl(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("dormerctl can be run")
    }

    /// The same, which must succeed; what it printed.
    #[track_caller]
    pub fn must(&self, arguments: &[&str]) -> String {
        let output = self.dormerctl(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "dormerctl {arguments:?}: {}: {said}", output.status);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The same, which must fail with one sentence on standard error and status 1; the sentence.
    #[track_caller]
    pub fn must_fail(&self, arguments: &[&str]) -> String {
        let output = self.dormerctl(arguments);
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        assert_eq!(output.status.code(), Some(1), "dormerctl {arguments:?} said: {said}");
        assert!(!said.contains("panicked") && !said.is_empty(), "dormerctl {arguments:?} said: {said}");
        println!("  {said}");
        said
    }
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

/// A machine that runs.
pub struct Guest {
    /// Its library.
    pub home: Home,
    /// Its folder and configuration.
    pub entry: Entry,
    name: String,
    running: Running,
    control: Client,
    events: Client,
    began: Instant,
    pictures: usize,
    /// What the serial port sent, and where to ask for more.
    serial: String,
    serial_next: u64,
    /// Where in `serial` to look from.
    serial_seen: usize,
}

/// An emulated processor in an emulated processor takes its time.
const ANSWER: Duration = Duration::from_secs(60);

impl Guest {
    /// Makes a machine with `dormerctl create NAME ARGUMENTS…` and starts it.
    #[track_caller]
    pub fn start(name: &str, arguments: &[&str]) -> Self {
        let home = Home::new();
        home.must(&[&["create", name], arguments].concat());
        Self::start_in(home, name)
    }

    /// A small machine without a network whose disk is Debian's ([`crate::media::DEBIAN_DISK`]), with a USB controller and with what else it is
    /// created with and set to: started, and somebody is logged in.
    #[track_caller]
    pub fn debian_with_usb(home: Home, name: &str, disk: &Path, arguments: &[&str], settings: &[&str]) -> Self {
        let disk = disk.to_str().expect("a path of plain characters");
        let create = ["create", name, "--profile", "linux", "--os", "debian13", "--memory", "512", "--disk", disk];
        home.must(&[&create[..], arguments].concat());
        home.must(&[&["set", name, "usb.controller=xhci", "net0.link=off"], settings].concat());
        let mut guest = Self::start_in(home, name);
        guest.log_in(Duration::from_secs(900));
        guest
    }

    /// Starts a machine that is there.
    #[track_caller]
    pub fn start_in(home: Home, name: &str) -> Self {
        let output = home.dormerctl(&["start", name, "--headless", "--debug-logs"]);
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            panic!("dormerctl start {name}: {}: {said}{}", output.status, forbidden_calls());
        }
        let entry = Library::at(home.path()).find(name).expect("the machine is in its library");
        let log = || std::fs::read_to_string(entry.logs().join("engine.log")).unwrap_or_default();
        let running = entry.running().unwrap_or_else(|error| panic!("{error}: {}{}", log(), forbidden_calls()));
        let connect = || {
            let client = running.control_within(ANSWER);
            client.unwrap_or_else(|error| panic!("{error}: {}{}", log(), forbidden_calls()))
        };
        let (control, events) = (connect(), connect());
        let began = Instant::now();
        let (name, serial) = (name.to_owned(), String::new());
        println!("  {name}: started");
        Self { home, entry, name, running, control, events, began, pictures: 0, serial, serial_next: 0, serial_seen: 0 }
    }

    /// For people who read the output of tests.
    fn note(&self, what: &str) {
        println!("  {}: {what} after {:.0} s", self.name, self.began.elapsed().as_secs_f32());
    }

    /// Waits until `look` finds something.
    #[track_caller]
    pub fn wait<T>(
        &mut self,
        what: &str,
        limit: Duration,
        pause: Duration,
        mut look: impl FnMut(&mut Self) -> Option<T>,
    ) -> T {
        let end = Instant::now() + limit;
        loop {
            if let Some(found) = look(self) {
                self.note(what);
                return found;
            }
            assert!(!self.running.has_ended(), "{}: the engine has ended before {what}", self.name);
            assert!(Instant::now() < end, "{}: no {what} within {} s", self.name, limit.as_secs());
            std::thread::sleep(pause);
        }
    }

    /// Waits until a text is on the screen, in a text mode or drawn in cells, and keeps the picture.
    #[track_caller]
    pub fn wait_screen(&mut self, text: &str, limit: Duration) {
        let mut last = None;
        self.wait(&format!("{text:?} on the screen"), limit, Duration::from_secs(1), |guest| {
            if let Some(lines) = guest.text() {
                return lines.join("\n").contains(text).then_some(());
            }
            let (_, picture) = guest.glance()?;
            let found = last.as_ref() != Some(&picture) && picture.shows(text);
            last = Some(picture);
            found.then_some(())
        });
        self.screenshot(text);
    }

    /// Waits until tesseract reads something on the screen, and keeps the picture. It only looks when the screen stands still.
    #[track_caller]
    pub fn wait_read(&mut self, expression: &str, limit: Duration) -> String {
        let expression = Regex::new(expression).expect("a regular expression");
        let (mut last, mut read) = (None, None);
        let text = self.wait(&format!("“{expression}” to be read"), limit, Duration::from_secs(3), |guest| {
            let (path, picture) = guest.glance()?;
            // A cursor may blink, a clock may go on.
            let still = last.as_ref().is_some_and(|last| picture.difference(last) < 1000);
            let news = read.as_ref().is_none_or(|read| picture.difference(read) >= 1000);
            let text = if still && news && picture.colours(3) > 2 {
                read = Some(picture.clone());
                picture::read(&path).ok()
            } else {
                None
            };
            last = Some(picture);
            text.filter(|text| expression.is_match(text))
        });
        self.screenshot(expression.as_str());
        text
    }

    fn read_serial(&mut self) {
        while let Ok(news) = self.control.serial(self.serial_next) {
            self.serial_next = news.next;
            if news.text.is_empty() {
                return;
            }
            self.serial.push_str(&news.text);
        }
    }

    /// Waits for an event.
    #[track_caller]
    pub fn wait_event(&mut self, what: &str, limit: Duration, is: impl Fn(&Event) -> bool) -> Event {
        let end = Instant::now() + limit;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.events.next_event(left) {
                Ok(Some(event)) if is(&event) => {
                    self.note(what);
                    return event;
                }
                Ok(Some(_)) => {}
                Ok(None) => panic!("{}: no {what} within {} s", self.name, limit.as_secs()),
                Err(error) => panic!("{}: no {what}: {error}", self.name),
            }
        }
    }

    /// Waits until the engine has ended.
    #[track_caller]
    pub fn wait_end(&mut self, limit: Duration) {
        let ended = self.running.wait_end(limit).expect("the machine's folder is usable");
        assert!(ended, "{}: still runs after {} s", self.name, limit.as_secs());
        self.note("end");
    }

    /// Where other clients reach its engine.
    pub fn control_path(&self) -> PathBuf {
        self.running.control_path()
    }

    /// A connection as a console has it.
    pub fn console(&self) -> std::os::fd::OwnedFd {
        self.running.ui().expect("the engine takes consoles")
    }

    /// Ends its engine as a crash would.
    pub fn kill(&self) {
        self.running.kill().expect("the engine runs");
    }

    /// The screen's lines in a text mode.
    pub fn text(&mut self) -> Option<Vec<String>> {
        self.control.text().expect("the engine answers").lines
    }

    /// A control command.
    #[track_caller]
    pub fn order(&mut self, order: &Order) -> serde_json::Value {
        self.control.execute(order).unwrap_or_else(|error| panic!("{order:?}: {error}"))
    }

    /// Types a text on the keyboard.
    #[track_caller]
    pub fn type_text(&self, text: &str) {
        self.home.must(&["type", &self.name, text]);
    }

    /// Presses keys one after another, each as in `ctrl-alt-delete`.
    #[track_caller]
    pub fn keys(&self, keys: &[&str]) {
        self.home.must(&[&["key", &self.name], keys].concat());
    }

    /// `dormerctl VERB NAME ARGUMENTS…`.
    #[track_caller]
    pub fn verb(&self, verb: &str, arguments: &[&str]) -> String {
        self.home.must(&[&[verb, &self.name], arguments].concat())
    }

    /// Runs `dormerctl` beside it, which must succeed.
    #[track_caller]
    pub fn must(&self, arguments: &[&str]) -> String {
        self.home.must(arguments)
    }

    /// Keeps a picture of the screen under this label.
    #[track_caller]
    pub fn screenshot(&mut self, label: &str) -> Picture {
        self.pictures += 1;
        let plain: String = label.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect();
        let (_, picture) = self.snap(&format!("{:02}-{}", self.pictures, plain.trim_matches('-')));
        picture
    }

    /// A picture of the screen, in this machine's folder for output.
    #[track_caller]
    fn snap(&mut self, label: &str) -> (PathBuf, Picture) {
        let path = self.output().join(format!("{label}.png"));
        self.try_snap(&path).unwrap_or_else(|error| panic!("{}: no picture: {error}", self.name));
        let picture = Picture::open(&path).unwrap_or_else(|error| panic!("{}: a bad picture: {error}", self.name));
        (path, picture)
    }

    /// What the screen shows now, if it is on.
    fn glance(&mut self) -> Option<(PathBuf, Picture)> {
        let path = self.home.path().join("glance.png");
        self.try_snap(&path).ok()?;
        let picture = Picture::open(&path).unwrap_or_else(|error| panic!("{}: a bad picture: {error}", self.name));
        Some((path, picture))
    }

    fn try_snap(&mut self, path: &Path) -> anyhow::Result<()> {
        let file = std::fs::File::create(path)?;
        self.control.execute_with(&Order::Screendump { format: None }, &[file.as_fd()])?;
        Ok(())
    }

    /// Where its pictures are.
    fn output(&self) -> PathBuf {
        let folder = crate::output().join(&self.name);
        std::fs::create_dir_all(&folder).expect("a folder for pictures");
        folder
    }

    /// What the engine wrote to `logs/NAME`: `serial.log`, `firmware.log`, `engine.log`.
    pub fn log(&self, name: &str) -> String {
        String::from_utf8_lossy(&std::fs::read(self.entry.logs().join(name)).unwrap_or_default()).into_owned()
    }

    /// Logs in as root on the serial port and makes its shell one for [`Guest::shell`].
    #[track_caller]
    pub fn log_in(&mut self, limit: Duration) {
        serial::log_in(self, limit);
    }

    /// Runs a command in the shell on the serial port; its output, when its status is 0.
    #[track_caller]
    pub fn shell(&mut self, command: &str, limit: Duration) -> String {
        serial::shell(self, command, limit)
    }

    /// Runs a command again and again until its status is 0, for that long by the guest's clock at most; its output then.
    #[track_caller]
    pub fn shell_until(&mut self, command: &str, limit: Duration) -> String {
        serial::shell_until(self, command, limit)
    }

    /// Everything that helps to see why a test failed.
    fn keep_evidence(&mut self) {
        let folder = self.output();
        match self.try_snap(&folder.join("failed.png")) {
            Ok(()) => println!("  {}: the screen is in {}", self.name, folder.join("failed.png").display()),
            Err(error) => println!("  {}: no picture: {error}", self.name),
        }
        if let Ok(Some(lines)) = self.control.text().map(|text| text.lines) {
            println!("  {}: the screen says\n{}", self.name, lines.join("\n").trim_end());
        }
        print!("{}", forbidden_calls());
        for name in ["engine.log", "serial.log", "firmware.log", "net0.log"] {
            let text = self.log(name);
            let _ = std::fs::write(folder.join(format!("failed-{name}")), &text);
            let lines: Vec<_> = text.lines().collect();
            let last = &lines[lines.len().saturating_sub(12)..];
            println!("  {}: {name} ends with\n{}", self.name, last.join("\n"));
        }
    }
}

impl SerialPort for Guest {
    fn name(&self) -> &str {
        &self.name
    }

    #[track_caller]
    fn send_serial(&mut self, text: &str) {
        self.order(&Order::SerialWrite { text: text.to_owned() });
    }

    #[track_caller]
    fn wait_serial(&mut self, expression: &str, limit: Duration) -> Vec<String> {
        let regex = Regex::new(&format!("(?m){expression}")).expect("a regular expression");
        self.wait(&format!("“{expression}” from the serial port"), limit, Duration::from_millis(300), |guest| {
            guest.read_serial();
            let found = regex.captures(&guest.serial[guest.serial_seen..])?;
            let texts = found.iter().map(|group| group.map_or_else(String::new, |group| group.as_str().to_owned()));
            let texts = texts.collect();
            guest.serial_seen += found.get(0).map_or(0, |whole| whole.end());
            Some(texts)
        })
    }
}

/// What the kernel says about processes that made a system call they must not make: each by its number.
fn forbidden_calls() -> String {
    let Ok(output) = Command::new("dmesg").output() else { return String::new() };
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().filter(|line| line.contains("type=1326")).map(|line| format!("  {line}\n")).collect()
}

impl Drop for Guest {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.keep_evidence();
        }
        if !self.running.has_ended() {
            // It may end by itself meanwhile.
            let _ = self.running.kill();
            let _ = self.running.wait_end(Duration::from_secs(10));
        }
    }
}
