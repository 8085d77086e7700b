//! Networks: two installed systems reach each other over an internal network, and one reaches the host over a tap device and a bridge.
//! What passes is captured, and read back by tcpdump where it is installed.

use std::process::Command;
use std::time::Duration;

use api::machine::MacAddress;
use dormer_tests::guest::{Guest, Home};
use dormer_tests::{media, medium_or_skip, only_in_test_host};
use serde_json::Value;

/// From power on to the login.
const BOOT: Duration = Duration::from_secs(900);
const SHORT: Duration = Duration::from_secs(180);

/// An installed Debian, started, whose card is on `network`.
fn debian(name: &str, disk: &std::path::Path, network: &str) -> Guest {
    let home = Home::new();
    let copy = home.path().join("disk.qcow2");
    std::fs::copy(disk, &copy).expect("room for a copy of the disk");
    let copy = copy.to_str().expect("a path of plain characters");
    let arguments = ["create", name, "--disk", copy, "--firmware", "bios", "--cpus", "1", "--memory", "512"];
    home.must(&[&arguments[..], &["--profile", "linux", "--os", "debian13"]].concat());
    home.must(&["set", name, &format!("net0.network={network}")]);
    Guest::start_in(home, name)
}

fn address(guest: &mut Guest, address: &str) {
    // What waits for DHCP would take the address away again.
    guest.shell("systemctl -q stop systemd-networkd.socket systemd-networkd", SHORT);
    guest.shell(&format!("ip link set eth0 up && ip addr add {address}/24 dev eth0"), SHORT);
}

/// In a shell: does this address answer? This Debian has no ping, but a port that nobody listens on refuses, which is an answer too.
fn answers(address: &str) -> String {
    format!("timeout 10 bash -c 'exec 3<>/dev/tcp/{address}/9' 2>&1 | grep -q refused")
}

/// Waits until this address answers.
fn reach(guest: &mut Guest, address: &str) {
    let probe = answers(address);
    guest.shell_until(&probe, SHORT);
}

/// `net0` as the engine has it.
fn card(guest: &Guest, name: &str) -> Value {
    serde_json::from_str::<Value>(&guest.home.must(&["net", name, "list", "--json"])).expect("JSON")[0].clone()
}

fn host(command: &str) {
    let status = Command::new("sh").args(["-ec", command]).status().expect("a shell");
    assert!(status.success(), "{command}: {status}");
}

#[test]
fn machines_reach_each_other_on_an_internal_network() {
    let disk = medium_or_skip!(media::DEBIAN_DISK.path());
    let mut one = debian("inner-one", &disk, "internal:lab");
    let mut two = debian("inner-two", &disk, "internal:lab");
    for (guest, own) in [(&mut one, "192.168.9.1"), (&mut two, "192.168.9.2")] {
        guest.log_in(BOOT);
        address(guest, own);
    }
    let file = one.home.path().join("net0.pcapng");
    one.home.must(&["net", "inner-one", "capture", file.to_str().expect("a path of plain characters")]);
    assert_eq!(card(&one, "inner-one")["captured"], true);
    reach(&mut one, "192.168.9.2");
    reach(&mut two, "192.168.9.1");
    one.home.must(&["net", "inner-one", "capture", "off"]);
    let bytes = std::fs::read(&file).expect("the capture");
    let mac = one.entry.machine.networks[0].mac;
    captured(&bytes, mac, two.entry.machine.networks[0].mac);
    let open = std::fs::File::open(&file).expect("the capture");
    if let Ok(tcpdump) = Command::new("tcpdump").args(["-nr", "-"]).stdin(open).output() {
        let said = String::from_utf8_lossy(&tcpdump.stdout);
        println!("{said}");
        assert!(said.contains("192.168.9.1.") && said.contains("> 192.168.9.2.9: Flags [S]"), "{said}");
    }
    let seen = card(&one, "inner-one");
    assert_eq!((&seen["network"], &seen["link"]), (&"internal:lab".into(), &true.into()));
    assert!(seen["sent"].as_u64() > Some(0) && seen["received"].as_u64() > Some(0), "{seen}");

    // Another network, while it runs: it is alone there, and back it is not.
    one.home.must(&["set", "inner-one", "net0.network=internal:elsewhere"]);
    one.shell(&format!("! {}", answers("192.168.9.2")), SHORT);
    one.home.must(&["set", "inner-one", "net0.network=internal:lab"]);
    reach(&mut one, "192.168.9.2");
}

/// Frames of both are in the file, and the file is whole.
fn captured(bytes: &[u8], one: MacAddress, two: MacAddress) {
    let with = |to: MacAddress, from: MacAddress| {
        let header = [to.0, from.0].concat();
        bytes.windows(header.len()).filter(|window| *window == header).count()
    };
    assert!(with(two, one) > 0 && with(one, two) > 0, "frames of both directions");
    let (mut at, mut blocks) = (0, Vec::new());
    while at < bytes.len() {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let length = word(at + 4) as usize;
        assert_eq!(word(at + length - 4) as usize, length, "a block's two lengths");
        blocks.push(word(at));
        at += length;
    }
    assert_eq!((blocks[0], blocks[1], blocks.last()), (0x0a0d_0d0a, 1, Some(&5)));
}

#[test]
fn a_machine_is_on_a_tap_device_and_on_a_bridge() {
    // It makes devices and allows the bridge helper to use one: nothing to do to somebody's computer.
    only_in_test_host!("only in the test host");
    let disk = medium_or_skip!(media::DEBIAN_DISK.path());
    host(
        "modprobe -a tun bridge; ip tuntap add dev dormer0 mode tap; ip addr add 192.168.8.1/24 dev dormer0; ip link set dormer0 up",
    );
    host("ip link add dormerbr0 type bridge; ip addr add 192.168.7.1/24 dev dormerbr0; ip link set dormerbr0 up");
    host("mkdir -p /etc/qemu; echo allow dormerbr0 > /etc/qemu/bridge.conf");
    let mut guest = debian("outer", &disk, "tap:dormer0");
    guest.log_in(BOOT);
    address(&mut guest, "192.168.8.2");
    reach(&mut guest, "192.168.8.1");
    // Whoever uses it has it.
    let home = Home::new();
    home.must(&["create", "second", "--firmware", "bios", "--disk", "none", "--profile", "linux", "--memory", "64"]);
    home.must(&["set", "second", "net0.network=tap:dormer0"]);
    assert!(home.must_fail(&["start", "second"]).contains("“dormer0” is in use"));

    guest.home.must(&["set", "outer", "net0.network=bridge:dormerbr0"]);
    address(&mut guest, "192.168.7.2");
    reach(&mut guest, "192.168.7.1");
    assert_eq!(card(&guest, "outer")["network"], "bridge:dormerbr0");
    let refused = guest.home.must_fail(&["set", "outer", "net0.network=bridge:dormer0"]);
    assert!(refused.contains("there is no bridge “dormer0”"), "{refused}");
    // The device is gone when somebody removes it, and the machine runs on.
    host("ip link del dormerbr0");
    assert_eq!(card(&guest, "outer")["plugged"], true);
}
