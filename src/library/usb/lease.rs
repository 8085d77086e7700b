//! Which machine has which device: a file for each, `usb/<port>` beside its engine's sockets, written before the engine gets the device.
//!
//! When an engine ends, the kernel takes the device from it and leaves it without a driver. Whoever sees the end, or finds what an engine
//! left, gives the host its devices back: a driver for each interface that has none (`USBDEVFS_CONNECT`).

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use nusb::{DeviceInfo, MaybeFuture};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Device;
use crate::engine;
use crate::error::{Result, Trying};

/// The folder beside an engine's sockets.
const FOLDER: &str = "usb";
/// Most bytes of a file in it.
const BYTES: u64 = 4096;
/// Most files that are looked at: a controller has fewer ports.
const MOST: usize = 64;

/// A device that a machine has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The machine's name.
    pub machine: String,
    /// Its identity.
    pub uuid: Uuid,
    /// The device, by its port.
    pub id: String,
    /// What people call it.
    pub name: String,
    bus: u8,
    address: u8,
}

impl Lease {
    /// Is it this very device, and not another that was plugged in at its place?
    pub(super) fn is_of(&self, device: &Device) -> bool {
        (&self.id, self.bus, self.address) == (&device.id, device.ports.0, device.address)
    }

    fn is_of_info(&self, info: &DeviceInfo) -> bool {
        (self.bus, self.address) == (info.busnum(), info.device_address())
    }
}

/// The devices that machines have whose engines run. Of those that have ended, the host gets them back.
pub fn leases() -> Vec<Lease> {
    let mut held = Vec::new();
    for folder in engine::folders() {
        let leases = read(&folder);
        if leases.is_empty() {
            continue;
        }
        match engine::is_running(&folder) {
            true => held.extend(leases),
            false => give_back(&folder),
        }
    }
    held
}

/// Writes down that a machine has a device. `folder` is where its engine's sockets are.
pub(crate) fn note(folder: &Path, machine: (&str, Uuid), device: &Device) -> Result<()> {
    let lease = Lease {
        machine: machine.0.to_owned(),
        uuid: machine.1,
        id: device.id.clone(),
        name: device.name(),
        bus: device.ports.0,
        address: device.address,
    };
    let place = folder.join(FOLDER);
    DirBuilder::new().recursive(true).mode(0o700).create(&place).at("make", &place)?;
    let path = place.join(&device.id);
    std::fs::write(&path, serde_json::to_vec(&lease).unwrap_or_default()).at("write", &path)
}

/// A machine has a device no more, whose engine runs on: the host gets it back if the engine did not see to that.
/// What people call it, if it was written down.
pub(crate) fn release(folder: &Path, id: &str) -> Option<String> {
    let lease = read(folder).into_iter().find(|lease| lease.id == id)?;
    return_to_host(folder, std::slice::from_ref(&lease));
    Some(lease.name)
}

/// An engine has ended, which had its sockets in `folder`: the host gets its devices back.
pub(crate) fn give_back(folder: &Path) {
    return_to_host(folder, &read(folder));
}

fn strike(folder: &Path, id: &str) {
    if api::usb::is_port(id) {
        // It may be gone already.
        let _ = std::fs::remove_file(folder.join(FOLDER).join(id));
    }
}

fn return_to_host(folder: &Path, leases: &[Lease]) {
    if leases.is_empty() {
        return;
    }
    let infos = super::infos().unwrap_or_else(|error| {
        tracing::warn!("{error}");
        Vec::new()
    });
    for lease in leases {
        for info in infos.iter().filter(|info| lease.is_of_info(info)) {
            if let Err(error) = bind(info) {
                tracing::warn!(
                    "{} ({}) may be without a driver until it is plugged in again: {error}",
                    lease.name,
                    lease.id
                );
            }
        }
        strike(folder, &lease.id);
    }
}

/// Lets drivers have a device that nobody has.
fn bind(info: &DeviceInfo) -> Result<(), nusb::Error> {
    let bare = |number: u8| {
        let configuration = std::fs::read_to_string(info.sysfs_path().join("bConfigurationValue")).unwrap_or_default();
        let id = info.sysfs_path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let interface = format!("{id}:{}.{number}", configuration.trim());
        !info.sysfs_path().join(interface).join("driver").exists()
    };
    let interfaces: Vec<u8> = info.interfaces().map(nusb::InterfaceInfo::interface_number).collect();
    if !interfaces.is_empty() && !interfaces.iter().any(|number| bare(*number)) {
        return Ok(());
    }
    let device = info.open().wait()?;
    // A guest may have left it without a configuration: with one, drivers come by themselves.
    if let (true, Some(first)) = (interfaces.is_empty(), device.configurations().next()) {
        return device.set_configuration(first.configuration_value()).wait();
    }
    for number in interfaces.into_iter().filter(|number| bare(*number)) {
        match device.attach_kernel_driver(number) {
            Err(error) if error.kind() != nusb::ErrorKind::Busy => return Err(error),
            // Linux has no driver for it, or it has one meanwhile.
            _ => {}
        }
    }
    Ok(())
}

/// What was written down in an engine's folder.
fn read(folder: &Path) -> Vec<Lease> {
    let files = std::fs::read_dir(folder.join(FOLDER)).into_iter().flatten().flatten().take(MOST);
    let lease = |path: PathBuf| serde_json::from_str::<Lease>(&super::read(&path, BYTES)?).ok();
    files.filter_map(|file| lease(file.path()).filter(|lease| file.file_name().to_str() == Some(&lease.id))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usb::a_device;

    #[test]
    fn what_a_machine_has_is_written_down_and_struck() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()), []);
        let device = a_device("1-2.3");
        note(folder.path(), ("Alpha", Uuid::nil()), &device).unwrap();
        note(folder.path(), ("Alpha", Uuid::nil()), &a_device("1-4")).unwrap();
        let leases = read(folder.path());
        let lease = leases.iter().find(|lease| lease.id == "1-2.3").unwrap();
        assert_eq!((leases.len(), lease.machine.as_str(), lease.name.as_str()), (2, "Alpha", "SanDisk Ultra"));
        assert!(lease.is_of(&device) && !lease.is_of(&Device { address: 6, ..device }));
        strike(folder.path(), "../usb/1-4");
        assert_eq!(read(folder.path()).len(), 2);
        strike(folder.path(), "1-4");
        assert_eq!(read(folder.path()).len(), 1);
        give_back(folder.path());
        assert_eq!(read(folder.path()), []);
    }

    #[test]
    fn nonsense_is_nobodys() {
        let folder = tempfile::tempdir().unwrap();
        note(folder.path(), ("Alpha", Uuid::nil()), &a_device("1-2")).unwrap();
        let place = folder.path().join(FOLDER);
        std::fs::copy(place.join("1-2"), place.join("1-3")).unwrap();
        std::fs::write(place.join("1-5"), "{").unwrap();
        std::fs::write(place.join("1-6"), [0xff; 9000]).unwrap();
        std::fs::create_dir(place.join("1-7")).unwrap();
        assert_eq!(read(folder.path()).len(), 1);
    }
}
