//! Disk controllers: ATA, ATAPI, AHCI.
