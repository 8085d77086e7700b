"""A session of its own for the app: a home, a bus, and an X server without screen, with a window manager."""

import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from gi.repository import GLib

# Every limit so many times over: a busy computer is slow, not wrong.
PATIENCE = 3
ROOT = pathlib.Path(__file__).resolve().parents[2]


def until(what, seconds, probe):
    """The first true answer of `probe`; ends the run when there is none in `seconds` of a computer with time.

    A tree that changes while it is read, or a service that is yet to come, answers by GLib's errors.
    """
    end = time.monotonic() + seconds * PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(GLib.Error):
            answer = probe()
            if answer:
                return answer
        time.sleep(0.1)
    raise SystemExit(f"no {what} within {seconds} s")


def whole_lines(log):
    """The lines of a file, without one that is still being written."""
    return log.read_text(encoding="utf-8").split("\n")[:-1]


def environment(home):
    """What a program finds whose home is this folder: nothing of the person's who runs the tests."""
    os.mkdir(f"{home}/run", 0o700)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
    # Icons of the source tree, as if installed.
    shared = f"{ROOT}/data:" + os.environ.get("XDG_DATA_DIRS", "/usr/local/share:/usr/share")
    outer = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY")}
    return outer | {
        "HOME": home,
        "XDG_RUNTIME_DIR": f"{home}/run",
        "XDG_DATA_HOME": f"{home}/data",
        "XDG_CONFIG_HOME": f"{home}/config",
        "XDG_CACHE_HOME": f"{home}/cache",
        "XDG_DATA_DIRS": shared,
        "GSK_RENDERER": "cairo",
        "GTK_A11Y": "atspi",
        # A file below the home, $XDG_CONFIG_HOME/glib-2.0/settings/keyfile.
        "GSETTINGS_BACKEND": "keyfile",
        "GTK_USE_PORTAL": "0",
        "LC_ALL": "C.UTF-8",
        "DORMER_LOG": os.environ.get("DORMER_LOG", "info"),
        "DORMER_VM": os.environ.get("DORMER_VM", str(target / "examples/engine")),
        "DORMER_APP": os.environ.get("DORMER_APP", str(target / "dormer")),
        "DORMER_UI_INSIDE": "1",
    }


def again(inside):
    """Runs this script again, with this environment and a bus of its own."""
    return subprocess.call(["dbus-run-session", "--", sys.executable, *sys.argv], env=inside)


def on_x11(size):
    """Runs this script again on an X server of its own."""
    reader, writer = os.pipe()
    screen = ["Xvfb", "-displayfd", str(writer), "-screen", "0", size, "-nolisten", "tcp", "-noreset"]
    server = subprocess.Popen(screen, pass_fds=[writer], stderr=subprocess.DEVNULL)
    os.close(writer)
    try:
        display = os.read(reader, 16).decode().strip()
        with tempfile.TemporaryDirectory(prefix="dormer-ui-") as home:
            inside = environment(home) | {"DISPLAY": f":{display}", "GDK_BACKEND": "x11"}
            with window_manager(inside):
                return again(inside)
    finally:
        end(server)


def end(process):
    """Ends a part of the desktop; one that does not listen is no fault of the app's."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)


@contextlib.contextmanager
def window_manager(inside):
    """A window manager: focus, full screen and keyboard grabs are its business."""
    configuration = pathlib.Path(__file__).with_name("openbox.xml")
    arguments = ["openbox", "--sm-disable", "--config-file", configuration]
    manager = subprocess.Popen(arguments, env=inside, stderr=subprocess.DEVNULL)
    try:
        ask = ["xprop", "-root", "_NET_SUPPORTING_WM_CHECK"]
        answer = lambda: subprocess.run(ask, env=inside, capture_output=True, text=True).stdout
        until("window manager", 20, lambda: "window id" in answer())
        yield
    finally:
        end(manager)
