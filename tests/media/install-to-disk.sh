#!/bin/sh
# install-to-disk DISK: installs the live system that this runs in onto an empty disk, as an installer does, for UEFI.
#
# A GPT with an EFI system partition and ext4, all files of the live system, GRUB with an entry in the firmware's variables. The
# installed system asks for a login on the screen and on the first serial port, where its progress is told, too. Needs root.
set -eu
disk=$1
tell() { echo "INSTALL $*" | tee /dev/ttyS0; }
trap '[ $? = 0 ] || tell failed' EXIT

tell partitions
sfdisk --quiet --wipe always "$disk" <<'TABLE'
label: gpt
size=64M, type=uefi
type=linux
TABLE
udevadm settle
mkfs.vfat "${disk}1" > /dev/null
mkfs.ext4 -q -L installed-root "${disk}2"
mount "${disk}2" /mnt
mkdir -p /mnt/boot/efi
mount "${disk}1" /mnt/boot/efi

tell files
cp -a /run/live/rootfs/filesystem.squashfs/. /mnt/
cp /run/live/medium/live/vmlinuz /run/live/medium/live/initrd.img /mnt/boot/

tell settings
echo installed > /mnt/etc/hostname
printf '127.0.0.1 localhost installed\n' > /mnt/etc/hosts
printf 'LABEL=installed-root / ext4 errors=remount-ro 0 1\n%s /boot/efi vfat umask=0077 0 2\n' "${disk}1" > /mnt/etc/fstab
for folder in dev proc sys; do mount --rbind "/$folder" "/mnt/$folder"; done
# The desktop of the live system took the place of the login.
chroot /mnt systemctl --quiet disable desktop.service
chroot /mnt systemctl --quiet enable getty@tty1.service

tell boot loader
chroot /mnt grub-install --target=x86_64-efi --efi-directory=/boot/efi --bootloader-id=installed
cat > /mnt/boot/grub/grub.cfg <<'CONFIG'
set timeout=1
search --label --set=root installed-root
menuentry "Installed" {
    linux /boot/vmlinuz root=LABEL=installed-root ro console=tty0 console=ttyS0,115200 quiet
    initrd /boot/initrd.img
}
CONFIG
sync
tell done
