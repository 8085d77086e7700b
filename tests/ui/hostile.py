#!/usr/bin/python3
"""The app against an engine that talks without end, talks nonsense, or dies: it goes on, and says what happened.

    tests/ui/hostile.py --out target/ui-hostile
"""

import subprocess
import sys

import drive
from app import SCREEN
from desktop import geometry
from session import until

NAME = "Little machine"


def walk(app, arguments):
    app.find("label", "No Machines Yet")
    app.create(arguments.iso, NAME)
    app.enter(NAME)

    # Without end: windows are drawn all the same, and the person is heard.
    app.key("F6")
    app.wait_shown("A disk failed: no room no room")
    before = drawn(app)
    app.press("Send Keys", "toggle button")
    until("menu that is drawn", 10, lambda: drawn(app) != before)
    app.key("Escape")
    app.wait_focus(SCREEN, "Screen of")
    app.picture("flood")
    heard = len(app.heard())
    app.key("a")
    app.wait_heard(heard, "Key { code: 30, down: true }", "Key { code: 30, down: false }")
    app.window()
    app.find("button", "Show Console")
    app.enter(NAME)
    app.key("F6")
    # What it said did not pile up.
    app.wait_gone("A disk failed", 15)

    # Nonsense: the console lets go, and comes back when asked to.
    app.key("F7")
    app.wait_shown("makes no sense")
    app.wait_focus("button", "Connect Again")
    app.picture("nonsense")
    app.key("Return")
    app.wait_focus(SCREEN, "Screen of")
    heard = len(app.heard())
    app.key("a")
    app.wait_heard(heard, "Key { code: 30, down: true }")

    # It dies while the person looks elsewhere; nothing else does.
    app.key("F5")
    app.wait_shown("The Machine Has Stopped")
    app.find("button", "Show Log")
    app.press("Start Again")
    app.wait_focus(SCREEN, "Screen of", 30)


def drawn(app):
    """The upper right of the console, where its menus come."""
    x, y, width, _ = geometry(app.window(NAME))
    crop = f"200x150+{x + width - 320}+{y + 60}"
    shot = ["import", "-window", "root", "-crop", crop, "-format", "%#", "info:"]
    return subprocess.run(shot, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(drive.main(walk, __doc__))
