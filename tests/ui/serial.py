#!/usr/bin/python3
"""The serial console: what was sent before and what is sent now, what is typed and pasted, several of them, and a machine that goes off
and comes back.

    tests/ui/serial.py --out target/ui-serial
"""

import os
import subprocess
import sys

import drive
from app import SCREEN
from console_menus import CLIPBOARD, offered
from desktop import xdotool
from session import until

NAME = "Little machine"
TITLE = f"Serial Console of {NAME}"


def walk(app, arguments):
    app.create(arguments.iso, NAME)
    app.enter(NAME)
    both_ways(app)
    copy_and_paste(app)
    several(app)
    off_and_on(app)
    last(app)


def text(app):
    """What the terminal shows, by its accessibility."""
    terminal = app.find("terminal", "Serial console")
    return app.atspi.Text.get_text(terminal, 0, app.atspi.Text.get_character_count(terminal))


def wait_text(app, words):
    until(f"“{words}” on the terminal", 10, lambda: words in text(app))


def said(app, since):
    """What the machine was told over its serial line, after `since` lines."""
    lines = (line for line in app.heard()[since:] if line.startswith("Serial "))
    return "".join(line.removeprefix('Serial "').removesuffix('"') for line in lines)


def wait_said(app, since, words):
    until(f"machine that is told “{words}”", 10, lambda: words in said(app, since))


def both_ways(app):
    """What was sent before is there, and its questions are not answered any more; keys that are the app's elsewhere are the guest's."""
    before = len(app.heard())
    app.window_action(2, "serial")
    app.window(TITLE)
    wait_text(app, "Welcome to the little machine")
    wait_text(app, "login:")
    app.picture("history")
    app.tree("serial")
    until("terminal that types", 10, lambda: type_and_see(app, before))
    assert "R" not in said(app, before), said(app, before)
    before = len(app.heard())
    xdotool("type", "--delay", 40, "root")
    app.key("Return", "BackSpace", "ctrl+w", "ctrl+q", "F11")
    wait_said(app, before, r"root\r\u{7f}\u{17}\u{11}\u{1b}[23~")
    wait_text(app, "root")
    # A question that is asked now is answered: where the cursor is.
    before = len(app.heard())
    xdotool("type", "?")
    until("answer", 10, lambda: "R" in said(app, before))
    app.picture("both-ways")
    app.key("ctrl+plus", "ctrl+plus")
    app.picture("zoom")
    app.key("ctrl+0")


def type_and_see(app, before):
    xdotool("type", "x")
    return "x" in said(app, before)


def copy_and_paste(app):
    """By the keys that terminals have for it."""
    app.key("ctrl+shift+a", "ctrl+shift+c")
    done = lambda: subprocess.run([sys.executable, CLIPBOARD, "text"], capture_output=True, text=True, timeout=30).stdout
    until("copied text", 10, lambda: "Welcome to the little machine" in done())
    before = len(app.heard())
    with offered("pasted words\u00fc\n" * 60):
        app.key("ctrl+shift+v")
        until("all of it", 20, lambda: said(app, before).count("pasted words\u00fc") == 60)
    # More than the machine takes at a time is refused as a whole.
    before = len(app.heard())
    with offered("a" * 70_000):
        app.key("ctrl+shift+v")
        app.wait_shown("more than the machine takes")
    assert "a" not in said(app, before)


def several(app):
    """A second one of the same machine, from its page, shows the same."""
    app.window()
    app.window_action(1, "serial")
    search = ["xdotool", "search", "--onlyvisible", "--name", f"^{TITLE}$"]
    windows = lambda: subprocess.run(search, capture_output=True, text=True).stdout.split()
    until("two windows", 10, lambda: len(windows()) == 2)
    for window in windows():
        xdotool("windowactivate", "--sync", window)
        before = len(app.heard())
        until("terminal that types", 10, lambda: type_and_see(app, before))
    app.picture("two")
    xdotool("windowsize", "--sync", windows()[0], 360, 400)
    app.picture("narrow")
    app.press_close(TITLE)
    until("one window", 10, lambda: len(windows()) == 1)
    # What is closed lets go of the engine, which serves a limited number.
    files = lambda: len(os.listdir(f"/proc/{app.process.pid}/fd"))
    before = files()
    for _ in range(4):
        app.window()
        app.window_action(1, "serial")
        until("two windows", 10, lambda: len(windows()) == 2)
        xdotool("windowactivate", "--sync", windows()[-1])
        app.press_close(TITLE)
        until("one window", 10, lambda: len(windows()) == 1)
    until("closed connections", 30, lambda: files() <= before)


def off_and_on(app):
    """A machine that is off says so, and what it sends next time comes by itself."""
    assert not app.shows("The machine is off")
    app.enter(NAME)
    app.key("F4")
    app.find("label", "The Machine Is Off")
    app.window(TITLE)
    app.wait_shown("The machine is off")
    app.picture("off")
    app.window(NAME)
    app.press("Start Again")
    app.find(SCREEN, "Screen of", 20)
    app.window(TITLE)
    app.wait_gone("The machine is off")
    until("what the other start sends", 10, lambda: text(app).count("Welcome to the little machine") == 2)
    before = len(app.heard())
    until("terminal that types", 10, lambda: type_and_see(app, before))


def last(app):
    """The app is there as long as any of its windows is."""
    app.window(NAME)
    app.press_close(NAME)
    app.press("Keep Running")
    app.wait_closed(NAME)
    app.window()
    app.press_close("Dormer")
    app.wait_closed("Dormer")
    app.window(TITLE)
    before = len(app.heard())
    until("terminal that types", 10, lambda: type_and_see(app, before))
    app.press_close(TITLE)
    until("end of dormer", 10, lambda: app.process.poll() is not None)
    assert app.process.returncode == 0, app.process.returncode


if __name__ == "__main__":
    sys.exit(drive.main(walk, __doc__))
