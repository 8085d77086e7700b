#!/usr/bin/python3
"""A whole installation through the app: a live system's image, New Machine, Create, the desktop in the console window, its terminal
clicked and typed in there, the system installed onto the machine's disk, and the installed system started from it to its login.

Run by the end-to-end test `installation`, where KVM is. Pictures of every station stay in the output folder. The mouse and the keys
are real ones in the console window; how far the guest has come is read off its serial port.
"""

import sys

import drive
from app import SCREEN
from desktop import xdotool
from machine import Machine

# The terminal's place in the task bar of the live desktop, from the left and from the lower edge: the browser covers the terminal itself,
# and comes after it (tests/media/live-desktop.sh).
TERMINAL = (385, -13)


def enter(line):
    """Types a line. Its end is a key of its own: what xdotool types for a line feed is the key Linefeed, which consoles do not know."""
    xdotool("type", "--delay", 60, line)
    xdotool("key", "Return")


def walk(app, arguments):
    machine = Machine(app, "Installed")
    app.find("label", "No Machines Yet", 60)
    app.press("New Machine…")
    app.find("button", "Create", 30)
    app.activate("new-from-file", f"[<'{arguments.iso}'>]")
    app.wait_image(120)
    app.write("Name", machine.name)
    app.picture("new-machine")
    app.press("Create")

    app.window(machine.name, 120)
    machine.wait_serial("DESKTOP-UP", 1800)
    app.picture("live-desktop")
    app.window(machine.name)
    machine.point_at(*TERMINAL)
    xdotool("click", 1)
    machine.wait_read("Linux live", "PREEMPT", seconds=120)
    app.picture("terminal")
    app.window(machine.name)
    enter("sudo install-to-disk /dev/[sv]da")
    machine.wait_serial("INSTALL partitions", 300)
    app.picture("installing")
    machine.wait_serial("INSTALL (done|failed)", 5400)
    app.picture("installed")
    assert "INSTALL done" in machine.dormerctl("serial")
    enter("sudo systemctl poweroff")
    app.find("label", "The Machine Is Off", 900)
    app.picture("off")

    # Whatever is in its CD drive, the machine starts from its own disk because something is on it now.
    app.press("Start Again")
    app.find(SCREEN, f"Screen of {machine.name}", 60)
    app.window(machine.name)
    machine.wait_serial("installed login: $", 1800)
    machine.wait_read("installed login")
    app.picture("login")
    app.window(machine.name)
    enter("root")
    machine.wait_read("Password")
    enter("root")
    machine.wait_read("root@installed")
    enter("findmnt -no SOURCE / > /dev/ttyS0")
    machine.wait_serial("/dev/[sv]da2", 300)
    app.picture("logged-in")


if __name__ == "__main__":
    sys.exit(drive.main(walk, __doc__))
