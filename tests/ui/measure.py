#!/usr/bin/env python3
"""Measures the app, for people (no test): processor time from its start to a library that can be used, with many machines; what opening
and closing a console many times leaves behind; and whether a film of 1920 by 1080 at 60 Hz is shown whole.

    DORMER_APP=target/release/dormer tests/ui/measure.py --machines 100 --consoles 500 --film 30
"""

import argparse
import os
import pathlib
import subprocess
import sys
import time

import session
from app import App
from drive import bootable_iso
from session import until

TICKS = os.sysconf("SC_CLK_TCK")


def processor_time(pid):
    """Seconds of processor time that a process has used, in all its threads."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def leavings(pid):
    """Open files, threads and KiB of memory of its own."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    number = lambda name: int(next(line for line in status.splitlines() if line.startswith(name)).split()[1])
    return len(os.listdir(f"/proc/{pid}/fd")), number("Threads:"), number("RssAnon:")


def start(out, machines):
    """The app with so many machines; how long it took to show the last of them, and what that cost."""
    began = time.monotonic()
    app = App(out)
    app.find("list item", "Machine 001")
    print(f"{machines} machines: {processor_time(app.process.pid):.2f} s of processor time, {time.monotonic() - began:.1f} s on the clock")
    return app


def consoles(app, times):
    """Opens and closes the console of a machine that runs."""
    app.window_action(1, "open")
    for turn in range(1, times + 1):
        app.window("Machine 001")
        app.press_close("Machine 001")
        app.press("Keep Running")
        app.wait_closed("Machine 001")
        if turn == 1 or turn % (times // 10 or 1) == 0:
            files, threads, memory = leavings(app.process.pid)
            print(f"after {turn} consoles: {files} open files, {threads} threads, {memory} KiB", flush=True)
        if turn < times:
            app.window_action(1, "open")
            until("console", 20, lambda: app.shows("Screen of Machine 001"))


def film(app, seconds):
    """Lets the stand-in show a film, and reads in its log what consoles were too slow for."""
    logs = pathlib.Path(os.environ["XDG_DATA_HOME"]).glob("dormer/machines/*/logs/engine.log")
    log = next(log for log in logs if log.exists())
    until("console", 20, lambda: app.shows("Screen of Machine 001"))
    before = processor_time(app.process.pid)
    began = time.monotonic()
    app.key("F8")
    said = until("a film", seconds + 30, lambda: [line for line in log.read_text().splitlines() if line.startswith("film: ")][seconds // 10 - 1 :])
    used = processor_time(app.process.pid) - before
    print(f"{said[-1]}; {used / (time.monotonic() - began) * 100:.0f} % of a processor", flush=True)
    app.key("F8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default=str(session.ROOT / "target/measure"), help="where the app's log goes")
    parser.add_argument("--machines", type=int, default=100, help="machines in the library")
    parser.add_argument("--consoles", type=int, default=500, help="how often a console is opened")
    parser.add_argument("--film", type=int, default=30, help="seconds of a film, in tens")
    arguments = parser.parse_args()
    if not os.environ.get("DORMER_UI_INSIDE"):
        return session.on_x11("1400x1000x24")
    iso = bootable_iso(pathlib.Path(os.environ["HOME"]) / "test.iso")
    dormerctl = pathlib.Path(os.environ["DORMER_APP"]).with_name("dormerctl")
    for number in range(1, arguments.machines + 1):
        create = [dormerctl, "create", f"Machine {number:03}", "--iso", iso, "--disk", "none", "--memory", "256", "--profile", "legacy"]
        subprocess.run(create, check=True, capture_output=True)
    app = start(arguments.out, arguments.machines)
    try:
        if arguments.consoles:
            consoles(app, arguments.consoles)
        if arguments.film >= 10:
            app.window_action(1, "open")
            app.window("Machine 001")
            film(app, arguments.film)
            app.press_close("Machine 001")
            app.press("Keep Running")
            app.wait_closed("Machine 001")
        subprocess.run([dormerctl, "power-off", "Machine 001"], capture_output=True)
        app.quit()
    finally:
        app.end()
        subprocess.run([dormerctl, "power-off", "Machine 001"], capture_output=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
