//! Memory that another process shares and may not take away again.

use std::os::fd::BorrowedFd;

use rustix::fs::SealFlags;

/// statfs(2)'s type of tmpfs, which memfds live on unless they are made of huge pages (where a hole can fault).
const TMPFS_MAGIC: u64 = 0x0102_1994;

/// Can the first `bytes` bytes (not 0) of this be mapped, and never end in SIGBUS? It must be a memfd that is sealed against shrinking
/// (fcntl(2), File sealing) and large enough.
///
/// # Errors
/// What it is instead.
pub fn check(memfd: BorrowedFd<'_>, bytes: u64) -> Result<(), &'static str> {
    let unseen = |_| "a memfd that cannot be looked at";
    let seals = rustix::fs::fcntl_get_seals(memfd).map_err(|_| "not a memfd")?;
    if !seals.contains(SealFlags::SHRINK) {
        return Err("a memfd that can shrink");
    }
    if rustix::fs::fstatfs(memfd).map_err(unseen)?.f_type as u64 != TMPFS_MAGIC {
        return Err("a memfd of huge pages");
    }
    let size = u64::try_from(rustix::fs::fstat(memfd).map_err(unseen)?.st_size).unwrap_or(0);
    if bytes == 0 || size < bytes {
        return Err("a memfd that is too small");
    }
    Ok(())
}
