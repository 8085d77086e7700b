use super::*;

const SECTORS: u64 = 0x1000;

fn unit() -> Unit {
    Unit::new(Identity {
        serial: "0123456789ABCDEF".to_owned(),
        removable: true,
        read_only: false,
        discard: true,
        sectors: SECTORS,
    })
}

fn cdb(bytes: &[u8]) -> Cdb {
    let mut cdb = [0; CDB];
    cdb[..bytes.len()].copy_from_slice(bytes);
    cdb
}

fn data(unit: &mut Unit, bytes: &[u8]) -> Vec<u8> {
    match unit.command(0, &cdb(bytes)) {
        Action::Data(data) => data,
        other => panic!("{other:?}"),
    }
}

/// Sense key, code and qualifier.
fn failure(action: Action) -> (u8, u8, u8) {
    match action {
        Action::Fail(sense) => {
            let data = sense.data(true);
            (data[1], data[2], data[3])
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn it_says_what_it_is() {
    let mut unit = unit();
    let standard = data(&mut unit, &[0x12, 0, 0, 0, 255]);
    assert_eq!((standard.len(), standard[0], standard[1], standard[4]), (36, 0, 0x80, 31));
    assert_eq!(&standard[8..], b"Dormer  USB Disk        1.0 ");
    assert_eq!(data(&mut unit, &[0x12, 0, 0, 0, 5]), standard[..5]);
    let pages = data(&mut unit, &[0x12, 1, 0, 0, 255]);
    for &page in &pages[4..] {
        let bytes = data(&mut unit, &[0x12, 1, page, 1, 0]);
        assert_eq!((bytes[1], usize::from(be16(&bytes, 2)) + 4), (page, bytes.len()));
        let long = !matches!(page, 0xb0 | 0xb1);
        assert!(long || bytes.len() == 64, "{page:#x}");
    }
    assert_eq!(&data(&mut unit, &[0x12, 1, 0x80, 0, 255])[4..], b"0123456789ABCDEF");
    let names = data(&mut unit, &[0x12, 1, 0x83, 0, 255]);
    let (ascii, naa) = (&names[4..], &names[8 + usize::from(names[7])..]);
    assert_eq!((ascii[0], ascii[1], naa[0], naa[1], naa[3], naa[4] >> 4), (2, 1, 1, 3, 8, 3));
    assert_eq!(failure(unit.command(0, &cdb(&[0x12, 1, 0x44, 0, 255]))), (5, 0x24, 0));
    assert_eq!(failure(unit.command(0, &cdb(&[0x12, 0, 0x80, 0, 255]))), (5, 0x24, 0));
    let Action::Data(nobody) = unit.command(1, &cdb(&[0x12, 0, 0, 0, 36])) else { panic!() };
    assert_eq!(nobody[0], 0x7f);
    assert_eq!(failure(unit.command(1, &cdb(&[0x00]))), (5, 0x25, 0));
}

#[test]
fn it_says_how_large_it_is() {
    let mut unit = unit();
    assert_eq!(data(&mut unit, &[0x25]), [0, 0, 0x0f, 0xff, 0, 0, 2, 0]);
    let long = data(&mut unit, &[0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32]);
    assert_eq!((long.len(), &long[..14]), (32, &[0, 0, 0, 0, 0, 0, 0x0f, 0xff, 0, 0, 2, 0, 0, 3][..]));
    assert_eq!(data(&mut unit, &[0x23, 0, 0, 0, 0, 0, 0, 0, 252]), [0, 0, 0, 8, 0, 0, 0x10, 0, 2, 0, 2, 0]);
    assert_eq!(data(&mut unit, &[0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 16]), [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let mut huge = Unit::new(Identity { sectors: 1 << 40, ..unit.identity });
    assert_eq!(data(&mut huge, &[0x25])[..4], [0xff; 4]);
}

#[test]
fn extents_of_all_lengths() {
    let mut unit = unit();
    let mut command = |bytes: &[u8]| unit.command(0, &cdb(bytes));
    let read = |at: u64, count: u64| Action::Read { at: at * 512, length: count * 512 };
    assert_eq!(command(&[0x08, 0xe0, 1, 2, 3]), read(0x102, 3));
    assert_eq!(command(&[0x08, 0, 1, 2, 0]), read(0x102, 256));
    assert_eq!(command(&[0x28, 0, 0, 0, 1, 2, 0, 1, 0]), read(0x102, 256));
    assert_eq!(command(&[0x28, 0, 0, 0, 1, 2, 0, 0, 0]), Action::Done);
    assert_eq!(command(&[0xa8, 0, 0, 0, 1, 2, 0, 0, 0, 9]), read(0x102, 9));
    assert_eq!(command(&[0x88, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 9]), read(0x102, 9));
    assert_eq!(command(&[0x28, 0, 0, 0, 0x0f, 0xff, 0, 0, 1]), read(0xfff, 1));
    for beyond in [
        &[0x28, 0, 0, 0, 0x0f, 0xff, 0, 0, 2][..],
        &[0x28, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0],
        &[0x88, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0x8a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
        &[0x2f, 0, 0, 0, 0x10, 0, 0, 0, 1],
        &[0x91, 0, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
    ] {
        assert_eq!(failure(command(beyond)), (5, 0x21, 0), "{beyond:x?}");
    }
    assert_eq!(failure(command(&[0x28, 0x20, 0, 0, 0, 0, 0, 0, 1])), (5, 0x24, 0), "protection");
    assert_eq!(command(&[0x2f, 0, 0, 0, 0, 0, 0, 0, 1]), Action::Done);
    assert_eq!(failure(command(&[0x2f, 2, 0, 0, 0, 0, 0, 0, 1])), (5, 0x24, 0));
    assert_eq!(failure(command(&[0xff])), (5, 0x20, 0));
}

#[test]
fn writes_are_durable_until_the_host_flushes() {
    let mut unit = unit();
    let write = |unit: &mut Unit, flags| match unit.command(0, &cdb(&[0x2a, flags, 0, 0, 0, 0, 0, 0, 1])) {
        Action::Write { durable, .. } => durable,
        other => panic!("{other:?}"),
    };
    assert!(write(&mut unit, 0));
    assert_eq!(unit.command(0, &cdb(&[0x35])), Action::Flush);
    assert!(!write(&mut unit, 0) && write(&mut unit, 8));
    assert!(matches!(unit.command(0, &cdb(&[0x2e, 0, 0, 0, 0, 0, 0, 0, 1])), Action::Write { durable: true, .. }));
    // The cache goes off, and is emptied.
    let page = data(&mut unit, &[0x1a, 8, 8, 0, 255]);
    assert_eq!((page.len(), page[4], page[5], page[6] & 4), (24, 8, 18, 4));
    let mut list = page;
    (list[0], list[6]) = (0, 0);
    assert_eq!(unit.command(0, &cdb(&[0x15, 0x10, 0, 0, 24])), Action::Receive(24));
    assert_eq!(unit.receive(&cdb(&[0x15]), &list), Action::Flush);
    assert!(write(&mut unit, 0));
    list[6] = 4;
    assert_eq!(unit.receive(&cdb(&[0x15]), &list), Action::Done);
    assert!(!write(&mut unit, 0));
    unit.reset();
    assert!(write(&mut unit, 0));
}

#[test]
fn modes() {
    let mut unit = unit();
    let all = data(&mut unit, &[0x1a, 0, 0x3f, 0, 192]);
    assert_eq!((all.len(), usize::from(all[0]) + 1, all[2], all[3]), (44, 44, 0x10, 8));
    let all = data(&mut unit, &[0x5a, 0, 0x3f, 0, 0, 0, 0, 0, 255]);
    assert_eq!((all.len(), usize::from(be16(&all, 0)) + 2, all[3], all[7]), (48, 48, 0x10, 8));
    assert_eq!(failure(unit.command(0, &cdb(&[0x1a, 0, 0xff, 0, 192]))), (5, 0x39, 0));
    assert_eq!(failure(unit.command(0, &cdb(&[0x1a, 0, 0x1c, 0, 192]))), (5, 0x24, 0));
    // Sense data in another format.
    assert_eq!(unit.sense_data(Sense::NO_UNIT).len(), 18);
    let mut control = data(&mut unit, &[0x1a, 8, 0x0a, 0, 255]);
    (control[0], control[6]) = (0, 4);
    assert_eq!(unit.receive(&cdb(&[0x15]), &control), Action::Done);
    assert_eq!(unit.sense_data(Sense::NO_UNIT), [0x72, 5, 0x25, 0, 0, 0, 0, 0]);
    // Lists that make no sense change nothing.
    let receive = |unit: &mut Unit, list: &[u8]| failure(unit.receive(&cdb(&[0x15]), list));
    assert_eq!(receive(&mut unit, &[0, 0]), (5, 0x1a, 0));
    assert_eq!(receive(&mut unit, &[0, 0, 0, 9]), (5, 0x1a, 0));
    assert_eq!(receive(&mut unit, &[0, 0, 0, 0, 0x0a]), (5, 0x1a, 0));
    assert_eq!(receive(&mut unit, &[0, 0, 0, 0, 0x0a, 10, 0]), (5, 0x1a, 0));
    assert_eq!(receive(&mut unit, &[0, 0, 0, 0, 0x01, 0]), (5, 0x26, 0));
    control[7] = 1;
    assert_eq!(receive(&mut unit, &control), (5, 0x26, 0));
    assert_eq!(failure(unit.command(0, &cdb(&[0x15, 0x11, 0, 0, 24]))), (5, 0x24, 0));
    assert_eq!(failure(unit.command(0, &cdb(&[0x55, 0x10, 0, 0, 0, 0, 0, 0xff, 0xff]))), (5, 0x24, 0));
}

#[test]
fn sense_is_told_once() {
    let mut unit = unit();
    unit.keep(Sense::OUT_OF_RANGE);
    let sense = data(&mut unit, &[0x03, 0, 0, 0, 252]);
    assert_eq!((sense.len(), sense[0], sense[2], sense[7], sense[12]), (18, 0x70, 5, 10, 0x21));
    assert_eq!(data(&mut unit, &[0x03, 1, 0, 0, 252]), [0x72, 0, 0, 0, 0, 0, 0, 0]);
    unit.keep(Sense::OUT_OF_RANGE);
    assert_eq!(unit.command(0, &cdb(&[0])), Action::Done);
    assert_eq!(data(&mut unit, &[0x03, 0, 0, 0, 3])[2], 0, "too late");
}

#[test]
fn unmap() {
    let mut unit = unit();
    let unmap = cdb(&[0x42, 0, 0, 0, 0, 0, 0, 0, 40]);
    assert_eq!(unit.command(0, &unmap), Action::Receive(40));
    let mut list = vec![0, 38, 0, 32, 0, 0, 0, 0];
    list.extend([0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0, 0, 0]);
    list.extend([0, 0, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(unit.receive(&unmap, &list), Action::Discard(vec![(8 * 512, 8 * 512)]));
    list[15] = 0xff;
    list[14] = 0xff;
    assert_eq!(failure(unit.receive(&unmap, &list)), (5, 0x21, 0));
    list[16] = 0xff;
    assert_eq!(failure(unit.receive(&unmap, &list)), (5, 0x26, 0));
    assert_eq!(failure(unit.receive(&unmap, &list[..39])), (5, 0x1a, 0));
    assert_eq!(failure(unit.receive(&unmap, &list[..7])), (5, 0x1a, 0));
    assert_eq!(failure(unit.command(0, &cdb(&[0x42, 0, 0, 0, 0, 0, 0, 0xff, 0xff]))), (5, 0x24, 0));
    let mut fixed = Unit::new(Identity { discard: false, ..unit.identity });
    assert_eq!(failure(fixed.command(0, &unmap)), (5, 0x20, 0));
    assert_eq!(data(&mut fixed, &[0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32])[14], 0);
}

#[test]
fn protected_from_writing() {
    let mut unit = Unit::new(Identity { read_only: true, discard: false, ..unit().identity });
    for write in
        [&[0x2a, 0, 0, 0, 0, 0, 0, 0, 1][..], &[0x0a, 0, 0, 0, 1], &[0x8e, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]]
    {
        assert_eq!(failure(unit.command(0, &cdb(write))), (7, 0x27, 0));
    }
    assert_eq!(data(&mut unit, &[0x1a, 8, 8, 0, 255])[..8], [23, 0, 0x90, 0, 8, 18, 0, 0]);
    assert_eq!(unit.command(0, &cdb(&[0x35])), Action::Flush);
}

#[test]
fn sticks_are_thrown_out() {
    let mut unit = unit();
    unit.command(0, &cdb(&[0x1e, 0, 0, 0, 1]));
    let eject = cdb(&[0x1b, 0, 0, 0, 2]);
    assert_eq!(failure(unit.command(0, &eject)), (5, 0x53, 2));
    unit.command(0, &cdb(&[0x1e]));
    assert_eq!(unit.command(0, &cdb(&[0x1b])), Action::Flush, "stopped");
    assert_eq!(unit.command(0, &cdb(&[0])), Action::Done);
    assert_eq!(unit.command(0, &eject), Action::Flush);
    assert_eq!(failure(unit.command(0, &cdb(&[0]))), (2, 0x3a, 0));
    assert_eq!(failure(unit.command(0, &cdb(&[0x28, 0, 0, 0, 0, 0, 0, 0, 1]))), (2, 0x3a, 0));
    assert_eq!(data(&mut unit, &[0x12, 0, 0, 0, 36]).len(), 36);
    assert_eq!(unit.command(0, &cdb(&[0x1b, 0, 0, 0, 3])), Action::Done);
    assert_eq!(unit.command(0, &cdb(&[0])), Action::Done);
    let mut fixed = Unit::new(Identity { removable: false, ..unit.identity });
    assert_eq!(failure(fixed.command(0, &eject)), (5, 0x24, 0));
}
