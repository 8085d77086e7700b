#!/bin/sh
# debian-disk.sh OUT.qcow2: an installed Debian 13 that starts on BIOS and on UEFI, from any disk controller.
#
# A GPT with a BIOS boot partition, an EFI system partition and ext4. Nothing is mounted and no loop device is needed: each
# partition is made as a file and put where it belongs. Kernel, systemd, login on the screen and the first serial port
# (root, password "dormer"), DHCP, curl, tools for sound and for what is on USB. Needs root, mmdebstrap, e2fsprogs, mtools, GRUB for both, python3 and qemu-img.
set -eu
out=$(realpath "$1")
here=$(dirname "$(realpath "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# The archive that this computer installs from. Codename, address and keyring are what apt itself says.
repository=$(apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
    awk '$1 == "trixie" && $2 == "main" { print $3; exit }')
[ -n "$repository" ] || { echo 'apt knows no archive of Debian 13 (trixie)' >&2; exit 1; }

cat > setup <<'SETUP'
set -e
root=$1
echo 'root:dormer' | chroot "$root" chpasswd
echo dormer > "$root/etc/hostname"
printf '127.0.0.1 localhost dormer\n' > "$root/etc/hosts"
printf 'LABEL=dormer-root / ext4 errors=remount-ro 0 1\n' > "$root/etc/fstab"
printf '[Match]\nName=en* eth*\n[Network]\nDHCP=yes\nLinkLocalAddressing=no\n' > "$root/etc/systemd/network/80-dhcp.network"
chroot "$root" systemctl enable systemd-networkd.service serial-getty@ttyS0.service
# What waits for clocks, networks or mirrors has no place in a guest that is looked at.
chroot "$root" systemctl mask systemd-networkd-wait-online.service apt-daily.timer apt-daily-upgrade.timer \
    dpkg-db-backup.timer e2scrub_all.timer fstrim.timer systemd-firstboot.service
# An emulated processor on a busy computer is no failure.
mkdir -p "$root/etc/systemd/system.conf.d"
printf '[Manager]\nDefaultTimeoutStartSec=900\nDefaultDeviceTimeoutSec=900\n' > "$root/etc/systemd/system.conf.d/patience.conf"
sed -i 's/^#* *LOGIN_TIMEOUT.*/LOGIN_TIMEOUT 900/' "$root/etc/login.defs"
echo 1f0c5a0a2b9b4d5e8a7c6d5e4f3a2b1c > "$root/etc/machine-id"
SETUP
# An initramfs for every machine Dormer has, and a kernel without drivers for hardware it never has: emulated processors are
# slow to unpack, and every test copies this disk.
cat > early-setup <<'EARLY'
set -e
mkdir -p "$1/etc/initramfs-tools/conf.d"
printf 'MODULES=list\nCOMPRESS=zstd\nCOMPRESSLEVEL=1\n' > "$1/etc/initramfs-tools/conf.d/dormer"
for module in ahci sd_mod sr_mod ext4 virtio_pci virtio_blk virtio_net virtio_gpu virtio_input usbhid xhci_pci uas; do
    echo "$module"
done > "$1/etc/initramfs-tools/modules"
EARLY
exclude=
for modules in arch/x86/kvm arch/x86/crypto arch/x86/events net/wireless net/bluetooth drivers/bluetooth drivers/edac \
    drivers/hwmon drivers/platform drivers/powercap drivers/media drivers/infiniband drivers/staging drivers/iio drivers/isdn \
    drivers/scsi drivers/net/wireless drivers/net/ethernet drivers/gpu/drm/amd drivers/gpu/drm/nouveau drivers/gpu/drm/i915 \
    drivers/gpu/drm/xe drivers/gpu/drm/radeon; do
    exclude="$exclude --dpkgopt=path-exclude=/usr/lib/modules/*/kernel/$modules/*"
done
# Without globbing: the patterns are for dpkg.
set -f
packages=linux-image-amd64,systemd-sysv,udev,dbus,login,util-linux,iproute2,curl,initramfs-tools,zstd,kmod,pciutils,alsa-utils
# For what is on USB, and GNOME's player without its window.
packages=$packages,usbutils,mtp-tools,pcscd,libccid
packages=$packages,gstreamer1.0-tools,gstreamer1.0-plugins-base-apps,gstreamer1.0-plugins-good,gstreamer1.0-alsa
mmdebstrap --variant=minbase --include="$packages" --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Retries "3"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/zoneinfo/*' \
    $exclude --dpkgopt='path-include=/usr/lib/modules/*/kernel/drivers/scsi/s[dr]_mod*' \
    --dpkgopt='path-include=/usr/lib/modules/*/kernel/drivers/scsi/scsi_*' \
    --dpkgopt='path-include=/usr/lib/modules/*/kernel/drivers/net/ethernet/intel/e1000/*' \
    --dpkgopt='path-include=/usr/lib/modules/*/kernel/drivers/media/mc/*' \
    --dpkgopt='path-include=/usr/lib/modules/*/kernel/drivers/media/v4l2-core/*' \
    --dpkgopt='path-include=/usr/lib/modules/*/kernel/drivers/media/common/uvc*' \
    --dpkgopt='path-include=/usr/lib/modules/*/kernel/drivers/media/common/videobuf2/*' \
    --dpkgopt='path-include=/usr/lib/modules/*/kernel/drivers/media/usb/uvc/*' \
    --essential-hook="sh '$work/early-setup' \"\$1\"" \
    --customize-hook="sh '$work/setup' \"\$1\"" trixie root "$repository"
set +f

mkdir boot-files
cp root/boot/vmlinuz-* boot-files/vmlinuz
cp root/boot/initrd.img-* boot-files/initrd.img
mkdir -p root/boot/grub
cp boot-files/vmlinuz boot-files/initrd.img root/boot/grub/
rm -rf root/boot/vmlinuz-* root/boot/initrd.img-* root/var/cache/apt/* root/var/lib/apt/lists/*
cat > root/boot/grub/grub.cfg <<'CONFIG'
serial --unit=0 --speed=115200
terminal_input console serial
terminal_output console serial
set timeout=1
menuentry "Debian" {
    linux /boot/grub/vmlinuz root=LABEL=dormer-root ro console=tty0 console=ttyS0,115200 net.ifnames=0 fsck.mode=skip quiet
    initrd /boot/grub/initrd.img
}
CONFIG
truncate -s 1200M ext4
mke2fs -q -t ext4 -L dormer-root -d root ext4

# GRUB for both kinds of firmware finds that file system by its label.
printf 'search --label --set=root dormer-root\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n' > early.cfg
modules='part_gpt ext2 fat search search_label normal configfile linux serial terminal echo test'
grub-mkimage -O i386-pc -o core.img -p /boot/grub -c early.cfg biosdisk $modules
grub-mkimage -O x86_64-efi -o bootx64.efi -p /boot/grub -c early.cfg all_video efi_gop $modules
truncate -s 16M esp
mformat -i esp -v EFI ::
mmd -i esp ::/EFI ::/EFI/BOOT
mcopy -i esp bootx64.efi ::/EFI/BOOT/BOOTX64.EFI

python3 "$here/gpt-disk.py" disk.raw /usr/lib/grub/i386-pc/boot.img core.img esp ext4
qemu-img convert -f raw -O qcow2 disk.raw "$out"
