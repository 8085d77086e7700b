//! The control socket: QMP's framing, names and shapes, with our own commands as `x-dormer-…`.
//!
//! Lines of JSON over a `SOCK_STREAM` socket. The engine greets, the client sends `qmp_capabilities`, then commands; answers come in
//! order, events in between. A command may carry descriptors, sent with its first byte (SCM_RIGHTS). Any number of clients.

use serde::{Deserialize, Serialize};

use crate::machine::{ImageFormat, MacAddress};
use crate::usb::UsbGone;

/// Most bytes of one line.
pub const LINE_BYTES: usize = 1 << 20;

/// A command's line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Which command.
    pub execute: String,
    /// Its arguments.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub arguments: serde_json::Map<String, serde_json::Value>,
    /// Comes back with the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<serde_json::Value>,
}

/// The commands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "execute", content = "arguments", rename_all = "snake_case")]
pub enum Command {
    /// Ends the negotiation. Answers nothing.
    #[serde(rename = "qmp_capabilities")]
    QmpCapabilities {},
    /// Names of all commands.
    #[serde(rename = "query-commands")]
    QueryCommands {},
    /// Which engine this is.
    #[serde(rename = "query-version")]
    QueryVersion {},
    /// Name of the machine.
    #[serde(rename = "query-name")]
    QueryName {},
    /// Answers [`Status`].
    #[serde(rename = "query-status")]
    QueryStatus {},
    /// Pause.
    Stop {},
    /// Go on.
    Cont {},
    /// The reset button.
    SystemReset {},
    /// The power button.
    SystemPowerdown {},
    /// End the engine at once, as if power failed; images are flushed.
    Quit {},
    /// A picture of the screen as PNG or PPM, into the attached descriptor (`format` is `png` when absent).
    #[serde(rename = "screendump")]
    Screendump {
        /// `png` or `ppm`.
        #[serde(default)]
        format: Option<String>,
    },
    /// Presses keys together, then releases them.
    #[serde(rename = "send-key")]
    SendKey {
        /// Keys by QMP's names (`ret`, `ctrl`) or numbers (XT set 1).
        keys: Vec<KeyValue>,
        /// Milliseconds to hold, 100 when absent.
        #[serde(default, rename = "hold-time")]
        hold_time: Option<u64>,
    },
    /// Characters on the screen when it is in a text mode: answers [`Text`].
    #[serde(rename = "x-dormer-text")]
    Text {},
    /// Pointer: position of 0 to 0x7fff on each axis, then an optional click.
    #[serde(rename = "x-dormer-pointer")]
    Pointer {
        /// From the left.
        x: u16,
        /// From the top.
        y: u16,
        /// Press and release this button there.
        #[serde(default)]
        click: Option<crate::input::Button>,
    },
    /// Bytes to the first serial port.
    #[serde(rename = "x-dormer-serial-write")]
    SerialWrite {
        /// UTF-8 text.
        text: String,
    },
    /// What the first serial port sent since `from` bytes after start: answers [`Serial`].
    #[serde(rename = "x-dormer-serial-read")]
    SerialRead {
        /// Position.
        from: u64,
        /// Milliseconds to wait for something to be sent, 10 000 at most; none when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wait: Option<u64>,
    },
    /// Puts a medium (attached descriptor) into a CD drive, in place of the one in it.
    #[serde(rename = "x-dormer-insert")]
    Insert {
        /// The drive.
        drive: String,
        /// The image's format.
        format: ImageFormat,
    },
    /// Takes the medium out of a CD drive, even if the guest locked it.
    Eject {
        /// The drive.
        id: String,
    },
    /// Pulls a network cable or plugs it in.
    #[serde(rename = "set_link")]
    SetLink {
        /// The card.
        name: String,
        /// In or out.
        up: bool,
    },
    /// Network cards and what goes through them: answers a list of [`NetworkStatus`].
    #[serde(rename = "x-dormer-query-networks")]
    QueryNetworks {},
    /// Plugs a card's cable in somewhere else; what it leads to is attached. The link is down for a moment.
    #[serde(rename = "x-dormer-connect")]
    Connect {
        /// The card.
        name: String,
        /// What it is connected to, for [`NetworkStatus::network`].
        network: String,
        /// Is the descriptor a tap device's? A stream's otherwise, as in [`crate::spec::NetworkSpec`].
        #[serde(default)]
        tap: bool,
    },
    /// Writes what goes through a card to the attached descriptor, a plain file, as pcapng; in place of a capture under way.
    #[serde(rename = "x-dormer-capture")]
    Capture {
        /// The card.
        name: String,
    },
    /// Ends a capture: the file is whole when this has succeeded; an error says that it is not, or not yet.
    #[serde(rename = "x-dormer-capture-end")]
    CaptureEnd {
        /// The card.
        name: String,
    },
    /// Puts a device of the host, whose usbfs file (opened to read and write) is attached, into a port of the machine's USB controller:
    /// answers [`UsbAttached`](crate::usb::UsbAttached). A second descriptor is closed when the host has the device again, or when the
    /// engine ends: one end of a pipe whose other end is with a process that gives the device back then (`dormer-vm --keep-usb`).
    #[serde(rename = "x-dormer-usb-attach")]
    UsbAttach {
        /// What it is called from now on: its name in sysfs (`bus-port.port`), [`crate::usb::TEXT_BYTES`] at most.
        id: String,
        /// Its name for people, as long at most.
        name: String,
    },
    /// Takes a device of the host out of the machine; when this has succeeded, the host has it back, with its own drivers.
    #[serde(rename = "x-dormer-usb-detach")]
    UsbDetach {
        /// The device.
        id: String,
    },
    /// Devices of the host that the machine has: answers a list of [`UsbStatus`](crate::usb::UsbStatus).
    #[serde(rename = "x-dormer-query-usb")]
    QueryUsb {},
    /// Drives and what is in them: answers a list of [`DriveStatus`].
    #[serde(rename = "query-block")]
    QueryBlock {},
    /// What went through the drives: answers a list of [`DriveStats`](crate::stats::DriveStats).
    #[serde(rename = "query-blockstats")]
    QueryBlockstats {},
    /// What the machine takes of this computer: answers [`Usage`](crate::stats::Usage).
    #[serde(rename = "x-dormer-query-usage")]
    QueryUsage {},
}

/// A key, as QMP's `send-key` has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub enum KeyValue {
    /// By name.
    Qcode(String),
    /// By XT set 1 code.
    Number(u32),
}

/// An answer to `query-status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Do vCPUs run?
    pub running: bool,
    /// The state.
    pub status: RunState,
}

/// States of a machine, by QMP's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// Built, not started.
    Prelaunch,
    /// vCPUs run.
    Running,
    /// Paused by a person.
    Paused,
    /// The guest turned itself off; the engine is about to end.
    Shutdown,
    /// Something that only the engine can have got wrong.
    InternalError,
    /// A disk failed.
    IoError,
}

/// An answer to `x-dormer-text`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// Lines of the screen, `None` in graphics modes.
    pub lines: Option<Vec<String>>,
}

/// An answer to `x-dormer-serial-read`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serial {
    /// Where [`Self::text`] starts: later than asked when the ring buffer has lost the beginning.
    pub from: u64,
    /// Position behind the text; ask from here next.
    pub next: u64,
    /// What was sent; bytes that are not UTF-8 are replaced.
    pub text: String,
}

/// An element of the answer to `query-block`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriveStatus {
    /// The drive's name.
    pub device: String,
    /// Can its medium be changed?
    pub removable: bool,
    /// Is the tray open?
    pub tray_open: bool,
    /// Has the guest locked the tray?
    pub locked: bool,
    /// Is a medium in?
    pub inserted: bool,
    /// What keeps it from going on.
    #[serde(default, rename = "io-status")]
    pub io_status: IoStatus,
}

/// Does a drive work, by QMP's names?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IoStatus {
    /// It does.
    #[default]
    Ok,
    /// The host has no room for what the guest writes: the machine stands until there is, and `cont`.
    NoSpace,
}

/// An element of the answer to `x-dormer-query-networks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkStatus {
    /// The card's name.
    pub device: String,
    /// Its Ethernet address.
    pub mac: MacAddress,
    /// What it is connected to, by [`crate::machine::Attachment`]'s text.
    pub network: String,
    /// Does the guest see the cable in? `set_link` changes that.
    pub plugged: bool,
    /// Does anything go through? The cable is in, and what is at its other end is there.
    pub link: bool,
    /// Frames from the guest.
    pub sent: u64,
    /// And their bytes.
    #[serde(rename = "sent-bytes")]
    pub sent_bytes: u64,
    /// Frames from the guest that were lost: no link, or more than it takes.
    pub dropped: u64,
    /// Frames to the guest.
    pub received: u64,
    /// And their bytes.
    #[serde(rename = "received-bytes")]
    pub received_bytes: u64,
    /// Is it written to a file?
    pub captured: bool,
}

/// An event, as its line carries it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", content = "data", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Event {
    /// Paused.
    Stop {},
    /// Runs again.
    Resume {},
    /// Reset, by the guest or a person.
    Reset {
        /// Was it the guest?
        guest: bool,
        /// QMP's reason: `guest-reset`, `host-qmp-system-reset`.
        reason: String,
    },
    /// The power button was pressed.
    Powerdown {},
    /// The machine turned off; the engine ends now.
    Shutdown {
        /// Was it the guest?
        guest: bool,
        /// QMP's reason: `guest-shutdown`, `host-qmp-quit`.
        reason: String,
    },
    /// A CD drive's tray moved.
    DeviceTrayMoved {
        /// The drive.
        device: String,
        /// Open now?
        #[serde(rename = "tray-open")]
        tray_open: bool,
        /// The drive again, as QMP has it.
        id: String,
    },
    /// A disk failed.
    BlockIoError {
        /// The drive, or `uefi-variables`.
        device: String,
        /// QMP's `write`: reads that fail are the guest's to hear of.
        #[serde(default)]
        operation: String,
        /// QMP's `stop`: the machine stands; or `report`: it runs on.
        #[serde(default)]
        action: String,
        /// Is it that the host has no room?
        #[serde(default)]
        nospace: bool,
        /// What happened.
        reason: String,
    },
    /// A capture has ended, because its file cannot be written.
    #[serde(rename = "X_DORMER_CAPTURE_FAILED")]
    CaptureFailed {
        /// The card.
        id: String,
        /// What happened.
        reason: String,
    },
    /// The machine has a device of the host no more.
    #[serde(rename = "X_DORMER_USB_DETACHED")]
    UsbDetached {
        /// The device.
        id: String,
        /// Why.
        reason: UsbGone,
    },
    /// A network helper is gone.
    #[serde(rename = "X_DORMER_NETWORK_DOWN")]
    NetworkDown {
        /// The card.
        id: String,
    },
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn shapes_are_qmp() {
        let parse = |text| serde_json::from_str::<Command>(text);
        assert_eq!(parse(r#"{"execute":"system_reset","arguments":{}}"#).unwrap(), Command::SystemReset {});
        let key = parse(r#"{"execute":"send-key","arguments":{"keys":[{"type":"qcode","data":"ret"}]}}"#).unwrap();
        assert_eq!(key, Command::SendKey { keys: vec![KeyValue::Qcode("ret".into())], hold_time: None });
        let event = serde_json::to_value(Event::Shutdown { guest: true, reason: "guest-shutdown".into() }).unwrap();
        assert_eq!(event["event"], "SHUTDOWN");
        assert_eq!(event["data"]["guest"], true);
        let status = serde_json::to_value(Status { running: false, status: RunState::InternalError }).unwrap();
        assert_eq!(status["status"], "internal-error");
        let attach = parse(r#"{"execute":"x-dormer-usb-attach","arguments":{"id":"1-2.3","name":"Stick"}}"#).unwrap();
        assert_eq!(attach, Command::UsbAttach { id: "1-2.3".into(), name: "Stick".into() });
        let event = Event::UsbDetached { id: "1-2.3".into(), reason: UsbGone::Unplugged };
        let shape = json!({ "event": "X_DORMER_USB_DETACHED", "data": { "id": "1-2.3", "reason": "unplugged" } });
        assert_eq!(serde_json::to_value(event).unwrap(), shape);
        let drive = r#"{"device":"a","removable":false,"tray_open":false,"locked":false,"inserted":true}"#;
        let mut drive: DriveStatus = serde_json::from_str(drive).unwrap();
        assert_eq!(drive.io_status, IoStatus::Ok);
        drive.io_status = IoStatus::NoSpace;
        assert_eq!(serde_json::to_value(drive).unwrap()["io-status"], "nospace");
    }
}
