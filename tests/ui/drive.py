#!/usr/bin/python3
"""Drives the app by its accessibility tree and takes pictures of it.

Starts an X server without screen (Xvfb), a session bus and `dormer` on it, walks through the app as a person would, and leaves
a picture of every station in a folder. Machines are run by an engine without a machine (`cargo build -p dormer-console --example
engine`) unless DORMER_VM names another. Every wait has a limit; the exit status says whether all stations were reached.

    cargo build -p dormer-app -p dormer-nat && cargo build -p dormer-console --example engine
    tests/ui/drive.py --iso SOME.iso --out target/ui

Needs: xvfb xdotool imagemagick at-spi2-core dbus gir1.2-atspi-2.0 python3-gi, icons and fonts.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCREEN = "frame"  # so AT-SPI names GTK's role “application”
APP = "io.github.dormer_vm.Dormer"


def until(what, seconds, probe):
    """The first true answer of `probe`; ends the run when there is none in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = probe()
        if answer:
            return answer
        time.sleep(0.1)
    raise SystemExit(f"no {what} within {seconds} s")


def outside(arguments):
    """Makes the session and runs this script within it."""
    reader, writer = os.pipe()
    screen = ["Xvfb", "-displayfd", str(writer), "-screen", "0", arguments.screen, "-nolisten", "tcp", "-noreset"]
    server = subprocess.Popen(screen, pass_fds=[writer], stderr=subprocess.DEVNULL)
    os.close(writer)
    try:
        display = os.read(reader, 16).decode().strip()
        with tempfile.TemporaryDirectory(prefix="dormer-ui-") as home:
            os.mkdir(f"{home}/run", 0o700)
            target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
            environment = os.environ | {
                "DISPLAY": f":{display}",
                "HOME": home,
                "XDG_RUNTIME_DIR": f"{home}/run",
                "XDG_DATA_HOME": f"{home}/data",
                "XDG_CONFIG_HOME": f"{home}/config",
                "XDG_CACHE_HOME": f"{home}/cache",
                "GDK_BACKEND": "x11",
                "GSK_RENDERER": "cairo",
                "GTK_A11Y": "atspi",
                "GSETTINGS_BACKEND": "memory",
                "GTK_USE_PORTAL": "0",
                "LC_ALL": "C.UTF-8",
                "DORMER_LOG": os.environ.get("DORMER_LOG", "info"),
                "DORMER_VM": os.environ.get("DORMER_VM", str(target / "examples/engine")),
                "DORMER_APP": os.environ.get("DORMER_APP", str(target / "dormer")),
                "DORMER_UI_INSIDE": "1",
            }
            environment.pop("WAYLAND_DISPLAY", None)
            # Icons of the source tree, as if installed.
            environment["XDG_DATA_DIRS"] = f"{ROOT}/data:" + os.environ.get("XDG_DATA_DIRS", "/usr/local/share:/usr/share")
            return subprocess.call(["dbus-run-session", "--", sys.executable, *sys.argv], env=environment)
    finally:
        server.terminate()
        server.wait(10)


class App:
    """The running app, seen by AT-SPI, xdotool and D-Bus."""

    def __init__(self, out):
        import gi

        gi.require_version("Atspi", "2.0")
        from gi.repository import Atspi

        self.atspi = Atspi
        Atspi.init()
        self.out = pathlib.Path(out)
        self.out.mkdir(parents=True, exist_ok=True)
        self.number = 0
        self.log = open(self.out / "dormer.log", "w", encoding="utf-8")
        self.process = subprocess.Popen([os.environ["DORMER_APP"]], stderr=self.log, stdout=self.log)
        self.window()

    def window(self, name="Dormer", seconds=30):
        """Waits for a window with this title, gives it the focus (there is no window manager), and returns its X id."""

        def probe():
            if self.process.poll() is not None:
                raise SystemExit(f"dormer ended with status {self.process.returncode}")
            found = subprocess.run(
                ["xdotool", "search", "--onlyvisible", "--name", f"^{name}$"], capture_output=True, text=True
            ).stdout.split()
            return found[-1] if found else None

        window = until(f"window “{name}”", seconds, probe)
        subprocess.run(["xdotool", "windowraise", window, "windowfocus", "--sync", window], check=True)
        return window

    def nodes(self):
        """All nodes of the app's accessibility tree."""
        desktop = self.atspi.get_desktop(0)
        for index in range(desktop.get_child_count()):
            application = desktop.get_child_at_index(index)
            if application and application.get_process_id() == self.process.pid:
                yield from self.below(application)

    def below(self, node):
        yield node
        for index in range(node.get_child_count()):
            child = node.get_child_at_index(index)
            if child:
                yield from self.below(child)

    def find(self, role, name, seconds=10):
        """The visible node of this role and name."""

        def probe():
            from gi.repository import GLib

            try:
                for node in self.nodes():
                    # “push button” before AT-SPI 2.55
                    if node.get_role_name().removeprefix("push ") == role and name in (node.get_name() or ""):
                        if node.get_state_set().contains(self.atspi.StateType.SHOWING):
                            return node
            except GLib.Error:
                pass  # the tree changed while it was read
            return None

        return until(f"{role} “{name}”", seconds, probe)

    def press(self, name, role="button"):
        self.find(role, name).do_action(0)

    def key(self, *keys):
        subprocess.run(["xdotool", "key", "--delay", "60", *keys], check=True)

    def move(self, x, y):
        subprocess.run(["xdotool", "mousemove", str(x), str(y)], check=True)

    def activate(self, action, parameter="[]", path=None):
        """Activates an exported action of the application."""
        path = path or "/" + APP.replace(".", "/")
        call = ["gdbus", "call", "--session", "--dest", APP, "--object-path", path]
        subprocess.run(
            [*call, "--method", "org.gtk.Actions.Activate", action, parameter, "{}"], check=True, capture_output=True
        )

    def window_action(self, number, action, parameter="[]"):
        self.activate(action, parameter, f"/{APP.replace('.', '/')}/window/{number}")

    def close(self):
        """Closes the console by the button in its header bar."""
        frame = self.find("frame", "Little machine")
        close = (node for node in self.below(frame) if node.get_name() == "Close" and node.get_role_name().endswith("button"))
        next(node for node in close if node.get_state_set().contains(self.atspi.StateType.SHOWING)).do_action(0)
        search = ["xdotool", "search", "--onlyvisible", "--name", "^Little machine$"]
        until("closed console", 10, lambda: not subprocess.run(search, capture_output=True).stdout)

    def picture(self, name):
        time.sleep(0.8)  # for animations
        self.number += 1
        path = self.out / f"{self.number:02}-{name}.png"
        subprocess.run(["import", "-window", "root", str(path)], check=True)
        print(path, flush=True)

    def tree(self, name):
        """Writes the accessibility tree down."""
        with open(self.out / f"{name}.txt", "w", encoding="utf-8") as file:

            def write(node, depth):
                file.write(f"{'  ' * depth}{node.get_role_name()} “{node.get_name()}”\n")
                for index in range(node.get_child_count()):
                    child = node.get_child_at_index(index)
                    if child:
                        write(child, depth + 1)

            desktop = self.atspi.get_desktop(0)
            for index in range(desktop.get_child_count()):
                application = desktop.get_child_at_index(index)
                if application and application.get_process_id() == self.process.pid:
                    write(application, 0)

    def quit(self):
        self.activate("quit")
        until("end of dormer", 10, lambda: self.process.poll() is not None)


def inside(arguments, walk):
    app = App(arguments.out)
    try:
        walk(app, arguments)
        app.quit()
    except BaseException:
        app.picture("failed")
        app.tree("failed")
        raise
    finally:
        if app.process.poll() is None:
            app.process.kill()
        # Engines outlive the app; those of this run are its children's children, known by their locks.
        for lock in pathlib.Path(os.environ["XDG_DATA_HOME"]).glob("dormer/machines/*/lock"):
            end_engine(lock)
            for log in (lock.parent / "logs").glob("*"):
                shutil.copy(log, app.out / f"{lock.parent.name}-{log.name}")
        print(f"dormer ended with status {app.process.wait(10)}")


def end_engine(lock):
    import json
    import signal

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
    until("recognised image", 20, lambda: any(n.get_name().startswith("Installs") or "starts without" in n.get_name() for n in app.nodes()))
    app.picture("new-image")
    app.tree("new")
    entry = next(n for n in app.below(app.find("list item", "Name")) if "EditableText" in n.get_interfaces())
    entry.set_text_contents("Little machine")
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
    subprocess.run(["xdotool", "mousemove", "640", "500", "click", "1"], check=True)
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
    app.close()
    app.window()
    app.find("label", "keeps running")
    app.picture("page-running")
    app.tree("page")
    app.press("Machine Menu", "toggle button")
    app.picture("page-menu")
    app.key("Escape")

    # The narrowest window.
    window = app.window()
    subprocess.run(["xdotool", "windowsize", "--sync", window, "400", "700"], check=True)
    app.picture("page-narrow")
    app.press("Back")
    app.picture("list-narrow")
    subprocess.run(["xdotool", "windowsize", "--sync", window, "960", "680"], check=True)
    time.sleep(1)

    # The guest turns itself off; then an engine dies.
    app.window_action(1, "open")
    app.window("Little machine")
    app.find(SCREEN, "Screen of")
    app.key("F4")
    app.find("label", "The Machine Is Off")
    app.picture("console-off")
    app.press("Start Again")
    app.find(SCREEN, "Screen of")
    time.sleep(1)
    app.window("Little machine")
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
    app.window_action(1, "about")
    app.picture("about")
    app.key("Escape")
    app.window_action(1, "delete")
    app.find("button", "Delete")
    app.picture("delete")
    app.press("Delete")
    app.find("label", "No Machines Yet")
    app.picture("deleted")


def main(walk, about):
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iso", required=True, help="an installer or live system")
    parser.add_argument("--out", default=str(ROOT / "target/ui"), help="where pictures go")
    parser.add_argument("--screen", default="1400x1000x24", help="the X server's screen")
    arguments = parser.parse_args()
    arguments.iso = str(pathlib.Path(arguments.iso).resolve())
    if os.environ.get("DORMER_UI_INSIDE"):
        inside(arguments, walk)
        return 0
    return outside(arguments)


if __name__ == "__main__":
    sys.exit(main(walk, __doc__))
