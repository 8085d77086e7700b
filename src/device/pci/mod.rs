//! PCI: config space, base address registers, MSI and MSI-X, and the root that decodes config accesses.
//!
//! Follows the PCI Local Bus Specification 3.0 (chapter 6, and 6.8 for MSI and MSI-X) and the PCI Express Base Specification's
//! memory-mapped config space (7.2.2). Firmware assigns addresses: there is no allocator here. A function is a [`PciFunction`]
//! around a [`PciCore`]; the [`PciRoot`] finds it by its [`Devfn`] and moves its BARs when firmware writes them.

mod bar;
mod config;
mod core;
mod msi;
mod root;

pub use self::bar::{AddressSpace, Backing, Bar, BarKind, Doorbell, SharedMemory};
pub use self::config::{ConfigSpace, Identity};
pub use self::core::{PciCore, PciCoreState, PciFunction};
pub use self::msi::{Msi, MsiSink, MsixTable, MsixTableState};
pub use self::root::{Devfn, ECAM_SIZE_PER_BUS, HighBars, PciRoot, PciRootState};
