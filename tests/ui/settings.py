#!/usr/bin/python3
"""Every setting, set in the app as a person does and read back by dormerctl; what is refused; and what a running machine follows.

    tests/ui/settings.py --out target/ui-settings
"""

import json
import os
import pathlib
import socket
import subprocess
import sys

import drive
from desktop import xdotool
from session import until

NAME = "Little machine"
BINARIES = pathlib.Path(os.environ.get("DORMER_APP", "")).parent


def settings(name=NAME):
    """All settings, by dormerctl."""
    done = subprocess.run([BINARIES / "dormerctl", "set", name, "--json"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def wait_set(key, value, name=NAME):
    until(f"{key}={value}", 10, lambda: settings(name)[key] == value)


def walk(app, arguments):
    app.create(arguments.iso, NAME)
    app.enter(NAME)
    app.key("F4")
    app.find("label", "The Machine Is Off")
    app.close()
    app.window()
    app.window_action(1, "settings")
    app.find("dialog", "Settings of")
    app.picture("general")
    for title in ("System", "Storage", "Network"):
        page(app, title)
        app.picture(title.lower())
        app.tree(title.lower())
    off(app)
    refused(app)
    dialog = app.find("dialog", "Settings of")
    next(node for node in app.below(dialog) if node.get_name() == "Close" and node.get_role_name().endswith("button")).do_action(0)
    app.wait_gone("Settings of")
    app.window()
    app.window_action(1, "open")
    app.enter(NAME)
    app.window()
    app.window_action(1, "settings")
    app.find("dialog", "Settings of")
    on(app)


def page(app, title):
    """Goes to a page of the dialog."""
    app.find("page tab", title).do_action(0)
    until(f"page “{title}”", 10, lambda: any(n.get_role_name() == "panel" and n.get_name() == title and app.is_shown(n) for n in app.nodes()))


def reach(app, role, name):
    """Goes to a control by Tab, as somebody without a mouse does."""
    for _ in range(40):
        focus = app.focus()
        if focus and focus[0] == role and name in focus[1]:
            return
        app.key("Tab")
    raise SystemExit(f"no way to {role} “{name}” by Tab")


def switch(app, name):
    """Turns a switch by its action."""
    nodes = [node for node in app.below(app.find("check box", name)) if node.get_role_name() == "check box"]
    nodes[-1].do_action(0)


def choose(app, row, key):
    """Takes the next or the last one of a list of choices."""
    reach(app, "combo box", row)
    app.key("space")
    app.key(key)
    app.key("Return")


def write(app, row, text):
    """Types into a row and applies it."""
    reach(app, "text", row)
    app.key("ctrl+a")
    xdotool("type", "--delay", 30, text)
    app.key("Return")


def number(app, row, value):
    """Types a number into a row."""
    reach(app, "spin button", row)
    app.key("ctrl+a")
    xdotool("type", "--delay", 60, str(value))
    app.key("Tab")


def off(app):
    """A machine that is off takes all of it."""
    page(app, "General")
    write(app, "Group", "Work")
    wait_set("group", "Work")
    choose(app, "Clock", "Down")
    wait_set("clock", "local")
    reach(app, "combo box", "System")
    app.key("space")
    xdotool("type", "--delay", 60, "FreeDOS")
    app.picture("systems")
    app.key("Tab", "Down", "Return")
    until("a system", 10, lambda: settings()["os"].startswith("freedos"))
    switch(app, "Fast Keyboard")
    wait_set("virtio-input", "off")

    page(app, "System")
    number(app, "Processors", 3)
    wait_set("processors", "3")
    number(app, "Memory", 640)
    wait_set("memory", "640")
    firmware = settings()["firmware"]
    choose(app, "Firmware", "Up" if firmware == "bios" else "Down")
    wait_set("firmware", "uefi" if firmware == "bios" else "bios")
    choose(app, "Firmware", "Down" if firmware == "bios" else "Up")
    wait_set("firmware", firmware)

    page(app, "Storage")
    bus = settings()["disk0.bus"]
    choose(app, "Controller", "Up" if bus == "virtio" else "Down")
    wait_set("disk0.bus", "ahci" if bus == "virtio" else "virtio")
    switch(app, "Read-Only")
    wait_set("disk0.read-only", "on")
    switch(app, "Read-Only")
    wait_set("disk0.read-only", "off")

    drives(app)

    page(app, "Network")
    write(app, "Ethernet Address", "52:54:00:00:00:07")
    wait_set("net0.mac", "52:54:00:00:00:07")
    activate(app, "Add a Network Card")
    until("second card", 10, lambda: settings().get("net1.link") == "on")
    app.press("Remove Network Card 2")
    until("one card", 10, lambda: "net1.link" not in settings())


def drives(app):
    """Disks come, grow and go, with their images."""
    folder = pathlib.Path(os.environ["XDG_DATA_HOME"]) / "dormer/machines" / NAME
    activate(app, "Add a Disk")
    app.find("spin button", "Size in GiB")
    app.picture("add-disk")
    answer(app, "Add")
    app.find("button", "Make Disk 2 Larger")
    assert (folder / "disk-2.qcow2").exists() and settings()["disk1.read-only"] == "off"
    app.wait_shown("25.0\u00a0GiB")
    app.press("Make Disk 2 Larger")
    app.find("spin button", "Size in GiB")
    app.picture("grow-disk")
    answer(app, "Make Larger")
    app.wait_shown("50.0\u00a0GiB")
    app.picture("two-disks")
    app.press("Remove Disk 2")
    app.find("label", "Remove “Disk 2”?")
    app.picture("remove-disk")
    answer(app, "Remove")
    until("one disk", 10, lambda: "disk1.bus" not in settings())
    assert not (folder / "disk-2.qcow2").exists(), "its image went with it"


def answer(app, name):
    """Presses a button of a question by its whole name."""

    def probe():
        buttons = (node for node in app.nodes() if node.get_role_name().endswith("button") and node.get_name() == name)
        return next((node for node in buttons if app.is_shown(node)), None)

    until(f"button “{name}”", 10, probe).do_action(0)


def activate(app, row):
    """Presses a row that is a button, which offers no action to assistive technology."""
    reach(app, "button", row)
    app.key("Return")


def refused(app):
    """What cannot be is told, and the row shows what is so."""
    write(app, "Ethernet Address", "52:54:00:00:00")
    app.wait_shown("is not an Ethernet address")
    app.picture("refused")
    until("address as it is", 10, lambda: "52:54:00:00:00:07" in text_of(app, "Ethernet Address"))
    write(app, "Add a port", "99999:22")
    app.wait_shown("is not a forward")
    page(app, "General")
    write(app, "Name", "a/b")
    app.wait_shown("cannot be a machine's name")
    assert settings()["net0.forwards"] == "" and settings()["name"] == NAME


def text_of(app, row):
    entry = app.entry(row)
    return app.atspi.Text.get_text(entry, 0, app.atspi.Text.get_character_count(entry))


def on(app):
    """A running machine follows what it can, and the rest says that it has to be off."""
    app.wait_shown("The machine is on")
    page(app, "System")
    sensitive = app.atspi.StateType.SENSITIVE
    assert not app.find("combo box", "Firmware").get_state_set().contains(sensitive)
    app.picture("running")
    page(app, "Network")
    switch(app, "Cable")
    wait_set("net0.link", "off")
    port = free_port()
    write(app, "Add a port", f"{port}:22")
    wait_set("net0.forwards", f"tcp:{port}:22")
    app.wait_shown(f"{port} leads to 22")
    app.picture("port")
    assert listens(port), "the port leads into the running machine"
    app.press(f"Remove Port {port}")
    wait_set("net0.forwards", "")
    assert not listens(port), "and no more"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    sys.exit(drive.main(walk, __doc__))
