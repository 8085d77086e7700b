#!/bin/sh
# ipxe-uefi.sh OUT.iso: iPXE as a CD that UEFI starts; the ISO in Debian's package is for BIOS alone. Needs xorriso and mtools.
set -eu
out=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir cd
truncate -s 4M cd/efi.img
mformat -i cd/efi.img ::
mmd -i cd/efi.img ::/EFI ::/EFI/BOOT
mcopy -i cd/efi.img /usr/lib/ipxe/ipxe.efi ::/EFI/BOOT/BOOTX64.EFI
xorriso -as mkisofs -quiet -V IPXE -o "$out" -e efi.img -no-emul-boot cd
