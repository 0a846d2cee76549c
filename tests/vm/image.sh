#!/usr/bin/env bash
# Makes the Debian 13 system that the guest boots: $TILL_VM_CACHE/<arch>/{vmlinuz,initrd.gz,disk.raw}. Nothing to do when it is there.
#
# The stock Debian kernel with its modules unpacked (inflating them under TCG is slow) and a simulated GPIO chip beside them
# (modules.sh), and a few lines of initramfs: only virtio_blk and ext4 are needed before the real system. Nothing of tilld is in
# it: `run` attaches that as a second disk.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

packages=(systemd-sysv dbus polkitd udev kmod libnss-systemd libpam-systemd passwd)
# With which tilld is compared (peers.sh); none of them runs before.
peers=(pcscd modemmanager cups-daemon fwupd)
out=$cache/$arch
want=$(cat "$0" "$vm"/{lib.sh,modules.sh,boot.service} | sha256sum | cut -c1-16)
[ "$(cat "$out/stamp" 2>/dev/null || true)" != "$want" ] || exit 0

for tool in mmdebstrap mke2fs cpio depmod xz; do
    command -v "$tool" >/dev/null || die "$tool is missing: apt-get install mmdebstrap e2fsprogs cpio kmod xz-utils"
done
if [ "$arch" != "$(dpkg --print-architecture)" ]; then
    # Packages of another architecture are set up by its own programs, under emulation.
    command -v arch-test >/dev/null && command -v update-binfmts >/dev/null ||
        die "for $arch: apt-get install qemu-user-static binfmt-support arch-test"
    [ -e /proc/sys/fs/binfmt_misc/status ] || mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
    [ -e /proc/sys/fs/binfmt_misc/qemu-aarch64 ] || update-binfmts --enable qemu-aarch64
fi
[ "$(id -u)" -eq 0 ] || die "the image is made as root (mmdebstrap, file owners)"
say "Making the $arch image (once; some minutes)"
rm -rf "$out"
mkdir -p "$out"
root=$out/root

kernel=$(debian_apt apt-cache depends "linux-image-$arch" | sed -n 's/.*Depends: linux-image-\(.*\)/\1/p' | head -n 1)
[ -n "$kernel" ] || die "$suite has no linux-image-$arch"
fetch "linux-image-$kernel" busybox-static

retry mmdebstrap --quiet --variant=essential --architectures="$arch" \
    --aptopt='Acquire::Retries "5"' --aptopt='Acquire::Languages "none"' --dpkgopt='force-unsafe-io' \
    --include="$(IFS=, && echo "${packages[*]},${peers[*]}")" \
    "$suite" "$root" "deb $mirror $suite main"

rm -rf "$root"/usr/share/{man,doc,locale}
echo till >"$root/etc/hostname"
echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
echo '/dev/vda / ext4 rw,noatime 0 0' >"$root/etc/fstab"
mkdir -p "$root/etc/systemd/journald.conf.d" "$root/etc/systemd/system/multi-user.target.wants" "$root/payload"
printf '[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\n' >"$root/etc/systemd/journald.conf.d/vm.conf"
cp "$vm/boot.service" "$root/etc/systemd/system/vm-boot.service"
ln -sf ../vm-boot.service "$root/etc/systemd/system/multi-user.target.wants/"
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
    fstrim.timer systemd-firstboot.service systemd-pcrphase.service getty@tty1.service ldconfig.service \
    pcscd.service pcscd.socket ModemManager.service cups.service cups.socket cups.path fwupd.service fwupd-refresh.timer; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done

unpacked=$out/kernel
dpkg-deb -x "$(deb "linux-image-$kernel")" "$unpacked"
cp "$unpacked/boot/vmlinuz-$kernel" "$out/vmlinuz"
cp "$unpacked/boot/config-$kernel" "$out/config"
modules=$root/usr/lib/modules/$kernel
mkdir -p "$root/usr/lib/modules"
mv "$unpacked/usr/lib/modules/$kernel" "$modules"
rm -rf "$unpacked"
# Hardware that no test machine has.
for unused in gpu infiniband media net/wireless net/ethernet scsi iio hwmon md staging; do
    rm -rf "$modules/kernel/drivers/$unused"
done
rm -rf "$modules"/kernel/{sound,net/{netfilter,wireless,bluetooth}}
"$vm/modules.sh" "$kernel"
mkdir "$modules/updates"
cp "$cache/modules-$arch"/*.ko "$modules/updates/"
find "$modules" -name '*.ko.xz' -print0 | xargs -0 -P2 -n64 xz -d
depmod -b "$root/usr" "$kernel"

initrd=$out/initrd
mkdir -p "$initrd"/{bin,dev,proc,root,m}
dpkg-deb --fsys-tarfile "$(deb busybox-static)" | tar -xO ./usr/bin/busybox >"$initrd/bin/busybox"
chmod 755 "$initrd/bin/busybox"
for module in virtio_pci virtio_blk ext4; do
    modprobe -d "$root/usr" -S "$kernel" -D "$module" | sed -n 's/^insmod \([^ ]*\).*/\1/p'
done | while read -r file; do
    [ -e "$initrd/m/$(basename "$file")" ] && continue
    cp "$file" "$initrd/m/"
    basename "$file" >>"$initrd/m/list"
done
cat >"$initrd/init" <<'X'
#!/bin/busybox sh
b=/bin/busybox
$b mount -t devtmpfs dev /dev
for m in $($b cat /m/list); do $b insmod /m/$m; done
while [ ! -b /dev/vda ]; do $b sleep 0.1; done
$b mount -t ext4 -o rw,noatime /dev/vda /root || exec $b sh
$b mount --move /dev /root/dev
exec $b switch_root /root /sbin/init
X
chmod 755 "$initrd/init"
(cd "$initrd" && find . | cpio -o -H newc -R 0:0 --quiet | gzip -1) >"$out/initrd.gz"
rm -rf "$initrd"

mke2fs -q -F -t ext4 -L till -d "$root" "$out/disk.raw" 2G
rm -rf "$root"
echo "$want" >"$out/stamp"
say "$(du -sh "$out" | cut -f1) in $out"
