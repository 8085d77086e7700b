#!/bin/sh
# qmp-client.sh FOLDER: QEMU's own QMP client from PyPI, into a folder for PYTHONPATH.
set -eu
python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target "$1" qemu.qmp
