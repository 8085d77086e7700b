//! The memory controller hub: host bridge 00:00.0.
//!
//! Follows Intel's Q35 MCH datasheet (316966), §5.1: PCIEXBAR places the ECAM, PAM0–6 say for each part of C0000–FFFFF whether
//! reads and writes go to RAM. SMRAM exists as a register, locked shut: this board has no system management mode.

use device::pci::{Identity, PciCore, PciCoreState, PciFunction};
use device::{Device, Dma, Msi, RestoreError, Size, State};
use serde::{Deserialize, Serialize};

const PCIEXBAR: usize = 0x60;
const PAM0: usize = 0x90;
const SMRAM: usize = 0x9d;

/// Parts of C0000–FFFFF that PAM registers tell apart.
pub const PAM_SEGMENTS: usize = 13;

/// First address and bytes of PAM segment `segment`: 0 is F0000–FFFFF, the others are 16 KiB each from C0000 on.
pub fn pam_segment(segment: usize) -> (u64, u64) {
    match segment {
        0 => (0xf_0000, 0x1_0000),
        _ => (0xc_0000 + 0x4000 * (segment as u64 - 1), 0x4000),
    }
}

/// Where accesses to a PAM segment go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PamAccess {
    /// Reads go to RAM, else to the ROM.
    pub read_ram: bool,
    /// Writes go to RAM, else nowhere.
    pub write_ram: bool,
}

/// What the bridge moves. Called under its mutex, from the vCPU that wrote the register.
pub trait MemoryController: Send {
    /// The ECAM stands at `at` for buses 0 to `buses`-1, or nowhere.
    fn place_ecam(&mut self, at: Option<(u64, u16)>);
    /// A PAM segment changed.
    fn set_pam(&mut self, segment: usize, access: PamAccess);
}

/// The host bridge.
pub struct Mch {
    core: PciCore,
    controller: Box<dyn MemoryController>,
    ecam: Option<(u64, u16)>,
    pam: [PamAccess; PAM_SEGMENTS],
}

/// Its saved state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MchState {
    core: PciCoreState,
}

impl Mch {
    /// The bridge, with everything moved to its power-on place.
    pub fn new(dma: Dma, msi: Msi, controller: Box<dyn MemoryController>) -> Self {
        let identity = Identity {
            vendor: 0x8086,
            device: 0x29c0,
            revision: 0,
            class: 0x060000,
            subsystem_vendor: 0x1af4,
            subsystem: 0x1100,
        };
        let mut core = PciCore::new(identity, dma, msi);
        core.build(|config| {
            config.allow(PCIEXBAR, &[0x07, 0, 0, 0xf0, 0x0f, 0, 0, 0]);
            config.allow(PAM0, &[0x30]);
            config.allow(PAM0 + 1, &[0x33; 6]);
            // Closed and locked, with compatible SMRAM where it always is.
            config.set(SMRAM, &[0x12]);
        });
        let mut mch = Self { core, controller, ecam: None, pam: [PamAccess::default(); PAM_SEGMENTS] };
        mch.derive(true);
        mch
    }

    /// Moves what the registers moved.
    fn derive(&mut self, all: bool) {
        let config = self.core.config();
        let low = config.dword(PCIEXBAR);
        let at = u64::from(low & 0xf000_0000) | u64::from(config.dword(PCIEXBAR + 4)) << 32;
        let ecam = match low & 7 {
            1 => Some((at, 256)),
            3 => Some((at, 128)),
            5 => Some((at, 64)),
            _ => None,
        };
        let mut pam = [PamAccess::default(); PAM_SEGMENTS];
        for (segment, access) in pam.iter_mut().enumerate() {
            // Two segments a register, the lower address in the low nibble; PAM0 has only its high one.
            let register = config.byte(PAM0 + segment.div_ceil(2));
            let bits = if segment.is_multiple_of(2) { register >> 4 } else { register };
            *access = PamAccess { read_ram: bits & 1 != 0, write_ram: bits & 2 != 0 };
        }
        if all || ecam != self.ecam {
            self.ecam = ecam;
            self.controller.place_ecam(ecam);
        }
        for (segment, access) in pam.into_iter().enumerate() {
            if all || access != self.pam[segment] {
                self.pam[segment] = access;
                self.controller.set_pam(segment, access);
            }
        }
    }
}

impl PciFunction for Mch {
    fn core(&self) -> &PciCore {
        &self.core
    }

    fn core_mut(&mut self) -> &mut PciCore {
        &mut self.core
    }

    fn bar_read(&mut self, _: u8, _: u64, size: Size) -> u64 {
        size.ones()
    }

    fn bar_write(&mut self, _: u8, _: u64, _: Size, _: u64) {}

    fn config_write(&mut self, offset: u16, size: Size, value: u32) {
        self.core.config_write(offset, size, value);
        self.derive(false);
    }
}

impl Device for Mch {
    fn reset(&mut self) {
        self.core.reset();
        self.derive(true);
    }
}

impl State for Mch {
    const KIND: &'static str = "mch";
    type Saved = MchState;

    fn save(&self) -> MchState {
        let Self { core, controller: _, ecam: _, pam: _ } = self;
        MchState { core: core.save() }
    }

    fn restore(&mut self, saved: MchState) -> Result<(), RestoreError> {
        let MchState { core } = saved;
        if !self.core.restore(core) {
            return Err(Self::impossible("config space"));
        }
        self.derive(true);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use device::bench::{Bench, check_state};

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<String>>>);
    impl MemoryController for Log {
        fn place_ecam(&mut self, at: Option<(u64, u16)>) {
            self.0.lock().unwrap().push(format!("ecam {at:x?}"));
        }
        fn set_pam(&mut self, segment: usize, access: PamAccess) {
            let (start, _) = pam_segment(segment);
            self.0.lock().unwrap().push(format!("{start:x} {} {}", access.read_ram, access.write_ram));
        }
    }

    fn mch() -> (Mch, Log) {
        let bench = Bench::new(0x1000);
        let log = Log::default();
        let mch = Mch::new(bench.dma(), bench.msi(), Box::new(log.clone()));
        log.0.lock().unwrap().clear();
        (mch, log)
    }

    #[test]
    fn pam_and_ecam_follow_their_registers() {
        let (mut mch, log) = mch();
        mch.config_write(0x90, Size::Byte, 0x30);
        mch.config_write(0x91, Size::Byte, 0x21);
        mch.config_write(0x96, Size::Byte, 0x30);
        mch.config_write(0x64, Size::Dword, 0);
        mch.config_write(0x60, Size::Dword, 0xb000_0001);
        let log = log.0.lock().unwrap().clone();
        assert_eq!(
            log,
            [
                "f0000 true true",
                "c0000 true false",
                "c4000 false true",
                "ec000 true true",
                "ecam Some((b0000000, 100))"
            ]
        );
    }

    #[test]
    fn state() {
        check_state(&mut mch().0, |mch| mch.config_write(0x92, Size::Byte, 0x33));
    }
}
