#!/bin/sh
# Run on two emulated processors what shows that aarch64 computes the same: cortex-a76 has the dot products of the NEON arm,
# cortex-a72 has not and runs the scalar one. Then exchange snapshots and bundles with this machine, both ways.
# Usage: tools/aarch64/run.sh PYTHON     after build.sh
set -eu
cd "$(dirname "$0")/../.."
python="$PWD/$1"
home="$PWD/build/aarch64"
jobs="$(nproc)"
[ "$jobs" -le 4 ] || jobs=4
EDGESNN_SHARED="$(realpath -m "${EDGESNN_SHARED:-../shared}")"
export EDGESNN_SHARED
# Of the cases of a test one in so many, for emulation is ten to twenty times slower: in C++, and in Python.
native_share=4
python_share=8
unset PYTHONPATH EDGESNN_ARM PYTHONDONTWRITEBYTECODE

step() { "$python" "$root/tools/step.py" "$@"; }
root="$PWD"

# The tests without the package beside them: what they and their children import is the wheel.
tree="$home/tree"
rm -rf "$tree" "$home/exchange" "$home/dist/proved"
mkdir -p "$tree" "$home/exchange"
cp -r Makefile README.md CHANGELOG.md SECURITY.md pyproject.toml bench deploy docs examples fuzz recordings tests tools "$tree"

step "write for aarch64" "$python" -m tests.exchange write "$home/exchange/x86_64"
for pair in cortex-a76:neon_dotprod cortex-a72:scalar; do
    cpu="${pair%:*}"
    emulated="$home/python-$cpu"
    tests="$("$python" tools/aarch64/selection.py "$cpu")"
    cd "$tree"
    step "arm of $cpu" "$emulated" tools/aarch64/check_arm.py "${pair#*:}"
    step "native tests on $cpu" env QEMU_LD_PREFIX="$home/root" QEMU_CPU="$cpu" EDGESNN_TEST_SHARE="$native_share" \
        timeout 1500 "$(dirname "$python")/ctest" --test-dir "$home/cmake" -j "$jobs" --output-on-failure
    step "exchange on $cpu" timeout 1200 "$emulated" -m tests.exchange check "$home/exchange/x86_64"
    step "write on $cpu" timeout 1200 "$emulated" -m tests.exchange write "$home/exchange/$cpu"
    step "pytest on $cpu" env EDGESNN_TEST_SHARE="$python_share" timeout 1500 \
        "$emulated" -m pytest -n "$jobs" --dist worksteal --timeout 1200 -rs -m 'not full' $tests
    cd "$root"
    step "read from $cpu" "$python" -m tests.exchange check "$home/exchange/$cpu"
    tail -q -n 1 "$tree/build/logs/native-tests-on-$cpu.log" "$tree/build/logs/exchange-on-$cpu.log" \
        "build/logs/read-from-$cpu.log"
    tail -n 2 "$tree/build/logs/pytest-on-$cpu.log"
done
# all of it has passed: without this file, which build.sh removes with its folder, `make wheels` does not take the wheel
sha256sum "$home"/dist/edgesnn-*.whl >"$home/dist/proved"
