use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

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

/// A device of the host's, while this lives.
struct Device(String);

impl Device {
    /// None, loudly, where devices cannot be made.
    fn new() -> Option<Self> {
        let name = format!("dt{}", std::process::id());
        let ip = |arguments: &str| Command::new("ip").args(arguments.split(' ')).output();
        let made = ip(&format!("tuntap add dev {name} mode tap"));
        if !made.is_ok_and(|output| output.status.success()) {
            eprintln!("SKIPPED: this person cannot make tap devices");
            return None;
        }
        let device = Self(name);
        for step in ["addr add 203.0.113.1/24 dev", "link set up dev"] {
            assert!(ip(&format!("{step} {}", device.0)).unwrap().status.success(), "{step}");
        }
        Some(device)
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // What is left of a test that failed is seen by “ip link”.
        let _ = Command::new("ip").args(["tuntap", "del", "dev", &self.0, "mode", "tap"]).status();
    }
}

/// The host answers a question by ARP (RFC 826), so frames are whole in both directions and have nothing before them.
#[test]
fn a_tap_device_carries_frames_and_has_one_user() {
    let Some(device) = Device::new() else { return };
    let tap = open(&name(&device.0)).unwrap();
    assert!(open(&name(&device.0)).unwrap_err().to_string().contains("is in use by another machine"));
    let (own, host) = ([0x52, 0x54, 0, 1, 2, 3], [203, 0, 113, 1]);
    let header = [&[0xff; 6][..], &own, &[8, 6]].concat();
    let question = [&[0, 1, 8, 0, 6, 4, 0, 1][..], &own, &[203, 0, 113, 2], &[0; 6], &host].concat();
    let frame = [header, question].concat();
    let end = std::time::Instant::now() + Duration::from_secs(20);
    let mut asked = std::time::Instant::now() - Duration::from_secs(1);
    let answer = loop {
        assert!(std::time::Instant::now() < end, "the host does not answer");
        if asked.elapsed() >= Duration::from_secs(1) {
            assert_eq!(rustix::io::write(&tap, &frame), Ok(frame.len()));
            asked = std::time::Instant::now();
        }
        let mut bytes = [0; 2000];
        match rustix::io::read(&tap, &mut bytes) {
            // The host talks of itself as well.
            Ok(length) if bytes[12..14] == [8, 6] && bytes[20..22] == [0, 2] => break bytes[..length].to_vec(),
            Ok(_) => {}
            Err(Errno::AGAIN) => std::thread::sleep(Duration::from_millis(5)),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!((&answer[..6], &answer[28..32], &answer[38..42]), (&own[..], &host[..], &[203, 0, 113, 2][..]));
}
