#!/usr/bin/python3
"""Drives the app on a computer whose virtualisation another hypervisor has: the engine says so, and starts nothing.

    tests/ui/without_kvm.py --iso SOME.iso --out target/ui-without-kvm
"""

import os
import pathlib
import stat
import sys
import tempfile

import drive

ENGINE = """#!/bin/sh
[ "$1" = --check-kvm ] && echo '{"ok":false,"case":"busy","error":"KVM_CREATE_VM: busy"}'
echo 'another hypervisor runs' >&2
exit 1
"""


def walk(app, arguments):
    app.find("label", "Another hypervisor")
    app.picture("empty")
    app.press("What to Do")
    app.find("label", "Machines Cannot Run")
    app.picture("advice")
    app.window()
    app.key("Escape")
    app.activate("new-from-file", f"[<'{arguments.iso}'>]")
    app.wait_image(120)
    app.press("Create")
    app.find("label", "Does Not Start")
    app.picture("start")


def main():
    with tempfile.TemporaryDirectory(prefix="dormer-vm-") as folder:
        engine = pathlib.Path(folder) / "dormer-vm"
        engine.write_text(ENGINE, encoding="utf-8")
        engine.chmod(engine.stat().st_mode | stat.S_IXUSR)
        os.environ.setdefault("DORMER_VM", str(engine))
        return drive.main(walk, __doc__)


if __name__ == "__main__":
    sys.exit(main())
