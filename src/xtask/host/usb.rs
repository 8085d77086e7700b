//! USB devices of the emulated PC that QEMU has beside sticks.

use std::{ffi::OsString, path::PathBuf, str::FromStr};

use super::qemu::option;

/// A device, as the command line names it: `KIND` or `KIND=FILE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UsbDevice {
    kind: Kind,
    /// What it writes or reads, where there is such a thing.
    file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// An FTDI serial adapter; what is sent goes to the file.
    Serial,
    /// A network card: CDC Ethernet or, in its other configuration, RNDIS.
    Net,
    /// Loudspeakers; what they play goes to the file, as WAV.
    Audio,
    Keyboard,
    Tablet,
    Hub,
    /// A reader of smart cards, without one.
    SmartCard,
    /// A media player that shows the folder.
    Mtp,
    /// A disk that can do UAS, with what is in the file.
    Uas,
}

/// Names, drivers that the host's kernel has for them, and kinds.
const KINDS: [(&str, &[&str], Kind); 9] = [
    ("serial", &["ftdi_sio"], Kind::Serial),
    ("net", &["cdc_ether", "rndis_host"], Kind::Net),
    ("audio", &["snd_usb_audio"], Kind::Audio),
    ("keyboard", &["usbhid", "hid_generic"], Kind::Keyboard),
    ("tablet", &["usbhid", "hid_generic"], Kind::Tablet),
    ("hub", &[], Kind::Hub),
    ("smart-card", &[], Kind::SmartCard),
    ("mtp", &[], Kind::Mtp),
    ("uas", &["uas", "sd_mod"], Kind::Uas),
];

impl FromStr for UsbDevice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, file) = text.split_once('=').map_or((text, None), |(name, file)| (name, Some(file)));
        // QEMU wants folders so.
        let file = file.map(std::path::absolute).transpose().map_err(|error| error.to_string())?;
        let Some(&(_, _, kind)) = KINDS.iter().find(|known| known.0 == name) else {
            return Err(format!("{name} is none of {}", KINDS.map(|known| known.0).join(", ")));
        };
        if file.is_none() && matches!(kind, Kind::Mtp | Kind::Uas) {
            return Err(format!("say which: {name}=FILE"));
        }
        Ok(Self { kind, file })
    }
}

impl UsbDevice {
    /// Kernel modules that go with it.
    pub(super) fn modules(&self) -> &'static [&'static str] {
        KINDS.iter().find(|known| known.2 == self.kind).map_or(&[], |known| known.1)
    }

    /// QEMU's options for it, as device `usb-NUMBER` in a port of `bus`.
    pub(super) fn options(&self, number: usize, bus: &str) -> Vec<OsString> {
        let path = self.file.clone().unwrap_or_default();
        let (back, front): (Option<(&str, OsString)>, String) = match self.kind {
            Kind::Serial if self.file.is_some() => (
                Some(("-chardev", option(&format!("file,id=usb{number},path="), &path, ""))),
                format!("usb-serial,chardev=usb{number}"),
            ),
            Kind::Serial => {
                (Some(("-chardev", format!("null,id=usb{number}").into())), format!("usb-serial,chardev=usb{number}"))
            }
            Kind::Net => (
                Some(("-netdev", format!("user,id=usb{number},ipv6=off").into())),
                format!("usb-net,netdev=usb{number}"),
            ),
            Kind::Audio => {
                let back = match &self.file {
                    Some(file) => option(&format!("wav,id=usb{number},out.frequency=48000,path="), file, ""),
                    None => format!("none,id=usb{number}").into(),
                };
                (Some(("-audiodev", back)), format!("usb-audio,audiodev=usb{number}"))
            }
            Kind::Keyboard => (None, "usb-kbd".into()),
            Kind::Tablet => (None, "usb-tablet".into()),
            Kind::Hub => (None, "usb-hub".into()),
            Kind::SmartCard => (None, "usb-ccid".into()),
            Kind::Mtp => {
                let mut device = option("usb-mtp,rootdir=", &path, "");
                device.push(format!(",id=usb-{number},bus={bus}"));
                return vec!["-device".into(), device];
            }
            Kind::Uas => {
                let drive = option(&format!("if=none,id=usb{number},format=raw,file="), &path, "");
                let uas = format!("usb-uas,id=uas{number},bus={bus}");
                let disk = format!("scsi-hd,bus=uas{number}.0,drive=usb{number}");
                return vec!["-drive".into(), drive, "-device".into(), uas.into(), "-device".into(), disk.into()];
            }
        };
        let mut options: Vec<OsString> = back.into_iter().flat_map(|(name, value)| [name.into(), value]).collect();
        options.extend(["-device".into(), format!("{front},id=usb-{number},bus={bus}").into()]);
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named() {
        let audio: UsbDevice = "audio=/a,b.wav".parse().unwrap();
        let options = audio.options(3, "xhci.0");
        assert_eq!(
            options,
            [
                "-audiodev",
                "wav,id=usb3,out.frequency=48000,path=/a,,b.wav",
                "-device",
                "usb-audio,audiodev=usb3,id=usb-3,bus=xhci.0"
            ]
        );
        assert_eq!(audio.modules(), ["snd_usb_audio"]);
        assert!("mtp".parse::<UsbDevice>().unwrap_err().contains("mtp=FILE"));
        assert!("toaster".parse::<UsbDevice>().unwrap_err().contains("smart-card"));
    }
}
