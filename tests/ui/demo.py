#!/usr/bin/python3
"""Dormer's main job, done through the app with a real machine: an empty library, New Machine, an installer's image, Create, the
installer's first page in the console window, keys typed there, its next page, and the machine listed as running.

Run by the end-to-end test `demo`, where KVM is. Pictures of every station stay in the output folder. Everything is done by the
app's accessibility tree and real key events; that the guest heard them is read off its own screen.
"""

import subprocess
import sys

import drive
from machine import BINARIES, Machine


def walk(app, arguments):
    machine = Machine(app, "Demo")
    app.find("label", "No Machines Yet", 60)
    app.picture("empty-library")
    app.press("New Machine…")
    app.find("button", "Create", 30)
    app.activate("new-from-file", f"[<'{arguments.iso}'>]")
    app.wait_image(120)
    app.write("Name", machine.name)
    app.picture("new-machine")
    app.press("Create")

    app.window(machine.name, 120)
    app.picture("starting")
    # Reading a screen takes long on an emulated processor; the serial line says when there is something to read.
    machine.wait_serial("(?i)select a language|choose the language", 900)
    # A page's title, and what it asks.
    machine.wait_read("Choose the language", "Select a language", part="30%")
    app.picture("language-page")
    app.window(machine.name)
    app.key("Return")
    machine.wait_read("location", part="30%")
    app.picture("location-page")

    app.window()
    app.find("label", "Running", 30)
    app.picture("listed-as-running")
    listed = subprocess.run([BINARIES / "dormerctl", "list", "--json"], capture_output=True, text=True).stdout
    assert machine.name in listed and "running" in listed, listed
    machine.dormerctl("power-off")
    app.window()
    app.picture("powered-off")


if __name__ == "__main__":
    sys.exit(drive.main(walk, __doc__))
