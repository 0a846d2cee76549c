# shellcheck shell=bash
# Sourced by the scripts here, never run: where things are kept, and Debian packages for any architecture.

vm=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
workspace=$(cd "$vm/../.." && pwd)
# Everything that can be made again: packages, kernel, disks. Never in the tree.
cache=${TILL_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tilld-vm}
arch=${TILL_VM_ARCH:-amd64}
# The mirror that this machine's apt uses, unless told otherwise.
mirror=${TILL_VM_MIRROR:-$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' |
    sed -n 's,^Debian \(.*[^/]\)/*$,\1,p' | head -n 1)}
suite=trixie

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
die() { printf '%s\n' "$*" >&2 && exit 2; }

case $arch in
amd64) qemu=qemu-system-x86_64 machine=(-M q35 -cpu max) console=ttyS0 ;;
arm64) qemu=qemu-system-aarch64 machine=(-M virt -cpu cortex-a72) console=ttyAMA0 ;;
*) die "TILL_VM_ARCH is amd64 or arm64, not $arch" ;;
esac
mkdir -p "$cache"

# A mirror is caught in the middle of an update now and then.
retry() {
    local n
    for n in 1 2 3 4; do
        "$@" && return
        say "attempt $n failed: $1"
        sleep $((n * 10))
    done
    return 1
}

# debian_apt TOOL ARGS...: apt for that architecture and suite with a state of its own, never the machine's.
# Lists are good for a day: mirrors drop what is superseded.
debian_apt() {
    local d=$cache/apt-$arch
    if [ -z "$(find "$d/ready" -mtime 0 2>/dev/null)" ]; then
        rm -rf "$d"
        mkdir -p "$d/lists/partial" "$d/cache/archives/partial"
        : >"$d/status"
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$d/sources.list"
        cat >"$d/apt.conf" <<-X
		Dir::Etc::sourcelist "$d/sources.list"; Dir::Etc::sourceparts "-";
		Dir::State::lists "$d/lists"; Dir::State::status "$d/status"; Dir::Cache "$d/cache";
		APT::Architecture "$arch"; APT::Architectures "$arch"; APT::Sandbox::User "root";
		Acquire::Languages "none"; Acquire::Retries "5";
	X
        APT_CONFIG=$d/apt.conf retry apt-get -q -q --error-on=any update
        touch "$d/ready"
    fi
    APT_CONFIG=$d/apt.conf "$@"
}

# fetch PACKAGE...: .deb files into $cache/debs-$arch
fetch() {
    mkdir -p "$cache/debs-$arch"
    (cd "$cache/debs-$arch" && retry debian_apt apt-get -q -q download "$@")
}

# deb PACKAGE: the newest fetched file of a package
deb() {
    local newest
    newest=$(find "$cache/debs-$arch" -name "$1_*.deb" -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2-)
    [ -n "$newest" ] || die "$1 was not fetched"
    echo "$newest"
}

# packages_and_runner: $debs with this tree's packages, $runner with what runs in the machine; both built unless they are given
packages_and_runner() {
    debs=${TILL_VM_DEBS:-}
    if [ -z "$debs" ]; then
        "$workspace/packaging/build" --arch "$arch"
        debs=${CARGO_TARGET_DIR:-$workspace/target}/deb
    fi
    ls "$debs"/tilld_*_"$arch".deb >/dev/null 2>&1 || die "no packages for $arch in $debs: packaging/build --arch $arch"
    runner=${TILL_VM_RUNNER:-}
    if [ -z "$runner" ]; then
        say "Building what runs in the machine"
        if [ "$arch" = "$(dpkg --print-architecture)" ]; then
            cargo build --locked --release --manifest-path "$workspace/Cargo.toml" -p till-vm
            runner=${CARGO_TARGET_DIR:-$workspace/target}/release/till-vm
        else
            "$workspace/packaging/cross" "$arch" build --release --locked -p till-vm
            runner=$("$workspace/packaging/cross" "$arch" --where)/till-vm
        fi
    fi
}

# make_payload WORK: WORK/payload.raw, the disk that the guest starts from
make_payload() {
    local work=$1 payload=$1/payload size
    mkdir -p "$payload/debs"
    cp "$debs"/{tilld,tillctl,till-simulators,till-plugin-dev}_*_"$arch".deb "$payload/debs/"
    cp "$runner" "$payload/till-vm"
    cp "$vm"/{start,peers.sh} "$workspace"/tests/container/{report,scenarios}.sh "$payload/"
    [ -z "${expected:-}" ] || cp "$expected" "$payload/expected"
    chmod -R u=rwX,go=rX "$payload"
    size=$(($(du -sm "$payload" | cut -f1) * 5 / 4 + 16))
    mke2fs -q -F -t ext4 -E root_owner=0:0 -d "$payload" "$work/payload.raw" "${size}M" >/dev/null
}

# machine_in WORK KERNEL-WORDS [QEMU-ARGUMENT…]: boots, and ends when the machine goes down; WORK/{results,log,console}
machine_in() {
    local work=$1 words=$2
    shift 2
    : >"$work/results"
    exec "$qemu" "${machine[@]}" -smp 2 -m 1G -accel tcg,thread=multi -nodefaults -no-user-config -display none -no-reboot \
        -kernel "$cache/$arch/vmlinuz" -initrd "$cache/$arch/initrd.gz" -append "console=$console quiet panic=-1 $words" \
        -drive "if=none,id=root,format=raw,snapshot=on,file=$cache/$arch/disk.raw" -device virtio-blk-pci,drive=root \
        -drive "if=none,id=payload,format=raw,readonly=on,file=$work/payload.raw" -device virtio-blk-pci,drive=payload \
        -device virtio-rng-pci -device virtio-serial-pci \
        -chardev "file,id=results,path=$work/results" -device virtserialport,chardev=results,name=org.tilld.results \
        -chardev "file,id=log,path=$work/log" -device virtserialport,chardev=log,name=org.tilld.log \
        -serial "file:$work/console" "$@"
}

# stop_after MINUTES PID: a machine that hangs is stopped
stop_after() {
    local i
    for ((i = 0; i < $1 * 60; i++)); do
        sleep 1
        kill -0 "$2" 2>/dev/null || return 0
    done
    kill -9 "$2" 2>/dev/null
}
