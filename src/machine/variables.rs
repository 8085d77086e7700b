//! UEFI's variables: the flash that the guest sees, and the file that keeps it.
//!
//! The guest's flash is a memfd; the file is written when the guest has changed it and rests, and at every stop. So the file may be
//! replaced, truncated or on a full disk without harm to the running guest, and a failed write is told.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex};

use chipset::Pflash;
use device::pci::SharedMemory;
use vm_memory::VolatileMemory;

use crate::board::lock;

/// The variable store.
pub(crate) struct Variables {
    flash: Arc<Mutex<Pflash>>,
    memory: Arc<SharedMemory>,
    file: File,
    /// [`Pflash::changes`] at the last write.
    written: u64,
}

impl Variables {
    /// The store of `flash`, whose bytes are `memory`, kept in `file`.
    pub(crate) fn new(flash: Arc<Mutex<Pflash>>, memory: Arc<SharedMemory>, file: File) -> Self {
        Self { flash, memory, file, written: 0 }
    }

    /// Writes the file if the guest has changed anything since the last time, and waits until it is on the disk.
    pub(crate) fn write(&mut self) -> io::Result<()> {
        let mut bytes = vec![0; self.memory.size() as usize];
        let changes = {
            // Nobody programs the flash meanwhile: what is kept is what stood in it at one instant, as after a power cut.
            let flash = lock(&self.flash);
            if flash.changes() == self.written {
                return Ok(());
            }
            self.memory.region().as_volatile_slice().copy_to(&mut bytes[..]);
            flash.changes()
        };
        self.file.write_all_at(&bytes, 0)?;
        self.file.sync_data()?;
        self.written = changes;
        Ok(())
    }
}
