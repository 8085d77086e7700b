"""A machine of the app's library with a real engine, looked at from outside: by dormerctl, and by reading its screen."""

import contextlib
import os
import pathlib
import re
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

    def pointer(self):
        """Where the guest's pointer is, by its own account (tests/media/live-desktop.sh)."""
        return tuple(map(int, re.findall(r"POINTER (\d+) (\d+)", self.dormerctl("serial"))[-1]))

    def point_at(self, x, y):
        """Brings the guest's pointer to a place on its screen as a person does: moves the mouse, looks where the pointer went, moves on."""
        screen = self.app.find(SCREEN, f"Screen of {self.name}").get_component_iface()
        area = screen.get_extents(self.app.atspi.CoordType.SCREEN)
        mouse = (area.x + area.width // 2, area.y + area.height // 2)
        for _ in range(8):
            before = self.pointer()
            self.app.move(*mouse)
            with contextlib.suppress(SystemExit):
                # It does not tell of a pointer that was there before.
                until("guest that hears of its pointer", 30, lambda before=before: self.pointer() != before)
            at = self.pointer()
            if abs(at[0] - x) <= 4 and abs(at[1] - y) <= 4:
                return
            # The picture is somewhat smaller than the guest's screen: two thirds of the way come close, whatever its scale.
            mouse = (mouse[0] + (x - at[0]) * 2 // 3, mouse[1] + (y - at[1]) * 2 // 3)
        raise AssertionError(f"the guest's pointer is at {at}, not at {(x, y)}")
