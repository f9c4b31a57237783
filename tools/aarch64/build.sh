#!/bin/sh
# Cross-build the wheel for aarch64, and the native tests beside it, in one tree; install the wheel for the emulated Python.
# Usage: tools/aarch64/build.sh PYTHON     after prepare.sh
set -eu
cd "$(dirname "$0")/../.."
python="$1"
home="$PWD/build/aarch64"
version="$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
site="$home/root/usr/local/lib/python$version/dist-packages"
export _PYTHON_HOST_PLATFORM=linux-aarch64
export SETUPTOOLS_EXT_SUFFIX=".cpython-$(echo "$version" | tr -d .)-aarch64-linux-gnu.so"
export PATH="$PWD/$(dirname "$python"):$PATH" # its cmake and ninja

rm -rf "$home/dist"
"$python" -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir "$home/dist" \
    -C "build-dir=$home/cmake" \
    -C "cmake.define.CMAKE_TOOLCHAIN_FILE=$PWD/tools/aarch64/toolchain.cmake" \
    -C "cmake.define.Python_INCLUDE_DIR=$home/root/usr/include/python$version" \
    -C "cmake.define.CMAKE_CXX_FLAGS=-I$home/root/usr/include" \
    -C "cmake.define.PYTHON_MODULE_EXTENSION=$SETUPTOOLS_EXT_SUFFIX" \
    -C cmake.define.EDGESNN_TESTS=ON -C cmake.define.EDGESNN_WERROR=ON .
# what the module is compiled of: `make wheels` takes the wheel only where that is what it has
find native CMakeLists.txt pyproject.toml -type f -exec sha256sum {} + >"$home/dist/sources.sha256"
rm -rf "$site/edgesnn" "$site"/edgesnn-*.dist-info
"$python" -m pip install --quiet --no-deps --target "$site" --platform linux_aarch64 --only-binary=:all: "$home"/dist/edgesnn-*.whl
