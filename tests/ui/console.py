#!/usr/bin/python3
"""The console window by keyboard and pointer: every key, full screen, captured pointer, desktop shortcuts, and a CD that is dropped.

    tests/ui/console.py --out target/ui-console
"""

import subprocess
import sys

import drive
from app import SCREEN
from desktop import drop, geometry, marked, xdotool
from session import until

NAME = "Little machine"
# What X calls a key is evdev's code and 8. F1 to F8 are orders to the stand-in engine, F11 is full screen, and the server itself
# acts on the keys for the next and the previous video mode.
KEYCODES = [code for code in range(10, 256) if code not in (*range(67, 75), 95, 249, 250)]


def walk(app, arguments):
    app.find("label", "No Machines Yet")
    app.create(arguments.iso, NAME)
    app.enter(NAME)
    keys(app)
    full_screen(app)
    captured_pointer(app)
    desktop_shortcuts(app)
    said(app)
    dropped_cd(app, arguments.iso)


def keys(app):
    """Every key comes with evdev's code, and what is held is up when the focus goes."""
    before = len(app.heard())
    for code in KEYCODES:
        xdotool("key", "--delay", 1, code)
    expected = [f"Key {{ code: {code - 8}, down: {down} }}" for code in KEYCODES for down in ("true", "false")]
    heard = lambda: [line for line in app.heard()[before:] if line.startswith("Key ")]
    until("all keys", 30, lambda: len(heard()) >= len(expected))
    wrong = [pair for pair in zip(expected, heard()) if pair[0] != pair[1]]
    assert not wrong, f"expected and heard: {wrong[:10]}"

    before = len(app.heard())
    xdotool("keydown", "Shift_L", "keydown", "a")
    app.wait_heard(before, "Key { code: 42, down: true }", "Key { code: 30, down: true }")
    app.window()
    app.wait_heard(before, "ReleaseAll")
    xdotool("keyup", "a", "keyup", "Shift_L")
    app.enter(NAME)
    # A menu takes the focus too, and gives it back.
    before = len(app.heard())
    xdotool("keydown", "b")
    app.wait_heard(before, "Key { code: 48, down: true }")
    app.press("Send Keys", "toggle button")
    app.wait_heard(before, "ReleaseAll")
    xdotool("keyup", "b")
    app.key("Escape")
    app.wait_focus(SCREEN, "Screen of")
    app.press("Send Keys", "toggle button")
    # GTK 4.18 tells no names of menu items. The first is Ctrl+Alt+Delete.
    app.wait_focus("menu item", "")
    before = len(app.heard())
    app.key("Return")
    app.wait_heard(before, *(f"Key {{ code: {code}, down: true }}" for code in (29, 56, 111)))
    app.wait_focus(SCREEN, "Screen of")


def full_screen(app):
    """The header bar comes when pointer or keyboard go there, and goes when they leave; F11 leads in and out."""
    button = "Leave Full Screen"
    app.key("F11")
    app.wait_shown("Press F11 or move the pointer to the top edge")
    until("hidden header bar", 10, lambda: not header_is_drawn(app))
    app.picture("full-screen")
    app.move(700, 0)
    until("header bar at the edge", 10, lambda: header_is_drawn(app))
    app.picture("full-screen-edge")
    app.move(700, 500)
    until("hidden header bar", 10, lambda: not header_is_drawn(app))
    app.key("ctrl+alt+g")
    app.wait_focus("toggle button", "Pause")
    app.picture("full-screen-keyboard")
    app.key("Tab", "Tab", "Tab", "Tab")
    app.wait_focus("button", button)
    app.key("Escape")
    app.wait_focus(SCREEN, "Screen of")
    until("hidden header bar", 10, lambda: not header_is_drawn(app))
    app.key("F11")
    until("header bar", 10, lambda: header_is_drawn(app))
    app.wait_focus(SCREEN, "Screen of")


def header_is_drawn(app):
    """The header bar has much of one light colour, and the picture of the stand-in engine is dark."""
    window = xdotool("getactivewindow").strip()
    x, y, width, _ = geometry(window)
    crop = f"{width // 4}x2+{x + width // 4}+{y + 16}"
    shot = ["import", "-window", "root", "-crop", crop, "-colorspace", "gray", "-format", "%[fx:mean]", "info:"]
    return float(subprocess.run(shot, check=True, capture_output=True, text=True).stdout) > 0.8


def captured_pointer(app):
    """Movements go on where the screen ends, buttons and wheel come too, and the way out is in sight."""
    window = app.window(NAME)
    app.key("F1")
    x, y, width, height = geometry(window)
    app.move(x + width // 2, y + height // 2)
    xdotool("click", 1)
    app.wait_shown("Press Ctrl+Alt+G to release the pointer")
    before = len(app.heard())
    for _ in range(10):
        xdotool("mousemove_relative", "--", 400, -300)
    until("movement of 4000, -3000", 10, lambda: app.movement(before) == (4000, -3000))
    app.picture("captured")
    before = len(app.heard())
    xdotool("click", 1, "click", 3, "click", 4)
    app.wait_heard(before, "Left, down: true", "Left, down: false", "Right, down: true", "Wheel { axis: Vertical, steps: 1 }")
    # It stays in the window, wherever the window goes.
    xdotool("windowmove", "--sync", window, 40, 60)
    xdotool("mousemove_relative", "--", -2000, -2000)
    x, y, width, height = geometry(window)
    inside = lambda: (lambda at: x <= at[0] < x + width and y <= at[1] < y + height)(pointer())
    until("pointer in the window", 10, inside)
    app.key("ctrl+alt+g")
    app.wait_gone("Press Ctrl+Alt+G to release the pointer")
    before = len(app.heard())
    xdotool("mousemove_relative", "--", -2000, -2000)
    until("free pointer", 10, lambda: pointer() == (0, 0))
    assert app.movement(before) == (0, 0), "a free pointer's movements go to the guest"
    app.key("F1")


def pointer():
    values = dict(part.split(":") for part in xdotool("getmouselocation").split())
    return int(values["x"]), int(values["y"])


def desktop_shortcuts(app):
    """The window manager has Super+D, until the person leaves it to the machine; another window has it all the same."""
    window = app.window(NAME)
    iconified = lambda: "Iconic" in subprocess.run(["xprop", "-id", window, "WM_STATE"], capture_output=True, text=True).stdout
    xdotool("key", "super+d")
    until("window that is put away", 10, iconified)
    xdotool("windowactivate", "--sync", window)
    app.wait_focus(SCREEN, "Screen of")
    app.window_action(2, "grab-keyboard")
    app.wait_shown("Press Ctrl+Alt+G to give the desktop its shortcuts back", 20)
    before = len(app.heard())

    def reaches_the_machine():
        # The desktop is asked when the focus has come to rest, which takes a moment.
        if iconified():
            xdotool("windowactivate", "--sync", window)
            app.wait_focus(SCREEN, "Screen of")
        xdotool("key", "super+d")
        return any("Key { code: 32, down: false }" in line for line in app.heard()[before:]) and not iconified()

    until("Super+D that reaches the machine", 20, reaches_the_machine)
    app.window()
    before = len(app.heard())
    app.key("z")
    app.enter(NAME)
    assert not any("code: 44" in line for line in app.heard()[before:]), "the machine hears what is typed elsewhere"
    before = len(app.heard())
    until("Super+D that reaches the machine again", 20, reaches_the_machine)
    app.key("ctrl+alt+g")
    app.wait_focus("toggle button", "Pause")
    app.key("Escape")
    app.wait_focus(SCREEN, "Screen of")
    xdotool("key", "super+d")
    until("window that is put away", 10, iconified)
    xdotool("windowactivate", "--sync", window)
    app.wait_focus(SCREEN, "Screen of")


def said(app):
    """What an order has done is said where it was given."""
    app.window()
    app.window_action(1, "power-button")
    app.wait_shown("The power button is pressed")
    page = app.find("frame", "Dormer")
    assert any("power button is pressed" in (node.get_name() or "") for node in app.below(page)), "said elsewhere"
    app.enter(NAME)


def dropped_cd(app, iso):
    """An image that is dropped on the screen goes into the CD drive; something else does not."""
    window = app.window(NAME)
    x, y, width, height = geometry(window)
    middle = (x + width // 2, y + height // 2)
    unmarked = marked()
    drop(iso, middle, lambda: app.shows("The CD is in"))
    until("end of the mark", 10, lambda: marked() <= unmarked)
    drop("/etc/passwd", middle, lambda: app.shows("is neither an ISO nor a disk image"))


if __name__ == "__main__":
    sys.exit(drive.main(walk, __doc__))
