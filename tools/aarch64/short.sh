#!/bin/sh
# The short form of `make aarch64`: the tests of the kernels, each arm against the scalar one, cross-built and run on both processors.
# Usage: tools/aarch64/short.sh PYTHON     the environment of the tests, whose cmake and ninja it uses
set -eu
cd "$(dirname "$0")/../.."
bin="$PWD/$(dirname "$1")"
build="$PWD/build/aarch64-short"
step() { "$bin/python" tools/step.py "$@"; }

sh tools/aarch64/check_system.sh
step "configure for aarch64" "$bin/cmake" -S . -B "$build" -G Ninja -DCMAKE_MAKE_PROGRAM="$bin/ninja" \
    -DCMAKE_TOOLCHAIN_FILE="$PWD/tools/aarch64/toolchain.cmake" -DEDGESNN_MODULE=OFF -DEDGESNN_TESTS=ON -DEDGESNN_WERROR=ON
step "compile for aarch64" "$bin/cmake" --build "$build" --target kernels_test
for pair in "cortex-a76:2 arms, 0 failures" "cortex-a72:1 arms, 0 failures"; do
    cpu="${pair%%:*}"
    step "kernels on $cpu" env QEMU_LD_PREFIX=/usr/aarch64-linux-gnu QEMU_CPU="$cpu" EDGESNN_TEST_SHARE=8 \
        qemu-aarch64 "$build/kernels_test"
    found="$(cat "build/logs/kernels-on-$cpu.log")"
    echo "$cpu: $found"
    [ "$found" = "${pair#*:}" ] || { echo "expected ${pair#*:}: the arms that $cpu can run" >&2; exit 1; }
done
