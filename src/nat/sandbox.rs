//! What this process gives up before it hears its guest.

use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError,
    RulesetStatus, Scope, path_beneath_rules,
};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::set_no_new_privs;

/// Sockets, and so connections, at a time. A connection beyond it is refused to the guest.
const FILES: u64 = 2048;
/// Bytes of heap. A TCP connection of libslirp's has 256 KiB of buffers; beyond the bound the process dies, and the guest
/// sees its cable pulled.
const DATA: u64 = FILES * 256 * 1024 + (256 << 20);

/// Bounds memory and sockets, leaves no core dump (it would hold the guest's traffic), and gives up privileges by exec.
pub(crate) fn bound_resources() -> rustix::io::Result<()> {
    let most = |resource, wanted: u64| {
        let allowed = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        let bound = Some(wanted.min(allowed));
        setrlimit(resource, Rlimit { current: bound, maximum: bound })
    };
    most(Resource::Nofile, FILES)?;
    most(Resource::Data, DATA)?;
    most(Resource::Core, 0)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    set_no_new_privs(true)
}

/// Shuts the file system but for the name servers' list, which libslirp reads again when it changes. A kernel without
/// Landlock is no reason to leave the guest without network; it is logged.
pub(crate) fn close_files() {
    match restrict() {
        Ok(RulesetStatus::NotEnforced) => tracing::warn!("this kernel has no Landlock: files stay reachable"),
        Ok(status) => tracing::debug!("file system: {status:?}"),
        Err(error) => tracing::warn!("files stay reachable: {error}"),
    }
}

fn restrict() -> Result<RulesetStatus, RulesetError> {
    let abi = ABI::V6;
    // resolv.conf is often a link to a file that is replaced whole, so its folder is let through, not the file.
    let list = std::fs::canonicalize("/etc/resolv.conf").ok();
    let folders = list.as_deref().and_then(std::path::Path::parent).map(PathBuf::from);
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .scope(Scope::from_all(abi))?
        .create()?
        .add_rules(path_beneath_rules(folders.into_iter().chain(["/etc".into()]), AccessFs::ReadFile))?
        .restrict_self()?;
    Ok(status.ruleset)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn only_the_name_servers_list_can_be_read() {
        // The rules bind the thread that sets them.
        let restricted = std::thread::spawn(|| {
            let own = std::env::current_exe().unwrap();
            let list_before = File::open("/etc/resolv.conf").is_ok();
            if restrict().unwrap() == RulesetStatus::NotEnforced {
                return;
            }
            assert_eq!(File::open("/etc/resolv.conf").is_ok(), list_before);
            assert_eq!(File::open(own).unwrap_err().kind(), ErrorKind::PermissionDenied);
            let written = File::create("/etc/dormer-nat-was-here");
            assert_eq!(written.unwrap_err().kind(), ErrorKind::PermissionDenied);
            let program = std::process::Command::new("/bin/true").status();
            assert_eq!(program.unwrap_err().kind(), ErrorKind::PermissionDenied);
        });
        restricted.join().unwrap();
    }
}
