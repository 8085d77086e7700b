#!/usr/bin/python3
"""The app's preferences, set as a person does, what they do in a console, and that they are there the next time.

    tests/ui/preferences.py --out target/ui-preferences
"""

import os
import pathlib
import sys
import time

import drive
from app import SCREEN
from console import header_is_drawn
from console_menus import sizes
from desktop import geometry, xdotool
from session import until
from settings import choose, reach, switch

NAME = "Little machine"
RIGHT_CTRL = 105  # by xdotool’s name of it comes the left one
RELEASE = "Press Right Ctrl to release the pointer"


def kept(line):
    """Is this remembered?"""
    path = pathlib.Path(os.environ["XDG_CONFIG_HOME"]) / "glib-2.0/settings/keyfile"
    return path.exists() and line in path.read_text().splitlines()


def walk(app, arguments):
    app.create(arguments.iso, NAME)
    app.enter(NAME)
    host_key(app)
    resizing(app)
    closing(app)
    next_time(app)


def open_preferences(app):
    app.window()
    app.window_action(1, "preferences")
    app.find("dialog", "Preferences")


def close_preferences(app):
    app.key("Escape")
    app.wait_gone("Keyboard and Pointer")


def host_key(app):
    """Right Ctrl in place of Ctrl+Alt, in a console that is open."""
    open_preferences(app)
    app.wait_shown("Ctrl+Alt+G gives keyboard and pointer back")
    app.picture("preferences")
    app.tree("preferences")
    reach(app, "combo box", "Host Key")
    app.key("space", "Down", "Down", "Return")
    app.wait_shown("Right Ctrl gives keyboard and pointer back")
    until("host key that is kept", 10, lambda: kept("host-key='right-ctrl'"))
    app.picture("right-ctrl")
    close_preferences(app)
    app.key("ctrl+question")
    app.picture("shortcuts")
    app.key("Escape")

    app.enter(NAME)
    app.key("F1")
    x, y, width, height = geometry(app.window(NAME))
    app.move(x + width // 2, y + height // 2)
    xdotool("click", 1)
    app.wait_shown(RELEASE)
    app.picture("captured")
    # What was the host key is the guest's, and what is, is not.
    before = len(app.heard())
    app.key("ctrl+alt+g", str(RIGHT_CTRL))
    app.wait_gone(RELEASE)
    app.wait_heard(before, *(f"Key {{ code: {code}, down: true }}" for code in (29, 56, 34)))
    assert not any("code: 97" in line for line in app.heard()[before:]), "the guest hears the host key"
    app.key("F1")
    app.enter(NAME)
    full_screen(app)
    full_screen(app)


def full_screen(app):
    """Host+F leads into full screen and out of it."""
    drawn = header_is_drawn(app)
    before = len(app.heard())
    xdotool("keydown", RIGHT_CTRL, "key", "f", "keyup", RIGHT_CTRL)
    app.move(700, 500)
    until("the other header bar", 10, lambda: header_is_drawn(app) != drawn)
    app.wait_focus(SCREEN, "Screen of")
    app.key("z")
    app.wait_heard(before, "Key { code: 44, down: true }")
    assert not any("code: 33," in line for line in app.heard()[before:]), "the guest hears the combination"


def resizing(app):
    """Guests' screens follow their windows, or none does, until a console says otherwise."""
    open_preferences(app)
    switch(app, "Resize Guest to Window")
    until("wish that is kept", 10, lambda: kept("resize-guest=false"))
    close_preferences(app)
    app.enter(NAME)
    window = app.window(NAME)
    before = len(app.heard())
    xdotool("windowsize", "--sync", window, 1100, 850)
    time.sleep(1.5)
    assert not sizes(app, before), sizes(app, before)
    app.window_action(2, "resize-guest")
    until("size that is told", 10, lambda: sizes(app, before))
    until("wish of this machine that is kept", 10, lambda: kept("resize-guest='yes'"))


def closing(app):
    """The answer that is given here is not asked for."""
    open_preferences(app)
    choose(app, "Window Is Closed", "Down")
    until("answer that is kept", 10, lambda: kept("closing='keep-running'"))
    switch(app, "Tell Which Machines Keep Running")
    until("wish that is kept", 10, lambda: kept("tell-quitting=false"))
    app.picture("answers")
    close_preferences(app)
    app.window(NAME)
    app.press_close(NAME)
    app.wait_closed(NAME)


def next_time(app):
    """Another run has the same preferences."""
    app.window()
    app.key("ctrl+q")
    until("end of dormer", 10, lambda: app.process.poll() is not None)
    assert app.process.returncode == 0, app.process.returncode
    app.__dict__.update(type(app)(app.out).__dict__)
    app.find("label", "Running")
    open_preferences(app)
    app.wait_shown("Right Ctrl gives keyboard and pointer back")
    app.picture("next-time")
    close_preferences(app)
    app.window_action(1, "open")
    app.find(SCREEN, f"Screen of {NAME}", 20)
    app.window(NAME)
    app.press_close(NAME)
    app.wait_closed(NAME)


if __name__ == "__main__":
    sys.exit(drive.main(walk, __doc__))
