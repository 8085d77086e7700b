//! A guest under QEMU, for comparison: the same disk on the same kind of board, with the same devices.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use regex::Regex;

use crate::serial::{self, SerialPort};

/// QEMU while it runs; ended when dropped.
pub struct Qemu {
    process: Child,
    port: UnixStream,
    log: PathBuf,
    /// Where in the log to look from.
    seen: usize,
    _folder: tempfile::TempDir,
}

impl Qemu {
    /// Starts a Q35 on this host's KVM with these options and nothing else, but for a serial port.
    ///
    /// # Panics
    /// It does not start.
    pub fn start(options: impl IntoIterator<Item = OsString>) -> Self {
        let folder = tempfile::tempdir().expect("a folder for QEMU");
        let (log, socket) = (folder.path().join("serial"), folder.path().join("socket"));
        let mut command = Command::new("qemu-system-x86_64");
        command.args(["-machine", "q35,accel=kvm", "-cpu", "host", "-nodefaults", "-display", "none", "-no-reboot"]);
        command.args(options);
        let port = format!("socket,id=serial0,server=on,wait=off,path={},logfile={}", socket.display(), log.display());
        command.args(["-chardev", &port, "-serial", "chardev:serial0"]);
        let mut process = command.spawn().expect("QEMU is installed");
        let end = Instant::now() + Duration::from_secs(60);
        let port = loop {
            if let Ok(port) = UnixStream::connect(&socket) {
                break port;
            }
            let ended = process.try_wait().expect("its state is known");
            assert!(ended.is_none() && Instant::now() < end, "QEMU does not start: {ended:?}");
            std::thread::sleep(Duration::from_millis(20));
        };
        // What it says is in its log; it stops saying it to a client who does not read.
        let mut ears = port.try_clone().expect("a second descriptor of the port");
        std::thread::spawn(move || std::io::copy(&mut ears, &mut std::io::sink()));
        Self { process, port, log, seen: 0, _folder: folder }
    }

    /// Its process.
    pub fn process(&self) -> u32 {
        self.process.id()
    }

    /// Logs in as root on the serial port.
    #[track_caller]
    pub fn log_in(&mut self, limit: Duration) {
        serial::log_in(self, limit);
    }

    /// Runs a command in the shell on the serial port; its output, when its status is 0.
    #[track_caller]
    pub fn shell(&mut self, command: &str, limit: Duration) -> String {
        serial::shell(self, command, limit)
    }
}

impl SerialPort for Qemu {
    fn name(&self) -> &str {
        "QEMU"
    }

    #[track_caller]
    fn send_serial(&mut self, text: &str) {
        self.port.write_all(text.as_bytes()).expect("QEMU's serial port takes text");
    }

    #[track_caller]
    fn wait_serial(&mut self, expression: &str, limit: Duration) -> Vec<String> {
        let regex = Regex::new(&format!("(?m){expression}")).expect("a regular expression");
        let end = Instant::now() + limit;
        loop {
            let bytes = std::fs::read(&self.log).unwrap_or_default();
            let text = String::from_utf8_lossy(bytes.get(self.seen..).unwrap_or_default());
            if let Some(found) = regex.captures(&text) {
                self.seen += found.get(0).map_or(0, |whole| whole.end());
                let texts = found.iter().map(|group| group.map_or_else(String::new, |group| group.as_str().to_owned()));
                return texts.collect();
            }
            let ended = self.process.try_wait().expect("its state is known");
            assert!(ended.is_none(), "QEMU has ended before “{expression}”: {ended:?}");
            assert!(Instant::now() < end, "under QEMU, no “{expression}” within {} s:\n{text}", limit.as_secs());
            std::thread::sleep(Duration::from_millis(300));
        }
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        // Both fail only for a process that has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
