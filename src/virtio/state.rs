//! A transport's saved state: registers, queues, and the device's own.

use device::{RestoreError, State};
use serde::{Deserialize, Serialize};

use crate::queue::{NO_VECTOR, VirtqueueState};
use crate::registers::Status;
use crate::transport::Transport;
use crate::virtio_device::VirtioDevice;

/// The saved transport, around the saved device `S`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransportState<S> {
    status: u8,
    device_feature_select: u32,
    driver_feature_select: u32,
    driver_features: u64,
    config_vector: u16,
    queue_select: u16,
    generation: u8,
    isr: u8,
    queues: Vec<VirtqueueState>,
    device: S,
}

impl<D: VirtioDevice + State> Transport<D> {
    /// Takes the state out. A reset that the driver waits for is over: nothing is under way when a machine is saved.
    pub fn save(&self) -> TransportState<D::Saved> {
        let Self {
            device,
            identity: _,
            place: _,
            queues,
            status,
            resetting: _,
            device_feature_select,
            driver_feature_select,
            driver_features,
            config_vector,
            queue_select,
            generation,
            isr,
            kick: _,
            window: _,
        } = self;
        TransportState {
            status: status.bits(),
            device_feature_select: *device_feature_select,
            driver_feature_select: *driver_feature_select,
            driver_features: *driver_features,
            config_vector: *config_vector,
            queue_select: *queue_select,
            generation: *generation,
            isr: *isr,
            queues: queues.list.iter().map(|queue| queue.save()).collect(),
            device: device.save(),
        }
    }

    /// Puts a state in, for a function with so many MSI-X `vectors`.
    pub fn restore(&mut self, vectors: u16, saved: TransportState<D::Saved>) -> Result<(), RestoreError> {
        let TransportState {
            status,
            device_feature_select,
            driver_feature_select,
            driver_features,
            config_vector,
            queue_select,
            generation,
            isr,
            queues,
            device,
        } = saved;
        let is_vector = |vector| vector == NO_VECTOR || vector < vectors;
        self.queues.reset();
        self.resetting = None;
        self.status = Status::from_bits(status).ok_or_else(|| D::impossible("status"))?;
        self.driver_features = driver_features;
        let agreed = self.status.contains(Status::FEATURES_OK);
        if agreed && !self.features_acceptable() || !agreed && self.status.contains(Status::DRIVER_OK) {
            return Err(D::impossible("features"));
        }
        if !is_vector(config_vector) || isr > 3 {
            return Err(D::impossible("interrupt"));
        }
        if queues.len() != self.queues.list.len() {
            return Err(D::impossible("queues"));
        }
        self.device_feature_select = device_feature_select;
        self.driver_feature_select = driver_feature_select;
        self.config_vector = config_vector;
        self.queue_select = queue_select;
        self.generation = generation;
        self.isr = isr;
        let ram = self.queues.ram().clone();
        for (queue, saved) in self.queues.list.iter_mut().zip(queues) {
            if !queue.restore(saved, &ram) || !is_vector(queue.setup.vector) {
                return Err(D::impossible("queues"));
            }
        }
        self.set_running();
        self.device.restore(device)
    }
}
