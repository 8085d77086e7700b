#!/bin/sh
# debian-installer.sh text|gtk OUT.iso: Debian's installer as one ISO that starts on BIOS and on UEFI.
# The kernel speaks on the screen and on the first serial port. Needs Debian's netboot images, GRUB for both, xorriso and mtools.
set -eu
frontend=$1 out=$2
images=/usr/lib/debian-installer/images/13/amd64/$frontend/debian-installer/amd64
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/boot/grub"
cp "$images/linux" "$images/initrd.gz" "$work/boot/"
case $frontend in
    text) arguments='vga=normal' ;;
    gtk) arguments='vga=788' ;;
esac
cat > "$work/boot/grub/grub.cfg" <<CONFIG
serial --unit=0 --speed=115200
terminal_input console serial
terminal_output console serial
set timeout=1
set gfxpayload=$([ "$frontend" = text ] && echo text || echo keep)
menuentry "Debian installer, $frontend" {
    linux /boot/linux $arguments console=ttyS0,115200 console=tty0
    initrd /boot/initrd.gz
}
CONFIG
grub-mkrescue --compress=no -o "$out" "$work" -- -volid DORMER_INSTALLER
