//! A host without room for what the guest writes.

use std::io::ErrorKind;

use device::Device;

use super::*;

pub(super) struct Quiet;
impl disk::Alarm for Quiet {
    fn storage_full(&self) {}
}

#[test]
fn a_full_host_is_waited_for() {
    let m = Machine::started();
    m.disk.connect_alarm(Box::new(Quiet));
    m.put(DATA, &[9; 512]);
    m.disk.fail_next(ErrorKind::StorageFull);
    assert_eq!(m.run(0, ata(0x35, 3, 1), &[(DATA, 512)]), (0, 0xd0));
    assert_eq!(m.pread(0, CI), 1);
    m.disk.retry();
    assert!(m.disk.step());
    assert_eq!((m.pread(0, IS), m.pread(0, TFD), m.pread(0, CI)), (DHRS, 0x50, 0));
    assert_eq!(m.disk.contents()[3 * 512..4 * 512], [9; 512]);
    // Given up by the guest, and by a reset of the machine.
    m.disk.fail_next(ErrorKind::StorageFull);
    m.run(0, ata(0xea, 0, 0), &[]);
    m.pwrite(0, CMD, 1 << 4);
    assert_ne!(m.pread(0, CMD) & 1 << 15, 0, "it may still be retried");
    m.ahci.lock().unwrap().reset();
    m.disk.abandon();
    m.ahci.lock().unwrap().core_mut().config_write(4, Size::Word, 6);
    m.start(0);
    assert_eq!(m.run(0, ata(0xec, 0, 0), &[(DATA, 512)]).1, 0x50);
}

#[test]
fn what_a_full_host_holds_is_saved() {
    for fis in [ata(0x35, 3, 1), queued(0x61, 0, 3, 1)] {
        let m = Machine::started();
        m.disk.connect_alarm(Box::new(Quiet));
        m.put(DATA, &[9; 512]);
        m.prepare(0, 0, fis, &[(DATA, 512)]);
        m.disk.fail_next(ErrorKind::StorageFull);
        m.pwrite(0, SACT, u32::from(fis[2] == 0x61));
        m.pwrite(0, CI, 1);
        m.disk.steps(9);
        assert!(m.disk.is_full());
        let saved = m.ahci.lock().unwrap().save();
        m.ahci.lock().unwrap().reset();
        m.disk.abandon();
        m.ahci.lock().unwrap().restore(saved).unwrap();
        m.ahci.lock().unwrap().go_on();
        assert_eq!(m.disk.steps(9), 1);
        assert_eq!((m.pread(0, TFD), m.pread(0, CI), m.pread(0, SACT)), (0x50, 0, 0));
        assert_eq!(m.disk.contents()[3 * 512..4 * 512], [9; 512]);
    }
}
