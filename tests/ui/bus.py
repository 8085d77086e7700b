"""A computer's USB devices, as far as Linux tells programs of them: folders at the place of `/sys` and `/dev/bus`, in a mount namespace."""

import itertools
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

# Bits of all letters.
KEYS = "fffffffffffffffe"


def inside(script):
    """Runs the script again where the folders are mounted; 0 when it is there already."""
    if "DORMER_BUS" in os.environ:
        return 0
    with tempfile.TemporaryDirectory(prefix="dormer-bus-") as folder:
        for name in ("sys/bus/usb/devices", "sys/class/input", "sys/block", "nodes/usb/001", "udev"):
            os.makedirs(f"{folder}/{name}")
        mounts = [f"mount --bind {folder}/sys /sys", "mkdir -p /dev/bus", f"mount --bind {folder}/nodes /dev/bus"]
        # No udev tells of these devices.
        mounts.append(f"if [ -d /run/udev ]; then mount --bind {folder}/udev /run/udev; fi")
        command = " && ".join([*mounts, 'exec "$@"'])
        again = ["unshare", "--mount", "--map-root-user", "sh", "-c", command, "sh", sys.executable, script, *sys.argv[1:]]
        status = subprocess.call(again, env=os.environ | {"DORMER_BUS": folder})
    sys.exit(status)


class Bus:
    """The devices."""

    def __init__(self):
        self.folder = pathlib.Path(os.environ["DORMER_BUS"])
        self.addresses = itertools.count(5)

    def place(self, port):
        return self.folder / "sys/devices/pci0000:00/usb1" / port

    def node(self, port):
        address = int((self.place(port) / "devnum").read_text())
        return self.folder / f"nodes/usb/001/{address:03}"

    def mounted(self, port):
        """Where programs find its node."""
        return pathlib.Path("/dev/bus") / self.node(port).relative_to(self.folder / "nodes")

    def plug(self, port, numbers, strings, interface, speed="480", device_class="00", keyboard=None):
        """Plugs a device in, with one interface of this class, subclass and protocol."""
        place, address = self.place(port), next(self.addresses)
        vendor, product = numbers.split(":")
        maker, model, serial = strings
        attributes = {
            "busnum": "1", "devnum": str(address), "devpath": port.split("-")[1], "idVendor": vendor, "idProduct": product,
            "bcdDevice": "0100", "version": " 2.00", "bDeviceClass": device_class, "bDeviceSubClass": "00",
            "bDeviceProtocol": "00", "bConfigurationValue": "1", "speed": speed, "manufacturer": maker, "product": model,
            "serial": serial,
        }
        codes = dict(zip(("bInterfaceClass", "bInterfaceSubClass", "bInterfaceProtocol"), interface.split(":")))
        inner = place / f"{port}:1.0"
        inner.mkdir(parents=True)
        for folder, values in ((place, attributes), (inner, codes | {"bInterfaceNumber": "00"})):
            for name, value in values.items():
                (folder / name).write_text(f"{value}\n", encoding="utf-8")
        if keyboard is not None:
            self.keyboard(f"sys/devices/pci0000:00/usb1/{port}/{port}:1.0/0003:0001:0001.0001", keyboard)
        (self.folder / f"nodes/usb/001/{address:03}").touch()
        # Last: then it is there.
        (self.folder / "sys/bus/usb/devices" / port).symlink_to(f"../../../devices/pci0000:00/usb1/{port}")

    def unplug(self, port):
        (self.folder / "sys/bus/usb/devices" / port).unlink()
        self.node(port).unlink()
        shutil.rmtree(self.place(port))

    def keyboard(self, below, number):
        """Something to type on."""
        place = self.folder / below / "input" / f"input{number}"
        (place / "capabilities").mkdir(parents=True)
        (place / "capabilities/key").write_text(f"{KEYS}\n")
        (self.folder / f"sys/class/input/input{number}").symlink_to(f"../../../{below}/input/input{number}")

    def forbid(self, port):
        """Nobody may use it: devices do not open on such a mount."""
        node = self.mounted(port)
        subprocess.run(["mount", "--bind", "/dev/null", node], check=True)
        subprocess.run(["mount", "-o", "remount,bind,nodev", node], check=True)

    def allow(self, port):
        subprocess.run(["umount", self.mounted(port)], check=True)
