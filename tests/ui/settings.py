#!/usr/bin/python3
"""Every setting, set in the app as a person does and read back by dormerctl; what is refused; and what a running machine follows.

    tests/ui/settings.py --out target/ui-settings
"""

import itertools
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys

import drive
from desktop import ROW_DROP_HERE, geometry, marked, xdotool
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
    # Of another computer, say.
    subprocess.run([BINARIES / "dormerctl", "set", NAME, "sound.output=A headset"], check=True)
    app.close()
    app.window()
    app.window_action(1, "settings")
    app.find("dialog", "Settings of")
    app.picture("general")
    for title in ("System", "Display", "Sound", "Storage", "Network"):
        page(app, title)
        app.picture(title.lower())
        app.tree(title.lower())
    off(app)
    refused(app)
    app.find("dialog", "Settings of")
    # What was typed just before counts too.
    page(app, "General")
    reach(app, "text", "Notes")
    app.key("ctrl+End")
    xdotool("type", "--delay", 5, " yet")
    app.press("Close", within=("dialog", "Settings of"))
    app.wait_gone("Settings of")
    app.wait_shown("no password yet")
    app.picture("machine-page")
    app.window()
    app.window_action(1, "open")
    app.enter(NAME)
    app.window()
    app.window_action(1, "settings")
    app.find("dialog", "Settings of")
    on(app)


def page(app, title):
    """Goes to a page of the dialog."""
    app.press(title, "page tab")
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
    app.still(lambda: [node for node in app.below(app.find("check box", name)) if node.get_role_name() == "check box"][-1].do_action(0))


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

    at_login = pathlib.Path(os.environ["XDG_CONFIG_HOME"]) / "autostart"
    switch(app, "Start at Login")
    wait_set("autostart", "on")
    assert "--machine " in next(at_login.glob("*.desktop")).read_text()
    switch(app, "Start at Login")
    wait_set("autostart", "off")
    assert not list(at_login.glob("*.desktop"))
    notes(app)

    page(app, "Display")
    choose(app, "Screen Size", "End")
    app.wait_shown("needs 32 MiB of video memory")
    app.picture("screen-needs")
    choose(app, "Video Memory", "Down")
    wait_set("video-memory", "32")
    choose(app, "Screen Size", "End")
    wait_set("resolution", "3840x2160")
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

    boot_order(app)
    sound(app)

    page(app, "USB")
    for title, key in (("USB Mouse", "mouse"), ("USB Hub", "hub"), ("USB Keyboard", "keyboard"), ("USB Tablet", "tablet")):
        before = settings()[f"usb.{key}"]
        switch(app, title)
        wait_set(f"usb.{key}", "off" if before == "on" else "on")
    app.picture("usb")

    page(app, "Storage")
    medium(app)
    bus = settings()["disk0.bus"]
    choose(app, "Controller", "Up" if bus == "virtio" else "Down")
    wait_set("disk0.bus", "ahci" if bus == "virtio" else "virtio")
    choose(app, "Cache", "Down")
    wait_set("disk0.cache", "direct")
    choose(app, "Cache", "Up")
    wait_set("disk0.cache", "writeback")
    switch(app, "Read-Only")
    wait_set("disk0.read-only", "on")
    switch(app, "Read-Only")
    wait_set("disk0.read-only", "off")

    drives(app)

    page(app, "Network")
    card = settings()["net0.model"]
    choose(app, "Card", "Up" if card == "e1000" else "Down")
    wait_set("net0.model", "virtio" if card == "e1000" else "e1000")
    app.picture("card")
    choose(app, "Card", "Down" if card == "e1000" else "Up")
    wait_set("net0.model", card)
    write(app, "Ethernet Address", "52:54:00:00:00:07")
    wait_set("net0.mac", "52:54:00:00:00:07")
    connect(app)
    activate(app, "Add a Network Card")
    until("second card", 10, lambda: settings().get("net1.link") == "on")
    app.press("Remove Network Card 2")
    until("one card", 10, lambda: "net1.link" not in settings())


def sound(app):
    """The card, and what a console does with its sound; names of devices that are not there are told so."""
    page(app, "Sound")
    app.wait_shown("A headset (not connected)")
    app.picture("sound-not-connected")
    card = settings()["sound.card"]
    choose(app, "Sound Card", "End")
    wait_set("sound.card", "none")
    sensitive = app.atspi.StateType.SENSITIVE
    until("nothing to turn", 10, lambda: not app.find("combo box", "Output").get_state_set().contains(sensitive))
    app.picture("no-sound-card")
    choose(app, "Sound Card", "Home")
    wait_set("sound.card", "hda")
    number(app, "Volume", 45)
    wait_set("sound.volume", "45")
    # More than all is all.
    number(app, "Volume", 180)
    wait_set("sound.volume", "100")
    for name, key in (("Mute", "sound.mute"), ("Microphone", "sound.microphone")):
        switch(app, name)
        wait_set(key, "on")
        switch(app, name)
        wait_set(key, "off")
    for key, value in (("volume", "101"), ("volume", "loud"), ("mute", "yes"), ("output", "a\nb"), ("input", "x" * 257), ("card", "ac97")):
        done = subprocess.run([BINARIES / "dormerctl", "set", NAME, f"sound.{key}={value}"], capture_output=True, text=True)
        assert done.returncode and done.stderr.startswith("dormerctl: "), (key, done)
    assert settings()["sound.output"] == "A headset"
    choose(app, "Output Device", "Home")
    wait_set("sound.output", "")
    choose(app, "Sound Card", "Down" if card == "virtio" else "Home")
    wait_set("sound.card", card)


def notes(app):
    """A text of some lines, kept as it is typed."""
    reach(app, "text", "Notes")
    xdotool("type", "--delay", 30, "root has")
    app.key("Return")
    xdotool("type", "--delay", 30, "no password")
    wait_set("notes", "root has\nno password")
    app.picture("notes")


def boot_order(app):
    """Devices go up and down, and the focus goes with them."""
    assert settings()["boot"] == "disk0,cd0,net0"
    reach(app, "button", "Move CD Drive 1 Up")
    app.key("Return")
    wait_set("boot", "cd0,disk0,net0")
    # There is no way further up.
    app.wait_focus("button", "Move CD Drive 1 Down")
    app.picture("boot-order")
    reach(app, "button", "Move Network Card 1 Up")
    app.key("Return")
    wait_set("boot", "cd0,net0,disk0")
    app.wait_focus("button", "Move Network Card 1 Up")
    app.press("Move Disk 1 Up")
    wait_set("boot", "cd0,disk0,net0")
    app.press("Move CD Drive 1 Down")
    wait_set("boot", "disk0,cd0,net0")
    drag(app, "Network Card 1", "Disk 1")
    wait_set("boot", "net0,disk0,cd0")
    app.press("Move Network Card 1 Down")
    wait_set("boot", "disk0,net0,cd0")


def drag(app, name, onto):
    """Drags a row of the boot order onto another one."""
    origin = geometry(app.window())

    def place(row):
        box = app.find("list item", row).get_extents(app.atspi.CoordType.WINDOW)
        return origin[0] + box.x, origin[1] + box.y + box.height // 2

    (x, y), (to_x, to_y) = place(name), place(onto)
    app.move(x + 150, y)
    xdotool("mousedown", 1)
    steps = itertools.cycle([(x + 180, y), (to_x + 180, to_y), (to_x + 150, to_y)])

    def over():
        # It is taken where it moves; its left edge says so.
        app.move(*next(steps))
        return marked(ROW_DROP_HERE, (to_x - 4, to_y, 24, 1)) > 0

    until("place that takes the row", 20, over)
    app.picture("dragged")
    xdotool("mouseup", 1)


def image(drive=1, name=NAME):
    """The image in a drive, by its place."""
    done = subprocess.run([BINARIES / "dormerctl", "show", name, "--json"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["machine"]["drive"][drive].get("image")


def medium(app, running=False):
    """A medium goes out of a CD drive and into it."""
    iso = image()
    app.wait_shown(pathlib.Path(iso).name)
    app.press("Eject from CD Drive 1")
    until("empty drive", 10, lambda: image() is None)
    app.wait_shown("Empty")
    app.picture("empty-drive-running" if running else "empty-drive")
    app.press("Insert into CD Drive 1")
    app.window("Insert a CD")
    app.wait_shown("CD and DVD Images")
    # A path is typed from its first character on.
    app.key("slash")
    app.wait_focus("text", "")
    app.key("ctrl+a")
    xdotool("type", "--delay", 30, iso)
    # What the dialog thinks comes next.
    app.key("shift+End", "Delete", "Return")
    until("full drive", 10, lambda: image() == iso)
    app.window()
    app.wait_shown(pathlib.Path(iso).name)
    app.picture("full-drive-running" if running else "full-drive")


def connect(app):
    """A card is connected to something else, and back."""
    choose(app, "Connected To", "Down")
    wait_set("net0.network", "internal:lan")
    app.wait_shown("Internal network lan")
    assert not any(app.is_shown(node) for node in app.nodes() if node.get_name().startswith("Add a port")), "no ports lead there"
    write(app, "Network Name", "lab")
    wait_set("net0.network", "internal:lab")
    app.picture("internal-network")
    write(app, "Network Name", "two words")
    app.wait_shown("cannot be a network's name")
    until("name as it is", 10, lambda: "lab" in text_of(app, "Network Name"))
    choose(app, "Connected To", "Up")
    wait_set("net0.network", "nat")
    app.wait_shown("Shared with this computer")


def drives(app):
    """Disks come, grow and go, with their images."""
    folder = pathlib.Path(os.environ["XDG_DATA_HOME"]) / "dormer/machines" / NAME
    activate(app, "Add a Disk")
    app.find("spin button", "Size in GiB")
    app.picture("add-disk")
    number(app, "Size in GiB", 25)
    answer(app, "Add")
    app.find("button", "Make Disk 2 Larger")
    assert (folder / "disk-2.qcow2").exists() and settings()["disk1.read-only"] == "off"
    app.wait_shown("25.0\u00a0GiB")
    app.press("Make Disk 2 Larger")
    # Twice as large, or what there is room for.
    proposed = lambda: app.find("spin button", "Size in GiB").get_value_iface().get_current_value()
    until("a size between 26 and 50 GiB", 10, lambda: 26 <= proposed() <= 50)
    app.picture("grow-disk")
    number(app, "Size in GiB", 60000)
    app.wait_shown("This computer has room for")
    app.picture("grow-disk-too-large")
    number(app, "Size in GiB", 26)
    if shutil.disk_usage(folder).free > 26 << 30:
        app.wait_gone("This computer has room for")
    answer(app, "Make Larger")
    app.wait_shown("26.0\u00a0GiB")
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
    assert not app.find("button", "Move Disk 1 Down").get_state_set().contains(sensitive)
    page(app, "Sound")
    assert not app.find("combo box", "Sound Card").get_state_set().contains(sensitive)
    number(app, "Volume", 60)
    wait_set("sound.volume", "60")
    app.picture("sound-running")
    page(app, "Storage")
    medium(app, running=True)
    page(app, "Network")
    app.wait_shown("4.0\u00a0KiB sent, 3.0\u00a0GiB received")
    app.picture("traffic")
    capture(app)
    choose(app, "Connected To", "Down")
    wait_set("net0.network", "internal:lan")
    app.wait_shown("Internal network lan")
    choose(app, "Connected To", "Up")
    wait_set("net0.network", "nat")
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


def capture(app):
    """What goes through a card is written to a file until somebody ends it."""
    path = (app.out / "net0.pcapng").resolve()
    path.unlink(missing_ok=True)
    app.press("Capture…")
    app.window("Capture to a File")
    app.key("ctrl+a")
    xdotool("type", "--delay", 20, str(path))
    app.key("Return")
    app.find("button", "End Capture")
    assert path.exists()
    app.window()
    app.picture("captured")
    app.press("End Capture")
    app.find("button", "Capture…")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    sys.exit(drive.main(walk, __doc__))
