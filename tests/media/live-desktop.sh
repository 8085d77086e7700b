#!/bin/sh
# live-desktop.sh OUT.iso: a live Debian with X, a window manager and Firefox that starts on BIOS and on UEFI.
#
# Says DESKTOP-UP on the first serial port once the desktop stands, and follows the pointer there: POINTER x y. Its screen follows the
# machine's: SCREEN WIDTHxHEIGHT. In its terminal (user, password "user"), `sudo install-to-disk /dev/vda` installs it. Needs root,
# mmdebstrap, squashfs-tools, GRUB for both, xorriso and mtools.
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

cp "$here/install-to-disk.sh" .
cat > setup <<'SETUP'
set -e
root=$1
chroot "$root" useradd --create-home --shell /bin/bash --groups audio,video,input,dialout,tty user
printf 'root:root\nuser:user\n' | chroot "$root" chpasswd
echo live > "$root/etc/hostname"
printf '127.0.0.1 localhost live\n' > "$root/etc/hosts"
printf '[Match]\nName=en* eth*\n[Network]\nDHCP=yes\n' > "$root/etc/systemd/network/80-dhcp.network"
cat > "$root/etc/systemd/system/desktop.service" <<'UNIT'
[Unit]
Description=The desktop
After=systemd-user-sessions.service dbus.service
Conflicts=getty@tty1.service

[Service]
User=user
PAMName=login
TTYPath=/dev/tty1
StandardInput=tty
ExecStart=/usr/bin/startx /usr/bin/icewm-session -- vt1 -keeptty

[Install]
WantedBy=multi-user.target
UNIT
chroot "$root" systemctl enable systemd-networkd.service desktop.service
# An emulated processor on a busy computer is no failure.
mkdir -p "$root/etc/systemd/system.conf.d"
printf '[Manager]\nDefaultTimeoutStartSec=900\nDefaultDeviceTimeoutSec=900\n' > "$root/etc/systemd/system.conf.d/patience.conf"
mkdir -p "$root/etc/X11" "$root/home/user/.icewm"
printf 'allowed_users=anybody\nneeds_root_rights=yes\n' > "$root/etc/X11/Xwrapper.config"
install -m 755 install-to-disk.sh "$root/usr/local/sbin/install-to-disk"
echo 'user ALL=(ALL) NOPASSWD:ALL' > "$root/etc/sudoers.d/user"
cat > "$root/home/user/about.html" <<'PAGE'
<title>Browser</title><body style="background:#246;color:white;font:bold 40px 'DejaVu Sans'">The browser stands.</body>
PAGE
cat > "$root/home/user/.icewm/startup" <<'STARTUP'
#!/bin/sh
xsetroot -solid '#335577'
firefox-esr --no-remote "file://$HOME/about.html" &
xterm -geometry 60x10-20-60 -e sh -c 'uname -a; exec bash' &
(
    until xdotool search --onlyvisible --name 'Mozilla Firefox' > /dev/null 2>&1; do sleep 1; done
    echo DESKTOP-UP > /dev/ttyS0
    last=
    while sleep 0.5; do
        eval "$(xdotool getmouselocation --shell)"
        if [ "$X $Y" != "$last" ]; then last="$X $Y"; echo "POINTER $X $Y" > /dev/ttyS0; fi
    done
) &
(
    # What larger desktops do by themselves: the screen has the size that its connector prefers.
    last=
    while sleep 2; do
        best=$(xrandr | awk '/ connected/ { output = $1; next } output && /\+/ { print output, $1; exit }')
        if [ "$best" != "$last" ]; then
            last=$best
            xrandr --output "${best% *}" --mode "${best#* }" && echo "SCREEN ${best#* }" > /dev/ttyS0
        fi
    done
) &
STARTUP
chmod +x "$root/home/user/.icewm/startup"
chroot "$root" chown -R user:user /home/user
SETUP
packages=linux-image-amd64,live-boot,live-boot-initramfs-tools,systemd-sysv,dbus,udev,kmod,iproute2
packages=$packages,xserver-xorg-core,xserver-xorg-input-libinput,xinit,xterm,icewm,x11-xserver-utils,xdotool,firefox-esr
packages=$packages,libgl1-mesa-dri,fonts-dejavu-core,procps,zstd
packages=$packages,sudo,fdisk,dosfstools,e2fsprogs,grub-efi-amd64,efibootmgr
mmdebstrap --variant=minbase --include="$packages" --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Retries "3"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/lib/firmware/*' \
    --essential-hook='mkdir -p "$1/etc/initramfs-tools/conf.d"; printf "COMPRESS=zstd\nCOMPRESSLEVEL=1\n" > "$1/etc/initramfs-tools/conf.d/dormer"' \
    --customize-hook="sh '$work/setup' \"\$1\"" trixie root "$repository"

mkdir -p iso/live iso/boot/grub
cp root/boot/vmlinuz-* iso/live/vmlinuz
cp root/boot/initrd.img-* iso/live/initrd.img
mksquashfs root iso/live/filesystem.squashfs -comp zstd -Xcompression-level 3 -noappend -quiet -no-progress -e boot
cat > iso/boot/grub/grub.cfg <<'CONFIG'
serial --unit=0 --speed=115200
terminal_input console serial
terminal_output console serial
set timeout=1
menuentry "Live desktop" {
    linux /live/vmlinuz boot=live console=tty0 console=ttyS0,115200 quiet
    initrd /live/initrd.img
}
CONFIG
grub-mkrescue --compress=no -o "$out" iso -- -volid DORMER_LIVE
