//! What `acpi_tables` has no words for: small resource descriptors, interrupts with several choices, processors, and trees whose
//! parts are made on the way.

use acpi_tables::aml::Path;
use acpi_tables::{Aml, AmlSink};

/// AML that was made already.
pub(super) struct Bytes(Vec<u8>);

impl Bytes {
    pub(super) fn into_vec(self) -> Vec<u8> {
        self.0
    }
}

impl Aml for Bytes {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        sink.vec(&self.0);
    }
}

/// The AML of `term`, free of what it borrows.
pub(super) fn made(term: &dyn Aml) -> Bytes {
    let mut bytes = Vec::new();
    term.to_aml_bytes(&mut bytes);
    Bytes(bytes)
}

/// A list of terms as the constructors of `acpi_tables` want it.
pub(super) fn terms(bytes: &[Bytes]) -> Vec<&dyn Aml> {
    bytes.iter().map(|term| term as &dyn Aml).collect()
}

/// IRQ descriptor without flags (§6.4.2.1): an edge-triggered ISA line.
pub(super) struct IsaIrq(pub(super) u8);

impl Aml for IsaIrq {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        sink.byte(0x22);
        sink.word(1 << self.0);
    }
}

/// Extended interrupt descriptor (§6.4.3.6): a shared level that is high when active, on one of these.
pub(super) struct SharedLevel<'a>(pub(super) &'a [u32]);

impl Aml for SharedLevel<'_> {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        sink.byte(0x89);
        sink.word(2 + 4 * self.0.len() as u16);
        // Consumer, shared.
        sink.byte(1 | 1 << 3);
        sink.byte(self.0.len() as u8);
        for number in self.0 {
            sink.dword(*number);
        }
    }
}

/// Processor object of ACPI 1.0 to 5.1, without a P_BLK: the one that Windows XP knows.
pub(super) struct Processor {
    /// Its name.
    pub(super) name: Path,
    /// Its id in the MADT.
    pub(super) id: u8,
}

impl Aml for Processor {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        sink.vec(&[0x5b, 0x83, 11]);
        self.name.to_aml_bytes(sink);
        sink.byte(self.id);
        sink.dword(0);
        sink.byte(0);
    }
}
