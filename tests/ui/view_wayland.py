#!/usr/bin/python3
"""Viewers on Wayland, in a compositor without screen: keys, positions, a captured pointer, full screen, leaving, and the end.

    tests/ui/view_wayland.py --out target/ui-view-wayland

Needs what `view.py` needs, and mutter. There are no pictures: what the machine hears is what counts, and what the viewer tells the
compositor.
"""

import contextlib
import os
import pathlib
import re
import subprocess
import sys
import time

import viewer
import wayland
from session import until
from viewer import NAME
from wayland import A, ALT, CTRL, F1, F11, LEFT, RIGHT, Seat

F4, S = 62, 31


@contextlib.contextmanager
def compositor(out):
    """The desktop, and its keyboard and pointer."""
    log = open(out / "mutter.log", "w", encoding="utf-8")
    screen = ["mutter", "--headless", "--wayland", "--no-x11", "--sm-disable", "--virtual-monitor", "1280x900"]
    desktop = subprocess.Popen([*screen, "--wayland-display", wayland.DISPLAY], stderr=log)
    try:
        until("Wayland display", 30, (pathlib.Path(os.environ["XDG_RUNTIME_DIR"]) / wayland.DISPLAY).exists)
        yield Seat()
    finally:
        desktop.terminate()
        desktop.wait(10)


def walk(machine):
    with compositor(machine.out) as seat:
        machine.dormerctl("start", NAME, "--headless")
        with open(machine.out / "viewer.log", "w", encoding="utf-8") as file:
            first = machine.view(log=file, WAYLAND_DEBUG="1")
        told = Told(machine.out / "viewer.log")
        comes_to_rest(machine, seat)
        pictures(machine, told)
        positions(machine, seat)
        captured_pointer(machine, seat, told)
        leaving(machine, seat)
        # The guest turns itself off: the window ends with it.
        until("end of the first viewer", 20, lambda: seat.key(F4) or first.poll() is not None)
        assert first.wait(20) == 0, "that is no failure"
        assert machine.state() == "stopped"
        # And a window that its starter does not wait for.
        machine.dormerctl("start", NAME)
        comes_to_rest(machine, seat)
        machine.dormerctl("power-off", NAME)
        # The desktop goes: so do windows that machines run on behind.
        machine.dormerctl("start", NAME, "--headless")
        last = machine.view()
        comes_to_rest(machine, seat)
    assert last.wait(60) != 0, "that was no end of its own"
    assert machine.state() == "running"
    machine.dormerctl("power-off", NAME)


def comes_to_rest(machine, seat):
    """The compositor loses keys until the window has come to rest."""
    before = len(machine.heard())

    def heard_a():
        seat.key(A)
        return any("Key { code: 30, down: false }" in line for line in machine.heard()[before:])

    until("key that arrives", 30, heard_a)


class Told:
    """What a viewer told the compositor, by libwayland's own account."""

    def __init__(self, log):
        self.log = log

    def title(self):
        return re.findall(r'set_title\("(.*)"\)', self.log.read_text(encoding="utf-8"))[-1]

    def pictures(self):
        return len(re.findall(r"wl_surface[@#]\d+\.attach", self.log.read_text(encoding="utf-8")))


def pictures(machine, told):
    """Pictures go on, until the machine stands still."""
    before = told.pictures()
    until("twenty pictures", 20, lambda: told.pictures() > before + 20)
    machine.dormerctl("pause", NAME)
    until("title that says it", 10, lambda: told.title() == f"{NAME} — paused")

    def still():
        before = told.pictures()
        time.sleep(0.5)
        return told.pictures() == before

    until("end of pictures", 10, still)
    machine.dormerctl("resume", NAME)
    until("title without more", 10, lambda: told.title() == NAME)


def positions(machine, seat):
    """In full screen, edges of the picture are edges of the monitor."""
    seat.key(F11)

    def in_the_corner():
        before = len(machine.heard())
        seat.move(-3000, -3000)
        seat.move(3000, 3000)
        seat.key(A)
        machine.wait_heard(before, "Key { code: 30, down: false }")
        # The last pixel begins before the edge.
        return any(re.search(r"PointerPosition { x: 32767, y: 327\d\d }", line) for line in machine.heard()[before:])

    until("pointer in the corner", 20, in_the_corner)
    before = len(machine.heard())
    seat.move(-3000, -3000)
    seat.click(RIGHT)
    seat.wheel_down()
    machine.wait_heard(
        before,
        *("PointerPosition { x: 0, y: 0 }", "Right, down: true", "Right, down: false"),
        "Wheel { axis: Vertical, steps: -1 }",
    )
    seat.move(640, 450)
    machine.wait_heard(before, "PointerPosition { x: 16384, y: 16384 }")
    assert not any("code: 87" in line for line in machine.heard()), "F11 went to the machine"


def captured_pointer(machine, seat, told):
    """Movements have no end, and are not accelerated; the way out is in the title."""
    seat.key(F1)
    until("title that says what to do", 10, lambda: told.title() == f"{NAME} — click to give it the pointer")

    def captured():
        before = len(machine.heard())
        seat.click(LEFT)
        seat.move(40, 30)
        seat.key(A)
        machine.wait_heard(before, "Key { code: 30, down: false }")
        return machine.movement(before) == (40, 30)

    until("captured pointer", 20, captured)
    until("title that says the way out", 10, lambda: told.title() == f"{NAME} — press Ctrl+Alt to release the pointer")
    before = len(machine.heard())
    for _ in range(10):
        seat.move(400, -300)
    seat.move(-0.5, 0)
    seat.move(-0.5, 0)
    until("movement of 3999, -3000", 10, lambda: machine.movement(before) == (3999, -3000))
    before = len(machine.heard())
    seat.key(CTRL, ALT, S)
    seat.click(RIGHT)
    machine.wait_heard(before, "ReleaseAll", "Right, down: true", "Right, down: false")
    assert not any("code: 31" in line for line in machine.heard()[before:]), "Ctrl+Alt+S went to the machine"
    seat.key(CTRL, ALT)
    machine.wait_heard(before, "Key { code: 29, down: false }")
    before = len(machine.heard())
    seat.move(100, 100)
    seat.key(A)
    machine.wait_heard(before, "Key { code: 30, down: false }")
    assert machine.movement(before) == (0, 0), "a free pointer's movements go to the guest"
    seat.key(F1)
    seat.key(F11)


def leaving(machine, seat):
    """A second viewer takes the keyboard; it is left by the desktop's own shortcut, and the machine goes on."""
    hold = lambda down: seat.call("NotifyKeyboardKeycode", "(ub)", A, down)
    before = len(machine.heard())
    hold(True)
    machine.wait_heard(before, "Key { code: 30, down: true }")
    second = machine.view()
    # What is held in a window is up when another has the focus.
    machine.wait_heard(before, "ReleaseAll", seconds=30)
    hold(False)
    comes_to_rest(machine, seat)
    seat.key(ALT, F4)
    assert (how := machine.ended(second)) == (0, ""), how
    assert machine.state() == "running"
    comes_to_rest(machine, seat)


if __name__ == "__main__":
    sys.exit(viewer.main(walk, __doc__, wayland.begin))
