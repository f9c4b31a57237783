#!/bin/sh
# Check what `make aarch64` needs of the system (a compiler for aarch64, its emulator, apt); root installs it, others get the one apt line.
missing=""
command -v aarch64-linux-gnu-g++ >/dev/null 2>&1 || missing="$missing g++-aarch64-linux-gnu"
command -v qemu-aarch64 >/dev/null 2>&1 || missing="$missing qemu-user"
[ -n "$missing" ] || command -v apt-get >/dev/null 2>&1 || missing=" (apt-get and dpkg-deb: it runs on Debian only)"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null && exit 0
fi
echo "make aarch64: missing on this system: sudo apt install$missing" >&2
exit 1
