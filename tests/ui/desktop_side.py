#!/usr/bin/python3
"""The app from the desktop's side: thumbnails, files that are opened, launchers, notifications.

    tests/ui/desktop_side.py --out target/ui-desktop-side
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import drive
from app import APP, SCREEN
from desktop import geometry, xdotool
from machines import dormerctl
from session import until

HERE = pathlib.Path(__file__).parent


def walk(app, arguments):
    app.find("label", "No Machines Yet")
    for name in ("Alpha", "Beta", "Gamma"):
        dormerctl("create", name, "--firmware", "bios", "--disk", "1G")
    app.find("list item", "Gamma, Off", 20)
    thumbnails(app)
    files(app, arguments.iso)
    launcher(app)
    notifications(app)
    cold(app)


def data():
    return pathlib.Path(os.environ["XDG_DATA_HOME"])


def run_again(*words):
    """Runs the program while it runs: it hands over, and ends."""
    done = subprocess.run([os.environ["DORMER_APP"], *words], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    return done


def blue(app):
    """How blue the list is: the stand-in's screen is."""
    x, y, _, height = geometry(app.window())
    shot = subprocess.run(["import", "-window", "root", "png:-"], check=True, capture_output=True).stdout
    crop = ["-crop", f"48x{height - 100}+{x + 16}+{y + 60}", "+repage", "-scale", "1x1!"]
    convert = ["convert", "png:-", *crop, "-format", "%[fx:round(255*(u.b-u.r))]", "info:"]
    return int(subprocess.run(convert, input=shot, check=True, capture_output=True).stdout)


def thumbnails(app):
    """Running machines show their screens in the list, also those that are not selected; paused ones keep theirs."""
    app.find("grouping", "Alpha")
    before = blue(app)
    for name in ("Beta", "Gamma"):
        dormerctl("start", name, "--headless")
    app.find("list item", "Gamma, Running", 20)
    until("pictures in the list", 20, lambda: blue(app) > before + 5)
    app.activate("show-machine", f"[<'{uuid('Beta')}'>]")
    app.find("grouping", "Beta")
    app.window_action(1, "pause")
    app.find("list item", "Beta, Paused", 20)
    app.picture("thumbnails")
    app.activate("show-machine", f"[<'{uuid('Alpha')}'>]")
    dormerctl("power-off", "Beta")
    dormerctl("power-off", "Gamma")
    app.find("list item", "Gamma, Off", 20)
    until("end of the pictures", 10, lambda: blue(app) <= before + 1)


def files(app, iso):
    """A machine's file shows it, if it is in the library; an image opens New Machine."""
    run_again(str(data() / "dormer/machines/Beta/machine.toml"))
    app.find("grouping", "Beta")
    elsewhere = pathlib.Path(os.environ["HOME"]) / "machine.toml"
    shutil.copy(data() / "dormer/machines/Beta/machine.toml", elsewhere)
    run_again(str(elsewhere))
    app.wait_shown("is not in this computer's library")
    app.picture("file-elsewhere")
    app.key("Escape")
    app.wait_gone("is not in this computer's library")
    run_again(iso)
    app.wait_shown(pathlib.Path(iso).name, 20)
    app.key("Escape")
    app.wait_gone("Create")


def uuid(name):
    return json.loads(dormerctl("show", name, "--json"))["uuid"]


def launcher(app):
    """It starts its machine, has its name, and goes with it."""
    app.window()
    app.find("grouping", "Beta")
    app.window_action(1, "create-launcher")
    app.wait_shown("among your apps")
    app.picture("launcher")
    path = data() / f"applications/{APP}.machine-{uuid('Beta')}.desktop"
    command = re.search(r'^Exec="(.*)" (.*)$', path.read_text(), re.M)
    assert pathlib.Path(command[1]).name == "dormer", command
    run_again(*command[2].split())
    app.window("Beta")
    app.wait_focus(SCREEN, "Screen of Beta", 30)
    app.key("F4")
    app.find("label", "The Machine Is Off", 20)
    app.activate("show-window")
    app.window()
    dormerctl("rename", "Beta", "Beta two")
    assert "\nName=Beta two\n" in path.read_text()
    wrong = subprocess.run([os.environ["DORMER_APP"], "--machine", "x"], capture_output=True, text=True, timeout=20)
    assert wrong.returncode == 1 and "is no machine" in wrong.stderr, wrong


def notifications(app):
    """Of what happens while the person looks elsewhere, once."""
    heard = app.out / "notifications.txt"
    with open(heard, "w", encoding="utf-8") as file:
        service = subprocess.Popen([sys.executable, HERE / "notifications.py"], stdout=file)
    count = lambda words: heard.read_text(encoding="utf-8").count(words)
    try:
        names = ["gdbus", "call", "--session", "--dest", "org.freedesktop.DBus", "--object-path", "/org/freedesktop/DBus"]
        owner = [*names, "--method", "org.freedesktop.DBus.NameHasOwner", "org.freedesktop.Notifications"]
        until("notification service", 10, lambda: "true" in subprocess.run(owner, capture_output=True, text=True).stdout)

        # Not while the person looks.
        window = app.window()
        dormerctl("start", "Alpha", "--headless")
        app.find("list item", "Alpha, Running", 20)
        drive.end_engine(data() / "dormer/machines/Alpha/lock")
        app.find("list item", "Alpha, Off", 20)
        assert count("Alpha") == 0

        # It dies.
        dormerctl("start", "Alpha", "--headless")
        app.find("list item", "Alpha, Running", 20)
        hide(app)
        drive.end_engine(data() / "dormer/machines/Alpha/lock")
        until("notification of the end", 20, lambda: count("“Alpha” stopped unexpectedly"))

        # Its disk fails, again and again.
        run_again("--machine", uuid("Alpha"))
        app.enter("Alpha")
        app.key("F6")
        app.wait_shown("A disk failed")
        hide(app)
        until("notification of the disk", 20, lambda: count("A disk of “Alpha” failed: No room"))
        assert count("A disk of") == 1

        # What it leads to.
        app.activate("show-machine", f"[<'{uuid('Alpha')}'>]")
        app.enter("Alpha")
        app.key("F6")
        dormerctl("power-off", "Alpha")
        xdotool("windowmap", window)
    finally:
        service.kill()
        service.wait(10)


def hide(app):
    """Minimises all windows."""
    search = ["xdotool", "search", "--onlyvisible", "--name", "^(Dormer|Alpha|Beta two)$"]
    for window in subprocess.run(search, capture_output=True, text=True).stdout.split():
        xdotool("windowminimize", "--sync", window)


def cold(app):
    """A launcher's first act: the machine's console, and no other window."""
    number = uuid("Gamma")
    app.quit()
    app.process = subprocess.Popen([os.environ["DORMER_APP"], "--machine", number], stderr=app.log, stdout=app.log)
    app.enter("Gamma")
    search = ["xdotool", "search", "--onlyvisible", "--name", "^Dormer$"]
    assert not subprocess.run(search, capture_output=True, text=True).stdout
    app.picture("launched")
    app.quit()
    app.process = subprocess.Popen(
        [os.environ["DORMER_APP"], "--machine", "12345678-1234-4234-8234-123456789abc"], stderr=app.log, stdout=app.log
    )
    app.window()
    app.wait_shown("not on this computer any more", 20)


if __name__ == "__main__":
    sys.exit(drive.main(walk, __doc__))
