"""The running app, seen by AT-SPI, xdotool and D-Bus, and what its engine hears."""

import contextlib
import os
import pathlib
import subprocess
import time

from desktop import xdotool
from session import until, whole_lines

SCREEN = "frame"  # so AT-SPI names GTK's role “application”
APP = "io.github.dormer_vm.Dormer"
# What a person can do something with: a screen reader has nothing to say when one of them has no name.
CONTROLS = {
    "button", "push button", "toggle button", "menu button", "check box", "radio button", "switch", "text", "entry", "password text",
    "spin button", "slider", "combo box", "list item", "menu item", "check menu item", "radio menu item", "link", "page tab", SCREEN,
}
ROWS = {"list item", "menu item", "check menu item", "radio menu item"}


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
        """Waits for a window with this title, gives it the focus, and returns its X id."""

        def probe():
            if self.process.poll() is not None:
                raise SystemExit(f"dormer ended with status {self.process.returncode}")
            found = subprocess.run(
                ["xdotool", "search", "--onlyvisible", "--name", f"^{name}$"], capture_output=True, text=True
            ).stdout.split()
            return found[-1] if found else None

        window = until(f"window “{name}”", seconds, probe)
        xdotool("windowactivate", "--sync", window)
        return window

    def nodes(self, newest_first=False):
        """All nodes of the app's accessibility tree."""
        desktop = self.atspi.get_desktop(0)
        for index in range(desktop.get_child_count()):
            application = desktop.get_child_at_index(index)
            if application and application.get_process_id() == self.process.pid:
                yield from self.below(application, newest_first)

    def below(self, node, newest_first=False):
        """It and all nodes below, but for those that go meanwhile. What lies upon others comes last, or first."""
        from gi.repository import GLib

        try:
            node.get_name()
            children = [node.get_child_at_index(index) for index in range(node.get_child_count())]
        except GLib.Error:
            return
        yield node
        for child in filter(None, reversed(children) if newest_first else children):
            yield from self.below(child, newest_first)

    def still(self, look, seconds=10):
        """What `look` finds in the tree, once that did not change while it was read."""
        return until("tree that stands still", seconds, lambda: (look(),))[0]

    def find(self, role, name, seconds=10, within=None):
        """The visible node of this role and name."""

        def probe():
            for node in self.below(self.find(*within)) if within else self.nodes():
                # “push button” before AT-SPI 2.55
                if node.get_role_name().removeprefix("push ") == role and name in (node.get_name() or ""):
                    if self.is_shown(node):
                        return node
            return None

        return until(f"{role} “{name}”", seconds, probe)

    def press(self, name, role="button", within=None):
        """Presses a button, the first of that name, in the first node of role and name `within`."""
        self.still(lambda: self.find(role, name, within=within).do_action(0))

    def key(self, *keys):
        xdotool("key", "--delay", "60", *keys)

    def move(self, x, y):
        xdotool("mousemove", x, y)

    def is_shown(self, node):
        return node.get_state_set().contains(self.atspi.StateType.SHOWING)

    def shows(self, text):
        """Is there anything to be seen whose name has this text?"""
        from gi.repository import GLib

        def has(node):
            try:
                return text in (node.get_name() or "") and self.is_shown(node)
            except GLib.Error:
                return False  # it has just gone

        # A toast goes by itself after five seconds, in which a busy computer does not read the whole tree.
        return any(map(has, self.nodes(newest_first=True)))

    def wait_shown(self, text, seconds=10):
        until(f"sight of “{text}”", seconds, lambda: self.shows(text))

    def wait_gone(self, text, seconds=10):
        until(f"end of “{text}”", seconds, lambda: not self.shows(text))

    def focus(self):
        """The role and name of what has the keyboard's focus."""
        from gi.repository import GLib

        try:
            for node in self.nodes():
                if node.get_state_set().contains(self.atspi.StateType.FOCUSED) and self.is_shown(node):
                    return node.get_role_name().removeprefix("push "), node.get_name() or ""
        except GLib.Error:
            pass  # the tree changed while it was read
        return None

    def wait_focus(self, role, name, seconds=10):
        def there():
            focus = self.focus()
            return focus and focus[0] == role and name in focus[1]

        until(f"focus on {role} “{name}”", seconds, there)

    def entry(self, row):
        """The text field of a row."""
        fields = lambda: [node for node in self.below(self.find("list item", row)) if "EditableText" in node.get_interfaces()]
        return until(f"field “{row}”", 10, lambda: self.still(fields))[0]

    def write(self, row, text):
        """Puts a text into the field of a row."""
        self.still(lambda: self.entry(row).set_text_contents(text))

    def spin(self, row, value):
        """Puts a number into a row."""
        self.still(lambda: self.find("spin button", row).get_value_iface().set_current_value(value))

    def wait_image(self, seconds):
        """Waits until the New Machine page has looked at its image and found it good."""
        words = ("Installs", "starts without", "Can be started from")
        until("look at the image", seconds, lambda: any(self.shows(word) for word in words))

    def create(self, iso, name):
        """Makes a machine in the app's own way and waits for its screen."""
        self.activate("new-from-file", f"[<'{iso}'>]")
        self.wait_image(30)
        self.entry("Name").set_text_contents(name)
        self.press("Create")
        self.find(SCREEN, f"Screen of {name}", 30)

    def enter(self, name):
        """Goes to a machine's console, as far as keys that are typed now reach the machine."""
        self.window(name)
        self.wait_focus(SCREEN, f"Screen of {name}")

    def heard(self):
        """What the stand-in engine heard so far: a line for each message."""
        logs = pathlib.Path(os.environ["XDG_DATA_HOME"]).glob("dormer/machines/*/logs/engine.log")
        return [line for log in logs for line in whole_lines(log)]

    def wait_heard(self, since, *lines, seconds=10):
        """Waits until the engine has heard these lines, in this order, after `since` others."""

        def there():
            heard = iter(self.heard()[since:])
            return all(any(line in other for other in heard) for line in lines)

        until(f"engine that hears {lines}", seconds, there)

    def activate(self, action, parameter="[]", path=None):
        """Activates an exported action of the application."""
        path = path or "/" + APP.replace(".", "/")
        call = ["gdbus", "call", "--session", "--dest", APP, "--object-path", path]
        subprocess.run(
            [*call, "--method", "org.gtk.Actions.Activate", action, parameter, "{}"], check=True, capture_output=True
        )

    def window_action(self, number, action, parameter="[]"):
        self.activate(action, parameter, f"/{APP.replace('.', '/')}/window/{number}")

    def enabled(self, number, action):
        """Can this action of a window be asked for just now?"""
        call = ["gdbus", "call", "--session", "--dest", APP, "--object-path", f"/{APP.replace('.', '/')}/window/{number}"]
        call += ["--method", "org.gtk.Actions.Describe", action]
        return subprocess.run(call, check=True, capture_output=True, text=True).stdout.startswith("((true")

    def press_close(self, name):
        """Presses the button that closes this window, in its header bar."""
        frame = self.find("frame", name)
        close = (node for node in self.below(frame) if node.get_name() == "Close" and node.get_role_name().endswith("button"))
        next(node for node in close if self.is_shown(node)).do_action(0)

    def wait_closed(self, name):
        search = ["xdotool", "search", "--onlyvisible", "--name", f"^{name}$"]
        until("closed console", 10, lambda: not subprocess.run(search, capture_output=True).stdout)

    def close(self, running=False):
        """Closes the console; its machine keeps running, if it does."""
        self.press_close("Little machine")
        if running:
            self.press("Keep Running")
        self.wait_closed("Little machine")

    def movement(self, since):
        """How far the engine heard the mouse move, after `since` messages."""
        lines = [line for line in self.heard()[since:] if line.startswith("PointerMotion")]
        pairs = [[int(part.split(":")[1].strip(" }")) for part in line.split(",")] for line in lines]
        return sum(dx for dx, _ in pairs), sum(dy for _, dy in pairs)

    def items(self, menu):
        return (node for node in self.below(menu) if node.get_role_name() in ROWS)

    def unnamed(self):
        """The controls to be seen that a screen reader could not name, each by the way to it."""
        return self.still(self._unnamed)

    def _unnamed(self):
        found = []

        def is_named(node):
            if (node.get_name() or "").strip():
                return True
            # A row is read by what stands in it.
            return node.get_role_name() in ROWS and any((inner.get_name() or "").strip() for inner in self.below(node))

        def look(node, way):
            if not self.is_shown(node):
                return
            role, name = node.get_role_name(), node.get_name()
            way = [*way, f"{role} “{name}”"] if name else way
            # What is in a list to choose from is the toolkit's, and read by it; the items of a menu get their names when it opens.
            if (role == "combo box" and name) or (role == "menu" and not any(inner.get_name() for inner in self.items(node))):
                return
            if role in CONTROLS and not is_named(node):
                found.append(" / ".join([*way, role]))
            for index in range(node.get_child_count()):
                child = node.get_child_at_index(index)
                if child:
                    look(child, way)

        desktop = self.atspi.get_desktop(0)
        for index in range(desktop.get_child_count()):
            application = desktop.get_child_at_index(index)
            if application and application.get_process_id() == self.process.pid:
                for frame in range(application.get_child_count()):
                    look(application.get_child_at_index(frame), [])
        return found

    def picture(self, name):
        time.sleep(0.8)  # for animations
        unnamed = self.unnamed()
        assert not unnamed, f"{name}: a screen reader has no name for {unnamed}"
        self.number += 1
        path = self.out / f"{self.number:02}-{name}.png"
        subprocess.run(["import", "-window", "root", str(path)], check=True)
        print(path, flush=True)

    def tree(self, name):
        """Writes the accessibility tree down."""
        from gi.repository import GLib

        with open(self.out / f"{name}.txt", "w", encoding="utf-8") as file:

            def write(node, depth):
                with contextlib.suppress(GLib.Error):  # it has just gone
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
        """Ends the app; machines that run keep running."""
        if self.process.poll() is not None:
            return
        self.activate("quit")
        ended = lambda: self.process.poll() is not None
        until("end of dormer, or its question", 10, lambda: ended() or self.shows("Quit Dormer?"))
        if not ended():
            self.press("Quit")
        until("end of dormer", 10, ended)

    def end(self):
        """Leaves nothing running, whatever happened."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
