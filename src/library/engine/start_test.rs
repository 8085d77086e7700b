//! The engine here is a shell script's stand-in where the processes matter, and a thread where the protocol does.

use std::io::Write;

use super::*;

#[test]
fn images_are_locked_as_their_drives_use_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.img");
    std::fs::write(&path, b"x").unwrap();
    let one = open_image(&path, true).unwrap();
    let two = open_image(&path, true).unwrap();
    assert!(matches!(open_image(&path, false), Err(Error::ImageInUse(_))));
    drop((one, two));
    let writer = open_image(&path, false).unwrap();
    assert!(matches!(open_image(&path, true), Err(Error::ImageInUse(_))));
    let shared = writer.try_clone().unwrap();
    drop(writer);
    assert!(open_image(&path, true).is_err(), "the engine's descriptor holds it on");
    drop(shared);
    assert!(open_image(&path, true).is_ok());
    assert!(matches!(open_image(folder.path(), true), Err(Error::Media(_))));
    let gone = open_image(&folder.path().join("gone"), true).unwrap_err().to_string();
    assert!(gone.starts_with("cannot open ") && gone.contains("gone"), "{gone}");
}

#[test]
fn disks_pass_the_cache_by_where_they_can() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.img");
    std::fs::write(&path, b"x").unwrap();
    let mut parts = Parts { descriptors: Vec::new(), notes: Vec::new() };
    let file = parts.open_past_cache(&path, false).unwrap();
    let direct = rustix::fs::fcntl_getfl(&file).unwrap().contains(OFlags::DIRECT);
    assert_eq!(direct, parts.notes.is_empty(), "either so, or with a word about it");
    assert!(matches!(parts.open_past_cache(&path, true), Err(Error::ImageInUse(_))));
    // A file system that cannot.
    parts.notes.clear();
    let file = parts.open_past_cache(Path::new("/proc/version"), true).unwrap();
    assert!(!rustix::fs::fcntl_getfl(&file).unwrap().contains(OFlags::DIRECT));
    assert!(parts.notes[0].contains("/proc/version does not let"), "{:?}", parts.notes);
}

#[test]
fn logs_are_put_aside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("engine.log");
    open_log(&path).unwrap().write_all(&vec![b'x'; LOG_BYTES as usize + 1]).unwrap();
    open_log(&path).unwrap().write_all(b"new").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"new");
    assert!(folder.path().join("engine.log.1").exists());
    // Of the serial port's, each start has its own; one without a word leaves the last.
    let path = folder.path().join("serial.log");
    anew(&path).unwrap().write_all(b"first").unwrap();
    drop(anew(&path).unwrap());
    anew(&path).unwrap().write_all(b"third").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"third");
    assert_eq!(std::fs::read(folder.path().join("serial.log.1")).unwrap(), b"first");
}

#[test]
fn last_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("engine.log");
    let mut log = open_log(&path).unwrap();
    writeln!(log, "old").unwrap();
    let start = log.seek(SeekFrom::End(0)).unwrap();
    assert!(died(&mut log, start, &path).to_string().contains("it said nothing"));
    write!(log, "thread 'main' panicked\nat the end\n\n").unwrap();
    let error = died(&mut log, start, &path).to_string();
    assert!(error.contains("at the end") && error.contains("engine.log"), "{error}");
}

#[test]
fn answers() {
    let pair = || socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    let say = |bytes: &[u8]| {
        let (ours, theirs) = pair();
        rustix::net::send(&theirs, bytes, SendFlags::empty()).unwrap();
        drop(theirs);
        receive(&ours)
    };
    assert_eq!(say(br#""running""#).unwrap(), Some(Started::Running));
    assert_eq!(say(br#"{"failed":"no memory"}"#).unwrap(), Some(Started::Failed("no memory".into())));
    assert!(say(b"hello").is_err());
    let (ours, theirs) = pair();
    drop(theirs);
    assert_eq!(receive(&ours).unwrap(), None);
}
