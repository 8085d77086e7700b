"""A machine of the app's library with a real engine, looked at from outside: by dormerctl, and by reading its screen."""

import os
import pathlib
import subprocess
import time

from app import SCREEN
from session import until

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARIES = pathlib.Path(os.environ.get("DORMER_BIN_DIR", ROOT / "target/debug"))
os.environ.setdefault("DORMER_VM", str(BINARIES / "dormer-vm"))
os.environ.setdefault("DORMER_APP", str(BINARIES / "dormer"))


class Machine:
    """The machine of this name, which the app has made or will make."""

    def __init__(self, app, name):
        self.app = app
        self.name = name

    def dormerctl(self, verb, *arguments):
        """What a verb about this machine prints; it must succeed."""
        done = subprocess.run([BINARIES / "dormerctl", verb, self.name, *arguments], capture_output=True, text=True)
        assert done.returncode == 0, f"dormerctl {verb} {arguments}: {done.stderr}"
        return done.stdout

    def wait_serial(self, expression, seconds):
        """Waits for what the first serial port sends; this costs an emulated processor nothing."""
        self.dormerctl("wait", "--serial-text", expression, "--timeout", str(seconds))

    def wait_read(self, *words, seconds=600):
        """Waits until the guest's screen has one of these words, read off a screenshot."""
        shot, large = self.app.out / "guest.png", self.app.out / "guest-large.png"

        def probe():
            time.sleep(2)
            self.dormerctl("screenshot", str(shot))
            subprocess.run(["convert", shot, "-negate", "-colorspace", "gray", "-resize", "250%", large], check=True)
            read = ["tesseract", large, "-", "--psm", "6"]
            text = subprocess.run(read, capture_output=True, text=True, check=True).stdout
            return next((word for word in words if word.lower() in text.lower()), None)

        found = until(f"guest that shows {' or '.join(words)}", seconds, probe)
        large.unlink()
        return found

    def place(self, x, y, size):
        """Where on the display a pixel of the guest's screen of this size stands, in its console."""
        screen = self.app.find(SCREEN, f"Screen of {self.name}").get_component_iface()
        area = screen.get_extents(self.app.atspi.CoordType.SCREEN)
        # The picture is as large as fits, and in the middle.
        scale = min(area.width / size[0], area.height / size[1])
        left = area.x + (area.width - size[0] * scale) / 2
        top = area.y + (area.height - size[1] * scale) / 2
        return round(left + x * scale), round(top + y * scale)
