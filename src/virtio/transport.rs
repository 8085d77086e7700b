//! The PCI transport (VIRTIO 1.2 §4.1), modern interface only: status machine, features, queue set-up, interrupts.
//!
//! A [`Transport`] is the virtio part of a PCI function: four pages of registers somewhere in one of its BARs, and five vendor
//! capabilities that say where. It is handed the function's [`PciCore`] with every call, so that one function can have other
//! parts too (a VGA); [`crate::VirtioPci`] is the function that has nothing else.
//!
//! ```text
//! offset  0x0000 common configuration      0x1000 ISR status
//!         0x2000 device configuration      0x3000 doorbells, 4 bytes per queue
//! ```
//!
//! Drivers are held to the order of §3.1: features until FEATURES_OK, queues until DRIVER_OK, nothing is cleared except by a
//! reset. What comes out of order is ignored.

use device::pci::{Doorbell, PciCore};
use device::{Dma, Size};

use crate::queue::NO_VECTOR;
use crate::queues::Queues;
use crate::registers::{self, Access, Register, Status};
use crate::virtio_device::{EVENT_IDX, INDIRECT_DESC, Identity, VERSION_1, VirtioDevice};

/// Bytes of BAR that a transport takes.
pub const REGISTERS: u64 = 0x4000;

pub(crate) const COMMON: u64 = 0x0000;
pub(crate) const ISR: u64 = 0x1000;
pub(crate) const DEVICE: u64 = 0x2000;
pub(crate) const NOTIFY: u64 = 0x3000;
const PAGE: u64 = 0x1000;
/// Bytes from one queue's doorbell to the next.
pub(crate) const NOTIFY_MULTIPLIER: u32 = 4;

const ISR_QUEUE: u8 = 1;
const ISR_CONFIG: u8 = 2;

/// Where a transport's registers are.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The BAR, of registers.
    pub bar: u8,
    /// Byte offset in it, whole pages.
    pub offset: u64,
}

/// Lets a device ring its own doorbell, to go on later with what one round left over. The board signals the doorbell's
/// eventfd. Called under the device's mutex.
pub trait Kick: Send {
    /// Rings doorbell `index`.
    fn kick(&self, index: u16);
}

/// The virtio part of a PCI function around device `D`.
pub struct Transport<D> {
    pub(crate) device: D,
    pub(crate) identity: Identity,
    pub(crate) place: Place,
    pub(crate) queues: Queues,
    pub(crate) status: Status,
    /// What status reads while the driver waits for a reset's end.
    pub(crate) resetting: Option<Status>,
    pub(crate) device_feature_select: u32,
    pub(crate) driver_feature_select: u32,
    pub(crate) driver_features: u64,
    pub(crate) config_vector: u16,
    pub(crate) queue_select: u16,
    pub(crate) generation: u8,
    pub(crate) isr: u8,
    pub(crate) kick: Option<Box<dyn Kick>>,
    /// Where in config space the capability of §4.1.4.9 stands.
    pub(crate) window: usize,
}

impl<D: VirtioDevice> Transport<D> {
    /// A transport with its registers at `place`. `dma` is the function's.
    pub fn new(device: D, dma: Dma, place: Place) -> Self {
        let identity = device.identity();
        debug_assert!(place.offset.is_multiple_of(PAGE) && identity.queue_sizes.len() <= 64);
        Self {
            queues: Queues::new(&identity.queue_sizes, dma),
            device,
            identity,
            place,
            status: Status::empty(),
            resetting: None,
            device_feature_select: 0,
            driver_feature_select: 0,
            driver_features: 0,
            config_vector: NO_VECTOR,
            queue_select: 0,
            generation: 0,
            isr: 0,
            kick: None,
            window: 0,
        }
    }

    /// Lets the device ring itself, and so offers EVENT_IDX. Called before the machine first runs.
    pub fn connect_kick(&mut self, kick: Box<dyn Kick>) {
        self.kick = Some(kick);
    }

    /// One doorbell for each queue, with the queue's number, for the BAR the registers are in.
    pub fn doorbells(&self) -> Vec<Doorbell> {
        let offset = |index| self.place.offset + NOTIFY + u64::from(index) * u64::from(NOTIFY_MULTIPLIER);
        (0..self.queue_count()).map(|index| Doorbell { offset: offset(index), index }).collect()
    }

    /// MSI-X vectors that it can use: one for each queue and one for the config space.
    pub fn vectors(&self) -> u16 {
        self.queue_count() + 1
    }

    /// The device.
    pub fn device(&self) -> &D {
        &self.device
    }

    /// The driver is ready, and all well.
    pub fn is_running(&self) -> bool {
        self.queues.is_running()
    }

    fn queue_count(&self) -> u16 {
        // At most 64.
        self.queues.list.len() as u16
    }

    pub(crate) fn offered(&self) -> u64 {
        let event_idx = if self.kick.is_some() { EVENT_IDX } else { 0 };
        self.identity.features | VERSION_1 | INDIRECT_DESC | event_idx
    }

    /// A guest's read at `offset` from [`Place::offset`].
    pub fn read(&mut self, core: &mut PciCore, offset: u64, size: Size) -> u64 {
        match offset & !(PAGE - 1) {
            COMMON => registers::decode(offset, size).map_or(0, |access| self.read_common(access)),
            ISR if offset == ISR => {
                core.set_interrupt(false);
                std::mem::take(&mut self.isr).into()
            }
            DEVICE => self.read_device(offset - DEVICE, size),
            _ => 0,
        }
    }

    /// A guest's write at `offset` from [`Place::offset`].
    pub fn write(&mut self, core: &mut PciCore, offset: u64, size: Size, value: u64) {
        match offset & !(PAGE - 1) {
            COMMON => {
                if let Some(access) = registers::decode(offset, size) {
                    self.write_common(core, access, size, value);
                }
            }
            DEVICE => self.write_device(core, offset - DEVICE, size, value),
            NOTIFY if offset.is_multiple_of(NOTIFY_MULTIPLIER.into()) => {
                // Less than a page, so it fits.
                self.ring(core, ((offset - NOTIFY) / u64::from(NOTIFY_MULTIPLIER)) as u16);
            }
            _ => {}
        }
    }

    /// The driver rang for `queue`, by doorbell or register.
    pub fn ring(&mut self, core: &mut PciCore, queue: u16) {
        if queue < self.queue_count() && self.is_running() {
            self.queues.begin();
            self.device.process(queue, &mut self.queues);
            self.settle(core);
        }
    }

    /// Something happened to the device from outside the guest: lets it react, with its queues, and tells the driver. The
    /// queues look empty while the driver is not ready.
    pub fn change<R>(&mut self, core: &mut PciCore, react: impl FnOnce(&mut D, &mut Queues) -> R) -> R {
        let result = self.change_more(react);
        self.settle(core);
        result
    }

    /// One of several things that happened at once. The driver is told by [`Self::settle`], which the caller calls after the
    /// last.
    pub fn change_more<R>(&mut self, react: impl FnOnce(&mut D, &mut Queues) -> R) -> R {
        self.queues.begin();
        react(&mut self.device, &mut self.queues)
    }

    /// The machine was reset.
    pub fn reset(&mut self, core: &mut PciCore) {
        self.device.reset();
        self.queues.reset();
        self.status = Status::empty();
        self.resetting = None;
        self.device_feature_select = 0;
        self.driver_feature_select = 0;
        self.driver_features = 0;
        self.config_vector = NO_VECTOR;
        self.queue_select = 0;
        self.isr = 0;
        core.set_interrupt(false);
    }

    fn read_common(&self, Access { register, shift, .. }: Access) -> u64 {
        let queue = self.queues.list.get(usize::from(self.queue_select));
        let value = match register {
            Register::DeviceFeatureSelect => self.device_feature_select.into(),
            Register::DeviceFeature => half(self.offered(), self.device_feature_select),
            Register::DriverFeatureSelect => self.driver_feature_select.into(),
            Register::DriverFeature => half(self.driver_features, self.driver_feature_select),
            Register::ConfigVector => self.config_vector.into(),
            Register::NumQueues => self.queue_count().into(),
            Register::DeviceStatus => self.resetting.unwrap_or(self.status).bits().into(),
            Register::ConfigGeneration => self.generation.into(),
            Register::QueueSelect => self.queue_select.into(),
            Register::QueueNotifyOff => queue.map_or(0, |_| self.queue_select.into()),
            // Size 0 is how a queue says that it is not there.
            Register::QueueSize => queue.map_or(0, |queue| queue.setup.size.into()),
            Register::QueueVector => queue.map_or(NO_VECTOR, |queue| queue.setup.vector).into(),
            Register::QueueEnable => queue.is_some_and(|queue| queue.is_enabled()).into(),
            Register::QueueDescriptors => queue.map_or(0, |queue| queue.setup.descriptors),
            Register::QueueAvailable => queue.map_or(0, |queue| queue.setup.available),
            Register::QueueUsed => queue.map_or(0, |queue| queue.setup.used),
        };
        value >> shift
    }

    fn write_common(&mut self, core: &mut PciCore, access: Access, size: Size, value: u64) {
        let wide =
            matches!(access.register, Register::QueueDescriptors | Register::QueueAvailable | Register::QueueUsed);
        if !wide && !access.whole {
            return;
        }
        let vectors = core.msix_vectors();
        let vector = |value: u64| if value < vectors.into() { value as u16 } else { NO_VECTOR };
        match access.register {
            Register::DeviceFeatureSelect => self.device_feature_select = value as u32,
            Register::DriverFeatureSelect => self.driver_feature_select = value as u32,
            Register::DriverFeature if !self.status.contains(Status::FEATURES_OK) => {
                let value = value & 0xffff_ffff;
                match self.driver_feature_select {
                    0 => self.driver_features = self.driver_features & !0xffff_ffff | value,
                    1 => self.driver_features = self.driver_features & 0xffff_ffff | value << 32,
                    _ => {}
                }
            }
            Register::ConfigVector => self.config_vector = vector(value & 0xffff),
            Register::DeviceStatus => self.write_status(core, value as u8),
            Register::QueueSelect => self.queue_select = value as u16,
            Register::QueueVector => {
                if let Some(queue) = self.queues.list.get_mut(usize::from(self.queue_select)) {
                    queue.setup.vector = vector(value & 0xffff);
                }
            }
            _ => self.write_queue(access, size, value),
        }
    }

    /// Registers of the selected queue that stand still once it is enabled.
    fn write_queue(&mut self, access: Access, size: Size, value: u64) {
        let ram = self.queues.ram().clone();
        let Some(queue) = self.queues.list.get_mut(usize::from(self.queue_select)) else { return };
        if queue.is_enabled() || self.status.contains(Status::DRIVER_OK) {
            return;
        }
        let setup = &mut queue.setup;
        match access.register {
            Register::QueueSize => setup.size = value as u16,
            Register::QueueDescriptors => setup.descriptors = access.merge(setup.descriptors, size, value),
            Register::QueueAvailable => setup.available = access.merge(setup.available, size, value),
            Register::QueueUsed => setup.used = access.merge(setup.used, size, value),
            Register::QueueEnable if value as u16 == 1 => queue.enable(&ram),
            _ => {}
        }
    }

    fn write_status(&mut self, core: &mut PciCore, value: u8) {
        if value == 0 {
            let before = self.resetting.unwrap_or(self.status);
            self.reset(core);
            // The driver waits for a zero before it uses its buffers for something else (§4.1.4.3.2).
            self.resetting = (!self.device.is_idle()).then_some(before);
            return;
        }
        self.resetting = None;
        let asked = Status::from_bits_truncate(value);
        self.status |= asked & (Status::ACKNOWLEDGE | Status::DRIVER | Status::FAILED);
        if asked.contains(Status::FEATURES_OK) && self.status.contains(Status::DRIVER) && self.features_acceptable() {
            self.status |= Status::FEATURES_OK;
        }
        let ready = self.status.contains(Status::FEATURES_OK) && !self.status.contains(Status::NEEDS_RESET);
        if asked.contains(Status::DRIVER_OK) && ready && !self.status.contains(Status::DRIVER_OK) {
            self.start(core);
        }
    }

    pub(crate) fn features_acceptable(&self) -> bool {
        self.driver_features & !self.offered() == 0 && self.driver_features & VERSION_1 != 0
    }

    fn start(&mut self, core: &mut PciCore) {
        self.status |= Status::DRIVER_OK;
        self.set_running();
        self.device.start(self.driver_features);
        // Some drivers fill queues and ring before they are ready.
        self.ring_all(core);
    }

    /// Derives from status and features what the queues go by.
    pub(crate) fn set_running(&mut self) {
        self.queues.running = self.status.contains(Status::DRIVER_OK) && !self.status.contains(Status::NEEDS_RESET);
        let event_idx = self.driver_features & EVENT_IDX != 0;
        self.queues.list.iter_mut().for_each(|queue| queue.set_event_idx(event_idx));
    }

    /// Rings for every queue.
    pub(crate) fn ring_all(&mut self, core: &mut PciCore) {
        for queue in 0..self.queue_count() {
            self.ring(core, queue);
        }
    }

    fn read_device(&self, offset: u64, size: Size) -> u64 {
        let mut bytes = [0; 8];
        let length = self.identity.config_length.saturating_sub(offset).min(size.bytes()) as usize;
        if length > 0 {
            self.device.read_config(offset, &mut bytes[..length]);
        }
        u64::from_le_bytes(bytes)
    }

    fn write_device(&mut self, core: &mut PciCore, offset: u64, size: Size, value: u64) {
        let length = self.identity.config_length.saturating_sub(offset).min(size.bytes()) as usize;
        if length > 0 {
            self.device.write_config(offset, &value.to_le_bytes()[..length]);
            self.settle(core);
        }
    }

    /// After the device acted: tells the driver what there is to tell.
    pub fn settle(&mut self, core: &mut PciCore) {
        if std::mem::take(&mut self.queues.broken) {
            self.status |= Status::NEEDS_RESET;
            self.raise(core, ISR_CONFIG, self.config_vector);
        }
        if std::mem::take(&mut self.queues.config_changed) {
            self.generation = self.generation.wrapping_add(1);
            if self.is_running() {
                self.raise(core, ISR_CONFIG, self.config_vector);
            }
        }
        for index in 0..self.queues.list.len() {
            let ram = self.queues.ram().clone();
            let queue = &mut self.queues.list[index];
            if queue.wants_interrupt(&ram) {
                let vector = queue.setup.vector;
                self.raise(core, ISR_QUEUE, vector);
            }
            if std::mem::take(&mut self.queues.left[index])
                && let Some(kick) = &self.kick
            {
                kick.kick(index as u16);
            }
        }
        if self.resetting.is_some() && self.device.is_idle() {
            self.resetting = None;
        }
    }

    fn raise(&mut self, core: &mut PciCore, reason: u8, vector: u16) {
        if core.msix_enabled() {
            // The table ignores vectors that it does not have, as NO_VECTOR.
            core.send_msix(vector);
        } else {
            self.isr |= reason;
            core.set_interrupt(true);
        }
    }
}

/// 32 bits of features, selected by number; there are none beyond 64.
fn half(features: u64, select: u32) -> u64 {
    match select {
        0 => features & 0xffff_ffff,
        1 => features >> 32,
        _ => 0,
    }
}
