//! The emulator: the installed QEMU, less one instruction.
//!
//! QEMU's VMRUN delivers an injected interrupt (AMD64 Architecture Programmer's Manual, volume 2, §15.20) at once and leaves
//! its vector in the place where the main loop looks for an exception that is still to be delivered. The guest's next exit
//! mostly overwrites it. When a timer of `-icount` is due before that, the main loop delivers the interrupt a second time, as an
//! exception, whether the guest has interrupts enabled or not. A kernel that is interrupted by a second tick in the middle of
//! the first then waits for a lock that it holds itself: every second start of Debian 13 hung, under QEMU in the test host as under
//! Dormer (QEMU 10.0; in a trace of `kvm_exit` the spurious delivery shows as `intr_info 0x3ec` after one `kvm_inj_virq`).
//!
//! So test hosts run a copy whose `helper_vmrun` does not store the vector. It is made here, from the installed package, and kept
//! in `target/host/`. A QEMU in which that store is not found beyond doubt runs as it is, and whoever started it is told.

use std::{
    fs,
    io::Write,
    ops::Range,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use object::{Object, ObjectSection, ObjectSymbol};

/// The program of the package.
const PACKAGED: &str = "qemu-system-x86_64";

/// Emulates VMRUN, and delivers an interrupt; QEMU exports both to its modules, so every build names them.
const VMRUN: &str = "helper_vmrun";
const DELIVER: &str = "do_interrupt_x86_hardirq";

/// How far before the call that delivers the interrupt its vector can be stored, in bytes.
const REACH: usize = 64;

/// A program to run and the arguments it needs in any case.
pub(super) struct Emulator {
    /// The copy, or the package's own.
    pub(super) program: PathBuf,
    /// Where a copy finds the package's firmware.
    pub(super) arguments: Vec<String>,
}

/// Finds the installed QEMU and makes, or finds, its copy in `cache`.
///
/// # Errors
/// There is none, or the copy cannot be written.
pub(super) fn prepare(cache: &Path) -> Result<Emulator> {
    let packaged = installed().context("cannot find QEMU: install qemu-system-x86")?;
    let metadata = fs::metadata(&packaged)?;
    // Another package brings another program: its size, time or place differ.
    let identity = format!("{:x}-{:x}-{:x}", metadata.len(), metadata.mtime(), metadata.ino());
    let copy = cache.join(format!("qemu-{identity}"));
    if !copy.exists() {
        let mut program = fs::read(&packaged).with_context(|| format!("cannot read {}", packaged.display()))?;
        let Some(store) = vector_store(&program) else {
            eprintln!(
                "*** test host: this QEMU's VMRUN is not the known one, it runs as it is: \
                 guests may hang now and then (src/xtask/host/emulator.rs) ***"
            );
            return Ok(Emulator { program: packaged, arguments: Vec::new() });
        };
        program[store].copy_from_slice(&NOTHING);
        // Several may do this at once; each moves a whole file into place.
        let mut partial = tempfile::NamedTempFile::new_in(cache)?;
        partial.write_all(&program)?;
        partial.as_file().set_permissions(fs::Permissions::from_mode(0o755))?;
        partial.persist(&copy)?;
    }
    Ok(Emulator { program: copy, arguments: firmware_folders(&packaged)? })
}

fn installed() -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(PACKAGED)).find(|path| path.is_file())
}

/// `-L FOLDER` for each folder the packaged program finds firmware in; it looks beside itself, which a copy cannot.
fn firmware_folders(packaged: &Path) -> Result<Vec<String>> {
    let output = Command::new(packaged).args(["-L", "help"]).output().context("cannot start QEMU")?;
    ensure!(output.status.success(), "QEMU does not start: {}", String::from_utf8_lossy(&output.stderr).trim());
    let folders = String::from_utf8(output.stdout)?;
    Ok(folders.lines().flat_map(|folder| ["-L".to_owned(), folder.to_owned()]).collect())
}

/// An instruction of six bytes that does nothing.
const NOTHING: [u8; 6] = [0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00];

/// Where in the program's file the vector is stored; `None` unless there is exactly one such place.
fn vector_store(program: &[u8]) -> Option<Range<usize>> {
    let file = object::File::parse(program).ok()?;
    let symbol = |name: &str| file.dynamic_symbols().find(|symbol| symbol.name() == Ok(name));
    let (vmrun, deliver) = (symbol(VMRUN)?, symbol(DELIVER)?);
    let section = file
        .sections()
        .find(|section| (section.address()..section.address() + section.size()).contains(&vmrun.address()))?;
    let (offset, _) = section.file_range()?;
    let begin = usize::try_from(offset + (vmrun.address() - section.address())).ok()?;
    let code = program.get(begin..begin.checked_add(usize::try_from(vmrun.size()).ok()?)?)?;
    let store = store_before_call(code, vmrun.address(), deliver.address())?;
    Some(begin + store.start..begin + store.end)
}

/// Finds, in code that runs at `address`, the one call of `target` and the one store of its second argument before it.
fn store_before_call(code: &[u8], address: u64, target: u64) -> Option<Range<usize>> {
    // CALL rel32 is E8 and the distance from its end.
    let calls = code.windows(5).enumerate().filter(|(at, bytes)| {
        let distance = i64::from(i32::from_le_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]));
        bytes[0] == 0xe8 && address.wrapping_add(*at as u64 + 5).wrapping_add_signed(distance) == target
    });
    let call = only(calls.map(|(at, _)| at))?;
    // MOV [register + disp32], ESI: the vector goes into CPUState, which lies before the registers it is reached by.
    let before = call.saturating_sub(REACH);
    let stores = code[before..call].windows(6).enumerate().filter(|(_, bytes)| {
        let (mode, source, base) = (bytes[1] >> 6, bytes[1] >> 3 & 7, bytes[1] & 7);
        let negative = bytes[5] & 0x80 != 0;
        bytes[0] == 0x89 && mode == 2 && source == 6 && base != 4 && negative
    });
    let store = before + only(stores.map(|(at, _)| at))?;
    Some(store..store + NOTHING.len())
}

fn only<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    let item = items.next()?;
    items.next().is_none().then_some(item)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: [u8; 6] = [0x89, 0xb3, 0x10, 0xd7, 0xff, 0xff];
    /// The same with a place after the base, as registers have.
    const OTHER: [u8; 6] = [0x89, 0xb3, 0xe0, 0x33, 0x00, 0x00];

    /// A call of 0x2000 that stands after `code`, which runs at 0x1000.
    fn with_call(mut code: Vec<u8>) -> Vec<u8> {
        let distance = 0x2000 - (0x1000 + i32::try_from(code.len()).unwrap() + 5);
        code.push(0xe8);
        code.extend(distance.to_le_bytes());
        code
    }

    fn found(code: &[u8]) -> Option<Range<usize>> {
        store_before_call(code, 0x1000, 0x2000)
    }

    #[test]
    fn the_store_before_the_call_is_found() {
        let code = with_call([vec![0x90; 100], OTHER.to_vec(), STORE.to_vec(), vec![0x90; 20]].concat());
        assert_eq!(found(&code), Some(106..112));
    }

    #[test]
    fn doubt_finds_nothing() {
        assert_eq!(found(&[]), None);
        assert_eq!(found(&STORE), None, "no call");
        assert_eq!(found(&with_call(OTHER.to_vec())), None, "no store");
        assert_eq!(found(&with_call([STORE, STORE].concat())), None, "two stores");
        let twice = with_call(with_call(STORE.to_vec()));
        assert_eq!(found(&twice), None, "two calls");
        let far = with_call([STORE.to_vec(), vec![0x90; REACH]].concat());
        assert_eq!(found(&far), None, "too far away");
        assert_eq!(vector_store(b"no program"), None);
    }
}
