use std::os::unix::fs::PermissionsExt;

use super::*;

fn name(text: &str) -> InterfaceName {
    text.parse().unwrap()
}

#[test]
fn what_is_missing_is_told_with_what_makes_it() {
    let error = open(&name("nosuchtap0")).unwrap_err().to_string();
    assert_eq!(
        error,
        "there is no network device “nosuchtap0”: “sudo ip tuntap add dev nosuchtap0 mode tap user $USER && sudo ip link set nosuchtap0 up” makes one"
    );
    assert!(open(&name("lo")).unwrap_err().to_string().starts_with("“lo” is not a tap device"));
    for none in ["nosuchbr0", "lo"] {
        let error = on_bridge(&name(none), Path::new("/nowhere")).unwrap_err().to_string();
        assert!(error.contains(&format!("no bridge “{none}”: “sudo ip link add {none} type bridge")), "{error}");
    }
}

/// A program in QEMU's helper's place.
fn helper(script: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("helper");
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    (folder, path)
}

#[test]
fn a_bridge_helper_hands_its_device_over() {
    let script = "#!/usr/bin/python3\nimport socket, sys\nassert sys.argv[1:] == ['--fd=0', '--br=br0']\n\
        a, b = socket.socketpair()\nb.send(b'a device')\nsocket.send_fds(socket.socket(fileno=0), [b'\\0'], [a.fileno()])\n";
    let (folder, helper) = helper(script);
    let device = ask(&helper, &name("br0"), &folder.path().join("log")).unwrap();
    let device = nonblocking(device).unwrap();
    let mut bytes = [0; 8];
    rustix::io::read(&device, &mut bytes).unwrap();
    assert_eq!(&bytes, b"a device");
    assert_eq!(rustix::io::read(&device, &mut bytes), Ok(0), "whoever gave it has no other");
}

#[test]
fn a_bridge_helper_that_refuses_is_heard() {
    let (folder, helper) = helper("#!/bin/sh\necho 'access denied by acl file' >&2\nexit 1\n");
    let error = ask(&helper, &name("br0"), &folder.path().join("log")).unwrap_err().to_string();
    assert!(error.contains("“br0” (access denied by acl file): “echo allow br0 | sudo tee"), "{error}");
    assert!(error.contains(&format!("“sudo chmod u+s {}”", helper.display())), "{error}");
}
