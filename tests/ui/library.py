#!/usr/bin/python3
"""The library by keyboard alone, and with everything that can be wrong: images, names, machines, sizes.

    tests/ui/library.py --out target/ui-library
"""

import os
import pathlib
import re
import subprocess
import sys

import drive
from app import SCREEN
from desktop import drop, geometry, xdotool
from session import until

NAME = "Little machine"


def walk(app, arguments):
    app.find("label", "No Machines Yet")
    home = pathlib.Path(os.environ["HOME"])
    images(app, home)
    names(app, home)
    dropped(app, home)
    keyboard(app, arguments.iso)
    activity(app)
    narrow(app)
    broken(app)
    shortcuts(app)
    unreadable(app)


def use(app, path):
    app.activate("new-from-file", f"[<'{path}'>]")


def create_is_possible(app):
    return app.find("button", "Create").get_state_set().contains(app.atspi.StateType.SENSITIVE)


def name(app):
    entry = app.entry("Name")
    return app.atspi.Text.get_text(entry, 0, app.atspi.Text.get_character_count(entry))


def images(app, home):
    """What cannot be used is told in a sentence, and nothing is lost by it."""
    empty, data = home / "empty.iso", home / "data.iso"
    empty.touch()
    (home / "files").mkdir()
    (home / "files/a & b").write_text("nothing that starts")
    command = ["xorriso", "-as", "mkisofs", "-V", "DATA", "-o", data, home / "files"]
    subprocess.run(command, check=True, capture_output=True)
    for path, sentence in [
        (home / "none.iso", "There is no file"),
        (empty, "is empty: was it downloaded completely?"),
        (home / "files", "is a folder"),
        ("/etc/passwd", "is neither an ISO nor a disk image"),
        (data, "Nothing starts from"),
    ]:
        use(app, path)
        app.wait_shown(sentence)
        assert not create_is_possible(app), f"a machine of {path}"
        # It fills in nothing either.
        assert name(app) == "Machine", name(app)
    app.picture("nothing-starts")


def names(app, home):
    """The name follows the image until somebody types one."""
    first, second = (drive.bootable_iso(home / f"{iso}.iso", iso) for iso in ("first", "second"))
    use(app, first)
    app.wait_shown("first.iso")
    until("image that can be used", 20, lambda: create_is_possible(app))
    filled = name(app)
    assert filled, "no name is filled in"
    app.press("Use No Image")
    until("the plain name", 10, lambda: name(app) == "Machine")
    use(app, second)
    until("another filled in name", 20, lambda: name(app) != "Machine" and create_is_possible(app))
    app.write("Name", "")
    app.wait_shown("A machine needs a name.")
    app.write("Name", "a/b")
    app.wait_shown("cannot be a machine")
    app.picture("bad-name")
    app.write("Name", "My own")
    until("machine that can be made", 10, lambda: create_is_possible(app))
    use(app, first)
    app.wait_shown("first.iso")
    until("image that can be used", 20, lambda: create_is_possible(app))
    assert name(app) == "My own", "the person's own name is gone"
    app.key("Escape")
    app.find("label", "No Machines Yet")
    app.wait_gone("Create")


def dropped(app, home):
    """An image that is dropped opens the dialog, or is taken by it, wherever on it."""
    window = app.window()
    x, y, width, height = geometry(window)
    drop(str(home / "first.iso"), (x + width // 2, y + height // 3), lambda: app.shows("first.iso"))
    # Over a field that takes text.
    drop(str(home / "second.iso"), (x + width // 2 + 120, y + height // 2 - 50), lambda: app.shows("second.iso"))
    app.picture("dropped")
    app.key("Escape")
    app.wait_gone("Create")


def keyboard(app, iso):
    """From the first page to a running machine without a pointer."""
    app.window()
    app.key("F10")
    app.wait_focus("menu item", "")
    app.key("Escape")
    app.wait_gone("About Dormer")
    app.key("ctrl+n")
    # Not on Cancel, which a person would press by accident.
    app.wait_focus("list item", "Installer or Disk Image")
    use(app, iso)
    until("image that can be used", 20, lambda: create_is_possible(app) and app.shows("test.iso"))
    app.write("Name", NAME)
    for _ in range(12):
        if app.focus() == ("button", "Create"):
            break
        app.key("Tab")
    app.wait_focus("button", "Create")
    app.key("Return")
    app.window(NAME)
    app.wait_focus(SCREEN, "Screen of")
    app.key("F4")
    app.wait_focus("button", "Start Again", 20)
    app.close()
    app.window()
    app.find("label", "Off")


def activity(app):
    """What a running machine does is told while it does it, in graphs and in figures."""
    from gi.repository import GLib

    def figures(title):
        try:
            names = (node.get_name() or "" for node in app.nodes() if node.get_role_name() == "image" and app.is_shown(node))
            return next((name for name in names if name.startswith(f"{title}: ")), "")
        except GLib.Error:
            return ""  # the tree changed while it was read

    def wait_figures(title, expression):
        until(f"figures of {title} like {expression}", 20, lambda: re.search(f"{title}: {expression}", figures(title)))

    app.window_action(1, "open")
    app.window(NAME)
    app.wait_focus(SCREEN, "Screen of")
    app.close(running=True)
    window = app.window()
    wait_figures("Processors", "[1-9][0-9]* %, of 1 processor")
    wait_figures("Disks and CDs", "Read [1-9].*MiB/s, Written [1-9]")
    wait_figures("Network", "Received [1-9].*KiB/s, Sent 0")
    wait_figures("Memory", ".*MiB, of ")
    before = figures("Memory")
    until("more memory", 10, lambda: figures("Memory") not in ("", before))
    # They stand still with the machine.
    app.window_action(1, "pause")
    wait_figures("Processors", "0 %")
    app.window_action(1, "resume")
    wait_figures("Processors", "[1-9]")
    app.picture("activity")
    xdotool("windowsize", "--sync", window, 360, 1000)
    until("narrow window", 10, lambda: geometry(window)[2] == 360)
    app.picture("activity-360")
    assert geometry(window)[2] == 360, "the window grew"
    xdotool("windowsize", "--sync", window, 960, 680)
    app.window_action(1, "power-off")
    app.press("Power Off")
    app.find("label", "Off")
    app.wait_gone("Activity")


def narrow(app):
    """360 pixels are enough: for the page, the list, and the dialog."""
    window = app.window()
    xdotool("windowsize", "--sync", window, 360, 640)
    until("narrow window", 10, lambda: geometry(window)[2] == 360)
    app.find("button", "Back")
    app.picture("page-360")
    app.press("Back")
    app.find("button", "New Machine…")
    app.picture("list-360")
    app.key("ctrl+n")
    app.wait_focus("list item", "Installer or Disk Image")
    app.picture("new-360")
    app.key("Escape")
    app.wait_gone("Create")
    assert geometry(window)[2] == 360, "the window grew"
    xdotool("windowsize", "--sync", window, 960, 680)


def broken(app):
    """A machine whose file is wrong is told as long as it is, with its reason, and is back when the file is right."""
    machines = pathlib.Path(os.environ["XDG_DATA_HOME"]) / "dormer/machines"
    folder = machines / "Bad & <b>one"
    folder.mkdir()
    (folder / "machine.toml").write_text("format = 1\nname = <\n")
    app.wait_shown("“Bad & <b>one” cannot be used", 20)
    app.press("What Is Wrong")
    app.wait_shown("machine.toml: line 2")
    app.find("button", "Open Folder")
    app.picture("broken")
    app.key("Escape")
    app.wait_gone("Open Folder")
    (folder / "machine.toml").unlink()
    folder.rmdir()
    app.wait_gone("cannot be used", 20)


def shortcuts(app):
    """Every shortcut in the list has its keys."""
    app.window()
    app.key("ctrl+question")
    app.wait_shown("Full screen, and back")
    keys = ("Ctrl", "N", "⏎", "Delete", "F11", "Alt", "G", "F10", "?", "W", "Q")
    missing = [key for key in keys if not any(node.get_name() == key and app.is_shown(node) for node in app.nodes())]
    assert not missing, f"the list of shortcuts does not show {missing}"
    app.picture("shortcuts")
    app.key("Escape")


def unreadable(app):
    """A library that cannot be read is told for as long as that is so."""
    library = pathlib.Path(os.environ["XDG_DATA_HOME"]) / "dormer"
    away = library.with_name("away")
    window = app.window()
    library.rename(away)
    library.write_text("no folder")
    # It looks again when the person comes back to it.
    xdotool("windowminimize", "--sync", window)
    xdotool("windowactivate", "--sync", window)
    app.wait_shown("The Machines Cannot Be Listed", 20)
    app.picture("unreadable")
    library.unlink()
    away.rename(library)
    app.press("Try Again")
    app.find("list item", NAME)


if __name__ == "__main__":
    sys.exit(drive.main(walk, __doc__))
