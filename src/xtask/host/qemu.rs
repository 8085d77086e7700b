//! The emulated PC: QEMU's command line.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use super::{HostArgs, UsbDevice, emulator::Emulator, initramfs::Boot, wire::PORT_NAME};

/// Everything QEMU is told that is not in [`HostArgs`].
pub(super) struct Wiring<'a> {
    pub(super) emulator: &'a Emulator,
    pub(super) boot: &'a Boot,
    /// This run's folder: request, agent, logs.
    pub(super) run_folder: &'a Path,
    /// Folders shared for writing: 9p tag and folder.
    pub(super) writable: &'a [(String, PathBuf)],
    /// The number QEMU inherits its end of the port's socket under.
    pub(super) port_fd: i32,
}

/// The name of the virtio port that is QEMU's monitor.
const MONITOR_NAME: &str = "dormer.monitor";

/// What the kernel is told.
///
/// Mitigations are off and checks are short because the processor is emulated; a panic ends QEMU (with `-no-reboot`).
const KERNEL_ARGUMENTS: &str = "console=ttyS0 loglevel=5 panic=-1 mitigations=off random.trust_cpu=on \
     rcupdate.rcu_expedited=1 8250.nr_uarts=1 net.ifnames=0 cryptomgr.notests";

/// The processor.
///
/// Five-level paging would lengthen every emulated page walk, and few machines have it. A pause filter the emulator does not have, but
/// KVM, which believes it, then takes guests out of their spin loops at each PAUSE, which the emulator can do: its PAUSE takes as long
/// as hundreds of other instructions, so firmware that polls and processors that wait for each other took minutes for a second.
const PROCESSOR: &str = "max,la57=off,+pause-filter,+pfthreshold,x-force-features=on";

/// QEMU for a test host, ready to be started.
pub(super) fn command(args: &HostArgs, wiring: &Wiring<'_>) -> Command {
    // QEMU must not outlive us however we end, and it has no option of its own for that yet.
    let mut qemu = Command::new("setpriv");
    qemu.args(["--pdeathsig", "KILL"]).arg(&wiring.emulator.program).args(&wiring.emulator.arguments);
    qemu.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-machine", "q35"]);
    qemu.args(["-cpu", PROCESSOR, "-m", &args.memory.to_string()]);
    if args.exact {
        qemu.args(["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-smp", "1"]);
    } else {
        qemu.args(["-accel", "tcg,thread=multi", "-smp", &args.cpus.to_string()]);
    }
    qemu.arg("-kernel").arg(&wiring.boot.kernel).arg("-initrd").arg(&wiring.boot.initramfs);
    qemu.args(["-append", KERNEL_ARGUMENTS]);

    qemu.arg("-chardev").arg(option("file,id=log,path=", &wiring.run_folder.join("kernel.log"), ""));
    qemu.args(["-serial", "chardev:log"]);
    qemu.args(["-chardev", &format!("socket,id=port,fd={}", wiring.port_fd)]);
    qemu.args(["-device", "virtio-serial-pci"]);
    qemu.args(["-device", &format!("virtserialport,chardev=port,name={PORT_NAME}")]);
    qemu.args(["-device", "virtio-rng-pci"]);
    qemu.args(["-netdev", "user,id=net,ipv6=off", "-device", "virtio-net-pci,netdev=net,romfile="]);

    share(&mut qemu, "root", Path::new("/"), false);
    share(&mut qemu, "run", wiring.run_folder, false);
    for (tag, folder) in wiring.writable {
        share(&mut qemu, tag, folder, true);
    }
    if args.monitor {
        // QEMU talks to itself: one end is its monitor, the other the command's.
        let socket = wiring.run_folder.join("monitor");
        qemu.arg("-chardev").arg(option("socket,id=monitor,server=on,wait=off,path=", &socket, ""));
        qemu.args(["-mon", "chardev=monitor,mode=control"]);
        qemu.arg("-chardev").arg(option("socket,id=commands,path=", &socket, ""));
        qemu.args(["-device", &format!("virtserialport,chardev=commands,name={MONITOR_NAME}")]);
    }
    if has_usb(args) {
        // As many ports of each kind as it can have.
        qemu.args(["-device", "qemu-xhci,id=xhci,p2=15,p3=15"]);
    }
    for (number, image) in args.usb_stick.iter().enumerate() {
        qemu.arg("-drive").arg(option(&format!("if=none,id=stick{number},format=raw,file="), image, ""));
        qemu.args([
            "-device",
            &format!("usb-storage,id=usb-stick{number},bus=xhci.0,drive=stick{number},removable=on"),
        ]);
    }
    for (number, device) in args.usb.iter().enumerate() {
        qemu.args(device.options(number, "xhci.0"));
    }
    if let Some(file) = &args.sound {
        qemu.arg("-audiodev").arg(option("wav,id=sound,out.frequency=48000,path=", file, ""));
        qemu.args(["-device", "intel-hda", "-device", "hda-duplex,audiodev=sound,mixer=off"]);
    }
    qemu
}

/// The kernel modules that go with the devices asked for.
pub(super) fn modules(args: &HostArgs) -> Vec<String> {
    let mut modules = Vec::new();
    if has_usb(args) {
        modules.push("xhci_pci");
    }
    if !args.usb_stick.is_empty() {
        modules.extend(["usb_storage", "sd_mod"]);
    }
    modules.extend(args.usb.iter().flat_map(UsbDevice::modules));
    if args.sound.is_some() {
        modules.extend(["snd_hda_intel", "snd_hda_codec_generic"]);
    }
    modules.into_iter().map(str::to_owned).collect()
}

fn has_usb(args: &HostArgs) -> bool {
    !args.usb_stick.is_empty() || !args.usb.is_empty()
}

fn share(qemu: &mut Command, tag: &str, folder: &Path, writable: bool) {
    // "none" is passthrough that does not insist on chown, so it works for root and for others.
    let rest = if writable { "" } else { ",readonly=on" };
    let rest = format!("{rest},security_model=none,multidevs=remap");
    qemu.arg("-fsdev").arg(option(&format!("local,id={tag},path="), folder, &rest));
    qemu.args(["-device", &format!("virtio-9p-pci,fsdev={tag},mount_tag={tag}")]);
}

/// An option value with a path in it; QEMU wants commas of the path doubled.
pub(super) fn option(before: &str, path: &Path, after: &str) -> OsString {
    let path = path.to_string_lossy().replace(',', ",,");
    format!("{before}{path}{after}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_paths_are_doubled() {
        assert_eq!(option("file=", Path::new("/a,b"), ",x=y"), OsString::from("file=/a,,b,x=y"));
    }
}
