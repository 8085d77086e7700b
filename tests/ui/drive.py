#!/usr/bin/python3
"""Drives the app by its accessibility tree and takes pictures of it.

Starts an X server without screen (Xvfb), a session bus and `dormer` on it, walks through the app as a person would, and leaves
a picture of every station in a folder. Machines are run by an engine without a machine (`cargo build -p dormer-console --example
engine`) unless DORMER_VM names another. Every wait has a limit; the exit status says whether all stations were reached.

    cargo build -p dormer-app -p dormer-nat && cargo build -p dormer-console --example engine
    tests/ui/drive.py --iso SOME.iso --out target/ui

Needs: xvfb openbox x11-utils xdotool imagemagick xorriso at-spi2-core dbus gir1.2-atspi-2.0 gir1.2-gtk-4.0 python3-gi, icons and fonts.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

import session
from app import SCREEN, App
from desktop import xdotool
from session import ROOT, until


def bootable_iso(path, name="DORMER_TEST"):
    """Makes an image that something could start from."""
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "boot.bin").write_bytes(b"\xeb\xfe".ljust(2048, b"\0"))
        boot = ["-b", "boot.bin", "-no-emul-boot", "-boot-load-size", "4"]
        subprocess.run(["xorriso", "-as", "mkisofs", "-V", name, *boot, "-o", path, folder], check=True, capture_output=True)
    return str(path)


def inside(app, arguments, walk):
    """Walks through the app, and leaves nothing running."""
    try:
        walk(app, arguments)
        if app.process.poll() is None:
            app.quit()
    except BaseException:
        app.picture("failed")
        app.tree("failed")
        raise
    finally:
        app.end()
        # Engines outlive the app; those of this run are its children's children, known by their locks.
        for lock in pathlib.Path(os.environ["XDG_DATA_HOME"]).glob("dormer/machines/*/lock"):
            end_engine(lock)
            for log in (lock.parent / "logs").glob("*"):
                shutil.copy(log, app.out / f"{lock.parent.name}-{log.name}")
        print(f"dormer ended with status {app.process.returncode}")


def end_engine(lock):
    pid = json.loads(lock.read_text()).get("pid")
    try:
        if pathlib.Path(f"/proc/{pid}/exe").readlink() == pathlib.Path(os.environ["DORMER_VM"]).resolve():
            os.kill(pid, signal.SIGTERM)
    except OSError:
        pass  # it has ended


def walk(app, arguments):
    app.find("label", "No Machines Yet")
    app.picture("empty")

    # A new machine, first without an image, then with one.
    app.press("New Machine…")
    app.find("button", "Create")
    app.picture("new")
    app.activate("new-from-file", "[<'/etc/passwd'>]")
    app.find("label", "neither an ISO")
    app.picture("new-bad-image")
    app.activate("new-from-file", f"[<'{arguments.iso}'>]")
    app.wait_image(20)
    app.picture("new-image")
    app.tree("new")
    app.write("Name", "Little machine")
    app.press("Create")

    # It starts, and its console opens.
    app.window("Little machine")
    app.move(700, 500)
    app.picture("console")
    app.tree("console")
    app.key("a", "Shift+b")
    app.press("Send Keys", "toggle button")
    app.picture("console-keys")
    app.key("Escape")
    app.window_action(2, "pause")
    app.picture("console-paused")
    app.window_action(2, "pause")
    app.window("Little machine")
    app.key("F2")
    app.picture("console-text-mode")
    app.key("F2")
    app.picture("console-larger")
    app.key("F1")
    app.move(640, 500)
    xdotool("click", 1)
    app.picture("console-captured")
    app.key("ctrl+alt+g")
    app.key("F1")
    app.key("F3")
    app.picture("console-dark")
    app.key("F3")

    # Back to the list: it keeps running, and its page shows its screen.
    app.window("Little machine")
    app.window_action(2, "release-input")
    app.picture("console-released")
    app.close(running=True)
    app.window()
    app.find("label", "keeps running")
    app.picture("page-running")
    app.tree("page")
    app.press("Machine Menu", "toggle button")
    app.picture("page-menu")
    app.key("Escape")

    # The narrowest window.
    window = app.window()
    xdotool("windowsize", "--sync", window, 400, 700)
    app.picture("page-narrow")
    app.press("Back")
    app.picture("list-narrow")
    xdotool("windowsize", "--sync", window, 960, 680)

    # The guest turns itself off; then an engine dies.
    app.window_action(1, "open")
    app.window("Little machine")
    app.wait_focus(SCREEN, "Screen of")
    app.key("F4")
    app.find("label", "The Machine Is Off")
    app.picture("console-off")
    app.press("Start Again")
    app.find(SCREEN, "Screen of")
    app.window("Little machine")
    app.wait_focus(SCREEN, "Screen of")
    app.key("F5")
    app.find("label", "The Machine Has Stopped")
    app.picture("console-died")
    app.close()

    # What is left: help, about, delete.
    app.window()
    app.picture("page-off")
    app.key("ctrl+question")
    app.picture("shortcuts")
    app.key("Escape")
    app.window()
    app.key("F1")
    app.find("dialog", "Help")
    app.picture("help")
    app.key("Escape")
    app.window_action(1, "about")
    app.picture("about")
    app.key("Escape")
    app.window_action(1, "delete")
    app.find("button", "Delete")
    app.picture("delete")
    app.press("Delete")
    app.find("label", "No Machines Yet")
    app.picture("deleted")


def main(walk, about, begin=session.on_x11, app=App):
    """The command line: begins a session and walks through the app in it."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iso", help="an installer or live system, in place of one made for the walk")
    parser.add_argument("--out", default=str(ROOT / "target/ui"), help="where pictures go")
    parser.add_argument("--screen", default="1400x1000x24", help="the X server's screen")
    arguments = parser.parse_args()
    if arguments.iso:
        arguments.iso = str(pathlib.Path(arguments.iso).resolve())
    if os.environ.get("DORMER_UI_INSIDE"):
        arguments.iso = arguments.iso or bootable_iso(pathlib.Path(os.environ["HOME"]) / "test.iso")
        inside(app(arguments.out), arguments, walk)
        return 0
    return begin(arguments.screen)


if __name__ == "__main__":
    sys.exit(main(walk, __doc__))
