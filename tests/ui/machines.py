#!/usr/bin/python3
"""Many machines: searched, sorted, renamed, deleted and brought back, looked into.

    tests/ui/machines.py --out target/ui-machines
"""

import json
import os
import pathlib
import subprocess
import sys
import time

import drive
from desktop import geometry, xdotool
from session import until
from settings import reach

NAMES = ["Alpha", "Beta", "Gamma", "Ärger"]


def walk(app, arguments):
    app.find("label", "No Machines Yet")
    for name in NAMES:
        dormerctl("create", name, "--firmware", "bios", "--disk", "1G")
    app.find("list item", "Ärger, Off", 20)
    search(app)
    sort(app)
    grid(app)
    groups(app)
    several(app)
    dragged(app)
    rename(app)
    move(app)
    look_into(app)
    delete(app)


def dormerctl(*words):
    """What a command prints; it must succeed."""
    program = pathlib.Path(os.environ["DORMER_APP"]).with_name("dormerctl")
    done = subprocess.run([program, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"dormerctl {words}: {done.stderr}"
    return done.stdout


# A row of the list, a tile of the grid.
ITEMS = ("list item", "table cell")


def listed(app):
    """The names in the list or the grid, from the top."""
    from gi.repository import GLib

    try:
        items = [node.get_name() or "" for node in app.nodes() if node.get_role_name() in ITEMS and app.is_shown(node)]
    except GLib.Error:
        return None  # the tree changed while it was read
    return [item.rsplit(", ", 1)[0] for item in items if ", " in item]


def wait_listed(app, *names):
    until(f"list of {names}", 10, lambda: listed(app) == list(names))


def search(app):
    """By Ctrl+F, by typing, and by the button; nothing is found in words of its own."""
    app.window()
    wait_listed(app, *NAMES)
    app.key("ctrl+f")
    app.wait_focus("entry", "Search Machines")
    xdotool("type", "be")
    wait_listed(app, "Beta")
    app.picture("search")
    xdotool("type", "x")
    app.find("label", "No Results")
    app.picture("search-nothing")
    app.key("Escape")
    wait_listed(app, *NAMES)
    # Typing is searching; Enter goes to the first that is found.
    app.find("list item", "Alpha, Off")
    until("focus in the list", 10, lambda: (app.focus() or ("", ""))[0] == "list item")
    xdotool("type", "gam")
    wait_listed(app, "Gamma")
    app.key("Return")
    app.find("grouping", "Gamma")
    app.key("Escape")
    wait_listed(app, *NAMES)
    app.wait_focus("list item", "Gamma, Off")
    app.find("grouping", "Gamma")


def kept(line):
    """Is this remembered?"""
    path = pathlib.Path(os.environ["XDG_CONFIG_HOME"]) / "glib-2.0/settings/keyfile"
    return path.exists() and line in path.read_text().splitlines()


def sort(app):
    """The one that started last comes first, and that is remembered."""
    dormerctl("start", "Gamma", "--headless")
    dormerctl("power-off", "Gamma")
    started = {machine["name"]: machine["last-start"] for machine in json.loads(dormerctl("list", "--json"))}
    assert started["Gamma"] and not started["Alpha"], started
    app.window()
    app.press("Main Menu", "toggle button")
    app.wait_focus("menu item", "")
    app.picture("sort-menu")
    app.key("Escape")
    app.window_action(1, "sort", "[<'last-used'>]")
    wait_listed(app, "Gamma", "Alpha", "Beta", "Ärger")
    until("remembered order", 10, lambda: kept("sort-by='last-used'"))
    app.window_action(1, "sort", "[<'name'>]")
    wait_listed(app, *NAMES)


def grid(app):
    """The same as tiles: in order, searched, gone through by keys, and right in the narrowest window."""
    window = app.window()
    app.key("ctrl+2")
    tile = lambda name: app.wait_focus("table cell", name)
    until("focus on a tile", 10, lambda: (app.focus() or ("",))[0] == "table cell")
    wait_listed(app, *NAMES)
    until("remembered view", 10, lambda: kept("view-as='grid'"))
    app.key("Home")
    tile("Alpha, Off")
    app.key("Right")
    tile("Beta, Off")
    # What is asked for is asked of the tile that is selected.
    app.key("F2")
    app.find("label", "Rename “Beta”")
    app.key("Escape")
    app.wait_gone("Rename “Beta”")
    # Enter goes to its page, and Back comes back to it.
    app.key("Return")
    app.find("grouping", "Beta")
    app.wait_gone("Alpha, Off")
    app.press("Back")
    wait_listed(app, *NAMES)
    app.key("ctrl+f")
    app.wait_focus("entry", "Search Machines")
    xdotool("type", "gam")
    wait_listed(app, "Gamma")
    app.key("Escape")
    wait_listed(app, *NAMES)
    for name in ("Gamma", "Ärger"):
        dormerctl("start", name, "--headless")
        app.find("table cell", f"{name}, Running", 20)
    app.picture("grid")
    xdotool("windowsize", "--sync", window, 360, 640)
    until("narrow window", 10, lambda: geometry(window)[2] == 360)
    wait_listed(app, *NAMES)
    app.picture("grid-360")
    assert geometry(window)[2] == 360, "the window grew"
    # As a list again, while it is narrow; and then there is room for both.
    app.key("ctrl+1")
    wait_listed(app, *NAMES)
    app.wait_focus("list item", "")
    app.picture("list-360")
    xdotool("windowsize", "--sync", window, 960, 680)
    until("wide window", 10, lambda: geometry(window)[2] == 960)
    app.find("button", "Settings")
    app.find("list item", "Alpha, Off")
    for name in ("Gamma", "Ärger"):
        dormerctl("power-off", name)
        app.find("list item", f"{name}, Off", 20)


def set_group(app, name, keys):
    select(app, name)
    app.window_action(1, "group")
    app.find("label", f"Group of “{name}”")
    until("focus in the name", 10, lambda: (app.focus() or ("", ""))[0] in ("text", "entry"))
    keys()
    app.key("Return")
    app.wait_gone(f"Group of “{name}”")


def groups(app):
    """Machines of a group stand together, as rows and as tiles; a group is closed and opened; and left."""
    set_group(app, "Beta", lambda: xdotool("type", "Work"))
    wait_listed(app, "Alpha", "Gamma", "Ärger", "Beta")
    set_group(app, "Alpha", lambda: xdotool("type", "Work"))
    wait_listed(app, "Gamma", "Ärger", "Alpha", "Beta")
    app.picture("groups")
    app.key("ctrl+2")
    until("focus on a tile", 10, lambda: (app.focus() or ("",))[0] == "table cell")
    wait_listed(app, "Gamma", "Ärger", "Alpha", "Beta")
    app.picture("groups-grid")
    app.key("ctrl+1")
    app.wait_focus("list item", "Alpha, Off")
    # From row to row, and over the group's name.
    app.key("Up")
    app.wait_focus("button", "Work")
    app.key("Return")
    wait_listed(app, "Gamma", "Ärger")
    until("remembered group", 10, lambda: kept("closed-groups=['Work']"))
    # A search finds what is in it.
    app.key("ctrl+f")
    app.wait_focus("entry", "Search Machines")
    xdotool("type", "bet")
    wait_listed(app, "Beta")
    app.key("Escape")
    wait_listed(app, "Gamma", "Ärger")
    app.press("Work")
    wait_listed(app, "Gamma", "Ärger", "Alpha", "Beta")
    until("forgotten group", 10, lambda: kept("closed-groups=[]"))
    for name in ("Alpha", "Beta"):
        set_group(app, name, lambda: app.key("ctrl+a", "BackSpace"))
    wait_listed(app, *NAMES)


def chosen(app):
    """The machines whose marks are set."""
    from gi.repository import GLib

    try:
        items = [node for node in app.nodes() if node.get_role_name() in ITEMS and app.is_shown(node)]
        marked = [node for node in items if node.get_state_set().contains(app.atspi.StateType.CHECKED)]
        return [node.get_name().rsplit(", ", 1)[0] for node in marked]
    except GLib.Error:
        return None  # the tree changed while it was read


def wait_chosen(app, *names):
    until(f"choice of {names}", 10, lambda: chosen(app) == list(names))


def point(app, name):
    """The middle of a machine's row or tile on the screen."""
    named = lambda: (node for node in app.nodes() if node.get_role_name() in ITEMS and app.is_shown(node) and name in (node.get_name() or ""))
    x, y, _, _ = geometry(app.window())
    extents = app.still(lambda: next(named()).get_extents(app.atspi.CoordType.WINDOW))
    return x + extents.x + extents.width // 2, y + extents.y + extents.height // 2


def click(app, name, held=None):
    xdotool("mousemove", *point(app, name))
    xdotool(*(["keydown", held] if held else []), "click", 1, *(["keyup", held] if held else []))


def confirm(app, name):
    """Presses the question's button, which the bar below has almost the same name as."""
    app.still(lambda: next(node for node in app.nodes() if node.get_name() == name and app.is_shown(node)).do_action(0))


def several(app):
    """Chosen by button, pointer and keys, in the list and the grid; one order and one question for all."""
    app.window()
    app.press("Select Machines")
    app.find("button", "Cancel")
    wait_chosen(app)
    assert not app.enabled(1, "run-chosen"), "nothing is chosen"
    click(app, "Alpha")
    click(app, "Gamma")
    wait_chosen(app, "Alpha", "Gamma")
    app.wait_shown("2 Selected")
    click(app, "Ärger", "shift")
    wait_chosen(app, "Alpha", "Gamma", "Ärger")
    click(app, "Ärger", "ctrl")
    wait_chosen(app, "Alpha", "Gamma")
    app.picture("several")
    assert not app.enabled(1, "power-off-chosen"), "none of them runs"
    for name in ("Alpha", "Gamma"):
        dormerctl("start", name, "--headless")
        app.find("list item", f"{name}, Running", 20)
    until("tasks", 10, lambda: app.enabled(1, "power-off-chosen") and not app.enabled(1, "delete-chosen"))
    app.press("Pause")
    for name in ("Alpha", "Gamma"):
        app.find("list item", f"{name}, Paused", 20)
    app.press("Start or Resume")
    for name in ("Alpha", "Gamma"):
        app.find("list item", f"{name}, Running", 20)
    app.press("Power Off…")
    app.find("label", "Power Off 2 Machines?")
    app.wait_shown("• Alpha\n• Gamma")
    app.picture("several-power-off")
    confirm(app, "Power Off")
    for name in ("Alpha", "Gamma"):
        app.find("list item", f"{name}, Off", 20)
    app.key("Escape")
    wait_listed(app, *NAMES)
    app.find("button", "New Machine…")
    # By keys, and as tiles.
    app.key("ctrl+2")
    until("focus on a tile", 10, lambda: (app.focus() or ("",))[0] == "table cell")
    app.key("ctrl+a")
    wait_chosen(app, *NAMES)
    app.key("Home", "Return")
    wait_chosen(app, "Beta", "Gamma", "Ärger")
    app.picture("several-grid")
    app.press("Move to Group…")
    app.find("label", "Group of 3 Machines")
    until("focus in the name", 10, lambda: (app.focus() or ("", ""))[0] in ("text", "entry"))
    xdotool("type", "Work")
    app.key("Return")
    wait_listed(app, "Alpha", "Beta", "Gamma", "Ärger")
    app.find("button", "Work")
    app.find("button", "New Machine…")
    # A click with Ctrl begins it, with what is selected.
    app.key("ctrl+1")
    app.wait_focus("list item", "")
    click(app, "Beta")
    click(app, "Ärger", "ctrl")
    wait_chosen(app, "Beta", "Ärger")
    # All at once, and back.
    app.press("Delete…")
    app.find("label", "Delete 2 Machines?")
    app.picture("several-delete")
    confirm(app, "Delete")
    wait_listed(app, "Alpha", "Gamma")
    app.wait_shown("2 machines are deleted")
    app.press("Undo")
    wait_listed(app, "Alpha", "Beta", "Gamma", "Ärger")
    app.picture("several-back")


def pull(x, y, to_x, to_y):
    """Presses the button and goes, as slowly as a hand."""
    xdotool("mousemove", x, y)
    time.sleep(0.3)
    xdotool("mousedown", 1)
    for step in range(1, 11):
        xdotool("mousemove", x + (to_x - x) * step // 10, y + (to_y - y) * step // 10)
        time.sleep(0.05)


def drop(app, name, place, picture=None):
    """Drags a machine by its row or tile to another place."""
    pull(*point(app, name), *place)
    if picture:
        app.picture(picture)
    xdotool("mouseup", 1)


def dragged(app):
    """A machine comes into a group by being dragged to its name or one of its machines, and out of it; several at once."""
    app.window()
    wait_listed(app, "Alpha", "Beta", "Gamma", "Ärger")
    group = lambda name: json.loads(dormerctl("show", name, "--json")).get("group")
    drop(app, "Alpha", point(app, "Gamma"), "dragged")
    until("Alpha in the group", 10, lambda: group("Alpha") == "Work")
    # With no machine outside of groups there is a place for it.
    wait_listed(app, "Alpha", "Beta", "Gamma", "Ärger")
    heading = app.find("button", "Work").get_extents(app.atspi.CoordType.WINDOW).y + geometry(app.window())[1]
    until("Alpha below the name", 10, lambda: point(app, "Alpha")[1] > heading)
    x, y = point(app, "Alpha")
    pull(x, y, x + 20, y + 60)
    app.wait_shown("No group")
    label = app.find("label", "No group").get_extents(app.atspi.CoordType.WINDOW)
    left, top, _, _ = geometry(app.window())
    xdotool("mousemove", left + label.x + 20, top + label.y + 10)
    time.sleep(0.3)
    app.picture("dragged-out")
    xdotool("mousemove", left + label.x + 24, top + label.y + 12, "mouseup", 1)
    until("Alpha in no group", 10, lambda: not group("Alpha"))
    app.wait_gone("No group")
    # As tiles, and both that are chosen.
    app.key("ctrl+2")
    until("focus on a tile", 10, lambda: (app.focus() or ("",))[0] == "table cell")
    app.press("Select Machines")
    app.find("button", "Cancel")
    click(app, "Beta")
    click(app, "Gamma")
    wait_chosen(app, "Beta", "Gamma")
    drop(app, "Gamma", point(app, "Alpha"), "dragged-tiles")
    until("both in no group", 10, lambda: not group("Beta") and not group("Gamma"))
    app.find("button", "New Machine…")
    app.key("ctrl+1")
    app.wait_focus("list item", "")
    # From one group to the other by Tab: what has the focus is what is shown.
    click(app, "Gamma")
    app.find("grouping", "Gamma")
    app.key("Tab")
    app.wait_focus("button", "Work")
    app.key("Tab")
    app.wait_focus("list item", "Ärger")
    app.find("grouping", "Ärger")
    set_group(app, "Ärger", lambda: app.key("ctrl+a", "BackSpace"))
    wait_listed(app, *NAMES)


def move(app):
    """To another place, where it is found; of one that runs it says why not; and back."""
    machines = pathlib.Path(os.environ["XDG_DATA_HOME"]) / "dormer/machines"
    place = pathlib.Path(os.environ["HOME"]) / "Other disk"
    place.mkdir()
    select(app, "Beta two")
    dormerctl("start", "Beta two", "--headless")
    app.find("list item", "Beta two, Running", 20)
    app.window_action(1, "move")
    app.wait_shown("turn it off to move it")
    dormerctl("power-off", "Beta two")
    app.find("list item", "Beta two, Off", 20)
    app.window_action(1, "move-to", f"[<'{place}'>]")
    app.wait_shown(f"“Beta two” is in {place}/Beta two now")
    app.wait_gone("Moving “Beta two”")
    app.picture("moved")
    assert (place / "Beta two/machine.toml").is_file() and (machines / "Beta two").is_symlink()
    dormerctl("start", "Beta two", "--headless")
    app.find("list item", "Beta two, Running", 20)
    dormerctl("power-off", "Beta two")
    app.find("list item", "Beta two, Off", 20)
    app.window_action(1, "move-to", "[<'/no/such/place'>]")
    app.wait_shown("Cannot find /no/such/place")
    app.window_action(1, "move-to", f"[<'{machines}'>]")
    app.wait_shown(f"“Beta two” is in {machines}/Beta two now")
    assert not (machines / "Beta two").is_symlink() and not any(place.iterdir())


def select(app, name):
    """Goes to a machine's page, by searching for it."""
    app.window()
    app.key("ctrl+f")
    app.wait_focus("entry", "Search Machines")
    xdotool("type", name)
    wait_listed(app, name)
    app.key("Return")
    app.find("grouping", name)
    app.key("Escape")
    until("end of the search", 10, lambda: len(listed(app) or []) > 1)


def rename(app):
    """In place, with what is wrong said as it is typed."""
    select(app, "Beta")
    app.key("F2")
    app.find("label", "Rename “Beta”")
    until("focus in the name", 10, lambda: (app.focus() or ("", ""))[0] in ("text", "entry"))
    xdotool("type", "Alpha")
    app.wait_shown("There is a machine “Alpha” already.")
    app.picture("rename-taken")
    app.key("ctrl+a")
    xdotool("type", "a/b")
    app.wait_shown("cannot be a machine")
    app.key("ctrl+a")
    xdotool("type", "Beta two")
    app.wait_gone("cannot be a machine")
    app.key("Return")
    wait_listed(app, "Alpha", "Beta two", "Gamma", "Ärger")
    # Of one that runs it says why not.
    dormerctl("start", "Beta two", "--headless")
    app.find("list item", "Beta two, Running", 20)
    app.key("F2")
    app.wait_shown("turn it off to rename it")
    app.picture("rename-running")
    dormerctl("power-off", "Beta two")
    app.find("list item", "Beta two, Off", 20)


def look_into(app):
    """Its folder, and its logs: read, searched, copied."""
    select(app, "Beta two")
    app.press("Machine Menu", "toggle button")
    app.wait_focus("menu item", "")
    app.picture("menu")
    app.key("Escape")
    app.window_action(1, "open-folder")
    app.wait_shown("No program opens the machine")
    folder = pathlib.Path(os.environ["XDG_DATA_HOME"]) / "dormer/machines/Beta two"
    lines = "".join(f"line {number}\n" for number in range(3000))
    (folder / "logs/engine.log").write_text(f"{lines}read {os.environ['HOME']}/x\x1b[31m\nthe end\n")
    (folder / "logs/serial.log").write_bytes(b"login:\xff\x07 root\n")
    app.window_action(1, "show-log")
    app.wait_shown("Logs of Beta two")
    text = app.find("text", "Log")
    read = lambda: app.atspi.Text.get_text(text, 0, app.atspi.Text.get_character_count(text))
    until("end of the log", 10, lambda: read().endswith("/x\nthe end\n"))
    # Its end is in sight, and Page Up leads away from it.
    bar = lambda: next(n for n in app.below(app.find("dialog", "Logs of")) if n.get_role_name() == "scroll bar" and app.is_shown(n))
    place = lambda: bar().get_current_value() / bar().get_maximum_value()
    until("end in sight", 10, lambda: place() > 0.98)
    app.picture("log")
    reach(app, "text", "Log")
    app.key("Page_Up", "Page_Up")
    until("another place", 10, lambda: 0.9 < place() < 0.995)
    app.key("ctrl+f")
    app.wait_focus("entry", "Search in the Log")
    xdotool("type", "line 2999")
    app.key("Return")
    app.picture("log-search")
    app.key("Escape")
    app.press("Copy Report")
    app.wait_shown("The report is on the clipboard", 20)
    app.picture("log-report")
    report = dormerctl("report", "Beta two")
    assert "~/x" in report and "login:\ufffd root" in report and os.environ["HOME"] not in report, report
    app.key("Escape")
    app.wait_gone("Logs of Beta two")


def hidden():
    """Folders of machines that are deleted, and not yet for good."""
    return list((pathlib.Path(os.environ["XDG_DATA_HOME"]) / "dormer/machines").glob(".deleted-*"))


def delete(app):
    """The question says what is lost; then it can be undone for a while."""
    select(app, "Gamma")
    app.window_action(1, "delete")
    app.find("label", "Delete “Gamma”?")
    app.wait_shown("disk.qcow2")
    app.picture("delete")
    app.press("Delete")
    wait_listed(app, "Alpha", "Beta two", "Ärger")
    assert len(hidden()) == 1, hidden()
    app.picture("delete-undo")
    app.press("Undo")
    wait_listed(app, "Alpha", "Beta two", "Gamma", "Ärger")
    assert not hidden(), hidden()
    # Not wanted back.
    app.window_action(1, "delete")
    app.press("Delete")
    wait_listed(app, "Alpha", "Beta two", "Ärger")
    until("end of its folder", 30, lambda: not hidden())
    # The app's end is the end of the time to undo.
    select(app, "Ärger")
    app.window_action(1, "delete")
    app.press("Delete")
    wait_listed(app, "Alpha", "Beta two")
    app.quit()
    until("end of its folder", 10, lambda: not hidden())


if __name__ == "__main__":
    sys.exit(drive.main(walk, __doc__))
