//! The monitor of the test host's own QEMU (QMP), for a test that plugs the host's devices in and pulls them out, or touches its keys.
//!
//! Only in test hosts whose wish in `tests/Cargo.toml` is `monitor = true`.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use serde_json::{Value, json};

/// The virtio port that it is reached by.
const PORT: &str = "dormer.monitor";

/// The monitor of the computer that a test runs on.
pub struct Monitor {
    input: File,
    output: BufReader<File>,
}

impl Monitor {
    /// The monitor, where there is one.
    pub fn open() -> Option<Self> {
        let mut ports = fs::read_dir("/sys/class/virtio-ports").ok()?.flatten();
        let is_it = |path: &Path| fs::read_to_string(path.join("name")).is_ok_and(|name| name.trim() == PORT);
        let port = ports.find(|port| is_it(&port.path()))?;
        let path = Path::new("/dev").join(port.file_name());
        let input = OpenOptions::new().read(true).write(true).open(path).expect("the monitor's port can be opened");
        let output = BufReader::new(input.try_clone().expect("a second descriptor of it"));
        let mut monitor = Self { input, output };
        monitor.order("qmp_capabilities", json!({}));
        Some(monitor)
    }

    /// Does a command; what it answers.
    #[track_caller]
    pub fn order(&mut self, command: &str, arguments: Value) -> Value {
        let order = json!({ "execute": command, "arguments": arguments }).to_string();
        self.input.write_all(order.as_bytes()).expect("the monitor takes orders");
        loop {
            let mut line = String::new();
            self.output.read_line(&mut line).expect("the monitor answers");
            let mut answer: Value = serde_json::from_str(&line).expect("the monitor speaks JSON");
            assert!(answer.get("error").is_none(), "{command}: {answer}");
            // Its greeting and events have no part in it.
            if let Some(answer) = answer.get_mut("return") {
                return answer.take();
            }
        }
    }

    /// Plugs a device in.
    #[track_caller]
    pub fn plug(&mut self, device: Value) {
        self.order("device_add", device);
    }

    /// Pulls out the device with this id.
    #[track_caller]
    pub fn pull(&mut self, id: &str) {
        self.order("device_del", json!({ "id": id }));
    }

    /// Presses and releases a key (QEMU's name for it).
    #[track_caller]
    pub fn press(&mut self, key: &str) {
        let event = |down| json!({ "type": "key", "data": { "down": down, "key": { "type": "qcode", "data": key } } });
        for down in [true, false] {
            self.order("input-send-event", json!({ "events": [event(down)] }));
        }
    }

    /// Moves an absolute pointer, each axis 0 to 32767.
    #[track_caller]
    pub fn point(&mut self, x: u16, y: u16) {
        let event = |axis, value| json!({ "type": "abs", "data": { "axis": axis, "value": value } });
        self.order("input-send-event", json!({ "events": [event("x", x), event("y", y)] }));
    }
}
