"""The X desktop around the app: pointer, keys, windows, and files that are dragged."""

import contextlib
import pathlib
import subprocess
import sys

from session import until

ROW_DROP_HERE = "#3584E4"  # the accent colour, as rows of lists have it around them
DROP_HERE = "#0461BE"  # the accent colour, as text has it


def xdotool(*arguments):
    return subprocess.run(["xdotool", *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def geometry(window):
    """Where a window is: x, y, width, height."""
    lines = xdotool("getwindowgeometry", "--shell", window).split()
    values = dict(line.split("=") for line in lines)
    return tuple(int(values[key]) for key in ("X", "Y", "WIDTH", "HEIGHT"))


def marked(colour=DROP_HERE, part=()):
    """How many pixels of the screen, or of a part of it, have the colour that says: drop it here?"""
    crop = ["-crop", "{2}x{3}+{0}+{1}".format(*part), "+repage"] if part else []
    shot = subprocess.run(["import", "-window", "root", *crop, "png:-"], check=True, capture_output=True).stdout
    only = ["-fuzz", "1%", "-fill", "black", "+opaque", colour, "-fill", "white", "-opaque", colour]
    count = ["convert", "png:-", *only, "-format", "%[fx:mean*w*h]", "info:"]
    return float(subprocess.run(count, input=shot, check=True, capture_output=True).stdout)


def drop(file, to, seen):
    """Drops a file there, as often as it takes until `seen`.

    GTK on X11 as a source sends a time of chance with what is dropped (its signal drop-performed lacks the argument), and does not
    give the file away where that lies before the drag began.
    """
    for _ in range(8):
        with drag(file, to):
            try:
                return until("answer to what was dropped", 5, seen)
            except SystemExit:
                pass
    raise SystemExit(f"no answer to {file}, dropped again and again")


@contextlib.contextmanager
def drag(file, to):
    """Drags a file out of another program's window and lets go of it there."""
    source = subprocess.Popen([sys.executable, pathlib.Path(__file__).with_name("drag.py"), file])
    try:
        search = ["xdotool", "search", "--onlyvisible", "--name", "^A file to drag$"]
        found = lambda: subprocess.run(search, capture_output=True, text=True).stdout.split()
        window = until("file to drag", 20, found)[0]
        xdotool("windowmove", "--sync", window, 1250, 850)
        x, y, _, _ = geometry(window)
        xdotool("mousemove", x + 60, y + 60, "mousedown", 1)
        for step in range(1, 11):
            xdotool("mousemove", x + 60 - 4 * step, y + 60)
        before = marked()
        steps = iter(range(1 << 16))

        def over():
            # It is taken where it moves.
            xdotool("mousemove", to[0] + next(steps) % 2, to[1])
            return marked() > before + 100

        until("place that takes the file", 20, over)
        xdotool("mouseup", 1)
        yield
    finally:
        source.terminate()
        source.wait(10)
