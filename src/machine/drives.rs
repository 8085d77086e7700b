//! Disks and CD drives: images behind controllers, and changing media while the machine runs.

use std::io;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use api::bootable;
use api::control::{DriveStatus, IoStatus};
use api::machine::ImageFormat;
use api::spec::DriveSpecKind;
use api::stats::{BlockStats, DriveStats};
use device::Ram;
use device::pci::{Devfn, PciFunction};
use disk::{Access, Alarm, Completions, Disk, DiskQueue, Format, OpenError, Timeout};
use storage::ahci::MediumError;
use storage::{Ahci, Drive as AtaDrive};
use usb::Xhci;
use usb::devices::storage::{MassStorage, Options};
use virtio::blk::Blk;

use crate::board::{Board, Chips, lock};
use crate::firmware::BootTarget;
use crate::setup::{Drive, Image};
use crate::usb::PLACE as USB_PLACE;
use crate::{BuildError, News};

/// How long the host's storage may take to finish what is queued.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a look at what is on the disks may take.
const GLANCE: Duration = Duration::from_secs(2);

/// First slot of virtio-blk functions.
const VIRTIO_SLOT: u8 = 0x10;

/// First of the USB controller's ports for disks, which are its first of USB 3.
const USB_PORT: u8 = 9;

/// Why a drive or its medium could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// No such drive.
    #[error("there is no drive named {0}")]
    NoDrive(String),
    /// Disks stay.
    #[error("{0} is a disk: only media of CD drives can be changed")]
    Fixed(String),
    /// The image was not opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// No threads for it.
    #[error("the computer has no thread left for the image")]
    Threads(#[source] io::Error),
    /// The guest holds the tray.
    #[error(transparent)]
    Medium(#[from] MediumError),
}

/// Tells the owner that a disk of the host is full.
struct Full<F> {
    drive: String,
    tell: F,
}

impl<F: Fn(News) + Send + Sync> Alarm for Full<F> {
    fn storage_full(&self) {
        (self.tell)(News::StorageFull { drive: self.drive.clone() });
    }
}

enum Place {
    AhciDisk,
    AhciCd(usize),
    Virtio,
    Usb,
}

struct Attached {
    id: String,
    place: Place,
    queue: Option<DiskQueue>,
    /// What went through the queues of media that were in it before.
    past: BlockStats,
    /// What is in it is an installer's CD.
    installer: bool,
}

/// All drives of a machine.
pub(crate) struct Drives {
    ahci: Arc<Mutex<Ahci>>,
    ram: Ram,
    list: Vec<Attached>,
}

/// Opens an image for a guest with `ram`.
fn open(image: Image, ram: &Ram) -> Result<DiskQueue, DriveError> {
    let format = match image.format {
        ImageFormat::Raw => Format::Raw,
        ImageFormat::Qcow2 => Format::Qcow2,
    };
    let access = if image.read_only { Access::ReadOnly } else { Access::ReadWrite };
    Disk::open(image.file, format, access)?.queue(ram.clone()).map_err(DriveError::Threads)
}

/// The slot of a virtio-blk function, which a USB controller does not move out of its own for.
fn virtio_slot(number: u8, has_usb: bool) -> u8 {
    let slot = VIRTIO_SLOT + number;
    if has_usb && slot >= USB_PLACE.device() { slot + 1 } else { slot }
}

fn connect<D: Completions + 'static>(queue: &DiskQueue, device: &Arc<Mutex<D>>) {
    let device: Arc<Mutex<dyn Completions>> = device.clone();
    let device: Weak<Mutex<dyn Completions>> = Arc::downgrade(&device);
    queue.connect(device);
}

impl Board {
    /// Puts the AHCI controller and all drives on the board. Gives them with what firmware calls each.
    pub(crate) fn add_drives(
        &mut self,
        drives: Vec<Drive>,
        chips: &Chips,
        usb: Option<&Arc<Mutex<Xhci>>>,
        tell: impl Fn(News) + Clone + Send + Sync + 'static,
    ) -> Result<(Drives, Vec<(String, BootTarget)>), BuildError> {
        let ahci = self.keep(Ahci::new(self.dma(), self.msi.clone()));
        let mut all = Drives { ahci: ahci.clone(), ram: self.ram.clone(), list: Vec::new() };
        let mut boot = Vec::new();
        let (mut port, mut virtio_disks, mut usb_port) = (0, 0, USB_PORT);
        for Drive { id, kind, image, installer } in drives {
            let queue = match image.map(|image| open(image, &self.ram)).transpose() {
                Ok(queue) => queue,
                Err(error) => return Err(BuildError::Drive { id, source: error }),
            };
            if let Some(queue) = &queue {
                queue.connect_alarm(Box::new(Full { drive: id.clone(), tell: tell.clone() }));
            }
            let place = match (kind, &queue) {
                (DriveSpecKind::AhciCd, medium) => {
                    boot.push((id.clone(), BootTarget::Ahci { port }));
                    if let Some(queue) = medium {
                        connect(queue, &ahci);
                    }
                    lock(&ahci).attach(port.into(), AtaDrive::cdrom(medium.clone()));
                    port += 1;
                    Place::AhciCd(usize::from(port - 1))
                }
                (DriveSpecKind::AhciDisk, Some(queue)) => {
                    boot.push((id.clone(), BootTarget::Ahci { port }));
                    connect(queue, &ahci);
                    let serial = format!("DM{port:05}");
                    lock(&ahci).attach(port.into(), AtaDrive::disk(queue.clone(), &serial, "Dormer disk"));
                    port += 1;
                    Place::AhciDisk
                }
                (DriveSpecKind::VirtioBlk, Some(queue)) => {
                    let slot = virtio_slot(virtio_disks, usb.is_some());
                    boot.push((id.clone(), BootTarget::VirtioBlk { slot }));
                    let serial = format!("DMV{slot:05}");
                    let device = Blk::new(queue.clone(), &serial);
                    let function = self.add_virtio(Devfn::new(slot, 0), device, &chips.lpc)?;
                    connect(queue, &function);
                    virtio_disks += 1;
                    Place::Virtio
                }
                (DriveSpecKind::UsbDisk, Some(queue)) => {
                    let Some(controller) = usb else { return Err(BuildError::NoUsb(id)) };
                    let (slot, super_port) = (USB_PLACE.device(), usb_port - USB_PORT + 1);
                    boot.push((id.clone(), BootTarget::Usb { slot, port: usb_port, super_port }));
                    let speed = api::usb::Speed::Super;
                    let options = Options { speed, serial: id.clone(), removable: true, discard: true };
                    let mut stick = MassStorage::new(queue.clone(), options);
                    stick.connect(Xhci::waker(controller, usb_port));
                    lock(controller).attach(Box::new(stick), Some(usb_port.into()))?;
                    usb_port += 1;
                    Place::Usb
                }
                (_, None) => return Err(BuildError::EmptyDisk(id)),
            };
            all.list.push(Attached { id, place, queue, past: BlockStats::default(), installer });
        }
        lock(&ahci).core_mut().connect_intx(Self::inta(&chips.lpc, 0x1f));
        self.plug(Devfn::new(0x1f, 2), ahci);
        Ok((all, boot))
    }
}

impl Attached {
    fn is_full(&self) -> bool {
        self.queue.as_ref().is_some_and(DiskQueue::is_full)
    }

    fn stats(&self) -> BlockStats {
        self.past + self.queue.as_ref().map(DiskQueue::counters).unwrap_or_default()
    }
}

impl Drives {
    /// Puts `image` into CD drive `id`, or takes its medium out; a tray that the guest locked opens too.
    pub(crate) fn change(&mut self, id: &str, image: Option<Image>) -> Result<(), DriveError> {
        let drive = self.list.iter_mut().find(|drive| drive.id == id);
        let drive = drive.ok_or_else(|| DriveError::NoDrive(id.to_owned()))?;
        let Place::AhciCd(port) = drive.place else { return Err(DriveError::Fixed(id.to_owned())) };
        let queue = image.map(|image| open(image, &self.ram)).transpose()?;
        if let Some(queue) = &queue {
            connect(queue, &self.ahci);
        }
        let old = lock(&self.ahci).insert_medium(port, queue.clone(), true)?;
        let before = std::mem::replace(&mut drive.queue, queue);
        drive.installer = false;
        // Not before its last read has reached the guest is it out of the drive, and its file free for others.
        if let Some(old) = old
            && let Err(error) = old.close(PATIENCE)
        {
            tracing::warn!("{id}: the old medium: {error}");
        }
        drive.past = drive.past + before.map(|queue| queue.counters()).unwrap_or_default();
        Ok(())
    }

    /// The drives with installers' CDs, if there is a system on one of the disks now.
    pub(crate) fn done_installers(&self) -> Vec<String> {
        let installers = self.list.iter().filter(|drive| drive.installer && drive.queue.is_some());
        let ids: Vec<_> = installers.map(|drive| drive.id.clone()).collect();
        let disks = self.list.iter().filter(|drive| !matches!(drive.place, Place::AhciCd(_)));
        let end = Instant::now() + GLANCE;
        let is_installed = |queue: &DiskQueue| {
            bootable::is_installed(|sector| {
                let left = end.checked_duration_since(Instant::now())?;
                let at = sector.checked_mul(bootable::SECTOR as u64)?;
                queue.read(at, bootable::SECTOR, left).ok()?.try_into().ok()
            })
        };
        let any = || disks.filter_map(|drive| drive.queue.as_ref()).any(is_installed);
        if !ids.is_empty() && any() { ids } else { Vec::new() }
    }

    /// What `query-block` answers.
    pub(crate) fn status(&self) -> Vec<DriveStatus> {
        let ahci = lock(&self.ahci);
        let one = |drive: &Attached| {
            let cd = match drive.place {
                Place::AhciCd(port) => ahci.cdrom(port),
                Place::AhciDisk | Place::Virtio | Place::Usb => None,
            };
            DriveStatus {
                device: drive.id.clone(),
                removable: cd.is_some(),
                tray_open: cd.is_some_and(|cd| cd.is_open()),
                locked: cd.is_some_and(|cd| cd.is_locked()),
                inserted: cd.map_or(drive.queue.is_some(), |cd| cd.medium().is_some()),
                io_status: if drive.is_full() { IoStatus::NoSpace } else { IoStatus::Ok },
            }
        };
        self.list.iter().map(one).collect()
    }

    /// What `query-blockstats` answers.
    pub(crate) fn stats(&self) -> Vec<DriveStats> {
        self.list.iter().map(|drive| DriveStats { device: drive.id.clone(), stats: drive.stats() }).collect()
    }

    /// Waits until nothing is in flight; the vCPUs stand.
    pub(crate) fn drain(&self) -> Result<(), Timeout> {
        self.queues().try_for_each(|queue| queue.drain(PATIENCE))
    }

    /// Does drive `id` wait for room on the host?
    pub(crate) fn is_full(&self, id: &str) -> bool {
        self.list.iter().any(|drive| drive.id == id && drive.is_full())
    }

    /// The machine goes on: tries again what waits for room on the host, and starts what the guest had issued.
    pub(crate) fn go_on(&self) {
        self.queues().for_each(DiskQueue::retry);
        lock(&self.ahci).go_on();
    }

    /// Gives up what waits for room on the host; the devices were reset.
    pub(crate) fn abandon(&self) {
        self.queues().for_each(DiskQueue::abandon);
    }

    /// Finishes everything and lets go of the images.
    pub(crate) fn close(&self) -> io::Result<()> {
        let mut result = Ok(());
        for queue in self.queues() {
            result = queue.close(PATIENCE).and(result);
        }
        result
    }

    /// The queue of what is in drive `id`.
    #[cfg(test)]
    pub(crate) fn queue(&self, id: &str) -> Option<&DiskQueue> {
        self.list.iter().find(|drive| drive.id == id).and_then(|drive| drive.queue.as_ref())
    }

    fn queues(&self) -> impl Iterator<Item = &DiskQueue> {
        self.list.iter().filter_map(|drive| drive.queue.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use api::machine::limits;

    use super::*;

    #[test]
    fn virtio_disks_make_room_for_usb() {
        let slots =
            |has_usb| (0..limits::VIRTIO_DRIVES as u8).map(|number| virtio_slot(number, has_usb)).collect::<Vec<_>>();
        assert_eq!(slots(false), (0x10..=0x17).collect::<Vec<_>>());
        assert!(!slots(true).contains(&USB_PLACE.device()) && slots(true).windows(2).all(|pair| pair[0] < pair[1]));
    }
}
