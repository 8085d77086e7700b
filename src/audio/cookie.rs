//! What PulseAudio's protocol wants a program to show that it is the person's: 256 bytes in a file.
//!
//! Whoever connects first makes it, as PulseAudio's own library does; the client that cpal has only reads it, and PipeWire turns a client
//! without it away, though it does not look at what it says. An account on which nothing has played before has none.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Its size (`PA_NATIVE_COOKIE_LENGTH`).
const BYTES: usize = 256;

/// Makes the cookie of the person whose home this is, unless there is one.
pub(crate) fn bake(home: &Path) -> io::Result<()> {
    let folder = home.join(".config/pulse");
    let usual = folder.join("cookie");
    if usual.exists() || home.join(".pulse-cookie").exists() {
        return Ok(());
    }
    let mut bytes = [0; BYTES];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    // Whole or not at all: others may look at the same time.
    let fresh = folder.join(format!(".cookie-{}-{:?}", std::process::id(), std::thread::current().id()));
    // Of a thread of this number that did not come to its end.
    let _ = fs::remove_file(&fresh);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    let made = file.write_all(&bytes).and_then(|()| fs::hard_link(&fresh, &usual));
    fs::remove_file(&fresh)?;
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_is_made_once_and_for_nobody_else() {
        let home = tempfile::tempdir().unwrap();
        bake(home.path()).unwrap();
        let path = home.path().join(".config/pulse/cookie");
        let first = fs::read(&path).unwrap();
        assert_eq!((first.len(), fs::metadata(&path).unwrap().permissions().mode() & 0o777), (BYTES, 0o600));
        bake(home.path()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), first);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else is left there");
    }

    #[test]
    fn one_of_old_is_good_enough() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join(".pulse-cookie"), [1; BYTES]).unwrap();
        bake(home.path()).unwrap();
        assert!(!home.path().join(".config").exists());
    }
}
