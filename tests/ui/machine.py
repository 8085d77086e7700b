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

    def wait_read(self, *words, seconds=600, part="100%"):
        """Waits until the guest's screen has one of these words, read off a screenshot: off so much of it, from its top."""
        shot, large = self.app.out / "guest.png", self.app.out / "guest-large.png"

        def probe():
            time.sleep(2)
            self.dormerctl("screenshot", str(shot))
            # Reading takes long in an emulated test host: no more of the screen than has something on it.
            there = ["-bordercolor", "black", "-border", "8", "-trim", "+repage"]
            there += ["-gravity", "north", "-crop", f"100%x{part}+0+0", "+repage", "-bordercolor", "black", "-border", "16"]
            subprocess.run(["convert", shot, *there, "-negate", "-colorspace", "gray", "-resize", "250%", large], check=True)
            read = ["tesseract", large, "-", "--psm", "6"]
            text = subprocess.run(read, capture_output=True, text=True, check=True).stdout
            return next((word for word in words if word.lower() in text.lower()), None)

        found = until(f"guest that shows {' or '.join(words)}", seconds, probe)
        large.unlink()
        return found

    def pointer(self):
        """Where the guest's pointer is, by its own account (tests/media/live-desktop.sh)."""
        return tuple(map(int, re.findall(r"POINTER (\d+) (\d+)", self.dormerctl("serial"))[-1]))

    def screen_size(self):
        """The guest's screen, in its own pixels. A guest that follows the console window has the window's size."""
        shot = self.app.out / "guest.png"
        self.dormerctl("screenshot", str(shot))
        return tuple(map(int, subprocess.run(["identify", "-format", "%w %h", shot], capture_output=True, text=True).stdout.split()))

    def point_at(self, x, y):
        """Brings the guest's pointer to a place on its screen as a person does: moves the mouse, looks where the pointer went, moves on.

        A negative x or y counts from the right or the lower edge.
        """
        width, height = self.screen_size()
        goal = (x % width, y % height)
        shown = self.app.find(SCREEN, f"Screen of {self.name}").get_component_iface()
        area = shown.get_extents(self.app.atspi.CoordType.SCREEN)
        scale = min(area.width / width, area.height / height)
        mouse = (area.x + area.width // 2, area.y + area.height // 2)
        for _ in range(8):
            before = self.pointer()
            self.app.move(*mouse)
            with contextlib.suppress(SystemExit):
                # It does not tell of a pointer that was there before.
                until("guest that hears of its pointer", 30, lambda before=before: self.pointer() != before)
            at = self.pointer()
            missed = (goal[0] - at[0], goal[1] - at[1])
            if max(map(abs, missed)) <= 4:
                return
            mouse = tuple(round(mouse[axis] + missed[axis] * scale) for axis in range(2))
        raise AssertionError(f"the guest's pointer is at {at}, not at {goal}")
