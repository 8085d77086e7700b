//! The first message: a machine's specification and its file descriptors, over the inherited socket.

use std::fs::File;
use std::io::{IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;

use anyhow::{Context, Result, bail, ensure};
use api::spec::{DriveSpecKind, FdIndex, FirmwareSpec, MachineSpec, START_BYTES, START_FDS, Start, Started};
use machine::{Cable, Drive, Firmware, Image, Network, Setup};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendFlags};

/// Most bytes of a firmware file.
const FIRMWARE_BYTES: u64 = 16 << 20;

/// Everything that the engine is started with.
pub(crate) struct Received {
    /// `/dev/kvm`.
    pub kvm: File,
    /// What the machine is built from.
    pub setup: Setup,
    /// Control clients come here.
    pub control: UnixListener,
    /// Consoles come here.
    pub ui: OwnedFd,
    /// Standard error.
    pub log: Option<File>,
    /// Stand still until told.
    pub paused: bool,
}

/// Descriptors by the number that the message gives them; each is taken once.
struct Fds(Vec<Option<OwnedFd>>);

impl Fds {
    fn take(&mut self, index: FdIndex) -> Result<OwnedFd> {
        let fd = self.0.get_mut(index.0 as usize).and_then(Option::take);
        fd.with_context(|| format!("file descriptor {} did not come with the start message", index.0))
    }

    fn file(&mut self, index: FdIndex) -> Result<File> {
        Ok(self.take(index)?.into())
    }
}

/// Waits for the start message on `socket`.
pub(crate) fn receive(socket: impl AsFd) -> Result<Received> {
    let mut bytes = vec![0; START_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(START_FDS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let message = rustix::net::recvmsg(socket, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let mut fds = Vec::new();
    for item in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = item {
            fds.extend(rights.map(Some));
        }
    }
    ensure!(message.bytes > 0, "nobody started this engine: `dormerctl start` does");
    let start: Start = serde_json::from_slice(&bytes[..message.bytes]).context("the start message cannot be read")?;
    let mut fds = Fds(fds);
    let received = Received {
        control: fds.take(start.control)?.into(),
        ui: fds.take(start.ui)?,
        log: start.log.map(|index| fds.file(index)).transpose()?,
        paused: start.paused,
        kvm: fds.file(start.kvm)?,
        setup: setup(start.machine, &mut fds)?,
    };
    Ok(received)
}

fn setup(spec: MachineSpec, fds: &mut Fds) -> Result<Setup> {
    use api::machine::limits;
    let MachineSpec {
        name, uuid, board: api::machine::Board::Q35V1, processors, memory, clock_offset, firmware, ..
    } = &spec;
    ensure!((1..=limits::PROCESSORS).contains(processors), "{processors} processors are impossible");
    ensure!((limits::MEMORY_MIN..=limits::MEMORY_MAX).contains(memory), "{memory} MiB of memory are impossible");
    let video = spec.video_memory;
    ensure!(
        video.is_power_of_two() && limits::VIDEO_MEMORY.contains(&video),
        "{video} MiB of video memory are impossible"
    );
    let on = |kinds: &[DriveSpecKind]| spec.drives.iter().filter(|drive| kinds.contains(&drive.kind)).count();
    let ahci = on(&[DriveSpecKind::AhciDisk, DriveSpecKind::AhciCd]);
    ensure!(ahci <= limits::AHCI_DRIVES, "{ahci} AHCI drives are too many");
    ensure!(on(&[DriveSpecKind::VirtioBlk]) <= limits::VIRTIO_DRIVES, "too many virtio drives");
    ensure!(on(&[DriveSpecKind::UsbDisk]) <= limits::USB_DRIVES, "too many USB drives");
    ensure!(spec.networks.len() <= limits::NETWORKS, "too many network cards");
    let firmware = match firmware {
        FirmwareSpec::Bios { rom } => Firmware::Bios(contents(fds.file(*rom)?)?),
        FirmwareSpec::Uefi { code, variables } => {
            Firmware::Uefi { code: contents(fds.file(*code)?)?, variables: fds.file(*variables)? }
        }
    };
    let mut drives = Vec::new();
    for drive in &spec.drives {
        let image = match &drive.image {
            Some(image) => {
                Some(Image { file: fds.file(image.file)?, format: image.format, read_only: image.read_only })
            }
            None => None,
        };
        drives.push(Drive { id: drive.id.clone(), kind: drive.kind, image, installer: drive.installer });
    }
    let mut networks = Vec::new();
    for network in &spec.networks {
        let cable = match (network.stream, network.tap) {
            (Some(stream), _) => Some(Cable::Stream(fds.take(stream)?.into())),
            (None, Some(tap)) => Some(Cable::tap(fds.take(tap)?).context("the tap device cannot be used")?),
            (None, None) => None,
        };
        let (id, words) = (network.id.clone(), network.network.clone());
        let rom = network.rom.map(|index| fds.file(index).and_then(contents)).transpose()?;
        let (model, mac, link) = (network.model, network.mac, network.link);
        networks.push(Network { id, model, rom, mac, network: words, cable, link });
    }
    Ok(Setup {
        name: name.clone(),
        uuid: *uuid,
        processors: *processors,
        memory: memory << 20,
        clock_offset: *clock_offset,
        firmware,
        video_rom: spec.video_rom.map(|index| fds.file(index).and_then(contents)).transpose()?,
        drives,
        networks,
        sound: spec.sound,
        usb: spec.usb,
        boot: spec.boot,
        resolution: spec.resolution,
        video_memory: u64::from(spec.video_memory) << 20,
        virtio_input: spec.virtio_input,
        serial: spec.serial.map(|index| fds.file(index)).transpose()?,
        debugcon: spec.debugcon.map(|index| fds.file(index)).transpose()?,
    })
}

fn contents(file: File) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(FIRMWARE_BYTES + 1).read_to_end(&mut bytes).context("the firmware cannot be read")?;
    if bytes.len() as u64 > FIRMWARE_BYTES {
        bail!("the firmware is larger than {} MiB", FIRMWARE_BYTES >> 20);
    }
    Ok(bytes)
}

/// Answers the start message.
pub(crate) fn answer(socket: impl AsFd, started: &Started) -> Result<()> {
    let bytes = serde_json::to_vec(started)?;
    let parts = [IoSlice::new(&bytes)];
    rustix::net::sendmsg(socket, &parts, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)?;
    Ok(())
}
