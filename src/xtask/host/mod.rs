//! The test host: an emulated PC (QEMU's TCG, `-cpu max`) with AMD-V, so that real KVM runs on machines that have
//! none, or only one that cannot be trusted.
//!
//! It boots Debian's own kernel with an initramfs of ours and shares this machine's root file system: everything
//! is at the same path, writes go to memory and are gone afterwards, except in folders shared for writing. The command runs
//! as root, its output comes out live, its exit status is the result.

mod emulator;
pub(crate) mod init;
mod initramfs;
mod qemu;
mod run;
mod usb;
mod wire;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::Args;

pub(crate) use run::{Console, run};
pub(crate) use usb::UsbDevice;
pub(crate) use wire::Stream;

/// Exit status for "the test host itself failed", as of `env` and `timeout`.
const OWN_FAILURE: u8 = 125;

/// `cargo xtask host`'s options.
#[derive(Args, Debug, Clone)]
#[command(args_override_self = true)]
pub(crate) struct HostArgs {
    /// Time goes by instructions (icount): slower, one processor, repeatable to about 0.1 %, and safe for OVMF guests
    #[arg(long)]
    pub(crate) exact: bool,
    /// Processors
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(crate) cpus: u8,
    /// Memory in MiB
    #[arg(long, value_name = "MIB", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(256..))]
    pub(crate) memory: u32,
    /// A folder to share for writing, at the same path (target/host-out always is); may be repeated
    #[arg(long, value_name = "DIR")]
    pub(crate) writable: Vec<PathBuf>,
    /// A raw image to plug in as a USB stick; may be repeated
    #[arg(long, value_name = "IMG")]
    pub(crate) usb_stick: Vec<PathBuf>,
    /// Another USB device: serial, net, audio, keyboard, tablet, hub, smart-card, mtp=FOLDER, uas=IMG; serial and audio write to
    /// =FILE; may be repeated
    #[arg(long, value_name = "KIND[=FILE]")]
    pub(crate) usb: Vec<UsbDevice>,
    /// Let the command reach QEMU's own monitor (QMP): the virtio port `dormer.monitor`
    #[arg(long)]
    pub(crate) monitor: bool,
    /// Give it a sound card and write what it plays to this file
    #[arg(long, value_name = "OUT.wav")]
    pub(crate) sound: Option<PathBuf>,
    /// Seconds after which it is stopped (exit status 124)
    #[arg(long, value_name = "S", default_value_t = 1800)]
    pub(crate) timeout: u64,
    /// Do not start again after the one QEMU crash that is known (see `run`)
    #[arg(long)]
    pub(crate) no_retry: bool,
    /// Say how long it took to come up
    #[arg(long, short)]
    pub(crate) verbose: bool,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

impl HostArgs {
    /// A test host with the defaults of the command line.
    pub(crate) fn new(command: Vec<String>) -> Self {
        Self {
            exact: false,
            cpus: 2,
            memory: 4096,
            writable: Vec::new(),
            usb_stick: Vec::new(),
            usb: Vec::new(),
            monitor: false,
            sound: None,
            timeout: 1800,
            no_retry: false,
            verbose: false,
            command,
        }
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

/// Where engines of this repository can be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engines {
    /// On this machine's own KVM.
    Here,
    /// In the test host.
    TestHost,
}

/// Decides between this machine's KVM and the test host.
///
/// `/dev/kvm` alone proves nothing: software-only KVMs (PVM) have one and cannot run real guests, so the processor
/// must have VMX or SVM too.
pub(crate) fn where_engines_run() -> Engines {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let opens = std::fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok();
    if opens && has_virtualization(&cpuinfo) { Engines::Here } else { Engines::TestHost }
}

/// Whether a kernel for the test host is installed.
pub(crate) fn has_kernel() -> bool {
    initramfs::kernel_version().is_some()
}

fn has_virtualization(cpuinfo: &str) -> bool {
    cpuinfo
        .lines()
        .filter_map(|line| line.strip_prefix("flags"))
        .any(|flags| flags.split_whitespace().any(|flag| flag == "vmx" || flag == "svm"))
}

/// Where the test host keeps its caches, logs and runs.
fn folder() -> PathBuf {
    crate::workspace::target_dir().join("host")
}

/// The output of a test host on the terminal.
struct Terminal;

impl Console for Terminal {
    fn output(&mut self, stream: Stream, bytes: &[u8]) {
        // Nothing is to be done about a reader that went away.
        let _ = match stream {
            Stream::Out => std::io::stdout().write_all(bytes).and_then(|()| std::io::stdout().flush()),
            Stream::Err => std::io::stderr().write_all(bytes),
        };
    }
}

/// `cargo xtask host`.
pub(crate) fn main(args: &HostArgs) -> ExitCode {
    match run(args, &mut Terminal) {
        Ok(status) => ExitCode::from(u8::try_from(status & 0xff).unwrap_or(OWN_FAILURE)),
        Err(error) => {
            eprintln!("error: test host: {error:#}");
            ExitCode::from(OWN_FAILURE)
        }
    }
}

/// Absolute, with links resolved, because the test host mounts it by that name.
fn canonical(path: &Path) -> anyhow::Result<PathBuf> {
    path.canonicalize().map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn virtualization_is_a_whole_flag() {
        assert!(has_virtualization("processor\t: 0\nflags\t\t: fpu vme svm lm\n"));
        assert!(has_virtualization("flags\t\t: fpu vmx\n"));
        assert!(!has_virtualization("flags\t\t: fpu svm_lock vmxnet\nvmx flags\t: vnmi\nmodel name\t: svm\n"));
    }
}
