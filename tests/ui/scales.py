#!/usr/bin/python3
"""The console on a Wayland desktop whose scale changes, also to fractions: the guest hears of its window's device pixels.

    tests/ui/scales.py --out target/ui-scales

Needs what `wayland.py` needs.
"""

import os
import pathlib
import re
import sys

import drive
import wayland
from app import SCREEN
from session import until

NAME = "Little machine"
CONFIG = "org.gnome.Mutter.DisplayConfig"
FRACTIONS = "[org/gnome/mutter]\nexperimental-features=['scale-monitor-framebuffer']\n"


class ScaledApp(wayland.WaylandApp):
    """The app on a monitor of high density."""

    MONITOR = "2880x2000"

    def __init__(self, out):
        settings = pathlib.Path(os.environ["XDG_CONFIG_HOME"]) / "glib-2.0/settings"
        settings.mkdir(parents=True)
        (settings / "keyfile").write_text(FRACTIONS, encoding="utf-8")
        os.environ["GSETTINGS_BACKEND"] = "keyfile"
        super().__init__(out)

    def set_scale(self, wanted):
        """Gives the monitor the nearest scale that it has, and says which."""
        seat, glib = self.seat, self.seat.glib
        call = lambda method, values: seat.bus.call_sync(
            CONFIG, "/" + CONFIG.replace(".", "/"), CONFIG, method, values, None, 0, 5000, None
        )
        serial, monitors, _, _ = call("GetCurrentState", None).unpack()
        (connector, *_), modes, _ = monitors[0]
        mode = next(mode for mode in modes if mode[6].get("is-current"))
        scale = min(mode[5], key=lambda scale: abs(scale - wanted))
        place = [(0, 0, scale, 0, True, [(connector, mode[0], {})])]
        call("ApplyMonitorsConfig", glib.Variant("(uua(iiduba(ssa{sv}))a{sv})", (serial, 1, place, {})))
        return scale


def walk(app, arguments):
    app.find("label", "No Machines Yet")
    app.create(arguments.iso, NAME)
    app.find(SCREEN, f"Screen of {NAME}", 20)
    width, height = until("size of the window", 10, lambda: told(app, 0))
    for wanted in (1.25, 1.5, 2):
        before = len(app.heard())
        scale = app.set_scale(wanted)
        assert abs(scale - wanted) < 0.1, f"no scale near {wanted}"
        # Wayland tells scales in parts of 120, and a part of a pixel is none.
        size = until(f"size at {scale}", 10, lambda before=before: told(app, before))
        expected = (width * scale, height * scale)
        assert all(abs(got - want) <= 3 for got, want in zip(size, expected)), f"{size} at {scale}, not {expected}"
        print(f"{size} at {scale}")


def told(app, since):
    """The last size that the guest heard of."""
    lines = [line for line in app.heard()[since:] if line.startswith("UiInfo")]
    return tuple(map(int, re.findall(r"(?:width|height): (\d+)", lines[-1]))) if lines else None


def main():
    return drive.main(walk, __doc__, wayland.begin, ScaledApp)


if __name__ == "__main__":
    sys.exit(main())
