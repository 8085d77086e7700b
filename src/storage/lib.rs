//! Disk controllers: ATA, ATAPI, AHCI.
//!
//! Three layers, each of use without those above it: [`mmc`] is what a CD/DVD drive does with a command, whatever carries
//! it; [`ata`] is what ATA disks and ATAPI drives do with a task file; [`ahci`] is a host bus adapter with such [`Drive`]s at
//! its ports. The drives read and write through [`disk::DiskQueue`]; controllers carry out what drives decide.

pub mod ahci;
pub mod ata;
mod drive;
pub mod mmc;

pub use ahci::Ahci;
pub use drive::Drive;
