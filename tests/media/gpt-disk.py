"""gpt-disk.py DISK BOOT_SECTOR CORE ESP ROOT: puts GRUB's two parts and two file systems into one GPT disk (UEFI 2.10, 5.3).

GRUB's boot sector and the core behind it hold the sectors they go on at; here these are filled in, as GRUB's own setup
program would on a mounted disk.
"""

import os
import struct
import sys
import uuid
import zlib

SECTOR = 512
ALIGNMENT = 2048
ENTRIES = 128
BIOS_BOOT = uuid.UUID("21686148-6449-6e6f-744e-656564454649")
EFI_SYSTEM = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
LINUX_ROOT_X86_64 = uuid.UUID("4f68bce3-e8cd-4db1-96e7-fbcaf984b709")
DISK_ID = uuid.UUID("5d0a1bb0-6f1e-4c55-9a39-0d1f6e8b7c11")


def sectors(size):
    return -(-size // SECTOR)


def main(disk, boot_sector, core, esp, root):
    parts, at = [], ALIGNMENT
    for path, kind, name in [(core, BIOS_BOOT, "bios"), (esp, EFI_SYSTEM, "efi"), (root, LINUX_ROOT_X86_64, "root")]:
        length = sectors(os.path.getsize(path))
        parts.append((path, kind, name, at, length))
        at = -(-(at + length) // ALIGNMENT) * ALIGNMENT
    total = at + ALIGNMENT
    last = total - 1

    table = b""
    for number, (_, kind, name, start, length) in enumerate(parts):
        own = uuid.uuid5(DISK_ID, str(number))
        table += struct.pack("<16s16sQQQ72s", kind.bytes_le, own.bytes_le, start, start + length - 1, 0, name.encode("utf-16le"))
    table = table.ljust(ENTRIES * 128, b"\0")

    def header(own, other, entries):
        fields = struct.pack(
            "<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, 0, 0, own, other, 34, total - 34, DISK_ID.bytes_le,
            entries, ENTRIES, 128, zlib.crc32(table))
        return (fields[:16] + struct.pack("<I", zlib.crc32(fields)) + fields[20:]).ljust(SECTOR, b"\0")

    with open(boot_sector, "rb") as file:
        first = bytearray(file.read(SECTOR))
    first[0x5C:0x64] = struct.pack("<Q", parts[0][3])
    # The protective MBR's partition; some BIOSes start a disk only when one is marked active.
    entry = struct.pack("<B3sB3sII", 0x80, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1, min(last, 0xFFFFFFFF))
    first[446:512] = entry.ljust(64, b"\0") + b"\x55\xaa"

    with open(disk, "wb") as out:
        out.truncate(total * SECTOR)
        out.write(first + header(1, last, 2) + table)
        out.seek((last - 32) * SECTOR)
        out.write(table + header(last, 1, last - 32))
        for path, kind, _, start, _ in parts:
            with open(path, "rb") as file:
                at = start * SECTOR
                while block := file.read(1 << 20):
                    if kind == BIOS_BOOT and at == start * SECTOR:
                        block = bytearray(block)
                        block[0x1F4:0x1FC] = struct.pack("<Q", start + 1)
                    # Holes stay holes.
                    if any(block):
                        out.seek(at)
                        out.write(block)
                    at += len(block)


if __name__ == "__main__":
    main(*sys.argv[1:])
