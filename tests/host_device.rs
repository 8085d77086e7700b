//! A USB device of the computer that a test runs on, as sysfs has it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A device of the host, in the port that it was found in.
#[derive(Debug, Clone)]
pub struct HostDevice {
    folder: PathBuf,
}

impl HostDevice {
    /// The device whose product string has this in it.
    pub fn called(name: &str) -> Option<Self> {
        let mut devices = fs::read_dir("/sys/bus/usb/devices").ok()?.flatten().map(|entry| entry.path());
        let is_it = |path: &PathBuf| fs::read_to_string(path.join("product")).is_ok_and(|it| it.contains(name));
        devices.find(is_it).map(|folder| Self { folder })
    }

    /// The same, as soon as it is there.
    #[track_caller]
    pub fn appears(name: &str, limit: Duration) -> Self {
        let end = Instant::now() + limit;
        loop {
            if let Some(device) = Self::called(name) {
                return device;
            }
            assert!(Instant::now() < end, "there is no USB device “{name}” within {} s", limit.as_secs());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What the kernel and Dormer call it: its port.
    pub fn id(&self) -> &str {
        self.folder.file_name().and_then(|name| name.to_str()).expect("ports are plain text")
    }

    /// Its folder in sysfs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it calls itself.
    pub fn product(&self) -> String {
        fs::read_to_string(self.folder.join("product")).expect("the device is there").trim().to_owned()
    }

    /// One of its numbers.
    pub fn number(&self, name: &str) -> u32 {
        let text = fs::read_to_string(self.folder.join(name)).expect("the device is there");
        text.trim().parse().expect("a number")
    }

    /// Its file of usbfs.
    pub fn node(&self) -> PathBuf {
        format!("/dev/bus/usb/{:03}/{:03}", self.number("busnum"), self.number("devnum")).into()
    }

    /// The driver of its first interface.
    pub fn driver(&self) -> Option<String> {
        let link = fs::read_link(self.folder.join(format!("{}:1.0/driver", self.id()))).ok()?;
        Some(link.file_name()?.to_str()?.to_owned())
    }

    /// Waits until its first interface has this driver, or none.
    #[track_caller]
    pub fn wait_driver(&self, driver: Option<&str>, limit: Duration) {
        let end = Instant::now() + limit;
        while self.driver().as_deref() != driver {
            assert!(Instant::now() < end, "{}: {:?} instead of {driver:?}", self.id(), self.driver());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Its disk, as soon as it is there and can be opened.
    #[track_caller]
    pub fn disk(&self, limit: Duration) -> PathBuf {
        let end = Instant::now() + limit;
        let within = format!("/{}/", self.id());
        loop {
            let disks = fs::read_dir("/sys/block").expect("sysfs is mounted").flatten();
            let mut own = disks.filter(|disk| {
                fs::read_link(disk.path()).is_ok_and(|to| to.to_str().is_some_and(|to| to.contains(&within)))
            });
            if let Some(disk) = own.next() {
                let node = Path::new("/dev").join(disk.file_name());
                if fs::File::open(&node).is_ok() {
                    return node;
                }
            }
            assert!(Instant::now() < end, "{} has no disk", self.id());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
