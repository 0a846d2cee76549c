# Sourced by ./demo, ./test and ./bench: installs what they need on a fresh Debian machine that has a Rust toolchain.
# Says what it does, does nothing when all is there, can be run again.

say() { printf '\033[1m==>\033[0m %s\n' "$*"; }

need_rust() {
    if ! command -v cargo >/dev/null 2>&1 && [ -x "$HOME/.cargo/bin/cargo" ]; then
        PATH="$HOME/.cargo/bin:$PATH"
    fi
    if ! command -v cargo >/dev/null 2>&1; then
        echo "A Rust toolchain is needed (1.95 or newer, with rustfmt and clippy): see rustup.rs" >&2
        exit 1
    fi
}

# need_packages PACKAGE... : installs the Debian packages that are missing, as root or through sudo.
need_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    local root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null 2>&1 || { echo "As root: apt-get install ${missing[*]}" >&2; exit 1; }
        root=(sudo)
    fi
    say "Installing Debian packages: ${missing[*]}"
    "${root[@]}" apt-get update -qq
    DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# mirror_of LABEL : the mirror of a Debian archive (Debian, Debian-Security) that this machine's apt uses; empty without one.
mirror_of() {
    apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' | sed -n "s,^$1 \\(.*[^/]\\)/*\$,\\1,p" | head -n 1
}

# A linker and libc for Rust, and for the few C parts (ring, test-only aws-lc and SQLite); a CJK font for pictures of receipts.
NEEDED=(gcc libc6-dev fonts-wqy-microhei openssl)
# What till-pcsc links, for whoever builds the whole workspace, and what ./test tries it against: pcscd with a virtual reader.
PCSC=(pkgconf libpcsclite-dev)
PEERS=(pcscd vsmartcard-vpcd)

# need_space FOLDER GIB : says in plain words that the build will not fit, rather than failing halfway through a link.
need_space() {
    local folder=$1 free
    while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
    free=$(df --output=avail -k "$folder" | tail -1)
    [ "$free" -ge $(($2 * 1024 * 1024)) ] && return 0
    echo "About $2 GiB are needed below $(cd "$folder" && pwd) for a cold build; $((free / 1024 / 1024)) GiB are free." >&2
    echo "Free some, or set CARGO_TARGET_DIR to a folder on a larger disk. (A build that is already there needs less: going on.)" >&2
}
