#!/usr/bin/python3
"""USB devices of this computer in the app: the console's list, rules in the settings, what is plugged in and pulled out, and what hinders.

The computer's `/sys` and `/dev/bus` are folders (`bus.py`), in a mount namespace: what the app finds there it finds by what it finds real
devices with.

    tests/ui/usb.py --out target/ui-usb
"""

import json
import os
import pathlib
import subprocess
import sys

import bus
import drive
from app import SCREEN
from desktop import xdotool
from session import until
from settings import page, reach, settings, wait_set, write

NAME = "Little machine"
BINARIES = pathlib.Path(os.environ.get("DORMER_APP", "")).parent
HERE = pathlib.Path(__file__).parent


def walk(app, arguments):
    computer = bus.Bus()
    computer.plug("1-2", "0781:5581", ("SanDisk", "Ultra", "4C53"), "08:06:50", speed="5000")
    computer.plug("1-3", "046d:0825", ("Logitech", "Webcam C270", ""), "0e:01:00")
    computer.plug("1-4", "046d:c31c", ("Logitech", "USB Keyboard", ""), "03:01:01", speed="1.5", keyboard=1)
    computer.plug("1-5", "05e3:0610", ("Genesys", "Hub", ""), "09:00:00", device_class="09")
    app.create(arguments.iso, NAME)
    app.enter(NAME)
    switches(app, computer)
    hindered(app, computer)
    plugged(app, computer)
    elsewhere(app, computer)
    rules(app, computer)
    ended(app, computer)


def machine_has():
    """Ports of the devices that the machine has, by dormerctl."""
    done = subprocess.run([BINARIES / "dormerctl", "usb", "list", NAME, "--json"], capture_output=True, text=True)
    return [device["id"] for device in json.loads(done.stdout)] if done.returncode == 0 else None


def wait_has(*ports):
    until(f"machine with {ports}", 10, lambda: machine_has() == list(ports))


def look(app):
    app.press("Devices", "toggle button")
    app.wait_shown("USB Devices of This Computer")


def away(app):
    app.key("Escape")
    app.wait_focus(SCREEN, "Screen of")


def toggle(app, name, role="switch"):
    """A switch is a check box to assistive technology, in some versions of the toolkit."""

    def node():
        return next((it for it in app.nodes() if it.get_name() == name and app.is_shown(it) and it.get_n_actions()), None)

    until(f"{role} “{name}”", 10, node).do_action(0)


def can(app, name):
    """Can this control be used?"""
    node = next(it for it in app.nodes() if it.get_name() == name and app.is_shown(it))
    return node.get_state_set().contains(app.atspi.StateType.SENSITIVE)


def switches(app, computer):
    """Everything but the hub is in the list; a switch gives the machine a device and takes it back, a pin writes a rule."""
    look(app)
    for words in ("Ultra", "SanDisk · 5 Gbit/s", "Webcam C270", "Logitech · 480 Mbit/s", "USB Keyboard"):
        app.wait_shown(words)
    assert not app.shows("Genesys")
    app.wait_shown("It is this computer's only keyboard")
    until("keyboard that stays", 10, lambda: not can(app, "Connect USB Keyboard"))
    app.picture("devices")
    app.tree("devices")
    toggle(app, "Connect Ultra")
    wait_has("1-2")
    app.picture("connected")
    toggle(app, "Connect Ultra")
    wait_has()
    toggle(app, "Always Connect Ultra")
    wait_set("usb.rules", "0781:5581:4C53=always")
    app.picture("always")
    # The keys do it too.
    away(app)
    look(app)
    away(app)


def hindered(app, computer):
    """Devices that this computer will miss, that are gone when they are wanted, and that this person may not use."""
    computer.keyboard("sys/devices/platform/i8042/serio0", 9)
    look(app)
    app.wait_shown("It is a keyboard of this computer")
    until("keyboard that may go", 10, lambda: can(app, "Connect USB Keyboard"))
    toggle(app, "Connect USB Keyboard")
    app.wait_shown("Connect “Logitech USB Keyboard” to the Machine?")
    app.picture("missed")
    app.press("Cancel")
    app.wait_gone("to the Machine?")
    assert machine_has() == []
    app.wait_gone("USB Devices of This Computer")
    look(app)
    toggle(app, "Connect USB Keyboard")
    app.press("Connect", within=("alert", "Connect “Logitech"))
    wait_has("1-4")
    app.wait_gone("USB Devices of This Computer")
    look(app)
    toggle(app, "Connect USB Keyboard")
    wait_has()
    computer.forbid("1-3")
    toggle(app, "Connect Webcam C270")
    app.wait_shown("You may not use “Logitech Webcam C270” (1-3)")
    app.picture("not-allowed")
    app.press("Close", within=("alert", "The USB Device"))
    app.wait_gone("You may not use")
    computer.allow("1-3")
    app.window(NAME)
    app.key("Escape")
    app.wait_focus(SCREEN, "Screen of")


def plugged(app, computer):
    """What is pulled out goes from the list; what comes back goes where its rule says; of others the person is asked."""
    app.window(NAME)
    look(app)
    computer.unplug("1-2")
    app.wait_gone("SanDisk · 5 Gbit/s")
    computer.plug("1-2", "0781:5581", ("SanDisk", "Ultra", "4C53"), "08:06:50", speed="5000")
    app.wait_shown("“SanDisk Ultra” is connected to “Little machine”")
    wait_has("1-2")
    app.picture("by-rule")
    away(app)
    computer.plug("1-6", "054c:0ce6", ("Sony", "Wireless\nController <b>", ""), "03:00:00", speed="12")
    app.wait_shown("“Sony Wireless Controller <b>” was plugged in")
    app.picture("plugged-in")
    app.press("Connect")
    wait_has("1-2", "1-6")
    app.wait_shown("is connected to “Little machine”")
    # The guest's end of it.
    app.wait_focus(SCREEN, "Screen of")
    app.key("F10")
    app.wait_shown("was unplugged")
    wait_has()
    app.picture("unplugged")


def elsewhere(app, computer):
    """Who looks elsewhere is told by the desktop, and can answer there."""
    heard = app.out / "notifications.txt"
    with open(heard, "w", encoding="utf-8") as file:
        service = subprocess.Popen([sys.executable, HERE / "notifications.py"], stdout=file)
    try:
        names = ["gdbus", "call", "--session", "--dest", "org.freedesktop.DBus", "--object-path", "/org/freedesktop/DBus"]
        owner = [*names, "--method", "org.freedesktop.DBus.NameHasOwner", "org.freedesktop.Notifications"]
        until("notification service", 10, lambda: "true" in subprocess.run(owner, capture_output=True, text=True).stdout)
        search = ["xdotool", "search", "--onlyvisible", "--name", f"^(Dormer|{NAME})$"]
        windows = subprocess.run(search, capture_output=True, text=True).stdout.split()
        for window in windows:
            xdotool("windowminimize", "--sync", window)
        computer.plug("1-7", "1050:0407", ("Yubico", "YubiKey", ""), "0b:00:00", speed="12")
        until("notification", 20, lambda: "“Yubico YubiKey” was plugged in" in heard.read_text(encoding="utf-8"))
        uuid = json.loads(subprocess.run([BINARIES / "dormerctl", "show", NAME, "--json"], capture_output=True, text=True).stdout)["uuid"]
        app.activate("connect-usb", f"[<('{uuid}', '1-7')>]")
        wait_has("1-7")
        for target in ("('x', '1-7')", "('', '')", f"('{uuid}', '../1-7')", f"('{uuid}', '9-9')"):
            app.activate("connect-usb", f"[<{target}>]")
        assert machine_has() == ["1-7"]
        for window in windows:
            xdotool("windowmap", window)
    finally:
        service.kill()
        service.wait(10)


def rules(app, computer):
    """The page: what has a rule, what is plugged in, and what is typed."""
    app.window()
    app.window_action(1, "settings")
    app.find("dialog", "Settings of")
    page(app, "USB")
    app.wait_shown("SanDisk Ultra")
    app.wait_shown("serial number 4C53")
    app.wait_shown("Webcam C270")
    app.picture("rules")
    app.tree("rules")
    app.press("Add a Rule for Webcam C270")
    wait_set("usb.rules", "0781:5581:4C53=always 046d:0825=always")
    app.wait_gone("Add a Rule for Webcam C270")
    choose_action(app, "SanDisk Ultra", "Down")
    wait_set("usb.rules", "0781:5581:4C53=start 046d:0825=always")
    write(app, "Add by numbers", "1234:abcd@1-2.3=ask")
    wait_set("usb.rules", "0781:5581:4C53=start 046d:0825=always 1234:abcd@1-2.3=ask")
    app.wait_shown("at port 1-2.3")
    app.picture("rules-added")
    write(app, "Add by numbers", "1234:ABCD@1-2.3")
    app.wait_shown("There are two rules for the USB device 1234:abcd@1-2.3")
    assert settings()["usb.rules"].count("=") == 3
    for bad in ("stick", "0781", "0781:5581=never", "0781:5581:a b", "0781:5581@usb1", "12345:1", "x" * 300):
        write(app, "Add by numbers", bad)
        app.wait_shown("is not a rule for USB devices", 20)
        assert settings()["usb.rules"].count("=") == 3
    app.picture("rules-refused")
    app.press("Remove the Rule for 1234:abcd@1-2.3")
    wait_set("usb.rules", "0781:5581:4C53=start 046d:0825=always")
    app.press("Remove the Rule for Logitech Webcam C270")
    wait_set("usb.rules", "0781:5581:4C53=start")
    app.find("button", "Add a Rule for Webcam C270")
    app.press("Close", within=("dialog", "Settings of"))
    app.wait_gone("Settings of")


def choose_action(app, row, *keys):
    reach(app, "combo box", row)
    app.key("space")
    app.key(*keys, "Return")


def ended(app, computer):
    """An engine that has ended has no device; a machine that starts gets what its rules say."""
    drive.end_engine(pathlib.Path(os.environ["XDG_DATA_HOME"]) / "dormer/machines" / NAME / "lock")
    listed = lambda: json.loads(subprocess.run([BINARIES / "dormerctl", "usb", "list", "--json"], capture_output=True, text=True).stdout)
    until("devices that are free", 20, lambda: not any(device["machine"] for device in listed()))
    runtime = pathlib.Path(os.environ["XDG_RUNTIME_DIR"]) / "dormer"
    until("nothing left", 20, lambda: not list(runtime.glob("*/usb/*")))
    subprocess.run([BINARIES / "dormerctl", "start", NAME, "--headless"], check=True)
    wait_has("1-2")


if __name__ == "__main__":
    sys.exit(bus.inside(__file__) or drive.main(walk, __doc__))
