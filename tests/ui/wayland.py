#!/usr/bin/python3
"""The console on Wayland, in a compositor without screen: keys, a captured pointer, and the desktop's shortcuts.

    tests/ui/wayland.py --out target/ui-wayland

Needs mutter beside what `drive.py` needs. Keys and pointer are those of its interface for remote desktops, by evdev's codes. There are
no pictures: what the machine hears is what counts.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

import drive
import session
from app import SCREEN, App
from session import until

NAME = "Little machine"
DISPLAY = "dormer-test"
REMOTE = "org.gnome.Mutter.RemoteDesktop"
LEFT, RIGHT = 0x110, 0x111
CTRL, ALT, SUPER, A, G, F1, F11, TAB = 29, 56, 125, 30, 34, 59, 87, 15


def begin(_screen):
    """Runs this script again without any display."""
    with tempfile.TemporaryDirectory(prefix="dormer-ui-") as home:
        inside = session.environment(home) | {"WAYLAND_DISPLAY": DISPLAY, "GDK_BACKEND": "wayland"}
        return session.again(inside)


class Seat:
    """A person's keyboard and pointer."""

    def __init__(self):
        from gi.repository import Gio, GLib

        self.glib = GLib
        self.bus = Gio.bus_get_sync(Gio.BusType.SESSION)
        until("compositor", 30, lambda: self.open("/" + REMOTE.replace(".", "/")))
        self.call("Start")

    def open(self, path):
        try:
            answer = self.bus.call_sync(REMOTE, path, REMOTE, "CreateSession", None, None, 0, 5000, None)
        except self.glib.Error:
            return False
        self.path = answer.unpack()[0]
        return True

    def call(self, method, signature="()", *values):
        variant = self.glib.Variant(signature, values)
        self.bus.call_sync(REMOTE, self.path, REMOTE + ".Session", method, variant, None, 0, 5000, None)

    def key(self, *codes):
        for code in codes:
            self.call("NotifyKeyboardKeycode", "(ub)", code, True)
        for code in reversed(codes):
            self.call("NotifyKeyboardKeycode", "(ub)", code, False)

    def move(self, dx, dy):
        self.call("NotifyPointerMotionRelative", "(dd)", dx, dy)

    def click(self, button):
        self.call("NotifyPointerButton", "(ib)", button, True)
        self.call("NotifyPointerButton", "(ib)", button, False)

    def wheel_down(self):
        self.call("NotifyPointerAxisDiscrete", "(ui)", 0, 1)


class WaylandApp(App):
    """The app in a compositor. It is the only one, and has the focus by itself."""

    MONITOR = "1280x900"

    def __init__(self, out):
        log = open(pathlib.Path(out).parent / f"{pathlib.Path(out).name}-mutter.log", "w", encoding="utf-8")
        screen = ["mutter", "--headless", "--wayland", "--no-x11", "--sm-disable", "--virtual-monitor", self.MONITOR]
        self.compositor = subprocess.Popen([*screen, "--wayland-display", DISPLAY], stderr=log)
        socket = pathlib.Path(os.environ["XDG_RUNTIME_DIR"]) / DISPLAY
        until("Wayland display", 30, socket.exists)
        self.seat = Seat()
        super().__init__(out)

    def window(self, name="Dormer", seconds=30):
        self.find("frame", name, seconds)

    def picture(self, name):
        print(f"({name})")

    def end(self):
        super().end()
        self.compositor.terminate()
        self.compositor.wait(10)


def walk(app, arguments):
    app.find("label", "No Machines Yet")
    app.create(arguments.iso, NAME)
    seat = app.seat

    # The compositor loses keys until the window has come to rest.
    before = len(app.heard())

    def heard_a():
        seat.key(A)
        return any("Key { code: 30, down: false }" in line for line in app.heard()[before:])

    until("key that arrives", 20, heard_a)

    # A mouse in the guest: movements have no end, and are not accelerated.
    seat.key(F1)

    def captured():
        seat.move(-3000, -3000)
        seat.move(640, 450)
        seat.click(LEFT)
        return app.shows("Press Ctrl+Alt+G to release the pointer")

    until("captured pointer", 20, captured)
    before = len(app.heard())
    for _ in range(10):
        seat.move(400, -300)
    seat.move(-0.5, 0)
    seat.move(-0.5, 0)
    until("movement of 3999, -3000", 10, lambda: app.movement(before) == (3999, -3000))
    before = len(app.heard())
    seat.click(RIGHT)
    seat.wheel_down()
    app.wait_heard(before, "Right, down: true", "Right, down: false", "Wheel { axis: Vertical, steps: -1 }")
    seat.key(CTRL, ALT, G)
    app.wait_gone("Press Ctrl+Alt+G to release the pointer")
    before = len(app.heard())
    seat.move(100, 100)
    seat.key(A)
    app.wait_heard(before, "Key { code: 30, down: false }")
    assert app.movement(before) == (0, 0), "a free pointer's movements go to the guest"

    # The desktop's shortcuts, when the person leaves them to the machine.
    app.window_action(2, "grab-keyboard")
    app.wait_shown("Press Ctrl+Alt+G to give the desktop its shortcuts back", 20)
    before = len(app.heard())

    def reaches_the_machine():
        seat.key(ALT, TAB)
        heard = app.heard()[before:]
        return any("Key { code: 15, down: false }" in line for line in heard)

    until("Alt+Tab that reaches the machine", 20, reaches_the_machine)
    seat.key(CTRL, ALT, G)
    app.wait_focus("toggle button", "Pause")
    seat.key(1)
    app.wait_focus(SCREEN, "Screen of")

    seat.key(F11)
    app.wait_shown("Press F11 or move the pointer to the top edge")
    seat.key(F11)
    app.find("button", "Full Screen (F11)")


def main():
    return drive.main(walk, __doc__, begin, WaylandApp)


if __name__ == "__main__":
    sys.exit(main())
