use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use device::bench::{Random, ram};
use proptest::prelude::*;
use vm_memory::{Bytes, GuestAddress};

use super::*;
use crate::image::run;
use crate::{GuestRange, Op};

const SIZE: u64 = 4 << 20;
const LONG: Duration = Duration::from_secs(20);

/// Runs qemu-img; gives what it prints. Where it is not installed the tests fail: they are about living with it.
fn qemu_img(arguments: &[&str]) -> String {
    let output = Command::new("qemu-img").args(arguments).output().expect("qemu-img is needed: install qemu-utils");
    assert!(output.status.success(), "qemu-img {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn open_file(path: &Path) -> File {
    File::options().read(true).write(true).open(path).unwrap()
}

/// As a file that passes the host's cache by, where the file system has such files.
fn open_direct(path: &Path) -> File {
    let flags = OFlags::DIRECT.bits() as i32;
    let file = File::options().read(true).write(true).custom_flags(flags).open(path);
    file.unwrap_or_else(|error| {
        eprintln!("no O_DIRECT for {}: {error}", path.display());
        open_file(path)
    })
}

struct Image {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn qcow2(options: &str, size: u64) -> Image {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.qcow2");
    qemu_img(&["create", "-q", "-f", "qcow2", "-o", options, path.to_str().unwrap(), &size.to_string()]);
    Image { _folder: folder, path }
}

impl Image {
    fn open(&self) -> Disk {
        Disk::open(open_file(&self.path), Format::Qcow2, Access::ReadWrite).unwrap()
    }

    fn check(&self) {
        qemu_img(&["check", "-q", self.path.to_str().unwrap()]);
    }

    /// The disk's bytes as QEMU sees them.
    fn bytes(&self) -> Vec<u8> {
        let raw = self.path.with_extension("raw");
        qemu_img(&["convert", "-O", "raw", self.path.to_str().unwrap(), raw.to_str().unwrap()]);
        std::fs::read(raw).unwrap()
    }
}

fn boxed(disk: Disk) -> (Box<dyn crate::image::Image>, Limits) {
    match disk.kind {
        Kind::Raw(raw) => (Box::new(raw), disk.limits),
        Kind::Qcow2(image) => (image, disk.limits),
    }
}

/// What a guest may do, in units that hit cluster borders often.
#[derive(Clone, Debug)]
enum Step {
    Write { at: u64, len: u64, value: u8 },
    Zero { at: u64, len: u64, unmap: bool },
    Discard { at: u64, len: u64 },
    Flush,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let range = (0..SIZE / 512, prop_oneof![1u64..16, 100u64..2000])
        .prop_map(|(at, len)| (at * 512, len.min(SIZE / 512 - at) * 512));
    let aligned = (0..SIZE >> 16, 1u64..8).prop_map(|(at, len)| (at << 16, len.min((SIZE >> 16) - at) << 16));
    let range = prop_oneof![range, aligned].boxed();
    let step = prop_oneof![
        6 => (range.clone(), 1u8..).prop_map(|((at, len), value)| Step::Write { at, len, value }),
        2 => (range.clone(), any::<bool>()).prop_map(|((at, len), unmap)| Step::Zero { at, len, unmap }),
        2 => range.prop_map(|(at, len)| Step::Discard { at, len }),
        1 => Just(Step::Flush),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..40)
}

/// Runs steps on a disk and on plain memory; both must agree. `None` bytes are those whose contents a discard left open.
fn follow(steps: &[Step], open: impl Fn() -> Disk, start: &[u8]) -> Vec<Option<u8>> {
    let ram = ram(SIZE as usize);
    let mut model: Vec<Option<u8>> = start.iter().copied().map(Some).collect();
    let (mut image, mut limits) = boxed(open());
    for step in steps {
        let op = match *step {
            Step::Write { at, len, value } => {
                ram.write_slice(&vec![value; len as usize], GuestAddress(0)).unwrap();
                model[at as usize..(at + len) as usize].fill(Some(value));
                let half = len / 3;
                let from = vec![GuestRange { at: 0, len: half }, GuestRange { at: half, len: len - half }];
                Op::Write { at, from, durable: value & 1 == 1 }
            }
            Step::Zero { at, len, unmap } => {
                model[at as usize..(at + len) as usize].fill(Some(0));
                Op::Zero { at, len, unmap, durable: false }
            }
            Step::Discard { at, len } => {
                model[at as usize..(at + len) as usize].fill(None);
                Op::Discard { at, len }
            }
            Step::Flush => Op::Flush,
            Step::Reopen => {
                image.flush().unwrap();
                drop(image);
                (image, limits) = boxed(open());
                continue;
            }
        };
        run(&mut *image, limits, &ram, &op).unwrap();
    }
    run(&mut *image, limits, &ram, &Op::Read { at: 0, to: vec![GuestRange { at: 0, len: SIZE }] }).unwrap();
    let mut bytes = vec![0; SIZE as usize];
    ram.read_slice(&mut bytes, GuestAddress(0)).unwrap();
    agree(&model, &bytes);
    image.flush().unwrap();
    model
}

fn agree(model: &[Option<u8>], bytes: &[u8]) {
    assert_eq!(model.len(), bytes.len());
    let differs = model.iter().zip(bytes).position(|(model, byte)| model.is_some_and(|model| model != *byte));
    assert_eq!(differs, None, "first difference");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn raw_is_memory(steps in steps()) {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(SIZE).unwrap();
        follow(&steps, || Disk::open(open_file(file.path()), Format::Raw, Access::ReadWrite).unwrap(), &[0; SIZE as usize]);
    }

    #[test]
    fn past_the_cache_too(steps in steps()) {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(SIZE).unwrap();
        follow(&steps, || Disk::open(open_direct(file.path()), Format::Raw, Access::ReadWrite).unwrap(), &[0; SIZE as usize]);
        let image = qcow2("compat=1.1", SIZE);
        let open = || Disk::open(open_direct(&image.path), Format::Qcow2, Access::ReadWrite).unwrap();
        let model = follow(&steps, open, &[0; SIZE as usize]);
        image.check();
        agree(&model, &image.bytes());
    }

    #[test]
    fn qcow2_is_memory_and_qemu_agrees(
        steps in steps(),
        options in prop::sample::select(vec!["compat=1.1", "compat=0.10", "cluster_size=4096", "cluster_size=2M"]),
    ) {
        let image = qcow2(options, SIZE);
        let model = follow(&steps, || image.open(), &[0; SIZE as usize]);
        image.check();
        agree(&model, &image.bytes());
    }

    #[test]
    fn a_chain_is_memory_and_its_base_stays(steps in steps()) {
        let folder = tempfile::tempdir().unwrap();
        let (base, top) = (folder.path().join("base.raw"), folder.path().join("top.qcow2"));
        let start = vec![0x5a; SIZE as usize];
        std::fs::write(&base, &start).unwrap();
        let (base_name, top_name) = (base.to_str().unwrap(), top.to_str().unwrap());
        qemu_img(&["create", "-q", "-f", "qcow2", "-F", "raw", "-b", base_name, top_name]);
        let open = || {
            let base = Layer { file: File::open(&base).unwrap(), format: Format::Raw };
            Disk::open_chain(vec![Layer { file: open_file(&top), format: Format::Qcow2 }, base], Access::ReadWrite).unwrap()
        };
        let model = follow(&steps, open, &start);
        qemu_img(&["check", "-q", top_name]);
        let raw = folder.path().join("out.raw");
        qemu_img(&["convert", "-O", "raw", top_name, raw.to_str().unwrap()]);
        agree(&model, &std::fs::read(raw).unwrap());
        assert!(std::fs::read(&base).unwrap() == start);
        assert!(matches!(Disk::open(open_file(&top), Format::Qcow2, Access::ReadWrite), Err(OpenError::BackingMissing)));
    }

    /// Whatever a header says: an answer, soon, and no panic, neither at opening nor at reading and writing.
    #[test]
    fn hostile_headers_are_answered(changes in prop::collection::vec((0u64..112, any::<u8>()), 1..6), cut in prop::option::of(0u64..400_000)) {
        let image = qcow2("compat=1.1", SIZE);
        let file = open_file(&image.path);
        for (at, value) in changes {
            file.write_all_at(&[value], at).unwrap();
        }
        if let Some(cut) = cut {
            file.set_len(cut).unwrap();
        }
        let _ = poke(file);
    }

    /// Whatever tables say.
    #[test]
    fn hostile_tables_are_answered(changes in prop::collection::vec((0u64..40, 0u64..64, any::<u64>(), any::<bool>()), 1..8)) {
        let image = qcow2("cluster_size=4096", SIZE);
        let (mut disk, limits) = boxed(image.open());
        let ram = ram(0x1000);
        for at in [0, 1 << 20, 3 << 20] {
            run(&mut *disk, limits, &ram, &Op::Write { at, from: vec![GuestRange { at: 0, len: 4096 }], durable: false }).unwrap();
        }
        disk.flush().unwrap();
        drop(disk);
        let file = open_file(&image.path);
        for (cluster, entry, value, near) in changes {
            // Clusters behind the header: what it says is what the test below looks at.
            let value = if near { value & 0xc000_0000_0003_f000 } else { value };
            file.write_all_at(&value.to_be_bytes(), ((cluster + 1) << 12) + entry * 8).unwrap();
        }
        let _ = poke(file);
        // No guest has made the image lie on another file.
        let mut header = [0; 20];
        open_file(&image.path).read_exact_at(&mut header, 0).unwrap();
        prop_assert_eq!((&header[..4], &header[8..]), (&b"QFI\xfb"[..], &[0; 12][..]));
    }
}

/// An image with three clusters of data, and where its L1 table, its first L2 table and its first refcount block are.
fn filled(options: &str) -> (Image, u64, u64, u64) {
    let image = qcow2(options, SIZE);
    let (mut disk, limits) = boxed(image.open());
    let ram = ram(0x1000);
    for at in [0, 0x1_0000, 0x2_0000] {
        let from = vec![GuestRange { at: 0, len: 4096 }];
        run(&mut *disk, limits, &ram, &Op::Write { at, from, durable: true }).unwrap();
    }
    drop(disk);
    let file = open_file(&image.path);
    let word = |at| {
        let mut bytes = [0; 8];
        file.read_exact_at(&mut bytes, at).unwrap();
        u64::from_be_bytes(bytes) & 0x00ff_ffff_ffff_fe00
    };
    let l1 = word(40);
    let (l2, counts) = (word(l1), word(word(48)));
    (image, l1, l2, counts)
}

#[test]
fn what_a_guest_writes_cannot_reach_the_tables() {
    /// Eight bytes in the file.
    type Patch = (u64, u64);
    let refused = |patch: &dyn Fn(u64, u64, u64) -> Vec<Patch>| {
        let (image, l1, l2, counts) = filled("cluster_size=65536");
        let file = open_file(&image.path);
        for (at, value) in patch(l1, l2, counts) {
            file.write_all_at(&value.to_be_bytes(), at).unwrap();
        }
        assert!(Disk::open(File::open(&image.path).unwrap(), Format::Qcow2, Access::ReadOnly).is_ok());
        Disk::open(file, Format::Qcow2, Access::ReadWrite).err().map(|error| error.to_string()).unwrap_or_default()
    };
    const COPIED: u64 = 1 << 63;
    const COMPRESSED: u64 = 1 << 62;
    assert_eq!(refused(&|_, _, _| vec![]), "");
    for table in [0, 1, 2] {
        let refusal = refused(&|l1, l2, counts| vec![(l2, [l1, l2, counts][table] | COPIED)]);
        assert!(refusal.ends_with("data lie where tables are"), "{refusal}");
    }
    assert!(refused(&|l1, l2, _| vec![(l2, l1 | COMPRESSED)]).ends_with("data lie where tables are"));
    // The header itself, by way of a compressed cluster: for others offset 0 is none.
    assert!(refused(&|_, l2, _| vec![(l2, COMPRESSED | 1)]).ends_with("data lie where tables are"));
    assert!(refused(&|_, l2, _| vec![(l2, 0x60_0200)]).ends_with("data do not start with a cluster"));
    assert!(refused(&|_, l2, _| vec![(l2, 0x70_0000), (l2 + 8, 0x70_0000)]).ends_with("a cluster is used twice"));
    assert!(refused(&|_, l2, _| vec![(l2 + 8, 0x70_0000)]).ends_with("a cluster that is used counts as free"));
    assert!(refused(&|_, _, counts| vec![(counts, 0)]).ends_with("a cluster that is used counts as free"));
    assert!(refused(&|l1, _, _| vec![(l1, l1 | COPIED)]).ends_with("its tables overlap"));
    // The 16 bit counts of the first four clusters and the next: the data are among them.
    let shared = |_, _, counts| vec![(counts, 0x0002_0002_0002_0002), (counts + 8, 0x0002_0002_0002_0002)];
    assert!(refused(&shared).ends_with("a shared cluster counts as unshared"));
}

#[test]
fn counts_of_every_width_are_read() {
    for bits in ["1", "2", "4", "8", "16", "32", "64"] {
        let (image, ..) = filled(&format!("cluster_size=512,refcount_bits={bits}"));
        drop(image.open());
        image.check();
    }
}

/// Opens an image and uses it a little.
fn poke(file: File) -> Option<()> {
    let disk = Disk::open(file, Format::Qcow2, Access::ReadWrite).ok()?;
    let size = disk.size();
    let ram = ram(0x10000);
    let (mut image, limits) = boxed(disk);
    for at in [0, size / 4, size / 2, size.saturating_sub(4096)] {
        let range = vec![GuestRange { at: 0, len: 4096 }];
        let _ = run(&mut *image, limits, &ram, &Op::Read { at, to: range.clone() });
        let _ = run(&mut *image, limits, &ram, &Op::Write { at, from: range, durable: true });
        let _ = run(&mut *image, limits, &ram, &Op::Discard { at, len: 1 << 16 });
    }
    Some(())
}

/// Data that a guest cut into any pieces arrive in order: more pieces than a system call takes, and larger ones than a buffer.
#[test]
fn scattered_data_arrive_in_order() {
    const RAM: u64 = 8 << 20;
    let mut random = Random::new(3);
    let raw = tempfile::NamedTempFile::new().unwrap();
    raw.as_file().set_len(SIZE).unwrap();
    let packed = qcow2("compat=1.1", SIZE);
    for disk in [Disk::open(open_file(raw.path()), Format::Raw, Access::ReadWrite).unwrap(), packed.open()] {
        let (mut image, limits) = boxed(disk);
        let (memory, mut model) = (ram(RAM as usize), vec![0u8; SIZE as usize]);
        for round in 0..60 {
            let bits = random.pick(&[2, 8, 12, 22]);
            // Pieces lie behind one another with gaps, so that none is in another.
            let (mut ranges, mut at) = (Vec::new(), 0);
            for _ in 0..random.pick(&[1, 3, 40, 3000]) {
                let len = random.near(bits);
                at += random.below(64);
                if at + len > RAM {
                    break;
                }
                ranges.push(GuestRange { at, len });
                at += len;
            }
            let total = ranges.iter().map(|range| range.len).sum::<u64>();
            let start = random.below(SIZE.saturating_sub(total).max(1));
            let inside = start + total <= SIZE;
            let there = &mut model[start as usize..(start + if inside { total } else { 0 }) as usize];
            if round % 2 == 0 {
                let bytes: Vec<u8> = (0..total).map(|_| random.next() as u8).collect();
                let mut rest = &bytes[..];
                for range in &ranges {
                    let (here, after) = rest.split_at(range.len as usize);
                    memory.write_slice(here, GuestAddress(range.at)).unwrap();
                    rest = after;
                }
                let done = run(&mut *image, limits, &memory, &Op::Write { at: start, from: ranges, durable: false });
                assert_eq!(done.is_ok(), inside);
                there.copy_from_slice(&bytes[..there.len()]);
            } else {
                let done = run(&mut *image, limits, &memory, &Op::Read { at: start, to: ranges.clone() });
                assert_eq!(done.is_ok(), inside);
                let mut got = Vec::new();
                for range in ranges.iter().filter(|_| inside) {
                    let mut piece = vec![0; range.len as usize];
                    memory.read_slice(&mut piece, GuestAddress(range.at)).unwrap();
                    got.extend(piece);
                }
                assert!(got == there, "round {round}: {total} bytes at {start}");
            }
        }
    }
}

#[test]
fn through_a_queue_to_qemu() {
    let image = qcow2("compat=1.1", SIZE);
    let ram = ram(0x10000);
    ram.write_slice(&[0xab; 0x10000], GuestAddress(0)).unwrap();
    let queue = image.open().queue(ram).unwrap();
    queue.submit(Op::Write { at: 0x12_3400, from: vec![GuestRange { at: 0, len: 0x10000 }], durable: false }, 0);
    queue.flush(LONG).unwrap();
    queue.close(LONG).unwrap();
    image.check();
    let bytes = image.bytes();
    assert!(bytes[0x12_3400..0x13_3400].iter().all(|&byte| byte == 0xab));
    assert!(bytes[..0x12_3400].iter().all(|&byte| byte == 0));
}

#[test]
fn compressed_clusters_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let (raw, packed) = (folder.path().join("a.raw"), folder.path().join("a.qcow2"));
    let bytes: Vec<u8> = (0..SIZE).map(|i| (i >> 9) as u8).collect();
    std::fs::write(&raw, &bytes).unwrap();
    qemu_img(&["convert", "-c", "-O", "qcow2", raw.to_str().unwrap(), packed.to_str().unwrap()]);
    let model = follow(
        &[Step::Write { at: 512, len: 1024, value: 3 }],
        || Disk::open(open_file(&packed), Format::Qcow2, Access::ReadWrite).unwrap(),
        &bytes,
    );
    assert_eq!(model[600], Some(3));
    qemu_img(&["check", "-q", packed.to_str().unwrap()]);
}

#[test]
fn each_refusal_has_its_sentence() {
    let refused = |change: &dyn Fn(&File)| {
        let image = qcow2("compat=1.1", SIZE);
        let file = open_file(&image.path);
        change(&file);
        Disk::open(file, Format::Qcow2, Access::ReadWrite).err().map(|error| error.to_string()).unwrap_or_default()
    };
    let patch = |at: u64, bytes: &'static [u8]| refused(&move |file| file.write_all_at(bytes, at).unwrap());
    assert_eq!(patch(0, b"QFI"), "");
    assert_eq!(patch(0, b"VDI"), "the disk image is not a qcow2 image");
    assert!(patch(7, &[4]).contains("a qcow2 version other than 2 and 3"));
    assert!(patch(35, &[1]).contains("encryption"));
    assert!(patch(79, &[1]).contains("needs a repair"));
    assert!(patch(79, &[2]).contains("corrupt"));
    assert!(patch(79, &[4]).contains("an external data file"));
    assert!(patch(79, &[8]).contains("compression"));
    assert!(patch(79, &[16]).contains("subclusters"));
    assert!(patch(79, &[32]).contains("not known"));
    assert!(patch(23, &[30]).contains("cluster size"));
    assert!(patch(99, &[7]).contains("reference count width"));
    assert!(patch(24, &[1]).contains("disk size"));
    assert!(patch(36, &[0xff]).contains("L1 table"));
    assert!(patch(40, &[0xff]).contains("L1 table"));
    assert!(refused(&|file| file.set_len(71).unwrap()).contains("not a qcow2"));
    assert!(refused(&|file| file.set_len(100).unwrap()).contains("ends within the header"));
    let read_only = File::open(qcow2("compat=1.1", SIZE).path).unwrap();
    assert!(matches!(Disk::open(read_only, Format::Qcow2, Access::ReadWrite), Err(OpenError::NotWritable)));
    let two = || Layer { file: tempfile::tempfile().unwrap(), format: Format::Raw };
    assert!(matches!(Disk::open_chain(vec![two(), two()], Access::ReadOnly), Err(OpenError::BackingUnexpected)));
}
