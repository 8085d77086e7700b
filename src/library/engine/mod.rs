//! Engines: `dormer-vm` processes, one for each machine that runs.
//!
//! [`start`] opens everything an engine needs (it opens no path itself), hands it over and waits until the machine runs.
//! From then on it belongs to nobody: [`Running`] finds it by its sockets, from any process, and it ends when its machine
//! turns off. Its machine's lock ends with it.

mod cable;
mod capture;
mod drive;
mod installer;
mod keeper;
mod live;
mod nat;
mod running;
mod runtime;
mod start;
mod switch;
mod tap;
mod usb;

pub use capture::{begin as begin_capture, end as end_capture};
pub use drive::{eject, insert};
pub use installer::note_installer_out;
pub(crate) use live::follow;
pub use running::Running;
pub(crate) use runtime::{folders, forget, is_running, sweep};
pub(crate) use start::open_image;
pub use start::{Options, start, start_locked};
pub use usb::{attach_usb, detach_usb, usb_gone, usb_of};

use std::path::PathBuf;

use crate::error::{Error, Result};

/// Where engines' sockets are. A desk watches this folder: something changes in it whenever anybody starts a machine.
pub fn sockets() -> Result<PathBuf> {
    runtime::base_folder()
}

/// One of Dormer's programs: what `DORMER_VM`, `DORMER_NAT` and so on name, else beside this program, else in `PATH`.
pub fn program(name: &'static str) -> Result<PathBuf> {
    let variable = name.to_ascii_uppercase().replace('-', "_");
    if let Some(path) = std::env::var_os(&variable).map(PathBuf::from).filter(|path| !path.as_os_str().is_empty()) {
        return Ok(path);
    }
    let own = std::env::current_exe().ok();
    let beside = own.as_deref().and_then(|own| own.parent()).into_iter();
    // Test programs are in a folder of their own below.
    let beside = beside.flat_map(|folder| {
        let above = folder.parent().filter(|_| folder.ends_with("deps"));
        [Some(folder), above].into_iter().flatten().map(ToOwned::to_owned)
    });
    let search = std::env::var_os("PATH").unwrap_or_default();
    let mut paths = beside.chain(std::env::split_paths(&search)).map(|folder| folder.join(name));
    paths.find(|path| path.is_file()).ok_or(Error::NoProgram(name))
}
