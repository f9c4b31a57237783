#!/bin/sh
# Make build/aarch64: an arm64 Python of Debian with the packages of the tests, unpacked apart from the system, and a command
# for each processor that runs it under emulation. What is there already stays.
# Usage: tools/aarch64/prepare.sh PYTHON     PYTHON: the environment of the tests, of the same version as Debian's
set -eu
cd "$(dirname "$0")/../.."
case "$PWD" in
    *[[:space:]]*) echo "make aarch64: found '$PWD', expected a path without spaces: compilers' flags cannot have them; move it" >&2; exit 1 ;;
esac
python="$1"
home="$PWD/build/aarch64"
root="$home/root"
version="$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"

sh tools/aarch64/check_system.sh
mkdir -p "$home"

# --- Debian's packages for arm64, by an apt of our own: the system's architectures stay as they are ---
if [ ! -e "$home/.root-$version" ]; then
    rm -rf "$home/apt" "$root" "$home"/.root-* "$home/.packages"
    mkdir -p "$home/apt/lists/partial" "$home/apt/archives/partial" "$root"
    : >"$home/apt/status"
    cat >"$home/apt/conf" <<CONF
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Sandbox::User "";
Dir::State "$home/apt";
Dir::State::Lists "$home/apt/lists";
Dir::State::status "$home/apt/status";
Dir::Cache "$home/apt";
Dir::Cache::archives "$home/apt/archives";
CONF
    export APT_CONFIG="$home/apt/conf"
    apt-get update -qq
    if ! apt-cache show "libpython$version-dev" >/dev/null 2>&1; then
        echo "make aarch64: the apt sources have no python$version for arm64; name Debian's own: make aarch64 PYTHON=python3.N" >&2
        exit 1
    fi
    apt-get install -qq -y --no-install-recommends --download-only "python$version" "libpython$version-dev" libstdc++6
    for package in "$home"/apt/archives/*.deb; do
        dpkg-deb -x "$package" "$root"
    done
    unset APT_CONFIG
    touch "$home/.root-$version"
fi

# --- wheels for aarch64, where that Python looks for them; torch is no part of what runs on a board ---
site="$root/usr/local/lib/python$version/dist-packages"
"$python" tools/requirements.py nir events tokens test | grep -v '^torch' >"$home/requirements.txt"
if ! cmp -s "$home/requirements.txt" "$home/.packages"; then
    "$python" -m pip install --quiet --upgrade --target "$site" --only-binary=:all: --implementation cp --python-version "$version" \
        --platform manylinux2014_aarch64 --platform manylinux_2_28_aarch64 -r "$home/requirements.txt"
    cp "$home/requirements.txt" "$home/.packages"
fi

# --- commands: what runs one gets children that run it too, whatever becomes of the environment ---
echo 'import os, sys; sys.executable = os.environ["EDGESNN_EMULATED"]' >"$site/emulated.pth"
for cpu in cortex-a76 cortex-a72; do
    cat >"$home/python-$cpu" <<COMMAND
#!/bin/sh
QEMU_LD_PREFIX="$root" QEMU_CPU=$cpu EDGESNN_EMULATED="$home/python-$cpu" exec qemu-aarch64 "$root/usr/bin/python$version" "\$@"
COMMAND
    chmod +x "$home/python-$cpu"
done
