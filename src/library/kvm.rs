//! Can this computer run machines, and if not, why and what to do.
//!
//! Looks at `/dev/kvm`, `/proc/cpuinfo` and the sandbox; whether KVM really makes machines only the engine can try
//! (`dormer-vm --check-kvm`), as nothing else here speaks to KVM.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;

use crate::engine::program;

/// The node.
pub(crate) const NODE: &str = "/dev/kvm";
/// What `dormer-vm --check-kvm` may take.
const PROBE: Duration = Duration::from_secs(10);
/// Most bytes it says.
const PROBE_BYTES: u64 = 64 << 10;

/// Whose virtualisation extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vendor {
    /// VT-x.
    Intel,
    /// AMD-V.
    Amd,
}

/// How KVM is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KvmState {
    /// Machines run.
    Ready,
    /// The processor cannot, or its firmware has switched it off.
    NoExtension,
    /// The processor could, and no module is loaded.
    NoModule(Vendor),
    /// The node is there, for others.
    NoPermission,
    /// Another hypervisor has the extension.
    Busy,
    /// This computer is a machine itself, and its host does not hand the extension on.
    NotNested,
    /// This Flatpak may not use the node.
    Flatpak,
    /// Something else, in the system's or the engine's words.
    Failed(String),
}

impl KvmState {
    /// What is the matter, as a sentence.
    pub fn sentence(&self) -> String {
        match self {
            Self::Ready => "This computer can run machines.".into(),
            Self::NoExtension => {
                "This computer's processor does not offer virtualisation: it is switched off in the firmware (BIOS), or the processor has none."
                    .into()
            }
            Self::NoModule(_) => "The processor can run machines, but the kernel's KVM module is not loaded.".into(),
            Self::NoPermission => "You may not use /dev/kvm.".into(),
            Self::Busy => "Another hypervisor (VirtualBox, VMware or similar) is using the processor's virtualisation.".into(),
            Self::NotNested => {
                "This computer is a virtual machine itself, and its host does not pass virtualisation on to it.".into()
            }
            Self::Flatpak => "Flatpak does not let Dormer use /dev/kvm.".into(),
            Self::Failed(why) => format!("KVM does not work: {why}."),
        }
    }

    /// What is the matter, and what to do about it.
    pub fn told(&self) -> String {
        match self.advice() {
            Some(advice) => format!("{} {advice}", self.sentence()),
            None => self.sentence(),
        }
    }

    /// What the person can do, as a sentence; commands stand on lines of their own.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Ready => None,
            Self::NoExtension => Some(
                "Restart into the firmware's setup (Del, F2 or F10 while starting) and switch on “Intel VT-x”, “AMD-V” or “SVM mode”.",
            ),
            Self::NoModule(Vendor::Intel) => Some("Load it:\nsudo modprobe kvm_intel"),
            Self::NoModule(Vendor::Amd) => Some("Load it:\nsudo modprobe kvm_amd"),
            Self::NoPermission => {
                Some("Join the group that may, then log out and in again:\nsudo usermod -aG kvm \"$USER\"")
            }
            Self::Busy => Some("Turn its machines off, or unload its kernel module, then try again."),
            Self::NotNested => Some("Switch on nested virtualisation for this machine in the host's settings."),
            Self::Flatpak => Some("Allow it:\nflatpak override --user --device=kvm io.github.dormer_vm.Dormer"),
            Self::Failed(_) => Some("The kernel's log may say more:\nsudo dmesg | grep -i kvm"),
        }
    }
}

/// What `dormer-vm --check-kvm` prints.
#[derive(Debug, Deserialize)]
struct Probe {
    #[serde(default)]
    ok: bool,
    #[serde(default)]
    error: Option<String>,
    /// `busy`, `extension`, `permission`, or anything else.
    #[serde(default)]
    case: Option<String>,
}

/// Looks. Starts a program and waits for it (10 s at most): do it off the main thread.
pub fn check() -> KvmState {
    let node = OpenOptions::new().read(true).write(true).open(NODE);
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    match judge(node, &cpu, Path::new("/.flatpak-info").exists()) {
        KvmState::Ready => probe(),
        trouble => trouble,
    }
}

/// What can be said before anybody asks KVM.
fn judge(node: std::io::Result<File>, cpuinfo: &str, flatpak: bool) -> KvmState {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    let has = |flag: &str| flags.split_ascii_whitespace().any(|word| word == flag);
    let vendor = if has("vmx") {
        Some(Vendor::Intel)
    } else if has("svm") {
        Some(Vendor::Amd)
    } else {
        None
    };
    let error = match node {
        Ok(_) => return KvmState::Ready,
        Err(error) => error,
    };
    match (error.kind(), vendor) {
        (std::io::ErrorKind::PermissionDenied, _) => KvmState::NoPermission,
        // ENOENT, or ENODEV and ENXIO of a node that nobody serves.
        (_, None) if has("hypervisor") => KvmState::NotNested,
        (_, None) => KvmState::NoExtension,
        (std::io::ErrorKind::NotFound, Some(_)) if flatpak => KvmState::Flatpak,
        (_, Some(vendor)) => KvmState::NoModule(vendor),
    }
}

/// Lets the engine try.
fn probe() -> KvmState {
    let Ok(path) = program("dormer-vm") else { return KvmState::Failed("dormer-vm is not installed".into()) };
    let child = std::process::Command::new(path)
        .arg("--check-kvm")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return KvmState::Failed(format!("dormer-vm does not start: {error}")),
    };
    let limit = std::time::Instant::now() + PROBE;
    loop {
        match child.try_wait() {
            Ok(None) if std::time::Instant::now() < limit => std::thread::sleep(Duration::from_millis(10)),
            Ok(Some(_)) => break,
            _ => {
                // It hangs in the kernel, or is gone; either way there is no answer.
                let _ = child.kill();
                let _ = child.wait();
                return KvmState::Failed("it does not answer".into());
            }
        }
    }
    let mut text = String::new();
    if let Some(output) = child.stdout.take() {
        // What is not text is no answer, which is what an empty one is.
        let _ = output.take(PROBE_BYTES).read_to_string(&mut text);
    }
    understand(&text)
}

/// The probe's answer.
fn understand(text: &str) -> KvmState {
    match serde_json::from_str::<Probe>(text.trim()) {
        Ok(Probe { ok: true, .. }) => KvmState::Ready,
        Ok(Probe { case, error, .. }) => match case.as_deref() {
            Some("busy") => KvmState::Busy,
            Some("permission") => KvmState::NoPermission,
            Some("extension") => KvmState::NoExtension,
            _ => KvmState::Failed(error.unwrap_or_else(|| "the engine does not say why".into())),
        },
        Err(_) => KvmState::Failed("the engine gave no answer".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(errno: rustix::io::Errno) -> std::io::Result<File> {
        Err(errno.into())
    }

    #[test]
    fn each_case_has_its_sentence() {
        use rustix::io::Errno;
        let (intel, amd) = ("processor: 0\nflags\t\t: fpu vmx sse\n", "flags : fpu svm hypervisor\n");
        let none = "flags : fpu sse\n";
        let machine = "flags : fpu sse hypervisor\n";
        let node = || File::open("/dev/null");
        assert_eq!(judge(node(), none, false), KvmState::Ready, "the node works, whatever the flags");
        assert_eq!(judge(error(Errno::NOENT), none, false), KvmState::NoExtension);
        assert_eq!(judge(error(Errno::NOENT), none, true), KvmState::NoExtension);
        assert_eq!(judge(error(Errno::NOENT), machine, false), KvmState::NotNested);
        assert_eq!(judge(error(Errno::NODEV), machine, false), KvmState::NotNested);
        assert_eq!(judge(error(Errno::NOENT), intel, false), KvmState::NoModule(Vendor::Intel));
        assert_eq!(judge(error(Errno::NODEV), amd, false), KvmState::NoModule(Vendor::Amd));
        assert_eq!(judge(error(Errno::NOENT), intel, true), KvmState::Flatpak);
        assert_eq!(judge(error(Errno::ACCESS), intel, false), KvmState::NoPermission);
        assert_eq!(judge(error(Errno::PERM), machine, true), KvmState::NoPermission);
    }

    #[test]
    fn the_engine_is_understood() {
        assert_eq!(understand("{\"ok\":true}\n"), KvmState::Ready);
        assert_eq!(understand(r#"{"error":"KVM_CREATE_VM: busy","case":"busy"}"#), KvmState::Busy);
        assert_eq!(understand(r#"{"error":"no vAPIC","case":"new"}"#), KvmState::Failed("no vAPIC".into()));
        for bad in ["", "[]", "{", "\u{0}"] {
            assert!(matches!(understand(bad), KvmState::Failed(_)), "{bad:?}");
        }
    }

    #[test]
    fn sentences_end_and_trouble_has_advice() {
        let all = [
            KvmState::NoExtension,
            KvmState::NoModule(Vendor::Amd),
            KvmState::NoPermission,
            KvmState::Busy,
            KvmState::NotNested,
            KvmState::Flatpak,
            KvmState::Failed("it is tired".into()),
        ];
        for state in all {
            assert!(state.sentence().ends_with('.') && state.advice().is_some(), "{state:?}");
        }
    }
}
