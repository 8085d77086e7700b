//! Devices that the kernel plays.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A gadget of the kernel's (its Documentation/usb/gadget_configfs.rst), on a controller of its own that is both ends of the cable:
/// `dummy_hcd`, which moves what there is once a millisecond, and has no isochronous transfers. Unplugged when dropped.
pub struct KernelGadget {
    folder: PathBuf,
    function: &'static str,
}

impl KernelGadget {
    /// What product strings say.
    pub const NAME: &'static str = "Dormer Test Gadget";

    /// “Gadget Zero”, a source and a sink of bytes, which `usbtest` is made for: at high speed, or at SuperSpeed.
    ///
    /// # Panics
    /// The kernel has no such gadget, or one is plugged in already. So it is with the others.
    pub fn zero(is_super: bool) -> Self {
        // The numbers by which usbtest knows it.
        // Bytes that are those of their place, modulo 63.
        Self::plug(["0x0525", "0xa4a0"], "SourceSink.0", &[("pattern", "1")], is_super)
    }

    /// A stick at SuperSpeed, whose bytes are this file's.
    pub fn stick(file: &Path) -> Self {
        // Its driver, where nobody looks what has been plugged in.
        run("modprobe", &["usb-storage"]);
        let file = file.to_str().expect("a path of plain characters");
        Self::plug(["0x46f4", "0xcafc"], "mass_storage.0", &[("lun.0/removable", "1"), ("lun.0/file", file)], true)
    }

    fn plug([vendor, product]: [&str; 2], function: &'static str, settings: &[(&str, &str)], is_super: bool) -> Self {
        assert!(crate::is_test_host(), "nobody's own computer gets gadgets");
        let speed = if is_super { ["is_super_speed=1"].as_slice() } else { &[] };
        run("modprobe", &[&["dummy_hcd"], speed].concat());
        run("modprobe", &["libcomposite"]);
        let home = Path::new("/sys/kernel/config/usb_gadget");
        if !home.exists() {
            run("mount", &["-t", "configfs", "configfs", "/sys/kernel/config"]);
        }
        let folder = home.join("dormer");
        fs::create_dir(&folder).expect("the kernel makes gadgets");
        let gadget = Self { folder, function };
        gadget.put("idVendor", vendor);
        gadget.put("idProduct", product);
        gadget.make("strings/0x409");
        gadget.put("strings/0x409/manufacturer", "Dormer");
        gadget.put("strings/0x409/product", Self::NAME);
        gadget.make(&format!("functions/{function}"));
        for (name, value) in settings {
            gadget.put(&format!("functions/{function}/{name}"), value);
        }
        gadget.make("configs/c.1");
        let [from, to] = ["functions", "configs/c.1"].map(|place| gadget.folder.join(place).join(function));
        std::os::unix::fs::symlink(from, to).expect("the configuration takes the function");
        gadget.put("UDC", "dummy_udc.0");
        let most = fs::read_to_string("/sys/class/udc/dummy_udc.0/maximum_speed").expect("the controller is there");
        assert_eq!(most.trim() == "super-speed", is_super, "dummy_hcd was there before");
        gadget
    }

    #[track_caller]
    fn put(&self, name: &str, value: &str) {
        fs::write(self.folder.join(name), value).unwrap_or_else(|error| panic!("{name} = {value}: {error}"));
    }

    #[track_caller]
    fn make(&self, name: &str) {
        fs::create_dir(self.folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

impl Drop for KernelGadget {
    fn drop(&mut self) {
        // What fails here was not there: it was not made whole.
        let _ = fs::write(self.folder.join("UDC"), "\n");
        let _ = fs::remove_file(self.folder.join("configs/c.1").join(self.function));
        for part in ["configs/c.1", &format!("functions/{}", self.function), "strings/0x409", ""] {
            let _ = fs::remove_dir(self.folder.join(part));
        }
        let _ = Command::new("rmmod").args(["dummy_hcd"]).status();
    }
}

#[track_caller]
fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status();
    assert!(status.as_ref().is_ok_and(|status| status.success()), "{program} {arguments:?}: {status:?}");
}
