"""A machine with a stand-in engine in the library of a session of its own, and the viewers that show it."""

import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import drive
import session
from session import until

NAME = "Little machine"
PROGRAMS = pathlib.Path(os.environ.get("DORMER_APP", session.ROOT / "target/debug/dormer")).parent


class Machine:
    """The machine, by `dormerctl`."""

    def __init__(self, out):
        self.out = pathlib.Path(out)
        self.out.mkdir(parents=True, exist_ok=True)
        self.viewers = []
        self.iso = drive.bootable_iso(pathlib.Path(os.environ["HOME"]) / "test.iso")
        # Without a network, whose helper would be one more thing to go wrong.
        self.dormerctl("create", NAME, "--iso", self.iso, "--disk", "none", "--profile", "legacy")

    def run(self, *arguments, **environment):
        """Runs `dormerctl`; what it did."""
        without = {name for name, value in environment.items() if value is None}
        inside = {name: value for name, value in (os.environ | environment).items() if name not in without}
        return subprocess.run(
            [PROGRAMS / "dormerctl", *arguments], capture_output=True, text=True, env=inside, timeout=60
        )

    def dormerctl(self, *arguments):
        """What it prints; it must succeed."""
        done = self.run(*arguments)
        assert done.returncode == 0, f"dormerctl {arguments}: {done.stderr}"
        return done.stdout

    def fails(self, words, *arguments, **environment):
        """It fails with one sentence that has these words in it."""
        done = self.run(*arguments, **environment)
        lines = done.stderr.splitlines()
        assert done.returncode == 1 and len(lines) == 1 and words in lines[0], f"{arguments}: {done}"
        print(lines[0], flush=True)

    def view(self, *options, log=subprocess.PIPE, **environment):
        """A viewer that this process waits for."""
        command = [PROGRAMS / "dormerctl", "view", NAME, *options]
        viewer = subprocess.Popen(command, stderr=log, text=True, env=os.environ | environment)
        self.viewers.append(viewer)
        return viewer

    def ended(self, viewer):
        """The status and the words of a viewer that ends."""
        _, words = viewer.communicate(timeout=20)
        return viewer.returncode, words

    def state(self):
        return json.loads(self.dormerctl("show", NAME, "--json"))["state"]

    def heard(self):
        """What the engine heard since it was started first: a line for each message."""
        log = next(pathlib.Path(os.environ["XDG_DATA_HOME"]).glob("dormer/machines/*/logs/engine.log"))
        return session.whole_lines(log)

    def wait_heard(self, since, *lines, seconds=10):
        """Waits until it has heard these lines, in this order, after `since` others."""

        def there():
            heard = iter(self.heard()[since:])
            return all(any(line in other for other in heard) for line in lines)

        until(f"engine that hears {lines}", seconds, there)

    def movement(self, since):
        """How far it heard the mouse move."""
        lines = [line for line in self.heard()[since:] if line.startswith("PointerMotion")]
        pairs = [[int(part.split(":")[1].strip(" }")) for part in line.split(",")] for line in lines]
        return sum(dx for dx, _ in pairs), sum(dy for _, dy in pairs)

    def end(self):
        """Leaves nothing running, whatever happened."""
        for viewer in self.viewers:
            if viewer.poll() is None:
                viewer.kill()
                viewer.wait(10)
        for lock in pathlib.Path(os.environ["XDG_DATA_HOME"]).glob("dormer/*/*/lock"):
            drive.end_engine(lock)
            for log in (lock.parent / "logs").glob("*"):
                shutil.copy(log, self.out / log.name)


def main(walk, about, begin=session.on_x11):
    """The command line: begins a session and walks with a machine in it."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default=str(session.ROOT / "target/ui-view"), help="where pictures go")
    parser.add_argument("--screen", default="1600x1200x24", help="the X server's screen")
    arguments = parser.parse_args()
    if not os.environ.get("DORMER_UI_INSIDE"):
        return begin(arguments.screen)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    machine = Machine(arguments.out)
    try:
        walk(machine)
    finally:
        machine.end()
    return 0
