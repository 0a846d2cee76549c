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
