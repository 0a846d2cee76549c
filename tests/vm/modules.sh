#!/usr/bin/env bash
# modules.sh KERNEL: builds the modules that the drawer's scenario needs and Debian's kernel leaves out, for exactly this kernel:
# $TILL_VM_CACHE/modules-<arch>/{gpio-sim,irq_sim}.ko. Nothing to do when they are there.
#
# Everything is Debian's own: the sources and headers of that kernel's version, and trixie's compiler in a tree of its own, because
# what linux-kbuild brings along runs with no older libc, and modules want the compiler that built their kernel. Called by image.sh.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

kernel=${1:?the version of a kernel, as 6.12.1+deb13-amd64}
abi=${kernel%-"$arch"}
series=$(cut -d. -f1,2 <<<"$abi")
out=$cache/modules-$arch
want=$(cat "$0" <(echo "$kernel") | sha256sum | cut -c1-16)
[ "$(cat "$out/stamp" 2>/dev/null || true)" != "$want" ] || exit 0
say "Building gpio-sim for $kernel"
rm -rf "$out"
mkdir -p "$out"

fetch "linux-headers-$kernel" "linux-headers-$abi-common"
version=$(dpkg-deb -f "$(deb "linux-headers-$kernel")" Version)
fetch "linux-source-$series=$version"
# The programs of a kernel's build run here, whatever the kernel is for.
here=$(dpkg --print-architecture)
kbuild=$(arch=$here && fetch "linux-kbuild-$abi" && deb "linux-kbuild-$abi")
compiler=$(dpkg-deb -f "$(deb "linux-headers-$kernel")" Depends | grep -o 'gcc-[0-9]*' | head -n 1)
prefix=
if [ "$arch" != "$here" ]; then
    case $arch in
    amd64) prefix=x86_64-linux-gnu- ;;
    arm64) prefix=aarch64-linux-gnu- ;;
    esac
    compiler+=-$(tr _ - <<<"${prefix%-}")
fi

tree=$out/tree
retry mmdebstrap --quiet --variant=essential --architectures="$here" \
    --aptopt='Acquire::Retries "5"' --aptopt='Acquire::Languages "none"' --dpkgopt='force-unsafe-io' \
    --include="make,$compiler,libelf1t64,libssl3t64" "$suite" "$tree" "deb $mirror $suite main"
for file in "$(deb "linux-headers-$kernel")" "$(deb "linux-headers-$abi-common")" "$kbuild"; do
    dpkg-deb -x "$file" "$tree"
done

# Two files of 80,000.
mkdir "$tree/build"
source=linux-source-$series
dpkg-deb --fsys-tarfile "$(deb "$source")" | tar -xO "./usr/src/$source.tar.xz" | xz -T0 -dc |
    tar -x -C "$tree/build" --transform 's,.*/,,' "$source"/{drivers/gpio/gpio-sim.c,kernel/irq/irq_sim.c}
# Simulated interrupts belong to the kernel proper, which Debian builds without them. As a module they lack one function that is
# not exported; the call that is does the same here.
sed -i 's/handle_simple_irq(irq_to_desc(\(.*\)));/generic_handle_irq(\1);/' "$tree/build/irq_sim.c"
printf '#include <linux/module.h>\nMODULE_DESCRIPTION("simulated interrupts");\nMODULE_LICENSE("GPL");\n' >>"$tree/build/irq_sim.c"
echo 'obj-m += gpio-sim.o irq_sim.o' >"$tree/build/Kbuild"
chroot "$tree" make -s -C "/usr/src/linux-headers-$kernel" M=/build ${prefix:+CROSS_COMPILE="$prefix"} \
    CONFIG_DEBUG_INFO_BTF_MODULES= modules >&2
for module in gpio-sim irq_sim; do
    chroot "$tree" "${prefix}strip" --strip-debug "/build/$module.ko"
    cp "$tree/build/$module.ko" "$out/"
done
rm -rf "$tree" "$(deb "$source")"
echo "$want" >"$out/stamp"
