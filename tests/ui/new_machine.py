#!/usr/bin/python3
"""What New Machine says of an image: which system is on it, what was chosen for it and why, and what may go wrong.

    tests/ui/new_machine.py --out target/ui-new-machine

Its discs are made here, with image files that say what Microsoft's do.
"""

import os
import pathlib
import struct
import subprocess
import sys
import tempfile

import drive
from session import until


def image_file(names, arch, build, language):
    """A Windows image file (WIM): its header, and its XML document in UTF-16."""
    one = (
        "<IMAGE><WINDOWS><ARCH>{arch}</ARCH><EDITIONID>X</EDITIONID><PRODUCTTYPE>WinNT</PRODUCTTYPE><LANGUAGES><LANGUAGE>{language}"
        "</LANGUAGE></LANGUAGES><VERSION><MAJOR>{major}</MAJOR><MINOR>{minor}</MINOR><BUILD>{build}</BUILD></VERSION></WINDOWS>"
        "<DISPLAYNAME>{name}</DISPLAYNAME></IMAGE>"
    )
    major, minor, number = build
    images = [one.format(arch=arch, language=language, major=major, minor=minor, build=number, name=name) for name in names]
    document = f"<WIM>{''.join(images)}</WIM>".encode("utf-16")
    header = b"MSWIM\0\0\0" + struct.pack("<I", 208)
    resource = struct.pack("<QQQ", len(document) | 2 << 56, 208, len(document))
    return header.ljust(72, b"\0") + resource.ljust(136, b"\0") + document


def disc(name, label, files):
    """A disc on UDF and ISO 9660 that a BIOS and UEFI start from."""
    path = pathlib.Path(os.environ["HOME"]) / f"{name}.iso"
    with tempfile.TemporaryDirectory() as folder:
        for file, content in {"bios.img": bytes(2048), "efi.img": bytes(4096), **files}.items():
            target = pathlib.Path(folder) / file
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(content)
        boot = ["-b", "bios.img", "-no-emul-boot", "-boot-load-size", "4", "-eltorito-alt-boot"]
        efi = ["-efi-boot", "efi.img", "-no-emul-boot"]
        made = ["genisoimage", "-quiet", "-udf", "-V", label, *boot, *efi, "-o", path, folder]
        subprocess.run(made, check=True, capture_output=True)
    return path


def walk(app, arguments):
    app.find("label", "No Machines Yet")
    pro = {"sources/install.wim": image_file(["Windows 11 Pro"], 9, (10, 0, 26100), "de-DE")}
    home = {"sources/install.esd": image_file(["Windows 10 Home", "Windows 10 Pro"], 0, (10, 0, 19045), "en-US")}
    eleven = disc("eleven", "CCCOMA_X64FRE_DE-DE_DV9", pro)
    ten = disc("ten", "CCCOMA_X86FRE_EN-US_DV9", home)
    debian = disc("debian", "Debian 99.1.0 amd64 n", {})

    # Windows 11: named as exactly as its disc does, and that its installer will refuse.
    app.activate("new-from-file", f"[<'{eleven}'>]")
    app.wait_shown("Installs Windows 11 Pro, 64-bit, German")
    app.wait_shown("UEFI: Windows 8 and newer are made for it. Devices that work with its own drivers.")
    app.wait_shown("TPM 2.0 and Secure Boot")
    app.picture("windows-11")
    app.tree("windows-11")

    # 32-bit Windows starts by BIOS, and gets no memory that it would not see.
    app.activate("new-from-file", f"[<'{ten}'>]")
    app.wait_shown("Installs Windows 10, 32-bit, English")
    app.wait_shown("BIOS: there is no UEFI for 32-bit Windows.")
    app.wait_gone("TPM 2.0 and Secure Boot")
    app.picture("windows-10")

    # A release that no database knows keeps its words.
    app.activate("new-from-file", f"[<'{debian}'>]")
    app.wait_shown("Installs Debian 99")
    app.wait_shown("UEFI, as on computers of today. The fastest devices (virtio): it has drivers for them.")

    # More disk than there is room for: a word, before anything is made.
    app.spin("Disk in GiB", 60000)
    app.wait_shown("GiB are free: the disk takes room as it fills")
    app.picture("much-disk")
    app.spin("Disk in GiB", 1)
    app.wait_gone("GiB are free: the disk takes room as it fills")
    app.spin("Processors", 64)
    app.wait_shown("The machine has 64 processors and this computer")
    app.spin("Processors", 1)
    app.wait_gone("The machine has 64 processors")

    app.write("Name", "Little machine")
    app.press("Create")
    # There is a system on the disk: the engine takes the installer's CD out, and the person hears of it.
    app.enter("Little machine")
    app.key("F9")
    app.wait_shown("The installer’s CD was taken out: the system starts from its disk now")
    app.picture("installer-out")
    app.close(running=True)
    app.window()
    app.wait_shown("Debian 99")
    app.wait_shown("Empty: the installer’s CD was taken out")
    app.picture("page")
    file = pathlib.Path(os.environ["XDG_DATA_HOME"]) / "dormer/machines/Little machine/machine.toml"
    until("words in the machine's file", 10, lambda: 'system = "Debian 99"' in file.read_text())


if __name__ == "__main__":
    sys.exit(drive.main(walk, __doc__))
