#!/usr/bin/python3
"""Dormer's main job, done through the app with a real machine: an empty library, New Machine, an installer's image, Create, the
installer's first page in the console window, keys typed there, its next page, and the machine listed as running.

Run by the end-to-end test `demo`, where KVM is. Pictures of every station stay in the output folder. Everything is done by the
app's accessibility tree and real key events; that the guest heard them is read off its own screen.
"""

import os
import pathlib
import subprocess
import sys
import time

import drive

NAME = "Demo"
BINARIES = pathlib.Path(os.environ.get("DORMER_BIN_DIR", drive.ROOT / "target/debug"))
os.environ.setdefault("DORMER_VM", str(BINARIES / "dormer-vm"))
os.environ.setdefault("DORMER_APP", str(BINARIES / "dormer"))


def dormerctl(*arguments):
    """Looks at the machine from outside the app."""
    return subprocess.run([BINARIES / "dormerctl", *arguments], capture_output=True, text=True, check=False)


def guest_shows(app, *words, seconds=600):
    """Waits until the guest's screen has one of these words, read off a screenshot."""
    shot, large = app.out / "guest.png", app.out / "guest-large.png"

    def probe():
        time.sleep(2)
        if dormerctl("screenshot", NAME, str(shot)).returncode != 0:
            return None
        subprocess.run(["convert", shot, "-negate", "-colorspace", "gray", "-resize", "250%", large], check=True)
        text = subprocess.run(["tesseract", large, "-", "--psm", "6"], capture_output=True, text=True, check=True).stdout
        return next((word for word in words if word.lower() in text.lower()), None)

    found = drive.until(f"guest that shows {' or '.join(words)}", seconds, probe)
    large.unlink()
    return found


def walk(app, arguments):
    app.find("label", "No Machines Yet", 60)
    app.picture("empty-library")
    app.press("New Machine…")
    app.find("button", "Create", 30)
    app.activate("new-from-file", f"[<'{arguments.iso}'>]")
    drive.until("recognised image", 120, lambda: app.shows("Installs") or app.shows("starts without"))
    app.entry("Name").set_text_contents(NAME)
    app.picture("new-machine")
    app.press("Create")

    app.window(NAME, 120)
    app.picture("starting")
    # Reading a screen takes long on an emulated processor; the serial line says when there is something to read.
    waited = dormerctl("wait", NAME, "--serial-text", "(?i)select a language|choose the language", "--timeout", "900")
    assert waited.returncode == 0, waited.stderr
    guest_shows(app, "Choose the language", "Select a language", "Language")
    app.picture("language-page")
    app.window(NAME)
    app.key("Return")
    guest_shows(app, "location")
    app.picture("location-page")

    app.window()
    app.find("label", "Running", 30)
    app.picture("listed-as-running")
    listed = dormerctl("list", "--json").stdout
    assert NAME in listed and "running" in listed, listed
    ended = dormerctl("power-off", NAME)
    assert ended.returncode == 0, ended.stderr
    app.window()
    app.picture("powered-off")


if __name__ == "__main__":
    sys.exit(drive.main(walk, __doc__))
